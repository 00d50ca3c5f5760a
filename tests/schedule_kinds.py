"""Small traces of version 1.1, one for each way of decoding: two models, `tiny` and `draft`, on the shipped device."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pimsim
from pimsim.config.schema import Config
from pimsim.results.result import Result

SHIPPED = Path(__file__).parents[1] / "configs" / "pim-gpt.yaml"
Line = dict[str, Any]
TINY: Line = {
    "name": "tiny", "family": "gpt2", "layers": 2, "d_model": 64, "heads": 4, "kv_heads": 4, "head_dim": 16,
    "d_ff": 128, "vocabulary": 100, "max_positions": 4096,
}  # fmt: skip
DRAFT = TINY | {"name": "draft", "layers": 1, "d_model": 32, "heads": 2, "kv_heads": 2, "d_ff": 64}


def header(model: Line = TINY) -> Line:
    """The first line of a file."""
    types = dict.fromkeys(("weights", "activations", "kv"), "bf16")
    symbols = {"T": "context", "B": "sequences", "Q": "query tokens"}
    return {"type": "header", "format": "pimsim-trace", "version": "1.1", "model": model, "data_types": types,
            "symbols": symbols}  # fmt: skip


def template(name: str, model: Line = TINY, attention: Line | None = None, cross: bool = False) -> list[Line]:
    """A template whose blocks are those of GPT-2, once for each layer; attention: keys of it in place of the usual.

    cross: its attention reads K and V that are there, so its block makes queries alone.
    """
    d, ff = model["d_model"], model["d_ff"]
    q, k = model["heads"] * model["head_dim"], model["kv_heads"] * model["head_dim"]
    taken = q if cross else q + 2 * k
    group = {name: model[name] for name in ("heads", "kv_heads", "head_dim")} | {"kv_len": "T"}

    def op(key: str, role: str, kind: str, size: int, out: int, *deps: str, **more: Any) -> Line:
        made = {"type": "op", "template": name, "id": key, "scope": "block", "role": role, "op": kind}
        return made | {"in": size, "out": out, "deps": list(deps)} | more

    own = {} if model is TINY else {"model": model}
    return [
        {"type": "template", "id": name, "repeat": {"layers": 1, "count": model["layers"]}} | own,
        op("norm", "norm", "layernorm", d, d, "input"),
        op("qkv", "qkv", "linear", d, taken, "norm"),
        op("attention", "attn", "attention", taken, q, "qkv", head_groups=[group]) | (attention or {}),
        op("out", "attn_out", "linear", q, d, "attention"),
        op("residual", "residual", "add", d, d, "input", "out"),
        op("norm2", "norm", "layernorm", d, d, "residual"),
        op("up", "ffn_up", "linear", d, ff, "norm2"),
        op("act", "activation", "gelu", ff, ff, "up"),
        op("down", "ffn_down", "linear", ff, d, "act"),
        op("residual2", "residual", "add", d, d, "residual", "down"),
    ]


def line(phase: str, steps: int, name: str, context: str, tokens: int = 1, batch: int = 1, **more: Any) -> Line:
    """A line of the schedule."""
    bindings = {"T": context, "B": batch, "Q": tokens}
    return {"type": "schedule", "phase": phase, "steps": steps, "template": name, "bindings": bindings} | more


def prompt(name: str, tokens: int = 20, batch: int = 1) -> Line:
    """A prompt."""
    return line("prefill", 1, name, str(tokens), tokens, batch)


def speculative(
    drafts: int = 2, cycles: int = 3, mean: float = 2.32, batch: int = 1, first: int = 101
) -> Iterator[Line]:
    """Two models in turn: the draft decodes token by token, what the model itself then verifies at once."""
    yield from (header(), *template("verify"), *template("guess", DRAFT))
    for number in range(drafts):
        yield line("decode", cycles, "guess", f"kept+{first + number}", 1, batch, accept=0, cycle="c")
    accept = {"mean": mean}
    yield line("decode", cycles, "verify", f"kept+{first + drafts}", drafts + 1, batch, accept=accept, cycle="c")


def _of_one(*lines: Line, attention: Line | None = None, cross: bool = False) -> Callable[[], list[Line]]:
    """A trace of the model `tiny` by one template, "decode"."""
    return lambda: [header(), *template("decode", attention=attention, cross=cross), *lines]


def _skipping() -> Iterator[Line]:
    """The model drafts for itself with half of its layers."""
    yield from (header(), *template("decode"))
    yield line("decode", 3, "decode", "kept+101", accept=0, cycle="c", layers=1)
    yield line("decode", 3, "decode", "kept+102", 2, accept={"positions": [0.5]}, cycle="c")


def _together() -> Iterator[Line]:
    """Two models with their prompts, four sequences, drafts and their verification."""
    lines = list(speculative(batch=4, first=21))
    schedule = [each for each in lines if each["type"] == "schedule"]
    yield from lines[: -len(schedule)]
    yield from (prompt("verify", batch=4), prompt("guess", batch=4), *schedule)


def _states() -> Iterator[Line]:
    """A model that keeps states drafts for one that has attention."""
    keeper = DRAFT | {"name": "keeper"}

    def op(key: str, role: str, kind: str, size: int, out: int, *deps: str, **more: Any) -> Line:
        made = {"type": "op", "template": "recall", "id": key, "scope": "block", "role": role, "op": kind}
        return made | {"in": size, "out": out, "deps": list(deps)} | more

    yield header()
    yield from template("verify")
    yield {"type": "template", "id": "recall", "repeat": {"layers": 1, "count": 1}, "model": keeper}
    yield op("in_proj", "ssm", "linear", 32, 64, "input")
    yield op("conv", "ssm", "conv", 64, 64, "in_proj", kernel=4)
    yield op("update", "ssm", "ssm_update", 64 * 8, 64, "conv")
    yield op("out_proj", "ssm", "linear", 64, 32, "update")
    yield op("residual", "residual", "add", 32, 32, "input", "out_proj")
    yield line("decode", 3, "recall", "kept+101", accept=0, cycle="c")
    yield line("decode", 3, "verify", "kept+102", 2, accept={"positions": [0.5]}, cycle="c")


_CROSS = {"append": False, "head_groups": [{"heads": 4, "kv_heads": 4, "head_dim": 16, "kv_len": 33}]}
# A trace of each kind: what makes its lines.
KINDS: Mapping[str, Callable[[], Any]] = {
    "chain": speculative,
    "one kept": lambda: speculative(mean=1),
    "tree": _of_one(line("decode", 3, "decode", "3*step+104", 4, accept=3, tree=[-1, 0, 0, 2])),
    "layers": _skipping,
    "fork": _of_one(prompt("decode"), line("decode", 4, "decode", "step+21", batch=4, fork=4)),
    "reorder": _of_one(prompt("decode"), line("decode", 4, "decode", "step+21", batch=4, fork=4, reorder=1.5)),
    "cross": _of_one(line("decode", 2, "decode", "step+101", accept=1, layers=1), attention=_CROSS, cross=True),
    "sinks": _of_one(
        line("decode", 4, "decode", "2*step+32", 2, accept=2), line("decode", 4, "decode", "2*step+40", 2, accept=1),
        attention={"window": 16, "sinks": 4},
    ),
    "encoder": _of_one(line("prefill", 1, "decode", "20", 20), attention={"mask": "block"}),
    "prefill": _of_one(prompt("decode")),
    "drafts": _of_one(line("decode", 4, "decode", "step+101", accept=0, cycle="c")),
    "two models": _together,
    "states": _states,
}  # fmt: skip
NOTHING_KEPT = ("encoder", "prefill", "drafts")


def write(folder: Path, kind: str) -> Path:
    """The trace of a kind as a file in a folder."""
    return write_lines(folder / f"{kind.replace(' ', '-')}.jsonl", KINDS[kind]())


def write_lines(path: Path, lines: Any) -> Path:
    """Lines as a file."""
    path.write_text("".join(json.dumps(each) + "\n" for each in lines))
    return path


def config_of(path: Path, **overrides: Any) -> Config:
    """The shipped device with a trace, no baselines; overrides by key with __ for the dot."""
    keys = {key.replace("__", "."): value for key, value in overrides.items()}
    found = pimsim.load_config(SHIPPED, {"workload.model": None, "workload.trace": str(path), "baselines": [], **keys})
    assert isinstance(found, Config)
    return found


def run(folder: Path, kind: str, **overrides: Any) -> Result:
    """The result of a kind."""
    return pimsim.run(config_of(write(folder, kind), **overrides))
