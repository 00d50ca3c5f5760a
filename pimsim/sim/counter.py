"""What kinds of operators did: counts of steps that are alike, added up."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.dram.timing import ELEMENT_BYTES, Device
from pimsim.mapping.stretch import ADDS, CLOCKS, MACS, MOVED, MULTIPLIES, NUMBERS, PAYLOAD, SRAM, Stretch, numbers_of
from pimsim.sim.schedule.compiled.layout import E_CLOCKS, E_SINCE
from pimsim.sim.schedule.executor import Counts
from pimsim.sim.tally import OperatorTally


@dataclass
class Counter:
    """What one kind of operator did in one phase; `totals` is the channel engine's, `numbers` the sum of those of
    a `Series`, in Python's integers, which have no largest one; `course`: its clocks in each leg of the phase;
    `outside`: clocks of what is outside of the device.
    """

    totals: Ints
    count: int = 0
    charges: dict[str, int] = field(default_factory=dict)
    numbers: list[int] = field(default_factory=lambda: [0] * NUMBERS)
    course: dict[int, int] = field(default_factory=dict)
    outside: int = 0

    def add(self, steps: int, copies: int, numbers: Sequence[int], totals: Ints, place: str = "") -> None:
        """Count an instruction that was carried out in so many steps and copies.

        numbers: of one copy of all steps.  place: of the instruction.
        """
        if place:  # its clocks are not the ASIC's
            self.outside += copies * numbers[CLOCKS]
            numbers = (*numbers[:CLOCKS], 0, *numbers[CLOCKS + 1 :])
        self.count += steps * copies
        self.totals += totals
        self.numbers = [have + copies * more for have, more in zip(self.numbers, numbers, strict=True)]

    def pass_by(self, clocks: Mapping[int, int]) -> None:
        """Clocks, whatever they are charged to, by leg of the phase."""
        for at, taken in clocks.items():
            self.course[at] = self.course.get(at, 0) + taken

    def charge(self, cause: str, clocks: int) -> None:
        """Clocks outside of the channels."""
        self.charges[cause] = self.charges.get(cause, 0) + clocks

    def row(
        self, phase: str, part: str, operator: str, device: Device, causes_of_channels: tuple[str, ...]
    ) -> OperatorTally:
        """The row of a tally."""
        totals = self.totals.tolist()
        number = len(device.standard.commands)
        commands = device.counted(totals[:number])
        causes = {cause: n for cause, n in zip(causes_of_channels, totals[number + 1 :], strict=True) if n}
        for cause, clocks in self.charges.items():
            causes[cause] = causes.get(cause, 0) + clocks
        return OperatorTally(
            phase=phase,
            part=part,
            operator=operator,
            count=self.count,
            cycles=sum(causes.values()),
            causes=causes,
            commands=commands,
            open_cycles=totals[number],
            asic_busy_cycles=self.numbers[CLOCKS],
            adds=self.numbers[ADDS],
            multiplies=self.numbers[MULTIPLIES],
            pin_bytes=device.bytes_on_pins(commands),
            payload_bytes=self.numbers[PAYLOAD] * ELEMENT_BYTES,
            macs=self.numbers[MACS],
            sram_bytes=self.numbers[SRAM],
            outside_cycles=self.outside,
            moved_bytes=self.numbers[MOVED],
        )


class Counters:
    """All counters, by phase, part and operator, in the order in which they came up; new: a zeroed vector of totals."""

    def __init__(self, new: Callable[[], Ints]) -> None:
        self._new = new
        self._counters: dict[tuple[str, str, str], Counter] = {}

    def open(self, phase: str, part: str, stretch: Stretch) -> None:
        """Make the counters of steps that come up."""
        for instruction in stretch.instructions:
            self._counter(phase, part, instruction.operator)

    def add(self, phase: str, part: str, stretch: Stretch, blocks: int, counts: Counts) -> None:
        """Count steps that were carried out, `blocks` copies of the block in each."""
        steps, copies = len(stretch.contexts), [1] * len(stretch.step.before) + [blocks] * len(stretch.step.block)
        copies += [1] * len(stretch.step.after)
        instructions = stretch.instructions
        for i, instruction in enumerate(instructions):
            series = stretch.series.get(i)
            if series is None:
                numbers = numbers_of(instruction)
                numbers = tuple(steps * n for n in numbers) if steps > 1 else numbers
            else:
                numbers = tuple(series.numbers.sum(0).tolist())
            self._counter(phase, part, instruction.operator).add(
                steps, copies[i], numbers, counts.totals[i], instruction.place
            )
        # in the order in which the steps come to them: that is the order in which a row has its causes
        exposed = counts.exposed.tolist()
        for i in sorted((i for i, each in enumerate(exposed) if each[E_CLOCKS]), key=lambda i: exposed[i][E_SINCE]):
            cause = instructions[i].cause or "result_transfer"
            self._counter(phase, part, instructions[i].operator).charge(cause, exposed[i][E_CLOCKS])

    def pass_by(self, phase: str, part: str, stretch: Stretch, passed: Mapping[int, Ints]) -> None:
        """Add to the course: what each instruction (n,) had taken at the end of a leg of the phase."""
        each = np.diff(np.array([np.zeros_like(next(iter(passed.values()))), *passed.values()]), axis=0)
        for instruction, taken in zip(stretch.instructions, each.T.tolist(), strict=True):
            self._counter(phase, part, instruction.operator).pass_by(dict(zip(passed, taken, strict=True)))

    @property
    def courses(self) -> tuple[Mapping[int, int], ...]:
        """That of each row."""
        return tuple(counter.course for counter in self._counters.values())

    def _counter(self, phase: str, part: str, operator: str) -> Counter:
        key = (phase, part, operator)
        if key not in self._counters:
            self._counters[key] = Counter(self._new())
        return self._counters[key]

    @property
    def latest(self) -> Counter:
        """The one that came up last."""
        return next(reversed(self._counters.values()))

    def rows(self, device: Device, causes: tuple[str, ...]) -> list[OperatorTally]:
        """The rows of a tally; causes: those of `totals`."""
        return [counter.row(*key, device, causes) for key, counter in self._counters.items()]
