"""Every distance of LPDDR5X, pair by pair, with clocks written out by hand; each timing differs from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.devices.lpddr5x import table as lpddr5x
from pimsim.dram.gaps import gaps, scopes
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel
from tests.strategies import device_of

CLOCKS = {
    "nBL": 2, "nCCDS": 1, "nCCDL": 4, "nRCDRD": 20, "nRCDWR": 18, "nRP": 19, "nRPab": 23, "nRAS": 45, "nRC": 66,
    "nRRD": 5, "nFAW": 29, "nRTP": 8, "nWR": 37, "nWTRS": 7, "nWTRL": 13, "nCL": 24, "nCWL": 12, "nWCKDQO": 3,
    "nRFC": 300, "nRFCpb": 150, "npbR2act": 9, "npbR2pbR": 96, "nPPD": 6, "nREFI": 4000,
}  # fmt: skip

SAME_BANK = {
    "ACT->ACT": 66, "ACT->REFAB": 66, "ACT->REFPB": 66, "ACT->PRE": 45, "ACT->PREAB": 45, "ACT->RD": 20, "ACT->WR": 18,
    "PRE->ACT": 19, "PRE->REFAB": 19, "PRE->REFPB": 19, "PRE->PRE": 6, "PRE->PREAB": 6,
    "PREAB->ACT": 23, "PREAB->REFAB": 23, "PREAB->REFPB": 23, "PREAB->PRE": 6, "PREAB->PREAB": 6,
    "RD->PRE": 2 + 8, "RD->PREAB": 2 + 8, "RD->RD": 4, "RD->WR": 24 + 4 + 3 - 12, "RD->REFAB": 26,
    "WR->PRE": 12 + 2 + 1 + 37, "WR->PREAB": 12 + 2 + 1 + 37, "WR->WR": 4, "WR->RD": 12 + 4 + 13,
    "REFAB->ACT": 300, "REFAB->REFAB": 300, "REFAB->REFPB": 300, "REFAB->PRE": 300, "REFAB->PREAB": 300,
    "REFPB->ACT": 150, "REFPB->REFAB": 150, "REFPB->REFPB": 150, "REFPB->PRE": 150, "REFPB->PREAB": 150,
}  # fmt: skip

# Between commands of single banks: of one group, of two groups, and the two of a pair, which refresh together.
SAME_GROUP = {
    "ACT->ACT": 5, "ACT->REFPB": 5,"PRE->PRE": 6, "RD->RD": 4, "RD->WR": 19, "WR->WR": 4,
    "WR->RD": 29, "REFPB->ACT": 9, "REFPB->REFPB": 96,
}  # fmt: skip
OTHER_GROUP = SAME_GROUP | {"RD->RD": 2, "WR->WR": 2, "RD->WR": 24 + 2 + 3 - 12, "WR->RD": 12 + 2 + 7}
SAME_PAIR = OTHER_GROUP | {
    pair: SAME_BANK[pair] for pair in ("ACT->REFPB", "PRE->REFPB", "REFPB->ACT", "REFPB->PRE", "REFPB->REFPB")
}
SINGLE = ("ACT", "PRE", "RD", "WR", "REFPB")  # commands that go with one bank
NEAR = {"same_bank_group": SAME_GROUP, "other_bank_group": OTHER_GROUP, "same_pair": SAME_PAIR}


def device(**changes: int) -> Device:
    return replace(device_of(CLOCKS), standard=lpddr5x.STANDARD, cycles=CLOCKS | changes)


def expected(scope: str) -> dict[str, int]:
    if scope == "same_bank":
        return SAME_BANK
    singles = {f"{first}->{second}" for first in SINGLE for second in SINGLE}
    return {pair: n for pair, n in SAME_BANK.items() if pair not in singles} | NEAR[scope]


@pytest.mark.parametrize("scope", scopes(lpddr5x.STANDARD))
def test_every_pair_keeps_its_distance_and_no_other_has_one(scope: str) -> None:
    found = {name.removesuffix(f" {scope}"): n for name, n in gaps(device()).items() if name.endswith(f" {scope}")}
    assert {pair: n for pair, n in found.items() if n > 1} == expected(scope)


def test_the_fifth_activation_waits_for_tFAW() -> None:
    assert gaps(device())["5th ACT after 1st"] == 29
    assert gaps(device(nFAW=7))["5th ACT after 1st"] == 4 * 5
    assert gaps(device(npbR2pbR=4))["5th REFPB after 1st"] == 29


def test_the_pins_bind_where_bursts_are_long() -> None:
    assert gaps(device(nBL=14))["RD->WR same_bank"] == 24 + 14 + 3 - 12
    assert gaps(device(nBL=7))["WR->WR other_bank_group"] == gaps(device(nBL=7))["RD->RD same_bank"] == 7


def test_a_refresh_per_bank_takes_the_bank_of_the_same_number_in_the_other_half_of_the_groups() -> None:
    channel = Channel(device())
    channel.issue("REFPB", 100, 3)
    assert [channel.earliest("ACT", bank) for bank in (3, 11, 2, 10, 7)] == [250, 250, 109, 109, 109]
    assert [channel.earliest("REFPB", bank) for bank in (3, 11, 2, 10)] == [250, 250, 196, 196]
    assert replace(device(), refresh="per_bank").turns == tuple((bank, bank + 8) for bank in range(8))
    assert replace(device(), refresh="per_bank").refresh_interval == 4000 // 8
