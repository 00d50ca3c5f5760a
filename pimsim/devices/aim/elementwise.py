"""Products element by element on GDDR6-AiM: EWMUL multiplies the first two banks of a group into the third."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pimsim.dram.program import Request, close, run
from pimsim.mapping.grid import Grid, ceil_div, share
from pimsim.mapping.wires import ZERO, Wires
from pimsim.mapping.work import NOTHING, Moved, N, Requests, Work, assemble

FACTORS, RESULT = (0, 1), 2  # banks of a group


@dataclass(frozen=True)
class Products:
    """Room for two vectors of `elements` and their product, from linear column 0 on.

    Columns are dealt to channels round robin, and inside a channel to bank groups.
    """

    grid: Grid
    elements: int

    @property
    def rows(self) -> int:
        """Rows that are reserved in every bank."""
        return self.grid.rows_of(ceil_div(self.grid.columns_of(self.elements), self._groups * self.grid.channels))

    @property
    def _groups(self) -> int:
        return self.grid.device.bank_groups

    def scale_columns(self, vectors: int, columns: int) -> Work:
        """The program of a scale, which is the same for all vectors of as many columns.

        The numbers are written as vectors: a column of the second bank has one of them in every lane.
        """
        all_columns, channels = vectors * columns, self.grid.channels
        counts = [share(all_columns, channels, channel) for channel in range(channels)]
        made = {count: self._channel(count) for count in set(counts)}
        return assemble([made[count] for count in counts])

    def scale_moves(self, vectors: int, elements: N) -> Moved[N]:
        """As `mapping.layouts.Products`."""
        moved = vectors * elements
        return Moved(payload=2 * moved + vectors, macs=0 * moved, sent=moved + vectors, results=moved)

    def scale_wires(self, vectors: int, elements: int) -> Wires:
        """As `mapping.layouts.Products`: into each group's factors, and out of its result."""
        grid, of = self.grid, self.grid.columns_of(elements)
        element = np.arange(of * grid.width, dtype=np.int64).reshape(of, grid.width)
        vector = np.arange(vectors, dtype=np.int64)[:, np.newaxis, np.newaxis]
        there = np.broadcast_to(element < elements, (vectors, of, grid.width))
        places = [vector * elements + element, np.broadcast_to(vectors * elements + vector, there.shape)]
        factors = [np.where(there, place, ZERO).reshape(-1, grid.width) for place in places]
        taken, given = [], []
        for channel in range(grid.channels):
            dealt = [[all_of[channel :: grid.channels][group :: self._groups] for all_of in factors]
                     for group in range(self._groups)]  # fmt: skip
            taken.append(np.concatenate([pieces for group in dealt for pieces in group]))
            given.append(np.concatenate([group[0] for group in dealt]))
        return Wires(tuple(taken), tuple(given))

    def _channel(self, columns: int) -> Requests:
        if not columns:
            return NOTHING
        standard, device = self.grid.device.standard, self.grid.device
        write, multiply, read = map(standard.index, (standard.roles.write, "EWMUL16", standard.roles.read))
        of_groups = [share(columns, self._groups, group) for group in range(self._groups)]
        rows: list[Request] = []
        for group, count in enumerate(of_groups):
            banks = [group * device.banks_per_group + bank for bank in FACTORS]
            rows += [run(write, bank, 0, count, self.grid.private_gap) for bank in banks if count]
        rows.append(run(multiply, -1, 0, of_groups[0]))
        first = len(rows)
        for group, count in enumerate(of_groups):
            if count:
                rows.append(run(read, group * device.banks_per_group + RESULT, 0, count, self.grid.private_gap))
        return Requests((*rows, close()), (first, first, first))
