"""Products with matrices: packed once, then multiplied with many vectors at a time."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.mapping.grid import ceil_div
from pimsim.mapping.wires import Cuts
from pimsim.values.asic import Asic
from pimsim.values.fast.beats import Beats, Ints
from pimsim.values.fast.compiled.products import HOW_WIDTH, LEVELS, SIDE, multiply
from pimsim.values.fast.compiled.products import H_COLUMN, H_IN_BANKS, H_ROUNDS
from pimsim.values.fast.workers import together
from pimsim.values.lookup import look_up
from pimsim.values.numbers import F32, Words, bf16, numbers, words

# Multiply-accumulates for which another thread brings more than it costs.
_WORTH_A_THREAD = 1 << 18


def sums(beats: Beats, cuts: Cuts, tiles: Words, x: F32, seen: Ints, addend: F32 | None = None, used: int = 0) -> F32:
    """The rounded sums of products, (pieces, groups, tiles, vectors, 8); one piece if each goes on from the one before.

    tiles (groups, tiles, beats, places, 8) may have more beats than there are pieces of; `used`: of a group's tiles, if
    not all; x (groups, beats, vectors, places); seen (vectors,) the places of x that a vector has, ascending; addend
    (tiles, 8), or zeros, what the sums start with.
    """
    groups, vectors, starts = len(x), x.shape[2], beats.starts(cuts.elements)
    used = used or tiles.shape[1]
    how = np.zeros(HOW_WIDTH, np.int64)
    how[H_COLUMN], how[H_IN_BANKS], how[H_ROUNDS] = beats.of_a_column, cuts.in_banks, beats.rounds
    out = np.empty((1 if cuts.in_banks else len(cuts.elements), groups, used, vectors, SIDE), np.float32)
    start = np.zeros((used, SIDE), np.float32) if addend is None else addend

    def work(first: int, end: int) -> None:
        room = tuple(np.empty((n, SIDE), np.float32) for n in (vectors, beats.places, beats.places, LEVELS))
        multiply(tiles, x, seen, starts, start, how, out, used, first, end, room)

    each = x[0].size * SIDE  # multiply-accumulates of a tile
    together(work, groups * used, ceil_div(_WORTH_A_THREAD, each))
    return out


def by_vectors(made: F32, outputs: int) -> F32:
    """What a product leaves, (groups, tiles, vectors, 8), as (groups, vectors, outputs)."""
    groups, _, vectors, _ = made.shape
    return np.ascontiguousarray(made.transpose(0, 2, 1, 3).reshape(groups, vectors, -1)[..., :outputs])


@dataclass(frozen=True, eq=False)
class Product:
    """y = W x + b, and a function of it if the banks have one.

    tiles: the BF16 words of W as `Beats.tiles` lays them; bias (outputs,): BF16 numbers, or None; in_banks: it is
    what the first sum starts with, else the ASIC adds it; table: of the function (`lookup`), or None.
    """

    beats: Beats
    cuts: Cuts
    tiles: Words
    outputs: int
    bias: F32 | None
    bias_in_banks: bool
    table: F32 | None
    asic: Asic

    @classmethod
    def of(
        cls, beats: Beats, cuts: Cuts, matrix: F32, bias: F32 | None, in_banks: bool, table: F32 | None, asic: Asic
    ) -> Product:
        """That of a matrix (outputs, inputs) and a bias in float32, which are rounded to BF16."""
        tiles = beats.tiles(words(matrix), cuts.elements)
        return cls(beats, cuts, tiles, len(matrix), None if bias is None else bf16(bias), in_banks, table, asic)

    def __call__(self, x: F32) -> F32:
        """(vectors, outputs) of x (vectors, inputs)."""
        spread = self.beats.vectors(x, self.cuts.elements)
        everything = np.full(len(x), spread.shape[0] * spread.shape[2], np.int64)
        made = sums(self.beats, self.cuts, self.tiles[None], spread[None], everything, self._addend)
        found = by_vectors(made[0], self.outputs)[0]
        if self.bias is not None and not self.bias_in_banks:
            found = self.asic.sum(found, self.bias)
        for piece in made[1:]:
            found = self.asic.sum(found, by_vectors(piece, self.outputs)[0])
        return found if self.table is None else look_up(self.table, found)

    def rows(self, outputs: Ints) -> F32:
        """Rows of the matrix: (outputs, inputs)."""
        return numbers(self.beats.row(self.tiles, self.cuts.elements, outputs))

    @cached_property
    def _addend(self) -> F32 | None:
        if self.bias is None or not self.bias_in_banks:
            return None
        padded = np.zeros(len(self.tiles) * SIDE, np.float32)
        padded[: self.outputs] = self.bias
        return padded.reshape(-1, SIDE)
