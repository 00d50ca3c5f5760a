"""Every distance of HBM2-PIM, pair by pair, with clocks written out by hand; each timing differs from the others."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest

from pimsim.devices.hbm2_pim import table as hbm2_pim
from pimsim.dram.gaps import gaps, scopes
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel
from tests.strategies import device_of

CLOCKS = {
    "nBL": 2, "nCCDS": 3, "nCCDL": 5, "nRCDRD": 17, "nRCDWR": 15, "nRP": 18, "nRAS": 41, "nRC": 60, "nRRDS": 6,
    "nRRDL": 8, "nFAW": 36, "nRTP": 9, "nWR": 20, "nWTRS": 10, "nWTRL": 12, "nCL": 16, "nCWL": 4, "nRFC": 312,
    "nMODCH": 58, "nMAC": 7, "nDRAIN": 21, "nREFI": 4677,
}  # fmt: skip
ROWS = ("ACT", "ACTAB", "PRE", "PREAB", "TMOD", "REFAB")
COLUMNS = ("RD", "WR", "MACEVEN", "MACODD", "WREVEN", "WRODD", "WRGRF", "RDGRF")
ALL = (*ROWS, *COLUMNS)

# A clock of the bus that the two share, or none; an activation takes the row bus for two.
BUSES = {f"{first}->{second}": 1 for bus in (ROWS, COLUMNS) for first in bus for second in bus}
BUSES |= {f"{first}->{second}": 0 for one, two in ((ROWS, COLUMNS), (COLUMNS, ROWS)) for first in one for second in two}
BUSES |= {f"{first}->{second}": 2 for first in ("ACT", "ACTAB") for second in ROWS}


def after(firsts: str, seconds: str, clocks: int) -> dict[str, int]:
    """A distance of each pair."""
    return {f"{first}->{second}": clocks for first in firsts.split() for second in seconds.split()}


MACS, PUTS, WRITES = "MACEVEN MACODD", "WREVEN WRODD", "WREVEN WRODD WRGRF"
SAME_BANK = (
    BUSES
    | {f"TMOD->{second}": 58 for second in ALL if second != "TMOD"}
    | after("ACT ACTAB", "ACT ACTAB REFAB", 60) | after("ACT ACTAB", "PRE PREAB", 41)
    | after("ACT ACTAB", f"RD {MACS}", 17) | after("ACT ACTAB", f"WR {PUTS}", 15)
    | after("PRE PREAB", "ACT ACTAB REFAB TMOD", 18)
    | after(f"RD {MACS}", "PRE PREAB", 9) | after(f"WR {PUTS}", "PRE PREAB", 4 + 2 + 20)
    | after("RD", f"RD {MACS}", 5) | after("RD", "RDGRF", 3) | after("RDGRF", "RD RDGRF", 3) | after("RDGRF", MACS, 5)
    | after(f"WR {WRITES}", f"WR {WRITES}", 5)
    | after(f"RD RDGRF {MACS}", f"WR {WRITES}", 16 + 2 + 1 - 4)
    | after(f"WR {WRITES}", f"RD RDGRF {MACS}", 4 + 2 + 12)
    | after(MACS, "RD", 5) | after(MACS, MACS, 7) | after(MACS, f"RDGRF {PUTS}", 21)
    | after("REFAB", "ACT ACTAB PRE PREAB REFAB TMOD WRGRF RDGRF", 312)
    | after("RD RDGRF", "REFAB", 16 + 2) | after("WRGRF", "REFAB", 4 + 2)
)  # fmt: skip

# Between commands of single banks: of one group, and of two.
SAME_GROUP = BUSES | after("ACT", "ACT", 8) | after("RD", "RD", 5) | after("WR", "WR", 5)
SAME_GROUP |= after("WR", "RD", 4 + 2 + 12) | after("RD", "WR", 16 + 2 + 1 - 4)
OTHER_GROUP = SAME_GROUP | after("ACT", "ACT", 6) | after("RD", "RD", 3) | after("WR", "WR", 3)
OTHER_GROUP |= after("WR", "RD", 4 + 2 + 10)
NEAR = {"same_bank_group": SAME_GROUP, "other_bank_group": OTHER_GROUP}
SINGLE = ("ACT", "PRE", "RD", "WR")  # commands that address one bank


def device(**changes: int) -> Device:
    return replace(device_of(CLOCKS), standard=hbm2_pim.STANDARD, cycles=CLOCKS | changes)


def expected(scope: str) -> dict[str, int]:
    singles = {f"{first}->{second}" for first in SINGLE for second in SINGLE}
    return {pair: NEAR[scope][pair] if scope in NEAR and pair in singles else n for pair, n in SAME_BANK.items()}


@pytest.mark.parametrize("scope", scopes(hbm2_pim.STANDARD))
def test_every_pair_keeps_its_distance(scope: str) -> None:
    found = {name.removesuffix(f" {scope}"): n for name, n in gaps(device()).items() if name.endswith(f" {scope}")}
    assert found == expected(scope)


def test_four_activations_of_single_banks_in_tFAW_and_any_number_of_all_banks() -> None:
    assert gaps(device())["5th ACT after 1st"] == 36
    channel = Channel(device(nRC=1, nRAS=1, nRP=1))
    for clk, bank in ((100, 0), (106, 4), (112, 8), (118, 12)):
        channel.issue("ACT", clk, bank, row=3)
    assert channel.earliest("ACT", 1) == 136
    assert channel.earliest("ACTAB", -1) == 118 + 8


def test_an_activation_of_all_banks_keeps_tRRD_where_rows_are_short() -> None:
    short = {"nRC": 1, "nRAS": 1, "nRP": 1}
    for pair in ("ACT->ACT", "ACT->ACTAB"):
        assert gaps(device(**short))[f"{pair} same_bank"] == 8
        assert gaps(device(**short, nRRDL=1))[f"{pair} same_bank"] == 6


def test_the_pins_bind_where_bursts_are_long() -> None:
    found = gaps(device(nBL=30))
    reads, writes = ("RD", "RDGRF"), ("WR", "WRGRF", "WREVEN", "WRODD")
    for pair in (*product(reads, reads), *product(writes, writes)):
        assert found[f"{'->'.join(pair)} same_bank"] == 30


def test_the_column_path_is_one_where_reads_are_short() -> None:
    found = gaps(device(nCL=1, nDRAIN=1, nMAC=1))
    for second in ("WR", "WRGRF", "WREVEN", "RDGRF", "RD"):
        assert found[f"MACEVEN->{second} same_bank"] == 5


def test_the_vector_stays_until_it_is_multiplied() -> None:
    assert gaps(device(nMAC=30))["MACEVEN->WRGRF same_bank"] == 30 - 4


def test_the_units_take_a_column_of_every_second_bank() -> None:
    assert device().mac_columns == 8
    assert device().columns_multiplied({"MACEVEN": 3, "MACODD": 2}) == 40


def test_the_column_bus_carries_a_command_a_clock_where_nothing_else_binds() -> None:
    channel = Channel(device(nCCDS=0, nBL=0))
    channel.issue("RDGRF", 100)
    assert channel.earliest("RDGRF", -1) == 101
