"""One channel of a device in plain Python: how early may a command issue?

The readable twin of the compiled `kernel`, device side (`controller` is the host side).
For every row of the timing table it remembers the clocks of the commands that may
still bind.  The log checker shares no code with this module.
"""

from __future__ import annotations

from collections import deque

from pimsim.dram.spec import CHANNEL, Command, Effect, Needs, TimingConstraint
from pimsim.dram.timing import Device

CLOSED = -1  # in place of an open row
NONE = -1  # in place of a bank, row or column that a command does not have


class ProtocolError(Exception):
    """A command that the device does not allow: too early, wrong bank state or no such address."""


class Gate:
    """One row of the timing table and the preceding commands that may still bind."""

    def __init__(self, device: Device, constraint: TimingConstraint) -> None:
        self.constraint = constraint
        self.latency = device.latency(constraint)
        self._device = device
        self._node = device.nodes[constraint.level]
        self._recent: list[deque[int]] = [deque(maxlen=constraint.window) for _ in range(max(self._node) + 1)]

    def ready(self, command: Command, bank: int) -> int:
        """First clock at which this row lets `command` issue (0: at once)."""
        if command.name not in self.constraint.following:
            return 0
        full = [seen for seen in self._shared(command, bank) if len(seen) == self.constraint.window]
        return max((seen[0] + self.latency for seen in full), default=0)

    def note(self, command: Command, bank: int, clk: int) -> None:
        """Remember `command` if it is one that this row counts from."""
        if command.name in self.constraint.preceding:
            for seen in self._shared(command, bank):
                seen.append(clk)

    def _shared(self, command: Command, bank: int) -> list[deque[int]]:
        """The histories of the nodes of the row's level that `command` takes part in; of a channel every command."""
        if self.constraint.level == CHANNEL.name:
            return self._recent
        return [self._recent[node] for node in {self._node[b] for b in self._device.banks_of(command, bank)}]


class Channel:
    """One channel: what is open, and how early each command may issue."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.open_rows = [CLOSED] * device.banks
        self.mode = device.standard.modes[0] if device.standard.modes else ""
        self._rules = [rule for c in device.standard.constraints if (rule := Gate(device, c)).latency > 0]
        self.latest = 0  # the clock of the latest command: they come in the order of time
        self._open_since = 0
        self._open_cycles = 0

    def any_open(self) -> bool:
        """Whether at least one bank is open."""
        return any(row != CLOSED for row in self.open_rows)

    def open_cycles(self, now: int) -> int:
        """Clocks before `now` during which at least one bank was open, from its ACT up to its PRE."""
        return self._open_cycles + (now - self._open_since if self.any_open() else 0)

    def earliest(self, command_name: str, bank: int = NONE) -> int:
        """First clock at which the timing table lets the command issue, whatever the bank's state."""
        command = self.device.standard.command(command_name)
        return max((rule.ready(command, bank) for rule in self._rules), default=0)

    def issue(self, command_name: str, clk: int, bank: int = NONE, row: int = NONE, column: int = NONE) -> None:
        """Put a command on the bus at `clk`; ProtocolError says which rule forbids it."""
        command = self.device.standard.command(command_name)
        self._check_address(command, bank, row, column)
        self._check_timing(command, clk, bank)
        self._check_state(command, clk, bank, row)
        self._take_effect(command, clk, bank, row)
        self.latest = clk
        for rule in self._rules:
            rule.note(command, bank, clk)

    def _check_address(self, command: Command, bank: int, row: int, column: int) -> None:
        device = self.device
        if command.has_bank != (bank != NONE) or not NONE <= bank < device.banks:
            raise ProtocolError(f"{command.name} has no bank {bank} among {device.banks}")
        if uses_row(command) != (row != NONE) or not (row == NONE or device.standard.has_row(row, device.rows)):
            raise ProtocolError(f"{command.name} has no row {row} among {device.rows}")
        if command.shows_column != (column != NONE) or (uses_row(command) and column >= device.columns):
            raise ProtocolError(f"{command.name} has no column {column} among {device.columns}")

    def _check_timing(self, command: Command, clk: int, bank: int) -> None:
        for rule in self._rules:
            ready = rule.ready(command, bank)
            if clk < ready:
                row = rule.constraint
                raise ProtocolError(f"{command.name} at clock {clk}: {row.latency} ({row.source}) allows clock {ready}")
        if clk < self.latest:
            raise ProtocolError(f"{command.name} at clock {clk}: the latest command allows clock {self.latest}")

    def _check_state(self, command: Command, clk: int, bank: int, row: int) -> None:
        if command.mode not in ("", self.mode):
            raise ProtocolError(f"{command.name} at clock {clk} needs {command.mode} mode, but it is {self.mode} mode")
        if command.needs is Needs.ANY:
            return
        needed = row if command.needs is Needs.OPEN else CLOSED
        for b in self.device.banks_of(command, bank):
            if self.open_rows[b] != needed:
                is_now = state(self.open_rows[b])
                raise ProtocolError(f"{command.name} at clock {clk} needs bank {b} {state(needed)}, but it is {is_now}")

    def _take_effect(self, command: Command, clk: int, bank: int, row: int) -> None:
        if command.name == self.device.standard.roles.switch_mode:
            self.mode = next(mode for mode in self.device.standard.modes if mode != self.mode)
        if command.effect is Effect.NONE:
            return
        was_open = self.any_open()
        for b in self.device.banks_of(command, bank):
            self.open_rows[b] = row if command.effect is Effect.OPEN else CLOSED
        if not was_open:
            self._open_since = clk
        elif not self.any_open():
            self._open_cycles += clk - self._open_since


def uses_row(command: Command) -> bool:
    """Whether a command carries a row: it opens one or works in an open one."""
    return command.needs is Needs.OPEN or command.effect is Effect.OPEN


def state(row: int) -> str:
    """A bank's state in words."""
    return "closed" if row == CLOSED else f"open at row {row}"
