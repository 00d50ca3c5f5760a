"""What a simulation counted: actions and DRAM clocks, never energy and never time.

The simulator fills these records, `pimsim.energy` prices them and
`pimsim.results` reports them.  Everything is an integer, so two engines that agree
agree to the bit.
"""

from __future__ import annotations

from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TypeVar, overload

import numpy as np
from numpy.typing import NDArray

from pimsim.sim.course import Course

Ints = NDArray[np.int64]
K = TypeVar("K")

PHASES = ("prefill", "decode")

# What the PIM device and its pins do; every other cause is exposed ASIC arithmetic.
# Some only some devices have.
COMMON_CAUSES = ("mac", "activation", "input_transfer", "result_transfer", "write", "read", "refresh")
# `link`: exchanges with other devices; `machine`: work of another machine; `bubble`: waiting for work.
DEVICE_CAUSES = (*COMMON_CAUSES, "mode_switch", "copy", "link", "machine", "bubble")

_FEW = 3  # contradictions of a kind that are told
COUNTS = (
    "count", "cycles", "open_cycles", "asic_busy_cycles", "adds", "multiplies", "sram_bytes", "pin_bytes",
    "payload_bytes", "macs", "outside_cycles", "moved_bytes",
)  # fmt: skip


class TallyError(RuntimeError):
    """The counts of a simulation contradict each other: a defect of the simulator."""


@dataclass(frozen=True)
class OperatorTally:
    """One kind of operator in one phase, over all its executions and all channels.

    phase            "prefill" or "decode"
    operator         kind, e.g. "qkv", "scores", "softmax"
    count            executions
    cycles           DRAM clocks of latency
    causes           the same clocks by cause
    commands         DRAM commands by name, over all channels
    open_cycles      clocks with at least one bank open, summed over channels
    asic_busy_cycles DRAM clocks that the ASIC's units are at work (hidden or exposed); never two at once
    adds, multiplies ASIC arithmetic actions
    part             of decoding: "drafting", "verification", or "" for what is neither
    outside_cycles   DRAM clocks that the links, or another machine, are at work
    moved_bytes      bytes on the links of all devices that hold the same layers, once for each link that they cross
    sram_bytes       bytes that the ASIC's SRAM gave or took: operands, results, what the channels get and give
    pin_bytes        bytes on the DRAM pins of all channels (a broadcast counts per channel)
    payload_bytes    those bytes less the padding up to whole columns and bursts
    macs             useful multiply-accumulates in the banks
    """

    phase: str
    operator: str
    count: int
    cycles: int
    causes: Mapping[str, int]
    commands: Mapping[str, int]
    open_cycles: int
    asic_busy_cycles: int = 0
    adds: int = 0
    multiplies: int = 0
    pin_bytes: int = 0
    payload_bytes: int = 0
    macs: int = 0
    sram_bytes: int = 0
    part: str = ""
    outside_cycles: int = 0
    moved_bytes: int = 0

    def problems(self) -> list[str]:
        """What contradicts itself in this row, in words."""
        where = " ".join(filter(None, (self.phase, self.part, self.operator)))
        found = [] if self.phase in PHASES else [f"{where}: phase is not one of {PHASES}"]
        if sum(self.causes.values()) != self.cycles:
            found.append(f"{where}: causes sum to {sum(self.causes.values())} clocks, not {self.cycles}")
        counts = {name: getattr(self, name) for name in COUNTS}
        for name, value in {**counts, **self.causes, **self.commands}.items():
            if value < 0:
                found.append(f"{where}: {name} is {value}")
        if self.payload_bytes > self.pin_bytes:
            found.append(f"{where}: payload of {self.payload_bytes} bytes in {self.pin_bytes} bytes on the pins")
        return found


@dataclass(frozen=True)
class TokenTally:
    """One step: `context` counts the token being decoded; times in DRAM clocks."""

    phase: str
    step: int
    context: int
    start_cycle: int
    cycles: int


class TokenTallies(Sequence[TokenTally]):
    """Steps in time order, in 40 bytes each: a run may have millions of them.

    `column(name)` is a whole count of all steps at once; of "phase" it is a number, the place in PHASES.
    """

    _NAMES = ("phase", "step", "context", "start_cycle", "cycles")

    def __init__(self, tokens: Iterable[TokenTally] = ()) -> None:
        self._columns = {name: array("q") for name in self._NAMES}
        self._counts, self._clocks = dict.fromkeys(PHASES, 0), dict.fromkeys(PHASES, 0)
        for token in tokens:
            self.append(token)

    def append(self, token: TokenTally) -> None:
        """Add a step."""
        self._counts[token.phase] += 1
        self._clocks[token.phase] += token.cycles
        values = (PHASES.index(token.phase), token.step, token.context, token.start_cycle, token.cycles)
        for column, value in zip(self._columns.values(), values, strict=True):
            column.append(value)

    def extend(self, phase: str, contexts: Sequence[int], clocks: Sequence[int]) -> None:
        """Add steps, one at each context, numbered on in their phase; clocks: when they start, and the end of all."""
        count, starts, step = len(contexts), clocks[:-1], self._counts[phase] + 1
        self._counts[phase] += count
        self._clocks[phase] += clocks[-1] - clocks[0]
        cycles = [end - start for start, end in pairwise(clocks)]
        values = ([PHASES.index(phase)] * count, range(step, step + count), contexts, starts, cycles)
        for column, more in zip(self._columns.values(), values, strict=True):
            column.extend(more)

    def clocks_of(self, phase: str) -> int:
        """Clocks that all steps of a phase take."""
        return self._clocks[phase]

    def steps_of(self, phase: str) -> int:
        """Steps of a phase."""
        return self._counts[phase]

    def column(self, name: str) -> Ints:
        """(steps,): one count of every step."""
        return np.array(self._columns[name], np.int64)

    def of_phase(self, phase: str) -> NDArray[np.bool_]:
        """(steps,): which of them are of a phase."""
        of_phase: NDArray[np.bool_] = self.column("phase") == PHASES.index(phase)
        return of_phase

    def __len__(self) -> int:
        return len(self._columns["step"])

    @overload
    def __getitem__(self, at: int) -> TokenTally: ...
    @overload
    def __getitem__(self, at: slice) -> list[TokenTally]: ...
    def __getitem__(self, at: int | slice) -> TokenTally | list[TokenTally]:
        if isinstance(at, slice):
            return [self[i] for i in range(*at.indices(len(self)))]
        phase, *counts = (column[at] for column in self._columns.values())
        return TokenTally(PHASES[phase], *counts)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, TokenTallies):
            return self._columns == other._columns
        return isinstance(other, Sequence) and list(self) == list(other)

    def __repr__(self) -> str:
        return f"TokenTallies({list(self[:3])!r} and on, {len(self)} in all)"


@dataclass(frozen=True)
class Tally:
    """A whole simulation.

    cycles counts prefill and decode, prefill_cycles the prefill alone; commands are
    over all channels; tokens are in time order, back to back.  busiest_window is what the busiest
    window spent, in the units of what actions spend; 0 if that was not asked for.  course: the rows'
    clocks as the run goes on.  devices: how many share the run: cycles, and their causes, are those of the average
    one, and all other counts are over all of them.  schedule: the one that was followed ("": not known).
    """

    cycles: int
    prefill_cycles: int
    tCK_ps: int
    commands: Mapping[str, int]
    rows: Sequence[OperatorTally]
    tokens: TokenTallies
    busiest_window: Fraction = Fraction(0)
    course: Course | None = None
    devices: int = 1
    schedule: str = field(default="", compare=False)  # where it changes nothing, counts are equal

    @property
    def decode_cycles(self) -> int:
        """DRAM clocks after the prefill."""
        return self.cycles - self.prefill_cycles

    def phase_rows(self, phase: str) -> list[OperatorTally]:
        """The rows of one phase."""
        return [row for row in self.rows if row.phase == phase]

    def causes(self, phase: str | None = None) -> dict[str, int]:
        """Clocks by cause over all rows, or those of one phase, in order of first appearance."""
        return total_of(row.causes for row in self.rows if phase in (None, row.phase))

    def total(self, name: str) -> int:
        """The sum of one count (say "pin_bytes") over all rows."""
        return sum(getattr(row, name) for row in self.rows)

    def validate(self) -> Tally:
        """This tally; TallyError lists every contradiction if there is one."""
        found = [problem for row in self.rows for problem in row.problems()]
        found += self._sum_problems() + self._token_problems() + self._unit_problems()
        found += self._course_problems(self.course) if self.course else ()
        if found:
            raise TallyError("the simulation's counts contradict each other: " + "; ".join(found))
        return self

    def _sum_problems(self) -> list[str]:
        prefill = sum(row.cycles for row in self.phase_rows("prefill"))
        pairs = [
            ("cycles of all rows", sum(row.cycles for row in self.rows), self.cycles),
            ("cycles of the prefill rows", prefill, self.prefill_cycles),
        ]
        by_rows = total_of(row.commands for row in self.rows)
        for name in sorted({*by_rows, *self.commands}):
            pairs.append((f"{name} of all rows", by_rows.get(name, 0), self.commands.get(name, 0)))
        kinds = Counter((row.phase, row.part, row.operator) for row in self.rows)
        found = [f"{what} sum to {left}, not {right}" for what, left, right in pairs if left != right]
        return found + [f"{phase} {kind} has {n} rows" for (phase, _, kind), n in kinds.items() if n > 1]

    def _unit_problems(self) -> list[str]:
        """The ASIC's units do one thing at a time: they cannot be at work for longer than the run takes."""
        busy = self.total("asic_busy_cycles")
        return (
            [f"the ASIC works for {busy} clocks of a run of {self.cycles}"] if busy > self.cycles * self.devices else []
        )

    def _token_problems(self) -> list[str]:
        start, cycles = self.tokens.column("start_cycle"), self.tokens.column("cycles")
        torn = np.flatnonzero(start[:-1] + cycles[:-1] != start[1:]) + 1
        found = [
            f"{token.phase} step {token.step} does not start where the step before it ends"
            for token in map(self.tokens.__getitem__, torn[:_FEW].tolist())
        ]
        decode = int(cycles[self.tokens.of_phase("decode")].sum())
        if decode != self.decode_cycles:
            found.append(f"decode steps take {decode} clocks, not {self.decode_cycles}")
        return found

    def _course_problems(self, course: Course) -> Iterator[str]:
        for row, clocks in zip(self.rows, course.clocks, strict=True):
            if sum(clocks.values()) != row.cycles or min(clocks.values(), default=0) < 0:
                yield f"{row.phase} {row.operator}: legs sum to {sum(clocks.values())} clocks, not {row.cycles}"
        for phase in course.widths:
            cycles = self.tokens.column("cycles")[self.tokens.of_phase(phase)]
            edges = course.edges(phase, len(cycles))
            taken = np.add.reduceat(cycles, edges[:-1]) if len(cycles) else cycles
            here = [course.of_row(i, len(taken)) for i, row in enumerate(self.rows) if row.phase == phase]
            for at in np.flatnonzero(taken != sum(here, np.zeros_like(taken)))[:1].tolist():
                yield f"{phase} steps {edges[at] + 1} to {edges[at + 1]} do not take the clocks of their operators"


def total_of(parts: Iterable[Mapping[K, int]]) -> dict[K, int]:
    """The sum of mappings of counts, keys in order of first appearance."""
    total: dict[K, int] = {}
    for part in parts:
        for name, value in part.items():
            total[name] = total.get(name, 0) + value
    return total
