"""Where a plain vector lives, and how it is moved."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pimsim.dram.program import Request, bank_order, close, run
from pimsim.mapping.grid import Grid, N, Place, ceil_div, share
from pimsim.mapping.wires import ZERO, Wires, none
from pimsim.mapping.work import NOTHING, Requests, Work, assemble


@dataclass(frozen=True)
class VectorLayout:
    """A plain vector (biases, gains, an embedding row, a spilled operand).

    Columns are dealt to channels round robin; inside a channel they fill one bank's row,
    then the next bank's.
    """

    grid: Grid
    elements: int
    base: int = 0

    @property
    def slots(self) -> int:
        """Columns of the fullest channel."""
        return share(self.grid.columns_of(self.elements), self.grid.channels, 0)

    @property
    def rows(self) -> int:
        """Rows that the vector reserves in every bank."""
        return ceil_div(self.slots, self.grid.device.columns * self.grid.banks)

    def _home(self, slot: N) -> tuple[N, N]:
        """(bank, linear column) of a channel's slot-th column."""
        columns, banks = self.grid.device.columns, self.grid.banks
        row, rest = divmod(slot, columns * banks)
        device = self.grid.device
        bank = bank_order(rest // columns, device.bank_groups, device.banks_per_group)
        return bank, self.base + row * columns + rest % columns

    def locate(self, element: N) -> Place[N]:
        """The address of one element, or of each of many."""
        column, lane = divmod(element, self.grid.width)
        slot, channel = divmod(column, self.grid.channels)
        bank, lin = self._home(slot)
        return self.grid.place(channel, bank, lin, lane)

    def read(self, first: int = 0, elements: int | None = None) -> Work:
        """Read `elements` (default: all) from element `first`."""
        return self._move(self.grid.device.standard.roles.read, first, elements)

    def write(self, first: int = 0, elements: int | None = None) -> Work:
        """Write `elements` (default: all) from element `first`."""
        return self._move(self.grid.device.standard.roles.write, first, elements)

    def wires(self, reads: bool, first: int = 0, elements: int | None = None, there: int | None = None) -> Wires:
        """What `read` or `write` moves: the elements from `first` on, in order; there: how many mean something."""
        count = self.elements if elements is None else elements
        begin, end = first // self.grid.width, self.grid.columns_of(first + count)
        places = np.arange(begin * self.grid.width, end * self.grid.width, dtype=np.int64) - first
        pieces = np.where((places >= 0) & (places < (count if there is None else there)), places, ZERO).reshape(
            -1, self.grid.width
        )
        channels = range(self.grid.channels)
        moved = tuple(pieces[(channel - begin) % self.grid.channels :: self.grid.channels] for channel in channels)
        idle = (none(self.grid.width),) * self.grid.channels
        taken, given = (idle, moved) if reads else (moved, idle)
        return Wires(taken, given, packing=self.grid.packing)

    def _move(self, name: str, first: int, elements: int | None) -> Work:
        command = self.grid.command(name)
        count = self.elements if elements is None else elements
        begin, end = first // self.grid.width, self.grid.columns_of(first + count)
        channels = range(self.grid.channels)
        spans = [(share(begin, len(channels), c), share(end, len(channels), c)) for c in channels]
        reads = name == self.grid.device.standard.roles.read
        marks = (0, 0, 0) if reads else NOTHING.marks
        runs = {
            span: Requests(tuple(self._runs(command, *span)), marks) if span[0] < span[1] else NOTHING
            for span in dict.fromkeys(spans)
        }
        words = self.grid.stored_words(count)
        moved = {"results": words} if reads else {"sent": words}
        return assemble([runs[span] for span in spans], payload=words, **moved)

    def _runs(self, command: int, low: int, high: int) -> list[Request]:
        requests = []
        while low < high:
            n = min(high - low, self.grid.device.columns - low % self.grid.device.columns)
            bank, lin = self._home(low)
            requests.append(run(command, bank, lin, n, self.grid.private_gap))
            low += n
        return [*requests, close()]
