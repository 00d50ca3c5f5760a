"""A slower part never makes the system faster, with the exceptions that are named here.

Without refresh the relation is strict.  With it, what runs later may meet a refresh in a pause
that it would have met at work, so a slower part may win back what refreshes cost there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.sim.run import simulate
from tests.configs import config_of, systems
from tests.examples import examples

Overrides = dict[str, Any]

# Orders that are kept while the timings around them move (Graham's anomalies), and by how much each may win:
# see "What may look wrong" in docs/how-it-works.md.
ANOMALIES: Mapping[str, float] = {"tFAW": 0.02, "tCWL": 0.1, "streaming": 0.02}


def later(*names: str) -> Callable[[Overrides], Overrides]:
    """Times half as long again and 1 ns more; those that a rule ties to them too."""
    return lambda o: {f"dram.timing.{n}_ns": round(1.5 * o[f"dram.timing.{n}_ns"] + 1, 2) for n in names}


def half(key: str, least: int = 0) -> Callable[[Overrides], Overrides]:
    """A number that is halved, not below `least`, which is whole if that is."""
    return lambda o: {key: max(least, o[key] // 2) if least else o[key] / 2}


ROWS = ("tRCDRD", "tRCDWR", "tRP", "tRAS", "tRC")
SLOWER: Mapping[str, Callable[[Overrides], Overrides]] = {
    "tRCDRD": later("tRCDRD", "tRAS", "tRC"),
    "tRCDWR": later("tRCDWR"),
    "tRP": later("tRP", "tRC"),
    "tRAS": later("tRAS", "tRC"),
    "tRC": later("tRC"),
    "tCCDS": later("tCCDS", "tCCDL"),
    "tCCDL": later("tCCDL"),
    "tRRDS": later("tRRDS", "tRRDL", "tFAW"),
    "tRRDL": later("tRRDL"),
    "tFAW": later("tFAW"),
    "tRTP": later("tRTP"),
    "tWR": later("tWR"),
    "tWTRS": later("tWTRS", "tWTRL"),
    "tWTRL": later("tWTRL"),
    "tCL": later("tCL"),
    "tCWL": later("tCWL"),
    "MAC clock": half("pim.clock_GHz"),
    "ASIC clock": half("asic.clock_GHz"),
    "adders": half("asic.adders", 1),
    "multipliers": lambda o: {"asic.multipliers": 64},
    "SRAM port": half("asic.sram_port_bytes", 2),
    "SRAM": half("asic.sram_KiB"),
    "pin rate": lambda o: {"dram.io.data_rate_Gbps": 8},
    "streaming": lambda o: {"asic.streaming": False},
    "schedule": lambda o: {"schedule": "paper"},
}


def cycles(overrides: Overrides) -> int:
    # with a smaller SRAM scores may spill, and what spills goes as a whole: that may be the faster way
    return simulate(config_of({**overrides, "mapping.attention": "whole"})).cycles


def allowed(name: str) -> float:
    """By how much a slower part may win."""
    anomaly = {"tRRDS": "tFAW"}.get(name, name)  # tRRDS raises tFAW with it
    return ANOMALIES.get(anomaly, 0)


@pytest.mark.parametrize("name", SLOWER)
@settings(max_examples=examples(12))
@given(overrides=systems())
def test_a_slower_part_never_speeds_up(name: str, overrides: Overrides) -> None:
    base = {**overrides, "dram.refresh": "none"}
    assert cycles({**base, **SLOWER[name](base)}) >= (1 - allowed(name)) * cycles(base)


@settings(max_examples=examples(40))
@given(systems())
def test_refresh_only_costs(overrides: Overrides) -> None:
    assert cycles({**overrides, "dram.refresh": "none"}) <= cycles(overrides)


@settings(max_examples=examples(40))
@given(systems(), st.integers(1, 3))
def test_more_to_do_takes_longer(overrides: Overrides, more: int) -> None:
    """Another token, another sequence, another layer."""
    work = {**overrides, "workload.query_tokens": 1, "dram.refresh": "none"}
    model = work["workload.model_config"]
    for change in (
        {"workload.output_tokens": overrides["workload.output_tokens"] + more},
        {"workload.batch": overrides["workload.batch"] + more},
        {"workload.model_config": model | {"layers": model["layers"] + more}},
    ):
        reserve = {"mapping.reserve_tokens": 4096}  # the same places for K and V
        assert cycles({**work, **change, **reserve}) > cycles({**work, **reserve})
