"""One step by itself, in the fast mode: when each of its instructions ran, and what it counted."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pimsim.dram.engine import Engine
from pimsim.dram.kernel.state import R_OPEN, R_SINCE, State
from pimsim.dram.records import named
from pimsim.mapping.plan import Plan
from pimsim.mapping.stretch import CLOCKS, numbers_of
from pimsim.sim.observer import Executed
from pimsim.sim.run import settled
from pimsim.sim.schedule.block import BEGIN, END
from pimsim.sim.steps import Step, step_of
from pimsim.sim.system import System, _Laid
from pimsim.sim.tally import OperatorTally


class Took(NamedTuple):
    """An instruction of a step.

    ran      (from, to): clocks from the step's begin on; of what streams, from its first piece to its last one
    charged  (from, to): what it added to the latency; charges follow each other without a gap
    block    number of the block from 0, -1 outside of the blocks
    counted  as of its operator in a run: commands over all channels, clocks of the ASIC; clocks with an open row are of
             those that were charged
    """

    ran: tuple[int, int]
    charged: tuple[int, int]
    block: int
    counted: OperatorTally


def alone(plan: Plan, number: int, most: int) -> list[Took]:
    """Step `number` of a run, from rest; none where it has more than `most` instructions, which are told one by one.

    What instructions count sums to what a run of this step alone would.
    """
    watched = _Watched(settled(plan))
    return watched.took if watched.carried_out(step_of(plan, number), most) else []


class _Watched(System):
    """A system that keeps what each instruction took."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan, Engine(plan.device, fold=plan.config.engine.fold), observer=lambda executed: None)
        self.took: list[Took] = []
        self._open = 0

    def carried_out(self, step: Step, most: int) -> bool:
        """Simulate a step, unless it has more than `most` instructions; whether it was."""
        for laid, steps in self._planned([step]):
            before, block, after = map(len, laid.stretch.step)
            if before + block * laid.plan.workload.blocks + after > most:
                return False
            self._carry_out(laid, steps)
        return True

    def _open_since(self, clk: int) -> int:
        """By how much more rows that are open have been so until a clock: they are counted once they are closed."""
        reg, before = named(State, self.engine.shared_states).reg[self.engine.owners], self._open
        self._open = int(np.sum((clk - reg[:, R_SINCE])[reg[:, R_OPEN] > 0]))
        return self._open - before

    def _watch(self, laid: _Laid, tell: Callable[[Executed], None]) -> Callable[[int, int, int], None]:
        told: list[Executed] = []
        watch, before = super()._watch(laid, told.append), laid.counts.totals.copy()

        def keep(step: int, copy: int, i: int) -> None:
            watch(step, copy, i)
            executed, totals = told.pop(), (laid.counts.totals[i] - before[i]).tolist()
            before[i] = laid.counts.totals[i]
            instruction, series = laid.stretch.instructions[i], laid.stretch.series.get(i)
            numbers = numbers_of(instruction) if series is None else series.numbers[step].tolist()
            charged, device = executed.charged, self.plan.device
            counted = OperatorTally(
                phase=laid.kind.phase,
                part=laid.kind.part,
                operator=instruction.operator,
                count=1,
                cycles=charged[1] - charged[0],
                causes={},
                commands=device.counted(totals[: len(device.standard.commands)]),
                open_cycles=totals[len(device.standard.commands)] + self._open_since(charged[1]),
                asic_busy_cycles=0 if instruction.place else int(numbers[CLOCKS]),
            )
            ran = int(laid.times[i, BEGIN]), int(laid.times[i, END])
            self.took.append(Took(ran, charged, executed.block, counted))

        return keep
