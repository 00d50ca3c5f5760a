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

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.spec import Command, Effect, Needs, Scope, Standard, TimingConstraint
from pimsim.dram.timing import Device
from pimsim.logs.log import CommandLog
from pimsim.logs.log_csv import HEADER_LINES

Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

EVERY = -1  # in place of a bank or bank group: the command shares all
NEITHER = -2  # it shares none
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
    """The legal commands of one channel, in the order of the log."""

    def __init__(self, log: CommandLog, rows: Ints, device: Device) -> None:
        self.rows = rows
        self.clk = log.clk[rows]
        self.command = log.command[rows]
        self.row = log.row[rows]
        one_bank = _commands(device.standard, lambda c: c.scope is Scope.BANK)[self.command]
        all_banks = _commands(device.standard, lambda c: c.scope is Scope.ALL_BANKS)[self.command]
        self.group = np.where(one_bank, log.bank_group[rows], np.where(all_banks, EVERY, NEITHER))
        self.bank = np.where(self.group >= 0, self.group * device.banks_per_group + log.bank[rows], self.group)

    def at_level(self, level: str) -> Ints:
        """Per command, the number of the node that it shares at a constraint's level."""
        if level == "channel":
            return np.full_like(self.bank, EVERY)
        return {"bank_group": self.group, "bank": self.bank}[level]

    def positions(self, chosen: Bools) -> Ints:
        """Where the commands are that `chosen` (a flag per command of the table) selects."""
        return np.flatnonzero(chosen[self.command])


def _commands(standard: Standard, condition: Callable[[Command], bool]) -> Bools:
    """A flag per command of the table."""
    return np.array([condition(command) for command in standard.commands], dtype=np.bool_)


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
    one_bank = _commands(standard, lambda c: c.scope is Scope.BANK)
    has_row = _commands(standard, lambda c: c.needs is Needs.OPEN or c.effect is Effect.OPEN)
    shown = _commands(standard, lambda c: c.shows_column)
    yield "channel", log.channel, np.ones_like(one_bank), device.channels
    yield "bank_group", log.bank_group, one_bank, device.bank_groups
    yield "bank", log.bank, one_bank, device.banks_per_group
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
    if constraint.window > 1 and constraint.level != "channel":
        raise ValueError(f"a window needs level channel, not {constraint.level!r}")
    before = view.positions(_commands(device.standard, lambda c: c.name in constraint.preceding))
    after = view.positions(_commands(device.standard, lambda c: c.name in constraint.following))
    if not before.size or not after.size:
        return
    node = view.at_level(constraint.level)
    binding = _latest(before, node[before], after, node[after], constraint.window)
    after, binding = after[binding >= 0], binding[binding >= 0]
    distance = view.clk[after] - view.clk[binding]
    for k in report.first(np.flatnonzero(distance < latency)):
        names = [report.names[view.command[position]] for position in (binding[k], after[k])]
        rule = f"{_rule_name(constraint)}: {' -> '.join(names)} needs {latency} clocks, got {distance[k]}"
        report.add(int(view.rows[after[k]]), rule, view.clk[binding[k]])


def _latest(before: Ints, before_node: Ints, after: Ints, after_node: Ints, window: int) -> Ints:
    """For each position in `after`, the window-th last position in `before` that shares its node.

    -1 if there are not so many.  A node of EVERY shares all nodes, NEITHER shares none.
    """
    found = np.full(after.size, -1, dtype=np.int64)
    for node in np.flatnonzero(np.bincount(after_node - NEITHER)) + NEITHER:
        if node == NEITHER:
            continue
        shared = before[(before_node == node) | (before_node == EVERY) | ((node == EVERY) & (before_node != NEITHER))]
        mine = after_node == node
        rank = np.searchsorted(shared, after[mine]) - window
        if shared.size:
            found[mine] = np.where(rank >= 0, shared[np.maximum(rank, 0)], -1)
    return found


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
    states = _states(view.bank[changes], np.where(opens, view.row[changes], -1), device.banks)
    at = view.positions(_commands(device.standard, lambda c: c.needs is not Needs.ANY))
    since = np.searchsorted(changes, at)  # how many changes came before
    must_open = _commands(device.standard, lambda c: c.needs is Needs.OPEN)[view.command[at]]
    needed = np.where(must_open, view.row[at], -1)
    one = view.bank[at] >= 0
    lowest = np.where(one, states[since, view.bank[at]], states.min(axis=1)[since])
    highest = np.where(one, lowest, states.max(axis=1)[since])
    for k in report.first(np.flatnonzero((lowest != needed) | (highest != needed))):
        banks = [int(view.bank[at[k]])] if one[k] else range(device.banks)
        bank = next(b for b in banks if states[since[k], b] != needed[k])
        name = commands[view.command[at[k]]].name
        rule = f"{name} needs bank {bank} {_state(needed[k])}, but it is {_state(states[since[k], bank])}"
        report.add(int(view.rows[at[k]]), rule, _last_change(view, changes[: since[k]], bank))


def _states(bank: Ints, row: Ints, banks: int) -> Ints:
    """The open row of each bank (-1: closed) after each change; row 0 is the start, all closed."""
    changed = np.zeros((bank.size + 1, banks), dtype=np.int64)
    step = np.arange(1, bank.size + 1)
    changed[step[bank == EVERY]] = step[bank == EVERY][:, np.newaxis]
    changed[step[bank >= 0], bank[bank >= 0]] = step[bank >= 0]
    latest: Ints = np.maximum.accumulate(changed, axis=0)
    return np.concatenate([[-1], row])[latest]


def _last_change(view: _View, changes: Ints, bank: int) -> int:
    """The clock of the last of `changes` that concerns `bank`."""
    mine = changes[(view.bank[changes] == bank) | (view.bank[changes] == EVERY)]
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
    wanted = {"all_bank": roles.refresh_all, "per_bank": roles.refresh_bank, "none": None}[device.refresh]
    others = {roles.refresh_all, roles.refresh_bank} - {wanted, None}
    misfits = view.positions(_commands(device.standard, lambda c: c.name in others))
    report.add_all(view.rows[misfits], f"not with refresh mode {device.refresh}")
    if wanted is None:
        return
    refreshes = view.positions(_commands(device.standard, lambda c: c.name == wanted))
    due = device.refresh_interval * np.arange(1, refreshes.size + 2)
    _check_overdue(report, view, device, wanted, refreshes, due)
    _check_punctual(report, view, device, refreshes, due[:-1])
    if device.refresh == "per_bank":
        turn = np.arange(refreshes.size) % device.banks
        for k in report.first(np.flatnonzero(view.bank[refreshes] != turn)):
            report.add(int(view.rows[refreshes[k]]), f"refresh {k + 1} is bank {turn[k]}'s turn")


def _check_overdue(report: _Report, view: _View, device: Device, wanted: str, refreshes: Ints, due: Ints) -> None:
    """From the clock at which a refresh is due, its banks take only commands that close until it has issued."""
    held = view.positions(_commands(device.standard, lambda c: not _only_closes(c) and c.name != wanted))
    number = np.searchsorted(refreshes, held)
    if device.refresh == "per_bank":  # the others go on
        free = (view.bank[held] >= 0) & (view.bank[held] != number % device.banks)
        held, number = held[~free], number[~free]
    next_due = due[number]
    for k in report.first(np.flatnonzero(view.clk[held] >= next_due)):
        report.add(int(view.rows[held[k]]), f"{wanted} was due at clock {next_due[k]} and goes first")


def _only_closes(command: Command) -> bool:
    """Whether a command does nothing but close banks: a write that closes them does more."""
    return command.effect is Effect.CLOSE and command.needs is Needs.ANY


def _check_punctual(report: _Report, view: _View, device: Device, refreshes: Ints, due: Ints) -> None:
    """A refresh issues no earlier than due, and later only as long as the table may hold it back.

    The longest wait: a row opened just before closes, then the refresh follows; each
    waits for the table's longest latency at most, and once more for what other banks do
    while a single bank waits.
    """
    clk = view.clk[refreshes]
    longest = max((device.latency(c) for c in device.standard.constraints), default=0)
    previous = np.concatenate([[0], clk[:-1]])
    waits = 4 if device.refresh == "per_bank" else 2
    latest = np.maximum(due, previous) + waits * max(longest, 0)
    for k in report.first(np.flatnonzero(clk < due)):
        report.add(int(view.rows[refreshes[k]]), f"refresh {k + 1} is due at clock {due[k]}, not before")
    for k in report.first(np.flatnonzero(clk > latest)):
        report.add(int(view.rows[refreshes[k]]), f"refresh {k + 1}, due at clock {due[k]}, comes too late")
