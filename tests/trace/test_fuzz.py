"""Mutated traces are read or refused, and never crash; `bench/fuzz_traces.py` tries 10,000."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from tests.trace.traces import TRACES

_FILE = Path(__file__).parents[2] / "bench" / "fuzz_traces.py"


def test_mutated_traces_are_read_or_refused(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("fuzz_traces", _FILE)
    assert spec is not None and spec.loader is not None
    fuzz_traces = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fuzz_traces)
    sources = [TRACES / "gpt2-small.jsonl", TRACES / "mistral-7b.jsonl"]
    counts, crashes = fuzz_traces.fuzz(500, 20, tmp_path, sources)
    assert not crashes, crashes[0]
    assert counts["accepted"] and counts["refused"] > 400
