"""The system: a controller that issues instructions to the PIM channels and the ASIC.

SimPy carries the time of the controller, which wakes once a block; an instruction on the
channels is one call of the channel engine, which issues every DRAM command of it and
carries its state on.

`paper`: an instruction starts when the ASIC and all channels are idle.
`overlap`: an instruction starts when the instructions it waits for are done; the channel
keeps its own order, so a program may start while the results of the one before are still
on the pins, and the ASIC works beside the channels.  (`run.simulate` falls back to `paper`
where refresh makes that the faster one.)

Clocks are charged once, in program order: an instruction is charged what it adds to the
time already accounted for, so charges sum to the latency under either schedule.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import Any

import simpy

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.plan import START, Instruction, Plan, Step
from pimsim.sim.tally import OperatorTally, Tally, TokenTally

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
    payload: int = 0
    macs: int = 0

    def charge(self, cause: str, clocks: int) -> None:
        """Charge clocks to a cause outside the channels."""
        if clocks > 0:
            self.charges[cause] = self.charges.get(cause, 0) + clocks


class System:
    """One simulation of a plan."""

    def __init__(self, plan: Plan, engine: Engine) -> None:
        self.plan = plan
        self.engine = engine
        self.env = simpy.Environment()
        self.serial = plan.config.schedule == "paper"
        self.counters: dict[tuple[str, str], Counter] = {}
        self.tokens: list[TokenTally] = []
        self.accounted = 0  # clocks charged so far = end of the latest instruction
        self.prefilled = 0
        self.asic_free = 0
        self.spans: dict[str, tuple[int, int]] = {START: (0, 0)}  # start and end by key

    def run(self, progress: Progress | None = None) -> Tally:
        """Simulate prefill and decode; the counts of it."""
        self.env.process(self._controller(progress))
        self.env.run()
        self._settle()
        return self._tally()

    def _controller(self, progress: Progress | None) -> Generator[simpy.Event, Any, None]:
        workload = self.plan.config.workload
        prompt, total = workload.prompt_tokens, workload.prompt_tokens + workload.output_tokens
        for context in range(1, total + 1):
            phase = "prefill" if context <= prompt else "decode"
            begin = self.accounted
            step = self.plan.step(context, head=context >= prompt)
            yield from self._step(phase, step)
            index = context if phase == "prefill" else context - prompt
            self.tokens.append(TokenTally(phase, index, context, begin, self.accounted - begin))
            if context == prompt:
                self.prefilled = self.accounted
            if progress:
                progress(context, total)

    def _step(self, phase: str, step: Step) -> Generator[simpy.Event, Any, None]:
        layers = self.plan.workload.shape.layers
        for instructions, copies in ((step.before, 1), (step.block, layers), (step.after, 1)):
            units = [(i, self._counter(phase, i.operator)) for i in instructions]
            for copy in range(copies if units else 0):
                for instruction, counter in units:
                    start = self._ready(instruction)
                    self.spans[instruction.key] = self._execute(instruction, counter, copy, start)
                if self.accounted > self.env.now:
                    yield self.env.timeout(self.accounted - self.env.now)
                self.spans[START] = self.spans[instructions[-1].key]

    def _ready(self, instruction: Instruction) -> int:
        """The clock at which the controller may issue the instruction."""
        if self.serial:
            return self.accounted
        return max(self.spans[key][1] for key in instruction.after)

    def _execute(self, instruction: Instruction, counter: Counter, copy: int, start: int) -> tuple[int, int]:
        """Run one instruction from `start`; when its first result is made, and when it ends."""
        counter.count += 1
        if instruction.work is None:
            return self._arithmetic(instruction, counter, start)
        work = instruction.work
        accounted = self.accounted
        end = self.engine.run(work.program, work.spans, instruction.bases[copy], start, counter.totals, accounted)
        if start + instruction.landing > end:  # the SRAM takes longer to store the results
            counter.charge("result_transfer", start + instruction.landing - max(end, accounted))
            end = start + instruction.landing
        counter.payload += work.payload
        counter.macs += work.macs
        if end > accounted:
            self.accounted = end
        return start, end

    def _arithmetic(self, instruction: Instruction, counter: Counter, start: int) -> tuple[int, int]:
        begin = first = max(start, self.asic_free)
        end = begin + instruction.clocks
        if instruction.tail is not None:  # the work began with the first results of what it waits for
            first = max(self.spans[key][0] for key in instruction.after)
            end = max(begin + instruction.tail, first + instruction.clocks)
        self.asic_free = end
        counter.busy += instruction.clocks
        counter.adds += instruction.cost.adds
        counter.multiplies += instruction.cost.multiplies
        counter.charge(instruction.cause, end - self.accounted)
        self.accounted = max(self.accounted, end)
        return first, end

    def _counter(self, phase: str, operator: str) -> Counter:
        key = (phase, operator)
        if key not in self.counters:
            self.counters[key] = Counter(self.engine.new_totals())
        return self.counters[key]

    def _settle(self) -> None:
        """Refreshes that fall due before the end, on channels that already rest."""
        last = next(reversed(self.counters.values()))
        self.engine.finish(self.accounted, last.totals)

    def _tally(self) -> Tally:
        rows = [self._row(phase, operator, counter) for (phase, operator), counter in self.counters.items()]
        commands = {name: sum(row.commands[name] for row in rows) for name in self.plan.device.command_names}
        return Tally(
            self.accounted, self.prefilled, self.plan.device.tCK_ps, commands, tuple(rows), tuple(self.tokens)
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
            pin_bytes=self._pin_bytes(commands),
            payload_bytes=counter.payload * ELEMENT_BYTES,
            macs=counter.macs,
        )

    def _pin_bytes(self, commands: dict[str, int]) -> int:
        """Bytes on the pins: a column per WRGB, RD and WR, one result per bank per RDMAC."""
        device = self.plan.device
        columns = commands["WRGB"] + commands["RD"] + commands["WR"]
        return columns * device.column_bytes + commands["RDMAC"] * device.banks * ELEMENT_BYTES
