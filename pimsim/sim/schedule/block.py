"""Instructions as the compiled schedule reads them, and where a run stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.dram.kernel.work import MARKS, T_BEGIN, T_COMPLETE, T_END, T_PARTIAL
from pimsim.dram.kernel.work import MOMENTS as MOMENTS
from pimsim.sim.schedule.compiled import layout as k

ARITHMETIC, WORK, REST = k.ARITHMETIC, k.WORK, k.REST
BEGIN, PARTIAL, COMPLETE, END = T_BEGIN, T_PARTIAL, T_COMPLETE, T_END
WHOLE = (-1, COMPLETE, 1, 1, 0, 0)  # what a step that does not stream has from I_TAIL to I_FEEDS


@dataclass(frozen=True)
class Block:
    """Steps that are carried out one after the other; the arrays are explained at `compiled.block.run_block`.

    program (rows, 8); spans (j, channels, 2), marks (j, channels, 3) and numbers (j, channels),
    see `Engine.numbers`, of the programs; bases (b, copies); steps (k, n, 15); after (n, m); feeds (f,);
    parts (p, 4).
    portions: those in which all that streams takes its results, in one copy, at most.
    """

    program: Ints
    spans: Ints
    marks: Ints
    numbers: Ints
    bases: Ints
    steps: Ints
    after: Ints
    feeds: Ints
    parts: Ints
    portions: int = 0

    @property
    def most_copies(self) -> int:
        """Copies of the part that has most."""
        return int(self.parts[:, k.A_COPIES].max())

    def instructions(self, steps: range) -> Iterator[tuple[int, int, int, int]]:
        """(step, part, copy, instruction) of all of some steps, in order."""
        for step in steps:
            for part, (first, last, copies, _) in enumerate(self.parts.tolist()):
                for copy in range(copies):
                    for i in range(first, last):
                        yield step, part, copy, i

    @classmethod
    def of(
        cls,
        program: Ints,
        spans: Ints,
        numbers: Ints,
        bases: Ints,
        after: Ints,
        kind: tuple[int, int],
        spends: int = 0,
    ) -> Block:
        """One step of instructions that are alike and stream with nothing; kind: what they are, and their clocks."""
        count, channels, _ = spans.shape
        marks = np.full((count, channels, MARKS), -1, np.int64)
        steps = np.array([[[*kind, 0, 0, *WHOLE, spends, i, i, 0, 0] for i in range(count)]], np.int64)
        parts = np.array([[0, count, bases.shape[1], count]], np.int64)
        return cls(program, spans, marks, numbers, bases, steps, after, np.zeros(1, np.int64), parts)


class Timetable:
    """Where a run stands: clocks accounted for, and what the parts of the ASIC, and those outside, are taken for.

    serial: one instruction waits for the other.
    """

    def __init__(self, serial: bool, accounted: int = 0) -> None:
        self.clock = np.array([accounted, serial] + [0] * (k.C_TAKEN - k.C_STEP + k.PARTS), np.int64)
        self.calendars = np.zeros((k.PARTS, 64, 2), np.int64)

    @property
    def accounted(self) -> int:
        """Clocks charged so far: the end of the latest instruction."""
        return int(self.clock[k.C_ACCOUNTED])

    def stand_at(self, step: int, part: int = 0, copy: int = 0) -> None:
        """Go on with this step of a block, this part of it and this copy."""
        self.clock[[k.C_STEP, k.C_PART, k.C_COPY]] = step, part, copy

    @property
    def step(self) -> int:
        """The step of a block with which it goes on."""
        return int(self.clock[k.C_STEP])

    def make_room(self, stretches: int) -> None:
        """Room for so many more stretches."""
        need = max(self.clock.tolist()[k.C_TAKEN :]) + stretches
        room = self.calendars.shape[1]
        if need > room:
            more = np.zeros((k.PARTS, 2 * need - room, 2), np.int64)
            self.calendars = np.concatenate([self.calendars, more], axis=1)
