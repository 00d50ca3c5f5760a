"""The system: a controller that issues instructions to the PIM channels and the ASIC.

SimPy carries the time of the controller, which wakes once a stretch: steps that are alike are
planned, laid out, carried out and counted together.  A stretch is one call of the
schedule, whose channels issue every DRAM command of every instruction and carry their state on.

`paper`: an instruction starts when the ASIC and all channels are idle.
`overlap`: an instruction starts when the instructions it waits for are done; the channel
keeps its own order, so a program may start while the results of the one before are still
on the pins, and the ASIC works beside the channels.  (`run.simulate` falls back to `paper`
where refresh makes that the faster one.)

Clocks are charged once, in program order: an instruction is charged what it adds to the
time already accounted for, so charges sum to the latency under either schedule.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator
from itertools import groupby, islice
from typing import Any

import numpy as np
import simpy

from pimsim.dram.engine import Engine, Ints
from pimsim.mapping.plan import Plan
from pimsim.mapping.stretch import Stretch
from pimsim.schedules import SCHEDULES
from pimsim.sim.counter import Counters
from pimsim.sim.layout import Layout
from pimsim.sim.observer import Executed
from pimsim.sim.schedule.block import BEGIN, END, MOMENTS, Timetable
from pimsim.sim.schedule.executor import Executor
from pimsim.sim.spending import Spender
from pimsim.sim.tally import Tally, TokenTallies

Progress = Callable[[int, int], None]


class Pace:
    """How many steps to carry out together: more and more, as long as that takes less than a moment.

    Nobody waits long for the next sign of progress, and a stretch is not larger than memory.
    """

    MOST_S = 0.05  # for which more are taken
    INSTRUCTIONS = 1 << 16  # of all steps of a stretch

    def __init__(self) -> None:
        self.steps = 4
        self._since = time.perf_counter()

    def done(self, instructions: int) -> None:
        """A stretch is done, of steps of so many instructions."""
        now = time.perf_counter()
        taken, self._since = now - self._since, now
        if taken < self.MOST_S:
            self.steps *= 4
        elif taken > 2 * self.MOST_S:
            self.steps //= 2
        self.steps = max(min(self.steps, self.INSTRUCTIONS // instructions), 1)


class System:
    """One simulation of a plan.

    steps     (phase, context of the last token, tokens) of each step, if not the workload's own
    observer  is told of every instruction
    spending  who wants to know what actions spend: the busiest window is found, or all is noted
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        steps: list[tuple[str, int, int]] | None = None,
        observer: Callable[[Executed], None] | None = None,
        spending: Spender | None = None,
    ) -> None:
        self.plan = plan
        self.engine = engine
        self.executor = Executor(engine)
        if spending:
            spending.meter(self.executor)
        self.observer = observer
        self.env = simpy.Environment()
        self.layout = Layout(engine, plan.workload.blocks, spending)
        self.counters = Counters(engine.new_totals)
        self.tokens = TokenTallies()
        self.timetable = Timetable(serial=SCHEDULES[plan.config.schedule].serial)
        self.prefilled = 0
        self.latest = np.zeros(MOMENTS, np.int64)  # of the latest instruction
        self.given = steps

    @property
    def accounted(self) -> int:
        """Clocks charged so far."""
        return self.timetable.accounted

    def run(self, progress: Progress | None = None) -> Tally:
        """Simulate prefill and decode; the counts of it."""
        self.env.process(self._controller(progress))
        self.env.run()
        self._settle()
        return self._tally()

    def _controller(self, progress: Progress | None) -> Generator[simpy.Event, Any, None]:
        work = self.plan.config.workload
        last = work.last_context if self.given is None else self.given[-1][1]
        for phase, stretch in self._stretches():
            begin = self.accounted
            reached = self.carry_out(phase, stretch)
            contexts, number = stretch.contexts.tolist(), len(self.tokens) + 1
            index = number if phase == "prefill" else number - work.prompt_tokens
            self.tokens.extend(phase, index, contexts, [begin, *reached])
            if phase == "prefill" and work.start in contexts:
                self.prefilled = reached[contexts.index(work.start)]
            if self.accounted > self.env.now:
                yield self.env.timeout(self.accounted - self.env.now)
            if progress:
                for context in contexts:
                    progress(context - work.context, last - work.context)

    def _stretches(self) -> Iterator[tuple[str, Stretch]]:
        """The phase and the steps of every stretch."""
        work, pace = self.plan.config.workload, Pace()
        start, every = work.start, work.steps() if self.given is None else iter(self.given)
        for (phase, tokens, head), steps in groupby(every, lambda step: (step[0], step[2], step[1] >= start)):
            contexts = (context for _, context, _ in steps)
            coming: list[int] = []
            while True:
                coming += islice(contexts, max(pace.steps - len(coming), 0))
                if not coming:
                    break
                stretch = self.plan.stretch(coming[: pace.steps], head, tokens)
                del coming[: len(stretch.contexts)]
                yield phase, stretch
                pace.done(len(stretch.instructions))

    def decode(self, context: int) -> int:
        """Simulate the decode of one token at a context, from where the system stands; the clocks it took."""
        begin = self.accounted
        self.carry_out("decode", self.plan.stretch([context], head=True))
        return self.accounted - begin

    def carry_out(self, phase: str, stretch: Stretch) -> list[int]:
        """Carry out steps that are alike, and count what they did; the clocks accounted for at the end of each."""
        times = np.zeros((len(stretch.instructions) + 1, MOMENTS), np.int64)
        times[-1] = self.latest
        watch = None if self.observer is None else self._watch(phase, stretch, times, self.observer)
        counts = self.executor.run_block(self.layout.block(stretch), times, self.timetable, watch)
        self.latest = times[-1]
        self.counters.add(phase, stretch, self.plan.workload.blocks, counts)
        reached: list[int] = counts.reached.tolist()
        return reached

    def _watch(
        self, phase: str, stretch: Stretch, times: Ints, tell: Callable[[Executed], None]
    ) -> Callable[[int, int, int], None]:
        """What tells the observer of instruction i in copy c of a step, when the engine has carried it out."""
        instructions, contexts = stretch.instructions, stretch.contexts.tolist()
        in_block = range(len(stretch.step.before), len(stretch.step.before) + len(stretch.step.block))
        firsts = {0, in_block.start, in_block.stop}
        charged, settled = self.accounted, 0

        def watch(step: int, c: int, i: int) -> None:
            nonlocal charged, settled
            instruction = instructions[i]
            if i in firsts:
                settled = int(times[-1, END])
            series = stretch.series.get(i)
            operations = instruction.operations if series is None else series.operations(step)
            busy = [(int(times[i, BEGIN]), int(times[i, END]))] if instruction.work else self.executor.stretches()
            tell(
                Executed(
                    phase,
                    contexts[step],
                    instruction.operator,
                    instruction.key,
                    "" if instruction.work else instruction.cause,
                    c if i in in_block else -1,
                    (charged, self.accounted),
                    tuple(busy),
                    settled,
                    operations,
                )
            )
            charged = self.accounted

        return watch

    def _settle(self) -> None:
        """Refreshes that fall due before the end, on channels that already rest."""
        self.executor.finish(self.accounted, self.counters.latest.totals)

    def _tally(self) -> Tally:
        rows = self.counters.rows(self.plan.device, self.engine.causes)
        commands = {name: sum(row.commands[name] for row in rows) for name in self.plan.device.standard.log_names}
        return Tally(
            self.accounted,
            self.prefilled,
            self.plan.device.tCK_ps,
            commands,
            tuple(rows),
            self.tokens,
            self.executor.largest_window,
        ).validate()
