"""Weights of every family, from both containers, are the numbers that were written; wrong files say what is wrong."""

from __future__ import annotations

import hashlib
import json
import random
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim.errors import InputError
from pimsim.values.weights import Weights, load_weights
from pimsim.values.weights.gguf_file import GgufTensors
from tests.values.models import (
    DTYPES,
    FAMILIES,
    Array,
    Arrays,
    config_of,
    tensors_of,
    write_gguf,
    write_model,
    write_safetensors,
)

CONTAINERS = ("safetensors", "gguf")


def _problems(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_weights(path).check()
    return [str(problem) for problem in caught.value.problems]


def _expected(config: dict[str, Any], tensors: Arrays) -> dict[tuple[Any, ...], Array]:
    """What each call has to give, from the names of the hub."""
    return (_of_gpt2 if config["model_type"] == "gpt2" else _of_llama)(config, tensors)


def _of_gpt2(config: dict[str, Any], tensors: Arrays) -> dict[tuple[Any, ...], Array]:
    made = {("table", 0): tensors["transformer.wte.weight"], ("table", 1): tensors["transformer.wpe.weight"]}
    made["gain", "final_norm", 0], made["bias", "final_norm", 0] = (
        tensors[f"transformer.ln_f.{part}"] for part in ("weight", "bias")
    )
    made["matrix", "lm_head", 0] = tensors.get("lm_head.weight", tensors["transformer.wte.weight"])
    linears = {"qkv": "attn.c_attn", "attn_out": "attn.c_proj", "ffn_up": "mlp.c_fc", "ffn_down": "mlp.c_proj"}
    for layer in range(config["n_layer"]):
        at = f"transformer.h.{layer}."
        for name, own in linears.items():
            made["matrix", name, layer] = tensors[f"{at}{own}.weight"].T
            made["bias", name, layer] = tensors[f"{at}{own}.bias"]
        for name, own in (("attn_norm", "ln_1"), ("ffn_norm", "ln_2")):
            made["gain", name, layer] = tensors[f"{at}{own}.weight"]
            made["bias", name, layer] = tensors[f"{at}{own}.bias"]
    return made


def _of_llama(config: dict[str, Any], tensors: Arrays) -> dict[tuple[Any, ...], Array]:
    kind = config["model_type"]
    one = np.float32(1 if kind.startswith("gemma") else 0)
    made: dict[tuple[Any, ...], Array] = {("table", 0): tensors["model.embed_tokens.weight"]}
    made["gain", "final_norm", 0] = tensors["model.norm.weight"] + one
    made["matrix", "lm_head", 0] = tensors.get("lm_head.weight", tensors["model.embed_tokens.weight"])
    linears = {
        "q": "self_attn.q_proj", "k": "self_attn.k_proj", "v": "self_attn.v_proj", "qkv": "self_attn.qkv_proj",
        "attn_out": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
        "ffn_down": "mlp.down_proj", "router": "block_sparse_moe.gate",
    }  # fmt: skip
    norms = {"attn_norm": "input_layernorm", "q_norm": "self_attn.q_norm", "k_norm": "self_attn.k_norm"}
    if kind in ("gemma2", "gemma3_text"):
        norms |= {"attn_post_norm": "post_attention_layernorm", "ffn_norm": "pre_feedforward_layernorm"}
        norms |= {"ffn_post_norm": "post_feedforward_layernorm"}
    else:
        norms |= {"ffn_norm": "post_attention_layernorm"}
    if kind == "phi3":
        linears["ffn_up"] = "mlp.gate_up_proj"
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        for name, own in linears.items():
            if f"{at}{own}.weight" in tensors:
                made["matrix", name, layer] = tensors[f"{at}{own}.weight"]
            if f"{at}{own}.bias" in tensors:
                made["bias", name, layer] = tensors[f"{at}{own}.bias"]
        for name, own in norms.items():
            if f"{at}{own}.weight" in tensors:
                made["gain", name, layer] = tensors[f"{at}{own}.weight"] + one
        for expert in range(config.get("num_local_experts", 0)):
            w1, w2, w3 = (tensors[f"{at}block_sparse_moe.experts.{expert}.w{i}.weight"] for i in (1, 2, 3))
            made["matrix", "ffn_up", layer, expert] = np.concatenate([w1, w3])
            made["matrix", "ffn_down", layer, expert] = w2
    return made


def _same_everywhere(weights: Weights, expected: dict[tuple[Any, ...], Array]) -> None:
    for (kind, *arguments), values in expected.items():
        found = getattr(weights, kind)(*arguments)
        assert found is not None, (kind, *arguments)
        assert found.dtype == np.float32 and found.flags.c_contiguous
        np.testing.assert_array_equal(found, values, err_msg=f"{kind} {arguments}")
    assert len(weights.slots) == sum(kind != "bias" or len(key) == 2 for kind, *key in expected)


VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{family: (family, {}) for family in FAMILIES},
    "gpt2-untied": ("gpt2", {"tie_word_embeddings": False, "n_inner": 96}),
    "llama-biases": ("llama", {"attention_bias": True, "mlp_bias": True}),
    "llama-heads": ("llama", {"head_dim": 32}),
    "llama-linear": ("llama", {"rope_scaling": {"rope_type": "linear", "factor": 4.0}}),
    "llama-yarn": (
        "llama",
        {"rope_scaling": {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 512}},
    ),
    "gemma2-odd": ("gemma2", {"num_hidden_layers": 3, "attn_logit_softcapping": None}),
    "phi3-part": ("phi3", {"partial_rotary_factor": 0.5, "sliding_window": 8}),
    "mixtral-one": ("mixtral", {"num_experts_per_tok": 1}),
}


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_array_is_what_was_written(tmp_path: Path, variant: str, container: str) -> None:
    family, sizes = VARIANTS[variant]
    weights = load_weights(write_model(tmp_path, family, container, **sizes))
    config = config_of(family, **sizes)
    tensors = tensors_of(config)
    _same_everywhere(weights, _expected(config, tensors))
    assert weights.parameters == sum(values.size for values in tensors.values())
    weights.check()


@pytest.mark.parametrize("variant", VARIANTS)
def test_both_containers_are_one_model(tmp_path: Path, variant: str) -> None:
    family, sizes = VARIANTS[variant]
    one, other = (load_weights(write_model(tmp_path, family, container, **sizes)) for container in CONTAINERS)
    if family == "mistral":  # llama.cpp has no windows in a llama, which a mistral is there
        assert (one.shape.window, other.shape.window) == (16, 0)
    else:
        assert vars(one.shape) | {"name": ""} == vars(other.shape) | {"name": ""}
    for field, value in vars(one.constants).items():
        assert getattr(other.constants, field) == (pytest.approx(value) if field == "norm_eps" else value), field


@pytest.mark.parametrize("numbers", DTYPES)
def test_number_formats_of_safetensors(tmp_path: Path, numbers: str) -> None:
    weights = load_weights(write_model(tmp_path, "llama", numbers=numbers))
    stored = tensors_of(config_of("llama"))["model.layers.1.mlp.up_proj.weight"].astype(DTYPES[numbers])
    np.testing.assert_array_equal(weights.matrix("ffn_up", 1), stored.astype(np.float32))


@pytest.mark.parametrize("numbers", ["F32", "F16", "BF16", "Q8_0", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "TQ2_0"])
def test_number_formats_of_gguf(tmp_path: Path, numbers: str) -> None:
    import gguf

    sizes = {"hidden_size": 256, "intermediate_size": 256, "num_attention_heads": 4}
    weights = load_weights(write_model(tmp_path, "qwen2", "gguf", numbers, **sizes))
    written = tensors_of(config_of("qwen2", **sizes))["model.layers.1.mlp.up_proj.weight"]
    kind = gguf.GGMLQuantizationType[numbers]
    there = gguf.quants.dequantize(gguf.quants.quantize(written, kind), kind)
    np.testing.assert_array_equal(weights.matrix("ffn_up", 1), there)


def test_every_number_format_that_the_library_reads(tmp_path: Path) -> None:
    """Blocks of any bits, as the library's own reader finds and dequantises them."""
    import gguf

    path, written = tmp_path / "all.gguf", []
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_array("a.list", [1, 2, 3])
    writer.add_array("a.vocabulary", ["a", "b c", "\u2581"])
    writer.add_custom_alignment(64)
    random_bytes = np.random.default_rng(5)
    for kind in gguf.GGMLQuantizationType:
        block, size = gguf.GGML_QUANT_SIZES[kind]
        rows = random_bytes.integers(0, 60, (3, 2 * size), np.uint8)
        try:
            gguf.quants.dequantize(rows, kind)
        except NotImplementedError:
            continue
        writer.add_tensor(kind.name, rows, raw_dtype=kind)
        written.append((kind.name, 2 * block))
    for write in (
        writer.write_header_to_file,
        writer.write_kv_data_to_file,
        writer.write_tensors_to_file,
        writer.close,
    ):
        write()
    ours, theirs = GgufTensors(path), gguf.GGUFReader(path)
    assert len(written) > 20 and list(ours.shapes.items()) == [(name, (3, width)) for name, width in written]
    for tensor in theirs.tensors:
        expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        np.testing.assert_array_equal(np.asarray(ours.raw(tensor.name), np.float32), expected, err_msg=tensor.name)
        np.testing.assert_array_equal(np.asarray(ours.raw(tensor.name, 1), np.float32), expected[1])
    for key, field in theirs.fields.items():
        if not key.startswith("GGUF."):
            assert ours.metadata[key] == field.contents(), key


@pytest.mark.parametrize("named", ["folder", "index", "shard"])
def test_shards(tmp_path: Path, named: str) -> None:
    file = _sharded(tmp_path)
    path = {"folder": tmp_path, "index": file, "shard": tmp_path / "model-00002-of-00002.safetensors"}[named]
    weights = load_weights(path)
    config = config_of("llama")
    _same_everywhere(weights, _expected(config, tensors_of(config)))
    assert set(weights.sha256()) == {
        "config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    }  # fmt: skip


def _sharded(folder: Path) -> Path:
    from safetensors.numpy import save_file

    write_model(folder, "llama").unlink()
    names: dict[str, str] = {}
    tensors = tensors_of(config_of("llama"))
    for i in (1, 2):
        file = f"model-{i:05}-of-00002.safetensors"
        part = dict(list(tensors.items())[i - 1 :: 2])
        save_file(part, folder / file)
        names |= dict.fromkeys(part, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": names}))
    return index


def test_sha256_is_of_the_files(tmp_path: Path) -> None:
    path = write_model(tmp_path, "llama", "gguf")
    assert load_weights(path).sha256() == {path.name: hashlib.sha256(path.read_bytes()).hexdigest()}


def test_a_folder_with_one_gguf(tmp_path: Path) -> None:
    write_model(tmp_path, "llama", "gguf")
    assert load_weights(tmp_path).family == "llama"


def test_nothing_is_read_before_it_is_asked_for(tmp_path: Path) -> None:
    for container in CONTAINERS:
        path = write_model(tmp_path, "smollm", container, "F16", vocab_size=131072)
        tracemalloc.start()
        weights = load_weights(path)
        weights.matrix("q", 1)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 18e6  # 17 MB are there for a config.json; the table alone has 34 MB


# --- names --------------------------------------------------------------------------------------------------------


def _renamed(tensors: Arrays, rename: Callable[[str], str]) -> Arrays:
    return {rename(name): values for name, values in tensors.items()}


@pytest.mark.parametrize(("family", "prefix"), [("gpt2", "transformer."), ("smollm", "model.")])
def test_names_of_models_without_a_head(tmp_path: Path, family: str, prefix: str) -> None:
    config = config_of(family)
    tensors = tensors_of(config)
    path = write_safetensors(tmp_path, config, _renamed(tensors, lambda name: name.removeprefix(prefix)))
    _same_everywhere(load_weights(path), _expected(config, tensors))


@pytest.mark.parametrize("names", ["old", "new"])
def test_the_text_part_of_a_multimodal_model(tmp_path: Path, names: str) -> None:
    config = config_of("gemma3")
    whole = {"model_type": "gemma3", "text_config": config}
    tensors = tensors_of(config)
    start = {"old": "language_model.model.", "new": "model.language_model."}[names]
    stored = _renamed(tensors, lambda name: name.replace("model.", start, 1))
    stored |= {"vision_tower.patch.weight": np.ones((2, 2), np.float32)}
    weights = load_weights(write_safetensors(tmp_path, whole, stored))
    _same_everywhere(weights, _expected(config, tensors))
    assert len(set(weights.constants.rotary)) == 2


def test_merged_experts(tmp_path: Path) -> None:
    config = config_of("mixtral")
    tensors = tensors_of(config)
    stored = {name: values for name, values in tensors.items() if "block_sparse_moe" not in name}
    for layer in range(2):
        old, new = f"model.layers.{layer}.block_sparse_moe.", f"model.layers.{layer}.mlp."
        experts = [[tensors[f"{old}experts.{i}.w{j}.weight"] for j in (1, 2, 3)] for i in range(4)]
        stored[f"{new}gate.weight"] = tensors[f"{old}gate.weight"]
        stored[f"{new}experts.gate_up_proj"] = np.stack([np.concatenate([w1, w3]) for w1, _, w3 in experts])
        stored[f"{new}experts.down_proj"] = np.stack([w2 for _, w2, _ in experts])
    _same_everywhere(load_weights(write_safetensors(tmp_path, config, stored)), _expected(config, tensors))


def test_single_experts_of_old_gguf(tmp_path: Path) -> None:
    config = config_of("mixtral")
    tensors = tensors_of(config)
    path = write_gguf(tmp_path / "old.gguf", config, tensors, "F32", stacked=False)
    _same_everywhere(load_weights(path), _expected(config, tensors))


def test_a_gguf_that_stores_a_tied_head(tmp_path: Path) -> None:
    """GPT-2's does; the same bytes are one matrix, others are a head of its own."""
    config = config_of("gpt2")
    tensors = tensors_of(config)
    table = tensors["transformer.wte.weight"]

    def head(values: Array) -> Callable[[Any], None]:
        return lambda writer: writer.add_tensor("output.weight", values)

    same = load_weights(write_gguf(tmp_path / "same.gguf", config, tensors, "F32", change=head(table)))
    assert same.shape.tied and same.parameters == sum(values.size for values in tensors.values())
    own = load_weights(write_gguf(tmp_path / "own.gguf", config, tensors, "F32", change=head(table * 2)))
    assert not own.shape.tied
    np.testing.assert_array_equal(own.matrix("lm_head"), table * 2)


def test_what_no_step_reads_may_be_there(tmp_path: Path) -> None:
    config = config_of("gpt2")
    tensors = tensors_of(config)
    masks = {f"transformer.h.{i}.attn.{name}": np.ones((1, 1, 8, 8), np.float32) for i in (0, 1) for name in ("bias",)}
    masks |= {"transformer.h.0.attn.masked_bias": np.float32(-1e4), "lm_head.weight": tensors["transformer.wte.weight"]}
    load_weights(write_safetensors(tmp_path, config, tensors | masks)).check()
    config = config_of("llama")
    more = {"model.layers.0.self_attn.rotary_emb.inv_freq": np.ones(8, np.float32)}
    load_weights(write_safetensors(tmp_path, config, tensors_of(config) | more)).check()


# --- numbers that are no tensors --------------------------------------------------------------------------------------


def _constants(folder: Path, family: str, **keys: Any) -> Any:
    return load_weights(write_model(folder, family, **keys)).constants


def test_constants(tmp_path: Path) -> None:
    gpt2 = _constants(tmp_path, "gpt2")
    assert (gpt2.norm_eps, gpt2.attention_scale, gpt2.gelu, gpt2.rotary) == (1e-5, 0.25, "tanh", ())
    assert _constants(tmp_path, "gpt2", activation_function="gelu").gelu == "erf"
    assert _constants(tmp_path, "gpt2", scale_attn_weights=False).attention_scale == 1
    assert _constants(tmp_path, "gemma", hidden_act="gelu").gelu == "tanh"
    gemma2 = _constants(tmp_path, "gemma2", query_pre_attn_scalar=100)
    assert (gemma2.attention_scale, gemma2.attention_softcap, gemma2.logit_softcap) == (pytest.approx(0.1), 50, 30)
    assert gemma2.embed_scale == 8
    assert _constants(tmp_path, "llama", rms_norm_eps=0.25).norm_eps == 0.25
    assert _constants(tmp_path, "qwen3").attention_scale == 32**-0.5


@pytest.mark.parametrize(
    ("scaling", "frequencies", "factor"),
    [  # what modeling_rope_utils of transformers 5.24 makes of them
        (
            {"rope_type": "llama3", "low_freq_factor": 1.0, "high_freq_factor": 4.0},
            [1.0, 0.31622776, 0.1, 0.020371834, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-05],
            1.0,
        ),
        (
            {"type": "linear"},
            [0.25, 0.079056941, 0.025, 0.0079056947, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-05],
            1.0,
        ),
        (
            {"rope_type": "yarn"},
            [1.0, 0.25693506, 0.0625, 0.013834965, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-05],
            1.138629436111989,
        ),
        (
            {
                "rope_type": "yarn", "beta_fast": 16, "beta_slow": 2, "mscale": 0.7, "mscale_all_dim": 1.3,
                "truncate": False,
            },
            [1.0, 0.31622776, 0.075664401, 0.010796109, 0.0024999999, 0.00079056947, 0.00025000001, 7.9056947e-05],
            0.9295234923939468,
        ),
        (
            {"rope_type": "yarn", "original_max_position_embeddings": 65536},
            [1.0, 0.31622776, 0.1, 0.031622779, 0.0099999998, 0.0031622779, 0.00081250002, 0.00019764237],
            1.138629436111989,
        ),
        (
            {"rope_type": "yarn", "factor": 8.0, "original_max_position_embeddings": 4096, "attention_factor": 1.25},
            [1.0, 0.31622776, 0.1, 0.024705295, 0.0056249998, 0.001087033, 0.00012500001, 3.9528473e-05],
            1.25,
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["rope_scaling", "rope_parameters"])
def test_scaled_rotations(
    tmp_path: Path, place: str, scaling: dict[str, Any], frequencies: list[float], factor: float
) -> None:
    said = {"factor": 4.0, "original_max_position_embeddings": 512} | scaling
    said |= {"rope_theta": 10000.0} if place == "rope_parameters" else {}
    theta = {} if place == "rope_scaling" else {"rope_theta": 5.0}  # the newer place wins
    weights = load_weights(write_model(tmp_path, "llama", **theta, **{place: said}))
    rotary = weights.constants.rotary[1]
    np.testing.assert_allclose(rotary.frequencies, frequencies, rtol=2e-7)
    assert rotary.factor == pytest.approx(factor, rel=1e-12)
    cos, sin = weights.rotations(1, np.array([0, 3]))
    np.testing.assert_allclose(cos, factor * np.cos(np.outer([0, 3], frequencies)), atol=1e-6)
    np.testing.assert_allclose(sin, factor * np.sin(np.outer([0, 3], frequencies)), atol=1e-6)


def test_layers_with_a_window_turn_faster_in_gemma3(tmp_path: Path) -> None:
    by_layer = {
        "sliding_attention": {"rope_type": "default", "rope_theta": 1e4},
        "full_attention": {"rope_type": "linear", "factor": 8.0, "rope_theta": 1e6},
    }
    old = load_weights(write_model(tmp_path / "old", "gemma3"))
    keys = {"rope_theta": None, "rope_local_base_freq": None, "rope_scaling": None, "rope_parameters": by_layer}
    new = load_weights(write_model(tmp_path / "new", "gemma3", **keys))
    assert old.constants == new.constants and old.shape.windows == (16, 16, 16, 16, 16, 0)
    assert old.constants.rotary[0].frequencies[1] == pytest.approx(1e4 ** (-2 / 32))
    assert old.constants.rotary[5].frequencies[1] == pytest.approx(1e6 ** (-2 / 32) / 8)


def test_factors_of_frequencies_in_a_gguf(tmp_path: Path) -> None:
    factors = np.array([1, 1, 1, 2, 4, 8, 8, 8], np.float32)
    config = config_of("llama")
    change: Callable[[Any], None] = lambda writer: writer.add_tensor("rope_freqs.weight", factors)  # noqa: E731
    path = write_gguf(tmp_path / "llama3.gguf", config, tensors_of(config), change=change)
    plain = 10000.0 ** -(np.arange(8) / 8)
    np.testing.assert_allclose(load_weights(path).constants.rotary[0].frequencies, plain / factors, rtol=1e-7)


def test_scale_of_scores_in_a_gguf(tmp_path: Path) -> None:
    config = config_of("llama")
    change: Callable[[Any], None] = lambda writer: writer.add_float32("llama.attention.scale", 0.5)  # noqa: E731
    assert (
        load_weights(
            write_gguf(tmp_path / "a.gguf", config, tensors_of(config), change=change)
        ).constants.attention_scale
        == 0.5
    )
    config = config_of("gemma2", num_hidden_layers=46)  # llama.cpp: that one is the 27B, scaled by 64 / 4 = 16
    assert load_weights(write_gguf(tmp_path / "b.gguf", config, tensors_of(config))).constants.attention_scale == 0.25


# --- what the hardware holds ------------------------------------------------------------------------------------------


def test_the_scale_is_folded_into_what_makes_q(tmp_path: Path) -> None:
    llama = load_weights(write_model(tmp_path / "llama", "llama", attention_bias=True))
    np.testing.assert_array_equal(llama.matrix("q", 1, folded=True), llama.matrix("q", 1) * np.float32(0.25))
    bias, folded = llama.bias("q", 1), llama.bias("q", 1, folded=True)
    assert bias is not None and folded is not None
    np.testing.assert_array_equal(folded, bias * np.float32(0.25))
    for name in ("k", "v", "attn_out", "ffn_up"):
        np.testing.assert_array_equal(llama.matrix(name, folded=True), llama.matrix(name))
    gpt2 = load_weights(write_model(tmp_path / "gpt2", "gpt2"))
    scale = np.where(np.arange(192) < 64, np.float32(0.25), np.float32(1))
    np.testing.assert_array_equal(gpt2.matrix("qkv", folded=True), gpt2.matrix("qkv") * scale[:, None])
    bias, folded = gpt2.bias("qkv"), gpt2.bias("qkv", folded=True)
    assert bias is not None and folded is not None
    np.testing.assert_array_equal(folded, bias * scale)


def test_where_q_is_normalised_the_scale_is_folded_into_the_gain(tmp_path: Path) -> None:
    weights = load_weights(write_model(tmp_path, "qwen3", head_dim=16))
    np.testing.assert_array_equal(weights.matrix("q", folded=True), weights.matrix("q"))
    np.testing.assert_array_equal(weights.gain("q_norm", 1, folded=True), weights.gain("q_norm", 1) * np.float32(0.25))
    for name in ("k_norm", "attn_norm"):
        np.testing.assert_array_equal(weights.gain(name, folded=True), weights.gain(name))


# --- what is wrong ----------------------------------------------------------------------------------------------------


def test_all_wrong_tensors_at_once(tmp_path: Path) -> None:
    config = config_of("llama")
    tensors = tensors_of(config)
    tensors["model.layers.1.self_attn.k_proj.weight"] = np.ones((3, 64), np.float32)
    tensors["model.layers.0.self_attn.qq_proj.weight"] = tensors.pop("model.layers.0.self_attn.q_proj.weight")
    for layer in (0, 1):
        del tensors[f"model.layers.{layer}.mlp.up_proj.weight"]
    path = write_safetensors(tmp_path, config, tensors)
    assert _problems(path) == [
        f"{path}:1:1: model.layers.0.self_attn.q_proj.weight: missing: the model has it, the file has not; "
        "did you mean 'model.layers.0.self_attn.qq_proj.weight'?",
        f"{path}:1:1: model.layers.0.mlp.up_proj.weight: missing (and 1 more that differ in the numbers): "
        "the model has it, the file has not",
        f"{path}:1:1: model.layers.1.self_attn.k_proj.weight: is 3 x 64, where the model's sizes make it 32 x 64",
        f"{path}:1:1: model.layers.0.self_attn.qq_proj.weight: left over: a llama of these sizes has no such tensor",
    ]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_none(tmp_path: Path, container: str, value: float) -> None:
    config = config_of("llama")
    tensors = tensors_of(config)
    tensors["model.layers.1.mlp.down_proj.weight"][5, 7:9] = value
    tensors["model.norm.weight"][0] = value
    write = write_gguf if container == "gguf" else lambda path, *more: write_safetensors(path.parent, *more)
    path = write(tmp_path / "m.gguf", config, tensors, "F32")
    name, norm = ("blk.1.ffn_down", "output_norm") if container == "gguf" else (
        "model.layers.1.mlp.down_proj", "model.norm"
    )  # fmt: skip
    weights = load_weights(path)
    assert sorted(_problems(path)) == [
        f"{path}:1:1: {name}.weight: has NaN or infinity in 2 of 6,144 places: these weights are of no use",
        f"{path}:1:1: {norm}.weight: has NaN or infinity in 1 of 64 places: these weights are of no use",
    ]
    weights.matrix("ffn_down", 0)
    with pytest.raises(InputError, match="has NaN or infinity in 2"):
        weights.matrix("ffn_down", 1)


def test_what_is_too_large_for_float32(tmp_path: Path) -> None:
    config = config_of("gpt2")
    tensors = {name: values.astype(np.float64) for name, values in tensors_of(config).items()}
    tensors["transformer.ln_f.bias"][3] = 1e300
    assert "has NaN or infinity in 1" in _problems(write_safetensors(tmp_path, config, tensors, "F64"))[0]


def test_a_tied_head_that_is_another_matrix(tmp_path: Path) -> None:
    config = config_of("smollm")
    tensors = tensors_of(config)
    path = write_safetensors(tmp_path, config, tensors | {"lm_head.weight": tensors["model.embed_tokens.weight"] * 2})
    (problem,) = _problems(path)
    assert (
        problem.startswith(f"{path}:1:1: lm_head.weight: is not the token table") and "tie_word_embeddings" in problem
    )


def test_another_model_s_weights(tmp_path: Path) -> None:
    path = write_model(tmp_path, "gpt2")
    write_model(tmp_path / "other", "llama")
    shutil.copy(tmp_path / "other" / "config.json", tmp_path)
    problems = _problems(path)
    assert 10 < len(problems) < 30  # one for each kind of tensor, not one for each layer
    assert any("model.embed_tokens.weight: missing" in problem for problem in problems)
    assert any("transformer.wte.weight: left over" in problem for problem in problems)


REFUSED_KEYS: list[tuple[str, dict[str, Any], str]] = [
    ("llama", {"model_type": "mamba"}, "weights of a 'mamba' cannot be read; known: "),
    ("llama", {"rope_scaling": {"rope_type": "longrope"}}, "rope_scaling.rope_type: 'longrope' is not supported"),
    ("llama", {"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "rope_type: 'dynamic' is not supported"),
    ("llama", {"rope_parameters": {"rope_type": "yarn"}}, "rope_parameters.factor: missing"),
    ("llama", {"rope_scaling": {"type": "linear", "factor": 0}}, "factor: must be a number above 0, not 0"),
    ("llama", {"rope_parameters": {"full_attention": 3}}, "rope_parameters.full_attention: must be an object, not 3"),
    ("llama", {"rope_scaling": [1]}, "rope_scaling: must be an object, not [1]"),
    ("llama", {"rope_theta": "10"}, "rope_theta: must be a number above 0, not '10'"),
    ("llama", {"rms_norm_eps": None}, "rms_norm_eps: missing"),
    ("llama", {"rms_norm_eps": True}, "rms_norm_eps: must be a number above 0, not True"),
    ("llama", {"partial_rotary_factor": 0.5}, "partial_rotary_factor: a llama rotates whole heads"),
    ("llama", {"quantization_config": {"quant_method": "gptq"}}, "quantization_config: "),
    ("llama", {"num_hidden_layers": 1000}, "has 21 tensors, too few for a model of 1,000 layers"),
    ("llama", {"hidden_size": 0}, "hidden_size: must be an integer of at least 1, not 0"),
    ("mixtral", {"num_local_experts": 10**8}, "too few for a model of 100,000,000 experts"),
    ("mixtral", {"num_experts_per_tok": 9}, "9 of 4 experts are active"),
    ("mixtral", {"norm_topk_prob": False}, "norm_topk_prob: False is not supported"),
    ("gpt2", {"scale_attn_by_inverse_layer_idx": True}, "scale_attn_by_inverse_layer_idx: True is not supported"),
    ("gemma2", {"query_pre_attn_scalar": -1}, "query_pre_attn_scalar: must be a number above 0, not -1"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "keys", "message"), REFUSED_KEYS, ids=[str(row[1])[:60] for row in REFUSED_KEYS])
def test_configurations_that_are_refused(tmp_path: Path, family: str, keys: dict[str, Any], message: str) -> None:
    path = write_model(tmp_path, family)
    (tmp_path / "config.json").write_text(json.dumps(config_of(family, **keys)))
    problems = _problems(path)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith(str(tmp_path)) for problem in problems)


REFUSED_METADATA: list[tuple[str, Callable[[Any], None], str]] = [
    ("llama", lambda w: w.add_uint32("split.count", 3), "split.count: is one of several files: merge them"),
    ("llama", lambda w: w.add_string("llama.rope.scaling.type", "longrope"), "scaling.type: 'longrope' is not"),
    ("llama", lambda w: w.add_string("llama.rope.scaling.type", "yarn"), "llama.rope.scaling.factor: missing"),
    ("llama", lambda w: w.add_uint32("llama.attention.value_length", 8), "heads of v with 8 elements, of k with 16"),
    ("llama", lambda w: w.add_tensor("blk.0.attn_sinks.weight", np.ones(4, np.float32)), "sinks.weight: left over"),
    ("llama", lambda w: w.add_tensor("rope_freqs.weight", np.ones(3, np.float32)), "must be 8 numbers above 0"),
    ("phi3", lambda w: w.add_tensor("rope_factors_long.weight", np.ones(8, np.float32)), "kind longrope"),
    ("llama", lambda w: w.add_uint32("llama.expert_count", 4), "llama.expert_used_count: missing"),
    ("qwen2", lambda w: w.add_float32("qwen2.rope.scaling.factor", float("nan")), "must be a number above 0, not nan"),
]  # fmt: skip


@pytest.mark.parametrize(("family", "change", "message"), REFUSED_METADATA, ids=[row[2] for row in REFUSED_METADATA])
def test_metadata_that_is_refused(tmp_path: Path, family: str, change: Callable[[Any], None], message: str) -> None:
    config = config_of(family)
    path = write_gguf(tmp_path / "m.gguf", config, tensors_of(config), change=change)
    problems = _problems(path)
    assert any(message in problem for problem in problems), problems
    assert all(problem.startswith(f"{path}:1:1: ") for problem in problems)


def test_an_architecture_that_is_not_known(tmp_path: Path) -> None:
    import gguf

    writer = gguf.GGUFWriter(tmp_path / "m.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()
    (problem,) = _problems(tmp_path / "m.gguf")
    assert "general.architecture: weights of a 'mamba' cannot be read; known: llama, " in problem


def test_a_number_format_that_is_not_known(tmp_path: Path) -> None:
    path = write_model(tmp_path, "llama", "gguf", "Q4_0")
    data = path.read_bytes()
    at = data.index(b"blk.0.attn_q.weight") + len("blk.0.attn_q.weight") + 4 + 16
    for number, name in ((99, "number 99"), (16 + 8, "I8")):
        path.write_bytes(data[:at] + number.to_bytes(4, "little") + data[at + 4 :])
        (problem,) = _problems(path)
        assert f"the number format {name} is not supported; convert the model to one of F32, F16, Q4_0" in problem


def test_numbers_that_are_no_weights(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    path = write_model(tmp_path, "llama")
    tensors: dict[str, Any] = tensors_of(config_of("llama"))
    tensors["model.norm.weight"] = np.ones(64, np.int8)
    save_file(tensors, path)
    (problem,) = _problems(path)
    assert (
        "model.norm.weight: has numbers of kind I8, which is not supported; convert them to one of F64, F32" in problem
    )


def test_files_that_are_something_else(tmp_path: Path) -> None:
    path = write_model(tmp_path, "llama")
    weights = path.read_bytes()

    def of(content: bytes, name: str = "model.safetensors") -> str:
        (tmp_path / name).write_bytes(content)
        (problem,) = _problems(tmp_path / name)
        return problem

    assert "is a pickle of PyTorch" in of(b"PK\x03\x04....", "pytorch_model.bin")
    assert "is no safetensors file, or a part of one" in of(b"hello")
    assert "is no safetensors file, or a part of one" in of(b"")
    assert "is no safetensors file, or a part of one" in of(weights[:-100])
    assert "is no safetensors file, or a part of one" in of(weights[:500])
    assert "ends in the middle of its header" in of(b"GGUF")
    assert "this GGUF has version 1" in of(b"GGUF\x01\0\0\0")
    assert "this GGUF is big-endian" in of(b"GGUF\0\0\0\x03")
    gguf = write_model(tmp_path / "gguf", "llama", "gguf").read_bytes()
    assert "a part is missing; get the file again" in of(gguf[:-40], "cut.gguf")
    (tmp_path / "cut.gguf").unlink()
    assert "cannot be read: No such file" in _problems(tmp_path / "missing")[0]
    (tmp_path / "model.safetensors").write_bytes(weights)
    (tmp_path / "config.json").write_text("{")
    assert str(tmp_path / "config.json") in _problems(path)[0]
    (tmp_path / "config.json").unlink()
    assert "put the model's config.json beside them" in _problems(path)[0]
    path.unlink()
    assert "has no *.safetensors" in _problems(tmp_path)[0]


def test_folders_and_indices_that_are_wrong(tmp_path: Path) -> None:
    index = _sharded(tmp_path)
    said = json.loads(index.read_text())

    def of(weight_map: Any) -> str:
        index.write_text(json.dumps({"weight_map": weight_map}))
        return _problems(index)[0]

    assert "weight_map: must say in which file each tensor is" in of([])
    assert "weight_map: names '../model.safetensors', which is not beside it" in of({"a": "../model.safetensors"})
    assert "weight_map: names model-3.safetensors, which is not there" in of({"a": "model-3.safetensors"})
    only = {name: file for name, file in said["weight_map"].items() if "00001" in file}
    assert any("missing" in problem for problem in [of(only), *_problems(index)])
    index.unlink()
    assert "is one of several files" in _problems(tmp_path / "model-00001-of-00002.safetensors")[0]
    assert "has 2 files *.safetensors and no model.safetensors.index.json; name one" in _problems(tmp_path)[0]


@pytest.mark.parametrize("container", CONTAINERS)
def test_broken_files_are_refused_or_read(tmp_path: Path, container: str) -> None:
    """Cut anywhere, or with any bytes changed: an InputError on one line, or weights that can be read."""
    path = write_model(tmp_path, "gemma3", container, num_hidden_layers=2)
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little") if container == "safetensors" else GgufTensors(path)._start
    draw = random.Random(7)
    for case in range(400):
        data = bytearray(whole)
        if case % 2:
            del data[draw.randrange(len(data) if case % 4 == 1 else header) :]
        else:
            for _ in range(draw.randint(1, 4)):
                data[draw.randrange(header)] = draw.choice([0, 1, 255, draw.randrange(256)])
        path.write_bytes(data)
        try:
            load_weights(path).check()
        except InputError as error:
            assert "\n" not in str(error.problems[0]) and str(tmp_path) in str(error)
        else:
            assert not case % 2


@pytest.mark.parametrize("family", ["llama", "gemma3", "gpt2"])
def test_configurations_with_any_value_are_refused_or_read(tmp_path: Path, family: str) -> None:
    path = write_model(tmp_path, family)
    draw = random.Random(8)
    values = (None, -1, 0, 1, 3, 1.5, 10**12, "x", [], {}, True, float("nan"), "\n")
    for _ in range(300):
        config = config_of(family)
        for key in draw.sample(
            sorted(config | {"rope_scaling": 0, "layer_types": 0, "head_dim": 0}), draw.randint(1, 2)
        ):
            config[key] = draw.choice(values)
        (tmp_path / "config.json").write_text(json.dumps(config))
        try:
            load_weights(path).check()
        except InputError as error:
            assert str(tmp_path) in str(error)
