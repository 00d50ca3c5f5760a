"""A run whose block is all of its layers, so that the table of operators has a row for each of them."""

from __future__ import annotations

import json
from pathlib import Path

import pimsim
from pimsim.results.result import Result
from pimsim.workload.export import export_trace
from pimsim.workload.trace.writer import write_trace

LAYERS = 62
GEMMA = {
    "architectures": ["Gemma3ForCausalLM"], "model_type": "gemma3_text", "hidden_size": 256, "intermediate_size": 512,
    "num_hidden_layers": LAYERS, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 128,
    "vocab_size": 1000, "max_position_embeddings": 4096, "sliding_window": 16, "sliding_window_pattern": 6,
    "query_pre_attn_scalar": 128, "rope_theta": 1e6, "rope_local_base_freq": 1e4, "rms_norm_eps": 1e-6,
    "hidden_activation": "gelu_pytorch_tanh", "torch_dtype": "bfloat16", "tie_word_embeddings": True,
}  # fmt: skip


def many_layers(folder: Path) -> Result:
    """A run of it, two steps."""
    source, trace = folder / "config.json", folder / "layers.jsonl"
    source.write_text(json.dumps(GEMMA))
    write_trace(export_trace(str(source), steps=2), trace)
    return pimsim.run(pimsim.load_config("pim-gpt", {"workload.trace": str(trace), "baselines": []}))
