"""The system: a controller that issues instructions to the PIM channels and the ASIC.

SimPy carries the time of the controller, which wakes once for steps that follow each other and are alike:
they are planned, laid out, carried out and counted together.  Where steps of several kinds alternate, those of each
kind are planned together, a window of them at a time, and carried out in their order.

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
from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, islice
from operator import attrgetter
from typing import Any

import numpy as np
import simpy

from pimsim.dram.engine import FOREVER, Engine, Ints
from pimsim.mapping.plan import Plan
from pimsim.mapping.stretch import Stretch
from pimsim.schedules import SCHEDULES
from pimsim.sim.counter import Counters
from pimsim.sim.course import Follower
from pimsim.sim.layout import Layout
from pimsim.sim.observer import Executed
from pimsim.sim.schedule.block import BEGIN, END, MOMENTS, Block, Timetable
from pimsim.sim.schedule.compiled.layout import E_CLOCKS
from pimsim.sim.schedule.executor import Counts, Executor
from pimsim.sim.spending import Spender
from pimsim.sim.steps import Copies, Kind, Step, steps_by_phase, steps_of, tokens_of, without_copies
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


@dataclass
class Laid:
    """Steps of one kind that are alike, laid out: carried out a few at a time, and counted when all are done."""

    plan: Plan
    kind: Kind
    stretch: Stretch
    block: Block
    counts: Counts
    times: Ints
    done: int = 0
    ahead: int = 0  # steps that are carried out before it and not told yet
    leg: int = 0  # of the course, in which its latest steps are
    passed: dict[int, Ints] = field(default_factory=dict)  # by leg, clocks of each instruction up to its end

    @property
    def left(self) -> int:
        """Steps that are to come."""
        return len(self.stretch.contexts) - self.done


class System:
    """One simulation of a plan.

    steps     to carry out, if not the plan's own
    observer  is told of every instruction
    spending  who wants to know what actions spend: the busiest window is found, or all is noted
    course    whether the tally has it
    """

    def __init__(
        self,
        plan: Plan,
        engine: Engine,
        steps: Sequence[Step] | None = None,
        observer: Callable[[Executed], None] | None = None,
        spending: Spender | None = None,
        course: bool = False,
    ) -> None:
        self.plan = plan
        self.engine = engine
        self.executor = Executor(engine)
        if spending:
            spending.meter(self.executor)
        self.observer, self.spending = observer, spending
        self.env = simpy.Environment()
        self.layouts: dict[int, Layout] = {}  # by copies of the block
        self.counters = Counters(engine.new_totals)
        self.tokens = TokenTallies()
        self.timetable = Timetable(serial=SCHEDULES[plan.config.schedule].serial)
        self.latest = np.zeros(MOMENTS, np.int64)  # of the latest instruction
        self.steps = steps
        self.follower = Follower(steps_by_phase(plan, steps)) if course else None

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
        total = tokens_of(self.plan) if self.steps is None else sum(step.kind.tokens for step in self.steps)
        steps, pace, done = iter(steps_of(self.plan) if self.steps is None else self.steps), Pace(), 0
        while window := list(islice(steps, pace.steps)):
            largest = 1
            for laid, some in self._planned(window):
                self._carry_out(laid, some)
                largest = max(largest, len(laid.stretch.instructions))
                if self.accounted > self.env.now:
                    yield self.env.timeout(self.accounted - self.env.now)
                for step in some if progress else ():
                    done += step.kind.tokens
                    progress(done, total)  # type: ignore[misc]
            pace.done(largest)

    def _planned(self, window: Sequence[Step]) -> Iterator[tuple[Laid, list[Step]]]:
        """Steps in their order, as many at a time as go on from each other; those of one kind are planned together."""
        waiting: dict[Kind, list[int]] = {}
        for step in window:
            waiting.setdefault(step.kind, []).append(step.context)
        laid: dict[Kind, Laid] = {}
        for kind, steps in groupby(window, key=attrgetter("kind")):
            coming = list(steps)
            while coming:
                if kind not in laid:
                    laid[kind] = self._lay_out(kind, waiting[kind])
                    del waiting[kind][: laid[kind].left]
                now = laid[kind]
                most = min(now.left, self._until_next(kind.phase))
                some = coming[: without_copies(coming[:most])]
                del coming[: len(some)]
                yield now, some
                if not now.left:
                    self._count(laid.pop(kind))

    def _until_next(self, phase: str) -> int:
        """Most steps of a phase that may be carried out at once."""
        return self.follower.left(phase, self.tokens.steps_of(phase)) if self.follower else FOREVER

    def _lay_out(self, kind: Kind, contexts: Sequence[int]) -> Laid:
        """As many steps of a kind as are alike."""
        plan = self.plan.stage(kind.stage)
        return self._laid(plan, kind, plan.stretch(contexts, kind.head, kind.tokens))

    def _laid(self, plan: Plan, kind: Kind, stretch: Stretch) -> Laid:
        blocks = plan.workload.blocks
        if blocks not in self.layouts:
            self.layouts[blocks] = Layout(self.engine, blocks, self.spending)
        block = self.layouts[blocks].block(stretch)
        self.counters.open(kind.phase, kind.part, stretch)
        times = np.zeros((len(stretch.instructions) + 1, MOMENTS), np.int64)
        return Laid(plan, kind, stretch, block, self.executor.new_counts(block), times)

    def _carry_out(self, laid: Laid, steps: Sequence[Step]) -> None:
        """Carry out steps, with what is copied before the first and after the last of them."""
        self._follow(laid)
        clocks = [self.accounted]
        self._copy(laid, steps[0], steps[0].before)
        clocks += self._run(laid, len(steps))
        self._copy(laid, steps[-1], steps[-1].after, len(steps) - 1)
        clocks[-1] = self.accounted
        self.tokens.extend(laid.kind.phase, [step.context for step in steps], clocks)

    def _copy(self, laid: Laid, step: Step, copied: Copies, ahead: int = 0) -> None:
        """Carry out the copies of K and V of a step; ahead: steps that are carried out and not told yet."""
        if not copied:
            return
        stretch = Stretch(np.array([step.context], np.int64), laid.plan.copies(copied, step.kind.tokens), {})
        if stretch.instructions:
            made = self._laid(laid.plan, laid.kind, stretch)
            made.ahead, made.leg = ahead, laid.leg
            self._run(made, 1)
            self._count(made)

    def _run(self, laid: Laid, count: int) -> list[int]:
        """Carry out the next steps; the clocks accounted for at the end of each."""
        steps = range(laid.done, laid.done + count)
        laid.times[-1] = self.latest
        self.executor.run_block(laid.block, laid.times, self.timetable, self._watching(laid), laid.counts, steps)
        self.latest = laid.times[-1].copy()
        laid.done += count
        reached: list[int] = laid.counts.reached[steps.start : steps.stop].tolist()
        return reached

    def _follow(self, laid: Laid) -> None:
        """Steps are about to come; if they are of another leg than those before, that one is over for them."""
        if self.follower:
            leg = self.follower.leg(laid.kind.phase, self.tokens.steps_of(laid.kind.phase))
            if leg != laid.leg:
                self._pass_by(laid)
                laid.leg = leg

    def _pass_by(self, laid: Laid) -> None:
        """Keep what the instructions have taken so far, if any were carried out."""
        if laid.done:
            charged = laid.counts.totals[:, -len(self.engine.causes) :].sum(1)
            laid.passed[laid.leg] = charged + laid.counts.exposed[:, E_CLOCKS]

    def _count(self, laid: Laid) -> None:
        """Count what was carried out."""
        kind = laid.kind
        if self.follower:
            self._pass_by(laid)
            self.counters.pass_by(kind.phase, kind.part, laid.stretch, laid.passed)
        self.counters.add(kind.phase, kind.part, laid.stretch, laid.plan.workload.blocks, laid.counts)

    def alone(self, step: Step) -> int:
        """Simulate one step, from where the system stands; the clocks it took."""
        begin = self.accounted
        for laid, some in self._planned([step]):
            self._carry_out(laid, some)
        return self.accounted - begin

    def _watching(self, laid: Laid) -> Callable[[int, int, int], None] | None:
        """Who is told of a step, copy and instruction of what is about to run, each time that one is carried out."""
        return None if self.observer is None else self._telling(laid, self.observer)

    def _telling(self, laid: Laid, tell: Callable[[Executed], None]) -> Callable[[int, int, int], None]:
        """What tells the observer of instruction i in copy c of a step."""
        stretch, times, number = laid.stretch, laid.times, len(self.tokens) - laid.done + laid.ahead
        instructions, contexts = stretch.instructions, stretch.contexts.tolist()
        in_block = range(len(stretch.step.before), len(stretch.step.before) + len(stretch.step.block))
        firsts = {0, in_block.start, in_block.stop}
        charged, settled = self.accounted, 0

        def watch(step: int, c: int, i: int) -> None:
            nonlocal charged, settled
            instruction = instructions[i]
            if i in firsts:
                settled = 0 if laid.plan.sub_batches > 1 else int(times[-1, END])
            series = stretch.series.get(i)
            operations = instruction.operations if series is None else series.operations(step)
            busy = [(int(times[i, BEGIN]), int(times[i, END]))] if instruction.work else self.executor.stretches()
            tell(
                Executed(
                    laid.kind.phase,
                    contexts[step],
                    instruction.operator,
                    instruction.key,
                    "" if instruction.work else instruction.cause,
                    c if i in in_block else -1,
                    (charged, self.accounted),
                    tuple(busy),
                    settled,
                    operations,
                    number + step,
                    instruction.place,
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
            self.tokens.clocks_of("prefill"),
            self.plan.device.tCK_ps,
            commands,
            tuple(rows),
            self.tokens,
            self.executor.largest_window,
            self.follower.course(self.counters.courses) if self.follower else None,
            schedule=self.plan.config.schedule,
        ).validate()
