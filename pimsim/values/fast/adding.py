"""Sums of products in one pair of formats, as MAC units make them: exact integers, or floats beat by beat.

Of a pair of integers a sum is exact.  All others are added up as BF16 is: the products of a beat by a tree, in
float32, then beat after beat in the accumulator.  Where the unit applies scales, the sum of a group is one of its own;
it is brought to float32, multiplied with its scale and added to the accumulator, each step rounded.  A sum that is
read is rounded to BF16.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.mapping.packing import Packing
from pimsim.values.formats import F64, sum_read
from pimsim.values.numbers import F32, bf16

Ints = NDArray[np.int64]
_EXACT = 1 << 10  # products of two numbers of 8 bits whose sum float32 has exactly
_AT_ONCE = 1 << 19  # products that are held at a time


class Run(NamedTuple):
    """Elements that are added up before a scale, or a read: their group (0: all share one), and their beats.

    beats (beats, places) elements, -1 where there is none; places: a power of two
    """

    group: int
    first: int
    end: int
    beats: Ints


@dataclass(frozen=True)
class Adding:
    """packing: of what is multiplied; rounds: accumulators are BF16, not float32."""

    packing: Packing
    rounds: bool

    def runs(self, first: int, end: int) -> list[Run]:
        """The runs of a sum over the elements from `first` up to `end`."""
        packing = self.packing
        if not (packing.group and packing.in_unit):
            return [Run(0, first, end, self._beats(first, end))]
        groups = range(first // packing.group, (end - 1) // packing.group + 1)
        bounds = [(max(first, g * packing.group), min(end, (g + 1) * packing.group)) for g in groups]
        return [Run(g, *bound, self._beats(*bound)) for g, bound in zip(groups, bounds, strict=True)]

    def _beats(self, first: int, end: int) -> Ints:
        """The elements of each beat: a column is taken from its begin on, in beats of as many as there are lanes."""
        packing = self.packing
        low = packing.place(first) // packing.width * packing.width
        columns = -(-(packing.place(end - 1) + 1 - low) // packing.width)
        places = (low + np.arange(columns * packing.width, dtype=np.int64)).reshape(columns, -1)
        beats, width = -(-packing.width // packing.beat), 1 << (packing.beat - 1).bit_length()
        elements = packing.elements(places, end)
        found = np.full((columns, beats, width), -1, np.int64)
        lanes = np.arange(packing.width)
        found[:, lanes // packing.beat, lanes % packing.beat] = np.where(elements >= first, elements, -1)
        every = found.reshape(-1, width)
        return every[(every >= 0).any(axis=1)]  # nothing changes in a beat of zeros

    def laid(self, matrix: F32, elements: Sequence[int], scales: F32 | None = None) -> Laid:
        """A matrix (outputs, inputs) of numbers, whose sums have so many elements one after another."""
        ends = list(accumulate(elements))
        sums = [self.runs(end - size, end) for end, size in zip(ends, elements, strict=True)]
        return Laid(self, matrix, sums, scales)


class Laid:
    """A matrix as it is multiplied; scales (outputs, groups), if the unit applies them."""

    def __init__(self, adding: Adding, matrix: F32, sums: Sequence[Sequence[Run]], scales: F32 | None) -> None:
        self._adding, self._sums, self._scales = adding, sums, scales
        self._exact = adding.packing.pair.exact
        self.matrix = matrix
        wide = np.concatenate([matrix, np.zeros((len(matrix), 1), np.float32)], axis=1).T  # -1: a zero
        self._tiles = [[] if self._exact else [np.ascontiguousarray(wide[run.beats]) for run in runs] for runs in sums]

    def __call__(self, x: F32) -> F32:
        """(sums, vectors, outputs) of numbers x (vectors, inputs): BF16."""
        return np.stack([self._sum(i, x) for i in range(len(self._sums))])

    def _sum(self, number: int, x: F32) -> F32:
        runs = self._sums[number]
        if self._exact and self._scales is None:
            return sum_read(self._whole(runs[0], x))
        total = np.zeros((len(x), len(self.matrix)), np.float32)
        for i, run in enumerate(runs):
            if self._exact:
                found = self._whole(run, x).astype(np.float32)
            else:
                found = self._float(self._tiles[number][i], run, x)
            if self._scales is not None:
                found = self._round(total + found * self._scales[:, run.group])
            total = found
        return bf16(total)

    def _whole(self, run: Run, x: F32) -> F64:
        """An exact sum of integers."""
        total = np.zeros((len(x), len(self.matrix)), np.float64)
        for first in range(run.first, run.end, _EXACT):
            some = slice(first, min(first + _EXACT, run.end))
            total += x[:, some] @ self.matrix[:, some].T
        return total

    def _float(self, tiles: F32, run: Run, x: F32) -> F32:
        """A sum of floats; tiles (beats, places, outputs)."""
        beats, places, outputs = tiles.shape
        wide = np.concatenate([x, np.zeros((len(x), 1), np.float32)], axis=1)
        total = np.zeros((len(x), outputs), np.float32)
        step = max(1, _AT_ONCE // max(1, places * outputs))
        for first in range(0, len(x), step):
            some = slice(first, first + step)
            spread = wide[some][:, run.beats].transpose(1, 2, 0)  # (beats, places, vectors)
            for beat in range(beats):
                total[some] = self._round(total[some] + _tree(spread[beat][:, :, None] * tiles[beat][:, None, :]))
        return total

    def _round(self, total: F32) -> F32:
        return bf16(total) if self._adding.rounds else total


def _tree(products: F32) -> F32:
    """Neighbours are added up, along the first axis, until one is left."""
    while len(products) > 1:
        products = products[0::2] + products[1::2]
    found: F32 = products[0]
    return found
