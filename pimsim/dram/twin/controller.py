"""The memory controller of one channel in plain Python: from request programs to commands.

The readable twin of the compiled `kernel`, host side; the two agree to the clock.
Read here what the kernel does, and to which cause each clock of a program is charged.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from pimsim.dram import program as requests
from pimsim.dram.program import Program, bank_order
from pimsim.dram.spec import Effect, Needs
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import CLOSED, NONE, Channel


class Issued(NamedTuple):
    """One command on the bus; `bank` counts within the channel."""

    clk: int
    command: str
    bank: int = NONE
    row: int = NONE
    column: int = NONE


class Move(NamedTuple):
    """A command that the controller wants to issue next."""

    command: str
    bank: int = NONE
    row: int = NONE
    column: int = NONE


NOTHING = Move("")  # no request: refreshes serve none


class Controller:
    """The memory controller of one channel: in order, open rows stay open, refresh comes first.

    Before a data command it opens what the command needs; when a refresh is due by the
    time the next command could issue, it closes what the refresh needs closed and
    refreshes, then looks again.  Refreshes that fell due before a program's start have
    issued by then, as soon as they could: the channel was idle.

    commands: all that was issued so far.  causes: clocks of the last program by cause.
    """

    def __init__(self, device: Device) -> None:
        self.device = device
        self.channel = Channel(device)
        self.commands: list[Issued] = []
        self.causes: dict[str, int] = {}
        self._roles = device.standard.roles
        self._floor = 0  # no request arrives before
        self._ref_due = device.together * device.refresh_interval
        self._ref_turn = 0

    def run(self, program: Program, t0: int, account: int = 0) -> int:
        """Carry out `program`, no command of it before `t0`; the clock at which its data has arrived.

        Clocks before `account` are somebody else's and are not charged to causes again.
        """
        before = len(self.commands)
        self._floor = t0
        self.finish(t0)
        for request in program.tolist():
            self._serve(*request)
        end, self.causes = charge(self.device, self.commands[before:], t0, max(t0, account))
        return end

    def finish(self, clk: int) -> None:
        """Carry out the refreshes that are due before `clk`."""
        while self.refresh_due(clk - 1):
            self.refresh()

    # ---- requests -----------------------------------------------------------------

    def _serve(self, op: int, cmd: int, bank: int, lin: int, n: int, x: int, y: int, z: int) -> None:
        match op:
            case requests.RUN:
                self._run(self._name(cmd), bank, lin, n, gap=x)
                if y > 0 and n > 0:
                    self._floor = max(self._floor, self.commands[-1].clk + y)
            case requests.LOOP:
                self._loop(self._name(cmd), lin, n, stride=x, used=y, result=self._name(z))
            case requests.OPEN:
                self._open(bank, lin // self.device.columns)
            case requests.CLOSE:
                self._close(bank)
            case requests.SCATTER:
                self._scatter(self._name(cmd), lin, n, stride=x, ahead=y, behind=z)
            case _:
                raise ValueError(f"no request has the number {op}")

    def _name(self, cmd: int) -> str:
        return self.device.standard.commands[cmd].name

    def _run(self, command: str, bank: int, lin: int, n: int, gap: int = 0) -> None:
        not_before = self._floor
        for i in range(n):
            not_before = self._access(command, bank, lin + i, not_before) + gap

    def _loop(self, command: str, lin: int, n: int, stride: int, used: int, result: str) -> None:
        columns = self.device.columns
        for i in range(n):
            self._run(command, NONE, lin + i * stride, used)
            last, following = lin + i * stride + used - 1, lin + (i + 1) * stride
            if last // columns != following // columns:  # the row is used up: close it under the drain
                self._close(NONE)
            self._pursue(lambda: None, Move(result), Move(result, NONE, NONE, 0), self._floor)

    def _open(self, bank: int, row: int) -> None:
        self._pursue(lambda: self._opening_step(bank, row), request=Move("", bank, row))

    def _close(self, bank: int) -> None:
        self._pursue(lambda: self._closing_step(bank), request=Move("", bank))

    def _scatter(self, command: str, lin: int, n: int, stride: int, ahead: int, behind: int) -> None:
        device = self.device
        elements = n * device.banks

        def place(i: int) -> tuple[int, int]:
            bank = bank_order(i % device.banks, device.bank_groups, device.banks_per_group)
            return bank, lin + i // device.banks * stride

        for i in range(elements + behind):
            if i < elements:
                bank, at = place(i)
                self._open(bank, at // device.columns)
            if 0 <= i - ahead < elements:
                self._access(command, *place(i - ahead), self._floor)
            if 0 <= i - behind < elements:
                self._close(place(i - behind)[0])

    def _access(self, command: str, bank: int, lin: int, not_before: int) -> int:
        """Issue a data command at linear column `lin`, opening its row first; the clock of issue."""
        spec = self.device.standard.command(command)
        if spec.needs is not Needs.OPEN:
            own = Move(command, bank, NONE, lin if spec.shows_column else NONE)
            return self._pursue(lambda: None, own, Move(command, bank, NONE, lin), not_before)
        row, column = divmod(lin, self.device.columns)
        banks = self.device.banks_of(spec, bank) if spec.has_bank else (NONE,)
        own = Move(command, banks[0], row, column if spec.shows_column else NONE)
        request = Move(command, banks[0], row, column)
        return self._pursue(lambda: self._first_opening_step(banks, row), own, request, not_before)

    def _pursue(
        self,
        prerequisite: Callable[[], Move | None],
        own: Move | None = None,
        request: Move = NOTHING,
        not_before: int = 0,
    ) -> int:
        """Issue prerequisites until there is none, then `own`; refreshes that fall due go first.

        If `own`, or without one a prerequisite, needs the other mode, the switch goes out as soon as it and the
        command behind it may.
        """
        while True:
            needed = prerequisite()
            if needed is None and own is None:
                return self._floor
            move, ready = self._next_move(needed, own)
            clk = max(ready, self._floor, 0 if needed else not_before)
            if self.refresh_due(clk):
                self.refresh()
                continue
            self.issue(move, clk, request)
            if move is own:
                return clk

    def next_move(self, command: str, bank: int, row: int, column: int) -> tuple[Move, int]:
        """The next command on the way to a data command, itself if nothing is missing, and when it may issue."""
        spec = self.device.standard.command(command)
        column = column if spec.shows_column else NONE
        if spec.needs is not Needs.OPEN:
            return self._next_move(None, Move(command, bank, NONE, column))
        banks = self.device.banks_of(spec, bank) if spec.has_bank else (NONE,)
        return self._next_move(self._first_opening_step(banks, row), Move(command, banks[0], row, column))

    def _next_move(self, needed: Move | None, own: Move | None) -> tuple[Move, int]:
        """What issues next of what is needed before a command and the command itself, and when the table allows it.

        The switch of the mode comes first, but no sooner than the command behind it might issue but for the mode.
        """
        step = needed or own
        assert step is not None
        switch = self._switching_step(own or step)
        if switch is None:
            return step, self.earliest(step)
        return switch, max(self.earliest(step), self.earliest(switch))

    def _switching_step(self, step: Move) -> Move | None:
        """The command that brings the channel to the mode that `step` needs; None if it is in it."""
        mode = self.device.standard.command(step.command).mode
        return Move(self._role("switch_mode")) if mode not in ("", self.channel.mode) else None

    def earliest(self, step: Move) -> int:
        """First clock at which `step` may issue, not before the latest command, which another bus may have carried."""
        return max(self.channel.earliest(step.command, step.bank), self.channel.latest)

    def issue(self, step: Move, clk: int, request: Move = NOTHING) -> None:
        """Put a command on the bus; the log of some devices shows the address of the request it serves."""
        self.channel.issue(step.command, clk, step.bank, step.row, step.column)
        if self.device.standard.logs_request and request is not NOTHING:
            step = Move(step.command, request.bank, request.row, request.column)
        self.commands.append(Issued(clk, *step))

    # ---- rows ---------------------------------------------------------------------

    def _opening_step(self, bank: int, row: int) -> Move | None:
        """The next command on the way to `row` open in `bank` (-1: in all banks); None once it is."""
        rows = self.channel.open_rows
        if bank == NONE:
            return self._opening_step_of_all(rows, row)
        if rows[bank] == row:
            return None
        return self._bank_step("open_bank", bank, row) if rows[bank] == CLOSED else self._bank_step("close_bank", bank)

    def _first_opening_step(self, banks: Sequence[int], row: int) -> Move | None:
        """The next command on the way to `row` open in all of `banks`, one after the other; None once it is."""
        steps = (self._opening_step(bank, row) for bank in banks)
        return next((step for step in steps if step is not None), None)

    def _opening_step_of_all(self, rows: list[int], row: int) -> Move | None:
        states = set(rows)
        if states == {row}:
            return None
        if states == {CLOSED}:
            return Move(self._role("open_all"), NONE, row)
        if states == {CLOSED, row}:
            return self._rest_step(rows.index(CLOSED), row)
        return Move(self._role("close_all"))

    def _rest_step(self, closed: int, row: int) -> Move:
        """The next command when some banks are open at `row` and the others, `closed` the lowest, closed."""
        command = self.device.standard.command(self._roles.open_rest or self._role("open_bank"))
        bank = closed if command.has_bank else NONE
        return Move(command.name, bank, row if command.effect is Effect.OPEN else NONE)

    def _closing_step(self, bank: int) -> Move | None:
        """The command that closes `bank` (-1: the next one on the way to all banks closed) if it is open."""
        if bank == NONE:
            return self._closing_step_of(range(self.device.banks), self._role("close_all"))
        return self._bank_step("close_bank", bank) if self.channel.open_rows[bank] != CLOSED else None

    def _closing_step_of(self, banks: Sequence[int], name: str) -> Move | None:
        """The command `name` for the lowest of `banks` that is open; None if all are closed."""
        is_open = [bank for bank in banks if self.channel.open_rows[bank] != CLOSED]
        return self._node_step(name, is_open[0]) if is_open else None

    def _node_step(self, name: str, bank: int) -> Move:
        """A command without a row that addresses `bank`; of those that it addresses, the lowest names them."""
        command = self.device.standard.command(name)
        return Move(name, self.device.banks_of(command, bank)[0] if command.has_bank else NONE)

    def _bank_step(self, role: str, bank: int, row: int = NONE) -> Move:
        return Move(self._role(role), bank, row)

    def _role(self, role: str) -> str:
        """The command that plays `role`; ValueError if the device has none."""
        name: str | None = getattr(self._roles, role)
        if name is None:
            raise ValueError(f"{self.device.standard.name} has no command to {role}")
        return name

    # ---- refresh ------------------------------------------------------------------

    def refresh_due(self, clk: int) -> bool:
        """Whether a refresh goes before a command at `clk`."""
        return self.device.refresh != "none" and clk >= self._ref_due

    def refresh(self) -> None:
        """Close what must be closed and refresh, each as early as possible once due."""
        while not self.step_refresh(*self.next_refresh_step()):
            pass

    def next_refresh_step(self) -> tuple[Move, int]:
        """The next command of the refresh that is due, and the clock from which it may issue."""
        name = self._roles.refresh(self.device.refresh)
        if name is None:
            raise ValueError(f"{self.device.standard.name} has no command to refresh {self.device.refresh}")
        banks = self.refreshed_next
        closing = self.device.standard.closing(name) or self._role("close_bank")
        step = self._closing_step_of(banks, closing) or self._node_step(name, banks[0])
        return step, max(self.earliest(step), self._ref_due)

    @property
    def refreshed_next(self) -> tuple[int, ...]:
        """The banks of the next refresh."""
        return self.device.turns[self._ref_turn]

    def step_refresh(self, step: Move, clk: int) -> bool:
        """Issue a command of `next_refresh_step`; whether the refresh is under way."""
        self.issue(step, clk)
        if self.device.standard.command(step.command).effect is Effect.CLOSE:
            return False
        self._ref_turn = (self._ref_turn + 1) % len(self.device.turns)
        if self._ref_turn % self.device.together == 0:
            self._ref_due += self.device.together * self.device.refresh_interval
        return True


# ---- causes -----------------------------------------------------------------------


def charge(device: Device, issued: Sequence[Issued], t0: int, account: int) -> tuple[int, dict[str, int]]:
    """The data end of a program that started at `t0`, and its clocks account .. data end by cause.

    The data end is the last completion of any command (t0 if none completes).  A cursor
    starts at `account`.  Each command moves it forward to its own issue, and the clocks passed
    are charged to the cause of (previous command since t0, this command).  What is left up
    to the data end is charged to the cause of (none, the command that sets the data end;
    the first such).  Nothing is charged past the data end, so the causes sum to data end
    - account (0 if that is negative).  ValueError if the standard's causes leave out a pair of commands.
    """
    end, decider = data_end(device, issued, t0)
    causes: dict[str, int] = {}
    cursor, previous = account, None
    for command in issued:
        stop = min(command.clk, end)
        if stop > cursor:
            _add(causes, cause_of(device, previous, command.command), stop - cursor)
            cursor = stop
        previous = command.command if command.clk >= t0 else None
    if decider is not None and end > cursor:
        _add(causes, cause_of(device, None, decider), end - cursor)
    return end, causes


def _add(causes: dict[str, int], cause: str, clocks: int) -> None:
    causes[cause] = causes.get(cause, 0) + clocks


def data_end(device: Device, issued: Sequence[Issued], t0: int) -> tuple[int, str | None]:
    """The clock at which the last data has crossed the pins, and the first command to reach it."""
    end, decider = t0, None
    for command in issued:
        completion = device.completion(device.standard.command(command.command))
        if completion and command.clk + completion > end:
            end, decider = command.clk + completion, command.command
    return end, decider


def cause_of(device: Device, previous: str | None, command: str) -> str:
    """The first row of the causes table that matches; no previous command matches only "*"."""
    for before, after, cause in device.standard.causes:
        if before in ("*", previous) and after in ("*", command):
            return cause
    raise ValueError(f"no cause for {previous} then {command} in {device.standard.name}")
