"""Graphs that the tests cut: the built-in models, and the recorded families."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from pimsim.workload.graph import Workload
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.graphs import Graphs
from pimsim.workload.trace.reader import load_trace
from tests.trace.latest import lines, text_of

_ROOT = Path(__file__).parents[2]
_TRACES = {
    path.stem: path
    for folder in ("tests/golden/traces", "configs/studies/traces")
    for path in sorted((_ROOT / folder).glob("*.jsonl"))
}
# Of a trace with every key: an encoder, K and V made of other tokens, cross attention, a latent V, a state.
_TEMPLATES = ("encode", "remember", "decode", "latent", "state")
NAMES = (*MODELS.shipped, *_TRACES, *_TEMPLATES)


@cache
def graph(name: str) -> Workload:
    """A built-in model, or what a trace records."""
    if name in _TRACES:
        return workload_of(load_trace(_TRACES[name]))
    return _template(name) if name in _TEMPLATES else build(MODELS[name], lm_head=True)


def _template(name: str) -> Workload:
    with TemporaryDirectory() as folder:
        file = Path(folder, "latest.jsonl")
        file.write_text(text_of(lines()), encoding="utf-8")
        return Graphs(load_trace(file)).checked(name, {"T": 40, "B": 1, "Q": 1, "S": 6, "kept": 0})
