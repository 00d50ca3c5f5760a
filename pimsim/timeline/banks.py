"""Which rows are open when: from the commands of one channel, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.dram.spec import Effect, Needs
from pimsim.dram.timing import Device

CLOSED = -1


@dataclass(frozen=True)
class OpenRow:
    """A row that was open in a bank of a channel, from its activation up to its precharge; clocks."""

    bank: int
    row: int
    begin: int
    end: int


@dataclass
class Turned:
    """What a batch of commands did to the banks.

    rows    those that were closed
    misses  (clock, banks): column accesses that were the first since their banks' activation
    opened, closed  clocks at which the channel went from no bank open to one, and back
    """

    rows: list[OpenRow] = field(default_factory=list)
    misses: list[tuple[int, int]] = field(default_factory=list)
    opened: list[int] = field(default_factory=list)
    closed: list[int] = field(default_factory=list)


class Banks:
    """The banks of one channel."""

    def __init__(self, device: Device) -> None:
        commands = device.standard.commands
        self._opens = np.array([c.effect is Effect.OPEN for c in commands])
        self._turns = np.array([c.effect is not Effect.NONE for c in commands])
        self._accesses = np.array([c.needs is Needs.OPEN for c in commands])
        self._device = device
        self.rows = [CLOSED] * device.banks
        self._since = [0] * device.banks
        self._fresh: set[int] = set()  # open banks that nothing has accessed yet
        self._open = 0

    def advance(self, clk: Ints, command: Ints, bank: Ints, row: Ints) -> Turned:
        """Take the channel's next commands."""
        turned = Turned()
        accesses = np.flatnonzero(self._accesses[command])
        begin = 0
        for at in [*np.flatnonzero(self._turns[command]).tolist(), len(clk)]:
            if self._fresh:
                self._note_misses(turned, accesses, begin, at, clk, command, bank)
            if at < len(clk):
                self._turn(turned, int(command[at]), int(clk[at]), int(bank[at]), int(row[at]))
            begin = at + 1
        return turned

    def finish(self, clk: int) -> Turned:
        """Count what is still open as open until `clk`."""
        turned = Turned()
        for bank in range(len(self.rows)):
            self._close(turned, bank, clk)
        return turned

    def _addressed(self, command: int, bank: int) -> Sequence[int]:
        return self._device.banks_of(self._device.standard.commands[command], bank)

    def _note_misses(
        self, turned: Turned, accesses: Ints, begin: int, end: int, clk: Ints, command: Ints, bank: Ints
    ) -> None:
        for at in accesses[np.searchsorted(accesses, begin) : np.searchsorted(accesses, end)]:
            hit = self._fresh.intersection(self._addressed(int(command[at]), int(bank[at])))
            if hit:
                turned.misses.append((int(clk[at]), len(hit)))
                self._fresh = self._fresh - hit
                if not self._fresh:
                    return

    def _turn(self, turned: Turned, command: int, clk: int, bank: int, row: int) -> None:
        for b in self._addressed(command, bank):
            if not self._opens[command]:
                self._close(turned, b, clk)
                continue
            if not self._open:
                turned.opened.append(clk)
            self._open += self.rows[b] == CLOSED
            self.rows[b], self._since[b] = row, clk
            self._fresh.add(b)

    def _close(self, turned: Turned, bank: int, clk: int) -> None:
        if self.rows[bank] == CLOSED:
            return
        turned.rows.append(OpenRow(bank, self.rows[bank], self._since[bank], clk))
        self.rows[bank] = CLOSED
        self._fresh.discard(bank)
        self._open -= 1
        if not self._open:
            turned.closed.append(clk)
