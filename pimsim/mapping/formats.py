"""The memory as an operator sees it: in the formats that it multiplies."""

from __future__ import annotations

from collections.abc import Callable

from pimsim.config.schema import Config
from pimsim.formats import NATIVE, NATIVE_BITS, NATIVE_PAIR, pair_of
from pimsim.mapping.grid import Grid
from pimsim.mapping.packing import Packing
from pimsim.workload.formats import pair
from pimsim.workload.ops import Operator

GridOf = Callable[[Operator], Grid]


def grids(config: Config, grid: Grid) -> GridOf:
    """The grid of each operator: for its weights, or its K and V, and what they are multiplied with."""
    return lambda operator: grid.packed(packing(config, grid, operator))


def packing(config: Config, grid: Grid, operator: Operator) -> Packing | None:
    """How the weights of an operator, or its K and V, lie in columns; None for BF16 times BF16.

    KeyError for a pair that the memory does not multiply.
    """
    bits = grid.device.column_bytes * 8
    if operator.op == "embedding":
        return Packing(bits, pair_of(operator.stored, NATIVE), 1) if operator.stored else None
    multiplied = pair(operator)
    if multiplied.name == NATIVE_PAIR:
        return None
    side = operator.scale_bits + operator.zero_bits if operator.op == "linear" else 0
    group = operator.group if side and multiplied.stored.bits < NATIVE_BITS else 0
    return Packing(bits, multiplied, config.pim.pairs[multiplied.name], group, side, config.pim.scales == "unit")
