"""Instructions as the compiled schedule reads them, and where a run stands."""

from __future__ import annotations

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
    """Instructions that are carried out `copies` times; the arrays are explained at `compiled.block.run_block`.

    program (rows, 8); spans (n, channels, 2); marks (n, channels, 3); numbers (n, channels), see
    `Engine.numbers`; bases (n, copies); steps (n, 11); after (n, m); feeds (k,).
    portions: those in which all that streams takes its results, in one copy.
    """

    program: Ints
    spans: Ints
    marks: Ints
    numbers: Ints
    bases: Ints
    steps: Ints
    after: Ints
    feeds: Ints
    portions: int = 0

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
        """Instructions that are alike and stream with nothing; kind: what they are, and their clocks."""
        count, channels, _ = spans.shape
        marks = np.full((count, channels, MARKS), -1, np.int64)
        steps = np.tile(np.array([*kind, 0, 0, *WHOLE, spends], np.int64), (count, 1))
        return cls(program, spans, marks, numbers, bases, steps, after, np.zeros(1, np.int64))


class Timetable:
    """Where a run stands: clocks accounted for, and what the parts of the ASIC are taken for.

    serial: one instruction waits for the other.
    """

    def __init__(self, serial: bool, accounted: int = 0) -> None:
        self.clock = np.array([accounted, serial] + [0] * (1 + k.ASIC_PARTS), np.int64)
        self.calendars = np.zeros((k.ASIC_PARTS, 64, 2), np.int64)

    @property
    def accounted(self) -> int:
        """Clocks charged so far: the end of the latest instruction."""
        return int(self.clock[k.C_ACCOUNTED])

    def make_room(self, stretches: int) -> None:
        """Room for so many more stretches."""
        need = max(self.clock.tolist()[k.C_TAKEN :]) + stretches
        room = self.calendars.shape[1]
        if need > room:
            more = np.zeros((k.ASIC_PARTS, 2 * need - room, 2), np.int64)
            self.calendars = np.concatenate([self.calendars, more], axis=1)
