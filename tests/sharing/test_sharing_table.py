"""The tables of several units, several sums and units that two banks share: each distance by hand, each gate."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from pimsim.devices.pim_gpt import HARDWARE
from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram.gaps import gaps
from pimsim.dram.spec import Standard
from pimsim.dram.timing import Device
from tests.device_timings.test_gddr6_pim_gaps import CLOCKS, SCOPES, expected
from tests.device_timings.test_gddr6_pim_timings import CYCLES
from tests.sharing.programs import config_of, device_of_config
from tests.situations import Situation, check_gate, situations
from tests.strategies import device_of


def table_with(turns: int, units: int, sums: int) -> Standard:
    return HARDWARE.table_for(units=(turns, units, sums, 1))


SEVERAL, TURNS = table_with(1, 2, 4), table_with(2, 1, 1)
TWINS = {"WRGBN": "WRGB", "MACABN": "MACAB"}


def device(standard: Standard, cycles: dict[str, int] = CYCLES) -> Device:
    return replace(device_of(cycles), standard=standard)


# ---- several units, several sums ------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_a_further_input_and_several_units_keep_the_distances_of_one(scope: str) -> None:
    by_hand, found = expected(scope), gaps(device(SEVERAL, CLOCKS))
    names = [command.name for command in SEVERAL.commands]
    assert set(names) - {command.name for command in STANDARD.commands} == set(TWINS)
    for first, second in product(names, names):
        pair = f"{TWINS.get(first, first)}->{TWINS.get(second, second)}"
        assert found[f"{first}->{second} {scope}"] == by_hand.get(pair, 1), (first, second)


def test_a_further_input_that_reaches_the_pins_late_holds_back_what_comes_from_there() -> None:
    """Its burst ends at 35, and a read's begins 17 after it was asked for, with a clock of gap."""
    found = gaps(device(SEVERAL, {**CYCLES, "nCWL": 30, "nBL": 5}))
    for first, second in product(("WRGB", "WRGBN"), ("RDMAC", "RD")):
        assert found[f"{first}->{second} same_bank"] == 30 + 5 + 1 - 17


def test_a_column_of_the_buffer_is_multiplied_before_another_input_takes_its_place() -> None:
    found = gaps(device(SEVERAL, {**CYCLES, "nMAC": 40}))
    for first, second in product(("MACAB", "MACABN"), ("WRGB", "WRGBN")):
        assert found[f"{first}->{second} same_bank"] == 40 - 9


def test_one_unit_a_bank_with_one_accumulator_has_the_device_s_own_table() -> None:
    assert table_with(1, 1, 1) is STANDARD
    assert device_of_config(config_of()).standard is STANDARD


def test_a_table_is_the_same_for_the_same_units_with_masks_and_without() -> None:
    """Runs on the same table are the same (`sim.inputs`)."""
    for mask in ("none", "standard"):
        one, other = (
            device_of_config(config_of(pim__units_per_bank=2, dram__write_mask=mask, pim__clock_GHz=clock)).standard
            for clock in (1, 0.5)
        )
        assert one is other and len(one.commands) == len(STANDARD.commands) + 2 + (mask == "standard")


def test_several_units_pay_for_each_and_read_a_column_once() -> None:
    for units in (2, 3, 16):
        energy = dict(table_with(1, units, units).command("MACABN").energy or ())
        assert energy == {"mac_read": "1", "mac_units": str(units)}
    assert dict(SEVERAL.command("MACAB").energy or ()) == {"mac_read": "1", "mac_units": "1"}


# ---- a unit for two banks ---------------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("turn", [3, 5])
def test_what_follows_a_column_waits_for_the_later_bank_s(scope: str, turn: int) -> None:
    """Half of nMAC later: nRTP before its row closes, nCCDL before the bank group's column path is free."""
    cycles = {**CYCLES, "nMAC": 2 * turn}
    plain, found = gaps(device(STANDARD, cycles)), gaps(device(TURNS, cycles))
    changed = {key: clocks for key, clocks in found.items() if clocks != plain[key]}
    by_hand = {
        f"MACAB->PRE {scope}": cycles["nRTP"] + turn,
        f"MACAB->PREAB {scope}": cycles["nRTP"] + turn,
        f"MACAB->RD {scope}": cycles["nCCDL"] + turn,
        f"MACAB->WR {scope}": cycles["nCCDL"] + turn,
    }
    assert {key: clocks for key, clocks in changed.items() if key.endswith(scope)} == by_hand


@pytest.mark.parametrize(("lanes", "clock", "mac", "drain"), [(16, 1, 2, 7), (8, 1, 4, 8), (16, 0.5, 4, 14)])
def test_two_turns_take_twice_a_turn_and_the_sum_of_the_later_one_comes_a_turn_later(
    lanes: int, clock: float, mac: int, drain: int
) -> None:
    """A turn is a column's beats: 1, 2 (8 lanes), or one of 2 clocks; the pipeline 2 + log2(lanes) MAC clocks."""
    cycles = device_of_config(config_of(pim__lanes=lanes, pim__clock_GHz=clock, pim__units_per_bank=0.5)).cycles
    assert (cycles["nMAC"], cycles["nDRAIN"]) == (mac, drain)


# ---- each gate ----------------------------------------------------------------------------------------


def new(standard: Standard) -> list[Situation]:
    """All of a table that the plain one does not have."""
    known = {row.latency for row in STANDARD.constraints}
    return [
        x
        for x in situations(True, standard)
        if x.constraint.latency != "1"
        and ({x.preceding, x.following} & set(TWINS) or x.constraint.latency not in known)
    ]


@pytest.mark.parametrize("situation", [x for table in (SEVERAL, TURNS) for x in new(table)], ids=str)
def test_a_row_blocks_a_clock_early_and_not_on_its_clock(situation: Situation) -> None:
    check_gate(situation)
