"""The memory in number formats: bits of every column, of which nothing is known before it is written.

A number of a column stands in as many bits as its format has, the first number in the lowest; a scale behind another,
too.  What is not known is a NaN where it is read.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pimsim.formats import FORMATS, NATIVE, NATIVE_PAIR, PAIRS, Format
from pimsim.mapping.caches import cache_name
from pimsim.mapping.grid import Grid
from pimsim.mapping.layouts import Matrix
from pimsim.mapping.memory import scales_name, table_name, vector_name
from pimsim.mapping.packing import Packing
from pimsim.mapping.plan import Plan
from pimsim.mapping.stored import Stored
from pimsim.mapping.vectors import VectorLayout
from pimsim.values.formats import Codes, Quantised, decode, encode, scale_codes
from pimsim.values.machine.image import vectors_of
from pimsim.values.machine.scaling import Scaling
from pimsim.values.numbers import F32
from pimsim.values.weights.model import Weights
from pimsim.workload.ops import Operator

Ints = NDArray[np.int64]
Bits = NDArray[np.uint8]
UNKNOWN = 2
_AT_ONCE = 1 << 16  # numbers that are put in their places at a time


def native(grid: Grid, lanes: int) -> Packing:
    """BF16 in the columns of a memory, whose units have so many multipliers."""
    return Packing(grid.device.column_bytes * 8, PAIRS[NATIVE_PAIR], min(lanes, grid.device.column_elements))


class Cells:
    """Columns of all banks by (channel, row, column): (banks, bits), 0, 1 or UNKNOWN."""

    def __init__(self, plan: Plan) -> None:
        self.grid, self.rows, self.columns = plan.grid, plan.memory.rows, plan.grid.device.columns
        self._bits = plan.grid.device.column_bytes * 8
        self._cells: dict[tuple[int, int, int], Bits] = {}
        self._numbers: dict[tuple[tuple[int, int, int], str], F32] = {}

    def at(self, channel: int, row: int, column: int) -> Bits:
        """A column of all banks, which may be written to."""
        key = channel, row, column
        if key not in self._cells:
            self._cells[key] = np.full((self.grid.banks, self._bits), UNKNOWN, np.uint8)
        return self._cells[key]

    def write(self, channel: int, row: int, column: int, bank: int, lane: int, made: Format, x: float | F32) -> None:
        """Numbers of a bank, from a lane on."""
        codes = np.atleast_1d(encode(made, x))
        bits = _bits_of(codes, made.bits).reshape(-1)
        first = lane * made.bits
        self.at(channel, row, column)[bank, first : first + len(bits)] = bits
        self._forget(channel, row, column)

    def _forget(self, channel: int, row: int, column: int) -> None:
        for name in FORMATS:
            self._numbers.pop(((channel, row, column), name), None)

    def numbers(self, channel: int, row: int, column: int, made: Format) -> F32:
        """The numbers of a column of all banks: (banks, numbers)."""
        key = channel, row, column
        if (key, made.name) not in self._numbers:
            bits = self.at(*key)
            count = self._bits // made.bits
            apart = bits[:, : count * made.bits].reshape(len(bits), count, made.bits)
            codes = (apart & 1) @ (1 << np.arange(made.bits, dtype=np.int64))
            found = np.where((apart == UNKNOWN).any(axis=2), np.float32(np.nan), decode(made, codes))
            self._numbers[key, made.name] = found.astype(np.float32)
        return self._numbers[key, made.name]

    def clear(self, base: int, rows: int) -> None:
        """Zeros in all of some rows of every bank."""
        first = base // self.columns
        for channel in range(self.grid.channels):
            for row in range(first, first + rows):
                for column in range(self.columns):
                    self.at(channel, row, column)[:] = 0

    def put(self, places: tuple[Ints, ...], codes: Codes, bits: int) -> None:
        """Codes of so many bits at (channel, bank, row, column, lane), arrays of one shape."""
        of_each = _bits_of(codes, bits)
        for (channel, bank, row, column, lane), found in zip(np.stack(places, 1).tolist(), of_each, strict=True):
            self.at(channel, row, column)[bank, lane * bits : (lane + 1) * bits] = found


def _bits_of(codes: Codes, bits: int) -> Bits:
    """(n, bits), the lowest first."""
    return (codes.reshape(-1, 1).astype(np.int64) >> np.arange(bits) & 1).astype(np.uint8)


# -- filled ----------------------------------------------------------------------------------


def filled(plan: Plan, weights: Weights, scaling: Scaling) -> Cells:
    """The memory with all that a plan has in it before anything runs; space for V is cleared, nothing else is."""
    cells, memory = Cells(plan), plan.memory
    for operator in plan.workload.operators:
        _fill(cells, plan, weights, scaling, operator)
        for table in range(len(operator.tables)):
            name = table_name(operator, table)
            if (layout := memory.tables.get(name)) is not None:
                _put_vector(cells, layout, memory.regions[name].bases[0], weights.table(table).reshape(-1))
        if operator.op == "attention":
            for sequence in range(plan.config.workload.batch):
                region = memory.regions[cache_name("values", operator, sequence)]
                for base in region.bases:
                    cells.clear(base, region.rows)
    return cells


def _fill(cells: Cells, plan: Plan, weights: Weights, scaling: Scaling, operator: Operator) -> None:
    """The matrix of an operator, its scales, its bias and its gain, in every copy."""
    memory = plan.memory
    if operator.name in memory.matrices:
        layout = memory.matrices[operator.name]
        for copy, base in enumerate(memory.regions[operator.name].bases):
            _put_matrix(cells, plan, layout, base, scaling.matrix(operator, copy))
            if operator.name in memory.scales:
                at = memory.regions[scales_name(operator)].bases[copy]
                _put_scales(cells, memory.scales[operator.name], at, layout, scaling.matrix(operator, copy))
    if operator.name in memory.vectors:
        for copy, base in enumerate(memory.regions[vector_name(operator)].bases):
            _put_vector(cells, memory.vectors[operator.name], base, vectors_of(plan, weights, operator, copy))


def _put_vector(cells: Cells, layout: VectorLayout, base: int, values: F32) -> None:
    made = layout.grid.packing.pair.stored if layout.grid.packing else FORMATS[NATIVE]
    _put_codes(cells, layout, base, encode(made, values), made.bits)


def _put_codes(cells: Cells, layout: VectorLayout, base: int, codes: Codes, bits: int) -> None:
    place = layout.locate(np.arange(len(codes), dtype=np.int64))
    cells.put((place.channel, place.bank, place.row + base // cells.columns, place.column, place.lane), codes, bits)


def _put_matrix(cells: Cells, plan: Plan, layout: Matrix, base: int, weights: Quantised) -> None:
    """Numbers where the layout says, zeros beside them up to whole columns, and scales in the columns before."""
    packing, (outputs, inputs) = layout.grid.packing, weights.numbers.shape
    stored, made = Stored(layout.grid, inputs), packing.pair.stored if packing else FORMATS[NATIVE]
    for output in range(outputs):
        for lin, channel, bank, columns, side, groups in _sums(cells, layout, stored, output):
            for column in range(columns):
                row, at = divmod(base + lin + column, cells.columns)
                cells.at(channel, row, at)[bank] = 0
            if side:
                assert packing is not None
                bits = _bits_of(scale_codes(weights.scales[output, groups], packing.side_bits), packing.side_bits)
                for column, some in enumerate(_pieces(bits.reshape(-1), packing.column_bits)):
                    row, at = divmod(base + lin + column, cells.columns)
                    cells.at(channel, row, at)[bank, : len(some)] = some
    step = max(1, _AT_ONCE // inputs)
    for first in range(0, outputs, step):
        some_outputs = np.arange(first, min(first + step, outputs), dtype=np.int64)
        place = layout.locate(some_outputs[:, np.newaxis], np.arange(inputs, dtype=np.int64))
        rows = place.row + base // cells.columns
        each = np.broadcast_arrays(place.channel, place.bank, rows, place.column, place.lane)
        codes = encode(made, weights.numbers[some_outputs].reshape(-1))
        cells.put(tuple(part.reshape(-1) for part in each), codes, made.bits)


def _sums(cells: Cells, layout: Matrix, stored: Stored, output: int) -> Iterator[tuple[int, int, int, int, int, slice]]:
    """(linear column, channel, bank, columns, those of scales, groups) of each sum of an output."""
    packing, first = layout.grid.packing, 0
    elements = iter(stored.elements)
    for part in stored.sums:
        for number in range(part.many):
            count = next(elements)
            place = layout.locate(output, first)
            lin = place.row * cells.columns + place.column - part.side
            groups = slice(0, 0)
            if packing is not None and packing.group:
                start = part.place + number * part.places
                lin -= (packing.place(first) - start) // packing.width
                groups = slice(start // packing.step, (start + part.places - 1) // packing.step + 1)
            yield lin, place.channel, place.bank, part.columns, part.side, groups
            first += count


def _put_scales(cells: Cells, layout: VectorLayout, base: int, matrix: Matrix, weights: Quantised) -> None:
    """Words of scales, of every output of a group, then of the next group."""
    packing = matrix.grid.packing
    assert packing is not None
    bits = _bits_of(scale_codes(weights.scales.T.reshape(-1), packing.side_bits), packing.side_bits).reshape(-1)
    words = np.pad(bits, (0, -len(bits) % 16)).reshape(-1, 16).astype(np.int64) @ (1 << np.arange(16))
    _put_codes(cells, layout, base, words.astype(np.uint16), 16)


def _pieces(bits: Bits, size: int) -> Iterator[Bits]:
    for first in range(0, len(bits), size):
        yield bits[first : first + size]
