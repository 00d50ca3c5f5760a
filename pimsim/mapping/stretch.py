"""Steps that are alike: the same instructions, whose numbers and programs depend on the context alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, TypeVar

import numpy as np

from pimsim.mapping.instructions import Instruction, Step
from pimsim.mapping.work import Ints, Work

# The numbers of an instruction; TAIL is -1 if it does not stream.
(CLOCKS, READ, WRITE, TAIL, PARTS, PORTIONS, ADDS, MULTIPLIES, SRAM, PAYLOAD, MACS, MOVED, NUMBERS) = range(13)

T = TypeVar("T")


class Many(NamedTuple):
    """One of `those` in each of t steps: those[at[i]] in step i."""

    those: Sequence[Work]
    at: Ints


@dataclass(frozen=True, eq=False)
class Series:
    """What an instruction is in each of t steps.

    numbers  (t, NUMBERS)
    works    the programs of PIM work (None: it is work of the ASIC)
    shifts   (t,) linear columns by which they lie behind `bases`
    bases    as of an instruction, for each step, if they differ between steps
    """

    numbers: Ints
    works: Many | None = None
    shifts: Ints | None = None
    bases: tuple[tuple[int, ...], ...] | None = None

    def operations(self, step: int) -> tuple[int, int, int]:
        """Additions, multiplications and bytes of the SRAM on the ASIC in one step."""
        adds, multiplies, sram_bytes = self.numbers[step, ADDS : SRAM + 1].tolist()
        return adds, multiplies, sram_bytes

    def until(self, count: int) -> Series:
        """What it is in the first `count` steps."""
        return Series(
            self.numbers[:count],
            self.works and Many(self.works.those, self.works.at[:count]),
            None if self.shifts is None else self.shifts[:count],
            self.bases and self.bases[:count],
        )


@dataclass(frozen=True, eq=False)
class Stretch:
    """Steps that are alike.

    contexts  (t,) of the last token of each step
    step      the first of them
    series    of the instructions that differ between them, by place among all instructions of a step
    """

    contexts: Ints
    step: Step
    series: Mapping[int, Series]

    @cached_property
    def instructions(self) -> tuple[Instruction, ...]:
        """All of the first step, one part after the other."""
        return (*self.step.before, *self.step.block, *self.step.after)


def numbers_of(instruction: Instruction) -> tuple[int, ...]:
    """What a row of `Series.numbers` says of an instruction."""
    work, tail = instruction.work, instruction.tail
    moved = (work.payload, work.macs) if work else (0, 0)
    feed, operations = instruction.feed, instruction.operations
    stream = (-1 if tail is None else tail, feed.parts, instruction.portions)
    return (instruction.clocks, *instruction.ports, *stream, *operations, *moved, instruction.moved)


def series_of(instructions: Sequence[Instruction]) -> Series | None:
    """What one instruction is in steps that were planned one by one; None if it is the same in all of them."""
    first = instructions[0]
    if all(each is first or each == first for each in instructions):
        return None
    numbers = np.array([numbers_of(each) for each in instructions], np.int64)
    if first.work is None:
        return Series(numbers)
    works = [each.work for each in instructions if each.work is not None]
    bases = tuple(each.bases for each in instructions)
    return Series(numbers, many(works, id, lambda work: work), None, bases if len(set(bases)) > 1 else None)


def many(items: Sequence[T], key: Callable[[T], object], make: Callable[[T], Work]) -> Many:
    """One work for each key, made of the first item that has it."""
    places: dict[object, int] = {}
    those: list[Work] = []
    at = []
    for item in items:
        place = places.setdefault(key(item), len(those))
        if place == len(those):
            those.append(make(item))
        at.append(place)
    return Many(those, np.array(at, np.int64))
