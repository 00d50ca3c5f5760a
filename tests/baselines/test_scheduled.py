"""Baselines that run a schedule, against plain ones and against formulas by hand."""

from __future__ import annotations

import time
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from pimsim import baselines
from pimsim.baselines.devices import BaselineDevice
from pimsim.baselines.held import required
from pimsim.baselines.scheduled import evaluate_schedule
from pimsim.mapping.routing import Routing
from pimsim.results.metrics import moved_by_schedule, moved_without_pim
from pimsim.workload.models import MODELS, Workload, build
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import EVERY, Copied, Forked, Schedule, Shared, Stage
from tests.baselines.schedules import DRAFT, SHAPE, Work, plain, schedule, tiny


def ns(found: Schedule) -> float:
    """The decode steps on a T4's roofline in fp16."""
    return float(evaluate_schedule("gpu-t4", found)["roofline"]["latency_ns"])


def decode(batch: int = 1, tokens: int = 1, workload: Workload | None = None, **more: Any) -> Stage:
    return Stage("decode", "decode", workload or tiny(), batch, tokens, **more)


# -- plain decoding ------------------------------------------------------------------------------


@pytest.mark.parametrize("device", baselines.available())
@pytest.mark.parametrize(
    ("model", "batch", "tokens", "prompt", "routing"),
    [
        ("gpt2-small", 1, 1, 0, Routing()),
        ("gpt3-xl", 3, 4, 17, Routing()),
        ("mistral-7b", 2, 5, 4200, Routing()),
        ("mixtral-8x7b", 2, 3, 9, Routing()),
        ("mixtral-8x7b", 1, 2, 5, Routing((), True, 7)),
    ],
)
def test_plain_decoding_is_what_it_was(
    device: str, model: str, batch: int, tokens: int, prompt: int, routing: Routing
) -> None:
    """To the last bit; only a measured time stands for plain decoding alone."""
    workload = build(MODELS[model], lm_head=True)
    contexts = range(prompt + 3 + tokens, prompt + 3 + 7 * tokens, tokens)
    before = contexts[0] - tokens - prompt
    old = baselines.evaluate(device, workload, contexts, batch, prompt, tokens, routing, before)
    new = evaluate_schedule(device, plain(workload, contexts, batch, tokens, prompt), routing)
    assert new.pop("tpot_ns") == old["latency_per_token_ns"]
    if old["model"]["kind"] == "measured":
        assert "plain decoding" in new["model"]["note"]
        old, new = old["compiled"], new["compiled"]
    old.get("model", {}).pop("note", None)
    new.get("model", {}).pop("note", None)
    assert new == old


def test_a_measured_time_stands_for_no_step_of_a_schedule() -> None:
    workload = build(MODELS["gpt2-small"], lm_head=True)
    assert baselines.evaluate("cpu-epyc-2core", workload, range(36, 44))["model"]["kind"] == "measured"
    found = evaluate_schedule("cpu-epyc-2core", plain(workload, range(36, 44), 1, 1))
    assert found["model"]["kind"] == "eager" and found["model"]["note"]


def test_a_prompt_goes_in_at_once_whatever_the_pieces() -> None:
    stages = [decode(), *(Stage("decode", "prefill", tiny(), 1, tokens) for tokens in (8, 4))]
    pieces = schedule(stages, [(1, 8, 8), (1, 16, 8), (2, 20, 4), (0, 21, 1)])
    whole = baselines.evaluate("gpu-t4", tiny(), [21], prompt_tokens=20)
    found = evaluate_schedule("gpu-t4", pieces)
    assert found["prefill_latency_ns"] == whole["prefill_latency_ns"] > 0
    apart = schedule(stages, [(1, 8, 8), (1, 17, 8), (0, 21, 1)])  # a token between them is there already
    assert evaluate_schedule("gpu-t4", apart)["prefill_latency_ns"] > 1.5 * found["prefill_latency_ns"]


def test_passes_whose_tokens_see_each_other_stay_apart() -> None:
    """Two blocks of 8 are not one of 16; two lines that take a prompt one after the other are one pass."""
    for changes, whole in (({"mask": "block"}, True), ({}, False)):
        stages = [Stage("e", "prefill", tiny(**changes), 1, 8, whole=whole, line=line) for line in (4, 5)]
        found = evaluate_schedule("gpu-t4", schedule(stages, [(0, 8, 8), (1, 16, 8)]))["roofline"]["prefill"]
        blocks = [Work(8, 8, 64, 8), Work(8, 16, 8 * 16, 8)]
        passes = blocks if whole else [Work(16, 16, sum(range(1, 17)), 16)]
        assert found["latency_ns"] == pytest.approx(sum(work.ns() for work in passes), rel=1e-12)


def test_an_encoder_has_a_prefill_and_no_figure_of_a_decode_step() -> None:
    found = evaluate_schedule(
        "gpu-t4", schedule([Stage("e", "prefill", tiny(mask="block"), 2, 50, whole=True)], [(0, 50, 50)])
    )
    assert found["latency_ns"] == 0 and found["tpot_ns"] is None and found["latency_per_token_ns"] is None
    assert found["model"]["bound"] == {} and found["model"]["aten_ops_per_step"] == 0
    every = Work(100, 2 * 50, 2 * 50 * 50, 2 * 50)  # each sees all 50
    assert found["roofline"]["prefill"]["latency_ns"] == pytest.approx(every.ns(), rel=1e-12)


def test_what_stands_behind_the_blocks_runs_where_the_schedule_says() -> None:
    workload = build(SHAPE, lm_head=True)
    steps = [(0, 5, 1), (0, 6, 1), (0, 7, 1)]
    some = schedule([decode(workload=workload)], steps, heads=[True, False, True])
    every = schedule([decode(workload=workload)], steps)
    head = 2 * 64 * 500 / 240 + 2 * 2 * 64 / 240
    assert ns(every) - ns(some) == pytest.approx(head, rel=1e-9)
    assert moved_by_schedule(every) - moved_by_schedule(some) == 2 * 64 * 500  # the matrix alone


# -- one rule, written again ---------------------------------------------------------------------


def test_five_tokens_that_are_verified_at_once_read_the_weights_once() -> None:
    verified = schedule([decode(tokens=5)], [(0, 20, 3)])
    single = schedule([decode()], [(0, context, 1) for context in range(16, 21)])
    assert ns(verified) == pytest.approx(Work(5, 20, 16 + 17 + 18 + 19 + 20, 5).ns(), rel=1e-12)
    assert ns(single) == pytest.approx(sum(Work(1, t, t, 1).ns() for t in range(16, 21)), rel=1e-12)
    weights = 2 * (12 * 64**2 + 9 * 64 + 256 + 4 * 64)  # of both layers, biases and norms too
    read = 2 * 2 * 64 * (16 + 17 + 18 + 19)  # K and V that the single steps read again
    assert ns(single) - ns(verified) == pytest.approx((4 * weights + read) * 2 / 240, rel=1e-2)


def test_each_sequence_reads_its_own_keys_and_values() -> None:
    assert ns(schedule([decode(batch=3)], [(0, 20, 1)])) == pytest.approx(Work(3, 60, 60, 3).ns(), rel=1e-12)


def test_a_shared_prefix_is_read_once_a_step_and_computed_for_each() -> None:
    """Sequences 2 and 3 go on from 0 and 1 after 16 tokens; 4 from 2's 18, of which 16 are 0's."""
    branches = ((), (), (Shared(0, 16),), (Shared(1, 16),), (Shared(0, 16), Shared(2, 18)))
    forked = schedule([decode(batch=5, branches=branches)], [(0, 20, 1), (0, 21, 1)])
    read = [20 + 20 + 4 + 4 + 2, 21 + 21 + 5 + 5 + 3]
    expected = [Work(5, n, 5 * t, 5) for n, t in zip(read, (20, 21), strict=True)]
    assert ns(forked) == pytest.approx(sum(work.ns() for work in expected), rel=1e-12)
    weights = 2 * 12 * 64**2
    assert moved_by_schedule(forked) == 2 * (2 * weights + 2 * 2 * 64 * sum(read))


def test_a_cache_that_nobody_uses_of_its_own_is_read_for_those_who_share_it() -> None:
    """Both hypotheses go on from sequence 0's first 10, and then from 1's up to 14."""
    branches = ((Shared(0, 10), Shared(1, 14)), (Shared(0, 10),))
    found = schedule([decode(batch=2, branches=branches)], [(0, 20, 1)])
    read = 10 + (20 - 10) + (20 - 14)
    assert ns(found) == pytest.approx(Work(2, read, 40, 2).ns(), rel=1e-12)


def test_a_shared_prefix_behind_a_window_is_read_as_far_as_it_is_seen() -> None:
    branches = ((), (Shared(0, 16),))
    stage = decode(batch=2, workload=tiny(window=8, sinks=3), branches=branches)
    for context, own in ((20, 4), (25, 8), (40, 8)):  # of 11 that each sees: 3 sinks, and the last 8
        shared = 3 + max(0, 16 - (context - 8))
        read = 2 * own + shared
        assert ns(schedule([stage], [(0, context, 1)])) == pytest.approx(Work(2, read, 22, 2).ns(), rel=1e-12)


def test_a_token_of_a_tree_attends_to_the_prefix_and_its_path() -> None:
    tree = (-1, 0, 0, 1, 1, 2)  # depths 0 1 1 2 2 2
    path = (Copied(EVERY, EVERY, 12, 11, 1), Copied(EVERY, EVERY, 15, 12, 1))
    found = schedule([decode(batch=2, tokens=6, tree=tree)], [(0, 16, 3)], after={0: path})
    scores = 2 * (11 + 12 + 12 + 13 + 13 + 13)
    assert ns(found) == pytest.approx(Work(12, 2 * 16, scores, 12, copied=4).ns(), rel=1e-12)
    weights = 2 * 12 * 64**2
    assert moved_by_schedule(found) == 2 * (weights + 2 * 2 * 64 * (32 + 4))


def test_a_tree_that_is_a_chain_is_the_chain() -> None:
    chain, tree = (schedule([decode(tokens=4, tree=tree)], [(0, 9, 2)]) for tree in ((), (-1, 0, 1, 2)))
    assert evaluate_schedule("gpu-h100", chain) == evaluate_schedule("gpu-h100", tree)


def test_what_is_copied_is_read_and_written_and_a_fork_copies_nothing() -> None:
    stage = decode(batch=4, branches=((), (), (), (Shared(0, 16),)))
    none, fork, some = (
        schedule([stage], [(0, 22, 1)], before={0: before})
        for before in ((), (Forked(0, 3, 16),), (Forked(0, 3, 16), Copied(1, 2, 16, 16, 5)))
    )
    assert ns(fork) == ns(none) and moved_by_schedule(fork) == moved_by_schedule(none)
    assert ns(some) - ns(none) == pytest.approx(2 * 2 * (2 * 64 * 5) * 2 / 240, rel=1e-9)
    assert moved_by_schedule(some) - moved_by_schedule(none) == 2 * 2 * (2 * 64 * 5)


@pytest.mark.parametrize(
    ("changes", "scores", "written"),
    [
        ({"mask": "block"}, 3 * 20, 3),
        ({"append": False}, 3 * 20, 0),
        ({"append": False, "kv_slope": 0, "kv_constant": 50}, 3 * 50, 0),
        ({"appended": 1}, 3 * 20, 1),
        ({"tokens": 7}, sum(range(14, 21)), 7),
    ],
)
def test_attention_reads_writes_and_computes_what_the_operator_says(
    changes: dict[str, Any], scores: int, written: int
) -> None:
    read = changes.get("kv_constant", 20)
    work, found = Work(3, read, scores, written), schedule([decode(tokens=3, workload=tiny(**changes))], [(0, 20, 3)])
    assert ns(found) == pytest.approx(work.ns(), rel=1e-12)


def test_forks_of_one_encoder_read_its_keys_and_values_once() -> None:
    cross = tiny(append=False, kv_slope=0, kv_constant=50)
    stage = decode(batch=3, workload=cross, branches=((), (Shared(0, 4),), (Shared(0, 4),)))
    assert ns(schedule([stage], [(0, 5, 1)])) == pytest.approx(Work(3, 50, 150, 0).ns(), rel=1e-12)


def test_values_may_be_narrower_than_keys() -> None:
    one = Operator(
        "attention", "attn", "attention", "block", 4 * (16 + 16 + 8), 4 * 8, heads=4, kv_heads=4, head_dim=16,
        value_dim=8,
    )  # fmt: skip
    found = schedule([decode(workload=replace(tiny(), operators=(one,), blocks=3))], [(0, 20, 1)])
    assert ns(found) == pytest.approx(3 * 4 * (16 + 8) * (20 + 1) * 2 / 240, rel=1e-12)
    copied = schedule(found.stages, [(0, 20, 1)], before={0: (Copied(0, 0, 4, 5, 2),)})
    assert ns(copied) - ns(found) == pytest.approx(3 * 4 * (16 + 8) * 2 * 2 * 2 / 240, rel=1e-9)


def test_a_state_is_read_and_written_once_a_step() -> None:
    one = Operator("ssm", "ssm", "ssm_update", "block", 1000, 10)
    workload = replace(tiny(), operators=(one,), blocks=3)
    found = schedule([decode(batch=2, tokens=4, workload=workload)], [(0, 20, 4)])
    assert ns(found) == pytest.approx(3 * 2 * 2 * 1000 * 2 / 240, rel=1e-12)
    assert moved_by_schedule(found) == moved_without_pim(workload, [20], 2, 4) == 2 * 3 * 2 * 1000
    assert required(found).elements == 3 * 2 * 1000


# -- speculation ---------------------------------------------------------------------------------


def speculation(cycles: int = 3, kept: int = 2) -> Schedule:
    """Of each cycle 4 drafts, and their verification, from a context of 10 on."""
    stages = [
        decode(batch=2, workload=build(DRAFT, lm_head=False), part="drafting"),
        decode(batch=2, tokens=5, part="verification"),
    ]
    steps = []
    for cycle in range(cycles):
        base = 10 + kept * cycle
        steps += [*((0, base + 1 + i, 0) for i in range(4)), (1, base + 5, kept)]
    return schedule(stages, steps)


def test_drafting_verification_and_rejected_work_are_told_apart() -> None:
    found, size = evaluate_schedule("gpu-t4", speculation()), {"width": 32, "ff": 128, "heads": 2}
    bases = (10, 12, 14)
    draft = sum(Work(2, 2 * (b + i), 2 * (b + i), 2).ns(1, **size) for b in bases for i in range(1, 5))
    verify = sum(Work(10, 2 * (b + 5), 2 * sum(range(b + 1, b + 6)), 10).ns() for b in bases)
    parts = found["roofline"]["parts"]
    assert list(parts) == list(found["parts"]) == ["drafting", "verification", "rejected"]
    assert parts["drafting"]["latency_ns"] == pytest.approx(draft, rel=1e-12)
    assert parts["verification"]["latency_ns"] == pytest.approx(verify, rel=1e-12)
    assert parts["rejected"]["latency_ns"] == pytest.approx(verify * 3 / 5, rel=1e-12)
    assert found["roofline"]["latency_ns"] == pytest.approx(draft + verify, rel=1e-12)
    for part in (found, found["compiled"], found["roofline"]):
        for key in ("latency_ns", "energy_pJ"):
            there = part["parts"]
            assert there["drafting"][key] + there["verification"][key] == pytest.approx(part[key], rel=1e-12)
            assert there["rejected"][key] == pytest.approx(there["verification"][key] * 3 / 5, rel=1e-12)


def test_figures_per_token_count_those_of_one_sequence_or_of_all() -> None:
    found = evaluate_schedule("gpu-t4", speculation())
    assert found["tpot_ns"] == found["latency_ns"] / 6
    assert found["latency_per_token_ns"] == found["latency_ns"] / (3 * 9)
    assert found["energy_per_token_pJ"] == found["energy_pJ"] / 12


def test_plain_decoding_has_no_parts() -> None:
    assert "parts" not in evaluate_schedule("gpu-t4", plain(tiny(), [5, 6], 1, 1))


def test_launches_are_those_of_every_step_and_told_on_average() -> None:
    found = evaluate_schedule("gpu-t4", speculation())
    own = {
        name: baselines.evaluate("gpu-t4", build(shape, lm_head=False), [9])["model"]["aten_ops_per_step"]
        for name, shape in (("draft", DRAFT), ("target", SHAPE))
    }
    assert found["model"]["aten_ops_per_step"] == pytest.approx((4 * own["draft"] + own["target"]) / 5)
    assert found["latency_ns"] == pytest.approx(3 * (4 * own["draft"] + own["target"]) * 18.3e3, rel=1e-12)


def test_a_cpu_runs_operator_after_operator_in_a_schedule_too() -> None:
    found = evaluate_schedule("cpu-xeon-6154", speculation())
    assert found["latency_ns"] > found["compiled"]["latency_ns"] > found["roofline"]["latency_ns"]


# -- what it takes -------------------------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt2-small", "mixtral-8x7b", "mistral-7b"])
def test_plain_decoding_needs_what_it_needed(model: str) -> None:
    workload = build(MODELS[model], lm_head=True)
    old = baselines.evaluate("gpu-t4", workload, [30, 31], batch=3)
    assert required(plain(workload, [30, 31], 3, 1)).elements * 4 == old["required_bytes"]


def test_every_model_is_there_once_with_the_keys_and_values_of_all_sequences() -> None:
    target, draft = (build(shape, lm_head=False).parameters for shape in (SHAPE, DRAFT))
    assert required(speculation()).elements == target + draft + 2 * (2 * 2 * 64 * 19 + 2 * 32 * 18)


def test_a_draft_that_is_part_of_the_model_adds_nothing() -> None:
    part = replace(tiny(), blocks=1)
    steps = [(0, 11, 0), (1, 12, 1)]
    alone = schedule([decode(), decode(tokens=2)], steps)
    skipping = schedule([decode(workload=part, layers=(1,)), decode(tokens=2)], steps)
    assert required(skipping).elements == required(alone).elements
    other = replace(part, shape=DRAFT)
    lent = schedule([replace(decode(workload=other), name="d", weights_of="decode"), decode(tokens=2)], steps)
    assert required(lent).elements == required(alone).elements + 2 * 64 * 11  # a cache of its own


def test_only_layers_that_run_are_needed() -> None:
    part = replace(tiny(), blocks=1)
    both = [decode(workload=part, layers=(0,)), decode(workload=part, layers=(1,))]
    assert required(schedule(both, [(0, 9, 1), (1, 9, 1)])).elements == tiny().parameters + 2 * 2 * 64 * 9
    assert required(schedule(both[:1], [(0, 9, 1)])).elements == tiny().parameters // 2 + 2 * 64 * 9


def test_a_shared_prefix_is_held_once() -> None:
    branches = ((), (Shared(0, 16),), (Shared(0, 16),))
    found = schedule([decode(batch=3, branches=branches)], [(0, 17, 1), (0, 20, 1)])
    assert required(found).elements == tiny().parameters + 2 * 2 * 64 * (20 + 4 + 4)


def test_what_does_not_fit_says_so() -> None:
    data = baselines.load("gpu-t4").model_dump(by_alias=True)
    data["memory"]["capacity"]["value"] = 1e-4
    found = evaluate_schedule(BaselineDevice.model_validate(data), speculation())
    assert not found["fits"] and not found["roofline"]["fits"]
    assert found["required_bytes"] == 2 * found["roofline"]["required_bytes"] == 4 * required(speculation()).elements


# -- what would move without PIM -----------------------------------------------------------------


@pytest.mark.parametrize("model", ["gpt2-small", "mixtral-8x7b", "mistral-7b"])
@pytest.mark.parametrize("routing", [Routing(), Routing((), True, 3)])
def test_plain_decoding_moves_what_it_moved(model: str, routing: Routing) -> None:
    workload, contexts = build(MODELS[model], lm_head=True), [5000, 5003]
    new = moved_by_schedule(plain(workload, contexts, 2, 3, prompt=4), routing)
    assert new == moved_without_pim(workload, contexts, 2, 3, routing)


def test_speculation_moves_both_models() -> None:
    draft = sum(12 * 32**2 + 2 * 2 * 32 * (b + i) for b in (10, 12, 14) for i in range(1, 5))
    verify = sum(2 * (12 * 64**2 + 2 * 2 * 64 * (b + 5)) for b in (10, 12, 14))
    assert moved_by_schedule(speculation()) == Fraction(2 * (draft + verify))


# -- speed ---------------------------------------------------------------------------------------


def test_a_thousand_cycles_and_as_many_forks_take_no_time() -> None:
    """Every step of the second has branches of its own."""
    target, draft = (build(MODELS[name], lm_head=True) for name in ("gpt3-xl", "gpt2-small"))
    stages = [decode(workload=draft, part="drafting"), decode(workload=target, tokens=5, part="verification")]
    steps = [step for c in range(1000) for step in (*((0, 3 * c + 1 + i, 0) for i in range(4)), (1, 3 * c + 5, 3))]
    beams = [decode(batch=4, workload=target, branches=((), *[(Shared(0, i),)] * 3)) for i in range(1000)]
    forks = [(i, 10 + i, 1) for i in range(1000)]
    runs = schedule(stages, steps), schedule(beams, forks)
    started = time.process_time()
    for run in runs:
        evaluate_schedule("gpu-h100", run)
        moved_by_schedule(run)
    assert time.process_time() - started < 3
