"""Graphs that the tests cut: the built-in models, and the recorded families."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from pimsim.workload.graph import Workload
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.reader import load_trace

_ROOT = Path(__file__).parents[2]
_TRACES = {
    path.stem: path
    for folder in ("tests/golden/traces", "configs/studies/traces")
    for path in sorted((_ROOT / folder).glob("*.jsonl"))
}
NAMES = (*MODELS.shipped, *_TRACES)


@cache
def graph(name: str) -> Workload:
    """A built-in model, or what a trace records."""
    return workload_of(load_trace(_TRACES[name])) if name in _TRACES else build(MODELS[name], lm_head=True)
