"""A trace that uses every key of pimsim-trace 1.1, as the writer writes it."""

from __future__ import annotations

import json
from typing import Any

Line = dict[str, Any]

_SIZES = {"heads": 2, "kv_heads": 2, "head_dim": 4, "d_ff": 16, "vocabulary": 32, "max_positions": 64}
_STEP = {"T": "step+7", "B": 1, "Q": 1}


def model(name: str, **sizes: int) -> Line:
    """A tiny model."""
    return {"name": name, "family": "gpt2", "layers": 2, "d_model": 8, **_SIZES, **sizes}


def template(id: str, count: int = 2, **more: Any) -> Line:
    """A template whose block is one layer."""
    return {"type": "template", "id": id, "repeat": {"layers": 1, "count": count}, **more}


def op(owner: str, id: str, role: str, kind: str, in_: int, out: int, deps: list[str], **more: Any) -> Line:
    """An operator of a block; of its keys `more` in the order of the writer."""
    line: Line = {"type": "op", "template": owner, "id": id, "scope": "block", "role": role, "op": kind}
    line |= {"in": in_, "out": out}
    if kind == "linear":
        line["weight"] = more.pop("weight", {"layout": "in_out", "bits": 2, "bias": False})
    before = {key: more.pop(key) for key in list(more) if key not in ("take", "tokens")}
    return line | before | {"deps": deps} | more


def attention(owner: str, in_: int, deps: list[str], id: str = "attention", out: int = 8, **more: Any) -> Line:
    """Attention of two heads of four elements, if `head_groups` say nothing else."""
    groups = more.pop("head_groups", [{"heads": 2, "kv_heads": 2, "head_dim": 4, "kv_len": "T"}])
    return op(owner, id, "attn", "attention", in_, out, deps, head_groups=groups, **more)


def schedule(phase: str, steps: int, owner: str, bindings: Line, **more: Any) -> Line:
    """A line of the schedule."""
    line = {"type": "schedule", "phase": phase, "steps": [0, steps - 1], "template": owner, "bindings": bindings}
    return line | more


def lines() -> list[Line]:
    """An encoder whose K and V a decoder reads, a state, a latent V, a draft that a tree verifies, beams."""
    header = {
        "type": "header", "format": "pimsim-trace", "version": "1.1", "model": model("tiny"),
        "data_types": {"weights": "int2", "activations": "fp8_e4m3", "kv": "mxfp4"},
        "symbols": {"T": "", "B": "", "Q": "", "S": "tokens of the encoder"},
    }  # fmt: skip
    scaled = {"layout": "in_out", "bits": 2, "group": 4, "scale_bits": 16, "zero_bits": 2, "bias": False}
    latent = [{"heads": 2, "kv_heads": 1, "head_dim": 6, "kv_len": "T", "value_dim": 4}]
    groups = [
        {"heads": 1, "kv_heads": 1, "head_dim": 4, "kv_len": "T"},
        {"heads": 1, "kv_heads": 1, "head_dim": 4, "kv_len": 3},
    ]
    graphs: list[Line] = [
        template("encode"),
        op("encode", "qkv", "qkv", "linear", 8, 24, ["input"], weight=scaled),
        attention("encode", 24, ["qkv"], mask="block", append=False),
        template("remember"),  # K and V of the encoder's vectors, for the decoder to read
        op("remember", "cross_q", "qkv", "linear", 8, 8, ["input"]),
        op("remember", "cross_kv", "qkv", "linear", 8, 16, ["input"], tokens="S"),
        attention("remember", 24, ["cross_q", "cross_kv"], id="cross", cache="memory \u2603"),
        template("decode"),
        op("decode", "qkv", "qkv", "linear", 8, 24, ["input"]),
        attention("decode", 24, ["qkv"], window=4, sinks=2),
        op("decode", "cross_q", "qkv", "linear", 8, 8, ["attention"]),
        attention(
            "decode", 8, ["cross_q"], id="cross", cache="memory \u2603",
            head_groups=[{"heads": 2, "kv_heads": 2, "head_dim": 4, "kv_len": "S"}],
        ),
        template("streams", weights_of="decode"),
        op("streams", "qkv", "qkv", "linear", 8, 24, ["input"]),
        attention("streams", 24, ["qkv"], head_groups=groups),
        template("latent", model=model("mla", kv_heads=1, head_dim=6)),
        op("latent", "q", "qkv", "linear", 8, 12, ["input"]),
        op("latent", "kv", "qkv", "linear", 8, 6, ["input"]),
        attention("latent", 18, ["q", "kv"], head_groups=latent, mask="tree"),
        template("state", model=model("mamba")),
        op("state", "in_proj", "ssm", "linear", 8, 32, ["input"]),
        op("state", "conv", "ssm", "conv", 16, 16, ["in_proj"], kernel=4, state="sram", take={"in_proj": [0, 16]}),
        op("state", "update", "ssm", "ssm_update", 64, 16, ["conv"], state="dram"),
        op("state", "gated", "ssm", "mul", 16, 16, ["update", "in_proj"], take={"in_proj": [16, 16]}),
        op("state", "out_proj", "ssm", "linear", 16, 8, ["gated"]),
        template("draft", 1, model=model("draft", layers=1, d_model=4, heads=1, kv_heads=1)),
        op("draft", "qkv", "qkv", "linear", 4, 12, ["input"]),
        attention(
            "draft", 12, ["qkv"], out=4, head_groups=[{"heads": 1, "kv_heads": 1, "head_dim": 4, "kv_len": "T"}]
        ),
    ]  # fmt: skip
    tree = [-1, 0, 0, 1]
    step, four = {**_STEP, "S": 6}, {"T": "kept+10", "B": 1, "Q": 4, "S": 6}
    runs = [
        schedule("prefill", 1, "encode", {"T": 6, "B": 1, "Q": 6, "S": 6}),
        schedule("prefill", 1, "remember", {"T": 1, "B": 1, "Q": 1, "S": 6}),
        schedule("decode", 3, "decode", {"T": "step+2", "B": 1, "Q": 1, "S": 6}),
        schedule("decode", 2, "state", step),
        schedule("decode", 6, "draft", {**step, "T": "kept+step+7"}, accept=0, cycle="speculative"),
        schedule("decode", 3, "latent", four, accept={"mean": 2.32}, cycle="speculative", tree=tree),
        schedule("decode", 5, "streams", four, accept={"positions": [0.73, 0.52, 0.35]}, layers=[0], cycle="two"),
        schedule("decode", 4, "streams", {"T": "step+40", "B": 4, "Q": 1, "S": 6}, fork=4, reorder=1.5),
        schedule("decode", 1, "streams", {"T": 44, "B": 4, "Q": 1, "S": 6}, accept=1, layers=1),
    ]
    return [header, *graphs, *runs]


def text_of(lines: list[Line]) -> str:
    """As the writer writes it."""
    return "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
