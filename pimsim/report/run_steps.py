"""Steps of a run over their context: one by one, and what each operator takes of them in stretches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.report.run_operators import Operators
from pimsim.results.drawn import context
from pimsim.results.metrics import nanoseconds
from pimsim.sim.tally import Tally

MOST = 1500  # steps that a page shows, evenly chosen from more


class Line(NamedTuple):
    """Steps by context; name: "" for all of them."""

    name: str
    contexts: list[int]
    latencies_ns: list[float]


class Steps:
    """The steps of a run.

    lines  the decode steps
    """

    def __init__(self, tally: Tally, lines: Sequence[Line]) -> None:
        self._tally, self.lines = tally, lines
        self._course = tally.course

    @property
    def longest_ns(self) -> float:
        """Of the longest step."""
        return max(max(line.latencies_ns) for line in self.lines)

    @property
    def first_ns(self) -> float:
        """Of the first step."""
        return self.lines[0].latencies_ns[0]

    @property
    def last_ns(self) -> float:
        """Of the last one."""
        return self.lines[-1].latencies_ns[-1]

    def has(self, phase: str) -> bool:
        """Whether it is known what operators of a phase took as it went on."""
        return self._course is not None and self._tally.tokens.steps_of(phase) > 1

    def _edges(self, phase: str) -> NDArray[np.int64]:
        assert self._course is not None
        return self._course.edges(phase, self._tally.tokens.steps_of(phase))

    def spans(self, phase: str) -> list[tuple[int, int]]:
        """The smallest and the largest context of each stretch of a phase."""
        contexts, edges = self._tally.tokens.column("context")[self._tally.tokens.of_phase(phase)], self._edges(phase)
        low, high = (reduce.reduceat(contexts, edges[:-1]).tolist() for reduce in (np.minimum, np.maximum))
        return list(zip(low, high, strict=True))

    def mean_ns(self, row: int) -> list[float]:
        """What the operator of a row takes of a step of its phase, in each stretch."""
        assert self._course is not None
        edges = self._edges(self._tally.rows[row].phase)
        clocks = self._course.of_row(row, len(edges) - 1)
        return [
            nanoseconds(n, self._tally.tCK_ps) / steps
            for n, steps in zip(clocks.tolist(), np.diff(edges).tolist(), strict=True)
        ]


def steps_of(operators: Operators) -> Steps | None:
    """Those of a run; None where fewer than two are decoded."""
    found = context.steps(operators.of_run)
    if found is None or sum(len(line.contexts) for line in found.lines) < 2:
        return None
    return Steps(operators.result.tally, [_line(line) for line in found.lines])


def _line(line: context.StepLine) -> Line:
    count = len(line.contexts)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64))
    return Line(line.name, line.contexts[chosen].tolist(), line.latencies_ns[chosen].tolist())
