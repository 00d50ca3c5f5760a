"""Mutated traces are read or refused, and never crash; `bench/fuzz_traces.py` tries 10,000."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from tests.trace import latest
from tests.trace.traces import TRACES

SCRIPT: dict[str, Any] = runpy.run_path(str(Path(__file__).parents[2] / "bench" / "fuzz_traces.py"))


def test_mutated_traces_are_read_or_refused(tmp_path: Path) -> None:
    sources = [TRACES / "gpt2-small.jsonl", TRACES / "mistral-7b.jsonl"]
    counts, crashes = SCRIPT["fuzz"](500, 20, tmp_path, sources)
    assert not crashes, crashes[0]
    assert counts["accepted"] and counts["refused"] > 400


def test_mutated_traces_of_1_1_are_read_or_refused(tmp_path: Path) -> None:
    made = latest.lines()
    made[0]["data_types"] |= {"activations": "bf16", "kv": "bf16"}  # which a run computes with
    source = tmp_path / "latest.jsonl"
    source.write_text(latest.text_of(made), encoding="utf-8")
    counts, crashes = SCRIPT["fuzz"](300, 20, tmp_path, [source])
    assert not crashes, crashes[0]
    assert counts["refused"] > 200
