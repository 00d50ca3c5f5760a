"""What kinds of operators did: counts of steps that are alike, added up."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.dram.timing import ELEMENT_BYTES, Device
from pimsim.mapping.stretch import ADDS, CLOCKS, MACS, MULTIPLIES, PAYLOAD, SRAM, Stretch, numbers_of
from pimsim.sim.schedule.compiled.layout import E_CLOCKS, E_SINCE
from pimsim.sim.schedule.executor import Counts
from pimsim.sim.tally import OperatorTally


@dataclass
class Counter:
    """What one kind of operator did in one phase; `totals` is the channel engine's, `numbers` are of a `Series`."""

    totals: Ints
    count: int = 0
    charges: dict[str, int] = field(default_factory=dict)
    busy: int = 0
    adds: int = 0
    multiplies: int = 0
    sram: int = 0
    payload: int = 0
    macs: int = 0

    def add(self, times: int, numbers: list[int], totals: Ints) -> None:
        """Count an instruction that was carried out so many times; numbers: their sum over these times."""
        self.count += times
        self.totals += totals
        self.busy += numbers[CLOCKS]
        self.adds += numbers[ADDS]
        self.multiplies += numbers[MULTIPLIES]
        self.sram += numbers[SRAM]
        self.payload += numbers[PAYLOAD]
        self.macs += numbers[MACS]

    def charge(self, cause: str, clocks: int) -> None:
        """Clocks outside of the channels."""
        self.charges[cause] = self.charges.get(cause, 0) + clocks

    def row(self, phase: str, operator: str, device: Device, causes_of_channels: tuple[str, ...]) -> OperatorTally:
        """The row of a tally."""
        names = device.command_names
        totals = self.totals.tolist()
        commands = dict(zip(names, totals, strict=False))
        causes = {cause: n for cause, n in zip(causes_of_channels, totals[len(names) + 1 :], strict=True) if n}
        for cause, clocks in self.charges.items():
            causes[cause] = causes.get(cause, 0) + clocks
        return OperatorTally(
            phase=phase,
            operator=operator,
            count=self.count,
            cycles=sum(causes.values()),
            causes=causes,
            commands=commands,
            open_cycles=totals[len(names)],
            asic_busy_cycles=self.busy,
            adds=self.adds,
            multiplies=self.multiplies,
            pin_bytes=device.bytes_on_pins(commands),
            payload_bytes=self.payload * ELEMENT_BYTES,
            macs=self.macs,
            sram_bytes=self.sram,
        )


class Counters:
    """All counters, by phase and operator, in the order in which they came up; new: a zeroed vector of totals."""

    def __init__(self, new: Callable[[], Ints]) -> None:
        self._new = new
        self._counters: dict[tuple[str, str], Counter] = {}

    def add(self, phase: str, stretch: Stretch, blocks: int, counts: Counts) -> None:
        """Count steps that were carried out, `blocks` copies of the block in each."""
        steps, copies = len(stretch.contexts), [1] * len(stretch.step.before) + [blocks] * len(stretch.step.block)
        copies += [1] * len(stretch.step.after)
        of = []
        for i, instruction in enumerate(stretch.instructions):
            series = stretch.series.get(i)
            numbers = [steps * n for n in numbers_of(instruction)] if series is None else series.numbers.sum(0).tolist()
            counter = self._counter(phase, instruction.operator)
            counter.add(steps * copies[i], [copies[i] * n for n in numbers], counts.totals[i])
            of.append((counter, instruction.cause or "result_transfer"))
        # in the order in which the steps come to them: that is the order in which a row has its causes
        for i in np.lexsort((np.arange(len(of)), counts.exposed[:, E_SINCE])).tolist():
            if clocks := int(counts.exposed[i, E_CLOCKS]):
                of[i][0].charge(of[i][1], clocks)

    def _counter(self, phase: str, operator: str) -> Counter:
        key = (phase, operator)
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
