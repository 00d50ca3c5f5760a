"""Steps that are alike as the compiled schedule reads them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.program import WIDTH
from pimsim.mapping.instructions import LANE, START, Instruction, Step
from pimsim.mapping.stretch import ADDS, PORTIONS, SRAM, Series, Stretch
from pimsim.mapping.work import Work
from pimsim.sim.schedule.block import ARITHMETIC, COMPLETE, PARTIAL, WHOLE, WORK, Block
from pimsim.sim.schedule.compiled.layout import (
    I_CLOCKS,
    I_PARTS,
    I_PORTIONS,
    I_PROGRAM,
    I_READ,
    I_SHIFT,
    I_SPENDS,
    I_TAIL,
    I_WRITE,
    LINK,
    MACHINE,
    UNITS,
)
from pimsim.sim.spending import Spender

# the part that does an instruction, by its place
OUTSIDE = {"": UNITS, "link": LINK, "machine": MACHINE}
NOTHING = np.zeros((0, WIDTH), np.int64)  # what the channels do for an ASIC instruction
# where the first numbers of a series, which are those of the schedule, stand in a row of `Block.steps`
COLUMNS = [I_CLOCKS, I_READ, I_WRITE, I_TAIL, I_PARTS, I_PORTIONS]


class Layout:
    """Lays out stretches for an engine; blocks: copies of the block in each step."""

    def __init__(self, engine: Engine, blocks: int, spending: Spender | None) -> None:
        self.engine, self.blocks, self.spending = engine, blocks, spending
        self._numbers: WeakKeyDictionary[Work, Ints] = WeakKeyDictionary()

    def block(self, stretch: Stretch) -> Block:
        """The steps of a stretch; what is not read of ASIC work is 0."""
        instructions, feeds, made = stretch.instructions, _Feeds(), _Pools(self)
        parts = list(zip(_firsts(stretch.step), map(len, stretch.step), (1, self.blocks, 1), strict=True))
        first = [begin for begin, count, _ in parts for _ in range(count)]
        lines = [self._line(instruction, first[i], feeds, made) for i, instruction in enumerate(instructions)]
        steps = np.repeat(np.array([lines], np.int64), len(stretch.contexts), axis=0)
        for i, series in stretch.series.items():
            steps[:, i, COLUMNS] = series.numbers[:, : len(COLUMNS)]
            if self.spending:
                steps[:, i, I_SPENDS] = self.spending.beside_each(series.numbers[:, ADDS : SRAM + 1])
            if series.works is not None:
                steps[:, i, I_PROGRAM : I_SHIFT + 1] = made.of(instructions[i], series)
        return Block(
            np.concatenate([NOTHING, *made.programs]),
            *made.arrays(),
            steps,
            _dependencies(tuple(tuple((i.key, i.after) for i in part) for part in stretch.step)),
            np.array(feeds.places or [0], np.int64),
            np.array([(*part, floor) for part, floor in zip(parts, _floors(stretch.step), strict=True)], np.int64)
            + np.array([(0, begin, 0, 0) for begin, _, _ in parts], np.int64),
            _portions(stretch),
        )

    def _line(self, instruction: Instruction, first: int, feeds: _Feeds, made: _Pools) -> tuple[int, ...]:
        """A row of `Block.steps`, of the first step; first: the place of its part's first instruction."""
        spends = self.spending.beside(instruction.operations) if self.spending else 0
        if instruction.work is not None:
            which = (made.work(instruction.work), made.region(instruction.bases), 0, 0)
            return (WORK, instruction.clocks, *instruction.ports, *WHOLE, spends, *which)
        line = (ARITHMETIC, instruction.clocks, *instruction.ports)
        if instruction.tail is None:
            return (*line, *WHOLE, spends, 0, 0, 0, OUTSIDE[instruction.place])
        places, complete, parts = instruction.feed
        moment = COMPLETE if complete else PARTIAL
        at = feeds.at(tuple(first + place for place in places))
        return (*line, instruction.tail, moment, parts, instruction.portions, at, len(places), spends, 0, 0, 0, 0)

    def numbers(self, work: Work) -> Ints:
        """The engine's numbers of the programs of a piece of work; those of a plan's matrices come again and again."""
        if (found := self._numbers.get(work)) is None:
            found = self._numbers[work] = self.engine.numbers(work.program, work.spans, work.marks)
        return found


class _Feeds:
    """Sets of instructions that ASIC work streams with, one behind the other."""

    def __init__(self) -> None:
        self.places: list[int] = []
        self._known: dict[tuple[int, ...], int] = {}

    def at(self, places: tuple[int, ...]) -> int:
        """Where a set begins."""
        if places not in self._known:
            self._known[places] = len(self.places)
            self.places += places
        return self._known[places]


class _Pools:
    """The programs and the bases of a block."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.programs: list[Ints] = []
        self._works: dict[Work, int] = {}
        self._rows = [0]
        self._bases: dict[tuple[int, ...], int] = {}

    def of(self, instruction: Instruction, series: Series) -> Ints:
        """(t, 3): program, bases and shift of PIM work in each step."""
        assert series.works is not None
        those, at = series.works
        found = np.zeros((len(at), 3), np.int64)
        found[:, 0] = np.array([self.work(work) for work in those], np.int64)[at]
        found[:, 1] = self.region(instruction.bases)
        if series.bases is not None:
            found[:, 1] = [self.region(bases) for bases in series.bases]
        if series.shifts is not None:
            found[:, 2] = series.shifts
        return found

    def work(self, work: Work) -> int:
        """The number of a program."""
        if work not in self._works:
            self._works[work] = len(self._works)
            self.programs.append(work.program)
            self._rows.append(self._rows[-1] + len(work.program))
        return self._works[work]

    def region(self, bases: tuple[int, ...]) -> int:
        """The number of bases."""
        return self._bases.setdefault(bases, len(self._bases))

    def arrays(self) -> tuple[Ints, Ints, Ints, Ints]:
        """spans, marks, numbers and bases, as of `Block`."""
        channels, blocks = self.layout.engine.device.channels, self.layout.blocks
        works = list(self._works)
        none = [np.zeros(0, np.int64)]
        spans = np.concatenate([work.spans.ravel() for work in works] or none).reshape(-1, channels, 2)
        marks = np.concatenate([work.marks.ravel() for work in works] or none).reshape(-1, channels, 3)
        numbers = np.concatenate([self.layout.numbers(work) for work in works] or none).reshape(-1, channels)
        bases = [(each * blocks if len(each) == 1 else each)[:blocks] for each in self._bases]
        first = np.array(self._rows[:-1], np.int64)
        return spans + first[:, np.newaxis, np.newaxis], marks, numbers, np.array(bases, np.int64).reshape(-1, blocks)


def _firsts(step: Step) -> tuple[int, int, int]:
    """The place of the first instruction of each part among all of a step."""
    return 0, len(step.before), len(step.before) + len(step.block)


def _floors(step: Step) -> Iterator[int]:
    """Of each part, the instruction before whose end no later copy of it begins: with sub-batches the last of the first
    of them, which is ahead of the others; else what came before.
    """
    for begin, part in zip(_firsts(step), step, strict=True):
        lanes = _lasts([instruction.key for instruction in part]) if part is step.block else {}
        yield begin + min(lanes.values()) if lanes else sum(map(len, step))


def _lasts(keys: Sequence[str]) -> dict[str, int]:
    """The place of the last instruction of each sub-batch, by the suffix of its keys."""
    return {LANE + key.partition(LANE)[2]: place for place, key in enumerate(keys) if LANE in key}


def _portions(stretch: Stretch) -> int:
    """Portions in which all that streams in a part takes its results, in one copy, at most."""
    totals: list[Any] = [0]
    place = 0
    for part in stretch.step:
        totals.append(0)
        for instruction in part:
            if instruction.tail is not None:
                series = stretch.series.get(place)
                portions = instruction.portions if series is None else series.numbers[:, PORTIONS]
                totals[-1] = totals[-1] + len(instruction.feed.places) * instruction.feed.parts * portions
            place += 1
    return int(max(np.max(total) for total in totals))


@lru_cache(maxsize=64)
def _dependencies(parts: tuple[tuple[tuple[str, tuple[str, ...]], ...], ...]) -> Ints:
    """(n, m): which instructions of a step each one waits for; n: what came before the part; -1: no more.

    parts: each instruction's key, and the keys that it waits for; most steps have those of the one before.  What came
    before, of a sub-batch, is its last instruction of the part before and, in the blocks, of the copy before.
    """
    n = sum(map(len, parts))
    rows: list[list[int]] = []
    before: dict[str, list[int]] = {}
    for number, part in enumerate(parts):
        lasts = {lane: len(rows) + place for lane, place in _lasts([key for key, _ in part]).items()}
        place = {START: [n]}
        for lane in lasts:
            place[START + lane] = before.get(lane, before.get("", [n])) + ([lasts[lane]] if number == 1 else [])
        for key, after in part:
            rows.append([known for name in after for known in place[name]])
            place[key] = [len(rows) - 1]
        before |= {lane: [last] for lane, last in lasts.items()}
        if part and not lasts:
            before[""] = [len(rows) - 1]
    width = max(map(len, rows))
    return np.array([row + [-1] * (width - len(row)) for row in rows], np.int64)
