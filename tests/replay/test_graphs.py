"""The graphs of models since 2023: what they cost, against loops and hand arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.workload.graph import Workload
from pimsim.workload.models import MODELS, build
from pimsim.workload.ops import NOTES, Affine, Operator, attended
from pimsim.workload.shapes import ModelShape, llama

LLAMAS = [name for name in MODELS if not name.startswith("gpt")]
AFFINES = st.builds(
    Affine,
    st.integers(-5, 5),
    st.integers(-5, 5),
    st.lists(st.tuples(st.integers(1, 30), st.integers(-5, 5)), max_size=3).map(tuple),
)


@given(AFFINES, AFFINES, st.integers(-4, 4), st.integers(1, 40), st.integers(-3, 40))
def test_counts_with_windows_add_scale_and_sum(a: Affine, b: Affine, factor: int, first: int, length: int) -> None:
    contexts = range(first, first + length + 1)
    assert a.total(first, first + length) == sum(a.at(t) for t in contexts)
    for t in (1, 7, 30, 31, 500):
        assert (a + b).at(t) == a.at(t) + b.at(t)
        assert (a * factor).at(t) == a.at(t) * factor


@given(st.integers(0, 50), st.integers(1, 100))
def test_a_window_attends_to_its_last_tokens(window: int, context: int) -> None:
    assert attended(window, 3).at(context) == 3 * (min(window, context) if window else context)


@pytest.mark.parametrize("name", LLAMAS)
def test_operators_depend_on_earlier_ones_whose_lengths_fit(name: str) -> None:
    """What a router chose says which experts run, and is no part of their input; half of gate and up goes to SiLU."""
    workload = build(MODELS[name], lm_head=True)
    widths = {o.name: o.outputs for o in workload.operators}
    for operator in workload.operators:
        found = [widths[dep] for dep in operator.deps if dep not in ("input", "router_topk")]
        if operator.op in ("mul", "add", "silu"):
            assert set(found) <= {operator.inputs, 2 * operator.inputs}
        elif found:
            assert sum(found) == operator.inputs, operator.name


def test_experts_wait_for_their_router() -> None:
    block = build(MODELS["mixtral-8x7b"], lm_head=False).operators
    assert [o.name for o in block if "router_topk" in o.deps] == ["ffn_up", "ffn_down", "expert_sum"]
    assert [o.name for o in block if o.experts > 1] == ["ffn_up", "ffn_act", "ffn_mul", "ffn_down", "expert_sum"]


def test_a_block_of_mistral_by_hand() -> None:
    workload = build(MODELS["mistral-7b"], lm_head=False)
    d, kv, ff, heads = 4096, 1024, 14336, 32
    assert workload.matrix_parameters == 32 * (2 * d * d + 2 * d * kv + 3 * d * ff)
    elementwise = 2 * 4 * d + 2 * d + 3 * (d + kv) + (4 + 1) * ff  # norms, residuals, rope, silu and mul
    for context, seen in ((1, 1), (4096, 4096), (9000, 4096)):
        assert workload.matrix_macs(context) == workload.matrix_parameters + 32 * 2 * d * seen
        assert workload.flops(context) == 2 * workload.matrix_macs(context) + 32 * (elementwise + 6 * heads * seen)
        moved = workload.matrix_parameters + 32 * (2 * kv * seen + 2 * kv)
        assert workload.bytes(context) == 2 * moved


def test_a_token_of_mixtral_reads_two_experts_and_eight_tokens_all_of_them() -> None:
    workload = build(MODELS["mixtral-8x7b"], lm_head=False)
    by_name = {o.name: o for o in workload.operators}
    one = 2 * 4096 * 14336  # gate and up
    up, act, mix = by_name["ffn_up"], by_name["ffn_act"], by_name["expert_sum"]
    assert up.parameters() == 8 * one and up.matrix == 2 * one
    assert [up.elements(batch).at(1) for batch in (1, 2, 3, 4, 5)] == [2 * one, 4 * one, 6 * one, 8 * one, 8 * one]
    assert act.flops(1) == 2 * 4 * 14336
    assert mix.flops(1) == 3 * 4096  # two multiplies and an addition
    assert by_name["router_softmax"].flops(1) == 5 * 8
    assert by_name["router_topk"].flops(1) == 8 * 2 + 2 * 2
    assert workload.parameters == 46_702_792_704 - 2 * 32000 * 4096 - 4096


@pytest.mark.parametrize(
    ("op", "operations"), [("relu", 10), ("tanh", 30), ("softmax", 50), ("scale", 10), ("rope", 30)]
)
def test_elementwise_operators_count_their_nominal_operations(op: str, operations: int) -> None:
    operator = Operator("x", "activation", op, "block", 10, 10)
    assert operator.flops(99) == operations
    assert replace(operator, rows=3).flops(99) == 3 * operations


def test_a_norm_over_heads_has_one_gain_and_as_many_vectors() -> None:
    norm = Operator("x", "norm", "rmsnorm", "block", 64, 64, rows=32)
    assert norm.parameters() == norm.weights_read(biases=True) == 64
    assert norm.flops(1) == 4 * 64 * 32


def test_a_soft_cap_is_counted_for_every_score() -> None:
    capped = Operator("x", "attn", "attention", "block", 1, 8, heads=2, kv_heads=1, head_dim=4, softcap=True)
    assert capped.flops(10) - replace(capped, softcap=False).flops(10) == 3 * 2 * 10


def test_a_state_update_counts_its_state() -> None:
    assert Operator("x", "ssm", "ssm_update", "block", 16 * 100, 100).flops(5) == 7 * 1600


def test_an_embedding_without_positions_adds_nothing() -> None:
    (embed,) = build(MODELS["llama-3.2-1b"], lm_head=True).select("once_before")
    assert embed.flops(1) == 0 and embed.bytes(1) == 2 * 2048
    assert embed.parameters() == 128256 * 2048


# ---- what is refused --------------------------------------------------------------------------

LINEAR = Operator("x", "ffn_up", "linear", "block", 4, 8)
ATTENTION = Operator("x", "attn", "attention", "block", 1, 8, heads=2, kv_heads=1, head_dim=4)


@pytest.mark.parametrize(
    ("good", "changes", "message"),
    [
        (LINEAR, {"per": "step"}, "unknown per 'step'"),
        (LINEAR, {"layout": "row"}, "unknown layout 'row'"),
        (LINEAR, {"active": 2}, "2 of 1 experts are active"),
        (LINEAR, {"experts": 4, "active": 0}, "0 of 4 experts are active"),
        (LINEAR, {"rows": 0}, "rows, bits and blocks must be at least 1"),
        (LINEAR, {"group": -1}, "group, scale_bits, zero_bits, own_parameters, window, sinks and kernel at least 0"),
        (LINEAR, {"window": 4}, "window means nothing to 'linear'"),
        (LINEAR, {"tables": (4,)}, "tables means nothing to 'linear'"),
        (LINEAR, {"kv_heads": 4}, "kv_heads means nothing to 'linear'"),
        (ATTENTION, {"bias": True}, "bias means nothing to 'attention'"),
        (ATTENTION, {"experts": 2}, "experts means nothing to 'attention'"),
        (LINEAR, {"op": "silu"}, "silu must have as many outputs as inputs, not 4 and 8"),
        (LINEAR, {"op": "topk"}, "topk cannot choose 8 of 4"),
        (LINEAR, {"op": "embedding"}, "must be the rows of all tables"),
        (LINEAR, {"op": "embedding", "tables": (3, 2)}, "must be the rows of all tables"),
    ],
)
def test_operators_that_make_no_sense_are_refused(good: Operator, changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(good, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"window": -1}, "window must be at least 0"),
        ({"norm": "batchnorm"}, "unknown norm"),
        ({"activation": "swish"}, "unknown norm or activation"),
        ({"biases": ("q",)}, "unknown linear in biases"),
        ({"experts": 0}, "experts must be at least 1"),
        ({"active": 2}, "2 of 1 experts"),
    ],
)
def test_shapes_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MODELS["llama-3-8b"], **changes)  # type: ignore[arg-type]


SHAPE = llama("m", 2, 64, 4, 2, 96, 100, 64, experts=4, active=2)


def test_graphs_that_make_no_sense_are_refused() -> None:
    good = build(SHAPE, lm_head=True)
    first, *rest = good.operators
    with pytest.raises(ValueError, match="two operators are named 'embed'"):
        replace(good, operators=(first, *good.operators))
    with pytest.raises(ValueError, match="'final_norm' depends on 'q', which is not before it in its scope"):
        replace(good, operators=tuple(replace(o, deps=("q",)) if o.name == "final_norm" else o for o in good.operators))
    with pytest.raises(ValueError, match="'attn_residual' depends on 'attn_out'"):
        replace(good, operators=tuple(o for o in good.operators if o.name != "attn_out"))
    with pytest.raises(ValueError, match="4 experts, routing of 2"):
        replace(good, routing=(1.0, 1.0))
    with pytest.raises(ValueError, match="fewer experts than 2 are ever chosen"):
        replace(good, routing=(1.0, 0.0, 0.0, 0.0))
    with pytest.raises(ValueError, match="weight below 0"):
        replace(good, routing=(1.0, 1.0, 1.0, -1.0))


def test_the_hash_is_of_what_is_computed() -> None:
    """Every field of an operator changes it but what a checkpoint or a recorder calls things."""
    workload = build(SHAPE, lm_head=True)

    def hashed(name: str, **changes: object) -> str:
        changed = (replace(o, **changes) if o.name == name else o for o in workload.operators)  # type: ignore[arg-type]
        return replace(workload, operators=tuple(changed)).sha256()

    noted = {"weight": "x", "layout": "in_out", "aten": 3, "kernels": 2, "take": (("q", 0, 4),), "line": 9}
    assert set(noted) | {"table_names"} == set(NOTES)
    assert {hashed("q", **{key: value}) for key, value in noted.items()} == {workload.sha256()}
    assert hashed("embed", table_names=("x",)) == workload.sha256()
    different = [
        hashed("attention", window=7),
        hashed("attention", softcap=True),
        hashed("ffn_up", active=1),
        hashed("attn_norm", rows=2),
        hashed("lm_head", per="sequence"),
        hashed("q", bits=8),
        hashed("q", bits=8, group=32),
        replace(workload, routing=(1.0, 2.0, 1.0, 1.0)).sha256(),
        replace(workload, blocks=1).sha256(),
    ]
    assert len({workload.sha256(), *different}) == len(different) + 1


def test_a_block_may_span_layers() -> None:
    """Two layers as one block are the same step."""
    shape = ModelShape("m", 4, 64, 4, 4, 256, 100, 64)
    one = build(shape, lm_head=False)

    def second(operator: Operator) -> Operator:
        deps = ("ffn_residual",) if operator.name == "attn_norm" else tuple(f"{dep}2" for dep in operator.deps)
        deps = ("ffn_residual", "attn_out2") if operator.name == "attn_residual" else deps
        return replace(operator, name=f"{operator.name}2", deps=deps)

    two = Workload(shape, (*one.operators, *map(second, one.operators)), 2)
    assert (two.parameters, two.operations(), two.elements(3)) == (one.parameters, one.operations(), one.elements(3))
    assert one.blocks == 4 and two.sha256() != one.sha256()
