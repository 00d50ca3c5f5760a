"""A prompt that another machine takes: its time, its K and V over the link, and decoding after it."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil
from typing import Any

import pytest

import pimsim
from pimsim.results.result import Result
from tests.configs import config_of

H100 = "gpu-h100"
MODEL = {"name": "tiny", "layers": 3, "d_model": 64, "heads": 4, "vocabulary": 100}
TINY = {"workload.model_config": MODEL, "workload.output_tokens": 3, "dram.refresh": "none", "baselines": [H100]}
PROMPT = {"workload.prompt_tokens": 21, "placement.prefill": H100}
BATCH = {"workload.batch": 3}


def run(*more: Mapping[str, Any]) -> Result:
    changes = dict(TINY)
    for each in more:
        changes |= each
    return pimsim.run(config_of(changes))


def decode(result: Result) -> list[tuple[int, int]]:
    """Context and clocks of each decode step."""
    return [(token.context, token.cycles) for token in result.tally.tokens if token.phase == "decode"]


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
@pytest.mark.parametrize("more", [{}, BATCH, {"placement.linear": H100}, {"workload.prefill_chunk": 4}])
@pytest.mark.parametrize("kv", ["copied", "shared"])
def test_decoding_goes_on_as_from_a_context_to_the_clock(more: Mapping[str, Any], schedule: str, kv: str) -> None:
    told = {"schedule": schedule}
    beyond = {key: value for key, value in more.items() if key != "workload.prefill_chunk"}
    found, known = run(PROMPT, {"placement.kv": kv}, more, told), run({"workload.context": 21}, beyond, told)
    assert decode(found) == decode(known)


@pytest.mark.parametrize("chunk", [1, 4, 64])
def test_k_and_v_of_every_token_of_every_layer_are_appended(chunk: int) -> None:
    here, there = (run({**PROMPT, "placement.prefill": who, "workload.prefill_chunk": chunk}, BATCH)
                   for who in ("pim", H100))  # fmt: skip
    for name in ("key_append", "value_append"):
        (mine,), (known,) = (
            [row for row in result.tally.rows if (row.phase, row.operator) == ("prefill", name)]
            for result in (there, here)
        )
        assert (mine.count, mine.commands["WR"], mine.payload_bytes) == (
            known.count, known.commands["WR"], known.payload_bytes
        )  # fmt: skip


def test_the_prompt_takes_what_the_machine_takes_and_its_bytes_cross_once() -> None:
    result = run(PROMPT, BATCH)
    rows = {row.operator: row for row in result.tally.rows if row.phase == "prefill"}
    ns = result.summary["baselines"][H100]["compiled"]["prefill"]["latency_ns"]
    tCK = result.tally.tCK_ps
    assert rows["prompt"].outside_cycles == ceil(round(ns * 1000) / tCK)
    payload = 3 * 21 * 2 * 64 * 2  # sequences, tokens, K and V
    assert rows["attention_in"].moved_bytes == 3 * payload
    assert rows["attention_in"].outside_cycles == 3 * ceil((payload / 64 + 100) * 1000 / tCK)


def test_a_shared_memory_has_no_transfer_and_nothing_is_written() -> None:
    result = run(PROMPT, {"placement.kv": "shared"})
    (row,) = (row for row in result.tally.rows if row.phase == "prefill")
    assert (row.operator, row.cycles) == ("prompt", result.tally.prefill_cycles)
    assert result.summary["placement"]["link_bytes"] == 0


def test_k_and_v_stay_with_a_machine_that_attends() -> None:
    result = run(PROMPT, {"placement.attention": H100})
    assert [row.operator for row in result.tally.rows if row.phase == "prefill"] == ["prompt"]


def test_the_prompt_costs_what_the_machine_costs_alone() -> None:
    result = run(PROMPT, {"placement.kv": "shared"})
    machine = float(next(row for row in result.energy.rows if row.operator == "prompt").components["machine"])
    alone = result.summary["baselines"][H100]["compiled"]["prefill"]["energy_pJ"]
    clock = 700 * result.tally.tCK_ps  # rounded up to one, at full load at most
    assert 0 <= machine - alone <= clock
