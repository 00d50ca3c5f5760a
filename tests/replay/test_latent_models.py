"""Matrices on a diagonal, latent attention and sources run: what is counted, against the same said otherwise."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pimsim import load_config, run
from pimsim.errors import InputError
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.reader import load_trace
from tests.conftest import SHIPPED

FOLDER = Path(__file__).parents[1] / "golden" / "traces"
WIDTH, BLOCKS = 128, 4
PART = WIDTH // BLOCKS

_MODEL = {
    "name": "mixes", "family": "mixes", "layers": 2, "d_model": WIDTH, "heads": 4, "kv_heads": 4, "head_dim": 32,
    "d_ff": 256, "vocabulary": 64, "max_positions": 64,
}  # fmt: skip
_HEADER = {
    "type": "header", "format": "pimsim-trace", "version": "1.1", "model": _MODEL,
    "data_types": {"weights": "bf16", "activations": "bf16", "kv": "bf16"}, "symbols": {"T": "", "B": "", "Q": ""},
}  # fmt: skip
_SCHEDULE = {
    "type": "schedule", "phase": "decode", "steps": 3, "template": "decode",
    "bindings": {"T": "2*step+8", "B": 2, "Q": 2},
}  # fmt: skip


def _linear(id: str, role: str, taken: int, made: int, deps: list[str], **more: Any) -> dict[str, Any]:
    weight = more.pop("weight", {})
    return {
        "type": "op", "template": "decode", "id": id, "scope": "block", "role": role, "op": "linear", "in": taken,
        "out": made, "weight": weight, "deps": deps, **more,
    }  # fmt: skip


def _lines(mix: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A model whose attention gives what `mix` reads; the last operators of `mix` are added up with what enters."""
    group = {"heads": 4, "kv_heads": 4, "head_dim": 32, "kv_len": "T"}
    attention = {
        "type": "op", "template": "decode", "id": "attention", "scope": "block", "role": "attn", "op": "attention",
        "in": 3 * WIDTH, "out": WIDTH, "head_groups": [group], "deps": ["qkv"],
    }  # fmt: skip
    names = [op["id"] for op in mix]
    return [
        _HEADER,
        {"type": "template", "id": "decode", "repeat": {"layers": 1, "count": 2}},
        _linear("qkv", "qkv", WIDTH, 3 * WIDTH, ["input"]),
        attention,
        *mix,
        _linear("out", "attn_out", WIDTH, WIDTH, names),
        _SCHEDULE,
    ]


def _ran(path: Path, mix: list[dict[str, Any]], **more: Any) -> Any:
    path.write_text("".join(json.dumps(line) + "\n" for line in _lines(mix)))
    return run(load_config(SHIPPED, {"workload.trace": str(path), "baselines": [], **more}))


def _diagonal(blocks: int = BLOCKS) -> list[dict[str, Any]]:
    return [_linear("mix", "attn_out", WIDTH, WIDTH, ["attention"], weight={"blocks": blocks})]


def _apart() -> list[dict[str, Any]]:
    return [
        _linear(f"mix{i}", "attn_out", PART, PART, ["attention"], take={"attention": [i * PART, PART]})
        for i in range(BLOCKS)
    ]


def test_a_diagonal_of_matrices_has_the_commands_of_as_many_products(tmp_path: Path) -> None:
    whole, apart = _ran(tmp_path / "a.jsonl", _diagonal()), _ran(tmp_path / "b.jsonl", _apart())
    assert whole.summary["system"]["commands"] == apart.summary["system"]["commands"]
    assert whole.summary["workload"]["parameters"] == apart.summary["workload"]["parameters"]
    assert whole.plan.memory.rows == apart.plan.memory.rows


def test_each_matrix_of_a_diagonal_lies_in_rows_of_its_own(tmp_path: Path) -> None:
    memory = _ran(tmp_path / "a.jsonl", _diagonal()).plan.memory
    region = memory.regions["mix"]
    assert len(region.bases) == len(set(region.bases)) == 2 * BLOCKS
    assert memory.matrices["mix"].rows == region.rows


def test_macs_of_a_diagonal_are_a_share_of_the_whole_matrix(tmp_path: Path) -> None:
    counts = {}
    for blocks in (1, BLOCKS):
        result = _ran(tmp_path / f"{blocks}.jsonl", _diagonal(blocks))
        counts[blocks] = sum(row["macs"] for row in result.records("operators") if row["operator"] == "mix")
    steps, batch, query, layers = 3, 2, 2, 2
    assert counts == {blocks: steps * batch * query * layers * WIDTH * WIDTH // blocks for blocks in (1, BLOCKS)}


@pytest.mark.parametrize("more", [{"engine.mode": "stepped"}, {"engine.fold": False}])
def test_a_diagonal_is_the_same_fast_stepped_and_unfolded(more: dict[str, Any], tmp_path: Path) -> None:
    one = _ran(tmp_path / "a.jsonl", _diagonal()).summary["system"]
    assert _ran(tmp_path / "b.jsonl", _diagonal(), **more).summary["system"] == one


@pytest.mark.parametrize("family", ["deepseek_v2", "deepseek_v2_lite", "deepseek_v3", "falcon_grouped", "mpt"])
def test_products_of_a_run_are_those_of_the_graph(family: str) -> None:
    path = FOLDER / f"{family}.jsonl"
    step = workload_of(load_trace(path)).blocks_only()
    result = run(load_config(SHIPPED, {"workload.trace": str(path), "baselines": []}))
    for phase, first, tokens in (("prefill", 1, 6), ("decode", 7, 4)):
        macs = sum(row["macs"] for row in result.records("operators") if row["phase"] == phase)
        assert macs == step.total_macs(first, first + tokens - 1)


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        ({"blocks": 3}, "5:149: weight.blocks: blocks (3) must divide inputs (128) and outputs (128)"),
        ({"blocks": 4, "bias": True}, "5:149: weight.blocks: blocks of a matrix have no experts, no bias and no table"),
        ({"blocks": 0}, "5:149: weight.blocks: must be at least 1, not 0"),
    ],
)
def test_a_diagonal_that_is_none_is_refused(weight: dict[str, Any], message: str, tmp_path: Path) -> None:
    path = tmp_path / "wrong.jsonl"
    mix = [_linear("mix", "attn_out", WIDTH, WIDTH, ["attention"], weight=weight)]
    path.write_text("".join(json.dumps(line) + "\n" for line in _lines(mix)))
    with pytest.raises(InputError) as caught:
        load_trace(path)
    assert str(caught.value).startswith(f"{path}:{message}")
