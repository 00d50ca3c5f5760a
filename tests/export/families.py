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


_PLAIN = {"num_hidden_layers": 2, "hidden_size": 32, "vocab_size": 96}
_MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 8, "mamba_n_groups": 2, "mamba_d_state": 8, "mamba_chunk_size": 16}
_ATTENTION = {"num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 48}

# What keeps a state in place of K and V, or beside it in other layers.
STATES: dict[str, dict[str, Any]] = {
    "mamba": {"model_type": "mamba", **_PLAIN, "state_size": 4},
    "falcon_mamba": {"model_type": "falcon_mamba", **_PLAIN, "state_size": 4, "use_bias": True, "use_conv_bias": False},
    "mamba2": {
        "model_type": "mamba2", **_PLAIN, "state_size": 8, "num_heads": 8, "head_dim": 8, "n_groups": 2,
        "chunk_size": 16,
    },
    "jamba": {
        "model_type": "jamba", **_PLAIN, **_ATTENTION, "num_hidden_layers": 8, "attn_layer_period": 4,
        "attn_layer_offset": 2, "expert_layer_period": 2, "expert_layer_offset": 1, "num_experts": 4,
        "num_experts_per_tok": 2, "mamba_d_state": 4, "mamba_dt_rank": 3, "pad_token_id": 0,
    },
    "bamba": {
        "model_type": "bamba", **_PLAIN, **_ATTENTION, **_MAMBA2, "num_hidden_layers": 3, "attn_layer_indices": [1],
        "pad_token_id": 0,
    },
    "granitemoehybrid": {
        "model_type": "granitemoehybrid", **_PLAIN, **_ATTENTION, **_MAMBA2, "shared_intermediate_size": 40,
        "num_local_experts": 4, "num_experts_per_tok": 2, "layer_types": ["mamba", "attention"], "pad_token_id": 0,
    },
    "zamba2": {
        "model_type": "zamba2", **_PLAIN, "num_hidden_layers": 7, "num_attention_heads": 4, "intermediate_size": 48,
        "n_mamba_heads": 8, "mamba_d_state": 8, "mamba_ngroups": 2, "chunk_size": 16, "num_mem_blocks": 2,
        "adapter_rank": 4, "use_mem_rope": True, "use_shared_attention_adapter": True, "pad_token_id": 0,
        "layers_block_type": ["mamba", "hybrid"] * 3 + ["mamba"],
    },
}  # fmt: skip

_FALCON = {**_without(_SIZES, "num_key_value_heads", "intermediate_size"), "bias": False}
_MLA: dict[str, Any] = {
    **_ALL_HEADS,
    "num_hidden_layers": 3,
    "q_lora_rank": 24,
    "kv_lora_rank": 16,
    "qk_nope_head_dim": 8,
    "qk_rope_head_dim": 4,
    "v_head_dim": 6,
    "first_k_dense_replace": 1,
    "moe_intermediate_size": 24,
    "n_routed_experts": 8,
    "num_experts_per_tok": 3,
    "n_group": 4,
    "topk_group": 2,
}
_OPT = _without(_SIZES, "intermediate_size", "num_key_value_heads")

FAMILIES: dict[str, dict[str, Any]] = {
    "gpt2": {"model_type": "gpt2", "n_layer": 2, "n_embd": 32, "n_head": 4, "n_positions": 64, "vocab_size": 96},
    "opt": {"model_type": "opt", **_OPT, "ffn_dim": 64, "word_embed_proj_dim": 32},
    "gpt_neox": {"model_type": "gpt_neox", **_ALL_HEADS, "tie_word_embeddings": False},
    "llama": {"model_type": "llama", **_SIZES, "tie_word_embeddings": False},
    "mistral": {"model_type": "mistral", **_SIZES, "sliding_window": 8},
    "qwen2": {"model_type": "qwen2", **_SIZES, "tie_word_embeddings": True},
    "gemma2": {"model_type": "gemma2", **_SIZES, "num_hidden_layers": 4, "head_dim": 16, "sliding_window": 8},
    "gemma3_text": {
        "model_type": "gemma3_text",
        **_SIZES,
        "num_hidden_layers": 4,
        "head_dim": 16,
        "sliding_window": 8,
        "sliding_window_pattern": 2,
    },
    "phi3": {
        "model_type": "phi3",
        **_SIZES,
        "partial_rotary_factor": 0.5,
        "sliding_window": 8,
        "pad_token_id": 0,
        "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
    },
    "phi": {"model_type": "phi", **_ALL_HEADS},
    "mixtral": {"model_type": "mixtral", **_SIZES, "num_local_experts": 4, "num_experts_per_tok": 2},
    "qwen3": {"model_type": "qwen3", **_SIZES, "head_dim": 16},
    "stablelm": {"model_type": "stablelm", **_SIZES},
    "starcoder2": {"model_type": "starcoder2", **_SIZES, "sliding_window": None},
    "bloom": {"model_type": "bloom", "n_layer": 2, "hidden_size": 32, "n_head": 4, "vocab_size": 96, "seq_length": 64},
    "codegen": {
        "model_type": "codegen", "n_layer": 2, "n_embd": 32, "n_head": 4, "rotary_dim": 4, "vocab_size": 96,
        "n_positions": 64, "tie_word_embeddings": False,
    },
    "falcon": {"model_type": "falcon", **_FALCON},
    "falcon_alibi": {
        "model_type": "falcon", **_FALCON, "alibi": True, "multi_query": False, "parallel_attn": False, "bias": True,
    },
    "falcon_grouped": {"model_type": "falcon", **_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2},
    "gptj": {
        "model_type": "gptj", "n_layer": 2, "n_embd": 32, "n_head": 4, "rotary_dim": 4, "vocab_size": 96,
        "n_positions": 64, "tie_word_embeddings": False,
    },
    "mpt": {"model_type": "mpt", "n_layers": 2, "d_model": 32, "n_heads": 4, "vocab_size": 96, "max_seq_len": 64},
    "deepseek_v2": {
        "model_type": "deepseek_v2", **_MLA, "n_shared_experts": 2, "topk_method": "group_limited_greedy",
    },
    "deepseek_v2_lite": {
        "model_type": "deepseek_v2", **_MLA, "q_lora_rank": None, "n_shared_experts": 2, "topk_method": "greedy",
    },
    "deepseek_v3": {"model_type": "deepseek_v3", **_MLA, "n_shared_experts": 1},
    **STATES,
}  # fmt: skip

REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "rwkv": ({"model_type": "rwkv", "num_hidden_layers": 2, "hidden_size": 32}, "keeps a state"),
    "lfm2": ({"model_type": "lfm2", **_SIZES, "full_attn_idxs": [1]}, "model.layers.0"),
    "gpt_neo": (
        {
            "model_type": "gpt_neo",
            "num_layers": 2,
            "hidden_size": 32,
            "num_heads": 4,
            "attention_types": [[["global", "local"], 1]],
        },
        "model gpt_neo: its attention does not go through transformers' attention interface",
    ),
    "qwen2_moe": ({"model_type": "qwen2_moe", **_SIZES}, "model.layers.0.mlp (Qwen2MoeSparseMoeBlock): aten::sigmoid"),
    "bert": ({"model_type": "bert", **_without(_SIZES, "num_key_value_heads"), "is_decoder": True}, "cls.predictions"),
    "t5": ({"model_type": "t5"}, "a t5 encodes a source: say how many tokens it has"),
}

# What a trace can be made of without torch, in the sizes that were published (recalled from the models' own
# config.json), as far as they are not in the exporter's table.
PUBLISHED: dict[str, dict[str, Any]] = {
    "gemma-3-1b": {
        "model_type": "gemma3_text",
        "hidden_size": 1152,
        "intermediate_size": 6912,
        "num_attention_heads": 4,
        "num_key_value_heads": 1,
        "num_hidden_layers": 26,
        "head_dim": 256,
        "sliding_window": 512,
        "sliding_window_pattern": 6,
        "vocab_size": 262144,
        "max_position_embeddings": 32768,
        "rope_theta": 1000000,
        "rope_local_base_freq": 10000,
        "hidden_activation": "gelu_pytorch_tanh",
        "final_logit_softcapping": None,
    },
    "phi-3-mini-4k": {
        "model_type": "phi3",
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "num_hidden_layers": 32,
        "sliding_window": 2047,
        "vocab_size": 32064,
        "max_position_embeddings": 4096,
        "original_max_position_embeddings": 4096,
        "rope_scaling": None,
        "auto_map": {"AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"},
        "attention_bias": False,
    },
    "phi-4-mini": {
        "model_type": "phi3",
        "hidden_size": 3072,
        "intermediate_size": 8192,
        "num_attention_heads": 24,
        "num_key_value_heads": 8,
        "num_hidden_layers": 32,
        "sliding_window": 262144,
        "vocab_size": 200064,
        "max_position_embeddings": 131072,
        "original_max_position_embeddings": 4096,
        "partial_rotary_factor": 0.75,
        "rope_scaling": {"type": "longrope", "long_factor": [1.0] * 48, "short_factor": [1.0] * 48},
        "tie_word_embeddings": True,
        "auto_map": {"AutoConfig": "configuration_phi3.Phi3Config"},
    },
    "llama-3.1-8b": {
        "model_type": "llama",
        "hidden_size": 4096,
        "intermediate_size": 14336,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_hidden_layers": 32,
        "vocab_size": 128256,
        "max_position_embeddings": 131072,
        "rope_scaling": {
            "rope_type": "llama3",
            "factor": 8.0,
            "low_freq_factor": 1.0,
            "high_freq_factor": 4.0,
            "original_max_position_embeddings": 8192,
        },
        "rope_theta": 500000.0,
    },
    "qwen3-8b": {
        "model_type": "qwen3",
        "hidden_size": 4096,
        "intermediate_size": 12288,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
        "num_hidden_layers": 36,
        "head_dim": 128,
        "vocab_size": 151936,
        "max_position_embeddings": 40960,
        "max_window_layers": 36,
        "sliding_window": None,
        "use_sliding_window": False,
    },
}

# The table of the exporter that is made without torch as well.
BUILT_IN = ("gemma-2-2b", "gpt2-xl", "mistral-7b", "mixtral-8x7b", "qwen2.5-0.5b", "qwen3-0.6b")

_PHI3 = {"model_type": "phi3", **_SIZES, "pad_token_id": 0}
_FULL, _WINDOW = "full_attention", "sliding_attention"

# One thing each that is not as in FAMILIES.
VARIANTS: dict[str, dict[str, Any]] = {
    "gpt2-names": {"model_type": "gpt2", "hidden_size": 24, "num_hidden_layers": 3, "num_attention_heads": 3},
    "gpt2-relu": {**FAMILIES["gpt2"], "n_inner": 77, "activation_function": "relu", "tie_word_embeddings": False},
    "gpt2-gelu": {**FAMILIES["gpt2"], "activation_function": "gelu_python", "scale_attn_by_inverse_layer_idx": True},
    "llama-biases": {"model_type": "llama", **_SIZES, "attention_bias": True, "mlp_bias": True, "hidden_act": "gelu"},
    "llama-head_dim": {"model_type": "llama", **_SIZES, "head_dim": 10, "tie_word_embeddings": True},
    "llama-heads": {"model_type": "llama", **_without(_SIZES, "num_key_value_heads"), "hidden_act": "relu"},
    "qwen2-windows": {
        "model_type": "qwen2", **_SIZES, "num_hidden_layers": 6, "use_sliding_window": True, "sliding_window": 8,
        "max_window_layers": 4,
    },
    "qwen2-odd": {"model_type": "qwen2", **_SIZES, "num_attention_heads": 3, "num_key_value_heads": 1},
    "qwen3-windows": {
        "model_type": "qwen3", **_SIZES, "use_sliding_window": True, "sliding_window": 8, "attention_bias": True,
        "layer_types": [_FULL, _WINDOW],
    },
    "mistral-all": {"model_type": "mistral", **_SIZES, "sliding_window": None, "head_dim": 12},
    "mixtral-one": {"model_type": "mixtral", **_SIZES, "num_local_experts": 4, "num_experts_per_tok": 1},
    "mixtral-all": {"model_type": "mixtral", **_SIZES, "num_experts": 3, "num_experts_per_tok": 3, "sliding_window": 8},
    "gemma": {"model_type": "gemma", **_SIZES, "head_dim": 16},
    "gemma-odd": {
        "model_type": "gemma", **_SIZES, "hidden_act": "gelu", "attention_bias": True, "tie_word_embeddings": False,
    },
    "gemma2-plain": {
        **FAMILIES["gemma2"], "attn_logit_softcapping": None, "final_logit_softcapping": None, "attention_bias": True,
        "tie_word_embeddings": False,
    },
    "gemma2-odd": {**FAMILIES["gemma2"], "num_hidden_layers": 5},
    "gemma3-caps": {
        **FAMILIES["gemma3_text"], "final_logit_softcapping": 30.0, "attn_logit_softcapping": 50.0,
        "layer_types": [_FULL, _FULL, _WINDOW, _FULL],
    },
    "gemma3-both-ways": {**FAMILIES["gemma3_text"], "use_bidirectional_attention": True, "sliding_window": 9},
    "phi3-long": {
        **_PHI3, "original_max_position_embeddings": 32,
        "rope_scaling": {"type": "longrope", "short_factor": [1.0] * 4, "long_factor": [1.0] * 4},
    },
    "phi3-odd": {**_PHI3, "partial_rotary_factor": 0.4},
    "phi3-partial": {**_PHI3, "head_dim": 16, "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25}},
}  # fmt: skip

# Multimodal models, the kind that their text part is exported as, and where the part stands in the file.
MULTIMODAL: dict[str, tuple[dict[str, Any], str, str]] = {
    "llava": (
        {"model_type": "llava", "vision_config": {"model_type": "clip_vision_model"}, "text_config": FAMILIES["llama"]},
        "llama",
        "text_config",
    ),
    "llava-default": (
        {"model_type": "llava", "text_config": _without(FAMILIES["llama"], "model_type")},
        "llama",
        "text_config",
    ),
    "gemma3": (
        {"model_type": "gemma3", "text_config": {**_SIZES, "model_type": "gemma3_text", "sliding_window": 8}},
        "gemma3_text",
        "text_config",
    ),
    "mistral3": ({"model_type": "mistral3", "text_config": FAMILIES["mistral"]}, "mistral", "text_config"),
    "qwen2_vl": ({"model_type": "qwen2_vl", **_SIZES, "tie_word_embeddings": True}, "qwen2", "model_type"),
    "qwen2_5_vl": (
        {
            "model_type": "qwen2_5_vl",
            "tie_word_embeddings": True,
            "text_config": {
                "model_type": "qwen2_5_vl_text", **_SIZES,
                "rope_scaling": {"type": "mrope", "mrope_section": [1, 1, 2], "rope_type": "default"},
            },
        },
        "qwen2",
        "text_config",
    ),
}  # fmt: skip
