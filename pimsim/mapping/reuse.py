"""How many inputs of a matrix share an open row: none, as many as there are, or as many as is the fastest.

A group of inputs shares the buffer, and how many it has decides where the weights lie.  Which number is the fastest is
not estimated: the programs are run, those of every kind of step as often as there are such steps.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.errors import InputError
from pimsim.mapping.grid import Grid, pieces_of
from pimsim.mapping.layouts import Layouts, Matrix
from pimsim.mapping.wires import Wires
from pimsim.mapping.work import Work

Runs = Mapping[int, int]  # of each number of inputs, the steps that have as many


@runtime_checkable
class SharedMatrix(Matrix, Protocol):
    """Weights whose rows serve several inputs while they are open."""

    @property
    def group(self) -> int:
        """Inputs that share the buffer, at most."""

    def multiply(self, addend: bool = False, function: str = "", count: int = 1) -> Work:
        """As `Matrix`, of `count` inputs."""

    def wires(self, addend: bool = False, count: int = 1) -> Wires:
        """As `Matrix`; of inputs one behind the other; results in order of (input, partial sum, output)."""


@runtime_checkable
class Sharing(Protocol):
    """Layouts of a device whose open rows may serve several inputs."""

    def shared(self, grid: Grid, inputs: int, outputs: int, group: int) -> Matrix:
        """Weights, as `Layouts.matrix`: of as many inputs of a group as there is room for."""


class Size(NamedTuple):
    """Of weights, on a grid; bias: the ASIC has one to add to each output."""

    grid: Grid
    inputs: int
    outputs: int
    bias: bool


class Reuse:
    """The layouts of all matrices of graphs that share a memory; weights that several graphs have, have one."""

    def __init__(self, config: Config, layouts: Layouts) -> None:
        self._config, self._layouts = config, layouts
        self._runs: dict[Hashable, dict[int, int]] = {}
        self._fastest: dict[Hashable, Matrix] = {}
        if config.mapping.verify == "row_reuse" and not isinstance(layouts, Sharing):
            what = f"a product of {config.dram.standard} takes one input at a time"
            raise InputError(f"must be repeat or auto, not row_reuse: {what}", key="mapping.verify")

    def add(self, weights: Hashable, runs: Runs) -> None:
        """Weights that are multiplied with; runs: with how many inputs in how many steps."""
        known = self._runs.setdefault(weights, {})
        for vectors, steps in runs.items():
            known[vectors] = known.get(vectors, 0) + steps

    def of(self, weights: Hashable, size: Size) -> Matrix:
        """Where weights lie."""
        runs, verify, layouts = self._runs[weights], self._config.mapping.verify, self._layouts
        most = max(runs, default=1)
        if verify == "repeat" or most == 1 or not isinstance(layouts, Sharing):
            return layouts.matrix(*size[:3])
        if verify == "row_reuse":
            return layouts.shared(*size[:3], most)
        key = (size[1:], size.grid.packing, tuple(sorted(runs.items())))
        if key not in self._fastest:
            ways = [layouts.matrix(*size[:3]), *(layouts.shared(*size[:3], group) for group in groups_up_to(most))]
            self._fastest[key] = min(ways, key=lambda matrix: clocks_of_steps(self._config, matrix, size, runs))
        return self._fastest[key]


def groups_up_to(most: int) -> Iterable[int]:
    """Sizes of groups that are tried: powers of two, and the largest there may be."""
    return dict.fromkeys([*(1 << power for power in range(1, most.bit_length())), most])


def clocks_of_steps(config: Config, matrix: Matrix, size: Size, runs: Runs) -> int:
    """Clocks of all products of a run."""
    return sum(
        steps * min(clocks(config, matrix, size, sizes) for sizes in ways(matrix, vectors))
        for vectors, steps in runs.items()
    )


def product(matrix: Matrix, bias: bool, function: str, count: int) -> Work:
    """The product of a matrix with as many inputs."""
    if isinstance(matrix, SharedMatrix):
        return matrix.multiply(bias, function, count)
    assert count == 1
    return matrix.multiply(bias, function)


def wires(matrix: Matrix, addend: bool, count: int) -> Wires:
    """What that moves."""
    return matrix.wires(addend, count) if isinstance(matrix, SharedMatrix) else matrix.wires(addend)


def sizes_of(config: Config, matrix: Matrix, size: Size, vectors: int) -> Sequence[int]:
    """The groups in which a step takes as many inputs: the largest, or one by one where that is the faster."""
    first, *others = ways(matrix, vectors)
    if config.mapping.verify != "auto" or not others:
        return first
    return min((first, *others), key=lambda sizes: clocks(config, matrix, size, sizes))


def ways(matrix: Matrix, vectors: int) -> list[tuple[int, ...]]:
    """Ways to take as many inputs: in the largest groups, and one by one."""
    return list(dict.fromkeys([pieces_of(vectors, group_of(matrix)), (1,) * vectors]))


def group_of(matrix: Matrix) -> int:
    """Inputs that share an open row of a matrix, at most."""
    return matrix.group if isinstance(matrix, SharedMatrix) else 1


def clocks(config: Config, matrix: Matrix, size: Size, sizes: Sequence[int]) -> int:
    """DRAM clocks of products of such groups by themselves, one after another, with the partial sums that come last
    added up, or all of them where the ASIC does not stream.  The memory starts idle.
    """
    from pimsim.dram.engine import Engine  # a plan that shares no rows runs nothing

    grid = size.grid
    made = {count: product(matrix, size.bias, "", count) for count in set(sizes)}
    engine, units, tCK, at = Engine(grid.device), Units(config.asic), grid.device.tCK_ps, 0
    for work in map(made.__getitem__, sizes):
        end = engine.run(work.program, work.spans, 0, at, engine.new_totals())
        ports = units.port_clocks(work.sent * ELEMENT_BYTES, work.results * ELEMENT_BYTES, tCK)
        at = max(end, *(at + clocks for clocks in ports))
    sums = sum(sizes) * size.outputs * (matrix.partial_sums - 1 + (size.bias and not matrix.takes_addend))
    if not sums:
        return at
    last = min(sums, grid.device.channels * grid.banks) if config.asic.streaming else sums
    return at + units.timed("sum", last, 1, 1, tCK).clocks
