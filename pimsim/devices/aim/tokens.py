"""V on GDDR6-AiM, split along tokens: where it lies, and the programs that append to it and multiply with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.aim.attention import lockstep
from pimsim.devices.aim.products import Product
from pimsim.dram.program import Request, close, run, scatter
from pimsim.mapping.dealt import DealtValues
from pimsim.mapping.grid import ceil_div, interleaved_banks
from pimsim.mapping.wires import ZERO, Wires, in_buffer, in_one, none, one_lane, widened
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class TokenValueLayout(DealtValues):
    """V, a row for each piece of a unit.

    A channel's tokens of one head seldom fill a row, nor their probabilities the buffer: as many heads as both have
    room for are a group, and lie in one row side by side.  One address is that of the row and of the buffer.
    """

    in_banks: bool = True
    all_bank_append: bool = True

    @property
    def adds_up(self) -> bool:
        """As `DealtValues`."""
        return self.in_banks

    @property
    def together(self) -> int:
        """Heads of a group, all but the last one."""
        return min(self.kv_heads, self.grid.buffer_columns // self.cuts[0])

    @cached_property
    def groups(self) -> tuple[range, ...]:
        """As `DealtValues`: the heads of each group."""
        heads, size = range(self.kv_heads), self.together
        return tuple(heads[first : first + size] for first in range(0, len(heads), size))

    @property
    def rows(self) -> int:
        """Rows that the values reserve in every bank."""
        return len(self.groups) * self.units * len(self.cuts)

    def start(self, cut: int, head: int, unit: int) -> int:
        """As `DealtValues`."""
        group = head // self.together
        row = (group * self.units + unit) * len(self.cuts) + cut
        return self.base + row * self.grid.device.columns + self._offset(head)

    def _offset(self, head: int) -> int:
        """Where a head's columns start, in its rows and in the buffer."""
        return head % self.together * self.cuts[0]

    def _used(self, columns: int) -> tuple[int, ...]:
        """Columns of each piece that all channels multiply with, as the first one has to."""
        return self.grid.buffers(ceil_div(columns, self.grid.channels))

    def weigh_columns(self, columns: int) -> Work:
        """The program of p V, which is the same for all contexts of as many columns.

        The buffer is filled once for each group and each query head that shares one of its heads.
        """
        cuts, ways, product = self._used(columns), self.ways(columns * self.grid.width), Product(self.grid)
        rows: list[Request] = []
        for cut, some in enumerate(cuts):
            for group in (self.groups[number] for number, _ in self.fills):
                rows += [product.fill(some, self.grid.private_gap, self._offset(head)) for head in group]
                for unit in range(self.units):
                    for head in group:
                        rows += product.sum(self.start(cut, head, unit), some)
        one, first = len(rows) // len(cuts), len(self.groups[self.fills[0][0]]) - 1 + product.FIRST_RESULT
        complete = (len(cuts) - 1) * one + first
        early = first if ways > 1 else min(one + first, complete)  # another channel has made something to add it to
        sums = 1 if self.in_banks else len(cuts) if ways > 1 else max(1, len(cuts) - 1)
        return lockstep(self.grid, ways, rows, (complete if self.in_banks else early, complete, complete), sums)

    def weigh_wires(self, context: int) -> Wires:
        """As `mapping.layouts.Values`: a group's probabilities, then what its sums start from, and they."""
        grid, cuts, own = self.grid, self._used(self.grid.columns_of(context)), self.heads * context
        taken, given = [none(grid.lanes)] * grid.channels, [none(grid.banks)] * grid.channels
        for channel in range(self.ways(context)):
            sent, back = [], []
            for cut, some in enumerate(cuts):
                tokens = self.weighed(channel, cut, some, context)
                for heads in self._sent():
                    of_heads = [np.where(tokens == ZERO, ZERO, h * context + tokens) for h in heads]
                    sent += [widened(in_buffer(p, grid.given_width), grid.lanes) for p in of_heads]
                    places = self._given(channel, cut, heads, bool((tokens != ZERO).any()))
                    goes_on = (places != ZERO) & (self.in_banks and cut > 0)
                    sent.append(widened(np.where(goes_on, own + places, ZERO), grid.lanes))
                    back.append(places)
            taken[channel], given[channel] = np.concatenate(sent), np.concatenate(back)
        return Wires(tuple(taken), tuple(given), own)

    def _sent(self) -> Iterator[list[int]]:
        """The query heads whose probabilities are in the buffer together."""
        for group, member in self.fills:
            yield [head * self.sharing + member for head in self.groups[group]]

    def _given(self, channel: int, cut: int, heads: list[int], there: bool) -> Ints:
        """Places of the sums of these heads, unit by unit; there: the channel has tokens in this piece."""
        places = np.stack([self.results(channel, cut, head) for head in heads], axis=1).reshape(-1, self.grid.banks)
        return places if there else np.full_like(places, ZERO)

    def append(self, token: int) -> Work:
        """Write one token's values: an element of each dimension, all in one channel."""
        channel, cut, column = self.home(token, 0)
        requests = [NOTHING] * self.grid.channels
        requests[channel] = Requests(tuple(self._written(cut, column)))
        words = self.grid.stored_words(self.kv_heads * self.head_dim)
        return assemble(requests, payload=words, sent=words)

    def _written(self, cut: int, column: int) -> Iterator[Request]:
        """Row by row, or head by head in all rows that have one at its place, bank by bank."""
        if self.all_bank_append:
            write = self.grid.masked("WRA16")
            yield from (run(write, -1, self.start(cut, head, unit) + column, 1) for head, unit in self._order())
            return
        write, stride = self.grid.masked("WR"), len(self.cuts) * self.grid.device.columns
        for head in range(self.together):
            rows = len(range(head, self.kv_heads, self.together)) * self.units
            yield scatter(write, self.start(cut, head, 0) + column, rows, stride, *self.grid.lead)
        yield close()

    def _order(self) -> list[tuple[int, int]]:
        """(head, unit) in the order in which they are appended."""
        if self.all_bank_append:
            return [(head, unit) for group in self.groups for unit in range(self.units) for head in group]
        units, heads = range(self.units), range(self.kv_heads)
        return [
            (head, unit) for place in heads[: self.together] for head in heads[place :: self.together] for unit in units
        ]

    def append_wires(self, token: int) -> Wires:
        """As `mapping.layouts.Values`: a piece has an element for every bank, or one for one bank."""
        grid, lane = self.grid, token % self.grid.width
        banks = np.arange(grid.banks) if self.all_bank_append else np.array(interleaved_banks(grid.device))
        elements = [self.elements(head * self.head_dim, banks) for head in range(self.kv_heads)]
        places = np.stack([elements[head][unit] for head, unit in self._order()])
        pieces = places if self.all_bank_append else one_lane(places.reshape(-1), lane, grid.width)
        taken = in_one(self.home(token, 0)[0], widened(pieces, grid.lanes), grid.channels)
        return Wires(taken, (none(grid.banks),) * grid.channels, lane=lane)
