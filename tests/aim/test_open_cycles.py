"""Clocks with a bank open: the same on every engine, and as the commands say."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.aim.isa import AimInstruction, parse
from pimsim.devices.aim.replay import replay
from tests.aim.devices import correct_device, programs, reference_device
from tests.examples import examples

CHANNELS = ((0,), (0, 1, 31), tuple(range(32)))
ONE = "0x80000000"


@settings(max_examples=examples(40), deadline=None)
@given(programs(st.sampled_from(CHANNELS)))
def test_all_engines_count_the_same(program: list[AimInstruction]) -> None:
    for device in (reference_device(), correct_device()):
        found = {replay(program, device, engine=engine).open_cycles for engine in ("fast", "stepped", "twin")}
        assert len(found) == 1


def test_a_row_that_stays_open_counts_to_the_end() -> None:
    """Clocks count from 1: the first command issues in it, and the host sees the end in the last."""
    device = reference_device()
    done = replay(parse(f"AiM MAC_ABK 1 {ONE} 0\nAiM EOC\n", device), device)
    assert done.open_cycles == done.cycles


def test_a_bank_that_is_closed_counts_from_its_activation_to_its_precharge() -> None:
    device = reference_device()
    open_row, other = (f"AiM RD_SBK 0 {ONE} 0 {row}\n" for row in (0, 1))
    done = replay(parse(f"{open_row}{other}AiM EOC\n", device), device)
    closed = device.cycles["nRC"] - device.cycles["nRAS"]  # the row closes and opens as soon as it may
    assert done.open_cycles == done.cycles - closed


@pytest.mark.parametrize("text", ["AiM EOC\n", f"AiM WR_GB 4 0 {ONE}\nAiM EOC\n"])
def test_a_program_that_opens_nothing_has_none(text: str) -> None:
    device = reference_device()
    assert replay(parse(text, device), device).open_cycles == 0
