"""Layers of one kind, folded: every row once, in order, and only what has layers."""

from __future__ import annotations

from dataclasses import replace

from pimsim.results.folding import folds
from tests.result_samples import decode_rows, prefill_row


def test_layers_of_a_kind_are_one_fold() -> None:
    row = decode_rows()[0]
    names = ["q.0", "sum", "v.0", "q.1", "v.1", "q.2", "alone.7", "scores"]
    rows = [replace(row, operator=name) for name in names]
    found = folds(rows)
    assert [(fold.operator, fold.rows) for fold in found] == [
        ("q", (0, 3, 5)), ("sum", (1,)), ("v", (2, 4)), ("alone.7", (6,)), ("scores", (7,)),
    ]  # fmt: skip
    assert sorted(place for fold in found for place in fold.rows) == list(range(len(rows)))


def test_phases_and_parts_stay_apart() -> None:
    row = replace(decode_rows()[0], operator="q.0")
    rows = [
        replace(prefill_row(), operator="q.0"), replace(prefill_row(), operator="q.1"), row,
        replace(row, operator="q.1", part="drafting"), replace(row, operator="q.2", part="drafting"),
    ]  # fmt: skip
    assert [(f.phase, f.part, f.operator, len(f.rows)) for f in folds(rows)] == [
        ("prefill", "", "q", 2), ("decode", "", "q.0", 1), ("decode", "drafting", "q", 2),
    ]  # fmt: skip
