"""How numbers of a format lie in columns: how many a column holds, where a group of them begins, where its scale is.

A MAC unit takes a column in beats of as many numbers as it has multipliers, and adds up the products of a beat.  So
a group of weights that share a scale takes whole beats, and where the ASIC applies the scale, whole columns, since a
sum is read for each.  What that leaves empty is wasted.  Scales that the unit applies stand in columns before the
weights of the sum that they belong to, one for each group in it, with its zero point behind it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.formats import INTEGER_SUM_BITS, NATIVE_BITS, SUM_BITS, Pair
from pimsim.mapping.counting import Ints, N, at_most, ceil_div


@dataclass(frozen=True)
class Packing:
    """Numbers in the columns of a memory, and what they are multiplied with in the buffer.

    column_bits  of a column of the memory, and of the buffer
    pair, lanes  what is multiplied, and by how many multipliers of a unit
    group        weights that share a scale (0: all)
    side_bits    of a group's scale and zero point
    in_unit      the MAC unit applies scales; else the ASIC does, to a sum of each group
    """

    column_bits: int
    pair: Pair
    lanes: int
    group: int = 0
    side_bits: int = 0
    in_unit: bool = True

    @cached_property
    def most(self) -> int:
        """Numbers that a column has bits for."""
        return self.column_bits // self.pair.stored.bits

    @cached_property
    def beat(self) -> int:
        """Numbers that are added up at once."""
        return min(self.lanes, self.most)

    @cached_property
    def width(self) -> int:
        """Numbers of a column: as many as fit, and where there are groups, whole beats."""
        return self.most // self.beat * self.beat if self.group else self.most

    @cached_property
    def given_width(self) -> int:
        """Numbers of a column of the buffer."""
        return self.column_bits // self.pair.given.bits

    @cached_property
    def step(self) -> int:
        """From the place of one group to that of the next: whole beats, or whole columns."""
        return ceil_div(self.group, self.beat if self.in_unit else self.width) * (
            self.beat if self.in_unit else self.width
        )

    @property
    def sum_bits(self) -> int:
        """Of a sum that is read: an integer as it is, unless the unit has applied scales to it."""
        return INTEGER_SUM_BITS if self.pair.exact and not (self.group and self.in_unit) else SUM_BITS

    @property
    def quantises(self) -> bool:
        """Whether what is multiplied has fewer bits than what the ASIC computes with."""
        return self.pair.given.bits < NATIVE_BITS

    @property
    def scales_results(self) -> bool:
        """Whether a whole sum is multiplied with a scale: of the vector, or of a matrix that has one for all."""
        return self.quantises or (self.pair.stored.bits < NATIVE_BITS and not self.group)

    @property
    def drained(self) -> bool:
        """Whether every group has a sum of its own, which is read."""
        return self.group > 0 and not self.in_unit

    def place(self, element: N) -> N:
        """Where an element stands, counted in numbers from the first column on."""
        return element if not self.group else element // self.group * self.step + element % self.group

    def before(self, place: N) -> N:
        """Elements that stand before a place."""
        if not self.group:
            return place
        whole, rest = divmod(place, self.step)
        return whole * self.group + at_most(self.group, rest)

    def elements(self, places: Ints, elements: int) -> Ints:
        """The element at each of many places, of so many; -1 where there is none."""
        whole, rest = np.divmod(places, self.step if self.group else max(1, elements))
        found = whole * self.group + rest if self.group else places
        there = (found < elements) & ((rest < self.group) if self.group else True)
        return np.where(there, found, -1)

    def length(self, elements: int) -> int:
        """Places that so many elements take, what is wasted between them included."""
        return self.place(elements - 1) + 1 if elements else 0

    def groups(self, first: int, places: int) -> int:
        """Groups that have elements in so many places from `first` on."""
        if not self.group or not places:
            return 0
        return (first + places - 1) // self.step - first // self.step + 1

    def side_columns(self, groups: int) -> int:
        """Columns of the scales of so many groups, where the unit applies them."""
        return ceil_div(groups * self.side_bits, self.column_bits) if self.in_unit else 0

    def filled(self, columns: int) -> int:
        """Columns of the buffer that what `columns` columns are multiplied with takes."""
        return ceil_div(columns * self.width, self.given_width)

    def buffered(self, columns: int) -> int:
        """Columns of the memory that a buffer of `columns` columns has numbers for."""
        return max(1, columns * self.given_width // self.width)  # a configuration's buffer holds that of one
