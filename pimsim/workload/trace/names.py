"""What templates call each other's: caches of K and V, and weights.  Who is meant may stand further down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from pimsim.errors import did_you_mean
from pimsim.workload.trace.known import Known
from pimsim.workload.trace.records import Line, ModelInfo, OpRecord

_MOST_CACHES = 4096  # names that are looked for


@dataclass
class Names:
    """The attentions of each model so far, and the caches that they read.

    there: of a model, the attentions, the products that make K and V, and the caches that an attention fills.
    sought: of a model, the caches that are read and not filled by who reads them, with the first line.
    """

    there: dict[ModelInfo, set[str]] = field(default_factory=dict)
    sought: dict[tuple[ModelInfo, str], Line] = field(default_factory=dict)

    def add(self, op: OpRecord, model: ModelInfo, line: Line) -> None:
        """Take in an operator."""
        if op.op != "attention" and (op.op, op.role) != ("linear", "qkv"):
            return
        there = self.there.setdefault(model, set())
        there.add(op.id)
        if op.cache and op.appends:
            there.add(op.cache)
        elif op.cache and len(self.sought) < _MOST_CACHES:
            self.sought.setdefault((model, op.cache), line)

    def close(self, templates: Mapping[str, Known]) -> None:
        """Note names of what is not there, if no line is missing."""
        broken = {known.model for known in templates.values() if known.incomplete}
        for (model, cache), line in self.sought.items():
            if cache not in self.there[model] and model not in broken:
                line.problem("cache", _nothing(cache, self.there[model]))
        for known in templates.values():
            if known.template.weights_of:
                _check_weights(known, templates)


def _nothing(cache: str, there: Iterable[str]) -> str:
    hint = did_you_mean(cache[:40], there)
    what = f"{cache!r} is no attention of the model, and no cache that one of them fills"
    return what + (hint or "; leave it out if K and V are there already")


def _check_weights(known: Known, templates: Mapping[str, Known]) -> None:
    """The template whose weights are named is there: that of the model, or of another one that has some in common."""
    name = known.template.weights_of
    other = templates.get(name)
    if other is None:
        known.line.problem("weights_of", f"no template {name!r}{did_you_mean(name[:40], templates)}")
    elif other is known:
        known.line.problem("weights_of", f"{name!r} is the template itself; leave it out")
