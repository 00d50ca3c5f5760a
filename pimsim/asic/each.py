"""What the ASIC's arithmetic costs for many sizes at once: the same passes as `asic.units`, on arrays."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.asic.units import ARRAYS, Pass, Units

Ints = NDArray[np.int64]

_LARGEST = 1 << 62


class Costs(NamedTuple):
    """Of each size: DRAM clocks of the units, the read port and the write port, and the operations counted."""

    clocks: Ints
    read: Ints
    write: Ints
    adds: Ints
    multiplies: Ints
    sram_bytes: Ints


def costs_of(units: Units, kind: str, n: Ints, vectors: int, ways: int, tCK_ps: int) -> Costs:
    """`units.timed` for each of the sizes `n`, an array of any shape."""
    if kind not in ARRAYS:
        return _one_by_one(units, kind, n, vectors, ways, tCK_ps)  # its passes need not take arrays
    passes = units.passes(kind, n, vectors, ways)
    reads, writes = _sum(n, [p.reads for p in passes]), _sum(n, [p.writes for p in passes])
    cycles = _sum(n, [_cycles(units, p) for p in passes])
    return Costs(
        exactly(units.clocks, cycles, tCK_ps),
        exactly(units.transfer_clocks, reads, tCK_ps),
        exactly(units.transfer_clocks, writes, tCK_ps),
        _sum(n, [p.adds for p in passes]),
        _sum(n, [p.multiplies for p in passes]),
        reads + writes,
    )


def ports_of(units: Units, read: Ints, written: Ints, tCK_ps: int) -> tuple[Ints, Ints]:
    """`units.port_clocks` for each of the sizes, in bytes."""
    return exactly(units.transfer_clocks, read, tCK_ps), exactly(units.transfer_clocks, written, tCK_ps)


def exactly(of: Any, numbers: Ints, tCK_ps: int) -> Ints:
    """One of the clocks of `Units` for each of the numbers: as an array if no product overflows, else one by one."""
    units: Units = of.__self__
    ticks, periods = units.clock_ratio
    most = max(int(numbers.max(initial=0)) * 1000 * periods, ticks * tCK_ps * units.config.sram_port_bytes)
    if most < _LARGEST:
        clocks: Ints = of(numbers, tCK_ps)
        return clocks
    known = {number: of(number, tCK_ps) for number in np.unique(numbers).tolist()}
    return np.array([known[number] for number in numbers.ravel().tolist()], np.int64).reshape(numbers.shape)


def _one_by_one(units: Units, kind: str, n: Ints, vectors: int, ways: int, tCK_ps: int) -> Costs:
    sizes, at = np.unique(n, return_inverse=True)
    rows = []
    for size in sizes.tolist():
        cost, clocks, ports = units.timed(kind, size, vectors, ways, tCK_ps)
        rows.append((clocks, *ports, *cost.operations))
    table = np.array(rows, np.int64)[at.ravel()]
    return Costs(*(column.reshape(n.shape) for column in table.T))


def _cycles(units: Units, p: Pass) -> Any:
    return np.maximum.reduce([np.where(pace > 0, pace + depth, 0) for pace, depth in units.paces(p, _most)])


def _most(*numbers: Any) -> Any:
    """The largest of each place."""
    largest = numbers[0]
    for number in numbers[1:]:
        largest = np.maximum(largest, number)
    return largest


def _sum(n: Ints, parts: list[Any]) -> Ints:
    total: Ints = sum(parts, np.zeros_like(n))
    return total
