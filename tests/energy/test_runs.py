"""Energy and peak power of whole runs: invariants over random systems, and what the shipped device may not lose."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from pimsim import load_config, run
from pimsim.energy.formulas import ASIC_PARTS, OUTSIDE
from pimsim.energy.formulas import COMPONENTS as ALL
from pimsim.energy.table import TABLES
from pimsim.results.result import Result
from tests.configs import config_of, systems
from tests.conftest import SHIPPED
from tests.examples import examples

STILL = {"dram.refresh": "none", "workload.model": "gpt2-small", "workload.output_tokens": 1}
COMPONENTS = [name for name in ALL if name not in OUTSIDE]
DYNAMIC = [name for name in COMPONENTS if not name.startswith("standby") and name != "asic"]


def result(**overrides: Any) -> Result:
    return run(config_of({**STILL, **{key.replace("__", "."): value for key, value in overrides.items()}}))


def system(**overrides: Any) -> dict[str, Any]:
    found: dict[str, Any] = result(**overrides).summary["system"]
    return found


@settings(max_examples=examples(25))
@given(systems())
def test_components_sum_and_the_peak_is_not_below_the_average(overrides: dict[str, Any]) -> None:
    done = run(config_of(overrides))
    figures = done.summary["system"]
    parts, asic = figures["energy_breakdown_pJ"], figures["asic_energy_pJ"]
    assert sum(parts.values()) == pytest.approx(figures["energy_pJ"], rel=1e-12)
    assert tuple(asic) == ASIC_PARTS
    assert sum(asic.values()) == pytest.approx(parts["asic"], rel=1e-12)
    rows = done.records("operators")
    for name in COMPONENTS:
        assert sum(row[f"{name}_pJ"] for row in rows) == pytest.approx(parts[name], rel=1e-9)
    price = done.energy.action_pJ
    for name, count in (("add", "adds"), ("multiply", "multiplies"), ("sram", "sram_bytes")):
        counted = sum(row[count] for row in rows)
        assert asic[f"asic_{name}"] == pytest.approx(counted * float(price[f"asic_{name}"]), rel=1e-12)
    idle = float(price["asic_idle"]) * figures["cycles"]
    assert asic["asic_idle"] == pytest.approx(idle, rel=1e-12)
    assert figures["peak_power_mW"] >= figures["average_power_mW"] > 0


def test_a_multiply_accumulate_takes_the_same_with_any_banks_lanes_and_channels() -> None:
    def each(**overrides: Any) -> float:
        done = result(**overrides)
        dram, figures = done.config.dram, done.summary["system"]
        macs = figures["commands"]["MACAB"] * dram.bank_groups * dram.banks_per_group * dram.column_bytes // 2
        parts = figures["energy_breakdown_pJ"]
        return float((parts["mac_units"] + parts["mac_read"]) / macs)

    shipped = each()
    assert shipped == pytest.approx((3 * 485 + 223.935) / 256, rel=1e-12)
    assert each(dram__banks_per_group=16) == pytest.approx(shipped, rel=1e-12)
    assert each(dram__channels=3) == pytest.approx(shipped, rel=1e-12)
    assert each(pim__lanes=4) == pytest.approx(shipped, rel=1e-12)
    wide = {"pim__lanes": 512, "dram__column_bytes": 1024, "dram__row_bytes": 2048}
    assert each(**wide) == pytest.approx(shipped, rel=1e-12)


@pytest.mark.parametrize(
    "slower",
    [
        {"dram.timing.tCCDL_ns": 6},
        {"dram.timing.tCCDS_ns": 3, "dram.timing.tCCDL_ns": 3},
        {"dram.tCK_ps": 1700},
        {"pim.clock_GHz": 0.2},
        {"asic.clock_GHz": 0.05},
        {"dram.timing.tRC_ns": 90, "dram.timing.tRP_ns": 40},
    ],
)
def test_the_same_work_takes_the_same_however_long_it_takes(slower: dict[str, Any]) -> None:
    fast, slow = (run(config_of({**STILL, **changes})).summary["system"] for changes in ({}, slower))
    assert slow["latency_ns"] > fast["latency_ns"]
    assert slow["commands"] == fast["commands"]
    for name in DYNAMIC:
        assert slow["energy_breakdown_pJ"][name] == fast["energy_breakdown_pJ"][name]
    for name in ASIC_PARTS[:3]:
        assert slow["asic_energy_pJ"][name] == fast["asic_energy_pJ"][name]
    standby = [sum(s["energy_breakdown_pJ"][f"standby_{x}"] for x in ("active", "precharged")) for s in (fast, slow)]
    assert standby[1] > standby[0]


def test_a_huge_or_a_fast_asic_draws_more() -> None:
    shipped, huge, fast = (
        system(**{key: value})["asic_energy_pJ"]["asic_idle"] / system(**{key: value})["latency_ns"]
        for key, value in (("asic__adders", 256), ("asic__adders", 100_000), ("asic__clock_GHz", 10))
    )
    assert shipped == pytest.approx(0.9455 * 304.59)
    assert huge == pytest.approx(shipped * (0.7 + 0.3 * 100_000 / 256))
    assert fast == pytest.approx(304.59 * (0.05 + 0.8955 * 10))


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"asic__taylor_terms": 3}, {"asic__taylor_terms": 12}),
        ({"asic__range_reduction": "none"}, {"asic__range_reduction": "ln2"}),
    ],
)
def test_more_operations_take_as_much_more_energy(less: dict[str, Any], more: dict[str, Any]) -> None:
    few, many = result(**less), result(**more)
    for part, count in (("asic_add", "adds"), ("asic_multiply", "multiplies")):
        energies = [r.summary["system"]["asic_energy_pJ"][part] for r in (few, many)]
        counts = [r.tally.total(count) for r in (few, many)]
        assert counts[1] > counts[0]
        assert energies[1] / energies[0] == pytest.approx(counts[1] / counts[0], rel=1e-12)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("model", ["gpt2-small", "gpt3-xl"])
def test_the_shipped_device_takes_what_it_took_within_half_a_percent(model: str, table: str) -> None:
    """Before prices followed the hardware, a power counted while its unit was at work, the ASIC's always."""
    overrides = {"baselines": [], "workload.model": model, "workload.output_tokens": 4, "energy.table": table}
    figures = run(load_config(SHIPPED, overrides)).summary["system"]
    parts = figures["energy_breakdown_pJ"]
    commands, ns = figures["commands"], figures["latency_ns"]
    factor, routing = (1, 1) if table == "v1" else (3, 1.5)
    before = {
        "activation": (16 * commands["ACTAB"] + commands["ACT"]) * 1.25 * (122 - 92) * 40,
        "mac_read": commands["MACAB"] * factor * 485,
        "mac_units": commands["MACAB"] * 149.29 * routing,
        "column_write": commands["WR"] * 410,
        "refresh": commands["REFAB"] * 1.25 * (277 - 92) * 455,
        "io": figures["external_bytes"] * 8 * 5.5,
    }
    for name, energy in before.items():
        assert parts[name] == pytest.approx(energy, rel=1e-12)
    assert parts["asic"] == pytest.approx(304.59 * ns, rel=0.05)
    assert figures["energy_pJ"] == pytest.approx(figures["energy_pJ"] - parts["asic"] + 304.59 * ns, rel=0.005)


# ---- the supply ------------------------------------------------------------------------------


def test_a_peak_above_the_budget_is_a_warning_that_names_both() -> None:
    peak = system()["peak_power_mW"] / 1000
    low, high = round(peak - 0.01, 3), round(peak + 0.01, 3)
    tight, enough = (result(dram__power__budget_W=budget).summary["warnings"] for budget in (low, high))
    (text,) = [text for text in tight if "budget" in text]
    assert f"{peak:.6g} W" in text and f"{low:g} W" in text
    assert not [text for text in enough if "budget" in text]


def test_a_supply_limit_takes_time_and_lowers_the_peak() -> None:
    free, limited = system(), system(dram__timing__tFAWAB_ns=1000)
    assert limited["cycles"] > free["cycles"]
    assert limited["commands"] == free["commands"]
    assert limited["peak_power_mW"] < free["peak_power_mW"]
