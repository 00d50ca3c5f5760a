"""How a run goes on: the clocks of each kind of operator in legs: equal numbers of steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST = 32  # legs of a phase


@dataclass(frozen=True)
class Course:
    """Clocks by row of the tally, in legs that go by the number of steps alone: the same in each engine mode.

    widths  steps of a leg, by phase; the last one of a phase may have fewer
    clocks  of each row, by leg of its phase; none where its operator does not run
    """

    widths: Mapping[str, int]
    clocks: Sequence[Mapping[int, int]]

    def edges(self, phase: str, steps: int) -> NDArray[np.int64]:
        """(legs + 1,): steps of a phase of so many before each leg, and behind the last one."""
        return np.append(np.arange(0, steps, self.widths[phase]), steps)

    def of_row(self, row: int, legs: int) -> NDArray[np.int64]:
        """(legs,): the clocks of a row."""
        return np.array([self.clocks[row].get(at, 0) for at in range(legs)], np.int64)


class Follower:
    """Divides a run into the legs of its course; steps: how many each phase has."""

    def __init__(self, steps: Mapping[str, int]) -> None:
        self._widths = {phase: max(1, -(-count // MOST)) for phase, count in steps.items()}

    def leg(self, phase: str, done: int) -> int:
        """In which leg a phase is, so many of whose steps are done."""
        return done // self._widths[phase]

    def left(self, phase: str, done: int) -> int:
        """Steps until the next leg."""
        return self._widths[phase] - done % self._widths[phase]

    def course(self, clocks: Sequence[Mapping[int, int]]) -> Course:
        """The course of the run that was followed, from the clocks of each row."""
        return Course(self._widths, clocks)
