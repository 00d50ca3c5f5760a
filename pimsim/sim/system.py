"""The system: a controller that issues instructions to the PIM channels and the ASIC.

SimPy carries the time of the controller, which wakes once a step for each part of it (what
comes before the blocks, the blocks, what comes after): a part is one call of the
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

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import simpy

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.program import WIDTH
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.instructions import START, Instruction, Step
from pimsim.mapping.plan import Plan
from pimsim.mapping.work import Work
from pimsim.schedules import SCHEDULES
from pimsim.sim.observer import Executed
from pimsim.sim.schedule.block import (
    ARITHMETIC,
    BEGIN,
    COMPLETE,
    END,
    MOMENTS,
    PARTIAL,
    WHOLE,
    WORK,
    Block,
    Timetable,
)  # fmt: skip
from pimsim.sim.schedule.executor import Executor
from pimsim.sim.spending import Spender
from pimsim.sim.tally import OperatorTally, Tally, TokenTallies, TokenTally

Progress = Callable[[int, int], None]


@dataclass
class Counter:
    """What one kind of operator did in one phase; `totals` is the channel engine's."""

    totals: Ints
    count: int = 0
    charges: dict[str, int] = field(default_factory=dict)
    busy: int = 0
    adds: int = 0
    multiplies: int = 0
    sram: int = 0
    payload: int = 0
    macs: int = 0

    def add(self, instruction: Instruction, copies: int, totals: Ints, exposed: int) -> None:
        """Count `copies` of an instruction; `exposed` clocks of them were outside the channels."""
        self.count += copies
        self.totals += totals
        adds, multiplies, sram_bytes = instruction.operations
        self.adds += copies * adds
        self.multiplies += copies * multiplies
        self.sram += copies * sram_bytes
        work = instruction.work
        if work is None:
            self.busy += copies * instruction.clocks
        else:
            self.payload += copies * work.payload
            self.macs += copies * work.macs
        if exposed:
            cause = instruction.cause or "result_transfer"
            self.charges[cause] = self.charges.get(cause, 0) + exposed


NOTHING = np.zeros((0, WIDTH), np.int64)  # what the channels do for an ASIC instruction
_KNOWN_REGIONS = 4096  # arrays of bases that are kept


@lru_cache(maxsize=64)
def _dependencies(waits: tuple[tuple[str, tuple[str, ...]], ...]) -> Ints:
    """(n, m): which instructions of the part each one waits for; n: what came before the part; -1: no more.

    waits: each instruction's key, and the keys that it waits for; most steps have those of the one before.
    """
    n = len(waits)
    place = {START: n}
    rows = []
    for i, (key, after) in enumerate(waits):
        rows.append([place[name] for name in after])
        place[key] = i
    width = max(map(len, rows))
    return np.array([row + [-1] * (width - len(row)) for row in rows], np.int64)


@dataclass
class Laid:
    """A part of a step as the engine reads it.

    rows   where the program of each instruction begins in the block's
    feeds  where each set of instructions to stream with begins in `Block.feeds`
    """

    instructions: Sequence[Instruction]
    block: Block
    rows: list[int]
    feeds: dict[tuple[int, ...], int]


def _fits(old: Instruction, new: Instruction) -> bool:
    """Whether an instruction takes the place of another without moving any other."""
    if (old.key, old.after, old.feed, old.tail is None) != (new.key, new.after, new.feed, new.tail is None):
        return False
    if old.work is None or new.work is None:
        return old.work is new.work
    return len(old.work.program) == len(new.work.program)


def _portions(instruction: Instruction) -> int:
    """Portions in which an instruction takes its results, in one copy."""
    if instruction.tail is None:
        return 0
    return len(instruction.feed.places) * instruction.feed.parts * instruction.portions


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
        self.spending = spending
        self.engine = engine
        self.executor = Executor(engine)
        if spending:
            spending.meter(self.executor)
        self.observer = observer
        self.context = 0  # of the step under way
        self.block = -1  # number of the first copy of the part under way; -1: outside of the blocks
        self.env = simpy.Environment()
        self.counters: dict[tuple[str, str], Counter] = {}
        self.tokens = TokenTallies()
        self.timetable = Timetable(serial=SCHEDULES[plan.config.schedule].serial)
        self.prefilled = 0
        self.latest = np.zeros(MOMENTS, np.int64)  # of the latest instruction
        self.regions: dict[tuple[int, ...], Ints] = {}
        self.blocks: dict[int, Laid] = {}  # the latest of each part of a step, by number
        self.numbers: WeakKeyDictionary[Work, Ints] = WeakKeyDictionary()
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
        for number, (phase, context, tokens) in enumerate(self.given or self._steps(), 1):
            begin, self.context = self.accounted, context
            step = self.plan.step(context, head=context >= work.start, tokens=tokens)
            yield from self._step(phase, step)
            index = number if phase == "prefill" else number - work.prompt_tokens
            self.tokens.append(TokenTally(phase, index, context, begin, self.accounted - begin))
            if phase == "prefill" and context == work.start:
                self.prefilled = self.accounted
            if progress:
                progress(context - work.context, last - work.context)

    def _steps(self) -> Iterator[tuple[str, int, int]]:
        """The steps of the workload: a prompt goes token by token."""
        work = self.plan.config.workload
        for context in range(work.context + 1, work.start + 1):
            yield "prefill", context, 1
        for context in work.decode_contexts:
            yield "decode", context, work.query_tokens

    def decode(self, context: int) -> int:
        """Simulate the decode of one token at a context, from where the system stands; the clocks it took."""
        begin, self.context = self.accounted, context
        for _ in self._step("decode", self.plan.step(context, head=True)):
            pass
        return self.accounted - begin

    def _step(self, phase: str, step: Step) -> Generator[simpy.Event, Any, None]:
        blocks = self.plan.workload.blocks
        for part, (instructions, copies) in enumerate(zip(step, (1, blocks, 1), strict=True)):
            if instructions:
                self.block = 0 if instructions is step.block else -1
                self._part(phase, part, instructions, copies)
            if self.accounted > self.env.now:
                yield self.env.timeout(self.accounted - self.env.now)

    def _part(self, phase: str, part: int, instructions: Sequence[Instruction], copies: int) -> None:
        """Carry out instructions `copies` times, and count what they did."""
        times = np.zeros((len(instructions) + 1, MOMENTS), np.int64)
        times[-1] = self.latest
        watch = None if self.observer is None else self._watch(phase, instructions, times, self.observer)
        block = self._block(part, instructions, copies)
        totals, exposed = self.executor.run_block(block, times, self.timetable, watch)
        self.latest = times[-1]
        for instruction, total, clocks in zip(instructions, totals, exposed.tolist(), strict=True):
            self._counter(phase, instruction.operator).add(instruction, copies, total, clocks)

    def _watch(
        self, phase: str, instructions: Sequence[Instruction], times: Ints, tell: Callable[[Executed], None]
    ) -> Callable[[int, int], None]:
        """What tells the observer of instruction i in copy c, when the engine has carried it out."""
        charged, settled = self.accounted, 0

        def watch(c: int, i: int) -> None:
            nonlocal charged, settled
            instruction = instructions[i]
            if i == 0:
                settled = int(times[-1, END])
            busy = [(int(times[i, BEGIN]), int(times[i, END]))] if instruction.work else self.executor.stretches()
            tell(
                Executed(
                    phase,
                    self.context,
                    instruction.operator,
                    instruction.key,
                    "" if instruction.work else instruction.cause,
                    self.block + c,
                    (charged, self.accounted),
                    tuple(busy),
                    settled,
                    instruction.operations,
                )
            )
            charged = self.accounted

        return watch

    def _block(self, part: int, instructions: Sequence[Instruction], copies: int) -> Block:
        """The instructions of a part of a step as the engine reads them.

        Those of the step before are taken over, but for the ones that differ.
        """
        laid = self.blocks.get(part)
        if laid is None or not self._changed(laid, instructions, copies):
            laid = self.blocks[part] = self._laid(instructions, copies)
        return laid.block

    def _changed(self, laid: Laid, instructions: Sequence[Instruction], copies: int) -> bool:
        """Change what differs in place; False, and nothing is changed, if it does not fit there."""
        if len(laid.instructions) != len(instructions):
            return False
        pairs = enumerate(zip(laid.instructions, instructions, strict=True))
        changes = [(i, old, new) for i, (old, new) in pairs if old is not new]
        if not all(_fits(old, new) for _, old, new in changes):
            return False
        block = laid.block
        for i, old, new in changes:
            block.steps[i] = self._line(new, laid.feeds.get(new.feed.places, 0))
            work = new.work
            if work is None or old.work is None:
                continue
            if work.program is not old.work.program or work.spans is not old.work.spans:
                row = laid.rows[i]
                block.program[row : row + len(work.program)] = work.program
                np.add(work.spans, row, out=block.spans[i])
                block.numbers[i] = self._numbers(work)
            block.marks[i] = work.marks
            block.bases[i] = self._bases(new, copies)
        more = sum(_portions(new) - _portions(old) for _, old, new in changes)
        laid.block, laid.instructions = replace(block, portions=block.portions + more), instructions
        return True

    def _laid(self, instructions: Sequence[Instruction], copies: int) -> Laid:
        """The instructions as the engine reads them; what it does not read of ASIC work is 0."""
        count, channels = len(instructions), self.plan.device.channels
        spans, numbers = np.zeros((count, channels, 2), np.int64), np.zeros((count, channels), np.int64)
        marks = np.full((count, channels, 3), -1, np.int64)
        bases = np.zeros((count, copies), np.int64)
        feeds: dict[tuple[int, ...], int] = {}
        fed: list[int] = []
        programs, rows, row = [NOTHING], [], 0
        for i, instruction in enumerate(instructions):
            rows.append(row)
            places = instruction.feed.places
            if places and places not in feeds:
                feeds[places] = len(fed)
                fed += places
            work = instruction.work
            if work is not None:
                np.add(work.spans, row, out=spans[i])
                marks[i] = work.marks
                numbers[i], bases[i] = self._numbers(work), self._bases(instruction, copies)
                programs.append(work.program)
                row += len(work.program)
        after = _dependencies(tuple((instruction.key, instruction.after) for instruction in instructions))
        steps = np.array([self._line(i, feeds.get(i.feed.places, 0)) for i in instructions], np.int64)
        block = Block(
            np.concatenate(programs),
            spans,
            marks,
            numbers,
            bases,
            steps,
            after,
            np.array(fed or [0], np.int64),
            sum(map(_portions, instructions)),
        )
        return Laid(instructions, block, rows, feeds)

    def _line(self, instruction: Instruction, feed: int) -> tuple[int, ...]:
        """A row of `Block.steps`; feed: where what it streams with stands in `Block.feeds`."""
        spends = self.spending.beside(instruction.operations) if self.spending else 0
        if instruction.work is not None:
            return (WORK, 0, *instruction.ports, *WHOLE, spends)
        if instruction.tail is None:
            return (ARITHMETIC, instruction.clocks, *instruction.ports, *WHOLE, spends)
        places, complete, parts = instruction.feed
        moment = COMPLETE if complete else PARTIAL
        stream = (instruction.tail, moment, parts, instruction.portions, feed, len(places))
        return (ARITHMETIC, instruction.clocks, *instruction.ports, *stream, spends)

    def _numbers(self, work: Work) -> Ints:
        """The engine's numbers of the programs of a piece of work; those of a plan's matrices come again and again."""
        if (found := self.numbers.get(work)) is None:
            found = self.numbers[work] = self.engine.numbers(work.program, work.spans, work.marks)
        return found

    def _bases(self, instruction: Instruction, copies: int) -> Ints:
        bases = instruction.bases[:copies] or (0,) * copies
        if (found := self.regions.get(bases)) is None:
            if len(self.regions) == _KNOWN_REGIONS:  # sampled experts are seldom the same twice
                self.regions.clear()
            found = self.regions[bases] = np.array(bases, np.int64)
        return found

    def _counter(self, phase: str, operator: str) -> Counter:
        key = (phase, operator)
        if key not in self.counters:
            self.counters[key] = Counter(self.engine.new_totals())
        return self.counters[key]

    def _settle(self) -> None:
        """Refreshes that fall due before the end, on channels that already rest."""
        last = next(reversed(self.counters.values()))
        self.executor.finish(self.accounted, last.totals)

    def _tally(self) -> Tally:
        rows = [self._row(phase, operator, counter) for (phase, operator), counter in self.counters.items()]
        commands = {name: sum(row.commands[name] for row in rows) for name in self.plan.device.command_names}
        return Tally(
            self.accounted,
            self.prefilled,
            self.plan.device.tCK_ps,
            commands,
            tuple(rows),
            self.tokens,
            self.executor.largest_window,
        ).validate()

    def _row(self, phase: str, operator: str, counter: Counter) -> OperatorTally:
        names = self.plan.device.command_names
        totals = counter.totals.tolist()
        commands = dict(zip(names, totals, strict=False))
        causes = {cause: n for cause, n in zip(self.engine.causes, totals[len(names) + 1 :], strict=True) if n}
        for cause, clocks in counter.charges.items():
            causes[cause] = causes.get(cause, 0) + clocks
        return OperatorTally(
            phase=phase,
            operator=operator,
            count=counter.count,
            cycles=sum(causes.values()),
            causes=causes,
            commands=commands,
            open_cycles=totals[len(names)],
            asic_busy_cycles=counter.busy,
            adds=counter.adds,
            multiplies=counter.multiplies,
            pin_bytes=self.plan.device.bytes_on_pins(commands),
            payload_bytes=counter.payload * ELEMENT_BYTES,
            macs=counter.macs,
            sram_bytes=counter.sram,
        )
