"""V on PIM-GPT, split along tokens: where it lies, and the programs that append to it and multiply with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.devices.pim_gpt.attention import written
from pimsim.devices.pim_gpt.units import multiply_with
from pimsim.dram.program import Request, close, loop, open_row, run
from pimsim.mapping.dealt import DealtValues
from pimsim.mapping.grid import interleaved_banks, share
from pimsim.mapping.wires import ZERO, Wires, in_buffer, multiplied, none, one_lane
from pimsim.mapping.work import NOTHING, Requests, Work, assemble


@dataclass(frozen=True)
class TokenValueLayout(DealtValues):
    """V with no gap between the units of a piece, head by head; with one channel it is `ValueLayout`.

    Heads start at channels of their own, so that appending a token keeps many channels busy, and so does a context
    of few columns.
    """

    all_bank_append: bool = False

    @cached_property
    def groups(self) -> tuple[range, ...]:
        """As `DealtValues`: as many heads as a buffer of keys holds, if they are as large; each head could go alone."""
        heads, together = range(self.kv_heads), max(1, self.grid.buffer_columns // self.grid.columns_of(self.head_dim))
        return tuple(heads[first : first + together] for first in range(0, len(heads), together))

    @property
    def rows(self) -> int:
        """Rows that the values reserve in every bank."""
        return self.grid.rows_of(self.kv_heads * self.units * self.columns)

    def start(self, cut: int, head: int, unit: int) -> int:
        """As `DealtValues`."""
        before = self.kv_heads * self.units * self.grid.buffer_columns * cut  # all before it are full
        return self.base + before + (head * self.units + unit) * self.cuts[cut]

    def turn(self, head: int) -> int:
        """As `DealtValues`."""
        return head * self.grid.channels // self.kv_heads

    def weigh(self, context: int) -> Work:
        """p V over the first `context` tokens: a partial result per dimension, way and piece of tokens."""
        return self.weigh_columns(self.grid.columns_of(context)).moving(self.weigh_moves(context))

    def weigh_columns(self, columns: int) -> Work:
        """The program of `weigh`, which is the same for all contexts of as many columns."""
        channels = self.grid.channels
        own = [tuple(self._own(columns, channel)) for channel in range(channels)]
        several = min(columns, channels) > 1
        made = {columns_of: self._channel(columns_of, several) for columns_of in dict.fromkeys(own)}
        pieces = len(self.grid.buffers(share(columns, channels, 0)))
        return assemble([made[each] for each in own], sums=pieces if several else max(1, pieces - 1))

    def _own(self, columns: int, channel: int) -> list[int]:
        """Columns of tokens of each head that a channel has."""
        ways = [self.way(channel, head) for head in range(self.kv_heads)]
        return [share(columns, self.grid.channels, way) for way in ways]

    def _channel(self, own: tuple[int, ...], several: bool) -> Requests:
        """What a channel is asked for that has so many columns of each head; several: other ways have some, too."""
        parts = [self._piece(own, cut) for cut in range(len(self.grid.buffers(max(own[head] for head in self._those))))]
        if not parts:
            return NOTHING
        last = 2 + sum(map(len, parts[:-1]))
        first = 2 if several else min(2 + len(parts[0]), last)  # another way has made something to add it to
        rows = [request for part in parts for request in part]
        return Requests((open_row(self._opened), *rows, close()), (first, last, last))

    @property
    def _those(self) -> range:
        """The heads that are multiplied with."""
        return range(self.kv_heads) if self.part is None else self.groups[self.fills[0][0]]

    @property
    def _opened(self) -> int:
        """Where the row is that is opened first."""
        return self.base if self.part is None else self.start(0, self._those[0], 0)

    def _piece(self, own: tuple[int, ...], cut: int) -> list[Request]:
        """The buffer is filled for every query head of each head that has columns in a piece."""
        fill, mac, read = multiply_with(self.grid)
        requests = []
        for head in self._those:
            some = min(own[head] - cut * self.grid.buffer_columns, self.grid.buffer_columns)
            for _ in range((self.sharing if self.part is None else 1) if some > 0 else 0):
                requests.append(run(fill, -1, 0, self.grid.filled(some), self.grid.private_gap))
                requests.append(loop(mac, self.start(cut, head, 0), self.units, self.cuts[cut], some, read))
        return requests

    def weigh_wires(self, context: int) -> Wires:
        """As `mapping.layouts.Values`: a buffer of a head's probabilities, then the sums of its units."""
        grid, taken, given, all_products = self.grid, [], [], []
        columns = grid.columns_of(context)
        for channel in range(self.grid.channels):
            sent, back, products = [none(self.grid.given_width)], [none(self.grid.banks)], [none(2)]
            for cut in range(len(self.cuts)):
                for head in self.query_heads:
                    way = self.way(channel, head // self.sharing)
                    pieces = self.grid.buffers(share(columns, self.grid.channels, way))
                    if cut < len(pieces):
                        tokens = self.weighed(way, cut, pieces[cut], context)
                        sent.append(
                            in_buffer(np.where(tokens == ZERO, ZERO, head * context + tokens), self.grid.given_width)
                        )
                        back.append(self.results(way, cut, head))
                        products += [multiplied(pieces[cut], self.grid.width)] * self.units if grid.packing else []
            taken.append(np.concatenate(sent))
            given.append(np.concatenate(back))
            all_products.append(np.concatenate(products))
        return Wires(tuple(taken), tuple(given), columns=tuple(all_products), packing=self.grid.packing)

    def _homes(self, token: int) -> list[range]:
        """The heads of a token that each channel has: they follow each other."""
        homes = [self.home(token, head)[0] for head in range(self.kv_heads)]
        found = []
        for channel in range(self.grid.channels):
            heads = [head for head, home in enumerate(homes) if home == channel]
            found.append(range(heads[0], heads[-1] + 1) if heads else range(0))
        return found

    def append(self, token: int) -> Work:
        """Write one token's values: one element of one row per dimension."""
        _, cut, column = self.home(token, 0)
        requests, words = [], self.grid.stored_words(self.kv_heads * self.head_dim)
        for heads in self._homes(token):
            lin = self.start(cut, heads.start, 0) + column
            requests.append(written(self.grid, self.all_bank_append, len(heads) * self.units, lin, self.cuts[cut]))
        return assemble(requests, payload=words, sent=words)

    def append_wires(self, token: int) -> Wires:
        """As `mapping.layouts.Values`: one element a column, in the order of `written`."""
        grid, lane = self.grid, token % self.grid.width
        order, nothing = np.array(interleaved_banks(grid.device)), np.zeros((0, grid.banks), np.int64)
        taken = []
        for heads in self._homes(token):
            places = np.concatenate([nothing, *(self.elements(head * self.head_dim, order) for head in heads)])
            taken.append(one_lane(places.reshape(-1), lane, grid.width))
        return Wires(tuple(taken), (none(grid.banks),) * grid.channels, packing=grid.packing)
