"""Time of decode steps over their context."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pimsim.results.base import AnyResult

MOST_STEPS = 20_000  # of a line; of more some are left out, evenly


class StepLine(NamedTuple):
    """Steps that make a line, by context.

    name  of a schedule's template; "" for all steps of plain decoding
    contexts, latencies_ns: (n,) of each step
    """

    name: str
    contexts: NDArray[Any]
    latencies_ns: NDArray[Any]


class Steps(NamedTuple):
    """mean_ns: of all steps."""

    mean_ns: float
    lines: list[StepLine]


def steps(result: AnyResult) -> Steps | None:
    """The lines of a result; None where nothing is decoded."""
    mean = result.summary["system"]["latency_per_step_ns"]
    if mean is None:
        return None
    columns = result.token_columns()
    lines = result.lines()
    if len(lines) < 2:  # whose places are by context: one line of all steps keeps the order that they ran in
        lines = [("", np.arange(len(columns["context"])))]
    return Steps(mean, [_line(name, places, columns) for name, places in lines])


def _line(name: str, places: NDArray[Any], columns: Mapping[str, Any]) -> StepLine:
    shown = places[:: -(-len(places) // MOST_STEPS)]
    return StepLine(name, columns["context"][shown], columns["latency_ns"][shown])
