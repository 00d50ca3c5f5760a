"""What is told of values: beside the reference, beside numpy, and where a fault was planted."""

from __future__ import annotations

import math
from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from pimsim.sim.run import simulate
from pimsim.values.graph import Graph
from pimsim.values.machine.build import machine_of
from pimsim.values.moments import Moments, Where
from pimsim.values.numbers import F32
from pimsim.values.reference import Reference
from pimsim.values.watch import Watch
from pimsim.values.weights.model import Weights
from pimsim.workload.models import build
from tests.values.models import FAMILIES
from tests.values.runs import IDS, Case, case, weights_of

LONG = IDS * 4  # beyond the windows of the tiny models
PROMPT = 4


class Wrong(Weights):
    """The same model, with another matrix where layer 1 makes `up`."""

    def matrix(self, name: str, layer: int = 0, expert: int = 0, folded: bool = False) -> F32:
        """As `Weights`."""
        found = super().matrix(name, layer, expert, folded)
        return found[::-1].copy() if (name, layer) == ("ffn_up", 1) else found


def watched(one: Case, held: Weights | None = None, each: bool = False) -> Watch:
    """What a run's values were; held: the weights in the memory, if they are others."""
    watch = Watch(one.plan, one.weights, one.prompt + 1, each)
    machine = machine_of(one.plan, one.config, held or one.weights, lambda *_: None, watch.made)
    simulate(one.plan, observers=[machine])
    machine.finish()
    return watch


@pytest.mark.parametrize("family", FAMILIES)
def test_the_graph_in_float32_gives_the_logits_of_the_reference(family: str) -> None:
    weights = weights_of(family)
    workload = build(weights.shape, lm_head=True)
    graph, last = Graph(workload, weights), workload.select("once_after")[-1].name
    own = np.stack([graph.feed(token)[-1, last][0] for token in LONG])
    assert np.abs(own - Reference(weights).logits(LONG)).max() < 1e-4


@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
def test_the_head_is_as_far_off_as_its_logits_are_from_those_of_the_reference(device: str) -> None:
    one = case("llama", device, prompt=PROMPT)
    own, other = (logits[0][PROMPT:] for logits in (one.carried(), one.reference()))
    found = watched(one).by_operator[Where("decode", "lm_head", None)]
    assert found.elements == own.size
    assert (found.smallest, found.largest) == (own.min(), own.max())
    assert found.largest_error == pytest.approx(np.abs(own - other).max(), abs=1e-5)
    assert found.rms_error == pytest.approx(np.sqrt(np.mean((own - other) ** 2)), abs=1e-5)
    assert found.relative_error == pytest.approx(found.rms_error / np.sqrt(np.mean(other**2)), rel=1e-4)


@pytest.mark.parametrize("device", ["pim-gpt", "aim"])
@pytest.mark.parametrize("family", ["gpt2", "qwen3", "mixtral", "gemma3"])
def test_every_operator_is_there_in_every_layer_and_near(family: str, device: str) -> None:
    ids = IDS if family == "mixtral" else LONG[:20]  # later a router takes other experts than in float32
    one = case(family, device, ids, prompt=PROMPT)
    found, workload = watched(one).by_operator, one.workload
    layers = workload.shape.layers
    in_banks = {o.name for o in workload.operators if set(o.deps) & set(one.plan.functions)}
    names = {
        o.name.partition(".")[0] for o in workload.select("block") if o.op != "attention" and o.name not in in_banks
    }
    for phase, steps in (("prefill", PROMPT), ("decode", len(one.sequences[0]) - PROMPT)):
        for layer in range(layers):
            here = {where.operator: each for where, each in found.items() if where[::2] == (phase, layer)}
            assert set(here) == names | {"scores", "softmax", "values"}
            assert here["attn_norm"].elements == steps * workload.shape.d_model
    assert max(each.relative_error for each in found.values()) < 0.1
    assert max(each.relative_error for each in found.values()) > 1e-3


def test_scores_and_what_their_cap_makes_of_them_are_apart() -> None:
    found = watched(case("gemma2", prompt=PROMPT)).by_operator
    scores, capped = (found[Where("decode", name, 0)] for name in ("scores", "softcap"))
    assert scores.elements == capped.elements
    assert scores.relative_error < 0.02 < capped.relative_error  # a cap is coarse in BF16
    assert Where("decode", "softcap", 0) not in watched(case("llama", prompt=PROMPT)).by_operator


def test_a_fault_is_seen_where_it_is_and_not_before() -> None:
    one = case("llama", prompt=PROMPT)
    wrong = Wrong(**{field.name: getattr(one.weights, field.name) for field in fields(one.weights)})
    right, found = watched(one).by_operator, watched(one, wrong).by_operator
    order = list(right)
    at = order.index(Where("prefill", "ffn_up", 1))
    assert [found[where] for where in order[:at]] == [right[where] for where in order[:at]]
    assert found[order[at]].relative_error > 1 > 100 * right[order[at]].relative_error / 10
    assert (
        found[Where("decode", "lm_head", None)].relative_error
        > 10 * right[Where("decode", "lm_head", None)].relative_error
    )


def test_each_instruction_has_its_range_and_its_error() -> None:
    one = case("llama", prompt=PROMPT, sizes={"hidden_size": 192})
    watch = watched(one, each=True)
    assert {did.context for did in watch.by_instruction} == set(range(1, len(IDS) + 1))
    of_q = [told for did, told in watch.by_instruction.items() if did.key == "q" and did.block == 1]
    both = [watch.by_operator[Where(phase, "q", 1)] for phase in ("prefill", "decode")]
    assert min(told["min"] for told in of_q) == min(each.smallest for each in both)
    assert max(told["max_abs_error"] for told in of_q) == max(each.largest_error for each in both)
    assert any(set(told) == {"min", "max"} for told in watch.by_instruction.values())  # gains, the likeliest token


def test_moments_add_up_to_those_of_all_values() -> None:
    draw = np.random.default_rng(1)
    own, other = (draw.standard_normal((3, 50)).astype(np.float32) for _ in range(2))
    whole, parts = Moments.of(own, other), [Moments.of(a, b) for a, b in zip(own, other, strict=True)]
    added = parts[0] + parts[1] + parts[2]
    assert added.as_dict() == pytest.approx(whole.as_dict(), rel=1e-12)
    assert added.elements == 150
    wide = own.astype(np.float64) - other
    assert whole.rms_error == pytest.approx(np.sqrt(np.mean(wide**2)))
    assert whole.largest_error == np.abs(wide).max()


@pytest.mark.parametrize(("own", "other", "wanted"), [([0, 0], [0, 0], 0.0), ([1, 0], [0, 0], math.inf)])
def test_an_error_beside_nothing_is_infinite(own: Any, other: Any, wanted: float) -> None:
    assert Moments.of(np.array(own, np.float32), np.array(other, np.float32)).relative_error == wanted


def test_what_is_no_number_stays_so() -> None:
    good, bad = (Moments.of(np.array([x, 2], np.float32), np.ones(2, np.float32)) for x in (1, np.nan))
    for each in (bad, bad + good, good + bad):
        assert all(map(math.isnan, each.as_dict().values()))
