"""Carries out blocks of instructions: the compiled schedule on the channels of an engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pimsim.dram.compiler import bound
from pimsim.dram.engine import Engine, Ints
from pimsim.dram.program import WIDTH
from pimsim.sim.schedule import meter
from pimsim.sim.schedule.block import MOMENTS, REST, Block, Timetable
from pimsim.sim.schedule.compiled.block import run_block
from pimsim.sim.schedule.compiled.layout import EXPOSED, P_PLACES, P_STEPS


class Counts(NamedTuple):
    """What a block counts: by instruction its totals (n, ...) and what it exposes (n, 2); by step the clocks reached.

    All as `run_block` collects them.
    """

    totals: Ints
    exposed: Ints
    reached: Ints


class Executor:
    """A schedule on the channels of an engine, whose log it keeps and whose state it carries on."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._room = tuple(engine.scratch)
        self._run_block = bound(run_block)
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

    def new_counts(self, block: Block) -> Counts:
        """Counts of nothing, for a block."""
        steps, n, _ = block.steps.shape
        return Counts(
            np.zeros((n, self.engine.new_totals().size), np.int64),
            np.tile(np.array([0, -1], np.int64), (n, 1)),
            np.zeros(steps, np.int64),
        )

    def run_block(
        self,
        block: Block,
        times: Ints,
        timetable: Timetable,
        watch: Callable[[int, int, int], None] | None = None,
        counts: Counts | None = None,
        steps: range | None = None,
    ) -> Counts:
        """Carry out steps of a block (by default all), and count.

        times (n + 1, 5): the moments of each instruction, the last row those of what came
        before; both it and the timetable are updated.  watch(step, copy, instruction) is called
        after each one.  counts: of steps before, to which those of these are added.
        """
        self.engine.make_room()
        steps = range(len(block.steps)) if steps is None else steps
        n = block.steps.shape[1]
        counts = counts or self.new_counts(block)
        places = block.portions + 2 * n + 1  # most that one copy can add
        if self.engine.log is None and not watch:
            timetable.stand_at(steps.start)
            self._run(block, times, timetable, counts, (steps.stop, len(block.parts), block.most_copies, 0, n, places))
            return counts
        for step, part, copy, i in block.instructions(steps):
            timetable.stand_at(step, part, copy)
            self._run(block, times, timetable, counts, (step + 1, part + 1, copy + 1, i, i + 1, places))
            if watch:
                watch(step, copy, i)
        return counts

    def _run(self, block: Block, times: Ints, timetable: Timetable, counts: Counts, part: tuple[int, ...]) -> None:
        """Carry out a part of a block; room for what the ASIC is taken for is made whenever it runs out."""
        while timetable.step < part[P_STEPS]:
            timetable.make_room(part[P_PLACES])
            if self.notes:
                self.notes.make_room(block.steps.shape[1])
                self.meter = self.notes.record
            self._run_part(block, times, timetable, counts, part)

    def _run_part(self, block: Block, times: Ints, timetable: Timetable, counts: Counts, part: tuple[int, ...]) -> None:
        engine = self.engine
        if engine.log is not None:
            self.worked = np.zeros((timetable.calendars.shape[1] + 2, 2), np.int64)
        while not engine.deliver(
            self._run_block(
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
                block.parts,
                times,
                timetable.clock,
                timetable.calendars,
                engine.options,
                counts.totals,
                counts.exposed,
                counts.reached,
                engine.ends,
                engine.log,
                self.worked,
                self._room,
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
        counts = Counts(totals[np.newaxis], np.zeros((1, EXPOSED), np.int64), np.zeros(1, np.int64))
        self._run(rest, np.zeros((2, MOMENTS), np.int64), Timetable(serial=False), counts, (1, 1, 1, 0, 1, 0))
        if self.notes:
            self.notes.flush()
