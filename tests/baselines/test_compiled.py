"""A step with one launch, between the eager model and the roofline; and the machines that it matters for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from pimsim import baselines
from pimsim.baselines.devices import BaselineDevice, constants
from pimsim.baselines.scheduled import evaluate_schedule
from pimsim.results.ratios import with_ratios
from pimsim.workload.models import MODELS, Workload, build
from pimsim.workload.schedule import Stage
from tests.baselines.schedules import Work, schedule, tiny

# source: recalled: config.json of meta-llama/Llama-2-7b-hf
LLAMA_2_7B = replace(
    MODELS["llama-3-8b"], name="llama-2-7b", kv_heads=32, d_ff=11008, vocabulary=32000, max_positions=4096
)  # fmt: skip


def whole(name: str) -> Workload:
    return build(MODELS[name], lm_head=True)


def changed(device: str, **values: float) -> BaselineDevice:
    """A device with other constants of its eager framework."""
    data = baselines.load(device).model_dump(by_alias=True)
    data["eager"] |= {key: data["eager"][key] | {"value": value} for key, value in values.items()}
    return BaselineDevice.model_validate(data)


@pytest.mark.parametrize("device", baselines.available())
@pytest.mark.parametrize("model", ["gpt2-small", "gpt2-xl", "mistral-7b"])
@pytest.mark.parametrize("query_tokens", [1, 8])
def test_it_lies_between_the_eager_model_and_the_roofline_of_its_data_type(
    device: str, model: str, query_tokens: int
) -> None:
    contexts = range(600, 680, query_tokens)
    found = baselines.evaluate(device, whole(model), contexts, prompt_tokens=64, query_tokens=query_tokens)
    compiled, eager, bound = found["compiled"], found["model"], found["roofline"]["by_data_type"]
    assert compiled["data_type"] == eager["data_type"]
    assert bound[compiled["data_type"]]["latency_ns"] <= compiled["latency_ns"] <= eager["latency_ns"]
    assert compiled["prefill"]["latency_ns"] <= eager["prefill"]["latency_ns"]
    assert sum(compiled["bound"].values()) == pytest.approx(1)
    assert compiled["energy_pJ"] <= compiled["energy_cap_pJ"] <= eager["energy_cap_pJ"]


def test_a_step_is_one_launch_or_its_kernels_one_after_another() -> None:
    """At 240 GB/s x 0.5 in fp32 with 8.1 TFLOP/s; a launch of 4 us is the longer of the two at first."""
    device, contexts = changed("gpu-t4", op_time=4.0, efficiency=0.5), (8, 400, 1500)
    found = baselines.evaluate(device, tiny(), contexts)["compiled"]
    kernels = [Work(1, t, t, 1).ns(share=0.5, size=4, peak=8.1) for t in contexts]
    assert kernels[0] < 4000 < kernels[1]
    assert found["latency_ns"] == pytest.approx(4000 + sum(kernels[1:]), rel=1e-12)
    assert found["launch_ns"] == 4000 and found["bound"]["launch"] == pytest.approx(4000 / found["latency_ns"])


def test_it_uses_the_power_that_the_work_of_a_step_takes() -> None:
    """A launch that is as long as twice the kernels keeps the memory half busy: 26 W and half of 44 W more."""
    device = changed("gpu-t4", op_time=2 * Work(1, 8, 8, 1).ns(size=4, peak=8.1) / 1e3)
    found = baselines.evaluate(device, tiny(), [8])["compiled"]
    assert found["energy_pJ"] == pytest.approx(found["latency_ns"] * (26 + 44 / 2) * 1e3, rel=0.01)


def test_a_measured_time_does_not_stand_for_a_compiled_step() -> None:
    device, workload = baselines.load("cpu-epyc-2core"), whole("gpt2-small")
    without = device.model_copy(update={"eager": device.eager.model_copy(update={"measured": {}})})
    there, gone = (baselines.evaluate(each, workload, [40]) for each in (device, without))
    assert there["model"]["kind"] == "measured" and gone["model"]["kind"] == "eager"
    assert there["compiled"] == gone["compiled"]


# -- beside a result -----------------------------------------------------------------------------


def test_ratios_are_told_of_a_compiled_step_too() -> None:
    found = baselines.evaluate("gpu-t4", whole("gpt2-small"), [10, 11])
    compared = with_ratios({"gpu-t4": found}, 1e5, 2e6)["gpu-t4"]
    assert list(compared)[-3:] == ["model", "compiled", "roofline"]
    assert list(compared["compiled"])[:4] == ["latency_ns", "energy_pJ", "speedup", "energy_ratio"]
    assert compared["compiled"]["speedup"] == found["compiled"]["latency_ns"] / 1e5
    assert compared["compiled"]["energy_ratio"] == found["compiled"]["energy_pJ"] / 2e6


def test_a_machine_without_the_memory_has_no_ratio_in_that_data_type() -> None:
    """13 GB in fp16, 27 GB in fp32: of a T4's 16 GB."""
    found = baselines.evaluate("gpu-t4", build(MODELS["gpt3-6.7b"], lm_head=True), [10])
    compared = with_ratios({"gpu-t4": found}, 1e5, 2e6)["gpu-t4"]
    assert (compared["speedup"], compared["compiled"]["speedup"], compared["compiled"]["energy_ratio"]) == (None,) * 3
    assert compared["roofline"]["speedup"] > 0


def test_where_nothing_is_decoded_the_prefill_is_compared() -> None:
    encoder = schedule([Stage("e", "prefill", tiny(mask="block"), 1, 50, whole=True)], [(0, 50, 50)])
    found = evaluate_schedule("gpu-t4", encoder)
    compared = with_ratios({"gpu-t4": found}, 0.0, 0.0, 1e4, 3e5)["gpu-t4"]
    assert compared["latency_ns"] == 0 and compared["speedup"] == found["prefill_latency_ns"] / 1e4 > 0
    for model in ("compiled", "roofline"):
        assert compared[model]["speedup"] == found[model]["prefill"]["latency_ns"] / 1e4
        assert compared[model]["energy_ratio"] == found[model]["prefill"]["energy_pJ"] / 3e5


# -- machines ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "GBps", "TFLOPs"), [("gpu-a100", 2039, 312), ("gpu-h100", 3350, 989.4)])
def test_what_a_data_sheet_says_is_published_and_the_host_is_no_measurement(
    name: str, GBps: float, TFLOPs: float
) -> None:
    found: dict[str, dict[str, Any]] = constants(baselines.load(name))
    assert found["memory.bandwidth"]["value"] == GBps and found["memory.bandwidth"]["source"] == "published"
    assert baselines.load(name).capacity_bytes == 80 * 10**9
    assert found["data_types.bf16.peak"]["value"] == TFLOPs
    assert found["data_types.int8.peak"]["value"] == pytest.approx(2 * TFLOPs, rel=1e-3)
    assert found["eager.op_time"]["source"] in ("adjacent", "assumed")


def test_gemv_kernels_reach_of_the_bandwidth_what_profiles_show() -> None:
    """66 to 76 % on an A100, 84 % on an H100."""
    share = {}
    for name in ("gpu-a100", "gpu-h100"):
        device = baselines.load(name)
        share[name] = device.memory.efficiency.value * device.eager.efficiency.value
    assert 0.66 < share["gpu-a100"] < 0.76 and share["gpu-h100"] == pytest.approx(0.84)


@pytest.mark.parametrize(
    ("device", "workload", "ms"),
    [
        ("gpu-a100", build(LLAMA_2_7B, lm_head=True), 1000 / 104.9),  # README of gpt-fast: bf16, tokens/s
        ("gpu-h100", whole("llama-3-8b"), 5.1),  # a blog, of a CUDA graph of Llama 3.1 8B, which has these sizes
    ],
)
def test_compiled_steps_are_near_those_that_others_measured(device: str, workload: Workload, ms: float) -> None:
    found = baselines.evaluate(device, workload, [128])
    assert found["compiled"]["latency_ns"] / 1e6 == pytest.approx(ms, rel=0.06)
