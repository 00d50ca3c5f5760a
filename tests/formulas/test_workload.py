"""Closed forms of the operator graph against published counts, loops and hand arithmetic."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.workload.models import MODELS, ModelShape, build
from pimsim.workload.ops import OPERATIONS_PER_SCORE, Affine, Operator

PAPER = [f"gpt{n}-{size}" for n in (2, 3) for size in ("small", "medium", "large", "xl")]
NAMES = [
    "attn_norm",
    "qkv",
    "attention",
    "attn_out",
    "attn_residual",
    "ffn_norm",
    "ffn_up",
    "ffn_act",
    "ffn_down",
    "ffn_residual",
]


@st.composite
def shapes(draw: st.DrawFn, grouped: bool = True) -> ModelShape:
    kv_heads = draw(st.integers(1, 8))
    heads = kv_heads * (draw(st.integers(1, 4)) if grouped else 1)
    d_model = heads * draw(st.integers(1, 64))
    return ModelShape(
        "random",
        draw(st.integers(1, 50)),
        d_model,
        heads,
        kv_heads,
        draw(st.integers(1, 5000)),
        draw(st.integers(1, 60000)),
        draw(st.integers(1, 4000)),
    )


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("gpt2-small", 124_439_808),
        ("gpt2-medium", 354_823_168),
        ("gpt2-large", 774_030_080),
        ("gpt2-xl", 1_557_611_200),
        ("llama-3.2-1b", 1_235_814_400),
        ("qwen2.5-0.5b", 494_032_768),
        ("qwen2.5-1.5b", 1_543_714_304),
        ("qwen2.5-3b", 3_085_938_688),
        ("mistral-7b", 7_241_732_096),
        ("llama-3-8b", 8_030_261_248),
        ("llama-3-70b", 70_553_706_496),
        ("llama-3.1-405b", 405_853_388_800),
        ("mixtral-8x7b", 46_702_792_704),
    ],
)
def test_whole_model_has_the_parameters_that_transformers_reports(name: str, parameters: int) -> None:
    assert build(MODELS[name], lm_head=True).parameters == parameters


@pytest.mark.parametrize("name", [name for name in MODELS if name.startswith("gpt")])
def test_decoder_blocks_have_12_d_squared_and_13_d_parameters_each(name: str) -> None:
    shape = MODELS[name]
    blocks = build(shape, lm_head=False)
    d = shape.d_model
    assert blocks.parameters == shape.layers * (12 * d * d + 13 * d)
    assert blocks.matrix_parameters == 12 * shape.layers * d * d
    assert not blocks.lm_head


@pytest.mark.parametrize("name", PAPER)
def test_paper_models_are_built_in_with_their_positions(name: str) -> None:
    assert MODELS[name].vocabulary == 50257
    assert MODELS[name].max_positions == (1024 if name.startswith("gpt2") else 2048)


@given(shapes())
def test_whole_model_adds_embeddings_final_norm_and_no_second_head(shape: ModelShape) -> None:
    d = shape.d_model
    extra = (shape.vocabulary + shape.max_positions) * d + 2 * d
    whole, blocks = build(shape, lm_head=True), build(shape, lm_head=False)
    assert whole.parameters - blocks.parameters == extra
    assert whole.matrix_parameters - blocks.matrix_parameters == shape.vocabulary * d


@given(shapes())
def test_parameters_of_a_grouped_query_block(shape: ModelShape) -> None:
    d, kv, f = shape.d_model, shape.kv_heads * shape.head_dim, shape.d_ff
    matrices = d * (d + 2 * kv) + d * d + 2 * d * f
    vectors = (d + 2 * kv) + d + f + d + 4 * d
    assert build(shape, lm_head=False).parameters == shape.layers * (matrices + vectors)


@given(shapes(), st.integers(1, 5000))
def test_attention_macs_are_two_products_of_the_query_width(shape: ModelShape, context: int) -> None:
    attention = next(o for o in build(shape, lm_head=False).operators if o.op == "attention")
    assert attention.matrix_macs(context) == 2 * context * shape.d_model
    assert attention.flops(context) == context * (4 * shape.d_model + OPERATIONS_PER_SCORE * shape.heads)
    assert attention.parameters() == 0


@given(shapes(), st.integers(1, 5000), st.sampled_from([1, 2, 4]), st.integers(1, 8))
def test_bytes_are_weights_once_and_keys_and_values_per_sequence(
    shape: ModelShape, context: int, size: int, batch: int
) -> None:
    workload = build(shape, lm_head=False)
    kv = shape.kv_heads * shape.head_dim
    moved = workload.matrix_parameters + batch * shape.layers * (2 * context * kv + 2 * kv)
    assert workload.bytes(context, size, batch) == moved * size
    assert (
        workload.bytes(context, size, batch, biases=True)
        == (moved + workload.parameters - workload.matrix_parameters) * size
    )


@pytest.mark.parametrize("name", PAPER)
def test_bytes_of_a_block_are_those_of_the_data_movement_formula(name: str) -> None:
    shape, context = MODELS[name], 512
    d = shape.d_model
    words = 12 * d * d + 2 * context * d + 2 * d
    assert build(shape, lm_head=False).bytes(context) == shape.layers * words * 2


@given(shapes(), st.integers(1, 300), st.booleans(), st.integers(1, 4))
def test_totals_of_a_prefilled_prompt_are_the_sum_over_its_contexts(
    shape: ModelShape, prompt: int, lm_head: bool, batch: int
) -> None:
    workload = build(shape, lm_head)
    contexts = range(1, prompt + 1)
    assert workload.total_flops(1, prompt) == sum(workload.flops(t) for t in contexts)
    assert workload.total_macs(1, prompt) == sum(workload.matrix_macs(t) for t in contexts)
    assert workload.total_bytes(1, prompt, 2, batch, True) == sum(workload.bytes(t, 2, batch, True) for t in contexts)


@given(st.integers(-5, 5), st.integers(-5, 5), st.integers(1, 40), st.integers(-3, 40))
def test_affine_total_is_the_sum_of_its_values(constant: int, slope: int, first: int, length: int) -> None:
    affine = Affine(constant, slope)
    last = first + length
    assert affine.total(first, last) == sum(affine.at(t) for t in range(first, last + 1))


def test_gpt3_xl_does_about_2_1_operations_per_parameter() -> None:
    workload = build(MODELS["gpt3-xl"], lm_head=False)
    assert workload.operations_per_parameter(range(1, 1025)) == pytest.approx(2.087, abs=0.001)


def test_operations_per_parameter_is_the_mean_over_the_contexts_given() -> None:
    workload = build(MODELS["gpt2-small"], lm_head=True)
    contexts = [3, 17, 900]
    mean = sum(workload.flops(t) for t in contexts) / 3
    assert workload.operations_per_parameter(contexts) == pytest.approx(mean / workload.matrix_parameters, rel=1e-15)
    with pytest.raises(ValueError, match="at least one context"):
        workload.operations_per_parameter([])


def test_gpt2_xl_step_has_the_gflop_that_a_recorded_step_has() -> None:
    """3.425 GFLOP of a recorded decode step at context 1024 counts matrix products only."""
    assert build(MODELS["gpt2-xl"], lm_head=True).matrix_macs(1024) * 2 == pytest.approx(3.425e9, rel=5e-4)


@given(st.integers(1, 500), st.integers(1, 500))
def test_linear_counts_two_operations_per_weight_and_one_per_bias(inputs: int, outputs: int) -> None:
    biased = Operator("x", "ffn_up", "linear", "block", inputs, outputs, bias=True)
    assert biased.flops(1) == 2 * inputs * outputs + outputs
    assert replace(biased, bias=False).flops(1) == 2 * inputs * outputs


def test_embedding_reads_a_token_row_and_a_position_row_per_sequence() -> None:
    (embed,) = build(MODELS["gpt2-small"], lm_head=True).select("once_before")
    assert embed.bytes(7, element_bytes=2) == 2 * 768 * 2
    assert embed.bytes(7, element_bytes=2, batch=5) == 5 * 2 * 768 * 2


@pytest.mark.parametrize(
    ("op", "per_element"), [("layernorm", 7), ("gelu", 9), ("add", 1), ("mul", 1), ("silu", 4), ("rmsnorm", 4)]
)
def test_elementwise_operators_count_their_nominal_operations(op: str, per_element: int) -> None:
    role = {"layernorm": "norm", "rmsnorm": "norm", "add": "residual"}.get(op, "activation")
    assert Operator("x", role, op, "block", 10, 10).flops(99) == 10 * per_element


def test_operators_come_in_order_and_depend_only_on_earlier_ones() -> None:
    workload = build(MODELS["gpt2-small"], lm_head=True)
    assert [o.name for o in workload.select("block")] == NAMES
    assert [o.name for o in workload.operators] == ["embed", *NAMES, "final_norm", "lm_head"]
    for scope in ("once_before", "block", "once_after"):
        seen = {"input"}
        for operator in workload.select(scope):
            assert operator.deps and set(operator.deps) <= seen
            seen.add(operator.name)


def test_lengths_of_connected_operators_fit() -> None:
    workload = build(replace(MODELS["gpt2-small"], kv_heads=4), lm_head=True)
    by_name = {o.name: o for o in workload.operators}
    for operator in workload.operators:
        for dep in set(operator.deps) - {"input"}:
            assert by_name[dep].outputs == operator.inputs, (dep, operator.name)


def test_hash_changes_with_the_graph_and_not_with_the_name() -> None:
    shape = MODELS["gpt2-small"]
    graph = build(shape, lm_head=False).sha256()
    assert build(replace(shape, name="mine"), lm_head=False).sha256() == graph
    variants = [
        build(shape, lm_head=True),
        build(replace(shape, layers=11), lm_head=False),
        build(replace(shape, kv_heads=6), lm_head=False),
        build(replace(shape, d_ff=3000), lm_head=False),
    ]
    assert len({graph, *(variant.sha256() for variant in variants)}) == 5
    assert len(graph) == 64 and set(graph) <= set("0123456789abcdef")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"layers": 0}, "layers must be at least 1, got 0"),
        ({"heads": 7}, r"heads \(7\) must divide d_model \(768\)"),
        ({"kv_heads": 5}, r"kv_heads \(5\) must divide heads \(12\)"),
        ({"d_ff": -1}, "d_ff must be at least 1"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(changes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(MODELS["gpt2-small"], **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"op": "fft"}, "unknown op 'fft'"),
        ({"role": "other"}, "unknown role 'other'"),
        ({"scope": "twice"}, "unknown scope 'twice'"),
        ({"outputs": 0}, "at least 1"),
        ({"op": "attention", "role": "attn"}, "all must be at least 1"),
        ({"op": "attention", "role": "attn", "heads": 2, "kv_heads": 1, "head_dim": 3}, "heads \\* head_dim"),
    ],
)
def test_operators_that_make_no_sense_are_refused(changes: dict[str, object], message: str) -> None:
    good = Operator("x", "ffn_up", "linear", "block", 4, 8)
    with pytest.raises(ValueError, match=message):
        replace(good, **changes)  # type: ignore[arg-type]
