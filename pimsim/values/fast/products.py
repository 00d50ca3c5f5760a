"""Products with matrices: packed once, then multiplied with many vectors at a time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from pimsim.dram.compiler import bound
from pimsim.mapping.grid import ceil_div
from pimsim.mapping.wires import Cuts
from pimsim.values.asic import Asic
from pimsim.values.fast.beats import Beats, Ints
from pimsim.values.fast.compiled.products import H_COLUMN, H_IN_BANKS, H_ROUNDS, HOW_WIDTH, LEVELS, SIDE, multiply
from pimsim.values.fast.workers import together
from pimsim.values.lookup import look_up
from pimsim.values.numbers import F32, Words, bf16, numbers, words

# Multiply-accumulates for which another thread brings more than it costs.
_WORTH_A_THREAD = 1 << 18


class Sums:
    """The rounded sums of products of many vectors with a matrix, on all cores.

    An object is for one caller at a time; it keeps where compiled code works, and the arguments of the latest call.
    """

    def __init__(self, beats: Beats) -> None:
        self.beats = beats
        self._how = [self._as(in_banks) for in_banks in (False, True)]
        self._parts: dict[int, Callable[..., int]] = {}
        self._rooms: dict[int, tuple[F32, ...]] = {}

    def __call__(self, tiles: Words, x: F32, seen: Ints, cuts: Cuts, addend: F32 | None = None, used: int = 0) -> F32:
        """(pieces, groups, vectors, tiles, 8); one piece if each goes on from the one before it.

        tiles (groups, tiles, beats, places, 8) may have more beats than there are pieces of; `used`: of a group's
        tiles, if not all; x (groups, beats, vectors, places); seen (vectors,) the places of x that a vector has,
        ascending; addend (tiles, 8), or zeros, what the sums start with.
        """
        groups, _, vectors, _ = x.shape
        used, starts = used or tiles.shape[1], self.beats.starts(cuts.elements)
        out = np.empty((1 if cuts.in_banks else len(cuts.elements), groups, vectors, used, SIDE), np.float32)
        start = np.zeros((used, SIDE), np.float32) if addend is None else addend

        def work(part: int, first: int, end: int) -> None:
            call, room = self._part(part, vectors)
            call(tiles, x, seen, starts, start, self._how[cuts.in_banks], out, used, first, end, room)

        each = x[0].size * SIDE  # multiply-accumulates of a tile
        together(work, groups * used, ceil_div(_WORTH_A_THREAD, each))
        return out

    def _as(self, in_banks: bool) -> Ints:
        how = np.zeros(HOW_WIDTH, np.int64)
        how[H_COLUMN], how[H_IN_BANKS], how[H_ROUNDS] = self.beats.of_a_column, in_banks, self.beats.rounds
        return how

    def _part(self, part: int, vectors: int) -> tuple[Callable[..., int], tuple[F32, ...]]:
        """What calls compiled code on one thread, and where it works."""
        room = self._rooms.get(part)
        if room is None or len(room[0]) != vectors:
            sizes = (vectors, self.beats.places, self.beats.places, LEVELS)
            room = self._rooms[part] = tuple(map(_rows, sizes))
            self._parts.setdefault(part, bound(multiply))
        return self._parts[part], room


def _rows(n: int) -> F32:
    """(n, SIDE) to work in, each in one line of the cache: what lies in two is read twice."""
    size = SIDE * np.dtype(np.float32).itemsize
    room = np.empty((n + 1) * size, np.uint8)
    first = -room.ctypes.data % size
    return room[first : first + n * size].view(np.float32).reshape(n, SIDE)


def joined(made: F32, outputs: int) -> F32:
    """What a product leaves, (..., tiles, 8), as (..., outputs)."""
    return made.reshape(*made.shape[:-2], -1)[..., :outputs]


class Product:
    """y = W x + b, and a function of it if the banks have one.

    matrix (outputs, inputs) and bias (outputs,), or None, in float32: both are rounded to BF16.  addend: the banks
    start with the bias, else the ASIC adds it; table: of the function (`lookup`), or None.
    """

    def __init__(
        self, sums: Sums, cuts: Cuts, matrix: F32, bias: F32 | None, addend: bool, table: F32 | None, asic: Asic
    ) -> None:
        self.outputs = len(matrix)
        self._sums, self._cuts, self._table, self._asic = sums, cuts, table, asic
        self._tiles = sums.beats.tiles(words(matrix), cuts.elements)[None]
        self._addend = self._bias = None
        if bias is not None and addend:
            padded = np.zeros((self._tiles.shape[1], SIDE), np.float32)
            padded.reshape(-1)[: self.outputs] = bf16(bias)
            self._addend = padded
        elif bias is not None:
            self._bias = bf16(bias)

    def __call__(self, x: F32) -> F32:
        """(vectors, outputs) of x (vectors, inputs)."""
        spread = self._sums.beats.vectors(x, self._cuts.elements)[None]
        everything = np.full(len(x), spread.shape[1] * spread.shape[3], np.int64)
        first, *others = self._sums(self._tiles, spread, everything, self._cuts, self._addend)
        found = np.ascontiguousarray(joined(first[0], self.outputs))
        if self._bias is not None:
            found = self._asic.sum(found, self._bias)
        for piece in others:
            found = self._asic.sum(found, joined(piece[0], self.outputs))
        return found if self._table is None else look_up(self._table, found)

    def rows(self, outputs: Ints) -> F32:
        """Rows of the matrix: (outputs, inputs)."""
        return numbers(self._sums.beats.row(self._tiles[0], self._cuts.elements, outputs))
