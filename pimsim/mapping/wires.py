"""Which elements the commands of a piece of work move, and how the memory adds them up: what values need to know.

A work's commands take pieces of its operands (into a buffer, into accumulators, into rows), and give pieces of
its results, in their order on each channel.  Where in the memory a piece comes to lie, or comes from, says the
command's own address: nothing here does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from pimsim.mapping.grid import ceil_div, pieces_of, share
from pimsim.mapping.packing import Packing
from pimsim.mapping.work import Ints

ZERO = -1  # a lane that takes a zero, or gives nothing that means anything
KEEP = -2  # a lane whose bytes are masked


class Cuts(NamedTuple):
    """How a sum of products over a vector is cut.

    elements  of each piece, one after another; the sum of a piece is rounded to BF16 when it is read
    in_banks  each sum goes on from the one before it, from the bias the first; else the ASIC adds them up:
              the bias to the first, then one after another
    ways      that the vector's columns are dealt to in turn; what each has is cut for itself.  Pieces stand as the
              ASIC adds them up: the first of every way that has one, then the second; in the banks those of a way
              go on from each other, and the ASIC adds up the ways
    """

    elements: tuple[int, ...]
    in_banks: bool = False
    ways: int = 1

    @classmethod
    def of(cls, total: int, most: int, in_banks: bool = False) -> Cuts:
        """Pieces of `most` elements, the last one of what is left."""
        return cls(pieces_of(total, most), in_banks)

    @classmethod
    def dealt(cls, total: int, most: int, in_banks: bool, ways: int, width: int) -> Cuts:
        """Columns of `width` elements are dealt to `ways`, and cut there into pieces of `most` elements."""
        columns, found = ceil_div(total, width), list[int]()
        for some in pieces_of(columns, most // width * ways):
            found += [share(some, ways, way) * width for way in range(min(ways, some))]
        last = (len(found) - 1) // ways * ways + (columns - 1) % ways  # the piece that has the last column
        found[last] -= columns * width - total
        return cls(tuple(found), in_banks, ways)

    @property
    def partial_sums(self) -> int:
        """Sums that the ASIC adds up."""
        return min(self.ways, len(self.elements)) if self.in_banks else len(self.elements)

    def of_way(self, way: int) -> Cuts:
        """The pieces of what one way has."""
        return Cuts(self.elements[way :: self.ways], self.in_banks)


class Wires(NamedTuple):
    """The elements that commands take and give, a row for each in its order on a channel.

    taken  by channel (n, lanes): places among the operands, one operand behind the other and the results behind them
           all, `ZERO` or `KEEP`
    given  by channel (n, lanes): places among the results, or `ZERO`
    own    place of the first result among the operands
    lane   of a column, into which a command that writes one element in every bank writes it
    packing  of what is moved and multiplied, in other formats than BF16; then also
    columns  by channel (n, 2): of each column that is multiplied where its first number stands (`Packing.place`), and
             which number of the buffer that is multiplied with; -1, -2, ...: columns of the scales of a sum
    """

    taken: tuple[Ints, ...]
    given: tuple[Ints, ...]
    own: int = 0
    lane: int = 0
    columns: tuple[Ints, ...] = ()
    packing: Packing | None = None


def of_heads(wires: Wires, heads: Sequence[int], count: int, taken: int, given: int) -> Wires:
    """The same of some of `count` heads, whose places are counted as if there were no others.

    Operands are in order of (head, element), results in order of (partial sum, head, element): taken, given: elements.
    """
    rank = np.full(count, ZERO, np.int64)
    rank[list(heads)] = np.arange(len(heads))
    own = len(heads) * taken if wires.own else 0

    def result(places: Ints) -> Ints:
        part, place = np.divmod(places, count * given)
        head, element = np.divmod(place, given)
        return (part * len(heads) + rank[head]) * given + element

    def operand(places: Ints) -> Ints:
        is_own = (places >= wires.own) if wires.own else np.zeros(places.shape, np.bool_)
        head, element = np.divmod(np.where(is_own, 0, places), taken)
        results = own + result(np.where(is_own, places - wires.own, 0))
        return np.where(is_own, results, rank[head] * taken + element)

    def each(places: Ints, of: Callable[[Ints], Ints]) -> Ints:
        return np.where(places < 0, places, of(np.where(places < 0, 0, places)))

    return Wires(
        tuple(each(places, operand) for places in wires.taken),
        tuple(each(places, result) for places in wires.given),
        own,
        wires.lane,
        wires.columns,
        wires.packing,
    )


def multiplied(columns: int, width: int, first: int = 0, before: int = 0, side: int = 0) -> Ints:
    """`Wires.columns` of a sum whose first number stands at a place, which is number `first` of the buffer.

    side: columns of its scales, which stand before it.
    """
    scales = np.stack([-1 - np.arange(side, dtype=np.int64), np.zeros(side, np.int64)], axis=1)
    at = np.arange(columns, dtype=np.int64) * width
    return np.concatenate([scales, np.stack([first + at, before + at], axis=1)])


def none(lanes: int) -> Ints:
    """No pieces."""
    return np.zeros((0, lanes), np.int64)


def in_one(channel: int, pieces: Ints, channels: int) -> tuple[Ints, ...]:
    """Pieces of one channel, and none of the others."""
    nothing = none(pieces.shape[1])
    return tuple(pieces if each == channel else nothing for each in range(channels))


def in_columns(first: int, elements: int, width: int, lanes: int = 0) -> Ints:
    """Pieces of `width` that hold places first, first + 1, ... of a vector, the rest zeros.

    lanes: of a piece, if others on its channel have more; those that a column does not have are zeros.
    """
    count = -(-elements // width)
    places = np.arange(count * width, dtype=np.int64)
    pieces = np.where(places < elements, first + places, ZERO).reshape(count, width)
    return widened(pieces, lanes or width)


def in_buffer(pieces: Ints, width: int) -> Ints:
    """Columns of the memory as columns of the buffer, which has `width` numbers in each: in the same order."""
    if pieces.shape[1] == width:
        return pieces
    places = pieces.reshape(-1)
    return np.pad(places, (0, -len(places) % width), constant_values=ZERO).reshape(-1, width)


def widened(pieces: Ints, lanes: int) -> Ints:
    """Pieces with zeros in further lanes."""
    return np.pad(pieces, ((0, 0), (0, max(0, lanes - pieces.shape[1]))), constant_values=ZERO)


def one_lane(places: Ints, lane: int, width: int) -> Ints:
    """A piece for each place that is written into one lane; the others are masked."""
    pieces = np.full((len(places), width), KEEP, np.int64)
    pieces[:, lane] = places
    return pieces
