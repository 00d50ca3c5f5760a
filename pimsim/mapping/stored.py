"""The numbers of one output in its bank: cut into chunks of one global buffer, packed, with the scales of their groups.

A chunk is what one filling of the buffer is multiplied with.  Its sums are one, or where the ASIC applies scales one
for each group.  The columns of a sum begin with those of its scales, where the unit applies them.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Generic, NamedTuple

import numpy as np

from pimsim.mapping.counting import Ints, N, ceil_div, pieces_of
from pimsim.mapping.grid import Grid
from pimsim.mapping.packing import Packing


class Sums(NamedTuple):
    """Sums of a chunk that take as many columns each.

    number   of the first one, among all of the output
    place    of the first number; places: of each sum
    many    sums
    columns  of each, those of its scales (`side`) first
    before   columns of the output before them
    """

    number: int
    place: int
    places: int
    many: int
    columns: int
    side: int
    before: int

    @property
    def all_columns(self) -> int:
        """Columns of all of them."""
        return self.many * self.columns


class Chunk(NamedTuple):
    """Columns that one filling of the buffer is multiplied with, the place of the first, and the sums of them."""

    place: int
    columns: int
    sums: tuple[Sums, ...]


class At(NamedTuple, Generic[N]):
    """Where an element stands: `before` columns of every output before its sums, which take `columns` of each output,
    and the column among those; its lane.
    """

    before: N
    columns: N
    column: N
    lane: N


@dataclass(frozen=True)
class Stored:
    """`inputs` numbers of one output, in the columns of a grid."""

    grid: Grid
    inputs: int

    @property
    def _packing(self) -> Packing | None:
        return self.grid.packing

    @property
    def drained(self) -> bool:
        """Whether a sum of each group is read."""
        return self._packing is not None and self._packing.drained

    @cached_property
    def _length(self) -> int:
        return self._packing.length(self.inputs) if self._packing else self.inputs

    def _cuts(self) -> Iterator[tuple[int, int]]:
        """(place, places) of each chunk."""
        most, step = self.grid.buffer_elements, self._packing.step if self._packing and self.drained else 0
        if step > most:  # a group is larger than the buffer
            for first in range(0, self._length, step):
                sizes = pieces_of(min(step, self._length - first), most)
                yield from zip(accumulate(sizes, initial=first), sizes, strict=False)
            return
        sizes = pieces_of(self._length, most // step * step if step else most)
        yield from zip(accumulate(sizes, initial=0), sizes, strict=False)

    @cached_property
    def chunks(self) -> tuple[Chunk, ...]:
        """The chunks in order."""
        found, number, before = list[Chunk](), 0, 0
        for place, places in self._cuts():
            sums = []
            for first, of_each, count in self._sums_of(place, places):
                groups = self._packing.groups(first, of_each) if self._packing else 0
                side = self._packing.side_columns(groups) if self._packing else 0
                columns = side + self.grid.columns_of(of_each)
                sums.append(Sums(number, first, of_each, count, columns, side, before))
                number, before = number + count, before + count * columns
            found.append(Chunk(place, self.grid.columns_of(places), tuple(sums)))
        return tuple(found)

    def _sums_of(self, place: int, places: int) -> Iterator[tuple[int, int, int]]:
        """(place, places of each, count) of the sums of a chunk."""
        step = self._packing.step if self._packing and self.drained else 0
        whole = places // step if step else 0
        if whole:
            yield place, step, whole
        if rest := places - whole * step:
            yield place + whole * step, rest, 1

    @cached_property
    def sums(self) -> tuple[Sums, ...]:
        """The sums of all chunks."""
        return tuple(part for chunk in self.chunks for part in chunk.sums)

    def before(self, chunk: N) -> N:
        """Columns of the output before a chunk."""
        if isinstance(chunk, int):
            return self.chunks[chunk].sums[0].before
        return np.array([each.sums[0].before for each in self.chunks], np.int64)[chunk]

    def chunk_of(self, element: N) -> N:
        """The chunk that an element is in."""
        place, starts = self._packing.place(element) if self._packing else element, [c.place for c in self.chunks]
        found = np.searchsorted(starts, place, side="right") - 1
        return int(found) if isinstance(place, int) else found

    @property
    def parts(self) -> int:
        """Parts in which the sums of all outputs come back."""
        return len(self.sums)

    @property
    def partial_sums(self) -> int:
        """Sums of the output that come back."""
        return sum(part.many for part in self.sums)

    @property
    def columns(self) -> int:
        """Columns of the output."""
        return sum(part.all_columns for part in self.sums)

    @property
    def side_columns(self) -> int:
        """Of them those of scales."""
        return sum(part.many * part.side for part in self.sums)

    @property
    def words(self) -> int:
        """16-bit words of the numbers and of the scales that stand with them."""
        packing = self._packing
        if packing is None:
            return self.inputs
        groups = sum(part.many * packing.groups(part.place, part.places) for part in self.sums)
        side = groups * packing.side_bits if packing.in_unit else 0
        return ceil_div(self.inputs * packing.pair.stored.bits + side, 16)

    @cached_property
    def elements(self) -> tuple[int, ...]:
        """Elements of each sum."""
        ends = [part.place + (n + 1) * part.places for part in self.sums for n in range(part.many)]
        before = [min(self._packing.before(end), self.inputs) if self._packing else end for end in (0, *ends)]
        return tuple(b - a for a, b in zip(before, before[1:], strict=False))

    @cached_property
    def _places(self) -> list[int]:
        return [part.place for part in self.sums]

    @cached_property
    def _table(self) -> Ints:
        return np.array(self.sums, np.int64)

    def at(self, element: N) -> At[N]:
        """Where an element stands, or each of many; also a place in the last column that no element fills."""
        place = self._packing.place(element) if self._packing else element
        if isinstance(place, int):
            part = self.sums[bisect_right(self._places, place) - 1]
            number = min((place - part.place) // part.places, part.many - 1)
        else:
            chosen = self._table[np.searchsorted(self._places, place, side="right") - 1]
            part = Sums(*np.moveaxis(chosen, -1, 0))
            number = np.minimum((place - part.place) // part.places, part.many - 1)
        column, lane = divmod(place - part.place - number * part.places, self.grid.width)
        return At(part.before, part.many * part.columns, number * part.columns + part.side + column, lane)

    def filled(self) -> Ints:
        """The elements of x as they go to the buffer, chunk by chunk: pieces of a column of it."""
        return np.concatenate(self.filled_by_chunk())

    def filled_by_chunk(self) -> list[Ints]:
        """The same of each chunk."""
        width, found = self.grid.given_width, []
        for chunk in self.chunks:
            places = chunk.place + np.arange(self.grid.filled(chunk.columns) * width, dtype=np.int64)
            inside = (places < chunk.place + chunk.columns * self.grid.width) & (places < self._length)
            elements = self._packing.elements(places, self.inputs) if self._packing else places
            found.append(np.where(inside, elements, -1).reshape(-1, width))
        return found

    def read(self) -> Ints:
        """The elements of the output as its columns give them; none of columns of scales."""
        width, found = self.grid.width, []
        for part in self.sums:
            for n in range(part.many):
                places = part.place + n * part.places + np.arange((part.columns - part.side) * width, dtype=np.int64)
                elements = self._packing.elements(places, self.inputs) if self._packing else places
                there = (elements < self.inputs) & (places < part.place + (n + 1) * part.places)
                found.append(np.full((part.side, width), -1, np.int64))
                found.append(np.where(there, elements, -1).reshape(-1, width))
        return np.concatenate(found)
