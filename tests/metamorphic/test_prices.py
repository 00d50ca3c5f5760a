"""What an action costs depends on the device alone, whatever the workload does with it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings

from pimsim import run
from tests.configs import config_of, systems, workloads
from tests.examples import examples

Overrides = dict[str, Any]


def prices(overrides: Overrides) -> dict[str, float]:
    """pJ per action of each kind that occurs, from the figures of a result alone."""
    config = config_of(overrides)
    system = run(config).summary["system"]
    parts, done = system["energy_breakdown_pJ"], system["commands"]
    banks = config.dram.bank_groups * config.dram.banks_per_group
    counts = {
        "activation": done.get("ACT", 0) + banks * done.get("ACTAB", 0),
        "mac_read": done.get("MACAB", 0),
        "mac_units": done.get("MACAB", 0),
        "column_read": done.get("RD", 0),
        "column_write": done.get("WR", 0),
        "io": 8 * system["external_bytes"],
        "refresh": banks * done.get("REFAB", 0) + done.get("REFPB", 0),
    }
    for name, count in counts.items():
        assert count or not parts[name]  # nothing costs that does not happen
    return {name: parts[name] / count for name, count in counts.items() if count}


@settings(max_examples=examples(40))
@given(systems(), workloads())
def test_an_action_costs_the_same_in_every_workload(overrides: Overrides, other: Overrides) -> None:
    one, two = prices(overrides), prices({**overrides, **other})
    for name in one.keys() & two.keys():
        assert one[name] == pytest.approx(two[name], rel=1e-12)
