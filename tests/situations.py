"""For every row of a timing table: a situation in which that row, and no other, is what waits.

A `Situation` names a constraint, one command that it counts from, one that it holds
back, and their banks.  `stretched` gives a device in which every timing is 1 clock
but those that the constraint's latency grows with, and `enact` issues commands until
only the held-back one is left.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

import pytest

from pimsim.devices.aim import table as aim
from pimsim.devices.gddr6 import table as gddr6
from pimsim.devices.hbm2_pim import table as hbm2_pim
from pimsim.devices.hbm3 import table as hbm3
from pimsim.devices.lpddr5x import table as lpddr5x
from pimsim.devices.lpddr5x_pim import table as lpddr5x_pim
from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram.gaps import scope_banks
from pimsim.dram.spec import Command, Effect, Needs, Standard, TimingConstraint
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import CLOSED, NONE, Channel, ProtocolError
from pimsim.dram.twin.controller import Issued
from tests.levels import DDR5
from tests.strategies import cycles_of, device_of

STANDARDS = (
    STANDARD,
    gddr6.STANDARD,
    aim.STANDARD,
    aim.REFERENCE,
    lpddr5x.STANDARD,
    lpddr5x_pim.STANDARD,
    hbm3.STANDARD,
    hbm2_pim.STANDARD,
    DDR5,
)

LONG = 40
SETTLED = 1000  # clocks after which nothing earlier binds
ROW = 3


@dataclass(frozen=True)
class Situation:
    """`following` in `bank` waits for `preceding` in bank 0 (banks only where a command has one)."""

    constraint: TimingConstraint
    preceding: str
    following: str
    bank: int
    standard: Standard = STANDARD

    def __str__(self) -> str:
        where = next(scope for scope, bank in scoped_banks(self.standard).items() if bank == self.bank)
        return f"{self.standard.name}-{self.constraint.latency}-{self.preceding}-{self.following}-{where}".replace(
            " ", ""
        )


def situations(shared: bool = True, standard: Standard = STANDARD) -> list[Situation]:
    """Every way in which each constraint binds; with shared=False, every near miss: a level too far."""
    found = []
    for constraint in standard.constraints:
        for preceding in constraint.preceding:
            for following in constraint.following:
                for bank in scoped_banks(standard).values():
                    situation = Situation(constraint, preceding, following, bank, standard)
                    if _binds(situation) == shared and _possible(situation):
                        found.append(situation)
    return found


def scoped_banks(standard: Standard) -> dict[str, int]:
    """The held-back command's bank in each scope; the other's is 0."""
    return scope_banks(replace(device_of(cycles_of(1)), standard=standard))


def _binds(situation: Situation) -> bool:
    """Whether the two commands share a node of the constraint's level."""
    first, then = _banks(situation)
    node = replace(device_of({}), standard=situation.standard).nodes[situation.constraint.level]
    return situation.constraint.level == "channel" or bool({node[b] for b in first} & {node[b] for b in then})


def _banks(situation: Situation) -> tuple[set[int], set[int]]:
    """The banks that the two commands address."""
    device, command = replace(device_of({}), standard=situation.standard), situation.standard.command
    return (
        set(device.banks_of(command(situation.preceding), 0)),
        set(device.banks_of(command(situation.following), situation.bank)),
    )


def _possible(situation: Situation) -> bool:
    """Whether the situation is one of its own: the bank says something, and nothing need come in between on a bus."""
    first, then = map(situation.standard.command, (situation.preceding, situation.following))
    banks = _banks(situation)
    between = first.effect is Effect.OPEN and then.needs is Needs.CLOSED and bool(banks[0] & banks[1])
    alone = is_bus(situation) and not holds_all(situation)
    return (situation.bank == 0 or (first.has_bank and then.has_bank)) and not (alone and between)


def stretched(situation: Situation) -> Device:
    """A device in which the situation's constraint asks for many clocks and all others for few."""
    if is_bus(situation):
        return _nothing_but_the_bus(situation)
    device = replace(device_of(cycles_of(1)), standard=situation.standard)
    short = device.latency(situation.constraint)
    for name in device.cycles:
        longer = replace(device, cycles={**device.cycles, name: LONG})
        if longer.latency(situation.constraint) > short:
            device, short = longer, longer.latency(situation.constraint)
    return _relaxed(device, situation)


def _relaxed(device: Device, situation: Situation) -> Device:
    """The device with what else holds back the situation's two commands as short as it can be."""

    def others(tried: Device) -> int:
        rows = (
            c
            for c in tried.standard.constraints
            if c != situation.constraint and situation.preceding in c.preceding and situation.following in c.following
        )
        return max((tried.latency(c) for c in rows), default=0)

    wanted = device.latency(situation.constraint)
    for name in device.cycles:
        longer = replace(device, cycles={**device.cycles, name: LONG})
        if others(device) >= wanted == longer.latency(situation.constraint) and others(longer) < others(device):
            device = longer
    return device


def is_bus(situation: Situation) -> bool:
    """Whether a constraint is that of a command bus: so many clocks, whatever the device."""
    return situation.constraint.latency.isdigit()


def holds_all(situation: Situation) -> bool:
    """Whether a constraint is the command bus: any command waits for any other."""
    return len(situation.constraint.preceding) == len(situation.standard.commands)


def _nothing_but_the_bus(situation: Situation) -> Device:
    """A device in which a command bus alone keeps the situation's two commands apart."""
    pair = (situation.preceding, situation.following)
    others = [
        c
        for c in situation.standard.constraints
        if c != situation.constraint and pair[0] in c.preceding and pair[1] in c.following
    ]
    late_writes = {"nCWL": 50, "nCWLGB": 50, "nCWLREG": 50}
    no_recovery = {"nWR": -1}  # lpddr5x: WR to PRE has a clock more
    for bias in ({}, {"nCL": 50}, late_writes, late_writes | {"nCL": -1}, no_recovery):  # gddr6: RD to WR is nCL + 1
        device = replace(device_of(cycles_of(0) | bias), standard=situation.standard)
        if all(device.latency(constraint) <= 0 for constraint in others):
            return device
    raise AssertionError(f"something always keeps {pair} apart")


def enact(device: Device, situation: Situation) -> tuple[Channel, list[Issued], int]:
    """Issue everything up to the held-back command: the channel, what was issued, the clock that counts."""
    stage = _Stage(device)
    first, then = device.standard.command(situation.preceding), device.standard.command(situation.following)
    if then.needs is Needs.OPEN:
        stage.open_banks(set(device.banks_of(then, situation.bank)) - stage.closed_for(first))
    if first.name == situation.standard.roles.switch_mode:
        stage.prepare(then, situation.bank)
        stage.leave_mode(then.mode)
    elif not first.mode:
        stage.enter_mode(then.mode)
    stage.prepare(first, 0)
    if first.effect is Effect.CLOSE:
        stage.open_banks(set(device.banks_of(first, 0)))
        if not first.mode:  # a bank may be opened in the other one
            stage.enter_mode(then.mode)
    window = window_banks(device, situation.constraint)
    if first.needs is Needs.OPEN:
        stage.open_banks({b for bank in window for b in device.banks_of(first, bank)})
    stage.clk += SETTLED
    counts_from = stage.issue(first, 0)
    for bank in window[1:]:
        stage.issue(first, bank)
    stage.prepare(then, situation.bank)
    if holds_all(situation):
        counts_from = stage.clk
    return stage.channel, stage.issued, counts_from


def window_banks(device: Device, constraint: TimingConstraint) -> list[int]:
    """Banks of as many commands as a row counts back, in one node, each another one while there are any."""
    node = device.nodes[constraint.level]
    banks = [bank for bank in range(device.banks) if node[bank] == node[0]]
    return [banks[k % len(banks)] for k in range(constraint.window)]


def address(command: Command, bank: int) -> tuple[int, int, int]:
    """Bank, row and column of a command, where it has them."""
    has_row = command.needs is Needs.OPEN or command.effect is Effect.OPEN
    return (
        bank if command.has_bank else NONE,
        ROW if has_row else NONE,
        0 if command.shows_column else NONE,
    )


class _Stage:
    """A channel and what was issued on it, each command as early as it may."""

    def __init__(self, device: Device) -> None:
        self.channel = Channel(device)
        self.standard = device.standard
        self.issued: list[Issued] = []
        self.clk = 0

    def enter_mode(self, mode: str) -> None:
        if mode not in ("", self.channel.mode):
            self.issue(self.standard.command(self.standard.roles.switch_mode or ""), NONE)

    def leave_mode(self, mode: str) -> None:
        if mode == self.channel.mode and mode:
            self.issue(self.standard.command(self.standard.roles.switch_mode or ""), NONE)

    def issue(self, command: Command, bank: int) -> int:
        self.enter_mode(command.mode)
        bank, row, column = address(command, bank)
        clk = max(self.clk, self.channel.earliest(command.name, bank))
        self.channel.issue(command.name, clk, bank, row, column)
        self.issued.append(Issued(clk, command.name, bank, row, column))
        self.clk = clk
        return clk

    def closed_for(self, command: Command) -> set[int]:
        return set(self.channel.device.banks_of(command, 0)) if command.needs is Needs.CLOSED else set()

    def open_banks(self, banks: set[int]) -> None:
        for bank in sorted(banks):
            if self.channel.open_rows[bank] == CLOSED:
                self.issue(self.standard.command("ACT"), bank)

    def prepare(self, command: Command, bank: int) -> None:
        """Open or close the banks that `command` addresses, as it needs them."""
        banks = set(self.channel.device.banks_of(command, address(command, bank)[0]))
        if command.needs is Needs.OPEN:
            self.open_banks(banks)
        elif command.needs is Needs.CLOSED:
            for b in sorted(banks):
                if self.channel.open_rows[b] != CLOSED:
                    self.issue(self.standard.command("PRE"), b)
        self.enter_mode(command.mode)


def check_gate(situation: Situation) -> None:
    """The command is refused a clock before its constraint is met, and issues on the clock."""
    device = stretched(situation)
    channel, _, counts_from = enact(device, situation)
    ready = counts_from + device.latency(situation.constraint)
    target = address(situation.standard.command(situation.following), situation.bank)
    assert channel.earliest(situation.following, target[0]) == ready
    with pytest.raises(ProtocolError, match=re.escape(f"{situation.constraint.latency} (")):
        channel.issue(situation.following, ready - 1, *target)
    channel.issue(situation.following, ready, *target)
