"""Carries out blocks of instructions: the compiled schedule on the channels of an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

import numpy as np

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.program import WIDTH
from pimsim.sim.schedule import meter
from pimsim.sim.schedule.block import MOMENTS, REST, Block, Timetable
from pimsim.sim.schedule.compiled.block import run_block
from pimsim.sim.schedule.compiled.layout import C_COPY


class Executor:
    """A schedule on the channels of an engine, whose log it keeps and whose state it carries on."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.meter = meter.new_meter(len(engine.device.standard.commands))
        self.worked: Ints | None = None
        self.notes: meter.Notes | None = None

    def meter_windows(self, window: int, costs: Sequence[int]) -> None:
        """Find the largest sum of any `window` clocks; costs: what each command of the table spends."""
        self.meter = meter.new_meter(len(costs), window, costs)

    def note_into(self, noted: Callable[[Ints], None]) -> None:
        """Have `noted` take the notes of all instructions, many at a time (`meter.Notes`)."""
        self.notes = meter.Notes(len(self.engine.device.standard.commands), noted)

    @property
    def largest_window(self) -> Fraction:
        """The largest sum of a window so far: of all of the run once it is finished."""
        return meter.largest_window(self.meter)

    def run_block(
        self, block: Block, times: Ints, timetable: Timetable, watch: Callable[[int, int], None] | None = None
    ) -> tuple[Ints, Ints]:
        """Carry out a block of instructions; its totals (n, ...) by instruction, and clocks (n,) outside the channels.

        times (n + 1, 5): the moments of each instruction, the last row those of what came
        before; both it and the timetable are updated.  watch(copy, instruction) is called
        after each one.
        """
        self.engine.make_room()
        n, copies = block.bases.shape
        if self.notes:
            self.notes.make_room(n * copies)
            self.meter = self.notes.record
        totals = np.zeros((n, self.engine.new_totals().size), np.int64)
        exposed = np.zeros(n, np.int64)
        parts = [(0, copies, 0, n)]
        if self.engine.log is not None or watch:
            parts = [(copy, copy + 1, i, i + 1) for copy in range(copies) for i in range(n)]
        stretches = block.portions + 2 * n + 1  # most that one copy can add
        for copy, last, *which in parts:
            timetable.clock[C_COPY] = copy
            while timetable.clock[C_COPY] < last:
                timetable.make_room(stretches if which[0] == 0 else 0)
                part = (int(timetable.clock[C_COPY]), last, *which, stretches)
                self._run_part(block, times, timetable, totals, exposed, part)
            if watch:
                watch(copy, which[0])
        return totals, exposed

    def _run_part(
        self,
        block: Block,
        times: Ints,
        timetable: Timetable,
        totals: Ints,
        exposed: Ints,
        part: tuple[int, ...],
    ) -> None:
        engine = self.engine
        if engine.log is not None:
            self.worked = np.zeros((timetable.calendars.shape[1] + 2, 2), np.int64)
        while not engine.deliver(
            run_block(
                engine.table,
                engine.shared_states,
                engine.owners,
                block.program,
                block.spans,
                block.marks,
                block.numbers,
                block.bases,
                block.steps,
                block.after,
                block.feeds,
                times,
                timetable.clock,
                timetable.calendars,
                engine.options,
                totals,
                exposed,
                engine.ends,
                engine.log,
                self.worked,
                tuple(engine.scratch),
                self.meter,
                np.array(part, np.int64),
            )  # fmt: skip
        ):
            pass

    def stretches(self) -> list[tuple[int, int]]:
        """The clocks (from, to) in which the ASIC's units worked for the latest instruction, if a log is kept."""
        if self.worked is None:
            return []
        count = self.worked[0, 0]
        return [(begin, end) for begin, end in self.worked[1 : count + 1].tolist()]

    def finish(self, stop: int, totals: Ints) -> None:
        """Refresh all channels up to clock `stop`: as `Engine.finish`, which would be compiled for this alone."""
        self.engine.unfold()
        channels = self.engine.device.channels
        rest = Block.of(
            np.zeros((0, WIDTH), np.int64),
            np.zeros((1, channels, 2), np.int64),
            np.zeros((1, channels), np.int64),
            np.zeros((1, 1), np.int64),
            np.array([[1]]),
            (REST, stop),
        )
        times, exposed = np.zeros((2, MOMENTS), np.int64), np.zeros(1, np.int64)
        self._run_part(rest, times, Timetable(serial=False), totals[np.newaxis], exposed, (0, 1, 0, 1, 0))
        if self.notes:
            self.notes.flush()
