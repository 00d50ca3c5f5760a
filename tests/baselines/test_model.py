"""Baselines against the reference figures, hand arithmetic and a plain loop."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import baselines
from pimsim.baselines.cost import decode_demands, prefill_demands
from pimsim.baselines.devices import BaselineDevice
from pimsim.mapping.routing import expected_experts
from pimsim.workload.models import MODELS, Workload, build
from pimsim.workload.ops import OPS

GPT2 = ("gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl")


def whole(name: str) -> Workload:
    return build(MODELS[name], lm_head=True)


def blocks(name: str) -> Workload:
    return build(MODELS[name], lm_head=False)


def t4() -> BaselineDevice:
    return baselines.load("gpu-t4")


def changed(device: BaselineDevice, path: str, value: float) -> BaselineDevice:
    """`device` with one constant's value replaced."""
    data = device.model_dump(by_alias=True)
    section: dict[str, Any] = data
    for part in path.split("."):
        section = section[part]
    section["value"] = value
    return BaselineDevice.model_validate(data)


def timed(
    workload: Workload, ms: float, contexts: tuple[int, int] = (1, 1000), data_type: str = "fp32", note: str = "mine"
) -> dict[str, Any]:
    """A measurement of a step of `workload`, as a device file has it."""
    scope = {
        "operators_sha256": workload.sha256(), "lm_head": workload.lm_head, "batch": 1, "data_type": data_type,
        "contexts": contexts,
    }  # fmt: skip
    return {"value": ms, "unit": "ms", "source": "measured", "note": note, "scope": scope}


def latency_ms(device: str | BaselineDevice, workload: Workload, context: int = 1024) -> float:
    return float(baselines.evaluate(device, workload, [context])["latency_ns"]) / 1e6


@pytest.mark.parametrize(("name", "ms"), list(zip(GPT2, (11.8, 23.6, 35.4, 47.2), strict=True)))
def test_eager_t4_is_near_the_reference_which_spreads_what_is_outside_the_blocks_over_layers(
    name: str, ms: float
) -> None:
    assert latency_ms("gpu-t4", whole(name)) == pytest.approx(ms, rel=0.04)


@pytest.mark.parametrize(
    ("device", "name", "ms"),
    [("gpu-t4", "gpt2-small", 11.885), ("gpu-t4-fused", "qwen2.5-0.5b", 32.22), ("gpu-t4-fused", "qwen2.5-3b", 48.0)],
)
def test_one_host_constant_per_source_gives_the_measured_time_per_token(device: str, name: str, ms: float) -> None:
    """The requirement is 10 %; one constant for two Qwen models is not fitted to either."""
    assert latency_ms(device, whole(name), 512) == pytest.approx(ms, rel=0.01)


def unrecorded(workload: Workload) -> Workload:
    """`workload` without recorded launches."""
    operators = tuple(replace(operator, aten=None, kernels=None) for operator in workload.operators)
    return replace(workload, operators=operators, overhead_aten=None, overhead_kernels=None)


@pytest.mark.parametrize(
    ("device", "name", "count"),
    [
        ("gpu-t4", "gpt2-small", 650),
        ("gpu-t4", "gpt2-xl", 2486),
        ("gpu-t4-fused", "qwen2.5-0.5b", 24 * 76 + 29),
        ("gpu-t4-fused", "qwen2.5-3b", 36 * 76 + 29),
    ],
)
def test_step_dispatches_what_was_counted_on_the_meta_device(device: str, name: str, count: int) -> None:
    """The device's own counts to the operator, recorded ones to the two that belong to no module."""
    own = baselines.evaluate(device, unrecorded(whole(name)), [1])["model"]["aten_ops_per_step"]
    recorded = baselines.evaluate(device, whole(name), [1])["model"]["aten_ops_per_step"]
    assert own == count
    assert count - 2 <= recorded <= count


def test_device_files_count_every_operator_that_the_workload_knows() -> None:
    for name in baselines.available():
        counts = baselines.load(name).eager.aten_ops.per_operator
        assert set(counts) == {op for op, known in OPS.items() if known.launches is None}


def recorded(workload: Workload, aten: int, overhead: int) -> Workload:
    """`workload` as a trace with `aten` launches of each operator gives it."""
    operators = tuple(replace(operator, aten=aten) for operator in workload.operators)
    return replace(workload, operators=operators, overhead_aten=overhead)


def test_recorded_launches_go_before_the_devices_own() -> None:
    result = baselines.evaluate("gpu-t4", recorded(whole("gpt2-small"), 5, 100), [1])
    assert result["model"]["aten_ops_per_step"] == (10 * 12 + 3) * 5 + 100
    assert result["latency_ns"] == pytest.approx(((10 * 12 + 3) * 5 + 100) * 18.3e3)


def test_fused_attention_replaces_what_was_recorded_in_pieces() -> None:
    """Attention and the mask were recorded in pieces; the rest of the recording holds."""
    result = baselines.evaluate("gpu-t4-fused", recorded(whole("gpt2-small"), 5, 100), [1])
    assert result["model"]["aten_ops_per_step"] == (9 * 12 + 3) * 5 + 6 * 12 + 100 - 23


def test_cpu_takes_the_recorded_launches_operator_by_operator() -> None:
    fast = changed(baselines.load("cpu-xeon-6154"), "memory.bandwidth", 1e9)
    result = baselines.evaluate(fast, recorded(blocks("gpt2-small"), 1000, 7), [1])
    assert result["latency_ns"] == pytest.approx((10 * 12 * 1000 + 7) * 64e3)


def test_fast_host_leaves_the_t4_bound_by_memory() -> None:
    fast = changed(t4(), "eager.op_time", 2)
    result = baselines.evaluate(fast, whole("gpt2-xl"), [1024])
    assert result["model"]["bound"]["memory"] > 0.99
    assert result["latency_ns"] == pytest.approx(result["roofline"]["by_data_type"]["fp32"]["latency_ns"])


@pytest.mark.parametrize("device", baselines.available())
@pytest.mark.parametrize("name", [*GPT2, "gpt3-xl"])
def test_bound_shares_add_up_and_no_model_beats_its_own_roofline(device: str, name: str) -> None:
    result = baselines.evaluate(device, whole(name), range(1, 1025), prompt_tokens=64)
    model = result["model"]
    for phase in (model, model["prefill"]):
        assert sum(phase["bound"].values()) == pytest.approx(1)
    assert set(model["bound"]) == ({"measured"} if model["kind"] == "measured" else {"launch", "memory", "compute"})
    floor = result["roofline"]["by_data_type"][model["data_type"]]["latency_ns"]
    assert model["latency_ns"] >= floor


def test_xeon_roofline_is_its_specified_bandwidth() -> None:
    """6.2 GB of GPT-2 XL in fp32 at 128 GB/s is 49 ms, before any K or V."""
    roofline = baselines.evaluate("cpu-xeon-6154", whole("gpt2-xl"), [1])["roofline"]
    assert roofline["latency_ns"] / 1e6 == pytest.approx(49, rel=0.01)


@pytest.mark.parametrize(("name", "ms"), list(zip(GPT2, (60.9, 99.1, 244, 375), strict=True)))
def test_cpu_model_on_the_machine_it_was_fitted_to(name: str, ms: float) -> None:
    epyc = changed(baselines.load("cpu-xeon-6154"), "memory.bandwidth", 29.9)
    assert 0.87 < latency_ms(epyc, whole(name), 128) / ms < 1.25


def test_xeon_lies_between_its_bound_and_what_the_paper_implies() -> None:
    for name, paper_ms in (("gpt2-small", 90), ("gpt2-xl", 700)):
        result = baselines.evaluate("cpu-xeon-6154", blocks(name), range(1, 1025))
        assert result["roofline"]["latency_ns"] < result["latency_ns"] < paper_ms * 1e6 * 1024


def expected_cpu_step(workload: Workload, context: int, batch: int) -> float:
    """The eager model of the CPU, written out in scalars; ns."""
    device = baselines.load("cpu-xeon-6154")
    counts = device.eager.aten_ops.per_operator
    total = (31 if workload.overhead_aten is None else workload.overhead_aten) * 64e3
    for operator in workload.operators:
        moved = operator.bytes(context, 4, batch, biases=True) / (128 * 0.72)
        if operator.experts > 1 and operator.op == "linear":
            chosen = operator.experts * (1 - (1 - operator.active / operator.experts) ** batch)
            moved = operator.inputs * operator.outputs * chosen * 4 / (128 * 0.72)
        work = operator.flops(context) * batch / (device.data_types["fp32"].peak.value * 1e3)
        own = counts[operator.op] * operator.active
        launch = (own if operator.aten is None else operator.aten) * 64e3
        total += workload.repeats(operator) * max(launch, moved, work)
    return total


@settings(max_examples=30)
@given(
    st.sampled_from(sorted(MODELS)), st.booleans(), st.lists(st.integers(1, 9000), min_size=1, max_size=5),
    st.integers(1, 64),
)  # fmt: skip
def test_cpu_steps_are_the_sum_over_operators(name: str, lm_head: bool, contexts: list[int], batch: int) -> None:
    workload = build(MODELS[name], lm_head)
    expected = sum(expected_cpu_step(workload, context, batch) for context in contexts)
    result = baselines.evaluate("cpu-xeon-6154", workload, contexts, batch)
    assert result["latency_ns"] == pytest.approx(expected, rel=1e-12)
    assert result["latency_per_token_ns"] == pytest.approx(expected / len(contexts), rel=1e-12)
    assert result["energy_per_token_pJ"] * len(contexts) * batch == pytest.approx(result["energy_pJ"], rel=1e-12)


def test_gpu_energy_is_idle_power_plus_the_used_share_of_the_rest() -> None:
    result = baselines.evaluate("gpu-t4", whole("gpt2-xl"), [1024])
    latency = result["latency_ns"]
    utilisation = whole("gpt2-xl").bytes(1024, 4, biases=True) / 240 / latency
    assert 0.5 < utilisation < 0.7
    assert result["energy_pJ"] == pytest.approx(latency * (26 + 44 * utilisation) * 1000)
    assert result["model"]["energy_cap_pJ"] == pytest.approx(latency * 70 * 1000)


def test_energy_is_between_idle_and_cap_and_at_the_cap_when_memory_bound() -> None:
    result = baselines.evaluate("gpu-t4", whole("gpt2-small"), [1, 1024], prompt_tokens=2048)
    for part in (result["model"], result["model"]["prefill"], result["roofline"]):
        assert part["energy_pJ"] >= part["latency_ns"] * 26 * 1000
    assert result["energy_pJ"] < result["model"]["energy_cap_pJ"]
    roofline = result["roofline"]
    assert roofline["energy_pJ"] == pytest.approx(roofline["energy_cap_pJ"], rel=5e-3)


def test_prompt_is_one_batch_of_tokens() -> None:
    workload, prompt = blocks("gpt3-xl"), 512
    result = baselines.evaluate("gpu-t4", workload, [513], prompt_tokens=prompt)
    work_ns = workload.total_flops(1, prompt) / 8.1e3
    assert result["prefill_latency_ns"] == pytest.approx(work_ns, rel=0.02)
    assert result["model"]["prefill"]["bound"]["compute"] > 0.97
    one = baselines.evaluate("gpu-t4", workload, [1], prompt_tokens=1)
    assert one["prefill_latency_ns"] == one["latency_ns"]
    assert baselines.evaluate("gpu-t4", workload, [1])["prefill_latency_ns"] == 0


def test_prompt_reads_weights_once_and_table_rows_keys_and_values_per_token() -> None:
    (tokens, batch), shape = (100, 3), MODELS["gpt2-small"]
    demands = {d.operator.name: d for d in prefill_demands(whole("gpt2-small"), tokens, batch)}
    d = shape.d_model
    assert demands["embed"].elements == 2 * d * tokens * batch
    assert demands["attention"].elements == 4 * d * tokens * batch
    assert demands["qkv"].elements == 3 * d * d + 3 * d
    assert demands["qkv"].operations == (6 * d * d + 3 * d) * tokens * batch
    assert demands["lm_head"].operations == 2 * d * shape.vocabulary * batch


def test_power_never_exceeds_the_cap_even_if_a_measurement_beats_the_roofline() -> None:
    data = t4().model_dump(by_alias=True)
    data["eager"]["measured"] = {"gpt2-xl": timed(blocks("gpt2-xl"), 1, note="too good")}
    result = baselines.evaluate(BaselineDevice.model_validate(data), blocks("gpt2-xl"), [1])
    assert result["model"]["kind"] == "measured"
    assert result["energy_pJ"] == pytest.approx(result["model"]["energy_cap_pJ"], rel=1e-12)


def test_prompt_computes_logits_for_its_last_token_only() -> None:
    extra = [
        baselines.evaluate("gpu-t4", build(MODELS["gpt2-small"], head), [1], prompt_tokens=1024)["prefill_latency_ns"]
        for head in (False, True)
    ]
    head_ns = 50257 * 768 * 4 / 240
    assert extra[1] - extra[0] == pytest.approx(head_ns, rel=0.05)


def test_batch_reads_the_weights_once() -> None:
    single, many = (
        baselines.evaluate("gpu-t4", blocks("gpt2-xl"), [1], batch=b)["roofline"]["latency_ns"] for b in (1, 16)
    )
    assert single < many < 1.05 * single


def test_measurement_of_the_users_own_replaces_the_model_for_what_was_measured() -> None:
    data = t4().model_dump(by_alias=True)
    data["eager"]["measured"] = {"gpt2-xl": timed(blocks("gpt2-xl"), 40.5, note="mine")}
    device = BaselineDevice.model_validate(data)
    mine = baselines.evaluate(device, blocks("gpt2-xl"), range(1, 11), prompt_tokens=8)
    assert mine["model"]["kind"] == "measured" and mine["model"]["bound"] == {"measured": 1.0}
    assert mine["latency_ns"] == pytest.approx(405e6)
    assert mine["prefill_latency_ns"] > 0 and "measured" not in mine["model"]["prefill"]["bound"]
    assert mine["model"]["constants"]["eager.measured.gpt2-xl"]["note"] == "mine"
    renamed = replace(blocks("gpt2-xl"), shape=replace(MODELS["gpt2-xl"], name="other"))
    assert baselines.evaluate(device, renamed, [5])["model"]["kind"] == "measured"  # a name says nothing


@pytest.mark.parametrize(
    ("workload", "arguments", "changes", "why"),
    [
        ("gpt2-large", {}, {}, "it measured gpt2-xl, none of which is this model"),
        ("one layer", {}, {}, "its gpt2-xl was measured of other operators or sizes"),
        ("whole", {}, {}, "was measured without the LM head, and this run is with it"),
        ("gpt2-xl", {"batch": 2}, {}, "with one sequence a step, and this run has 2 sequences a step"),
        ("gpt2-xl", {"contexts": [2], "query_tokens": 2}, {}, "and this run has one sequence a step of 2 tokens"),
        ("gpt2-xl", {"contexts": [1000, 1001]}, {}, "at contexts 1 to 1,000, and this run decodes at 1,000 to 1,001"),
        ("gpt2-xl", {}, {"data_type": "fp16"}, "in fp16, and the file's eager model is in fp32"),
        ("gpt2-xl", {}, None, "its gpt2-xl does not say what was measured"),
        ("gpt2-xl", {"batch": 2, "contexts": [1001]}, {}, "2 sequences a step and was measured at contexts"),
    ],
)  # fmt: skip
def test_measurement_of_something_else_gives_the_formula_and_says_why(
    workload: str, arguments: dict[str, Any], changes: dict[str, Any] | None, why: str
) -> None:
    runs = {
        "one layer": build(replace(MODELS["gpt2-xl"], layers=1), lm_head=False),
        "whole": whole("gpt2-xl"),
        "gpt2-large": blocks("gpt2-large"),
    }
    run, data = runs.get(workload, blocks("gpt2-xl")), t4().model_dump(by_alias=True)
    entry = timed(blocks("gpt2-xl"), 40.5)
    entry["scope"] = None if changes is None else entry["scope"] | changes
    data["eager"]["measured"] = {"gpt2-xl": entry}
    found = baselines.evaluate(BaselineDevice.model_validate(data), run, **({"contexts": [5]} | arguments))
    formula = baselines.evaluate("gpu-t4", run, **({"contexts": [5]} | arguments))
    assert found["model"]["kind"] == "eager" and why in found["model"]["note"]
    assert found["latency_ns"] == formula["latency_ns"] and formula["model"]["note"] == ""


def test_of_several_measurements_the_one_that_covers_the_run_counts() -> None:
    data = t4().model_dump(by_alias=True)
    data["eager"]["measured"] = {
        name: timed(blocks("gpt2-xl"), ms, contexts=contexts)
        for name, ms, contexts in (("short", 40, (1, 64)), ("long", 60, (900, 1024)))
    }
    device = BaselineDevice.model_validate(data)
    at = {t: baselines.evaluate(device, blocks("gpt2-xl"), [t])["latency_ns"] / 1e6 for t in (64, 900)}
    assert at == {64: 40, 900: 60}
    assert baselines.evaluate(device, blocks("gpt2-xl"), [500])["model"]["kind"] == "eager"


@pytest.mark.parametrize("name", ["gpt2-small", "gpt2-medium", "gpt2-large"])
def test_shipped_measurements_are_of_the_models_that_they_name(name: str) -> None:
    measured = baselines.evaluate("cpu-epyc-2core", whole(name), range(36, 44))
    assert measured["model"]["kind"] == "measured"
    formula = baselines.evaluate("cpu-epyc-2core", whole(name), range(35, 44))
    assert formula["model"]["kind"] == "eager"
    note = formula["model"]["constants"]["eager.op_time"]["note"]
    stated = float(note.partition("at most ")[2].partition("%")[0]) / 100  # rounded to a whole per cent
    assert formula["latency_per_token_ns"] == pytest.approx(measured["latency_per_token_ns"], rel=stated + 0.005)


# -- what fits ---------------------------------------------------------------------------------


def test_what_is_needed_is_every_weight_and_k_and_v_of_every_sequence() -> None:
    """Mixtral's 46.7 G parameters, all experts, less the tables; in a 4-byte format 186 GB."""
    mixtral, d, kv = build(MODELS["mixtral-8x7b"], lm_head=False), 4096, 1024
    block = d * (d + 2 * kv) + d * d + 8 * 3 * d * 14336 + 8 * d + 2 * d
    kept = 3 * 2 * kv * 100
    for device, size in (("gpu-t4", 4), ("gpu-t4-fused", 2)):
        found = baselines.evaluate(device, mixtral, range(1, 101), batch=3)
        assert found["required_bytes"] == 32 * (block + kept) * size
        assert (found["fits"], found["capacity_bytes"]) == (False, 16 * 10**9)
        assert found["roofline"]["required_bytes"] == 32 * (block + kept) * 2
    assert baselines.evaluate("cpu-xeon-6154", mixtral, [100])["fits"] is True


def test_scope_decides_whether_tables_are_needed_and_a_tied_one_counts_once() -> None:
    small = MODELS["gpt2-small"]
    need = {head: baselines.evaluate("gpu-t4", build(small, head), [1])["required_bytes"] for head in (False, True)}
    assert need[True] - need[False] == 4 * ((small.vocabulary + small.max_positions) * 768 + 2 * 768)


def test_window_bounds_what_is_kept_and_a_long_prompt_counts() -> None:
    mistral = build(MODELS["mistral-7b"], lm_head=False)
    need = [baselines.evaluate("gpu-t4", mistral, [t])["required_bytes"] for t in (1, 4096, 100_000)]
    assert need[1] == need[2] and need[1] - need[0] == 4 * 32 * 2 * 1024 * 4095
    small, one = blocks("gpt2-small"), 4 * 12 * 2 * 768
    short, prompted = (baselines.evaluate("gpu-t4", small, [9], prompt_tokens=p)["required_bytes"] for p in (0, 20))
    assert prompted - short == 11 * one


def test_machine_of_exactly_the_needed_size_fits_and_one_byte_less_does_not() -> None:
    need = baselines.evaluate("gpu-t4", blocks("gpt2-small"), [1])["required_bytes"]
    for spare, fits in ((0, True), (-1, False)):
        device = changed(t4(), "memory.capacity", (need + spare) / 1e9)
        found = baselines.evaluate(device, blocks("gpt2-small"), [1])
        assert (found["fits"], found["capacity_bytes"]) == (fits, need + spare)
        assert found["roofline"]["fits"] is True  # half the size


def test_machine_that_does_not_state_its_memory_is_not_said_to_be_too_small() -> None:
    data = t4().model_dump(by_alias=True)
    data["memory"]["capacity"] = None
    found = baselines.evaluate(BaselineDevice.model_validate(data), build(MODELS["gpt3-175b"], lm_head=False), [1])
    assert (found["fits"], found["capacity_bytes"]) == (True, None)


def test_the_papers_models_fit_the_papers_machines() -> None:
    for device in ("gpu-t4", "cpu-xeon-6154"):
        for name in (*GPT2, "gpt3-small", "gpt3-medium", "gpt3-large", "gpt3-xl"):
            assert baselines.evaluate(device, blocks(name), [1024])["fits"] is True


def test_result_is_json_with_constants_and_their_sources() -> None:
    result = baselines.evaluate("gpu-t4", blocks("gpt2-small"), range(1, 9), prompt_tokens=3)
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    constants = result["model"]["constants"]
    assert constants["eager.op_time"]["value"] == 18.3 and constants["eager.op_time"]["source"] == "derived"
    assert constants["power.cap"]["unit"] == "W"
    assert all(constant["note"] for constant in constants.values())


def test_each_expert_that_runs_is_launched() -> None:
    """Mixtral in the device's own counts: for 2 experts 2 products (gate and up are one), SiLU and gate; their sum."""
    mixtral = unrecorded(build(MODELS["mixtral-8x7b"], lm_head=False))
    block = 2 * 6 + 4 * 3 + 16 + 27 + (3 + 2 + 1) + 2 * (2 * 3 + 1 + 1) + 2 + 2
    assert baselines.evaluate("gpu-t4", mixtral, [1])["model"]["aten_ops_per_step"] == 32 * block + 31


@pytest.mark.parametrize("batch", [1, 2, 3, 100])
def test_experts_that_are_read_are_those_that_a_batch_chooses(batch: int) -> None:
    """E (1 - (1 - k/E)^B): 2 of 8 for one token, all 8 for many, against a plain simulation."""
    found = expected_experts(8, 2, batch)
    assert found == pytest.approx(8 * (1 - 0.75**batch))
    random = Random(1)
    drawn = [len({e for _ in range(batch) for e in random.sample(range(8), 2)}) for _ in range(4000)]
    assert found == pytest.approx(sum(drawn) / len(drawn), rel=0.02)


def test_experts_that_are_never_chosen_are_not_read() -> None:
    assert expected_experts(4, 1, 1000, (1.0, 1.0, 0.0, 0.0)) == pytest.approx(2)
    for weights in ((3.0, 1.0, 1.0, 1.0), (9.0, 1.0, 1.0, 1.0), (9.0, 9.0, 1.0, 0.0), (1.0, 1.0, 0.0, 0.0)):
        assert expected_experts(4, 2, 1, weights) == pytest.approx(2)
    assert expected_experts(4, 2, 2, (9.0, 1.0, 1.0, 1.0)) == pytest.approx(1 + 3 * (1 - (2 / 3) ** 2))
    mixtral = build(MODELS["mixtral-8x7b"], lm_head=False)
    skewed = replace(mixtral, routing=(1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0))
    times = [baselines.evaluate("gpu-t4", w, [1], batch=8)["roofline"]["latency_ns"] for w in (mixtral, skewed)]
    experts = 3 * 4096 * 14336
    assert times[0] - times[1] == pytest.approx(32 * (expected_experts(8, 2, 8) - 2) * experts * 2 / 240, rel=1e-3)


def test_step_of_several_tokens_reads_weights_and_kv_once_and_computes_each_token() -> None:
    workload, d, layers = blocks("gpt2-small"), 768, 12
    four = {x.operator.name: x for x in decode_demands(workload, np.array([100.0]), 2, query_tokens=4)}
    ones = [{x.operator.name: x for x in decode_demands(workload, np.array([float(t)]), 2)} for t in (97, 98, 99, 100)]
    for name, demand in four.items():
        assert demand.operations == sum(one[name].operations for one in ones)
    assert four["qkv"].elements == ones[0]["qkv"].elements
    assert four["attention"].elements == 2 * (2 * d * 100 + 2 * d * 4)
    result = baselines.evaluate("gpu-t4", workload, [4, 8], query_tokens=4)
    assert result["latency_per_token_ns"] == pytest.approx(result["latency_ns"] / 8)
    assert result["latency_ns"] == pytest.approx(2 * (51 * layers + 27) * 18.3e3)


def test_window_limits_what_attention_reads() -> None:
    mistral = build(MODELS["mistral-7b"], lm_head=False)
    at = [baselines.evaluate("gpu-t4", mistral, [t])["roofline"]["latency_ns"] for t in (2048, 4096, 16384)]
    assert at[1] == pytest.approx(at[2], rel=1e-9)
    assert at[1] - at[0] == pytest.approx(32 * 2 * 2048 * 1024 * 2 / 240, rel=1e-3)


def test_evaluation_of_1024_contexts_takes_milliseconds_and_repeats_to_the_bit() -> None:
    workload = whole("gpt3-xl")
    first = baselines.evaluate("gpu-t4", workload, range(1, 1025))
    times = []
    for _ in range(5):
        started = time.perf_counter()
        again = baselines.evaluate("gpu-t4", workload, range(1, 1025))
        times.append(time.perf_counter() - started)
        assert again == first
    assert min(times) < 0.02


@pytest.mark.parametrize(
    "arguments",
    [
        {"query_tokens": 2},
        {"query_tokens": 0},
        {"contexts": []},
        {"contexts": [0]},
        {"batch": 0},
        {"prompt_tokens": -1},
    ],
    ids=str,
)
def test_arguments_that_make_no_sense_are_refused(arguments: dict[str, Any]) -> None:
    given_: dict[str, Any] = {"contexts": [1], "batch": 1, "prompt_tokens": 0} | arguments
    with pytest.raises(ValueError, match="must be"):
        baselines.evaluate("gpu-t4", blocks("gpt2-small"), **given_)
