"""Small traces of every mechanism of a schedule, as the lines of their files: made by hand from sizes.

`KINDS` has one of each; builders make others.  A model has 2 layers, 4 query heads over 2 of K and V, and heads of
16 elements, a column of the shipped devices.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from pimsim.api import load
from tests.conftest import SHIPPED

AIM = SHIPPED.parent / "aim.yaml"
Line = dict[str, Any]


def model(name: str = "tiny", **changes: Any) -> Line:
    """Sizes of a model."""
    sizes = {"layers": 2, "d_model": 32, "heads": 4, "kv_heads": 2, "head_dim": 16, "d_ff": 48}
    return {"name": name, "family": "gpt2", **sizes, "vocabulary": 100, "max_positions": 4096, **changes}


TINY = model()
DRAFT = model("draft", layers=1, d_model=16, heads=1, kv_heads=1, d_ff=32)


def header(of: Line = TINY) -> Line:
    """The first line."""
    types = {"weights": "bf16", "activations": "bf16", "kv": "bf16"}
    symbols = {"T": "context", "B": "sequences", "Q": "query tokens"}
    return {
        "type": "header", "format": "pimsim-trace", "version": "1.1", "model": of, "data_types": types,
        "symbols": symbols,
    }  # fmt: skip


def op(id: str, kind: str, inputs: int, outputs: int, *deps: str, role: str = "ffn_up", **keys: Any) -> Line:
    """An operator of a block; its template is filled in."""
    line = {"type": "op", "template": "", "id": id, "scope": "block", "role": role, "op": kind}
    return {**line, "in": inputs, "out": outputs, "deps": list(deps), **keys}


def group(of: Line = TINY, kv_len: str | int = "T", **changes: int) -> Line:
    """Heads of an attention."""
    return {key: of[key] for key in ("heads", "kv_heads", "head_dim")} | {"kv_len": kv_len, **changes}


def attention(of: Line = TINY, id: str = "attention", deps: Sequence[str] = ("qkv",), **keys: Any) -> Line:
    """An attention over what it appends, unless `keys` say something else."""
    groups = keys.pop("head_groups", [group(of)])
    queries = sum(g["heads"] * g["head_dim"] for g in groups)
    added = sum(2 * g["kv_heads"] * g["head_dim"] for g in groups)
    return op(id, "attention", queries + added, queries, *deps, role="attn", head_groups=groups, **keys)


def mixing(of: Line = TINY, *attentions: Line) -> list[Line]:
    """q, k and v, attentions that share them, and what joins their heads."""
    attentions = attentions or (attention(of),)
    queries, added = of["heads"] * of["head_dim"], 2 * of["kv_heads"] * of["head_dim"]
    return [
        op("qkv", "linear", of["d_model"], queries + added, "norm", role="qkv"),
        *attentions,
        op("out", "linear", queries, of["d_model"], *(a["id"] for a in attentions), role="attn_out"),
    ]


def template(id: str = "decode", of: Line = TINY, mixer: Sequence[Line] = (), **keys: Any) -> list[Line]:
    """The graph of a step: a norm, `mixer` from `norm` to `out`, and a feed-forward part behind it."""
    d, ff = of["d_model"], of["d_ff"]
    ops = [
        op("norm", "layernorm", d, d, "input", role="norm"),
        *(mixer or mixing(of)),
        op("attn_residual", "add", d, d, "input", "out", role="residual"),
        op("up", "linear", d, ff, "attn_residual"),
        op("act", "gelu", ff, ff, "up", role="activation"),
        op("down", "linear", ff, d, "act", role="ffn_down"),
        op("residual", "add", d, d, "attn_residual", "down", role="residual"),
    ]
    named = {} if of is TINY else {"model": of}
    first = {"type": "template", "id": id, "repeat": {"layers": 1, "count": of["layers"]}, **named, **keys}
    return [first, *({**o, "template": id} for o in ops)]


def with_head(lines: list[Line], of: Line = TINY) -> list[Line]:
    """A template with an LM head."""
    id, d = lines[0]["id"], of["d_model"]
    head = {**op("lm_head", "linear", d, of["vocabulary"], "input", role="lm_head"), "scope": "once_after"}
    return [*lines, {**head, "template": id}]


def line(phase: str, steps: int, template: str, T: str | int, Q: str | int = 1, B: str | int = 1, **keys: Any) -> Line:
    """A line of the schedule."""
    bound = {"T": T, "B": B, "Q": Q}
    return {"type": "schedule", "phase": phase, "steps": steps, "template": template, "bindings": bound, **keys}


def decode(steps: int, T: str | int, Q: str | int = 1, B: str | int = 1, of: str = "decode", **keys: Any) -> Line:
    """Steps that decode."""
    return line("decode", steps, of, T, Q, B, **keys)


def prefill(tokens: int, B: int = 1, of: str = "decode", T: int = 0, **keys: Any) -> Line:
    """A prompt; T: the context at its end, if tokens stand before it."""
    return line("prefill", 1, of, T or tokens, tokens, B, **keys)


# ---- parts of other models -------------------------------------------------------------------------


def cross(id: str, cache: str = "", source: int = 20, first: bool = False) -> list[Line]:
    """A decoder: it attends to itself, then to `source` tokens whose K and V are there, or are made here (`first`)."""
    d, q, kv = 32, 64, 32
    own = [
        op("qkv", "linear", d, q + 2 * kv, "norm", role="qkv"),
        attention(),
        op("self_out", "linear", q, d, "attention", role="attn_out"),
        op("self_residual", "add", d, d, "input", "self_out", role="residual"),
        op("cq", "linear", d, q, "self_residual", role="qkv"),
    ]
    made = [
        op("ck", "linear", d, kv, "input", role="qkv", tokens=source),
        op("cv", "linear", d, kv, "input", role="qkv", tokens=source),
    ]
    named = {"cache": cache} if cache else {}
    over = attention(id="cross", deps=["cq", *(["ck", "cv"] * first)], head_groups=[group(kv_len=source)], **named)
    over |= {"in": q + 2 * kv * first, "deps": ["cq", "ck", "cv"] if first else ["cq"]}
    mixer = [*own, *(made if first else ()), over, op("out", "linear", q, d, "cross", role="attn_out")]
    return template(id, mixer=mixer)


def ssm(inner: int = 32, n: int = 4, taps: int = 3, state: str = "dram") -> list[Line]:
    """A mixer with a convolution and a state of n elements for each of `inner` channels."""
    kept = {"role": "ssm"} | ({"state": state} if state != "dram" else {})
    return [
        op("in_proj", "linear", 32, inner, "norm", role="ssm"),
        op("conv", "conv", inner, inner, "in_proj", kernel=taps, **kept),
        op("mixer", "ssm_update", inner * n, inner, "conv", **kept),
        op("out", "linear", inner, 32, "mixer", role="ssm"),
    ]


def hybrid() -> list[Line]:
    """An attention and a state side by side."""
    beside = [o for o in ssm() if o["id"] != "out"]
    return [*mixing()[:-1], *beside, op("out", "linear", 64 + 32, 32, "attention", "mixer", role="attn_out")]


HALVES = [group(heads=2, kv_heads=1), group(heads=2, kv_heads=1, kv_len=20)]


def apart() -> list[Line]:
    """Two attentions, each with half of the heads."""
    halves = [attention(id=f"attention.{i}", head_groups=[half]) for i, half in enumerate(HALVES)]
    return mixing(TINY, *halves)


def cycle(target: str = "verify", draft: str = "draft", B: int = 1, passes: int = 4, **keys: Any) -> list[Line]:
    """Two drafts, and a target that sees both."""
    accept = keys or {"accept": {"mean": 1.75}}
    return [
        decode(passes, "kept+31", 1, B, draft, accept=0, cycle="c"),
        decode(passes, "kept+32", 1, B, draft, accept=0, cycle="c"),
        decode(passes, "kept+33", 3, B, target, cycle="c", **accept),
    ]


D = template()
SPECULATIVE = [*template("verify"), *template("draft", DRAFT)]
TREES = {
    "wide": ((-1, -1, -1), 1),
    "fork": ((-1, 0, 0, 2), 3),
    "deep": ((-1, 0, 1, 0, 3, 3, 5), 4),
    "roots": ((-1, -1, 1, 0, 2, 3), 3),
}


def of_tree(name: str, T: int = 40, B: int = 1, steps: int = 3) -> Line:
    """Steps of one of TREES, each behind what the one before it keeps."""
    tree, kept = TREES[name]
    return decode(steps, f"{kept}*step+{T}", len(tree), B, tree=list(tree), accept=kept)


# name: lines without the header, and keys of the configuration
Kind = tuple[list[Line], Mapping[str, Any]]


def _kinds(B: int) -> dict[str, Kind]:
    """Every mechanism, for B sequences."""
    lines: dict[str, list[Line]] = {
        "plain": [*D, decode(20, "step+25", B=B)],
        "chunk": [*D, decode(5, "3*step+31", 3, B)],
        "keeps all": [*D, decode(5, "3*step+31", 3, B, accept=3)],
        "keeps some": [*D, decode(5, "2*step+31", 3, B, accept=2)],
        "mean": [*D, decode(9, "step+31", 3, B, accept={"mean": 1.6})],
        "positions": [*D, decode(8, "2*step+31", 3, B, accept={"positions": [0.7, 0.4]})],
        "cycle": [*SPECULATIVE, prefill(30, B, "verify"), prefill(30, B, "draft"), *cycle(B=B)],
        "chain": [*D, decode(4, "2*step+31", 3, B, accept=2, tree=[-1, 0, 1])],
        **{f"tree {name}": [*D, of_tree(name, B=B)] for name in TREES},
        "tree that varies": [
            *D,
            *cycle("decode", "decode", B, 6, tree=[-1, -1, 1], accept={"mean": 1.5}),
        ],
        "first layers": [*D, decode(3, "step+31", B=B, layers=1), decode(2, "step+34", B=B)],
        "listed layers": [*D, decode(3, "step+31", B=B, layers=[1]), decode(2, "step+34", B=B)],
        "templates": [*D, *template("wide", mixer=mixing(TINY, attention(window=24))),
                      decode(3, "step+31", B=B), decode(3, "step+34", B=B, of="wide"), decode(3, "step+37", B=B)],
        "Q varies": [*D, decode(4, "3*step+31", "step+1", B, accept=1)],
        "B varies": [*D, decode(3, "step+31", 1, f"{B + 2}-step")],
        "forked in a column": [*D, prefill(21, B), decode(13, "step+22", B=3 * B, fork=3 * B)],
        "forked between columns": [*D, prefill(32, B), decode(4, "step+33", B=2 * B, fork=2 * B)],
        "forked twice": [*D, prefill(21, B), decode(12, "step+22", B=2 * B, fork=2 * B),
                         decode(3, "step+34", B=4 * B, fork=4 * B)],
        "reordered": [*D, prefill(21, B), decode(6, "step+22", B=3 * B, fork=3 * B, reorder=1.5)],
        "reordered trees": [*D, prefill(21, B), decode(5, "2*step+24", 3, 2 * B, fork=2 * B, reorder=1,
                                                       accept=2, tree=[-1, -1, 0])],
        "cross": [*cross("decode"), decode(4, "step+31", B=B)],
        "source at once": [*cross("first", "x", first=True), *cross("decode", "x"),
                           decode(1, 1, B=B, of="first"), decode(4, "step+2", B=B)],
        "a tree in a window": [*template(mixer=mixing(TINY, attention(window=4, sinks=1))), of_tree("deep", B=B)],
        "sinks and window": [*template(mixer=mixing(TINY, attention(window=20, sinks=3))), decode(30, "step+10", B=B)],
        "head groups": [*template(mixer=mixing(TINY, attention(head_groups=HALVES))), decode(5, "step+31", B=B)],
        "apart": [*template(mixer=apart()), decode(5, "step+31", B=B)],
        "a shorter length": [*template(mixer=mixing(TINY, attention(head_groups=[group(kv_len="T-8")]))),
                             decode(5, "step+31", B=B)],
        "a constant length": [*template(mixer=mixing(TINY, attention(head_groups=[group(kv_len=20)]))),
                              decode(25, "step+31", B=B)],
        "encoder": [*template(mixer=mixing(TINY, attention(mask="block"))), prefill(21, B)],
        "block": [*template(mixer=mixing(TINY, attention(mask="block"))), decode(4, "3*step+31", 3, B)],
        "queries alone": [*template(mixer=mixing(TINY, attention(append=False))), decode(3, "2*step+31", 2, B)],
        "prompt": [*D, prefill(21, B)],
        "prompts": [*D, prefill(5, B), decode(3, "step+6", B=B), prefill(6, B, T=14), decode(3, "step+15", B=B)],
        "states": [*template(mixer=ssm()), decode(5, "2*step+31", 2, B)],
        "states, kept": [*template(mixer=ssm()), decode(4, "2*step+31", 3, B, accept=2)],
        "states in the SRAM": [*template(mixer=ssm(state="sram")), decode(5, "step+31", B=B)],
        "states forked": [*template(mixer=ssm()), prefill(5, B), decode(3, "step+6", B=2 * B, fork=2 * B)],
        "hybrid": [*template(mixer=hybrid()), prefill(20, B), decode(5, "step+21", B=B)],
    }  # fmt: skip
    kinds: dict[str, Kind] = {name: (found, {}) for name, found in lines.items()}
    for name in ("mean", "positions", "cycle", "tree that varies"):
        kinds[f"{name}, sampled"] = (lines[name], {"workload.acceptance": "sampled", "workload.acceptance_seed": 3})
    for chunk in (3, 8):
        kinds[f"prompt by {chunk}"] = (lines["prompt"], {"workload.prefill_chunk": chunk})
    kinds["prompts by 3"] = (lines["prompts"], {"workload.prefill_chunk": 3})
    return kinds


KINDS: Mapping[str, Kind] = {
    **_kinds(1),
    **{f"{name}, B=2": kind for name, kind in _kinds(2).items()},
}
ONE = tuple(_kinds(1))


def text_of(lines: Iterable[Line], of: Line = TINY) -> str:
    """The file."""
    return "".join(json.dumps(each) + "\n" for each in (header(of), *lines))


def loaded(lines: Iterable[Line], keys: Mapping[str, Any] | None = None, path: Path = SHIPPED, of: Line = TINY) -> Any:
    """A configuration that runs the trace: what `api.load` gives."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "trace.jsonl"
        file.write_text(text_of(lines, of))
        given = {"workload.model": None, "workload.trace": str(file), "baselines": [], **(keys or {})}
        return load(path, given)
