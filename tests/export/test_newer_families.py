"""Families whose attention is not the usual one, against torch's counts and formulas of the sizes alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from torch.utils.flop_counter import FlopCounterMode  # noqa: E402

from pimsim.errors import InputError  # noqa: E402
from pimsim.workload.export import configs, export_trace  # noqa: E402
from pimsim.workload.trace.bind import total_cost  # noqa: E402
from pimsim.workload.trace.reader import load_trace  # noqa: E402
from pimsim.workload.trace.records import OpRecord, Template, Trace  # noqa: E402
from pimsim.workload.trace.writer import dump_trace, write_trace  # noqa: E402
from tests.export.families import FAMILIES, MULTIMODAL, _without  # noqa: E402
from tests.export.golden import write_config  # noqa: E402

PROMPT, SOURCE = 6, 7
# Heads of K and V, elements of one of each, of the tiny models: by hand, from their configurations.
KEPT = {
    "bloom": (4, 8, 8),
    "codegen": (4, 8, 8),
    "falcon": (1, 8, 8),
    "falcon_alibi": (4, 8, 8),
    "falcon_grouped": (2, 8, 8),
    "gptj": (4, 8, 8),
    "mpt": (4, 8, 8),
    "deepseek_v2": (4, 12, 6),
    "deepseek_v2_lite": (4, 12, 6),
    "deepseek_v3": (4, 12, 6),
}
LATENT = ("deepseek_v2", "deepseek_v2_lite", "deepseek_v3")
PUBLISHED: dict[str, tuple[dict[str, Any], int]] = {
    # source: recalled: config.json and numbers of parameters of the models' own pages
    "falcon-7b": (
        {
            "model_type": "falcon", "hidden_size": 4544, "num_hidden_layers": 32, "num_attention_heads": 71,
            "vocab_size": 65024, "bias": False, "multi_query": True, "parallel_attn": True,
        },
        6_921_720_704,
    ),
    "bloom-560m": (
        {"model_type": "bloom", "hidden_size": 1024, "n_layer": 24, "n_head": 16, "vocab_size": 250880},
        559_214_592,
    ),
    "mpt-7b": (
        {"model_type": "mpt", "d_model": 4096, "n_heads": 32, "n_layers": 32, "vocab_size": 50432, "max_seq_len": 2048},
        6_649_286_656,
    ),
    "gpt-j-6b": (
        {"model_type": "gptj", "n_embd": 4096, "n_layer": 28, "n_head": 16, "rotary_dim": 64, "vocab_size": 50400},
        6_050_882_784,
    ),
    "deepseek-v2-lite": (
        {
            "model_type": "deepseek_v2", "hidden_size": 2048, "num_hidden_layers": 27, "num_attention_heads": 16,
            "num_key_value_heads": 16, "vocab_size": 102400, "intermediate_size": 10944, "moe_intermediate_size": 1408,
            "n_routed_experts": 64, "n_shared_experts": 2, "num_experts_per_tok": 6, "first_k_dense_replace": 1,
            "kv_lora_rank": 512, "q_lora_rank": None, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
            "v_head_dim": 128, "topk_method": "greedy", "n_group": 1, "topk_group": 1,
        },
        15_706_484_224,
    ),
    "t5-small": (
        {
            "model_type": "t5", "d_model": 512, "d_ff": 2048, "d_kv": 64, "num_heads": 8, "num_layers": 6,
            "vocab_size": 32128, "decoder_start_token_id": 0,
        },
        60_506_624,
    ),
    "bart-base": (
        {
            "model_type": "bart", "d_model": 768, "encoder_layers": 6, "decoder_layers": 6, "vocab_size": 50265,
            "encoder_attention_heads": 12, "decoder_attention_heads": 12, "encoder_ffn_dim": 3072,
            "decoder_ffn_dim": 3072,
        },
        139_420_416,
    ),
}  # fmt: skip
_STACKS = {"d_model": 32, "vocab_size": 96}
_BART: dict[str, Any] = {
    "model_type": "bart", **_STACKS, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4,
    "decoder_attention_heads": 4, "encoder_ffn_dim": 48, "decoder_ffn_dim": 48, "max_position_embeddings": 64,
}  # fmt: skip
_T5: dict[str, Any] = {
    "model_type": "t5", **_STACKS, "num_layers": 2, "num_heads": 4, "d_kv": 10, "d_ff": 48, "decoder_start_token_id": 0,
}  # fmt: skip
PAIRS: dict[str, dict[str, Any]] = {
    "t5": _T5,
    "t5-gated": {**_T5, "feed_forward_proj": "gated-gelu", "tie_word_embeddings": False},
    "bart": _BART,
    "bart-scaled": {**_BART, "scale_embedding": True, "activation_function": "relu"},
}


def _trace(folder: Path, name: str, config: dict[str, Any], **options: Any) -> Trace:
    """An export that was written, read again, and is valid."""
    made = export_trace(str(write_config(folder, name, config)), steps=4, **options)
    write_trace(made, folder / "trace.jsonl")
    trace = load_trace(folder / "trace.jsonl")
    assert dump_trace(trace) == dump_trace(made)
    return trace


def _module(folder: Path, name: str, kind: Any = transformers.AutoModelForCausalLM) -> Any:
    """The model as transformers has it, which knows nothing of the exporter."""
    config = configs.transformers_config(configs.load(str(folder / f"tiny-{name}.json")).part())
    with torch.device("meta"):
        return kind.from_config(config, dtype=torch.bfloat16, attn_implementation="eager").eval()


def _grouped(rows: Any, experts: Any, *_: Any, **__: Any) -> int:
    return 2 * int(rows[0] * rows[1] * experts[-1])


def _flops(module: Any, *arguments: Any, **options: Any) -> tuple[int, Any]:
    """What torch counts of a forward pass without rotation tables, and what it returns."""
    counter = FlopCounterMode(display=False, custom_mapping={torch.ops.aten._grouped_mm: _grouped})
    with torch.device("meta"), torch.no_grad(), counter:
        result = module(*arguments, use_cache=True, **options)
    tables = {
        name: sum(counts.values()) for name, counts in counter.get_flop_counts().items() if name.endswith("rotary_emb")
    }
    return counter.get_total_flops() - sum(tables.values()), result


def _zeros(count: int) -> Any:
    return torch.zeros(1, count, dtype=torch.long, device="meta")


def _matrix_flops(trace: Trace, template: str, context: int, **more: int) -> int:
    return total_cost(trace.header, trace.template(template), {"T": context, "B": 1, "Q": 1, **more}).matrix_flops


def _op(template: Template, name: str) -> OpRecord:
    return next(op for op in template.ops if op.id == name)


# ---- decoders


@pytest.mark.parametrize("family", KEPT)
def test_counts_of_a_token_are_those_of_torch(family: str, tmp_path: Path) -> None:
    """The first token of a sequence, so that nothing that was kept is made again (which DeepSeek's class does)."""
    trace, module = _trace(tmp_path, family, FAMILIES[family], prompt=PROMPT), _module(tmp_path, family)
    flops, _ = _flops(module, _zeros(1))
    assert _matrix_flops(trace, "decode", 1) == flops
    parameters = sum(parameter.numel() for parameter in module.parameters())
    cost = total_cost(trace.header, trace.template("decode"), {"T": 1, "B": 1, "Q": 1})
    assert (trace.header.model.parameters, cost.weights, cost.weight_bytes) == (parameters, parameters, 2 * parameters)


@pytest.mark.parametrize("family", KEPT)
def test_k_and_v_of_a_context(family: str, tmp_path: Path) -> None:
    trace = _trace(tmp_path, family, FAMILIES[family])
    heads, keys, values = KEPT[family]
    layers = trace.header.model.layers
    cost = total_cost(trace.header, trace.template("decode"), {"T": 50, "B": 3, "Q": 1})
    assert cost.kv_bytes == 2 * 3 * 50 * layers * heads * (keys + values)


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_numbers_of_parameters(name: str, tmp_path: Path) -> None:
    config, parameters = PUBLISHED[name]
    trace = export_trace(str(write_config(tmp_path, name, config)), prompt=SOURCE)
    assert trace.header.model.parameters == parameters


# ---- latent attention


@pytest.mark.parametrize("family", LATENT)
def test_absorbed_the_latent_vector_is_kept_and_weights_are_as_many(family: str, tmp_path: Path) -> None:
    config = FAMILIES[family]
    expanded = _trace(tmp_path, family, config)
    trace = _trace(tmp_path, family, config, mla="absorbed")
    step, layers, heads = trace.template("decode"), config["num_hidden_layers"], config["num_attention_heads"]
    latent, rope, nope, value = (
        config[key] for key in ("kv_lora_rank", "qk_rope_head_dim", "qk_nope_head_dim", "v_head_dim")
    )
    at = {"T": 50, "B": 1, "Q": 1}
    cost, other = total_cost(trace.header, step, at), total_cost(expanded.header, expanded.template("decode"), at)
    assert (trace.header.model.kv_heads, cost.weights) == (1, other.weights)
    assert cost.kv_bytes == 2 * 50 * layers * (latent + rope + latent)
    # Products with weights are as many; those with K and V are of longer vectors.
    assert cost.matrix_flops - other.matrix_flops == 2 * 50 * layers * heads * (
        2 * latent + rope - (nope + rope + value)
    )
    queries, results = _op(step, "q_latent.0"), _op(step, "v_latent.0")
    assert (queries.weight.blocks, results.weight.blocks) == (heads, heads)
    assert (queries.inputs.at({}), queries.outputs.at({})) == (heads * nope, heads * latent)
    assert (results.inputs.at({}), results.outputs.at({})) == (heads * latent, heads * value)


def test_absorbed_is_computed_as_expanded_is() -> None:
    """The two graphs are one function: with random matrices of the trace's sizes, in float64."""
    heads, nope, rope, latent, value, tokens = 4, 8, 4, 16, 6, 5
    torch.manual_seed(1)
    up_k = torch.randn(heads, nope, latent, dtype=torch.float64)
    up_v = torch.randn(heads, value, latent, dtype=torch.float64)
    kept, turned = torch.randn(tokens, latent, dtype=torch.float64), torch.randn(tokens, rope, dtype=torch.float64)
    query, rotated = torch.randn(heads, nope, dtype=torch.float64), torch.randn(heads, rope, dtype=torch.float64)
    keys = torch.cat([torch.einsum("hnc,tc->htn", up_k, kept), turned.expand(heads, -1, -1)], -1)
    values = torch.einsum("hvc,tc->htv", up_v, kept)
    scores = torch.einsum("hd,htd->ht", torch.cat([query, rotated], -1), keys).softmax(-1)
    expanded = torch.einsum("ht,htv->hv", scores, values)
    q_latent = torch.block_diag(*up_k.transpose(1, 2)) @ query.flatten()
    longer = torch.cat([q_latent.view(heads, latent), rotated], -1)
    scores = (longer @ torch.cat([kept, turned], -1).T).softmax(-1)
    absorbed = torch.block_diag(*up_v) @ (scores @ kept).flatten()
    assert torch.allclose(absorbed, expanded.flatten(), atol=1e-10)


def test_the_first_layers_are_dense_and_the_others_have_shared_experts(tmp_path: Path) -> None:
    step = _trace(tmp_path, "deepseek_v3", FAMILIES["deepseek_v3"]).template("decode")
    routers = [op for op in step.ops if op.op == "topk"]
    assert [(op.id, op.inputs.at({}), op.outputs.at({})) for op in routers] == [
        ("router_topk.1", 8, 3), ("router_topk.2", 8, 3),
    ]  # fmt: skip
    wide = [(op.id, op.inputs.at({}), op.experts) for op in step.ops if op.role == "ffn_down"]
    assert wide == [
        ("ffn_down.0", 48, 1), ("ffn_down.1", 24, 8), ("ffn_down_2.1", 24, 1), ("ffn_down.2", 24, 8),
        ("ffn_down_2.2", 24, 1),
    ]  # fmt: skip


def test_a_model_without_latent_attention_has_nothing_to_absorb(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="--mla: absorbed: a bloom has no latent attention"):
        _trace(tmp_path, "bloom", FAMILIES["bloom"], mla="absorbed")


# ---- encoders with decoders


@pytest.mark.parametrize("name", PAIRS)
def test_counts_of_each_step_of_a_pair_are_those_of_torch(name: str, tmp_path: Path) -> None:
    trace = _trace(tmp_path, name, PAIRS[name], prompt=SOURCE)
    module = _module(tmp_path, name, transformers.AutoModelForSeq2SeqLM)
    assert trace.header.model.parameters == sum(parameter.numel() for parameter in module.parameters())
    encode = {"T": SOURCE, "B": 1, "Q": SOURCE, "S": SOURCE}
    counter = FlopCounterMode(display=False)
    with torch.device("meta"), torch.no_grad(), counter:
        hidden = module.get_encoder()(_zeros(SOURCE))[0]
    assert total_cost(trace.header, trace.template("encode"), encode).matrix_flops == counter.get_total_flops()
    vectors = transformers.modeling_outputs.BaseModelOutput(last_hidden_state=hidden)
    first, result = _flops(module, encoder_outputs=vectors, decoder_input_ids=_zeros(1))
    assert _matrix_flops(trace, "first", 1, S=SOURCE) == first
    kept = next(key for key in ("cache", "past_key_values") if getattr(result, key, None) is not None)
    later, _ = _flops(module, encoder_outputs=vectors, decoder_input_ids=_zeros(1), **{kept: result[kept]})
    assert _matrix_flops(trace, "decode", 2, S=SOURCE) == later


def test_the_cross_attention_reads_what_the_first_step_kept(tmp_path: Path) -> None:
    trace = _trace(tmp_path, "t5", _T5, prompt=SOURCE, query=2, batch=3)
    encode, first, decode = (trace.template(id) for id in ("encode", "first", "decode"))
    own = _op(encode, "encoder_attention")
    assert (own.mask, own.cache, own.append) == ("block", "encoder", True)
    made, read = _op(first, "cross_attention"), _op(decode, "cross_attention")
    assert [str(_op(first, id).tokens) for id in ("cross_k", "cross_v")] == ["S", "S"]
    assert (made.cache, made.append, made.inputs.at({}), str(made.appended)) == ("cross", True, 120, "S")
    assert (read.cache, read.append, read.inputs.at({}), read.queries_alone) == ("cross", False, 40, True)
    assert [str(group.kv_len) for op in (made, read) for group in op.head_groups] == ["S", "S"]
    assert not any(op.id in ("cross_k", "cross_v") for op in decode.ops)
    shared = {op.id for op in encode.ops} & {op.id for op in decode.ops}
    assert shared == {"embed"}  # the token table; all other weights of the encoder are its own
    lines = [(line.phase, line.template, line.steps, line.binding(line.first)) for line in trace.schedule]
    assert lines == [
        ("prefill", "encode", 1, {"T": 7, "B": 3, "Q": 7, "S": 7}),
        ("prefill", "first", 1, {"T": 1, "B": 3, "Q": 1, "S": 7}),
        ("decode", "decode", 4, {"T": 3, "B": 3, "Q": 2, "S": 7}),
    ]


def test_an_encoder_of_other_layers_is_a_model_of_its_own(tmp_path: Path) -> None:
    trace = _trace(tmp_path, "t5", {**_T5, "num_decoder_layers": 3}, prompt=SOURCE)
    other = trace.template("encode").model
    assert other is not None
    assert (other.name, other.layers, trace.header.model.layers) == ("tiny-t5-encoder", 2, 3)
    assert trace.header.model.parameters is None


def test_a_source_needs_tokens(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a bart encodes a source: say how many tokens it has"):
        _trace(tmp_path, "bart", _BART)


# ---- pictures


@pytest.mark.parametrize(
    ("name", "asked", "lines", "mask"),
    [
        ("llava", None, (1, 576, 576), ""),
        ("llava", 64, (1, 64, 64), ""),
        ("gemma3", None, (1, 256, 256), "block"),
        ("gemma3", 512, (2, 256, 512), "block"),
        ("gemma3", 100, (1, 100, 100), "block"),
    ],
)
def test_vision_tokens_stand_before_the_prompt(
    name: str, asked: int | None, lines: tuple[int, int, int], mask: str, tmp_path: Path
) -> None:
    trace = _trace(tmp_path, name, MULTIMODAL[name][0], prompt=PROMPT, vision_tokens=asked)
    vision, prompt, decode = trace.schedule
    steps, each, last = lines
    assert (vision.template, vision.steps, vision.binding(0)["Q"], vision.binding(vision.last)["T"]) == (
        "vision", steps, each, last,
    )  # fmt: skip
    assert prompt.binding(0) == {"T": last + PROMPT, "B": 1, "Q": PROMPT}
    assert decode.binding(0)["T"] == last + PROMPT + 1
    ops = trace.template("vision").ops
    assert {op.scope for op in ops} == {"block"}  # no row of the token table is read, and there are no logits
    assert {op.mask for op in ops if op.op == "attention"} == {mask}


def test_without_a_picture_the_text_part_is_as_it_was(tmp_path: Path) -> None:
    config = MULTIMODAL["llava"][0]
    without = _trace(tmp_path, "llava", config, prompt=PROMPT, vision_tokens=0)
    assert [template.id for template in without.templates] == ["prefill", "decode"]
    assert len(_trace(tmp_path, "llava", config).templates) == 1


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (FAMILIES["llama"], "--vision-tokens: no multimodal model; known are gemma3, llava"),
        (
            {"model_type": "paligemma", "text_config": _without(FAMILIES["llama"], "tie_word_embeddings")},
            "--vision-tokens: how vision tokens of a paligemma attend to each other is not known",
        ),
        (
            {**MULTIMODAL["llava"][0], "image_seq_length": "many"},
            "image_seq_length: must be an integer of at least 1: the vision tokens of a picture",
        ),
    ],
)
def test_a_picture_that_is_not_known_is_refused(config: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        _trace(tmp_path, "x", config, prompt=PROMPT, vision_tokens=16)
    assert message in str(caught.value)
