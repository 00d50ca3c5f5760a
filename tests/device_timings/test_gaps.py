"""The smallest legal distances: the golden figures, other grades against formulas, and the twin's own word on each."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim import load_config
from pimsim.devices.registry import device_of
from pimsim.dram.gaps import bank_of, force, gaps, scope_banks, scopes
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel, ProtocolError
from tests.conftest import SHIPPED

FOLDER = SHIPPED.parent
GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "gddr6" / "pairs.json").read_text())
FILES = ("pim-gpt", "gddr6", "aim", "aim-reference", "lpddr5x", "lpddr5x-pim", "hbm3", "hbm2-pim")

# The golden data's name of a figure, and this program's; without a scope it is the same bank's.
NAMES: Mapping[str, str] = {
    "ACT->ACT same bank": "ACT->ACT same_bank",
    "ACT->ACT same BG": "ACT->ACT same_bank_group",
    "ACT->ACT other BG": "ACT->ACT other_bank_group",
    "ACT->RD": "ACT->RD same_bank",
    "ACT->WR": "ACT->WR same_bank",
    "ACT->PREpb": "ACT->PRE same_bank",
    "PREpb->ACT": "PRE->ACT same_bank",
    "RD->RD same BG": "RD->RD same_bank_group",
    "RD->RD other BG": "RD->RD other_bank_group",
    "RD->WR other BG": "RD->WR other_bank_group",
    "WR->RD same BG": "WR->RD same_bank_group",
    "WR->RD other BG": "WR->RD other_bank_group",
    "RD->PREpb": "RD->PRE same_bank",
    "WR->PREpb": "WR->PRE same_bank",
    "REFab->ACT": "REFAB->ACT same_bank",
    "5th ACT after 1st (nFAW)": "5th ACT after 1st",
}


def device(name: str, overrides: Mapping[str, Any] | None = None) -> Device:
    return device_of(load_config(FOLDER / f"{name}.yaml", overrides))


def grade(timings: Mapping[str, int], tCK_ps: int, rate: Any) -> Device:
    """Plain GDDR6 with times in clocks, given to the configuration in ns."""
    names = {f"n{name}": f"dram.timing.t{name}_ns" for name in (key.removeprefix("n") for key in timings)}
    times = {names[key]: Decimal(value) * tCK_ps / 1000 for key, value in timings.items()}
    return device("gddr6", {**times, "dram.tCK_ps": tCK_ps, "dram.io.data_rate_Gbps": rate})


# -- golden --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GOLDEN)
def test_the_golden_grade_has_the_golden_figures(name: str) -> None:
    golden = dict(GOLDEN[name])
    timings = dict(golden.pop("timings"))
    tCK_ps, rate, bursts = timings.pop("tCK_ps"), timings.pop("rate"), timings.pop("nBL")
    timings["nRFC"] = timings.pop("nRFCab")
    tested = grade(timings, tCK_ps, Decimal(rate) / 1000)
    assert tested.cycles == {**timings, "nBL": bursts}
    found = gaps(tested)
    assert {figure: found[NAMES[figure]] for figure in golden} == golden
    assert len(golden) == 16


def test_the_shipped_configuration_is_the_golden_grade() -> None:
    found, golden = gaps(device("gddr6")), GOLDEN["GDDR6_14000_1350mV_double"]
    assert {figure: found[name] for figure, name in NAMES.items()} == {figure: golden[figure] for figure in NAMES}


# -- other grades --------------------------------------------------------------------------


@st.composite
def grades(draw: st.DrawFn) -> dict[str, int]:
    """Times in clocks that a GDDR6 part of some grade might have, each different from the others if it can be."""

    def clocks(name: str, low: int, high: int) -> int:
        return draw(st.integers(low, high), label=name)

    ras, rp = clocks("nRAS", 40, 80), clocks("nRP", 10, 40)
    ccds, rrds, wtrs, rfc = (
        clocks("nCCDS", 1, 6),
        clocks("nRRDS", 2, 12),
        clocks("nWTRS", 2, 12),
        clocks("nRFC", 99, 400),
    )
    return {
        "nRAS": ras, "nRP": rp, "nRC": ras + rp + clocks("nRC - nRAS - nRP", -1, 9),
        "nRCDRD": clocks("nRCDRD", 10, 40), "nRCDWR": clocks("nRCDWR", 5, 40),
        "nCCDS": ccds, "nCCDL": ccds + clocks("nCCDL - nCCDS", 0, 4),
        "nRRDS": rrds, "nRRDL": rrds + clocks("nRRDL - nRRDS", 0, 8), "nFAW": rrds + clocks("nFAW - nRRDS", 0, 80),
        "nRTP": clocks("nRTP", 2, 20), "nWR": clocks("nWR", 10, 40),
        "nWTRS": wtrs, "nWTRL": wtrs + clocks("nWTRL - nWTRS", 0, 9),
        "nCL": clocks("nCL", 12, 60), "nCWL": clocks("nCWL", 1, 12),
        "nRFC": rfc, "nRFCpb": clocks("nRFCpb", 30, 99), "nRREFD": clocks("nRREFD", 2, 30),
        "nPPD": clocks("nPPD", 1, 6), "nREFI": 5000,
    }  # fmt: skip


@given(grades(), st.sampled_from([(570, 14), (500, 16), (444, 18), (667, 12)]))
def test_every_grade_has_the_distances_of_the_formulas(timings: dict[str, int], clock: tuple[int, int]) -> None:
    tested = grade(timings, *clock)
    n, bl = timings, 2
    assert tested.cycles == {**n, "nBL": bl}
    found = gaps(tested)
    formulas = {
        "ACT->ACT same bank": max(n["nRC"], n["nRRDL"]),
        "ACT->ACT same BG": n["nRRDL"],
        "ACT->ACT other BG": n["nRRDS"],
        "ACT->RD": n["nRCDRD"],
        "ACT->WR": n["nRCDWR"],
        "ACT->PREpb": n["nRAS"],
        "PREpb->ACT": n["nRP"],
        "RD->RD same BG": max(n["nCCDL"], bl),
        "RD->RD other BG": max(n["nCCDS"], bl),
        "RD->WR other BG": n["nCL"] + 1 + max(0, bl - n["nCWL"]),
        "WR->RD same BG": n["nCWL"] + bl + n["nWTRL"],
        "WR->RD other BG": n["nCWL"] + bl + n["nWTRS"],
        "RD->PREpb": n["nRTP"],
        "WR->PREpb": n["nCWL"] + bl + n["nWR"],
        "REFab->ACT": n["nRFC"],
        "5th ACT after 1st (nFAW)": max(n["nFAW"], 4 * n["nRRDS"], n["nRRDL"]),
    }
    assert {figure: found[name] for figure, name in NAMES.items()} == formulas


# -- every device --------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_a_command_is_blocked_one_clock_early_and_ready_at_the_gap(name: str) -> None:
    tested = device(name)
    start = 10_000  # the window before the first clock is not the table's business
    for key, gap in gaps(tested).items():
        pair, _, scope = key.rpartition(" ")
        if scope not in scopes(tested.standard):
            continue
        first, second = (tested.standard.command(part) for part in pair.split("->"))
        channel = Channel(tested)
        force(channel, first, start, 0)
        bank = scope_banks(tested)[scope]
        assert max(start, channel.earliest(second.name, bank_of(second, bank))) == start + gap, key
        with pytest.raises(ProtocolError, match="allows clock"):
            force(channel, second, start + gap - 1, bank)
        force(channel, second, start + gap, bank)


@pytest.mark.parametrize("name", FILES)
def test_every_pair_has_a_distance_in_every_scope(name: str) -> None:
    tested = device(name)
    names = tested.command_names
    found = gaps(tested)
    pairs = [f"{first}->{second} {scope}" for first in names for second in names for scope in scopes(tested.standard)]
    assert list(found)[: len(pairs)] == pairs
    assert set(found) - set(pairs) <= {"5th ACT after 1st", "5th REFPB after 1st"}
    buses = {command.name: command.bus for command in tested.standard.commands}
    assert all(
        found[f"{first}->{second} {scope}"] >= (buses[first] == buses[second])
        for first in names
        for second in names
        for scope in scopes(tested.standard)
    )


@pytest.mark.parametrize("name", FILES)
def test_a_command_of_all_banks_or_none_has_one_distance_to_each_other_command(name: str) -> None:
    tested = device(name)
    found = gaps(tested)
    for first in tested.standard.commands:
        for second in tested.standard.commands:
            if not first.has_bank and not second.has_bank:
                assert len({found[f"{first.name}->{second.name} {scope}"] for scope in scopes(tested.standard)}) == 1


def test_scopes_that_a_device_has_no_banks_for_are_left_out() -> None:
    one = gaps(device("gddr6", {"dram.bank_groups": 1, "dram.banks_per_group": 1}))
    assert {key.rpartition(" ")[2] for key in one if "->" in key} == {"same_bank"}
    group = gaps(device("gddr6", {"dram.bank_groups": 1}))
    assert {key.rpartition(" ")[2] for key in group if "->" in key} == {"same_bank", "same_bank_group"}


# -- windows -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "overrides", "expected"),
    [
        ("gddr6", {}, 32),  # 4 x tRRDS of 8 clocks is more than tFAW of 29
        ("gddr6", {"dram.timing.tFAW_ns": Decimal("18.81")}, 33),
        ("gddr6", {"dram.timing.tRRDS_ns": Decimal("0.57")}, 29),
        (
            "gddr6",
            {"dram.bank_groups": 1, "dram.banks_per_group": 16, "dram.timing.tRRDL_ns": Decimal("5.7")},
            40,
        ),  # no other bank group to go to
        ("aim", {}, 28),
        ("pim-gpt", {}, 24),
    ],
)
def test_a_window_is_the_larger_of_tFAW_and_four_spacings(name: str, overrides: dict[str, Any], expected: int) -> None:
    assert gaps(device(name, overrides))["5th ACT after 1st"] == expected


def test_a_device_without_a_window_has_none() -> None:
    assert not [key for key in gaps(device("aim-reference")) if "->" not in key]


def test_a_window_without_length_is_none() -> None:
    tested = device("gddr6")
    without = replace(tested, cycles={**tested.cycles, "nFAW": 0})
    assert not [key for key in gaps(without) if "->" not in key]


def test_the_bus_takes_a_clock_even_in_a_table_that_does_not_say_so() -> None:
    tested = device("gddr6")
    constraints = tuple(row for row in tested.standard.constraints if row.latency != "1")
    assert len(constraints) == len(tested.standard.constraints) - 1
    without = replace(tested, standard=replace(tested.standard, constraints=constraints))
    assert gaps(without) == gaps(tested)
