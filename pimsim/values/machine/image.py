"""The memory before anything runs: weights where the layouts say that they lie, and nothing elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pimsim.mapping.caches import cache_name
from pimsim.mapping.grid import Grid, Place
from pimsim.mapping.layouts import Matrix
from pimsim.mapping.memory import table_name, vector_name
from pimsim.mapping.plan import Plan
from pimsim.values.layers import in_layer
from pimsim.values.machine.compiled.commands import SIDE
from pimsim.values.numbers import F32, Words, words
from pimsim.values.weights.model import Weights
from pimsim.workload.ops import Operator

Ints = NDArray[np.int64]

UNWRITTEN = 0x7FC0  # a NaN: what is used before it is written is seen in every result
_AT_ONCE = 1 << 22  # elements of a matrix that are put in their places at a time


class Image:
    """Words by channel, row, column, lane and bank: those rows that a plan uses.

    words (cells, lanes, octets, 8), a cell is (channel * rows + row) * columns + column; lanes: of all beats of a
    column, each filled up to a power of two.  unit: lanes of a MAC unit.
    """

    def __init__(self, plan: Plan, unit: int) -> None:
        grid = plan.grid
        self.grid, self.rows, self.columns = grid, plan.memory.rows, grid.device.columns
        self.units = min(unit, grid.width)
        self.beats = -(-grid.width // self.units)
        self.lanes = 1 << (self.units - 1).bit_length()
        self.octets = -(-grid.banks // SIDE)
        cells = grid.channels * self.rows * self.columns
        self.words: Words = np.full((cells, self.lanes * self.beats, self.octets, SIDE), UNWRITTEN, np.uint16)
        for lane in range(self.lanes * self.beats):
            if lane % self.lanes >= self.units or lane // self.lanes * self.units + lane % self.lanes >= grid.width:
                self.words[:, lane] = 0
        self._flat = self.words.reshape(-1)

    def at(self, place: Place[Ints], base: int = 0) -> Ints:
        """The number of the word at each place, of a copy that starts at linear column `base`."""
        row, lane = place.row + base // self.columns, place.lane
        cell = (place.channel * self.rows + row) * self.columns + place.column
        lane = lane // self.units * self.lanes + lane % self.units
        at: Ints = (cell * self.words.shape[1] + lane) * (self.octets * SIDE) + place.bank
        return at

    def put(self, at: Ints, base: int, values: F32) -> None:
        """Write BF16 values at what `at` gave for base 0, in the copy at a base, which begins a row."""
        shift = base // self.columns * self.columns * self.words.shape[1] * self.octets * SIDE
        self._flat[at + shift] = words(values)

    def clear(self, base: int, rows: int) -> None:
        """Zeros in all of some rows of every bank."""
        first = base // self.columns
        of_channels = self.words.reshape(self.grid.channels, self.rows, -1)
        of_channels[:, first : first + rows] = 0


def filled(plan: Plan, weights: Weights, unit: int) -> Image:
    """The memory with all weights of a plan: rounded to BF16, with the scale of scores in the queries' weights.

    Space for V is cleared, since its tokens that are still to come are multiplied with zeros; nothing else is.
    """
    image = Image(plan, unit)
    for operator in plan.workload.operators:
        _fill(image, plan, weights, operator)
        for table in range(len(operator.tables)):
            name = table_name(operator, table)
            if (layout := plan.memory.tables.get(name)) is not None:  # of a tied one the LM head has it
                at = image.at(layout.locate(np.arange(layout.elements, dtype=np.int64)))
                image.put(at, plan.memory.regions[name].bases[0], weights.table(table).reshape(-1))
        if operator.op == "attention":
            for sequence in range(plan.config.workload.batch):
                region = plan.memory.regions[cache_name("values", operator, sequence)]
                for base in region.bases:
                    image.clear(base, region.rows)
    return image


def _fill(image: Image, plan: Plan, weights: Weights, operator: Operator) -> None:
    """The matrix of an operator, its bias and its gain, in every copy."""
    memory = plan.memory
    if operator.name in memory.matrices:
        layout, bases = memory.matrices[operator.name], memory.regions[operator.name].bases
        places = _places(image, layout, operator.inputs, operator.outputs)
        kept = [*places] if len(bases) > 1 else places
        for copy, base in enumerate(bases):
            matrix = _matrix(plan, weights, operator, copy)
            for outputs, at in kept:
                image.put(at, base, _padded(matrix[outputs], image.grid))
    if operator.name in memory.vectors:
        vectors, bases = memory.vectors[operator.name], memory.regions[vector_name(operator)].bases
        at = image.at(vectors.locate(np.arange(vectors.elements, dtype=np.int64)))
        for copy, base in enumerate(bases):
            image.put(at, base, vectors_of(plan, weights, operator, copy))


def _places(image: Image, layout: Matrix, inputs: int, outputs: int) -> Iterator[tuple[slice, Ints]]:
    """The words of a matrix, whole columns, some outputs at a time."""
    elements = np.arange(image.grid.columns_of(inputs) * image.grid.width, dtype=np.int64)
    step = max(1, _AT_ONCE // len(elements))
    for first in range(0, outputs, step):
        some = np.arange(first, min(first + step, outputs), dtype=np.int64)
        yield slice(first, first + step), image.at(layout.locate(some[:, np.newaxis], elements))


def _padded(matrix: F32, grid: Grid) -> F32:
    """A matrix with zeros up to whole columns."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % grid.width)))


def _matrix(plan: Plan, weights: Weights, operator: Operator, copy: int) -> F32:
    block, expert = divmod(copy, operator.experts)
    return weights.matrix(*in_layer(plan.workload, operator.name, block), expert, folded=True)


def vectors_of(plan: Plan, weights: Weights, operator: Operator, copy: int) -> F32:
    """A bias, or a gain and the bias behind it."""
    block, expert = divmod(copy, operator.experts)
    name, layer = in_layer(plan.workload, operator.name, block)
    if operator.op == "linear":
        found = [weights.bias(name, layer, expert, folded=True)]
    else:
        found = [weights.gain(name, layer, folded=True), weights.bias(name, layer)]
    return np.concatenate([vector for vector in found if vector is not None])
