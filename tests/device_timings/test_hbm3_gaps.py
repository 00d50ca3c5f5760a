"""Every distance of HBM3, pair by pair, with clocks written out by hand; each timing differs from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.devices.hbm3 import table as hbm3
from pimsim.dram.gaps import gaps, scopes
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel
from tests.strategies import device_of

CLOCKS = {
    "nBL": 2, "nCCDS": 1, "nCCDL": 4, "nRCDRD": 23, "nRCDWR": 19, "nRP": 21, "nRAS": 55, "nRC": 78, "nRRDS": 3,
    "nRRDL": 6, "nFAW": 48, "nRTP": 10, "nWR": 26, "nWTRS": 11, "nWTRL": 14, "nCL": 24, "nCWL": 7, "nRFC": 416,
    "nRFCpb": 320, "nRREFD": 13, "nREFI": 6240,
}  # fmt: skip
ROWS, COLUMNS = ("ACT", "PRE", "PREAB", "REFAB", "REFPB"), ("RD", "WR")

# A clock of the bus that the two share, or none; an activation takes the row bus for two.
BUSES = {f"{first}->{second}": 1 for bus in (ROWS, COLUMNS) for first in bus for second in bus}
BUSES |= {f"{first}->{second}": 0 for one, two in ((ROWS, COLUMNS), (COLUMNS, ROWS)) for first in one for second in two}
OTHER_PSEUDO = BUSES | {f"ACT->{second}": 2 for second in ROWS}

SAME_BANK = OTHER_PSEUDO | {
    "ACT->ACT": 78, "ACT->REFAB": 78, "ACT->REFPB": 78, "ACT->PRE": 55, "ACT->PREAB": 55, "ACT->RD": 23, "ACT->WR": 19,
    "PRE->ACT": 21, "PRE->REFAB": 21, "PRE->REFPB": 21, "PREAB->ACT": 21, "PREAB->REFAB": 21, "PREAB->REFPB": 21,
    "RD->PRE": 10, "RD->PREAB": 10, "RD->RD": 4, "RD->WR": 24 + 2 + 1 - 7, "RD->REFAB": 26,
    "WR->PRE": 7 + 2 + 26, "WR->PREAB": 7 + 2 + 26, "WR->WR": 4, "WR->RD": 7 + 2 + 14,
    "REFAB->ACT": 416, "REFAB->REFAB": 416, "REFAB->REFPB": 416, "REFAB->PRE": 416, "REFAB->PREAB": 416,
    "REFPB->ACT": 320, "REFPB->REFAB": 320, "REFPB->REFPB": 320, "REFPB->PRE": 320, "REFPB->PREAB": 320,
}  # fmt: skip

# Between commands of single banks of a pseudo-channel: of one group, and of two.
SAME_GROUP = {
    "ACT->ACT": 6, "ACT->REFPB": 6, "RD->RD": 4, "RD->WR": 20, "WR->WR": 4, "WR->RD": 23, "REFPB->ACT": 13,
    "REFPB->REFPB": 13,
}  # fmt: skip
SAME_PSEUDO = SAME_GROUP | {"ACT->ACT": 3, "ACT->REFPB": 3, "RD->RD": 2, "WR->WR": 2, "WR->RD": 7 + 2 + 11}
SINGLE = ("ACT", "PRE", "RD", "WR", "REFPB")  # commands that address one bank


def device(**changes: int) -> Device:
    return replace(device_of(CLOCKS), standard=hbm3.STANDARD, cycles=CLOCKS | changes)


def expected(scope: str) -> dict[str, int]:
    if scope in ("same_bank", "other_pseudo"):
        return {"same_bank": SAME_BANK, "other_pseudo": OTHER_PSEUDO}[scope]
    singles = {f"{first}->{second}" for first in SINGLE for second in SINGLE}
    near = {"same_bank_group": SAME_GROUP, "same_pseudo": SAME_PSEUDO}[scope]
    return {pair: OTHER_PSEUDO[pair] if pair in singles else n for pair, n in SAME_BANK.items()} | near


@pytest.mark.parametrize("scope", scopes(hbm3.STANDARD))
def test_every_pair_keeps_its_distance(scope: str) -> None:
    found = {name.removesuffix(f" {scope}"): n for name, n in gaps(device()).items() if name.endswith(f" {scope}")}
    assert found == expected(scope)


def test_the_fifth_activation_of_a_pseudo_channel_waits_for_tFAW() -> None:
    found = gaps(device())
    assert (found["5th ACT after 1st"], found["5th REFPB after 1st"]) == (48, 4 * 13)
    channel = Channel(device())
    for clk, bank in ((100, 0), (103, 4), (106, 1), (109, 5)):
        channel.issue("ACT", clk, bank, row=3)
    assert [channel.earliest("ACT", bank) for bank in (2, 8, 15)] == [148, 111, 111]
    assert [channel.earliest("REFPB", bank) for bank in (2, 8)] == [148, 111]


def test_the_pins_of_a_pseudo_channel_bind_where_bursts_are_long() -> None:
    found = gaps(device(nBL=14))
    assert found["RD->WR same_bank"] == 24 + 14 + 1 - 7
    assert found["RD->RD same_pseudo"] == found["WR->WR same_pseudo"] == 14
    assert found["RD->RD other_pseudo"] == found["RD->WR other_pseudo"] == 1


def test_pseudo_channels_refresh_by_themselves() -> None:
    channel = Channel(device())
    channel.issue("REFAB", 100, 0)
    assert [channel.earliest("ACT", bank) for bank in (0, 7, 8, 15)] == [516, 516, 101, 101]
    channel.issue("REFAB", 101, 8)
    assert [channel.earliest("ACT", bank) for bank in (0, 8)] == [516, 517]
    assert replace(device(), refresh="all_bank").turns == (tuple(range(8)), tuple(range(8, 16)))
    assert replace(device(), refresh="all_bank").refresh_interval == 6240 // 2
    assert replace(device(), refresh="per_bank").refresh_interval == 6240 // 16
