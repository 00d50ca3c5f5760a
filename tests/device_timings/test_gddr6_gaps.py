"""Every distance of plain GDDR6, pair by pair, with clocks written out by hand; each timing differs from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.devices.gddr6 import table as gddr6
from pimsim.dram.gaps import gaps, scopes
from pimsim.dram.timing import Device
from tests.device_timings.test_gddr6_pim_timings import CYCLES
from tests.strategies import device_of

SCOPES = scopes(gddr6.STANDARD)
CLOCKS = {**CYCLES, "nBL": 2, "nCCDS": 1, "nCCDL": 4, "nRREFD": 16, "nPPD": 3}

SAME_BANK = {
    "ACT->ACT": 45, "ACT->REFAB": 45, "ACT->REFPB": 45, "ACT->PRE": 29, "ACT->PREAB": 29, "ACT->RD": 14, "ACT->WR": 11,
    "PRE->ACT": 13, "PRE->REFAB": 13, "PRE->REFPB": 13, "PRE->PRE": 3, "PRE->PREAB": 3,
    "PREAB->ACT": 13, "PREAB->REFAB": 13, "PREAB->REFPB": 13, "PREAB->PRE": 3, "PREAB->PREAB": 3,
    "RD->PRE": 4, "RD->PREAB": 4, "RD->RD": 4, "RD->WR": 18, "RD->REFAB": 19,
    "WR->PRE": 26, "WR->PREAB": 26, "WR->WR": 4, "WR->RD": 19,
    "REFAB->ACT": 110, "REFAB->REFAB": 110, "REFAB->REFPB": 110, "REFAB->PRE": 110, "REFAB->PREAB": 110,
    "REFPB->ACT": 60, "REFPB->REFAB": 60, "REFPB->REFPB": 60, "REFPB->PRE": 60, "REFPB->PREAB": 60,
}  # fmt: skip

# Between single banks of one bank group, and of two.
SAME_GROUP = {
    "ACT->ACT": 7, "ACT->REFPB": 7, "PRE->PRE": 3, "RD->RD": 4, "WR->WR": 4, "WR->RD": 19, "RD->WR": 18,
    "REFPB->ACT": 16, "REFPB->REFPB": 16,
}  # fmt: skip
OTHER_GROUP = SAME_GROUP | {"ACT->ACT": 5, "ACT->REFPB": 5, "RD->RD": 2, "WR->WR": 2, "WR->RD": 17}
SINGLE = ("ACT", "PRE", "RD", "WR", "REFPB")  # commands that address one bank


def device(**changes: int) -> Device:
    return replace(device_of(CLOCKS), standard=gddr6.STANDARD, cycles=CLOCKS | changes)


def expected(scope: str) -> dict[str, int]:
    near = {"same_bank_group": SAME_GROUP, "other_bank_group": OTHER_GROUP}.get(scope)
    if near is None:
        return SAME_BANK
    singles = {f"{first}->{second}" for first in SINGLE for second in SINGLE}
    return {pair: n for pair, n in SAME_BANK.items() if pair not in singles} | near


@pytest.mark.parametrize("scope", SCOPES)
def test_every_pair_keeps_its_distance_and_no_other_has_one(scope: str) -> None:
    found = {name.removesuffix(f" {scope}"): n for name, n in gaps(device()).items() if name.endswith(scope)}
    assert {pair: n for pair, n in found.items() if n > 1} == expected(scope)


def test_the_pins_bind_a_write_after_a_read_where_bursts_are_long() -> None:
    assert gaps(device(nBL=14))["RD->WR same_bank"] == 17 + 14 + 1 - 9
    assert gaps(device(nBL=3))["WR->WR other_bank_group"] == gaps(device(nBL=3))["RD->RD other_bank_group"] == 3
