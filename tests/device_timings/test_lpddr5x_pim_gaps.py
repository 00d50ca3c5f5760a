"""Every distance of LPDDR5X-PIM, pair by pair, with clocks written out by hand; each timing differs from the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pimsim.devices.lpddr5x_pim import table as lpddr5x_pim
from pimsim.dram.gaps import gaps, scopes
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel, ProtocolError
from tests.strategies import device_of

CLOCKS = {
    "nBL": 2, "nCCDS": 1, "nCCDL": 4, "nRCDRD": 20, "nRCDWR": 18, "nRP": 19, "nRPab": 23, "nRAS": 45, "nRC": 66,
    "nRRD": 5, "nFAW": 29, "nRTP": 8, "nWR": 37, "nWTRS": 7, "nWTRL": 13, "nCL": 24, "nCWL": 12, "nWCKDQO": 3,
    "nRFC": 300, "nPPD": 6, "nMRD": 16, "nMAC": 33, "nDRAIN": 26, "nBLRES": 10, "nFENCE": 0, "nREFI": 4000,
}  # fmt: skip

_ROWS = {
    **{f"ACT->{name}": 66 for name in ("ACT", "ACTAB", "REFAB")}, "ACT->PRE": 45, "ACT->PREAB": 45,
    "ACT->RD": 20, "ACT->MACAB": 20, "ACT->WR": 18,
    "PRE->ACT": 19, "PRE->ACTAB": 19, "PRE->REFAB": 19, "PRE->PRE": 6, "PRE->PREAB": 6,
    "PREAB->ACT": 23, "PREAB->ACTAB": 23, "PREAB->REFAB": 23, "PREAB->PRE": 6, "PREAB->PREAB": 6,
    **{f"REFAB->{name}": 300 for name in ("ACT", "ACTAB", "PRE", "PREAB", "REFAB", "WRGB", "RDMAC", "MRW")},
}  # fmt: skip
SAME_BANK = {
    **_ROWS, **{pair.replace("ACT->", "ACTAB->", 1): n for pair, n in _ROWS.items() if pair.startswith("ACT->")},
    "RD->PRE": 2 + 8, "RD->PREAB": 2 + 8, "RD->RD": 4, "RD->WR": 24 + 4 + 3 - 12, "RD->REFAB": 26, "RD->MRW": 26,
    "WR->PRE": 12 + 2 + 1 + 37, "WR->PREAB": 12 + 2 + 1 + 37, "WR->WR": 4, "WR->RD": 12 + 4 + 13,
    "WR->MACAB": 12 + 4 + 13, "WR->MRW": 12 + 2,
    "WRGB->WRGB": 2, "WRGB->MACAB": 12 + 2, "WRGB->REFAB": 12 + 2, "WRGB->MRW": 12 + 2,
    "MACAB->MACAB": 33, "MACAB->WRGB": 33 - 12, "MACAB->RDMAC": 26, "MACAB->MRW": 33,
    "MACAB->PRE": 2 + 8, "MACAB->PREAB": 2 + 8,
    "RDMAC->RDMAC": 10, "RDMAC->WRGB": 24 + 10 + 3 - 12, "RDMAC->REFAB": 34, "RDMAC->MRW": 34,
    **{f"MRW->{command.name}": 16 for command in lpddr5x_pim.COMMANDS if command.name != "MRW"},
}  # fmt: skip
# Between commands of single banks: of one group, and of two groups.
SAME_GROUP = {"ACT->ACT": 5, "PRE->PRE": 6, "RD->RD": 4, "RD->WR": 19, "WR->WR": 4, "WR->RD": 29}
OTHER_GROUP = SAME_GROUP | {"RD->RD": 2, "WR->WR": 2, "RD->WR": 24 + 2 + 3 - 12, "WR->RD": 12 + 2 + 7}
SINGLE = ("ACT", "PRE", "RD", "WR")  # commands that go with one bank
NEAR = {"same_bank_group": SAME_GROUP, "other_bank_group": OTHER_GROUP}


def device(**changes: int) -> Device:
    return replace(device_of(CLOCKS), standard=lpddr5x_pim.STANDARD, cycles=CLOCKS | changes)


def expected(scope: str) -> dict[str, int]:
    if scope == "same_bank":
        return SAME_BANK
    singles = {f"{first}->{second}" for first in SINGLE for second in SINGLE}
    return {pair: n for pair, n in SAME_BANK.items() if pair not in singles} | NEAR[scope]


@pytest.mark.parametrize("scope", scopes(lpddr5x_pim.STANDARD))
def test_every_pair_keeps_its_distance_and_no_other_has_one(scope: str) -> None:
    found = {name.removesuffix(f" {scope}"): n for name, n in gaps(device()).items() if name.endswith(f" {scope}")}
    assert {pair: n for pair, n in found.items() if n > 1} == expected(scope)


def test_the_fifth_activation_waits_for_tFAW() -> None:
    assert gaps(device())["5th ACT after 1st"] == 29
    assert gaps(device(nFAW=7))["5th ACT after 1st"] == 4 * 5


def test_the_pins_bind_where_bursts_are_long() -> None:
    assert gaps(device(nBL=14))["RD->WR same_bank"] == 24 + 14 + 3 - 12
    assert gaps(device(nBL=7))["WR->WR other_bank_group"] == gaps(device(nBL=7))["RD->RD same_bank"] == 7


def test_sums_leave_after_the_inputs_have_come() -> None:
    assert gaps(device(nCWL=30))["WRGB->RDMAC same_bank"] == 30 + 2 + 1 - 24


@pytest.mark.parametrize(("fence", "clocks"), [(0, 14), (14, 14), (15, 15), (180, 180)])
def test_the_first_product_waits_for_the_inputs_and_for_the_fence(fence: int, clocks: int) -> None:
    channel = Channel(device(nFENCE=fence))
    channel.issue("MRW", 0)
    channel.issue("ACTAB", 100, row=5)
    channel.issue("WRGB", 1000, column=0)
    with pytest.raises(ProtocolError, match=f"allows clock {1000 + clocks}"):
        channel.issue("MACAB", 1000 + clocks - 1, row=5, column=0)
    channel.issue("MACAB", 1000 + clocks, row=5, column=0)


def test_no_command_of_a_mode_goes_in_the_other_one() -> None:
    channel = Channel(device())
    for name, row, column in (("ACTAB", 5, -1), ("WRGB", -1, 0), ("RDMAC", -1, -1)):
        with pytest.raises(ProtocolError, match="needs multi mode, but it is single mode"):
            channel.issue(name, 0, row=row, column=column)
    channel.issue("MRW", 0)
    with pytest.raises(ProtocolError, match="needs single mode, but it is multi mode"):
        channel.issue("ACT", 16, 0, row=5)
