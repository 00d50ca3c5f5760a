"""Each row of every standard's table holds back what it says, for as long as it says, and nothing else.

The situations come from the table itself: a new row is tested without a new test.
"""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram.spec import Scope, Standard
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import ProtocolError
from pimsim.dram.twin.controller import Issued
from tests.logs import run_twin
from tests.situations import STANDARDS, Situation, address, enact, situations, stretched
from tests.strategies import devices, workloads

ALL = [situation for standard in STANDARDS for situation in situations(standard=standard)]
NEAR_MISSES = [situation for standard in STANDARDS for situation in situations(shared=False, standard=standard)]


@pytest.mark.parametrize("situation", ALL, ids=str)
def test_command_waits_until_the_clock_that_the_constraint_names(situation: Situation) -> None:
    device = stretched(situation)
    channel, _, counts_from = enact(device, situation)
    ready = counts_from + device.latency(situation.constraint)
    target = address(situation.standard.command(situation.following), situation.bank)
    assert channel.earliest(situation.following, target[0]) == ready
    with pytest.raises(ProtocolError, match=re.escape(f"{situation.constraint.latency} (")):
        channel.issue(situation.following, ready - 1, *target)
    channel.issue(situation.following, ready, *target)


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
    device = data.draw(devices())
    controller = run_twin(device, data.draw(workloads(device)))
    for command in STANDARD.commands:
        bank = data.draw(st.integers(0, device.banks - 1)) if command.scope is Scope.BANK else -1
        expected = earliest_by_definition(device, controller.commands, command.name, bank)
        assert controller.channel.earliest(command.name, bank) == expected, command.name


def earliest_by_definition(device: Device, history: list[Issued], name: str, bank: int) -> int:
    """TimingConstraint's docstring, word for word, over all commands so far."""
    ready = [0]
    for constraint in device.standard.constraints:
        if name not in constraint.following or device.latency(constraint) <= 0:
            continue
        before = [
            issued.clk
            for issued in history
            if issued.command in constraint.preceding and share(device, constraint.level, issued, name, bank)
        ]
        if len(before) >= constraint.window:
            ready.append(sorted(before)[-constraint.window] + device.latency(constraint))
    return max(ready)


def share(device: Device, level: str, issued: Issued, name: str, bank: int) -> bool:
    """Whether two commands share a channel, bank group or bank."""
    scopes = {device.standard.command(issued.command).scope, device.standard.command(name).scope}
    if level == "channel":
        return True
    if Scope.CHANNEL in scopes:
        return False
    if Scope.ALL_BANKS in scopes:
        return True
    size = 1 if level == "bank" else device.banks_per_group
    return issued.bank // size == bank // size
