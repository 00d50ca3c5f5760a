"""Ready-made schedules run: what they keep, by hand; and what is none leaves the model as it is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim import api
from pimsim.devices.plan import compile_plan
from pimsim.workload.decoding import caches, drafts, heads, hypotheses, layers
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.records import Trace
from pimsim.workload.trace.writer import write_trace
from tests.conftest import SHIPPED
from tests.decoding.samples import SAMPLES, model

FEW = Asked(prompt=4, tokens=6)
LATER = Asked(prompt=0, tokens=12, context=300)
Keys = dict[str, Any]


@pytest.fixture
def summary(tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """The summary of a run of a trace, or of GPT2-small with some keys."""

    def run(trace: Trace | None = None, **keys: Any) -> dict[str, Any]:
        given: Keys = {"workload.lm_head": True, "baselines": [], "dram.rows": 1 << 18}
        given |= {key.replace("__", "."): value for key, value in keys.items()}
        if trace is None:
            given = {"workload.model": "gpt2-small"} | given
        else:
            given["workload.trace"] = str(write_trace(trace, tmp_path / "t.jsonl"))
        return pimsim.run(pimsim.load_config(SHIPPED, given)).summary

    return run


Summary = Callable[..., dict[str, Any]]


def counted(summary: dict[str, Any]) -> dict[str, Any]:
    """What a run comes to, but for names."""
    return {key: summary["system"][key] for key in ("cycles", "commands", "energy_pJ", "tpot_ns", "payload_bytes")}


# Tokens run and kept in the decode phase, by hand: passes x tokens of the lines, and floor(passes x mean).
KEPT = {
    "speculative": (9 * (4 + 5), 20),  # 20 / 2.28
    "speculative a tree": (9 * (1 + 8 + 21 + 15 + 8 + 3 + 81), 20),
    "speculative looked up": (12 * 4, 20),  # 20 / 1.73: 12 x 1.73 is 20.76
    "recycling": (8 * 81, 21),  # 8 x 2.73 is 21.84
    "swift": (9 * (4 + 5), 20),
    "medusa": (9 * 64, 20),  # 9 x 2.32 is 20.88
    "hydra": (7 * (1 + 10 + 23 + 2 + 64), 22),  # 7 x 3.26 is 22.82
    "eagle": (5 * (5 + 10 + 10 + 10 + 10 + 9 + 60), 21),  # 5 x 4.35 is 21.75
    "kangaroo": (9 * (7 + 6 + 7), 20),
    "layer-skip": (20, 20),
    "early-exit": (21, 21),
    "beams": (80, 80),
    "superposed": (20, 20),
    "duo-attention": (20, 20),
    "drop-prefix": (20, 20),
    "block-transformer": (25, 20),
    "next-scale": (680, 680),
}


@pytest.mark.parametrize("name", KEPT)
def test_a_run_keeps_what_its_schedule_says(name: str, summary: Summary) -> None:
    found = summary(SAMPLES[name]())
    assert (found["workload"]["tokens_run"], found["workload"]["tokens_kept"]) == KEPT[name]
    assert found["warnings"] == []


def test_every_mechanism_runs() -> None:
    assert {name.split()[0] for name in SAMPLES} == {name.split()[0] for name in KEPT}


# -- what is none


def test_drafts_that_are_all_kept_are_a_plain_chunk(summary: Summary) -> None:
    made = drafts.speculative(model("gpt2-small"), LATER, acceptance="all", drafts=3)
    plain = summary(workload__context=300, workload__output_tokens=12, workload__query_tokens=4)
    assert counted(summary(made)) == counted(plain)


NONE = {
    "no skipped layer": lambda asked: layers.layer_skip(model("gpt2-small"), asked, "0"),
    "one beam": lambda asked: hypotheses.beams(model("gpt2-small"), asked, 1),
    "one superposed draft": lambda asked: hypotheses.superposed(model("gpt2-small"), asked, 1),
    "no streaming head": lambda asked: caches.duo_attention(model("gpt2-small"), asked, "0"),
    "a prefix that is kept": lambda asked: caches.drop_prefix(model("gpt2-small"), asked, prefix=0, keep=0),
}


@pytest.mark.parametrize("name", NONE)
def test_a_mechanism_that_does_nothing_is_the_model(name: str, summary: Summary) -> None:
    plain = summary(workload__prompt_tokens=4, workload__output_tokens=6)
    assert counted(summary(NONE[name](FEW))) == counted(plain)


def test_streaming_heads_that_see_all_are_heads_written_apart(summary: Summary) -> None:
    """K and V have room for 1,024 tokens at least: a window that is longer than that is none."""
    wide, narrow = (caches.duo_attention(model("gpt2-small"), LATER, recent=recent) for recent in (1024, 16))
    [template] = wide.templates
    apart = tuple(replace(op, window=0, sinks=0) for op in template.ops)
    whole = replace(wide, templates=(replace(template, ops=apart),))
    assert counted(summary(wide)) == counted(summary(whole))
    assert summary(narrow)["system"]["cycles"] < summary(wide)["system"]["cycles"]


def test_a_prefix_dropped_before_the_model_saves_the_prompt(summary: Summary) -> None:
    asked = Asked(prompt=2, tokens=4)
    before, after = (
        summary(caches.drop_prefix(model("gpt2-small"), asked, 40, 8, when))["system"] for when in caches.WHEN
    )
    whole = summary(workload__prompt_tokens=42, workload__output_tokens=4)["system"]
    assert before["prefill_latency_ns"] < after["prefill_latency_ns"] == whole["prefill_latency_ns"]
    assert after["tpot_ns"] < whole["tpot_ns"]


def test_the_time_of_layers_is_that_of_their_share(summary: Summary) -> None:
    """Without what stands around the blocks every layer takes as long."""
    times = [
        summary(layers.layer_skip(model("gpt2-small"), LATER, skip), workload__lm_head=False)["system"]["tpot_ns"]
        for skip in ("0", "3", "6", "9")
    ]
    steps = [one - other for one, other in zip(times, times[1:], strict=False)]
    assert max(steps) / min(steps) < 1.02


# -- weights, and engines


def test_a_draft_that_shares_the_models_ends_stores_them_once(tmp_path: Path) -> None:
    def rows(trace: Trace) -> int:
        keys: Keys = {"workload.lm_head": True, "baselines": [], "dram.rows": 1 << 18}
        file = write_trace(trace, tmp_path / "t.jsonl")
        return api.prepare(pimsim.load_config(SHIPPED, keys | {"workload.trace": str(file)})).plan.memory.rows

    made = heads.eagle(model("gpt2-small"), FEW)
    apart = replace(made, templates=tuple(replace(template, weights_of="") for template in made.templates))
    head = 50257 * 768 * 2  # bytes of the matrix that is embedding and LM head, in all channels and banks
    per_row = 8 * 16 * 2048
    assert (rows(apart) - rows(made)) * per_row >= head
    assert rows(made) > compile_plan(pimsim.load_config(SHIPPED, {"workload.model": "gpt2-small"})).memory.rows


TINY = Asked(prompt=2, tokens=2)
STEPPED = {
    "kangaroo": lambda: heads.kangaroo(model("gpt2-small"), TINY, drafts=1, acceptance="all"),
    "beams": lambda: hypotheses.beams(model("gpt2-small"), TINY, 2, "1"),
    "hydra": lambda: heads.hydra(model("gpt2-small"), Asked(prompt=1, tokens=1), acceptance="2"),
    "drop-prefix": lambda: caches.drop_prefix(model("gpt2-small"), TINY, 3, 1),
}


@pytest.mark.parametrize("name", STEPPED)
def test_fast_is_stepped(name: str, summary: Summary) -> None:
    fast, stepped = (counted(summary(STEPPED[name](), engine__mode=mode)) for mode in ("fast", "stepped"))
    assert fast == stepped
