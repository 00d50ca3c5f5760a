"""How a run goes on: the clocks of each kind of operator in stretches of its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 32  # stretches of a phase


@dataclass(frozen=True)
class Course:
    """Clocks by row of the tally, in stretches that go by the number of steps alone: the same in each engine mode.

    widths  steps of a stretch, by phase; the last one of a phase may have fewer
    clocks  of each row, by stretch of its phase; none where it has none
    """

    widths: Mapping[str, int]
    clocks: Sequence[Mapping[int, int]]

    def edges(self, phase: str, steps: int) -> NDArray[np.int64]:
        """(stretches + 1,): steps of a phase of so many before each stretch, and behind the last one."""
        return np.append(np.arange(0, steps, self.widths[phase]), steps)

    def of_row(self, row: int, stretches: int) -> NDArray[np.int64]:
        """(stretches,): the clocks of a row."""
        return np.array([self.clocks[row].get(at, 0) for at in range(stretches)], np.int64)


class Follower:
    """Divides a run into the stretches of its course; steps: how many each phase has."""

    def __init__(self, steps: Mapping[str, int]) -> None:
        self._widths = {phase: max(1, -(-count // MOST)) for phase, count in steps.items()}

    def stretch(self, phase: str, done: int) -> int:
        """In which stretch a phase is, so many of whose steps are done."""
        return done // self._widths[phase]

    def left(self, phase: str, done: int) -> int:
        """Steps until the next stretch."""
        return self._widths[phase] - done % self._widths[phase]

    def course(self, clocks: Sequence[Mapping[int, int]]) -> Course:
        """The course of the run that was followed, from the clocks of each row."""
        return Course(self._widths, clocks)
