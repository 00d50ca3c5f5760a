"""How the elements of a vector come to the lanes of the MAC units, beat by beat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate

import numpy as np
from numpy.typing import NDArray

from pimsim.config.schema import Config
from pimsim.mapping.grid import ceil_div
from pimsim.values.fast.compiled.products import SIDE
from pimsim.values.numbers import F32, Words

Ints = NDArray[np.int64]

_TOGETHER = 64  # tiles that are laid at once


@dataclass(frozen=True)
class Beats:
    """width: elements of a column; lanes: products of a beat; rounds: the accumulator is BF16, not float32.

    A place is a lane of a beat; a beat has as many as a tree has inputs, a power of two.
    """

    width: int
    lanes: int
    rounds: bool = False

    @classmethod
    def of(cls, config: Config, width: int) -> Beats:
        """Those of a configuration whose columns have `width` elements."""
        return cls(width, config.pim.lanes, config.values.accumulate == "bf16")

    @property
    def places(self) -> int:
        """Of a beat."""
        return 1 << (self.lanes - 1).bit_length()

    @property
    def of_a_column(self) -> int:
        """Beats of a column."""
        return self.width // self.lanes

    def count(self, elements: int) -> int:
        """Beats of a piece of so many elements: it has whole columns."""
        return ceil_div(elements, self.width) * self.of_a_column

    def starts(self, pieces: Sequence[int]) -> Ints:
        """The beats at which pieces start, and the end."""
        return np.array(list(accumulate(map(self.count, pieces), initial=0)), np.int64)

    def place(self, elements: Ints) -> Ints:
        """The place of an element, as a number from the first place on, where all pieces before are full."""
        return elements // self.lanes * self.places + elements % self.lanes

    def own(self, elements: Ints, way: int, ways: int) -> Ints:
        """How many of the first elements one of `ways` has to which their columns are dealt in turn."""
        if ways == 1:
            return elements
        full, rest = elements // self.width, elements % self.width
        return (full - way + ways - 1) // ways * self.width + np.where(full % ways == way, rest, 0)

    def of_way(self, x: F32, way: int, ways: int) -> F32:
        """What one of `ways` has of vectors (heads, beats, vectors, places)."""
        if ways == 1:
            return x
        heads, _, *rest = x.shape
        made = x.reshape(heads, -1, self.of_a_column, *rest)[:, way::ways]
        return np.ascontiguousarray(made).reshape(heads, -1, *rest)

    def spread(self, x: NDArray[np.generic], pieces: Sequence[int]) -> NDArray[np.generic]:
        """Vectors (vectors, elements) by places: (vectors, beats, places), 0 where no element is."""
        starts = self.starts(pieces)
        made = np.zeros((len(x), int(starts[-1]), self.places), x.dtype)
        first = 0
        for start, size in zip(starts, pieces, strict=False):
            columns = made[:, start : start + self.count(size), : self.lanes]
            flat = np.zeros((len(x), columns.shape[1] * self.lanes), x.dtype)
            flat[:, :size] = x[:, first : first + size]
            columns[...] = flat.reshape(columns.shape)
            first += size
        return made

    def vectors(self, x: F32, pieces: Sequence[int]) -> F32:
        """Vectors as a product takes them: (beats, vectors, places)."""
        made: F32 = np.ascontiguousarray(self.spread(x, pieces).transpose(1, 0, 2))
        return made

    def tiles(self, words: Words, pieces: Sequence[int]) -> Words:
        """A matrix (outputs, inputs) as a product takes it: (tiles, beats, places, 8), 0 for outputs beyond it."""
        tiles, some = ceil_div(len(words), SIDE), _TOGETHER * SIDE
        made = np.zeros((tiles, self.count_of(pieces), self.places, SIDE), np.uint16)
        for first in range(0, len(words), some):
            rows = words[first : first + some]
            full = np.zeros((-(-len(rows) // SIDE) * SIDE, rows.shape[1]), np.uint16)
            full[: len(rows)] = rows
            spread = self.spread(full, pieces).reshape(-1, SIDE, *made.shape[1:3])
            made[first // SIDE : first // SIDE + len(spread)] = spread.transpose(0, 2, 3, 1)
        return made

    def count_of(self, pieces: Sequence[int]) -> int:
        """Beats of several pieces."""
        return sum(map(self.count, pieces))

    def row(self, tiles: Words, pieces: Sequence[int], outputs: Ints) -> Words:
        """Rows (outputs, inputs) of a matrix that lies in tiles."""
        spread = tiles[outputs // SIDE, :, :, outputs % SIDE][:, :, : self.lanes]
        starts, parts = self.starts(pieces), []
        for start, size in zip(starts, pieces, strict=False):
            columns = spread[:, start : start + self.count(size)]
            parts.append(columns.reshape(len(outputs), -1)[:, :size])
        return np.concatenate(parts, axis=1)
