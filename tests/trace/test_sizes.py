"""Every operator's sizes follow from what it reads, and from the model: contradictions have a place, oddities pass."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pimsim import load_config, run
from pimsim.errors import InputError, Problem
from pimsim.workload.models import MODELS, build
from pimsim.workload.shapes import ModelShape, llama
from pimsim.workload.trace import table
from pimsim.workload.trace.bind import trace_of, workload_of
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace, write_trace
from tests.conftest import SHIPPED
from tests.trace.traces import TRACES

Line = dict[str, Any]
Lines = list[Line]
Change = Callable[[Lines], None]

GPT2 = ModelShape("gpt", 2, 64, 4, 4, 256, 100, 32)
LLAMA = llama("llama", 2, 64, 4, 2, 96, 100, 32)
MOE = llama("moe", 2, 64, 4, 2, 96, 100, 32, experts=4, active=2)
SHAPES = {"gpt2": GPT2, "llama": LLAMA, "moe": MOE}


def lines_of(name: str) -> Lines:
    """A trace as its lines, without what the header says of parameters and sums."""
    lines = [json.loads(line) for line in dump_trace(trace_of(build(SHAPES[name], lm_head=True))).splitlines()]
    for key in ("config_sha256", "parameters"):
        del lines[0]["model"][key]
    del lines[0]["checks"]
    return lines


def op(lines: Lines, id: str) -> Line:
    return next(line for line in lines if line.get("id") == id and line["type"] == "op")


def change(id: str, **values: Any) -> Change:
    """Other values of an operator; `in_` is `in`."""

    def apply(lines: Lines) -> None:
        op(lines, id).update({key.rstrip("_"): value for key, value in values.items()})

    return apply


def model(**values: Any) -> Change:
    return lambda lines: lines[0]["model"].update(values)


def repeat(layers: int, count: int) -> Change:
    def apply(lines: Lines) -> None:
        lines[0]["model"]["layers"] = layers * count
        next(line for line in lines if line["type"] == "template")["repeat"] = {"layers": layers, "count": count}

    return apply


def head_groups(id: str = "attention", **values: int) -> Change:
    return lambda lines: op(lines, id)["head_groups"][0].update(values)


def remove(*ids: str) -> Change:
    return lambda lines: [lines.remove(op(lines, id)) for id in ids] and None


def insert(before: str, id: str, kind: str, size: int, out: int = 0, **values: Any) -> Change:
    """A new operator, before another of its scope."""

    def apply(lines: Lines) -> None:
        next_op = op(lines, before)
        made = {"type": "op", "template": "decode", "id": id, "scope": next_op["scope"], "role": "norm", "op": kind}
        made |= {"in": size, "out": out or size, **{key.rstrip("_"): value for key, value in values.items()}}
        lines.insert(lines.index(next_op), made)

    return apply


def problems_of(path: Path, lines: Lines) -> list[Problem]:
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    try:
        load_trace(path)
    except InputError as error:
        return list(error.problems)
    return []


def changed(name: str, *changes: Change) -> Lines:
    lines = lines_of(name)
    for each in changes:
        each(lines)
    return lines


# Where it is (an operator, or "header" or "template"), the key, and what is said; the first problem of each.
WRONG: list[tuple[str, list[Change], str, str, str]] = [
    # attentions
    ("gpt2", [change("attention", in_=7)], "attention", "in", "is 7, but its heads take 192 elements (queries, keys"),
    ("gpt2", [change("attention", in_=64)], "attention", "in", "is 64, but 'qkv' gives 192 elements"),
    ("gpt2", [change("qkv", out=200)], "attention", "in", "is 192, but 'qkv' gives 200 elements"),
    ("gpt2", [change("qkv", out=128)], "attention", "in", "is 192, but 'qkv' gives 128 elements"),
    ("gpt2", [head_groups(kv_heads=1)], "attention", "in", "is 192, but its heads take 96 elements"),
    (
        "gpt2",
        [head_groups(kv_heads=1), change("attention", in_=96)],
        "attention",
        "in",
        "is 96, but 'qkv' gives 192 elements",
    ),
    ("gpt2", [head_groups(heads=8, head_dim=8, kv_heads=8)], "attention", "head_groups.0.heads", "8, but the header's"),
    ("gpt2", [model(heads=8, kv_heads=8, head_dim=8)], "attention", "head_groups.0.heads", "4, but the header's model"),
    ("llama", [model(kv_heads=1)], "attention", "head_groups.0.kv_heads", "2, but the header's model has 1"),
    ("llama", [model(head_dim=32)], "attention", "head_groups.0.head_dim", "16, but the header's model has 32"),
    ("llama", [model(kv_heads=3)], "header", "model.kv_heads", "3 heads of K and V do not divide 4 heads"),
    ("llama", [change("v", out=48)], "attention", "in", "is 128, but 'rope' and 'v' give 144 elements"),
    ("llama", [change("k", out=64)], "rope", "in", "is 96, but 'q' and 'k' give 128 elements, and nothing reads the"),
    ("llama", [change("rope", in_=128, out=128)], "rope", "in", "is 128, but 'q' and 'k' give 96 elements"),
    # sums and products
    ("gpt2", [change("ffn_residual", in_=1, out=1)], "ffn_residual", "in", "is 1, but 'attn_residual' gives 64"),
    ("gpt2", [change("attn_residual", in_=1, out=1)], "attn_residual", "in", "is 1, but what enters gives 64"),
    ("gpt2", [change("attn_residual", in_=65)], "attn_residual", "in", "as many elements of each as it gives, 64"),
    ("gpt2", [change("ffn_residual", out=63)], "ffn_residual", "out", "is 63, but 'attn_residual' gives 64"),
    ("llama", [change("ffn_up", out=95)], "ffn_mul", "in", "is 96, but 'ffn_up' gives 95 elements"),
    ("llama", [change("ffn_up", out=192)], "ffn_mul", "in", "is 96, but 'ffn_up' gives 192 elements"),
    ("llama", [change("ffn_gate", out=192)], "ffn_act", "in", "is 96, but 'ffn_gate' gives 192 elements, and nothing"),
    ("llama", [change("ffn_up", out=1)], "ffn_mul", "in", "is 96, but 'ffn_up' gives 1 elements"),
    ("llama", [change("ffn_up", out=4)], "ffn_mul", "in", "is 96, but 'ffn_up' gives 4 elements"),
    ("moe", [change("ffn_up", out=100)], "ffn_act", "in", "is 96, but 'ffn_up' gives 100 elements"),
    # one after another
    ("gpt2", [change("ffn_up", in_=63)], "ffn_up", "in", "is 63, but 'ffn_norm' gives 64 elements"),
    ("gpt2", [change("ffn_act", in_=128, out=128)], "ffn_act", "in", "is 128, but 'ffn_up' gives 256 elements, and"),
    ("gpt2", [change("ffn_norm", in_=32, out=32)], "ffn_norm", "in", "is 32, but 'attn_residual' gives 64 elements"),
    ("gpt2", [change("ffn_norm", rows=2)], "ffn_norm", "in", "is 2 x 64, but 'attn_residual' gives 64 elements"),
    ("gpt2", [change("attn_out", deps=["attention", "qkv"])], "attn_out", "in", "'attention' and 'qkv' give 256"),
    ("gpt2", [change("attn_norm", in_=60, out=60)], "attn_norm", "in", "is 60, but what enters gives 64 elements"),
    ("gpt2", [change("attn_norm", deps=[], in_=60, out=60)], "attn_norm", "in", "is 60, but what enters gives 64"),
    ("gpt2", [change("final_norm", in_=60, out=60)], "final_norm", "in", "is 60, but what enters gives 64 elements"),
    ("gpt2", [change("ffn_down", in_="T")], "ffn_down", "in", "is T, but 'ffn_act' gives 256 elements"),
    # the block and the model
    (
        "gpt2",
        [remove("ffn_residual"), change("ffn_down", out=999)],
        "ffn_down",
        "out",
        "999 elements leave the block with 'ffn_down', but d_model is 64",
    ),
    ("gpt2", [remove("attn_residual", "ffn_residual")], "ffn_norm", "deps.0", "no operator 'attn_residual'"),
    ("gpt2", [model(d_model=4096)], "header", "model.d_model", "is 4096, but the vectors between the layers of"),
    ("gpt2", [model(d_ff=7)], "header", "model.d_ff", "is 7, but 'ffn_down' takes 256 elements"),
    ("gpt2", [model(d_ff=128)], "header", "model.d_ff", "is 128, but 'ffn_down' takes 256 elements"),
    ("gpt2", [model(vocabulary=99)], "header", "model.vocabulary", "is 99, but the token table of 'embed' has 100"),
    ("llama", [change("lm_head", out=99)], "header", "model.vocabulary", "is 100, but 'lm_head' gives 99 elements"),
    ("gpt2", [model(max_positions=64)], "header", "model.max_positions", "is 64, but the table of positions in"),
    (
        "gpt2",
        [lambda lines: op(lines, "embed").update(out=60), lambda lines: op(lines, "lm_head")["weight"].pop("tied")],
        "embed",
        "out",
        "60 elements enter the blocks with 'embed', but d_model is 64",
    ),
    ("gpt2", [repeat(2, 2)], "template", "repeat.layers", "is 2, but the block has 1 of what mixes tokens"),
    ("gpt2", [remove("qkv", "attention"), change("attn_out", deps=["attn_norm"])], "template", "repeat.layers", "0 of"),
    (
        "gpt2",
        [
            insert("attn_out", "qkv2", "linear", 64, 192, role="qkv", deps=["attention"]),
            insert("attn_out", "attention2", "attention", 192, 64, role="attn", deps=["qkv2"]),
            change("attention2", head_groups=[{"heads": 4, "kv_heads": 4, "head_dim": 16, "kv_len": "T"}]),
            change("attn_out", deps=["attention2"]),
        ],
        "template",
        "repeat.layers",
        "is 1, but the block has 2 of what mixes tokens",
    ),
    # experts
    ("moe", [change("ffn_up", deps=["ffn_norm"])], "ffn_up", "experts", "no router in `deps`"),
    ("moe", [change("router_topk", out=1)], "ffn_up", "experts.active", "is 2, but 'router_topk' chooses 1"),
    (
        "moe",
        [change("router", out=8), change("router_softmax", in_=8, out=8), change("router_topk", in_=8)],
        "ffn_up",
        "experts.count",
        "is 4, but 'router_topk' chooses among 8",
    ),
    ("moe", [change("router", out=8)], "router_softmax", "in", "is 4, but 'router' gives 8 elements"),
    (
        "moe",
        [change("ffn_act", experts={"count": 4, "active": 1})],
        "ffn_act",
        "experts",
        "1 of 4 experts read 'ffn_up', which is 2 of 4 experts",
    ),
    (
        "moe",
        [change("ffn_residual", deps=["attn_residual", "ffn_down"])],
        "ffn_residual",
        "in",
        "is 64, but 'ffn_down' gives 128 elements",
    ),
    ("moe", [change("q", role="router")], "rope", "in", "is 96, but 'k' gives 32 elements"),
    ("moe", [change(id, role="router") for id in ("q", "k", "v")], "rope", "deps", "what a router chooses is no input"),
    (
        "moe",
        [*(change(id, role="router") for id in ("q", "k", "v")), change("attention", deps=["q", "k", "v"])],
        "attention",
        "deps",
        "q, k, v: what a router chooses is no input",
    ),
    ("moe", [change("expert_sum", deps=["router_topk"])], "expert_sum", "deps", "what a router chooses is no input"),
    # tokens
    ("gpt2", [change("embed", per="sequence")], "attn_norm", "deps", "embed: made once a sequence"),
    ("gpt2", [change("qkv", per="sequence")], "attention", "deps", "qkv: made once a sequence"),
    ("llama", [change("ffn_mul", per="sequence")], "ffn_down", "deps", "ffn_mul: made once a sequence"),
    ("gpt2", [change("ffn_residual", per="sequence")], "ffn_residual", "per", "what enters the next block is one"),
    ("gpt2", [change("final_norm", per="sequence")], "lm_head", "deps", "final_norm: made once a sequence"),
    # slices
    ("gpt2", [change("ffn_up", take={"attn_norm": [0, 8]})], "ffn_up", "take.attn_norm", "is not among `deps`"),
    ("gpt2", [change("ffn_up", take={"ffn_norm": [32, 64]})], "ffn_up", "take.ffn_norm", "elements 32 to 95, but"),
    ("gpt2", [change("ffn_up", take={"ffn_norm": [0, 32]})], "ffn_up", "in", "is 64, but 'ffn_norm' gives 32"),
    ("gpt2", [change("ffn_up", take={"ffn_norm": [0]})], "ffn_up", "take.ffn_norm", "must be [offset, size]"),
    ("gpt2", [change("ffn_up", take={"ffn_norm": [0, 0]})], "ffn_up", "take.ffn_norm.1", "must be at least 1, not 0"),
    ("gpt2", [change("attention", in_=64, take={"qkv": [0, 65]})], "attention", "in", "is 64, but 'qkv' gives 65"),
    # bits
    ("gpt2", [lambda lines: op(lines, "lm_head")["weight"].update(bits=8)], "lm_head", "weight.bits", "same weights"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "changes", "where", "key", "message"), WRONG)
def test_what_contradicts_itself_has_a_place(
    tmp_path: Path, name: str, changes: list[Change], where: str, key: str, message: str
) -> None:
    lines = changed(name, *changes)
    found = problems_of(tmp_path / "t.jsonl", lines)
    assert found, "accepted"
    line = next(i for i, x in enumerate(lines, 1) if where in (x["type"], x.get("id")) and x["type"] != "schedule")
    told = [problem for problem in found if (problem.line, problem.key) == (line, key)]
    assert told and message in told[0].message, found
    assert told[0].column > 1


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("gpt2", [change("ffn_up", in_=63)]),
        ("gpt2", [change("ffn_residual", in_=1, out=1)]),
        ("gpt2", [change("attn_residual", in_=1, out=1)]),
        ("gpt2", [model(d_model=4096)]),
        ("gpt2", [model(d_ff=7)]),
        ("gpt2", [change("ffn_norm", in_=32, out=32)]),
        ("llama", [change("ffn_up", out=95)]),
        ("gpt2", [repeat(2, 2)]),
        ("moe", [change("ffn_up", deps=["ffn_norm"])]),
    ],
)
def test_what_follows_from_a_mistake_is_not_told(tmp_path: Path, name: str, changes: list[Change]) -> None:
    assert len(problems_of(tmp_path / "t.jsonl", changed(name, *changes))) == 1


# ---- what is odd, and right ---------------------------------------------------------------------


def group(heads: int, kv_heads: int, head_dim: int = 16) -> Line:
    return {"heads": heads, "kv_heads": kv_heads, "head_dim": head_dim, "kv_len": "T"}


def attention(id: str, size: int, heads: int, kv_heads: int, deps: list[str], **values: Any) -> Change:
    groups = [group(heads, kv_heads)]
    out = heads * 16
    return insert(
        "attn_out", id, "attention", size, out, role="attn", head_groups=groups, deps=deps, **values
    )  # fmt: skip


# A second layer in the block, as gemma2 has it.
def two_layers(lines: Lines) -> None:
    block = [line for line in lines if line.get("scope") == "block"]
    at = lines.index(block[-1]) + 1
    for line in block:
        deps = ["ffn_residual" if dep == "input" else f"{dep}.1" for dep in line["deps"]]
        lines.insert(at, {**line, "id": f"{line['id']}.1", "deps": deps})
        at += 1
    repeat(2, 1)(lines)


STATE = {"role": "ssm", "deps": ["attn_norm"]}
# 4 of the 8 factors: a partial rotation of q and k that come apart, and of a merged product.
RIGHT: dict[str, tuple[str, list[Change]]] = {
    "as they are": ("llama", []),
    "experts": ("moe", []),
    "a block of two layers": ("gpt2", [two_layers]),
    "a part of q and k is rotated, the rest is read": (
        "llama", [change("rope", in_=24, out=24), change("attention", deps=["rope", "q", "k", "v"])],
    ),
    "a part of a merged product is rotated": (
        "gpt2",
        [
            insert("attention", "rope", "rope", 32, role="rope", deps=["qkv"]),
            change("attention", deps=["rope", "qkv"]),
        ],
    ),
    "norms over heads": (
        "llama",
        [
            insert("rope", "q_norm", "rmsnorm", 16, rows=4, deps=["q"]),
            insert("rope", "k_norm", "rmsnorm", 16, rows=2, deps=["k"]),
            change("rope", deps=["q_norm", "k_norm"]),
        ],
    ),
    "norms over heads of a merged product": (
        "gpt2",
        [
            insert("attention", "q_norm", "rmsnorm", 16, rows=4, deps=["qkv"]),
            insert("attention", "k_norm", "rmsnorm", 16, rows=4, deps=["qkv"]),
            insert("attention", "rope", "rope", 128, role="rope", deps=["q_norm", "k_norm"]),
            change("attention", deps=["rope", "qkv"]),
        ],
    ),
    "norms over all of q, k and v of a merged product": (
        "gpt2",
        [
            insert("attention", "q_norm", "rmsnorm", 64, deps=["qkv"]),
            insert("attention", "kv_norm", "rmsnorm", 64, rows=2, deps=["qkv"]),
            change("attention", deps=["q_norm", "kv_norm"]),
        ],
    ),
    "a scaled q": (
        "llama",
        [insert("rope", "q_scale", "scale", 64, role="scale", deps=["q"]), change("rope", deps=["q_scale", "k"])],
    ),
    "gate and up in one product": (
        "llama",
        [remove("ffn_up"), change("ffn_gate", out=192), change("ffn_mul", deps=["ffn_gate", "ffn_act"])],
    ),
    "a product of halves without an activation": (
        "llama",
        [remove("ffn_up", "ffn_act"), change("ffn_gate", out=192), change("ffn_mul", deps=["ffn_gate"])],
    ),
    "halves that are stated": (
        "llama",
        [
            remove("ffn_up"),
            change("ffn_gate", out=192),
            change("ffn_act", take={"ffn_gate": [0, 96]}),
            change("ffn_mul", deps=["ffn_gate", "ffn_act"], take={"ffn_gate": [96, 96]}),
        ],
    ),
    "parts of a product for several readers": (
        "gpt2",
        [
            change("ffn_up", out=300),
            change("ffn_act", take={"ffn_up": [0, 256]}),
            insert("ffn_act", "rest", "linear", 44, 256, role="ffn_up", deps=["ffn_up"], take={"ffn_up": [256, 44]}),
            insert("ffn_down", "both", "add", 256, role="residual", deps=["ffn_act", "rest"]),
            change("ffn_down", deps=["both"]),
        ],
    ),
    "attentions that share a merged product": (
        "gpt2",
        [
            change("attention", in_=96, out=32, head_groups=[group(2, 2)]),
            attention("streaming", 96, 2, 2, ["qkv"], window=8),
            change("attn_out", deps=["attention", "streaming"]),
        ],
    ),
    "attentions that state their parts": (
        "gpt2",
        [
            change("attention", in_=96, out=32, head_groups=[group(2, 2)], take={"qkv": [0, 96]}),
            attention("streaming", 96, 2, 2, ["qkv"], window=8, take={"qkv": [96, 96]}),
            change("attn_out", deps=["attention", "streaming"]),
        ],
    ),
    "attentions that share a rotation and v": (
        "llama",
        [
            change("attention", in_=64, out=32, head_groups=[group(2, 1)]),
            attention("streaming", 64, 2, 1, ["rope", "v"], window=8),
            change("attn_out", deps=["attention", "streaming"]),
        ],
    ),
    "attentions that share the heads of K and V": (
        "llama",
        [
            change("attention", in_=96, out=32, head_groups=[group(2, 2)]),
            attention("streaming", 96, 2, 2, ["rope", "v"], window=8),
            change("attn_out", deps=["attention", "streaming"]),
        ],
    ),
    "attentions with products of their own": (
        "gpt2",
        [
            change("qkv", out=96),
            change("attention", in_=96, out=32, head_groups=[group(2, 2)]),
            insert("attn_out", "qkv2", "linear", 64, 96, role="qkv", deps=["attn_norm"]),
            attention("other", 96, 2, 2, ["qkv2"]),
            change("attn_out", deps=["attention", "other"]),
        ],
    ),
    "several groups of heads": (
        "llama", [change("attention", head_groups=[group(2, 1), {**group(2, 1), "kv_len": 7}])],
    ),
    "heads wider than the model": (
        "gpt2",
        [
            model(head_dim=32),
            change("qkv", out=384),
            change("attention", in_=384, out=128, head_groups=[group(4, 4, 32)]),
            change("attn_out", in_=128),
        ],
    ),
    "a cross attention beside its own": (
        "gpt2",
        [
            insert("attn_out", "cross_q", "linear", 64, 64, role="qkv", deps=["attention"]),
            attention("cross", 64, 4, 4, ["cross_q"]),
            change("attn_out", deps=["cross"]),
        ],
    ),
    "a layer whose only attention crosses": ("gpt2", [change("qkv", out=64), change("attention", in_=64)]),
    "a state beside an attention": (
        "gpt2",
        [
            insert("attn_out", "x", "linear", 64, 64, role="ssm", deps=["attn_norm"]),
            insert("attn_out", "state", "ssm_update", 640, 64, role="ssm", deps=["x"]),
            insert("attn_out", "mixed", "add", 64, role="residual", deps=["attention", "state"]),
            change("attn_out", deps=["mixed"]),
        ],
    ),
    "a state in a layer of its own": (
        "gpt2",
        [
            two_layers,
            remove("qkv.1", "attention.1"),
            insert("attn_out.1", "x", "linear", 64, 64, role="ssm", deps=["attn_norm.1"]),
            insert("attn_out.1", "state", "ssm_update", 640, 64, role="ssm", deps=["x"]),
            change("attn_out.1", deps=["state"]),
        ],
    ),
    "parallel attention and feed-forward": (
        "gpt2",
        [
            change("ffn_norm", deps=["input"]),
            change("attn_residual", deps=["attn_out", "ffn_down"]),
            lambda lines: lines.append(lines.pop(lines.index(op(lines, "attn_residual")))) or _order(lines),
            change("ffn_residual", deps=["input", "attn_residual"]),
        ],
    ),
    "norms after attention and feed-forward": (
        "gpt2",
        [
            insert("attn_residual", "post", "layernorm", 64, deps=["attn_out"]),
            change("attn_residual", deps=["input", "post"]),
        ],
    ),
    "layers of different feed-forward networks": (
        "gpt2",
        [
            two_layers,
            change("ffn_up.1", out=100), change("ffn_act.1", in_=100, out=100), change("ffn_down.1", in_=100),
        ],
    ),
    "layers of different heads of K and V": (
        "llama",
        [
            two_layers,
            change("k.1", out=64), change("v.1", out=64), change("rope.1", in_=128, out=128),
            change("attention.1", in_=192, head_groups=[group(4, 4)]),
        ],
    ),
    "a feed-forward network in two shards": (
        "gpt2",
        [
            change("ffn_up", out=128), change("ffn_act", in_=128, out=128), change("ffn_down", in_=128),
            insert("ffn_residual", "up2", "linear", 64, 128, role="ffn_up", deps=["ffn_norm"]),
            insert("ffn_residual", "act2", "gelu", 128, role="activation", deps=["up2"]),
            insert("ffn_residual", "down2", "linear", 128, 64, role="ffn_down", deps=["act2"]),
            change("ffn_residual", deps=["attn_residual", "ffn_down", "down2"]),
        ],
    ),
    "a table narrower than the model": (
        "llama",
        [
            change("embed", out=24),
            lambda lines: lines.insert(
                lines.index(op(lines, "attn_norm")),
                {"type": "op", "template": "decode", "id": "widen", "scope": "once_before", "role": "ffn_up",
                 "op": "linear", "in": 24, "out": 64, "deps": ["embed"]},
            ),
        ],
    ),
    "a soft cap after the head": (
        "gpt2",
        [lambda lines: lines.insert(-1, {"type": "op", "template": "decode", "id": "cap", "scope": "once_after",
                                         "role": "activation", "op": "tanh", "in": 100, "out": 100,
                                         "deps": ["lm_head"]})],
    ),
    "heads for several tokens": (
        "gpt2",
        [lambda lines: lines.insert(-1, {"type": "op", "template": "decode", "id": "medusa", "scope": "once_after",
                                         "role": "lm_head", "op": "linear", "in": 64, "out": 100,
                                         "deps": ["final_norm"]})],
    ),
    "a gate of one factor": (
        "gpt2",
        [
            insert("ffn_residual", "gate", "linear", 64, 1, role="ffn_gate", deps=["ffn_norm"]),
            insert("ffn_residual", "gated", "mul", 64, role="activation", deps=["ffn_down", "gate"]),
            change("ffn_residual", deps=["attn_residual", "gated"]),
        ],
    ),
    "a softmax after the choice of experts": (
        "moe",
        [
            change("router_topk", deps=["router"]),
            remove("router_softmax"),
            insert("ffn_up", "router_softmax", "softmax", 2, role="router", deps=["router_topk"]),
            *[
                change(name, deps=[dep, "router_softmax"])
                for name, dep in (("ffn_up", "ffn_norm"), ("ffn_down", "ffn_mul"), ("expert_sum", "ffn_down"))
            ],
        ],
    ),
    "a shared expert beside the chosen ones": (
        "moe",
        [
            insert("ffn_residual", "up2", "linear", 64, 32, role="ffn_up", deps=["ffn_norm"]),
            insert("ffn_residual", "act2", "silu", 32, role="activation", deps=["up2"]),
            insert("ffn_residual", "down2", "linear", 32, 64, role="ffn_down", deps=["act2"]),
            change("ffn_residual", deps=["attn_residual", "expert_sum", "down2"]),
        ],
    ),
    "one expert of several, whose result is added as it is": (
        "moe",
        [
            change("router_topk", out=1),
            *[change(x, experts={"count": 4, "active": 1}) for x in ("ffn_up", "ffn_act", "ffn_mul", "ffn_down")],
            remove("expert_sum"),
            change("ffn_residual", deps=["attn_residual", "ffn_down"]),
        ],
    ),
    "experts that take two vectors a token": (
        "moe",
        [
            *[change(x, rows=2) for x in ("ffn_up", "ffn_act", "ffn_mul", "ffn_down")],
            change("ffn_up", in_=32), change("ffn_down", out=32),
        ],
    ),
    "one vector of a sequence after the blocks, and conditions of a whole sequence": (
        "gpt2",
        [
            change("final_norm", per="sequence"), change("lm_head", per="sequence"),
            insert("ffn_norm", "condition", "linear", 64, role="scale", deps=["input"], per="sequence"),
            insert("ffn_norm", "conditioned", "mul", 64, role="scale", deps=["attn_residual", "condition"]),
            change("ffn_norm", deps=["conditioned"]),
        ],
    ),
    "no feed-forward network at all": ("gpt2", [remove("ffn_norm", "ffn_up", "ffn_act", "ffn_down", "ffn_residual")]),
    "a template of another model": (
        "gpt2",
        [
            lambda lines: lines[1].update(model={**lines[0]["model"], "name": "other"}),
            model(d_model=4096, heads=8, kv_heads=8, d_ff=9, layers=7, vocabulary=99),
        ],
    ),
    "a template of another model, which says where it differs": (
        "gpt2",
        [
            lambda lines: lines[1].update(model={"d_model": 64, "heads": 4, "d_ff": 256}),
            model(d_model=4096, heads=8, d_ff=9, layers=7),
        ],
    ),
}  # fmt: skip


def _order(lines: Lines) -> None:
    """The schedule last, and the sums of a block at its end."""
    lines.sort(key=lambda line: (line["type"] == "schedule", line.get("scope") == "once_after"))
    sums = [op(lines, "attn_residual"), op(lines, "ffn_residual")]
    for line in sums:
        lines.remove(line)
    at = lines.index(op(lines, "ffn_down")) + 1
    lines[at:at] = sums


@pytest.mark.parametrize("name", RIGHT)
def test_what_is_odd_but_agrees_is_a_trace(tmp_path: Path, name: str) -> None:
    base, changes = RIGHT[name]
    assert problems_of(tmp_path / "t.jsonl", changed(base, *changes)) == []


@pytest.mark.parametrize("file", sorted((Path(__file__).parents[1] / "golden" / "traces").glob("*.jsonl")))
def test_what_was_exported_agrees(file: Path) -> None:
    assert load_trace(file).templates


@pytest.mark.parametrize("name", MODELS)
def test_built_in_models_agree(tmp_path: Path, name: str) -> None:
    path = write_trace(trace_of(build(MODELS[name], lm_head=True), prompt=4), tmp_path / "t.jsonl")
    assert load_trace(path).templates
    path = write_trace(trace_of(build(MODELS[name], lm_head=False)), tmp_path / "blocks.jsonl")
    assert load_trace(path).templates


def test_a_slice_is_kept_and_changes_no_graph(tmp_path: Path) -> None:
    lines = changed(*RIGHT["halves that are stated"][:1], *RIGHT["halves that are stated"][1])
    path = tmp_path / "t.jsonl"
    assert problems_of(path, lines) == []
    trace = load_trace(path)
    again = write_trace(trace_of(workload_of(trace)), tmp_path / "again.jsonl")
    assert load_trace(again).templates[0].ops == trace.templates[0].ops
    for line in lines:
        line.pop("take", None)
    assert problems_of(tmp_path / "u.jsonl", lines) == []
    assert workload_of(load_trace(tmp_path / "u.jsonl")).sha256() == workload_of(trace).sha256()


@pytest.mark.parametrize("name", ["gpt2-small", "mistral-7b"])
def test_no_size_of_a_shipped_trace_can_be_another(tmp_path: Path, name: str) -> None:
    """Each size of each operator and of the model, one more or twice as large."""
    lines = [json.loads(line) for line in (TRACES / f"{name}.jsonl").read_text().splitlines()]
    for key in ("config_sha256", "parameters"):
        del lines[0]["model"][key]
    del lines[0]["checks"]
    places = [(lines[0]["model"], key) for key in ("layers", "d_model", "heads", "kv_heads", "head_dim", "d_ff")]
    places += [(lines[0]["model"], "vocabulary")]
    for line in lines[1:]:
        if line["type"] == "op":
            places += [(line, "in"), (line, "out")]
            places += [(g, key) for g in line.get("head_groups", ()) for key in ("heads", "kv_heads", "head_dim")]
        elif line["type"] == "template":
            places += [(line["repeat"], "layers"), (line["repeat"], "count")]
    free = []
    for holder, key in places:
        value = holder[key]
        for other in (value + 1, 2 * value):
            holder[key] = other
            if not problems_of(tmp_path / "t.jsonl", lines):
                free.append((holder.get("id"), key, value, other))
        holder[key] = value
    assert free == []


# ---- data types: one truth ----------------------------------------------------------------------


def types(**values: str) -> Change:
    return lambda lines: lines[0]["data_types"].update(values)


def bits_of(*ids: str, bits: int | None) -> Change:
    """The bits that some operators say; None: those of the header."""

    def apply(lines: Lines) -> None:
        for line in lines:
            if line.get("id") in ids or (not ids and line.get("op") == "linear"):
                weight = line.setdefault("weight", {})
                weight.pop("bits", None)
                if bits is not None:
                    weight["bits"] = bits

    return apply


def test_a_data_type_that_no_matrix_has_is_refused(tmp_path: Path) -> None:
    (problem,) = problems_of(tmp_path / "t.jsonl", changed("llama", types(weights="int8")))
    assert (problem.line, problem.key) == (1, "data_types.weights")
    assert problem.message == "int8 has 8 bits, but every matrix says that it has 16"
    assert problems_of(tmp_path / "t.jsonl", changed("llama", types(weights="int8"), bits_of(bits=None))) == []
    assert problems_of(tmp_path / "t.jsonl", changed("llama", types(weights="fp8"), bits_of(bits=8))) == []


def test_what_is_not_of_the_headers_data_type_is_shown(tmp_path: Path) -> None:
    lines = changed("llama", types(weights="int8"), bits_of(bits=None), bits_of("lm_head", "q", bits=16))
    assert problems_of(tmp_path / "t.jsonl", lines) == []
    shown = list(table.lines_of(table.overview(tmp_path / "t.jsonl")))
    at = next(i for i, line in enumerate(shown) if line.startswith("data types  weights int8"))
    assert shown[at + 1] == "            weights of 16 bits: q, lm_head"
    assert table.as_dict(table.overview(tmp_path / "t.jsonl"))["data_types"]["other_bits"] == {"16": ["q", "lm_head"]}


def test_queries_alone_append_nothing(tmp_path: Path) -> None:
    lines = changed("gpt2", *RIGHT["a cross attention beside its own"][1])
    assert problems_of(tmp_path / "t.jsonl", lines) == []
    made = {operator.name: operator.append for operator in workload_of(load_trace(tmp_path / "t.jsonl")).operators}
    assert (made["attention"], made["cross"]) == (True, False)


def test_experts_that_take_two_vectors_a_token_run(tmp_path: Path) -> None:
    """They ended in an IndexError: each vector was taken for a token of its own."""
    path = tmp_path / "t.jsonl"
    assert problems_of(path, changed("moe", *RIGHT["experts that take two vectors a token"][1])) == []
    keys = {"workload.trace": str(path), "workload.output_tokens": 4, "workload.batch": 3, "workload.query_tokens": 2}
    result = run(load_config(SHIPPED, {**keys, "baselines": []}))
    ups = next(row for row in result.tally.rows if row.operator == "ffn_up")
    assert ups.count == 2 * 2 * (2 * 3) * 2 * 2  # blocks, steps, tokens, rows, active experts
