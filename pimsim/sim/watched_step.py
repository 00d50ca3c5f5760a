"""One step by itself, in the fast mode: when each of its instructions ran, and what it counted."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.kernel.state import R_OPEN, R_SINCE, State
from pimsim.dram.records import named
from pimsim.mapping.plan import Plan
from pimsim.mapping.stretch import CLOCKS, numbers_of
from pimsim.sim.schedule.block import BEGIN, END
from pimsim.sim.steps import Step, step_of
from pimsim.sim.system import Laid, System
from pimsim.sim.tally import OperatorTally


class Took(NamedTuple):
    """An instruction of a step, or all of a block that is not looked into (its operator is "").

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


def watched_step(plan: Plan, number: int, most: int, told: int, every: bool = False) -> list[Took]:
    """Step `number` of a run, from rest; none where it has more than `most` instructions, or would tell more than
    `told`.

    plan: of what was chosen for the run (that of its result).
    every: the instructions of every block are told; else of the middle one, and each other is told as a whole.  What
    they count sums to what a run of this step alone would.
    """
    watched = _Watched(plan, every)
    return watched.took if watched.carried_out(step_of(plan, number), most, told) else []


class _Watched(System):
    """A system that keeps what each instruction took."""

    def __init__(self, plan: Plan, every: bool) -> None:
        super().__init__(plan, Engine(plan.device, fold=plan.config.engine.fold))
        self.took: list[Took] = []
        self._every = every
        self._open = 0
        self._registers: Ints = named(State, self.engine.shared_states).reg

    def carried_out(self, step: Step, most: int, told: int) -> bool:
        """Simulate a step, unless it has too many instructions; whether it was."""
        for laid, steps in self._planned([step]):
            before, block, after = map(len, laid.stretch.step)
            whole = before + block * laid.plan.workload.blocks + after
            if whole > most or (whole if self._every else before + block + after) > told:
                return False
            self._carry_out(laid, steps)
        return True

    def _open_since(self, clk: int) -> int:
        """By how much more rows that are open have been so until a clock: they are counted once they are closed."""
        reg, before = self._registers[self.engine.owners], self._open
        self._open = int(((clk - reg[:, R_SINCE]) * (reg[:, R_OPEN] > 0)).sum())
        return self._open - before

    def _watching(self, laid: Laid) -> Callable[[int, int, int], None]:
        before, begin = laid.counts.totals.copy(), self.accounted
        instructions, first, asic = laid.stretch.instructions, len(laid.stretch.step.before), list(_asic_clocks(laid))
        device, commands = self.plan.device, len(self.plan.device.standard.commands)
        block, shown = range(first, first + len(laid.stretch.step.block)), laid.plan.workload.blocks // 2

        def keep(step: int, copy: int, i: int) -> None:
            nonlocal begin
            whole = i in block and copy != shown and not self._every
            if whole and i + 1 < block.stop:
                return
            some = slice(block.start, block.stop) if whole else slice(i, i + 1)
            totals, end = (laid.counts.totals[some] - before[some]).sum(0).tolist(), self.accounted
            before[some] = laid.counts.totals[some]
            counted = OperatorTally(
                phase=laid.kind.phase,
                part=laid.kind.part,
                operator="" if whole else instructions[i].operator,
                count=some.stop - some.start,
                cycles=end - begin,
                causes={},
                commands=device.counted(totals[:commands]),
                open_cycles=totals[commands] + self._open_since(end),
                asic_busy_cycles=sum(asic[some]),
            )
            ran = (begin, end) if whole else (int(laid.times[i, BEGIN]), int(laid.times[i, END]))
            self.took.append(Took(ran, (begin, end), copy if i in block else -1, counted))
            begin = end

        return keep


def _asic_clocks(laid: Laid) -> Iterator[int]:
    """Clocks of the ASIC in each instruction of the next step."""
    for i, instruction in enumerate(laid.stretch.instructions):
        series = laid.stretch.series.get(i)
        numbers = numbers_of(instruction) if series is None else series.numbers[laid.done]
        yield 0 if instruction.place else int(numbers[CLOCKS])
