"""Where `placement` leaves open who does what: the faster does, with what has to cross the link for it."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

import pytest

import pimsim
from pimsim import InputError
from pimsim.api import prepare
from pimsim.baselines.beside import Worker
from pimsim.baselines.choice import Choice, taken, trial
from pimsim.devices.plan import compile_plan
from pimsim.results.result import Result
from pimsim.workload.source import requested_workload

H100 = "gpu-h100"
LLAMA = {"workload.model": "llama-3.2-1b", "workload.output_tokens": 1, "workload.context": 511, "dram.refresh": "none"}
AUTO = {"placement.linear": "auto", "placement.attention": "auto", "placement.machine": H100}


def run(*more: Mapping[str, Any], config: str = "aim") -> Result:
    changes: dict[str, Any] = {**LLAMA, "dram.rows": 1 << 17, "baselines": []}
    for each in more:
        changes |= each
    return pimsim.run(pimsim.load_config(config, changes))


@cache
def auto(batch: int) -> Result:
    return run(AUTO, {"workload.batch": batch})


def test_one_sequence_stays_in_the_memory_and_many_go_to_the_machine() -> None:
    few, many = (auto(batch).summary["placement"]["operators"] for batch in (1, 64))
    assert not few["machine"] and not many["pim"]


@pytest.mark.parametrize("batch", [1, 2, 64])
def test_nothing_that_can_be_asked_for_is_faster(batch: int) -> None:
    asked = [(linear, attention) for linear in ("pim", H100) for attention in ("pim", H100)]
    steps = [
        run({"placement.linear": linear, "placement.attention": attention, "workload.batch": batch}).tally.cycles
        for linear, attention in asked
    ]
    assert auto(batch).tally.cycles <= min(steps) * 1.001  # programs find other rows open


def test_between_the_two_a_split_beats_both() -> None:
    split = auto(2)
    sides = split.summary["placement"]["operators"]
    assert sides["pim"] and sides["machine"]
    for who in ("pim", H100):
        assert (
            split.tally.cycles
            < run({"placement.linear": who, "placement.attention": who, "workload.batch": 2}).tally.cycles
        )


@pytest.mark.parametrize("batch", [1, 2])
def test_what_is_minimised_is_the_time_of_the_step(batch: int) -> None:
    result = auto(batch)
    prepared = prepare(result.config)
    arranged, config = prepared.arranged, result.config
    assert arranged is not None and isinstance(arranged.beside.machine, Worker)
    workload = requested_workload(config)
    choice = Choice(workload, arranged.beside.machine, config.system.link, batch)
    step = taken(compile_plan(trial(config), workload), "decode")
    told = choice.step_ps(step, arranged.divided.there) / result.tally.tCK_ps
    assert told == pytest.approx(result.tally.cycles, rel=2e-3)


def test_experts_go_together() -> None:
    model = {"name": "m", "family": "llama", "layers": 1, "d_model": 256, "heads": 4, "experts": 4, "active_experts": 2}
    given = {"workload.model": None, "workload.model_config": model, "workload.batch": 4}
    sides = run(AUTO, given).summary["placement"]["operators"]
    of_experts = {"router", "router_softmax", "router_topk", "ffn_up", "ffn_act", "ffn_mul", "ffn_down", "expert_sum"}
    assert of_experts <= set(sides["pim"]) or of_experts <= set(sides["machine"])


@pytest.mark.parametrize("kv", ["copied", "shared"])
def test_a_prompt_goes_to_the_faster(kv: str) -> None:
    prompt = {"workload.context": 0, "workload.prompt_tokens": 64, "placement.kv": kv, "placement.machine": H100}
    times = {who: run(prompt, {"placement.prefill": who}).tally.prefill_cycles for who in ("pim", H100)}
    found = run(prompt, {"placement.prefill": "auto"})
    assert found.tally.prefill_cycles == min(times.values())
    assert (found.summary["placement"]["prompt"] == "machine") == (times[H100] < times["pim"])


def test_a_short_prompt_stays_in_the_memory() -> None:
    prompt = {"workload.context": 0, "workload.prompt_tokens": 1, "placement.machine": H100}
    assert run(prompt, {"placement.prefill": "auto"}).summary["placement"]["prompt"] == "pim"


def test_a_model_that_the_memory_cannot_hold_alone_is_divided_all_the_same() -> None:
    found = run(AUTO, {"dram.rows": 256, "workload.batch": 64})
    assert found.summary["placement"]["operators"]["pim"] == []


def test_what_does_not_fit_the_memory_goes_to_the_machine() -> None:
    """The memory has too few rows for what it is the faster for, and enough for a part of it."""
    rows = prepare(run().config).plan.memory.rows
    assert not auto(1).summary["placement"]["operators"]["machine"]
    found = run(AUTO, {"dram.rows": rows - 1}).summary["placement"]
    assert found["operators"]["pim"] and found["operators"]["machine"]
    assert found["memory"]["pim"]["required_bytes"] <= found["memory"]["pim"]["capacity_bytes"]
    assert run(AUTO, {"dram.rows": rows}).summary["placement"]["operators"] == auto(1).summary["placement"]["operators"]


def test_where_nothing_fits_the_rows_are_told() -> None:
    with pytest.raises(InputError, match="it would fit with"):
        run({**AUTO, "placement.attention": "pim", "dram.rows": 16, "workload.batch": 64})
