"""Prices over random devices: work takes what it takes, whatever the geometry, the timing and the clock around it.

Each price is compared with that of the shipped device, at which its sources hold.
"""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.energy.formulas import ASIC_PARTS
from pimsim.energy.model import Prices, action_costs
from pimsim.energy.table import TABLES
from tests.configs import config_of, organisations, timings
from tests.examples import examples

STANDBY = ("standby_active", "standby_precharged", "asic_idle")  # per DRAM clock

Costs = dict[str, Fraction]


@cache
def shipped(table: str = "v2") -> Costs:
    return action_costs(config_of({"energy.table": table}))


def costs_of(overrides: dict[str, Any]) -> Costs:
    return action_costs(config_of(overrides))


@settings(max_examples=examples(60))
@given(organisations(), timings(), st.sampled_from(TABLES))
def test_the_same_work_takes_the_same_on_every_memory(shape: dict[str, Any], times: dict[str, Any], table: str) -> None:
    overrides = {**shape, **times, "energy.table": table}
    costs, dram = costs_of(overrides), config_of(overrides).dram
    base = shipped(table)
    banks = dram.bank_groups * dram.banks_per_group
    macs = banks * dram.column_bytes // 2
    assert costs["mac_units"] / macs == base["mac_units"] / 256
    assert costs["mac_read"] / (banks * dram.column_bytes) == base["mac_read"] / (16 * 32)
    for column in ("column_read", "column_write"):
        assert costs[column] / dram.column_bytes == base[column] / 32
    assert costs["activation"] / dram.row_bytes == base["activation"] / 2048
    size = banks * dram.rows * dram.row_bytes
    assert costs["refresh"] / size == base["refresh"] / (16 * 16384 * 2048)
    assert costs["io"] == base["io"]


@settings(max_examples=examples(40))
@given(timings(), st.sampled_from([0.25, 1, 3]), st.sampled_from([0.1, 1, 4]))
def test_a_timing_or_a_clock_changes_what_is_drawn_all_the_time_alone(
    times: dict[str, Any], pim_GHz: float, asic_GHz: float
) -> None:
    still = {key: value for key, value in times.items() if "banks" not in key and "bank_groups" not in key}
    if still["dram.refresh"] == "per_bank":
        still["dram.refresh"] = "none"  # intervals for fewer banks
    config = config_of({**still, "pim.clock_GHz": pim_GHz, "asic.clock_GHz": asic_GHz})
    costs, base = action_costs(config), shipped()
    assert {name for name in costs if costs[name] != base[name]} <= set(STANDBY)
    ns = Fraction(config.dram.tCK_ps, 1000)
    for name in ("standby_active", "standby_precharged"):
        assert costs[name] == base[name] * ns
    leakage = Fraction(5, 100)
    clocked = 1 - leakage - Fraction("0.0545")
    assert costs["asic_idle"] == Fraction("304.59") * (leakage + clocked * Fraction(config.asic.clock_GHz)) * ns


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 20), st.integers(1, 1 << 20))
def test_what_the_asic_draws_all_the_time_grows_with_its_units(adders: int, multipliers: int, sram_KiB: int) -> None:
    costs = costs_of({"asic.adders": adders, "asic.multipliers": multipliers, "asic.sram_KiB": sram_KiB})
    size = (
        Fraction(3, 10) * Fraction(adders, 256)
        + Fraction(3, 10) * Fraction(multipliers, 128)
        + Fraction(4, 10) * Fraction(sram_KiB, 128)
    )
    assert costs["asic_idle"] == shipped()["asic_idle"] * size
    for operation in set(ASIC_PARTS) - {"asic_idle"}:
        assert costs[operation] == shipped()[operation]


def test_at_its_reference_the_asic_draws_its_power() -> None:
    """Every unit and both ports in a tenth of the clocks of 1 ns, and all that is drawn anyway."""
    costs = shipped()
    used = {"asic_add": 25.6, "asic_multiply": 12.8, "asic_sram": 51.2, "asic_idle": 1}
    assert sum(float(costs[name]) * count for name, count in used.items()) == pytest.approx(304.59, rel=1e-12)


REFERENCES = {
    "asic.power_reference.activity": ("0.2", {"asic_add": 2, "asic_multiply": 2, "asic_sram": 2}),
    "asic.power_reference.adders": ("512", {"asic_add": 2}),
    "asic.power_reference.multipliers": ("256", {"asic_multiply": 2}),
    "asic.power_reference.sram_port_bytes": ("512", {"asic_sram": 2}),
    "pim.mac_power_reference.units": ("32", {"mac_units": 2}),
    "pim.mac_power_reference.lanes": ("8", {"mac_units": Fraction(1, 2)}),
    "pim.mac_power_reference.clock_GHz": ("4", {"mac_units": 4}),
    "dram.power.reference.banks": ("32", {"mac_read": 2, "refresh": 2}),
    "dram.power.reference.rows": ("32768", {"refresh": 2}),
    "dram.power.reference.row_bytes": ("1024", {"activation": Fraction(1, 2), "refresh": Fraction(1, 2)}),
    "dram.power.reference.column_bytes": ("64", {"mac_read": 2, "column_read": 2, "column_write": 2}),
    "dram.power.reference.tCCD_ns": ("2", dict.fromkeys(("mac_read", "column_read", "column_write"), Fraction(1, 2))),
    "dram.power.reference.tRC_ns": ("80", {"activation": Fraction(1, 2)}),
    "dram.power.reference.tRFC_ns": ("910", {"refresh": Fraction(1, 2)}),
}


@pytest.mark.parametrize("key", REFERENCES)
def test_a_source_that_holds_at_another_device_prices_this_one_accordingly(key: str) -> None:
    value, factors = REFERENCES[key]
    costs = costs_of({key: Decimal(value)})
    for name, base in shipped().items():
        if name not in STANDBY:
            assert costs[name] * factors.get(name, 1) == base


def test_standby_grows_with_the_banks_that_are_open_and_not_with_those_that_are_not() -> None:
    costs = costs_of({"dram.banks_per_group": 16})
    assert costs["standby_precharged"] == Fraction("1.25") * 92
    assert costs["standby_active"] == Fraction("1.25") * (92 + 4 * 50)


def test_a_command_s_price_is_that_of_its_actions_and_bits() -> None:
    config = config_of({"dram.banks_per_group": 2, "dram.column_bytes": 64, "pim.lanes": 32})
    costs, prices = action_costs(config), Prices.of(config).commands
    assert prices["MACAB"] == costs["mac_read"] + costs["mac_units"]
    assert prices["ACTAB"] == 8 * prices["ACT"] == 8 * costs["activation"]
    assert prices["WRGB"] == 512 * costs["io"]
    assert prices["RD"] == costs["column_read"] + 512 * costs["io"]
    assert prices["RDMAC"] == 8 * 16 * costs["io"]
    assert prices["REFAB"] == 8 * prices["REFPB"] == costs["refresh"]
