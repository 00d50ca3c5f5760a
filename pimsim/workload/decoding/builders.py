"""Ready-made schedules by the name of their mechanism."""

from __future__ import annotations

from collections.abc import Callable

from pimsim.registry import Deferred
from pimsim.workload.trace.records import Trace

_HOMES = {
    "drafts": ("speculative", "recycling", "swift"),
    "heads": ("medusa", "hydra", "eagle", "kangaroo"),
    "layers": ("layer-skip", "early-exit"),
    "hypotheses": ("beams", "superposed"),
    "caches": ("duo-attention", "drop-prefix", "block-transformer", "next-scale"),
}
# Each takes the model, what is asked for, and the mechanism's own options.
BUILDERS: Deferred[Callable[..., Trace]] = Deferred(
    {
        name: f"pimsim.workload.decoding.{module}:{name.replace('-', '_')}"
        for module, names in _HOMES.items()
        for name in names
    }
)
