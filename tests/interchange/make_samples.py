"""Makes the profiles in `samples/` anew: `python tests/interchange/make_samples.py` (needs torch and transformers).

Two tiny models with random weights; each file holds one decode step on the CPU.  What
says where and when it was recorded is taken out, so that a file holds nothing but calls.
"""

from __future__ import annotations

import gzip
import json
import tempfile
from pathlib import Path
from typing import Any

SAMPLES = Path(__file__).parent / "samples"
_KEPT_ATTRIBUTES = ("op_schema",)


def models() -> dict[str, Any]:
    """The two models, by name."""
    from transformers import GPT2Config, GPT2LMHeadModel, Qwen2Config, Qwen2ForCausalLM

    gpt2 = GPT2Config(n_layer=2, n_embd=32, n_head=4, vocab_size=100, n_positions=64)
    qwen2 = Qwen2Config(
        num_hidden_layers=2, hidden_size=32, num_attention_heads=4, num_key_value_heads=2, intermediate_size=48,
        vocab_size=100, tie_word_embeddings=False, max_position_embeddings=64,
    )  # fmt: skip
    return {"gpt2": GPT2LMHeadModel(gpt2), "qwen2": Qwen2ForCausalLM(qwen2)}


def record(name: str, model: Any, attention: str) -> None:
    """An execution trace and a Kineto trace of the decode steps after a prompt of 7 tokens."""
    import torch
    from torch.profiler import ExecutionTraceObserver, ProfilerActivity, profile

    model.eval().set_attn_implementation(attention)
    with torch.no_grad(), tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        past = model(torch.arange(7)[None], use_cache=True).past_key_values
        observer = ExecutionTraceObserver()
        observer.register_callback(str(path))
        observer.start()
        past = model(torch.tensor([[7]]), past_key_values=past, use_cache=True).past_key_values
        observer.stop()
        observer.unregister_callback()
        save(f"{name}-{attention}.et.json.gz", _without_place(json.loads(path.read_text())))
        with profile(activities=[ProfilerActivity.CPU], record_shapes=True) as profiler:
            model(torch.tensor([[8]]), past_key_values=past, use_cache=True)
        profiler.export_chrome_trace(str(path))
        save(f"{name}-{attention}.kineto.json.gz", _without_place(json.loads(path.read_text())))


def _without_place(document: dict[str, Any]) -> dict[str, Any]:
    """The trace without process, time and host."""
    for key in ("pid", "time", "start_ts", "finish_ts", "host_name", "trace_id", "traceName", "baseTimeNanoseconds"):
        document.pop(key, None)
    for node in document.get("nodes", []):
        node["attrs"] = [a for a in node["attrs"] if a["name"] in _KEPT_ATTRIBUTES]
    return document


def save(name: str, document: dict[str, Any]) -> None:
    """A gzip file that is the same whenever it is made from the same document."""
    data = json.dumps(document, separators=(",", ":")).encode()
    SAMPLES.mkdir(exist_ok=True)
    (SAMPLES / name).write_bytes(gzip.compress(data, mtime=0))


if __name__ == "__main__":
    for model_name, made in models().items():
        for kind in ("eager", "sdpa"):
            record(model_name, made, kind)
