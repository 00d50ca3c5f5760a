"""Whether devices that share a model compute what one device does: weights, heads and sums as `devices` reads them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.workload.graph import Workload
from pimsim.workload.models import build
from pimsim.workload.ops import COLLECTIVES
from pimsim.workload.parallel.tensor import tensor_cut, tensor_cuts
from pimsim.workload.shapes import ModelShape, llama
from tests.parallel.devices import Devices

_SIZES = (2, 32, 8, 2, 48, 50, 64)
GPT = ModelShape("gpt", 2, 32, 8, 8, 64, 50, 64)
SHAPES = {
    "gpt": GPT,
    "llama": llama("llama", *_SIZES),
    "llama, one head of K and V": llama("llama", 2, 32, 8, 1, 48, 50, 64),
    "biases": llama("qwen", *_SIZES, biases=("qkv", "attn_out", "ffn_down")),
    "experts": llama("experts", *_SIZES, experts=4, active=2),
    "merged": replace(llama("phi", *_SIZES), merged_qkv=True, merged_gate=True),
    "norms": replace(llama("gemma", *_SIZES, head_size=6), post_norms=True, qk_norm="each", logit_softcap=True),
}


def norms_of_all_heads(graph: Workload) -> Workload:
    """With one norm for all heads of q, and one for all of k, as OLMo 2 has them: they need whole vectors."""
    norms = {"q_norm": 8, "k_norm": 2}
    operators = (
        replace(o, inputs=6 * norms[o.name], outputs=6 * norms[o.name], rows=1) if o.name in norms else o
        for o in graph.operators
    )
    return replace(graph, operators=tuple(operators))


GRAPHS = {name: build(shape, lm_head=True) for name, shape in SHAPES.items()}
GRAPHS["norms of all heads"] = norms_of_all_heads(GRAPHS["norms"])


@pytest.mark.parametrize("devices", [2, 4, 8])
@pytest.mark.parametrize("name", GRAPHS)
def test_every_device_has_the_logits_of_the_whole_model(name: str, devices: int) -> None:
    whole = GRAPHS[name]
    (expected,) = Devices(whole, whole).logits(3)
    found = Devices(whole, tensor_cut(whole, devices), devices).logits(3)
    assert len(expected) == 50 and np.abs(expected).max() > 0.1
    for each in found:
        np.testing.assert_allclose(each, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", GRAPHS)
def test_nothing_that_is_sent_can_be_left_out(name: str) -> None:
    """What each device has after an all-reduce is not what it had before."""
    whole = GRAPHS[name]
    devices = Devices(whole, tensor_cut(whole, 2), 2)
    devices.logits(3)
    for operator in devices.cut.operators:
        if operator.op in COLLECTIVES:
            first, second = ((values[operator.deps[0]], values[operator.name]) for values in devices.values)
            assert first[0].shape != first[1].shape or not np.allclose(*first)
            assert not np.allclose(first[0], second[0])


@st.composite
def shapes(draw: st.DrawFn) -> tuple[ModelShape, int]:
    """Two layers of any kind, and devices that divide them."""
    devices = draw(st.sampled_from([2, 3, 4, 6]))
    heads = devices * draw(st.integers(1, 2))
    kept = draw(st.sampled_from([n for n in range(1, heads + 1) if heads % n == 0 and 0 in (n % devices, devices % n)]))
    yes = st.booleans()
    experts = draw(st.sampled_from([1, 3]))
    merged = draw(yes)
    shape = llama(
        "any", 2, 24, heads, kept, devices * draw(st.integers(1, 3)), draw(st.integers(24, 60)), 64, tied=draw(yes),
        biases=tuple(draw(st.sets(st.sampled_from(["qkv", "attn_out", "ffn_up", "ffn_gate", "ffn_down"])))),
        experts=experts, active=draw(st.integers(1, experts)), head_size=2 * draw(st.integers(1, 3)),
    )  # fmt: skip
    return replace(
        shape, merged_qkv=merged, merged_gate=draw(yes), post_norms=draw(yes), logit_softcap=draw(yes),
        qk_norm="" if merged else draw(st.sampled_from(["", "each", "after"])), rope=draw(yes),
        gated=experts > 1 or draw(yes), norm=draw(st.sampled_from(["rmsnorm", "layernorm"])),
    ), devices  # fmt: skip


@given(shapes())
def test_every_device_has_the_logits_of_any_model(case: tuple[ModelShape, int]) -> None:
    shape, devices = case
    whole = build(shape, lm_head=True)
    (expected,) = Devices(whole, whole).logits(3)
    for each in Devices(whole, tensor_cut(whole, devices), devices).logits(3):
        np.testing.assert_allclose(each, expected, rtol=0, atol=1e-9)


def test_all_of_them_are_cut_over_all_numbers_that_divide_the_heads() -> None:
    assert {name: tensor_cuts(graph) for name, graph in GRAPHS.items()} == dict.fromkeys(GRAPHS, [1, 2, 4, 8])
