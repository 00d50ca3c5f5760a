"""Products and norms that read the weights of one before them: what may be shared, and what a trace must not say."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pimsim.errors import InputError
from pimsim.workload.trace.reader import load_trace

GOLDEN = Path(__file__).parents[1] / "golden" / "traces" / "zamba2.jsonl"
Line = dict[str, Any]


def _changed(folder: Path, name: str, change: Callable[[Line], None]) -> tuple[Path, int]:
    """The committed Zamba2 with one operator of its decode step changed, and that operator's line."""
    lines = [json.loads(text) for text in GOLDEN.read_text(encoding="ascii").splitlines()]
    at = next(i for i, line in enumerate(lines) if (line.get("template"), line.get("id")) == ("decode", name))
    change(lines[at])
    path = folder / "t.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path, at + 1


def _set(**keys: Any) -> Callable[[Line], None]:
    return lambda line: line["weight"].update(keys)


@pytest.mark.parametrize(
    ("name", "change", "key", "message"),
    [
        ("q.5", _set(tied="attn_out.1"), "tied", "'attn_out.1' has 64 x 32, not 64 x 64"),
        ("q.5", _set(tied="q.9"), "tied", "'q.9' is no embedding before it; did you mean"),
        ("q.3", _set(tied="q.5"), "tied", "'q.5' is no embedding before it"),
        ("q.5", _set(tied="attn_norm.1"), "tied", "'attn_norm.1' is no embedding before it"),
        ("q.5", _set(bias=True), "bias", "'q.1' shares its matrix, and a bias of its own is no part of it"),
        ("q.5", _set(bits=8), "bits", "is 8, but 'q.1' has 16: the same weights"),
        ("k.5", _set(tied="q.5"), "tied", "'q.5' is tied itself: name its owner"),
    ],
)
def test_what_cannot_be_shared_is_told_with_its_place(
    name: str, change: Callable[[Line], None], key: str, message: str, tmp_path: Path
) -> None:
    path, line = _changed(tmp_path, name, change)
    with pytest.raises(InputError) as caught:
        load_trace(path)
    told = [p for p in caught.value.problems if (p.line, p.key) == (line, f"weight.{key}")]
    assert any(message.removesuffix("; did you mean") in p.message for p in told), [
        str(p) for p in caught.value.problems
    ]


def test_what_is_shared_counts_once(tmp_path: Path) -> None:
    """Without the tie the bytes that the header checks are too few, by those of a matrix of 64 x 64."""
    path, _ = _changed(tmp_path, "q.5", lambda line: line["weight"].pop("tied"))
    with pytest.raises(InputError, match=r"checks\.0\.weight_bytes: 213136, but the operators make 221328"):
        load_trace(path)
