"""Tiny models of every family with random weights, written as the hub and as GGUF have them.

`write_model` writes one; `tensors_of` has its numbers by the hub's names.  The names and layouts here are
written down a second time, from the classes of transformers and the converter of llama.cpp: the readers of
`pimsim.values.weights` have their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]
Arrays = dict[str, Array]

_LLAMA = {
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 128,
    "max_position_embeddings": 64,
    "hidden_act": "silu",
    "rms_norm_eps": 1e-5,
    "rope_theta": 10000.0,
    "tie_word_embeddings": False,
}
_GEMMA = _LLAMA | {
    "hidden_act": "gelu_pytorch_tanh",
    "hidden_activation": "gelu_pytorch_tanh",
    "head_dim": 32,
    "tie_word_embeddings": True,
    "rms_norm_eps": 1e-6,
}
# The config.json of each family.
CONFIGS: dict[str, dict[str, Any]] = {
    "gpt2": {
        "model_type": "gpt2",
        "n_embd": 64,
        "n_layer": 2,
        "n_head": 4,
        "n_positions": 64,
        "vocab_size": 128,
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "tie_word_embeddings": True,
    },
    "llama": _LLAMA | {"model_type": "llama"},
    "smollm": _LLAMA | {"model_type": "llama", "tie_word_embeddings": True, "rope_theta": 100000.0},
    "mistral": _LLAMA | {"model_type": "mistral", "sliding_window": 16},
    "qwen2": _LLAMA | {"model_type": "qwen2", "tie_word_embeddings": True, "rope_theta": 1e6},
    "qwen3": _LLAMA | {"model_type": "qwen3", "head_dim": 32, "rope_theta": 1e6},
    "gemma": _GEMMA | {"model_type": "gemma"},
    "gemma2": _GEMMA
    | {
        "model_type": "gemma2",
        "query_pre_attn_scalar": 32,
        "attn_logit_softcapping": 50.0,
        "final_logit_softcapping": 30.0,
        "sliding_window": 16,
    },
    "gemma3": _GEMMA
    | {
        "model_type": "gemma3_text",
        "num_hidden_layers": 6,
        "query_pre_attn_scalar": 32,
        "sliding_window": 16,
        "rope_theta": 1e6,
        "rope_local_base_freq": 1e4,
        "rope_scaling": {"rope_type": "linear", "factor": 8.0},
    },
    "mixtral": _LLAMA
    | {
        "model_type": "mixtral",
        "num_local_experts": 4,
        "num_experts_per_tok": 2,
        "sliding_window": None,
        "rope_theta": 1e6,
    },
    "phi3": _LLAMA | {"model_type": "phi3", "sliding_window": None, "pad_token_id": None},
}
FAMILIES = tuple(CONFIGS)


def config_of(family: str, **sizes: Any) -> dict[str, Any]:
    """The config.json of a tiny model; `sizes` are keys of it."""
    return CONFIGS[family] | sizes


def tensors_of(config: Mapping[str, Any], seed: int = 0) -> Arrays:
    """Random weights by the names of the hub, float32 that are BF16 numbers."""
    draw = _Draw(seed)
    return _gpt2(config, draw) if config["model_type"] == "gpt2" else _llama(config, draw)


class _Draw:
    def __init__(self, seed: int) -> None:
        self._random = np.random.default_rng(seed)

    def matrix(self, *shape: int, inputs: int = 0) -> Array:
        return _bf16(self._random.standard_normal(shape) * (inputs or shape[-1]) ** -0.5)

    def vector(self, n: int, around: float = 0.0) -> Array:
        return _bf16(around + 0.1 * self._random.standard_normal(n))


def _bf16(x: Any) -> Array:
    return np.asarray(x, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)


def _gpt2(config: Mapping[str, Any], draw: _Draw) -> Arrays:
    d, wide = config["n_embd"], config.get("n_inner") or 4 * config["n_embd"]
    made = {
        "transformer.wte.weight": draw.matrix(config["vocab_size"], d),
        "transformer.wpe.weight": draw.matrix(config["n_positions"], d),
    }
    for layer in range(config["n_layer"]):
        at = f"transformer.h.{layer}."
        for norm in ("ln_1", "ln_2"):
            made |= {f"{at}{norm}.weight": draw.vector(d, 1), f"{at}{norm}.bias": draw.vector(d)}
        linears = (("attn.c_attn", d, 3 * d), ("attn.c_proj", d, d), ("mlp.c_fc", d, wide), ("mlp.c_proj", wide, d))
        for name, inputs, outputs in linears:
            made |= {
                f"{at}{name}.weight": draw.matrix(inputs, outputs, inputs=inputs),
                f"{at}{name}.bias": draw.vector(outputs),
            }
    made |= {"transformer.ln_f.weight": draw.vector(d, 1), "transformer.ln_f.bias": draw.vector(d)}
    return made if config["tie_word_embeddings"] else made | {"lm_head.weight": draw.matrix(config["vocab_size"], d)}


def _llama(config: Mapping[str, Any], draw: _Draw) -> Arrays:
    kind, d, wide = config["model_type"], config["hidden_size"], config["intermediate_size"]
    head = config.get("head_dim") or d // config["num_attention_heads"]
    q, kv = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    one = 0.0 if kind.startswith("gemma") else 1.0  # what Gemma's norms store is less 1
    norms = ["input_layernorm", "post_attention_layernorm"]
    norms += ["pre_feedforward_layernorm", "post_feedforward_layernorm"] if kind in ("gemma2", "gemma3_text") else []
    made = {"model.embed_tokens.weight": draw.matrix(config["vocab_size"], d)}
    for layer in range(config["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        made |= {f"{at}{norm}.weight": draw.vector(d, one) for norm in norms}
        if kind == "phi3":
            made[f"{at}self_attn.qkv_proj.weight"] = draw.matrix(q + 2 * kv, d)
        else:
            for name, outputs in (("q", q), ("k", kv), ("v", kv)):
                made[f"{at}self_attn.{name}_proj.weight"] = draw.matrix(outputs, d)
                if kind == "qwen2" or config.get("attention_bias"):
                    made[f"{at}self_attn.{name}_proj.bias"] = draw.vector(outputs)
        made[f"{at}self_attn.o_proj.weight"] = draw.matrix(d, q)
        if config.get("attention_bias"):
            made[f"{at}self_attn.o_proj.bias"] = draw.vector(d)
        if kind in ("qwen3", "gemma3_text"):
            made |= {f"{at}self_attn.{name}_norm.weight": draw.vector(head, one) for name in ("q", "k")}
        if kind == "mixtral":
            made[f"{at}block_sparse_moe.gate.weight"] = draw.matrix(config["num_local_experts"], d)
            for expert in range(config["num_local_experts"]):
                for name, outputs, inputs in (("w1", wide, d), ("w2", d, wide), ("w3", wide, d)):
                    made[f"{at}block_sparse_moe.experts.{expert}.{name}.weight"] = draw.matrix(outputs, inputs)
        elif kind == "phi3":
            made[f"{at}mlp.gate_up_proj.weight"] = draw.matrix(2 * wide, d)
            made[f"{at}mlp.down_proj.weight"] = draw.matrix(d, wide)
        else:
            for name, outputs, inputs in (("gate", wide, d), ("up", wide, d), ("down", d, wide)):
                made[f"{at}mlp.{name}_proj.weight"] = draw.matrix(outputs, inputs)
                if config.get("mlp_bias"):
                    made[f"{at}mlp.{name}_proj.bias"] = draw.vector(outputs)
    made["model.norm.weight"] = draw.vector(d, one)
    if not config["tie_word_embeddings"]:
        made["lm_head.weight"] = draw.matrix(config["vocab_size"], d)
    return made


def write_model(
    folder: Path, family: str, container: str = "safetensors", numbers: str = "BF16", seed: int = 0, **sizes: Any
) -> Path:
    """Write a tiny model into a new folder, and return its file.

    container: safetensors or gguf.  numbers: how matrices are stored: of safetensors F32, F16, BF16, F64; of
    GGUF a name of `gguf.GGMLQuantizationType` that the library can make (rows need a multiple of 32 elements, or
    of 256).  sizes: keys of config.json.
    """
    folder.mkdir(parents=True, exist_ok=True)
    config = config_of(family, **sizes)
    tensors = tensors_of(config, seed)
    if container == "gguf":
        return write_gguf(folder / f"{family}.gguf", config, tensors, numbers)
    return write_safetensors(folder, config, tensors, numbers)


DTYPES: dict[str, Any] = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16,
    "F8_E4M3": ml_dtypes.float8_e4m3fn, "F8_E5M2": ml_dtypes.float8_e5m2,
}  # fmt: skip


def write_safetensors(
    folder: Path, config: Mapping[str, Any], tensors: Mapping[str, Any], numbers: str = "BF16"
) -> Path:
    """config.json and model.safetensors in a folder that is there."""
    from safetensors.numpy import save_file

    (folder / "config.json").write_text(json.dumps(config, indent=2), encoding="utf-8")
    stored = {
        name: np.ascontiguousarray(np.asarray(values).astype(DTYPES[numbers])) for name, values in tensors.items()
    }
    save_file(stored, folder / "model.safetensors")
    return folder / "model.safetensors"


# The architectures of llama.cpp by kinds of config.json.
ARCHITECTURES = {
    "gpt2": "gpt2", "llama": "llama", "mistral": "llama", "mixtral": "llama", "qwen2": "qwen2", "qwen3": "qwen3",
    "gemma": "gemma", "gemma2": "gemma2", "gemma3_text": "gemma3", "phi3": "phi3",
}  # fmt: skip
_EXPERT = re.compile(r"(model\.layers\.\d+\.)block_sparse_moe\.experts\.(\d+)\.(w\d)\.weight")
_STACKED = {"w1": "ffn_gate_exps", "w2": "ffn_down_exps", "w3": "ffn_up_exps"}
_SINGLE = {"w1": "ffn_gate", "w2": "ffn_down", "w3": "ffn_up"}


def write_gguf(
    path: Path,
    config: Mapping[str, Any],
    tensors: Mapping[str, Array],
    numbers: str = "BF16",
    stacked: bool = True,
    change: Callable[[Any], None] = lambda writer: None,
    tokenizer: Mapping[str, Any] | None = None,
) -> Path:
    """The same model as the converter of llama.cpp writes it.

    stacked: experts are in one tensor.  change: adds to the writer.  tokenizer: more metadata, by whole keys.
    """
    import gguf

    kind = config["model_type"]
    architecture = ARCHITECTURES[kind]
    writer = gguf.GGUFWriter(path, architecture)
    (_gpt2_metadata if kind == "gpt2" else _llama_metadata)(writer, config)
    for key, value in (tokenizer or {}).items():
        _add(writer, key, value)
    layers = config.get("num_hidden_layers") or config["n_layer"]
    names = gguf.get_tensor_name_map(_arch(gguf, architecture), layers)
    for name, values in _as_llama_cpp(config, tensors, names, stacked).items():
        matrix = values.ndim > 1 and "ffn_gate_inp" not in name
        stored = numbers if matrix else "F32"
        quantised = gguf.GGMLQuantizationType[stored]
        writer.add_tensor(name, gguf.quants.quantize(values, quantised), raw_dtype=quantised)
    change(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _arch(gguf: Any, name: str) -> Any:
    return next(arch for arch, its_name in gguf.MODEL_ARCH_NAMES.items() if its_name == name)


def _add(writer: Any, key: str, value: Any) -> None:
    if isinstance(value, bool):
        writer.add_bool(key, value)
    elif isinstance(value, int):
        writer.add_uint32(key, value)
    elif isinstance(value, str):
        writer.add_string(key, value)
    else:
        writer.add_array(key, value)


def _gpt2_metadata(writer: Any, config: Mapping[str, Any]) -> None:
    writer.add_block_count(config["n_layer"])
    writer.add_context_length(config["n_positions"])
    writer.add_embedding_length(config["n_embd"])
    writer.add_feed_forward_length(config.get("n_inner") or 4 * config["n_embd"])
    writer.add_head_count(config["n_head"])
    writer.add_layer_norm_eps(config["layer_norm_epsilon"])


def _llama_metadata(writer: Any, config: Mapping[str, Any]) -> None:
    kind, heads = config["model_type"], config["num_attention_heads"]
    head = config.get("head_dim") or config["hidden_size"] // heads
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(heads)
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])
    writer.add_rope_dimension_count(int(head * (config.get("partial_rotary_factor") or 1)))
    if config.get("head_dim"):
        writer.add_key_length(head)
        writer.add_value_length(head)
    if kind == "mixtral":
        writer.add_expert_count(config["num_local_experts"])
        writer.add_expert_used_count(config["num_experts_per_tok"])
    if config.get("attn_logit_softcapping"):
        writer.add_attn_logit_softcapping(config["attn_logit_softcapping"])
    if config.get("final_logit_softcapping"):
        writer.add_final_logit_softcapping(config["final_logit_softcapping"])
    if kind in ("gemma2", "gemma3_text") or (kind == "phi3" and config["sliding_window"]):
        writer.add_sliding_window(config["sliding_window"])
    scaling = config.get("rope_scaling") or {}
    if scaling.get("rope_type") in ("linear", "yarn"):
        import gguf

        writer.add_rope_scaling_type(gguf.RopeScalingType(scaling["rope_type"]))
        writer.add_rope_scaling_factor(scaling["factor"])
        if "original_max_position_embeddings" in scaling:
            writer.add_rope_scaling_orig_ctx_len(scaling["original_max_position_embeddings"])


def _as_llama_cpp(config: Mapping[str, Any], tensors: Mapping[str, Array], names: Any, stacked: bool) -> Arrays:
    """Names and layouts of llama.cpp."""
    kind = config["model_type"]
    made: Arrays = {}
    experts: dict[str, dict[int, Array]] = {}
    for name, values in tensors.items():
        if match := _EXPERT.fullmatch(name):
            block = match[1].replace("model.layers.", "blk.")
            if stacked:
                experts.setdefault(f"{block}{_STACKED[match[3]]}.weight", {})[int(match[2])] = values
            else:
                made[f"{block}{_SINGLE[match[3]]}.{match[2]}.weight"] = values
            continue
        if kind in ("llama", "mistral", "mixtral") and (".q_proj." in name or ".k_proj." in name):
            heads = config["num_attention_heads" if ".q_proj." in name else "num_key_value_heads"]
            values = values.reshape(heads, 2, -1, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)
        if kind.startswith("gemma") and name.endswith("norm.weight"):
            values = values + np.float32(1)
        if kind == "gpt2" and values.ndim == 2 and ".h." in name:
            values = values.T
        own = names.get_name(name, try_suffixes=(".weight", ".bias"))
        assert own, name
        made[own] = np.ascontiguousarray(values)
    return made | {name: np.stack([each[i] for i in sorted(each)]) for name, each in experts.items()}
