"""Writes with a mask: every distance by hand, each row blocked a clock early and ready on its clock, what is the same.

A mask takes the command bus 2 clocks here, behind the command's own: as many as no other timing has.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from pimsim.devices.aim import HARDWARE as AIM
from pimsim.devices.pim_gpt import HARDWARE as PIM_GPT
from pimsim.dram.gaps import bank_of, force, gaps, scopes
from pimsim.dram.masks import mask_cycles
from pimsim.dram.spec import Standard
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel, ProtocolError
from tests.aim.devices import correct_device
from tests.aim.test_tables import CORRECTION_ROWS, ROWS
from tests.device_timings.test_gddr6_pim_gaps import CLOCKS, SCOPES, expected
from tests.device_timings.test_gddr6_pim_timings import CYCLES
from tests.situations import Situation, address, check_gate, enact, situations, stretched
from tests.strategies import cycles_of, device_of

HELD = 1 + 2  # clocks of the command bus
TABLES = {"gddr6-pim": PIM_GPT.masked_table, "aim": AIM.masked_table}


def masked_device(cycles: dict[str, int], **shape: int) -> Device:
    return replace(device_of({**cycles, "nWMASK": HELD - 1}, **shape), standard=PIM_GPT.masked_table)


def stands_for(pair: str) -> str:
    """The pair with a write in the place of each write with a mask."""
    return pair.replace("WDM", "WR")


# ---- every distance, by hand --------------------------------------------------------------------


@pytest.mark.parametrize("scope", SCOPES)
def test_a_masked_write_keeps_the_distances_of_a_write_and_the_bus_for_its_mask(scope: str) -> None:
    by_hand, found = expected(scope), gaps(masked_device(CLOCKS))
    names = [command.name for command in PIM_GPT.masked_table.commands]
    assert set(names) - {command.name for command in PIM_GPT.table.commands} == {"WDM"}
    for first, second in product(names, names):
        pair = f"{first}->{second}"
        clocks = max(by_hand.get(stands_for(pair), 1), HELD if first == "WDM" else 1)
        assert found[f"{pair} {scope}"] == clocks, pair


def test_columns_of_a_bank_group_follow_at_tCCDL_where_pins_and_mask_are_faster() -> None:
    found = gaps(replace(masked_device({**CYCLES, "nCCDS": 1, "nBL": 1, "nCCDL": 7})))
    for pair in ("WR->WDM", "WDM->WR", "WDM->WDM"):
        assert [found[f"{pair} {scope}"] for scope in SCOPES] == [7, 7, HELD if pair.startswith("WDM") else 1]


def test_masked_writes_follow_at_tCCDS_or_their_bursts_where_those_are_longer_than_the_mask() -> None:
    for changes in ({"nCCDS": 6, "nCCDL": 6}, {"nBL": 6}):
        assert gaps(masked_device({**CYCLES, **changes}))["WDM->WDM other_bank_group"] == 6


def test_masked_writes_that_reach_the_pins_late_hold_results_back() -> None:
    found = gaps(masked_device({**CYCLES, "nCWL": 30, "nBL": 5}))
    assert found["WDM->RDMAC same_bank"] == 30 + 5 + 1 - 17


def test_the_rows_of_gddr6_aim_have_their_clocks() -> None:
    """Those of `tests.aim.test_tables`, by hand, and the bus for each of two writes with a mask."""
    device = replace(correct_device(nWMASK=HELD - 1), standard=AIM.masked_table)
    found = [(row.level, device.latency(row)) for row in device.standard.constraints]
    assert found == [(level, clocks) for level, *_, clocks in ROWS + CORRECTION_ROWS] + [("channel", HELD)] * 2


# ---- each gate ----------------------------------------------------------------------------------


def masked(standard: Standard, shared: bool = True) -> list[Situation]:
    """All of a table that have a write with a mask, but for those of the command bus."""
    names = {command.name for command in standard.commands if command.logged}
    found = [x for x in situations(shared, standard) if names & {x.preceding, x.following}]
    return [x for x in found if x.constraint.latency not in ("1", "1 + nWMASK")]


@pytest.mark.parametrize("situation", [x for table in TABLES.values() for x in masked(table)], ids=str)
def test_a_row_blocks_a_clock_early_and_not_on_its_clock(situation: Situation) -> None:
    check_gate(situation)


@pytest.mark.parametrize("situation", [x for table in TABLES.values() for x in masked(table, False)], ids=str)
def test_a_row_does_not_reach_beyond_its_level(situation: Situation) -> None:
    device = stretched(situation)
    channel, _, counts_from = enact(device, situation)
    bank = address(situation.standard.command(situation.following), situation.bank)[0]
    assert channel.earliest(situation.following, bank) < counts_from + device.latency(situation.constraint)


@pytest.mark.parametrize(
    ("standard", "first"), [(table, c.name) for table in TABLES.values() for c in table.commands if c.logged]
)
def test_the_bus_is_held_from_every_command_for_the_mask_and_no_longer(standard: Standard, first: str) -> None:
    device = replace(device_of({**cycles_of(0), "nWMASK": 39}), standard=standard)
    for second in standard.commands:
        for early, allowed in ((1, False), (0, True)):
            channel = Channel(device)
            force(channel, standard.command(first), 1000, 0)
            bank = bank_of(second, 4)
            assert channel.earliest(second.name, bank) == 1040, second.name
            if allowed:
                force(channel, second, 1040 - early, bank)
                continue
            with pytest.raises(ProtocolError, match=r"1 \+ nWMASK \(JESD250: WDM .* allows clock 1040"):
                force(channel, second, 1040 - early, bank)


def test_the_bus_is_free_a_clock_after_other_commands() -> None:
    channel = Channel(masked_device(CYCLES))
    channel.issue("ACT", 0, 0, row=5)
    channel.issue("WDM", 100, 0, row=5, column=0)
    for name in ("ACT", "PRE", "REFPB"):
        assert channel.earliest(name, 4) == 100 + HELD
    assert channel.earliest("REFAB") == 100 + HELD
    with pytest.raises(ProtocolError, match=rf"1 \+ nWMASK .* allows clock {100 + HELD}"):
        channel.issue("ACT", 99 + HELD, 4, row=5)
    channel.issue("ACT", 100 + HELD, 4, row=5)
    assert channel.earliest("PRE", 8) == 101 + HELD


@pytest.mark.parametrize(("elements", "clocks"), [(1, 1), (16, 1), (17, 2), (32, 2), (48, 3)])
def test_a_mask_has_a_bit_for_each_element_16_in_a_clock(elements: int, clocks: int) -> None:
    assert mask_cycles(elements) == {"nWMASK": clocks}


# ---- what is the same ---------------------------------------------------------------------------


@pytest.mark.parametrize(("hardware", "writes"), [(PIM_GPT, {"WDM": "WR"}), (AIM, {"WDM": "WR", "WDMA16": "WRA16"})])
def test_a_masked_write_is_a_write_in_all_but_its_name(hardware: type, writes: dict[str, str]) -> None:
    plain, table = hardware.table, hardware.masked_table
    assert {command.name: command.logged for command in table.commands if command.logged} == writes
    assert table.commands[: len(plain.commands)] == plain.commands and table.log_names == tuple(
        command.name for command in plain.commands
    )
    for name, write in writes.items():
        assert replace(table.command(name), name=write, logged="") == plain.command(write)
        assert table.log_names[table.log_numbers[table.index(name)]] == write
        assert (table.masked(write), plain.masked(write)) == (name, write)
    causes = {(a, b): cause for a, b, cause in reversed(table.causes)}
    assert {pair: cause for pair, cause in causes.items() if not set(pair) & set(writes)} == {
        (a, b): cause for a, b, cause in plain.causes
    }
    assert scopes(table) == scopes(plain) and table.roles == plain.roles and table.modes == plain.modes
