"""What a simulation counts is what the model needs: nothing is lost, and nothing is counted twice.

The left side of each relation is a result; the right side is arithmetic on the sizes of the
model alone, or on other figures of the same result.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import fsum
from typing import Any

import pytest
from hypothesis import given, settings

from pimsim import run
from pimsim.config.schema import Config
from pimsim.sim.run import simulate
from tests.configs import config_of, systems
from tests.examples import examples
from tests.formulas.test_command_counts import Counts

Overrides = dict[str, Any]


def tokens(config: Config) -> Iterator[tuple[int, bool]]:
    """(context, whether its logits are made) of every token that one sequence runs."""
    work = config.workload
    last = work.prompt_tokens + work.output_tokens
    for context in range(1, last + 1):
        yield context, context >= work.prompt_tokens


def macs(config: Config) -> int:
    """Multiply-accumulates of the model: its matrices and its attention, for every token of every sequence."""
    sizes, total = Counts(config), 0
    weights = sum(inputs * outputs * copies for inputs, outputs, _, copies in sizes.linears())
    for context, head in tokens(config):
        seen = min(context, sizes.window)
        total += sizes.layers * (weights + 2 * sizes.heads * sizes.head_dim * seen)
        if head and config.workload.lm_head:
            total += sizes.d * sizes.vocabulary
    return config.workload.batch * total


@settings(max_examples=examples(60))
@given(systems())
def test_every_multiplication_of_the_model_is_done_once(overrides: Overrides) -> None:
    config = config_of(overrides)
    assert simulate(config).total("macs") == macs(config)


@settings(max_examples=examples(60))
@given(systems())
def test_no_weight_is_multiplied_that_was_not_read(overrides: Overrides) -> None:
    """Each MACAB reads a column of every bank; what is in it are at most so many elements."""
    config = config_of(overrides)
    tally, dram = simulate(config), config.dram
    read = tally.commands["MACAB"] * dram.bank_groups * dram.banks_per_group * (dram.column_bytes // 2)
    assert tally.total("macs") <= read


@settings(max_examples=examples(60))
@given(systems())
def test_every_key_and_value_is_written_once(overrides: Overrides) -> None:
    config = config_of(overrides)
    tally, sizes = simulate(config), Counts(config)
    written = {
        name: sum(row.payload_bytes for row in tally.rows if row.operator == name)
        for name in ("key_append", "value_append")
    }
    vector = 2 * sizes.kv_heads * sizes.head_dim
    ran = config.workload.batch * sizes.layers * len(list(tokens(config)))
    assert written == {"key_append": ran * vector, "value_append": ran * vector}


@settings(max_examples=examples(60))
@given(systems())
def test_bytes_on_the_pins_are_those_of_the_commands_and_hold_the_payload(overrides: Overrides) -> None:
    config = config_of(overrides)
    result = run(config)
    system, dram = result.summary["system"], config.dram
    count = {name: system["commands"].get(name, 0) for name in ("RD", "WR", "WRGB", "RDMAC")}
    columns = count["RD"] + count["WR"] + count["WRGB"]
    sums = count["RDMAC"] * dram.bank_groups * dram.banks_per_group
    assert system["external_bytes"] == columns * dram.column_bytes + 2 * sums
    assert system["payload_bytes"] <= system["external_bytes"]


@settings(max_examples=examples(60))
@given(systems())
def test_parts_sum_to_the_whole(overrides: Overrides) -> None:
    """Latency and energy by cause, by component, by operator and by phase are the same latency and energy."""
    result = run(config_of(overrides))
    system, operators = result.summary["system"], result.records("operators")
    assert fsum(system["latency_breakdown_ns"].values()) == pytest.approx(system["latency_ns"], rel=1e-12)
    assert fsum(system["energy_breakdown_pJ"].values()) == pytest.approx(system["energy_pJ"], rel=1e-12)
    assert sum(row["cycles"] for row in operators) == system["cycles"]
    assert fsum(row["energy_pJ"] for row in operators) == pytest.approx(system["energy_pJ"], rel=1e-12)
    prefill = fsum(row["energy_pJ"] for row in operators if row["phase"] == "prefill")
    assert prefill == pytest.approx(system["prefill_energy_pJ"], rel=1e-12)
    for component, energy in system["energy_breakdown_pJ"].items():
        assert fsum(row[f"{component}_pJ"] for row in operators) == pytest.approx(energy, rel=1e-12)


@settings(max_examples=examples(60))
@given(systems())
def test_nothing_is_busy_longer_than_the_run(overrides: Overrides) -> None:
    """One ASIC, one row buffer a bank, one MAC unit a bank: each works at most all the time."""
    config = config_of(overrides)
    result = run(config)
    tally, system = result.tally, result.summary["system"]
    assert tally.total("asic_busy_cycles") <= tally.cycles
    assert tally.total("open_cycles") <= config.dram.channels * tally.cycles
    assert 0 <= system["mac_utilization"] <= 1
    assert 0 <= system["row_hit_rate"] <= 1
    assert 0 <= system["non_vmm_fraction"] <= 1
    assert 0 < system["ttft_ns"] <= system["latency_ns"]
