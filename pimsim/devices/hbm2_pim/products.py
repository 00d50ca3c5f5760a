"""The requests of a product on HBM2-PIM: a vector into the registers, its products, and the sums back.

The banks of a channel hold a set of sums, one each: those of the even banks go into one register of every unit, those
of the odd banks into another one.  So many sets are added up side by side as the registers have pairs, and are read
before the next ones begin.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, NoReturn

from pimsim.devices.hbm2_pim.table import ADD, MULTIPLY
from pimsim.dram.program import Request, close, open_row, run
from pimsim.errors import InputError
from pimsim.mapping.grid import Grid, N, ceil_div
from pimsim.mapping.work import NOTHING, Requests


class Registers(NamedTuple):
    """What a unit keeps, and how its commands are kept in order.

    sums           of a unit: half of them of its even bank, half of its odd one
    fence          clocks from a command before a fence to the one behind it (0: the host keeps the order by itself)
    between        commands between two fences at most
    """

    sums: int = 8
    fence: int = 0
    between: int = 8

    @property
    def pairs(self) -> int:
        """Sets of sums that a channel adds up side by side."""
        return self.sums // 2

    def batches(self, sets: N) -> N:
        """How often a channel reads its registers for so many sets of sums."""
        return ceil_div(sets, self.pairs)


@dataclass
class Product:
    """Makes the requests of one channel; reads: the places of those that read sums."""

    grid: Grid
    registers: Registers
    rows: list[Request] = field(default_factory=list)
    reads: list[int] = field(default_factory=list)

    def batches(self, sets: Sequence[int]) -> Iterator[Sequence[int]]:
        """Sets of sums, as many at a time as there are registers for."""
        pairs = self.registers.pairs
        return (sets[first : first + pairs] for first in range(0, len(sets), pairs))

    def fill(self, lin: int, columns: int, gap: int) -> None:
        """Write `columns` of a vector into the registers of all units, while the row of `lin` opens."""
        self.rows += [open_row(lin), run(self._command(0), -1, 0, columns, gap, self.registers.fence)]

    def add(self, starts: Sequence[int], columns: int) -> None:
        """Multiply the vector with the columns from each of `starts` on, those of the even banks and of the odd."""
        runs = [(side, lin) for lin in starts for side in (1, 2)]
        together = max(1, self.registers.between // columns)  # runs between two fences
        for place, (side, lin) in enumerate(runs, 1):
            fence = self.registers.fence if place % together == 0 or place == len(runs) else 0
            self.rows.append(run(self._command(side), -1, lin, columns, hold=fence))

    def read(self, sets: int) -> None:
        """Read so many sets of sums, a register for each bank; rows close before the mode changes."""
        self.reads.append(len(self.rows) + 1)
        self.rows += [close(), run(self._command(3), -1, 0, sets * self.grid.banks)]

    def requests(self) -> Requests:
        """What the channel is asked for; each read has all partial sums of its outputs."""
        if not self.reads:
            return NOTHING
        return Requests(tuple(self.rows), (self.reads[0], self.reads[0], self.reads[-1]))

    def _command(self, number: int) -> int:
        return self.grid.command(MULTIPLY[number])


def no_wires() -> NoReturn:
    """InputError: a register of lanes is nothing that values know yet."""
    what = f"{' and '.join(MULTIPLY[1:3])} say not what they do with numbers: their layouts have no wires"
    raise InputError(what, key="dram.standard")


def addition(grid: Grid, registers: Registers, columns: int) -> Requests:
    """z = x + y, so many columns of each in a unit: x in its even bank, y in its odd one, z in the even one again.

    The first half of a row has x, the other half z: as many columns at a time as there are registers.
    """
    load, add, put = map(grid.command, ADD)
    half, rows = grid.device.columns // 2, list[Request]()
    for first in range(0, columns, grid.buffer_columns):
        row, column = divmod(first, half)
        lin, some = row * grid.device.columns + column, min(grid.buffer_columns, columns - first, half - column)
        rows += [open_row(lin), *(run(c, -1, lin, some, hold=registers.fence) for c in (load, add))]
        rows.append(run(put, -1, lin + half, some, hold=registers.fence))
    return Requests((*rows, close()))
