"""Which measured time of a device file stands for a run: the one of the same operators in the same scope.

A name says nothing about sizes, so a measurement states what was measured: the hash of the
operators (LM head in or not), sequences of a step, number format and contexts.  Where none is
of what runs, the formula stands in, and the reason is told.
"""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.baselines.devices import BaselineDevice, Measured
from pimsim.workload.models import Workload


def measured_step(
    device: BaselineDevice, workload: Workload, contexts: tuple[int, int], batch: int, query_tokens: int
) -> tuple[Measured | None, str]:
    """The measurement of a decode step, and what to say of it; (None, why) for the formula.

    contexts: of the first and last step.  The reason is "" if the file measured nothing.
    """
    entries, digest = device.eager.measured, workload.sha256()
    if entries and device.group > 1:
        return None, "its measurements are of one card"
    nearest: list[tuple[int, str]] = []
    for name, entry in entries.items():
        rank, differences = _differences(entry, device, workload, digest, contexts, batch, query_tokens)
        if not differences:
            assert entry.scope is not None
            first, last = entry.scope.contexts
            return entry, f"measured as {name} at contexts {first:,} to {last:,}"
        if rank or name == workload.shape.name:
            nearest.append((rank, f"its {name} {' and '.join(differences)}"))
    if nearest:
        return None, max(nearest, key=lambda found: found[0])[1]  # the first of the nearest
    return None, f"it measured {', '.join(entries)}, none of which is this model" if entries else ""


def _differences(
    entry: Measured,
    device: BaselineDevice,
    workload: Workload,
    digest: str,
    contexts: tuple[int, int],
    batch: int,
    query_tokens: int,
) -> tuple[int, list[str]]:
    """How near a measurement is (1: the same operators), and in what it differs; nothing if it is of the same."""
    scope = entry.scope
    if scope is None:
        return 0, ["does not say what was measured (no scope; `pimsim calibrate` writes it)"]
    if scope.lm_head != workload.lm_head:
        return 0, [f"was measured {_with(scope.lm_head)} the LM head, and this run is {_with(workload.lm_head)} it"]
    if scope.operators_sha256 != digest:
        return 0, ["was measured of other operators or sizes"]

    def different() -> Iterator[str]:
        if (batch, query_tokens) != (scope.batch, 1):
            yield f"was measured with {_step(scope.batch, 1)}, and this run has {_step(batch, query_tokens)}"
        if scope.data_type != device.eager.data_type:
            yield f"was measured in {scope.data_type}, and the file's eager model is in {device.eager.data_type}"
        if not scope.contexts[0] <= contexts[0] <= contexts[1] <= scope.contexts[1]:
            yield f"was measured at contexts {_range(scope.contexts)}, and this run decodes at {_range(contexts)}"

    return 1, list(different())


def _with(there: bool) -> str:
    return "with" if there else "without"


def _step(batch: int, tokens: int) -> str:
    """A step in words."""
    sequences = "one sequence" if batch == 1 else f"{batch:,} sequences"
    return f"{sequences} a step" + (f" of {tokens:,} tokens" if tokens > 1 else "")


def _range(contexts: tuple[int, int]) -> str:
    return f"{contexts[0]:,} to {contexts[1]:,}"
