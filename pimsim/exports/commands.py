"""DRAM commands as lines of another simulator's trace.

Commands come as a run goes on and are written at once, so that memory does not grow with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import BinaryIO, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.engine import FOREVER
from pimsim.dram.spec import Command, Scope
from pimsim.dram.timing import Device
from pimsim.sim.observer import Executed

Ints = NDArray[np.int64]


class Place(NamedTuple):
    """Where a command goes; -1: everywhere in it, or nowhere.

    part: the pseudo-channel, 0 where a channel has none; group counts within it, bank within its group.
    """

    part: int
    group: int = -1
    bank: int = -1


def place(device: Device, bank: int) -> Place:
    """A bank of the channel, taken apart."""
    part_of = device.nodes[device.standard.pins]
    first = part_of.index(part_of[bank])
    group, inner = divmod(bank, device.banks_per_group)
    return Place(part_of[bank], group - first // device.banks_per_group, inner)


def places(device: Device, command: Command, bank: int) -> list[Place]:
    """What a command addresses that is given `bank`: its banks, or the pseudo-channels that it takes as a whole."""
    if command.scope == Scope.CHANNEL:
        return [Place(0)]
    found = [place(device, each) for each in device.banks_of(command, bank)]
    if len(found) % (device.banks // device.data_buses):
        return found
    return [Place(part) for part in sorted({each.part for each in found})]


class Format(Protocol):
    """A format of command traces."""

    @property
    def head(self) -> str:
        """What stands before the first command."""

    def lines(self, command: Command, bank: int) -> Sequence[str]:
        """The lines that a command makes, with {clk}, {channel}, {row} and {column} in them."""

    def tail(self, cycles: int) -> str:
        """What stands behind the last command of a run of so many clocks."""

    def written(self) -> Mapping[str, Sequence[str]]:
        """By the name of each command of the device, the names that are written for it."""

    def notes(self) -> Sequence[str]:
        """What a reader has to know."""


@dataclass
class Writer:
    """An observer that writes the commands that it sees, of one channel or (None) of all, and counts them."""

    file: BinaryIO
    device: Device
    format: Format
    channel: int | None = None
    counts: Counter[str] = field(default_factory=Counter)
    window: tuple[int, int] = (0, FOREVER)
    _known: dict[tuple[int, int], str] = field(default_factory=dict)

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Write commands, which come in order of clk, then channel."""
        columns = [clk, channel, command, bank, row, column]
        if self.channel is not None:
            columns = [values[channel == self.channel] for values in columns]
        self._count(columns[2])
        text = [self._text(*values) for values in zip(*(values.tolist() for values in columns), strict=True)]
        self.file.write("".join(text).encode("ascii"))

    def execute(self, executed: Executed) -> None:
        """Nothing: a trace has commands only."""

    def _count(self, command: Ints) -> None:
        names = self.device.standard.log_names
        for name, count in zip(names, np.bincount(command, minlength=len(names)).tolist(), strict=True):
            self.counts[name] += count

    def _text(self, clk: int, channel: int, command: int, bank: int, row: int, column: int) -> str:
        known = self._known.get((command, bank))
        if known is None:
            lines = self.format.lines(self.device.standard.commands[command], bank)
            known = self._known[command, bank] = "".join(f"{line}\n" for line in lines)
        return known.format(clk=clk, channel=channel, row=row, column=column)
