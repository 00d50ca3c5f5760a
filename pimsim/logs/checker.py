"""Independent check of a command log: the timing table and the log, nothing else.

Shares no code with the engines.  Each rule is evaluated on whole columns: for every
command that a rule constrains, find the latest earlier command that it counts from,
and compare.  A log of a million commands takes seconds.

The log must hold every command from clock 0 on; a log limited by a window starts in an
unknown state and cannot be checked.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.spec import CHANNEL, Command, Effect, Needs, Scope, Standard, TimingConstraint
from pimsim.dram.timing import Device
from pimsim.logs.log import CommandLog
from pimsim.logs.log_csv import HEADER_LINES

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

MOST_OF_A_RULE = 10_000  # violations on one channel that are listed
UNKNOWN = -1  # in place of the clock of an earlier command: none is to blame


@dataclass(frozen=True, order=True)
class Violation:
    """One command that breaks one rule.

    line counts from 1 as in the CSV file, whose first line is the header; earlier is
    the clock of the command that the rule counts from (-1: none is to blame).
    """

    line: int
    clk: int
    channel: int
    command: str
    rule: str
    earlier: int = UNKNOWN

    def __str__(self) -> str:
        since = f" (since clock {self.earlier})" if self.earlier != UNKNOWN else ""
        return f"line {self.line}: clock {self.clk}, channel {self.channel}, {self.command}: {self.rule}{since}"


class Violations(list[Violation]):
    """The violations of a log, in its order; `more`: how many are not listed, none of them the first of a rule."""

    more: int = 0


def check(log: CommandLog, device: Device) -> Violations:
    """Everything in `log` that `device` does not allow, in the order of the log.

    Of one rule on one channel the first MOST_OF_A_RULE are listed, and the others counted.

    Commands that the device does not have, or at addresses that it does not have, are
    reported and otherwise left out.
    """
    report = _Report(log, device.standard)
    _check_order(report)
    legal = _check_addresses(report, device)
    for channel in range(device.channels):
        rows = np.flatnonzero(legal & (log.channel == channel))
        if rows.size:
            _check_channel(report, _View(log, rows, device), device)
    violations = Violations(sorted(report.violations))
    violations.more = report.more
    return violations


class _Report:
    """Collects violations by row of the log."""

    def __init__(self, log: CommandLog, standard: Standard) -> None:
        self.log = log
        self.names = [command.name for command in standard.commands]
        self.violations: list[Violation] = []
        self.more = 0

    def add(self, row: int, rule: str, earlier: int = UNKNOWN) -> None:
        number = int(self.log.command[row])
        name = self.names[number] if 0 <= number < len(self.names) else f"command {number}"
        clk, channel = int(self.log.clk[row]), int(self.log.channel[row])
        self.violations.append(Violation(row + 1 + HEADER_LINES, clk, channel, name, rule, int(earlier)))

    def first(self, found: Ints) -> list[int]:
        """The first of what one rule found; the others are counted only."""
        self.more += max(0, found.size - MOST_OF_A_RULE)
        first: list[int] = found[:MOST_OF_A_RULE].tolist()
        return first

    def add_all(self, rows: Ints, rule: str) -> None:
        for row in self.first(rows):
            self.add(row, rule)


class _View:
    """The legal commands of one channel, in the order of the log.

    sets, table: sets of banks that commands address, and which one by command and bank.
    where: per command of the log, the row of `sets` that has the banks it addresses.
    """

    def __init__(self, log: CommandLog, rows: Ints, device: Device) -> None:
        self.rows = rows
        self.clk = log.clk[rows]
        self.command = log.command[rows]
        self.row = log.row[rows]
        self.device = device
        with_bank = _commands(device.standard, lambda c: c.has_bank)[self.command]
        bank = log.bank_group[rows].astype(np.int64) * device.banks_per_group + log.bank[rows]
        self.sets, self.table = _bank_sets(device)
        self.where = self.table[self.command, np.where(with_bank, bank, 0)]

    @cached_property
    def shared(self) -> dict[str, tuple[Bools, Ints]]:
        """For each level, combinations of its nodes (combinations, nodes), and the one that each of `sets` touches."""
        found = {}
        for level, of_bank in self.device.nodes.items():
            touched = [self.sets[:, np.array(of_bank) == node].any(axis=1) for node in range(max(of_bank) + 1)]
            combinations, which = np.unique(np.stack(touched, axis=1), axis=0, return_inverse=True)
            found[level] = (combinations, which.reshape(-1))
        return found

    def concerns(self, commands: Ints, bank: int) -> Bools:
        """Which of `commands` address `bank`."""
        concerned: Bools = self.sets[self.where[commands], bank]
        return concerned

    def positions(self, chosen: Bools) -> Ints:
        """Where the commands are that `chosen` (a flag per command of the table) selects."""
        return np.flatnonzero(chosen[self.command])


def _commands(standard: Standard, condition: Callable[[Command], bool]) -> Bools:
    """A flag per command of the table."""
    return np.array([condition(command) for command in standard.commands], dtype=np.bool_)


def _bank_sets(device: Device) -> tuple[Bools, Ints]:
    """Sets of banks that commands address (sets, banks); which one by command and the bank in the log."""
    commands = device.standard.commands
    found: dict[bytes, int] = {}
    sets: list[Bools] = []
    table = np.zeros((len(commands), device.banks), np.int64)
    for number, command in enumerate(commands):
        for bank in range(device.banks):
            if command.has_bank:
                node = np.array(device.nodes[command.scope])
                banks = node == node[bank]
            else:
                banks = np.full(device.banks, command.scope == Scope.ALL_BANKS)
            if banks.tobytes() not in found:
                found[banks.tobytes()] = len(sets)
                sets.append(banks)
            table[number, bank] = found[banks.tobytes()]
    return np.stack(sets), table


# ---- order and addresses ------------------------------------------------------------


def _check_order(report: _Report) -> None:
    """The log is in order of clk, then channel; clocks count from 0."""
    clk, channel = report.log.clk, report.log.channel
    report.add_all(np.flatnonzero(clk < 0), "clocks count from 0")
    back = (clk[1:] < clk[:-1]) | ((clk[1:] == clk[:-1]) & (channel[1:] < channel[:-1]))
    for row in report.first(np.flatnonzero(back) + 1):
        report.add(row, "not in order of clk, then channel", clk[row - 1])


def _check_addresses(report: _Report, device: Device) -> Bools:
    """Reports commands and addresses that the device does not have; flags the legal rows."""
    log, commands = report.log, device.standard.commands
    known = (log.command >= 0) & (log.command < len(commands))
    report.add_all(np.flatnonzero(~known), f"{device.standard.name} has no such command")
    command = np.where(known, log.command, 0)
    legal = known.copy()
    for what, values, applies, limit in _address_columns(log, command, device):
        wrong = known & applies[command] & ((values < 0) | (values >= limit))
        report.add_all(np.flatnonzero(wrong), f"{what} must be 0 to {limit - 1}")
        # a log of requests shows addresses that the command itself does not have
        unwanted = known & ~applies[command] & (values != -1) & (not device.standard.logs_request)
        report.add_all(np.flatnonzero(unwanted), f"{what} must be -1")
        legal &= ~(wrong | unwanted)
    return legal


def _address_columns(log: CommandLog, command: Ints, device: Device) -> Iterator[tuple[str, Ints, Bools, int]]:
    """Each address column of the log, a flag per command that has one, and how many there are."""
    standard = device.standard
    with_bank = _commands(standard, lambda c: c.has_bank)
    has_row = _commands(standard, lambda c: c.needs is Needs.OPEN or c.effect is Effect.OPEN)
    shown = _commands(standard, lambda c: c.shows_column)
    yield "channel", log.channel, np.ones_like(with_bank), device.channels
    yield "bank_group", log.bank_group, with_bank, device.bank_groups
    yield "bank", log.bank, with_bank, device.banks_per_group
    first, last = standard.function_rows
    yield "row", np.where((log.row >= first) & (log.row < last), 0, log.row), has_row, device.rows
    # a column of a buffer, not of a row: how many the buffer has is not the table's business
    in_buffer = ~has_row[command] & (log.column >= 0)
    yield "column", np.where(in_buffer & shown[command], 0, log.column), shown, device.columns


# ---- one channel ----------------------------------------------------------------------


def _check_channel(report: _Report, view: _View, device: Device) -> None:
    for constraint in device.standard.constraints:
        latency = device.latency(constraint)
        if latency > 0:
            _check_constraint(report, view, device, constraint, latency)
    _check_states(report, view, device)
    _check_modes(report, view, device)
    _check_refresh(report, view, device)


def _check_constraint(report: _Report, view: _View, device: Device, constraint: TimingConstraint, latency: int) -> None:
    before = view.positions(_commands(device.standard, lambda c: c.name in constraint.preceding))
    after = view.positions(_commands(device.standard, lambda c: c.name in constraint.following))
    if not before.size or not after.size:
        return
    binding = _binding(view, constraint, before, after)
    after, binding = after[binding >= 0], binding[binding >= 0]
    distance = view.clk[after] - view.clk[binding]
    for k in report.first(np.flatnonzero(distance < latency)):
        names = [report.names[view.command[position]] for position in (binding[k], after[k])]
        rule = f"{_rule_name(constraint)}: {' -> '.join(names)} needs {latency} clocks, got {distance[k]}"
        report.add(int(view.rows[after[k]]), rule, view.clk[binding[k]])


def _binding(view: _View, constraint: TimingConstraint, before: Ints, after: Ints) -> Ints:
    """For each position in `after`, the latest in `before` that binds it in a node that the two share; -1: none."""
    if constraint.level == CHANNEL.name:  # shared by all commands, those without a bank as well
        return _back(before, after, constraint.window)
    combinations, which = view.shared[constraint.level]
    first, second = which[view.where[before]], which[view.where[after]]
    found = np.full(after.size, -1, dtype=np.int64)
    for number in np.unique(second):
        mine = second == number
        nodes = np.flatnonzero(combinations[number])
        # the latest command of several nodes is that of all of them together, but windows count in each by itself
        for together in [nodes] if constraint.window == 1 else nodes[:, np.newaxis]:
            binds: Bools = np.any(combinations[:, together], axis=1)
            shared = before[binds[first]]
            found[mine] = np.maximum(found[mine], _back(shared, after[mine], constraint.window))
    return found


def _back(before: Ints, after: Ints, window: int) -> Ints:
    """For each position in `after`, the window-th last in `before`; -1 if there are not so many."""
    if not before.size:
        return np.full(after.size, -1, dtype=np.int64)
    rank = np.searchsorted(before, after) - window
    return np.where(rank >= 0, before[np.maximum(rank, 0)], -1)


def _rule_name(constraint: TimingConstraint) -> str:
    """The constraint in JEDEC names: tRCDRD, or tCWL + tBL + tWR, and its window if it has one."""
    name = re.sub(r"\bn(?=[A-Z])", "t", constraint.latency)
    if name == constraint.latency:
        name = constraint.source
    return f"{name}, {constraint.window} commands back" if constraint.window > 1 else name


# ---- bank states ------------------------------------------------------------------------


def _check_states(report: _Report, view: _View, device: Device) -> None:
    """Commands find their banks as they need them: closed, or open at their row."""
    commands = device.standard.commands
    changes = view.positions(_commands(device.standard, lambda c: c.effect is not Effect.NONE))
    opens = _commands(device.standard, lambda c: c.effect is Effect.OPEN)[view.command[changes]]
    states = _states(view.sets[view.where[changes]], np.where(opens, view.row[changes], -1))
    at = view.positions(_commands(device.standard, lambda c: c.needs is not Needs.ANY))
    since = np.searchsorted(changes, at)  # how many changes came before
    must_open = _commands(device.standard, lambda c: c.needs is Needs.OPEN)[view.command[at]]
    needed = np.where(must_open, view.row[at], -1)
    for k in report.first(np.flatnonzero(_unfit(states, view, at, since, needed))):
        banks = np.flatnonzero(view.sets[view.where[at[k]]]).tolist()
        bank = next(b for b in banks if states[since[k], b] != needed[k])
        name = commands[view.command[at[k]]].name
        rule = f"{name} needs bank {bank} {_state(needed[k])}, but it is {_state(states[since[k], bank])}"
        report.add(int(view.rows[at[k]]), rule, _last_change(view, changes[: since[k]], bank))


def _states(banks: Bools, row: Ints) -> Ints:
    """The open row of each bank (-1: closed) after each change of `banks` (changes, banks); row 0: all closed."""
    changed = np.zeros((len(banks) + 1, banks.shape[1]), dtype=np.int64)
    np.multiply(banks, np.arange(1, len(banks) + 1)[:, np.newaxis], out=changed[1:])
    latest: Ints = np.maximum.accumulate(changed, axis=0)
    return np.concatenate([[-1], row])[latest]


def _unfit(states: Ints, view: _View, at: Ints, since: Ints, needed: Ints) -> Bools:
    """Which commands find one of their banks in another state than they need."""
    unfit = np.zeros(at.size, np.bool_)
    for where in np.unique(view.where[at]):
        mine = view.where[at] == where
        own = states[:, view.sets[where]]
        if own.shape[1]:
            lowest, highest = own.min(axis=1)[since[mine]], own.max(axis=1)[since[mine]]
            unfit[mine] = (lowest != needed[mine]) | (highest != needed[mine])
    return unfit


def _last_change(view: _View, changes: Ints, bank: int) -> int:
    """The clock of the last of `changes` that concerns `bank`."""
    mine = changes[view.concerns(changes, bank)]
    return int(view.clk[mine[-1]]) if mine.size else UNKNOWN


def _state(row: int) -> str:
    return "closed" if row < 0 else f"open at row {row}"


def _check_modes(report: _Report, view: _View, device: Device) -> None:
    """Commands find their channel in the mode that they need; it starts in the first one."""
    modes = device.standard.modes
    switched = _commands(device.standard, lambda c: c.name == device.standard.roles.switch_mode)[view.command]
    mode = (np.cumsum(switched) - switched) % 2
    for position, name in enumerate(modes):
        fits = _commands(device.standard, lambda c, name=name: c.mode == name)[view.command]  # type: ignore[misc]
        for k in report.first(np.flatnonzero(fits & (mode != position))):
            switches = np.flatnonzero(switched[:k])
            since = int(view.clk[switches[-1]]) if switches.size else UNKNOWN
            rule = f"{report.names[view.command[k]]} needs {name} mode, but it is {modes[1 - position]} mode"
            report.add(int(view.rows[k]), rule, since)


# ---- refresh ------------------------------------------------------------------------------


def _check_refresh(report: _Report, view: _View, device: Device) -> None:
    """Each refresh issues when due, in turn, before anything else but what closes rows."""
    roles = device.standard.roles
    wanted = roles.refresh(device.refresh)
    others = {*roles.refreshes} - {wanted}
    misfits = view.positions(_commands(device.standard, lambda c: c.name in others))
    report.add_all(view.rows[misfits], f"not with refresh mode {device.refresh}")
    if wanted is None:
        return
    refreshes = view.positions(_commands(device.standard, lambda c: c.name == wanted))
    groups = 1 + np.arange(refreshes.size + 1) // device.together  # each is due with the last one of its group
    due = device.refresh_interval * device.together * groups
    turns = _turns(view, device.standard.index(wanted))
    _check_overdue(report, view, wanted, turns, refreshes, due)
    _check_punctual(report, view, device, refreshes, due[:-1], len(turns))
    for k in report.first(np.flatnonzero(view.where[refreshes] != turns[np.arange(refreshes.size) % len(turns)])):
        bank = int(np.flatnonzero(view.sets[turns[k % len(turns)]])[0])
        report.add(int(view.rows[refreshes[k]]), f"refresh {k + 1} is bank {bank}'s turn")


def _turns(view: _View, refresh: int) -> Ints:
    """The rows of `sets` that a refresh addresses, in turn: by their lowest banks, the sets of pins alternating."""
    pins, seen = view.device.nodes[view.device.standard.pins], dict.fromkeys(view.table[refresh].tolist())
    of_pins = [pins[int(np.argmax(view.sets[where]))] for where in seen]
    order = [(of_pins[:k].count(own), own) for k, own in enumerate(of_pins)]
    return np.array([where for _, where in sorted(zip(order, seen, strict=True))], np.int64)


def _check_overdue(report: _Report, view: _View, wanted: str, turns: Ints, refreshes: Ints, due: Ints) -> None:
    """From the clock at which a refresh is due, its banks take only commands that close until it has issued.

    Commands that address no bank wait as well.
    """
    held = view.positions(_commands(view.device.standard, lambda c: not _only_closes(c) and c.name != wanted))
    number = np.searchsorted(refreshes, held)
    meets: Bools = np.any(view.sets[:, np.newaxis] & view.sets[turns], axis=2)
    meets |= ~view.sets.any(axis=1, keepdims=True)
    waits = meets[view.where[held], number % len(turns)]
    held, number = held[waits], number[waits]
    next_due = due[number]
    for k in report.first(np.flatnonzero(view.clk[held] >= next_due)):
        report.add(int(view.rows[held[k]]), f"{wanted} was due at clock {next_due[k]} and goes first")


def _only_closes(command: Command) -> bool:
    """Whether a command does nothing but close banks: a write that closes them does more."""
    return command.effect is Effect.CLOSE and command.needs is Needs.ANY


def _check_punctual(report: _Report, view: _View, device: Device, refreshes: Ints, due: Ints, turns: int) -> None:
    """A refresh issues no earlier than due, and later only as long as the table may hold it back.

    The longest wait: a row opened just before closes, then the refresh follows; each
    waits for the table's longest latency at most, and once more for what other banks do
    while those of the refresh wait.
    """
    clk = view.clk[refreshes]
    longest = max((device.latency(c) for c in device.standard.constraints), default=0)
    previous = np.concatenate([[0], clk[:-1]])
    waits = 2 if turns == 1 else 4
    latest = np.maximum(due, previous) + waits * max(longest, 0)
    for k in report.first(np.flatnonzero(clk < due)):
        report.add(int(view.rows[refreshes[k]]), f"refresh {k + 1} is due at clock {due[k]}, not before")
    for k in report.first(np.flatnonzero(clk > latest)):
        report.add(int(view.rows[refreshes[k]]), f"refresh {k + 1}, due at clock {due[k]}, comes too late")
