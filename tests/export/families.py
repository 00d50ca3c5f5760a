"""Tiny configurations of transformers' families: two layers (more where layers alternate), a few dozen elements."""

from __future__ import annotations

from typing import Any

_SIZES: dict[str, Any] = {
    "num_hidden_layers": 2,
    "hidden_size": 32,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 48,
    "vocab_size": 96,
    "max_position_embeddings": 64,
}
_ALL_HEADS = {**_SIZES, "num_key_value_heads": 4}


def _without(sizes: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in sizes.items() if key not in keys}


_OPT = _without(_SIZES, "intermediate_size", "num_key_value_heads")

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64, "vocab_size": 96},
    "opt": {"model_type": "opt", **_OPT, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt_neox": {"model_type": "gpt_neox", **_ALL_HEADS, "tie_word_embeddings": False},
    "llama": {"model_type": "llama", **_SIZES, "tie_word_embeddings": False},
    "mistral": {"model_type": "mistral", **_SIZES, "sliding_window": 8},
    "qwen2": {"model_type": "qwen2", **_SIZES, "tie_word_embeddings": True},
    "gemma2": {"model_type": "gemma2", **_SIZES, "num_hidden_layers": 4, "head_dim": 16, "sliding_window": 8},
    "phi": {"model_type": "phi", **_ALL_HEADS},
    "mixtral": {"model_type": "mixtral", **_SIZES, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3": {"model_type": "qwen3", **_SIZES, "head_dim": 16},
    "stablelm": {"model_type": "stablelm", **_SIZES},
    "starcoder2": {"model_type": "starcoder2", **_SIZES, "sliding_window": None},
}

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "mamba": (
        {"model_type": "mamba", "num_hidden_layers": 2, "hidden_size": 32},
        "backbone.layers.0.mixer (MambaMixer): keeps a state",
    ),
    "bloom": ({"model_type": "bloom", "n_layer": 2, "hidden_size": 32, "n_head": 4}, "transformer.h.0.self_attention"),
    "gptj": ({"model_type": "gptj", "n_layer": 2, "n_embd": 32, "n_head": 4, "rotary_dim": 4}, "attention interface"),
    "qwen2_moe": ({"model_type": "qwen2_moe", **_SIZES}, "model.layers.0.mlp (Qwen2MoeSparseMoeBlock): aten::sigmoid"),
    "bert": ({"model_type": "bert", **_without(_SIZES, "num_key_value_heads"), "is_decoder": True}, "cls.predictions"),
    "t5": ({"model_type": "t5"}, "cannot build the model"),
}
