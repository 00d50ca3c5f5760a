"""Each row of every standard's table holds back what it says, for as long as it says, and nothing else.

The situations come from the table itself: a new row is tested without a new test.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.dram.spec import Scope, Standard
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Issued
from tests.levels import levelled_devices
from tests.logs import run_twin
from tests.situations import STANDARDS, Situation, address, check_gate, enact, situations, stretched
from tests.strategies import devices, workloads

ALL = [situation for standard in STANDARDS for situation in situations(standard=standard)]
NEAR_MISSES = [situation for standard in STANDARDS for situation in situations(shared=False, standard=standard)]


@pytest.mark.parametrize("situation", ALL, ids=str)
def test_command_waits_until_the_clock_that_the_constraint_names(situation: Situation) -> None:
    check_gate(situation)


@pytest.mark.parametrize("situation", NEAR_MISSES, ids=str)
def test_constraint_does_not_reach_beyond_its_level(situation: Situation) -> None:
    device = stretched(situation)
    channel, _, counts_from = enact(device, situation)
    bank = address(situation.standard.command(situation.following), situation.bank)[0]
    ready = channel.earliest(situation.following, bank)
    assert ready < counts_from + device.latency(situation.constraint)


@pytest.mark.parametrize("standard", STANDARDS, ids=lambda standard: standard.name)
def test_every_constraint_has_a_situation(standard: Standard) -> None:
    assert {situation.constraint for situation in situations(standard=standard)} == set(standard.constraints)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_earliest_is_what_the_table_says_of_the_whole_history(data: st.DataObject) -> None:
    device = data.draw(devices() | levelled_devices())
    controller = run_twin(device, data.draw(workloads(device)))
    for command in device.standard.commands:
        bank = data.draw(st.integers(0, device.banks - 1)) if command.has_bank else -1
        expected = earliest_by_definition(device, controller.commands, command.name, bank)
        assert controller.channel.earliest(command.name, bank) == expected, command.name


def earliest_by_definition(device: Device, history: list[Issued], name: str, bank: int) -> int:
    """TimingConstraint's docstring, word for word, over all commands so far."""
    ready = [0]
    for constraint in device.standard.constraints:
        if name not in constraint.following or device.latency(constraint) <= 0:
            continue
        preceding = [issued for issued in history if issued.command in constraint.preceding]
        for shared in shares(device, constraint.level, name, bank):
            before = [issued.clk for issued in preceding if shared(issued)]
            if len(before) >= constraint.window:
                ready.append(sorted(before)[-constraint.window] + device.latency(constraint))
    return max(ready)


def shares(device: Device, level: str, name: str, bank: int) -> list[Callable[[Issued], bool]]:
    """For each node that a command takes part in, whether another one does; the channel is every command's."""
    if level == "channel":
        return [lambda _: True]
    mine = banks_of(device, name, bank)
    nodes = [{b for b in range(device.banks) if same_node(device, level, b, first)} for first in range(device.banks)]
    return [
        lambda issued, node=node: bool(node & banks_of(device, issued.command, issued.bank))
        for node in map(set, {frozenset(node) for node in nodes})
        if node & mine
    ]


def banks_of(device: Device, name: str, bank: int) -> set[int]:
    """The banks that a command addresses."""
    scope = device.standard.command(name).scope
    if scope in (Scope.CHANNEL, Scope.ALL_BANKS):
        return set(range(device.banks)) if scope == Scope.ALL_BANKS else set()
    return {other for other in range(device.banks) if same_node(device, scope, bank, other)}


def same_node(device: Device, level: str, one: int, other: int) -> bool:
    """Whether two banks are in one node, by the standards' own words."""
    half = device.banks // 2
    numbers: dict[str, Callable[[int], int]] = {
        "bank": lambda bank: bank,
        "bank_group": lambda bank: bank // device.banks_per_group,
        "address": lambda bank: bank % device.banks_per_group,
        "pseudo": lambda bank: bank // half,
        "pair": lambda bank: bank // 2 if device.standard.name == "ddr5" else bank % half,
    }
    return numbers[level](one) == numbers[level](other)
