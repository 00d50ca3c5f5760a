"""Every distance of the gddr6-pim device, pair by pair, with clocks written out by hand.

Each timing differs from the others, and in the second part writes reach the pins after reads
do, so that the rules for the pins bind which the paper's latencies never let bind.
"""

from __future__ import annotations

import pytest

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram.gaps import gaps, scopes
from tests.device_timings.test_gddr6_pim_timings import CYCLES
from tests.strategies import device_of

# nBL 5 and nBLRES 6: a burst takes the pins longer than tCCD.
SCOPES = scopes(STANDARD)
CLOCKS = {**CYCLES, "nBL": 5, "nBLRES": 6, "nMAC": 4}

SAME_BANK = {
    "ACT->ACT": 45, "ACT->ACTAB": 45, "ACT->REFAB": 45, "ACT->REFPB": 45, "ACT->PRE": 29, "ACT->PREAB": 29,
    "ACT->RD": 14, "ACT->MACAB": 14, "ACT->WR": 11,
    "ACTAB->ACT": 45, "ACTAB->ACTAB": 45, "ACTAB->REFAB": 45, "ACTAB->REFPB": 45, "ACTAB->PRE": 29, "ACTAB->PREAB": 29,
    "ACTAB->RD": 14, "ACTAB->MACAB": 14, "ACTAB->WR": 11,
    "PRE->ACT": 13, "PRE->ACTAB": 13, "PRE->REFAB": 13, "PRE->REFPB": 13, "PRE->PRE": 10, "PRE->PREAB": 10,
    "PREAB->ACT": 13, "PREAB->ACTAB": 13, "PREAB->REFAB": 13, "PREAB->REFPB": 13,
    "PREAB->PRE": 10, "PREAB->PREAB": 10,
    "RD->PRE": 4, "RD->PREAB": 4, "RD->RD": 5, "RD->MACAB": 3, "RD->RDMAC": 5, "RD->WR": 14, "RD->WRGB": 14,
    "RD->REFAB": 22,
    "MACAB->PRE": 4, "MACAB->PREAB": 4, "MACAB->RD": 3, "MACAB->MACAB": 4, "MACAB->WR": 3, "MACAB->RDMAC": 6,
    "WR->PRE": 29, "WR->PREAB": 29, "WR->WR": 5, "WR->RD": 22, "WR->MACAB": 22, "WR->WRGB": 5,
    "WRGB->WRGB": 5, "WRGB->WR": 5, "WRGB->MACAB": 14, "WRGB->REFAB": 14,
    "RDMAC->RD": 6, "RDMAC->RDMAC": 6, "RDMAC->WR": 15, "RDMAC->WRGB": 15, "RDMAC->REFAB": 23,
    "REFAB->ACT": 110, "REFAB->ACTAB": 110, "REFAB->REFAB": 110, "REFAB->REFPB": 110,
    "REFAB->PRE": 110, "REFAB->PREAB": 110, "REFAB->WRGB": 110, "REFAB->RDMAC": 110,
    "REFPB->ACT": 60, "REFPB->ACTAB": 60, "REFPB->REFAB": 60, "REFPB->REFPB": 60,
    "REFPB->PRE": 60, "REFPB->PREAB": 60,
}  # fmt: skip

# Between two single banks of a bank group, and of two bank groups; every other pair of single banks: 1 clock.
SAME_GROUP = {
    "ACT->ACT": 7, "ACT->REFPB": 7, "PRE->PRE": 10, "RD->RD": 5, "WR->WR": 5, "WR->RD": 22, "RD->WR": 14,
    "REFPB->ACT": 16, "REFPB->REFPB": 16,
}  # fmt: skip
OTHER_GROUP = SAME_GROUP | {"ACT->ACT": 5, "ACT->REFPB": 5, "WR->RD": 20}
SINGLE = ("ACT", "PRE", "RD", "WR", "REFPB")  # commands that address one bank


def expected(scope: str, changes: dict[str, int] | None = None) -> dict[str, int]:
    clocks = {**SAME_BANK, **(changes or {})}
    near = {"same_bank_group": SAME_GROUP, "other_bank_group": OTHER_GROUP}.get(scope)
    if near is None:
        return clocks
    singles = {f"{first}->{second}" for first in SINGLE for second in SINGLE}
    return {pair: n for pair, n in clocks.items() if pair not in singles} | near


@pytest.mark.parametrize("scope", SCOPES)
def test_every_pair_keeps_its_distance_and_no_other_has_one(scope: str) -> None:
    found = {name.removesuffix(f" {scope}"): n for name, n in gaps(device_of(CLOCKS)).items() if name.endswith(scope)}
    assert {pair: n for pair, n in found.items() if n > 1} == expected(scope)


def test_columns_of_a_bank_group_follow_at_tCCDL_where_the_pins_are_faster() -> None:
    found = gaps(device_of({**CYCLES, "nCCDS": 1, "nBL": 1}))
    for pair in ("RD->RD", "WR->WR"):
        assert [found[f"{pair} {scope}"] for scope in SCOPES] == [3, 3, 1]


def test_writes_that_reach_the_pins_late_hold_results_and_reads_back() -> None:
    found = gaps(device_of({**CYCLES, "nCWL": 30, "nWTRL": 1, "nWTRS": 1, "nBL": 5}))
    assert found["WR->RDMAC same_bank"] == found["WRGB->RDMAC same_bank"] == 30 + 5 + 1 - 17
    assert found["WRGB->RD same_bank"] == found["WRGB->RD other_bank_group"] == 30 + 5 + 1 - 17
    assert found["RD->RDMAC same_bank"] == 5


def test_an_activation_keeps_tRRD_from_an_all_bank_activation_where_rows_are_short() -> None:
    short = {**CYCLES, "nRC": 1, "nRAS": 1, "nRP": 1, "nRRDS": 20, "nRRDL": 25, "nFAW": 1}
    found = gaps(device_of(short))
    for first, second in (("ACT", "ACT"), ("ACT", "REFPB"), ("ACTAB", "ACT"), ("ACTAB", "REFPB")):
        assert [found[f"{first}->{second} {scope}"] for scope in SCOPES] == [25, 25, 25 if first == "ACTAB" else 20]
    short["nRRDS"], short["nRRDL"] = 20, 1
    assert gaps(device_of(short))["ACTAB->ACT same_bank"] == 20
