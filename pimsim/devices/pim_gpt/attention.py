"""K and V on PIM-GPT: where they lie, and the programs that append to them and multiply with them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from pimsim.devices.pim_gpt.units import multiply_with
from pimsim.dram.program import close, loop, open_row, run, scatter
from pimsim.mapping.grid import Grid, Place, at_most, ceil_div, interleaved_banks, share
from pimsim.mapping.keys import KeyPlaces
from pimsim.mapping.layouts import Split
from pimsim.mapping.wires import ZERO, Cuts, Wires, in_buffer, in_columns, multiplied, none, one_lane
from pimsim.mapping.work import NOTHING, Ints, Moved, N, Requests, Work, assemble


@dataclass(frozen=True)
class KeyLayout(KeyPlaces):
    """K with no gap between the keys of a bank's tokens, chunk by chunk."""

    @property
    def partial_sums(self) -> int:
        """Pieces that one head is cut into."""
        return self.cuts

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Keys`."""
        return Cuts.of(self.head_dim, self.grid.buffer_elements)

    @property
    def token_columns(self) -> int:
        """Columns that one token's keys take."""
        return self.columns_before[-1]

    @property
    def rows(self) -> int:
        """Rows that the keys reserve in every bank."""
        return self.grid.rows_of(self.slots * self.token_columns)

    def start(self, chunk: int, slot: int) -> int:
        """As `KeyPlaces`."""
        return self.base + self.slots * self.columns_before[chunk] + slot * self.columns_of(chunk)

    def score(self, context: int) -> Work:
        """q K^T over the first `context` tokens: one result per token, head and cut."""
        return self.score_groups(ceil_div(context, self.grid.banks)).moving(self.score_moves(context))

    def score_groups(self, groups: int) -> Work:
        """The program of `score`, which is the same for all contexts of as many groups of tokens."""
        slots = [share(groups, self.grid.channels, c) for c in range(self.grid.channels)]
        made = {n: self._channel(n) for n in set(slots)}
        requests = [made[n] for n in slots]
        if self.partial_sums == 1:
            return assemble(requests)
        turns = self.kv_heads if self.part is None else 1
        return assemble(requests, sums=turns * (self.partial_sums - 1), turns=turns)

    def score_wires(self, context: int) -> Wires:
        """As `mapping.layouts.Keys`: the queries of a chunk, then a sum of each piece of every slot."""
        groups, width = ceil_div(context, self.grid.banks), self.grid.width
        taken, given, columns = [], [], []
        for channel in range(self.grid.channels):
            slots = share(groups, self.grid.channels, channel)
            sent, back, products = [none(self.grid.given_width)], [none(self.grid.banks)], [none(2)]
            for chunk, member in self.fills if slots else ():
                pieces, of_each = self.chunks[chunk]
                if self.grid.packing:
                    each = [multiplied(of_each, width, 0, piece * of_each * width) for piece in range(pieces)]
                    products += each * slots
                sent.append(in_buffer(self._pieces(chunk, member, self.sharing), self.grid.given_width))
                for slot in range(slots):
                    tokens = self._scored(chunk, slot, channel, context)
                    for piece in range(self.chunks[chunk][0]):
                        head, cut = self._piece(chunk, piece)
                        first = ((head * self.sharing + member) * self.cuts + cut) * context
                        back.append(np.where(tokens == ZERO, ZERO, first + tokens)[np.newaxis])
            taken.append(np.concatenate(sent))
            given.append(np.concatenate(back))
            columns.append(np.concatenate(products))
        return Wires(tuple(taken), tuple(given), columns=tuple(columns), packing=self.grid.packing)

    def score_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Keys`."""
        heads = len(self.query_heads)
        results = self.grid.sum_words(heads * self.partial_sums * context)
        used = at_most(self.grid.channels, ceil_div(context, self.grid.banks))
        sent = self.grid.given_words(heads * self.head_dim)
        return Moved(
            payload=sent * used + results,
            macs=heads * self.head_dim * context,
            sent=0 * context + sent,
            results=results,
        )

    def _channel(self, slots: int) -> Requests:
        if slots == 0:
            return NOTHING
        fill, mac, read = multiply_with(self.grid)
        requests = [open_row(self.start(self.fills[0][0], 0))]
        for chunk, _ in self.fills:
            pieces, columns = self.chunks[chunk]
            requests.append(run(fill, -1, 0, self.grid.filled(pieces * columns), self.grid.broadcast_gap))
            requests.append(loop(mac, self.start(chunk, 0), slots * pieces, columns, columns, read))
        if self.partial_sums == 1:
            return Requests((*requests, close()), (2, 2, 2))
        rows = 2 * (self.sharing if self.part is None else 1)  # of a cut
        marks = (2 + rows, 2 + (self.partial_sums - 1) * rows, 2 + 2 * len(self.fills) - rows)
        return Requests((*requests, close()), marks)


# (first slot, units) of each head that a channel holds a part of
Heads = tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class ValueLayout:
    """V, column-major: each (head, dimension) is a run of tokens in one bank.

    A unit is one dimension per bank, all of one head, since a channel multiplies with the
    probabilities of one head at a time.  Units go to channels in contiguous shares, so that
    a channel meets few heads.  Tokens are cut into chunks of one global buffer.
    A part is one of the heads that each channel has, for one of the query heads that share it: channels work beside
    each other.
    """

    grid: Grid
    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    base: int = 0
    all_bank_append: bool = False
    part: int | None = field(default=None, kw_only=True)  # (None: all of them)

    @property
    def split(self) -> Split:
        """As `mapping.layouts.Values`."""
        return "heads"

    @cached_property
    def units_per_head(self) -> int:
        return ceil_div(self.head_dim, self.grid.banks)

    @cached_property
    def units(self) -> int:
        return self.kv_heads * self.units_per_head

    def _first(self, channel: int) -> int:
        return self.units * channel // self.grid.channels

    @cached_property
    def slots(self) -> int:
        """Units of the fullest channel."""
        return max(self._first(c + 1) - self._first(c) for c in range(self.grid.channels))

    @cached_property
    def chunks(self) -> tuple[int, ...]:
        """Columns that a unit reserves in each chunk of tokens."""
        return self.grid.buffers(self.grid.columns_of(self.tokens))

    @property
    def rows(self) -> int:
        """Rows that the values reserve in every bank."""
        return self.grid.rows_of(self.slots * sum(self.chunks))

    def _start(self, chunk: int) -> int:
        return self.base + self.slots * self.grid.buffer_columns * chunk  # all before it are full

    def partial_sums(self, context: N) -> N:
        """Partial sums of one result over `context` tokens: one per chunk."""
        return ceil_div(self.grid.columns_of(context), self.grid.buffer_columns)

    def sums(self, context: int) -> Cuts:
        """As `mapping.layouts.Values`."""
        return Cuts.of(context, self.grid.buffer_elements)

    def locate(self, token: int, head: int, element: int) -> Place[int]:
        """The address of V[token, head, element]; heads are counted among the V heads."""
        part, bank = divmod(element, self.grid.banks)
        unit = head * self.units_per_head + part
        channel = next(c for c in range(self.grid.channels) if unit < self._first(c + 1))
        column, lane = divmod(token, self.grid.width)
        chunk, column = divmod(column, self.grid.buffer_columns)
        lin = self._start(chunk) + (unit - self._first(channel)) * self.chunks[chunk] + column
        return self.grid.place(channel, bank, lin, lane)

    @cached_property
    def _rounds(self) -> int:
        """Heads that a channel has a part of at most: those that follow each other are in rounds of their own."""
        return max(len(self._heads_of(channel)) for channel in range(self.grid.channels))

    @cached_property
    def _sharing(self) -> tuple[int, ...]:
        """Which of the query heads that share a head are multiplied with."""
        every = range(self.heads // self.kv_heads)
        return tuple(every) if self.part is None else (self.part % len(every),)

    def _there(self, kv_head: int) -> bool:
        """Whether a head is multiplied with."""
        return self.part is None or kv_head % self._rounds == self.part // (self.heads // self.kv_heads)

    @cached_property
    def query_heads(self) -> tuple[int, ...]:
        """As `mapping.layouts.Parts`."""
        sharing, those = self.heads // self.kv_heads, filter(self._there, range(self.kv_heads))
        return tuple(head * sharing + member for head in those for member in self._sharing)

    @cached_property
    def parts(self) -> tuple[Self, ...]:
        """As `mapping.layouts.Parts`."""
        return tuple(replace(self, part=number) for number in range(self._rounds * (self.heads // self.kv_heads)))

    @cached_property
    def _heads(self) -> list[Heads]:
        """The heads that each channel holds a part of, of those that are multiplied with."""
        found = []
        for channel in range(self.grid.channels):
            first, parts = self._first(channel), self._heads_of(channel)
            found.append(tuple(each for each in parts if self._there((first + each[0]) // self.units_per_head)))
        return found

    def _heads_of(self, channel: int) -> list[tuple[int, int]]:
        """(first slot, units) of each head that `channel` holds a part of."""
        first, last = self._first(channel), self._first(channel + 1)
        parts = []
        while first < last:
            stop = min(last, (first // self.units_per_head + 1) * self.units_per_head)
            parts.append((first - self._first(channel), stop - first))
            first = stop
        return parts

    def weigh(self, context: int) -> Work:
        """p V over the first `context` tokens: one result per dimension and chunk of tokens."""
        return self.weigh_columns(self.grid.columns_of(context)).moving(self.weigh_moves(context))

    def weigh_columns(self, columns: int) -> Work:
        """The program of `weigh`, which is the same for all contexts of as many columns."""
        used = self.grid.buffers(columns)
        made = {parts: self._channel(parts, used) for parts in set(self._heads)}
        return assemble([made[parts] for parts in self._heads], sums=max(1, len(used) - 1))

    def weigh_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Values`."""
        sent = self.grid.given_words(len(self._sharing) * context * self._head_parts)
        results = self.grid.sum_words(len(self.query_heads) * self.head_dim * self.partial_sums(context))
        macs = len(self.query_heads) * self.head_dim * context
        return Moved(payload=sent + results, macs=macs, sent=sent, results=results)

    def weigh_wires(self, context: int) -> Wires:
        """As `mapping.layouts.Values`: a buffer of a head's probabilities, then the sums of its units."""
        taken, given, columns = [], [], []
        for channel, parts in enumerate(self._heads):
            sent, back, products = [none(self.grid.given_width)], [none(self.grid.banks)], [none(2)]
            for chunk in range(self.partial_sums(context)):
                first = chunk * self.grid.buffer_elements
                tokens = min(context - first, self.grid.buffer_elements)
                for slot, units in parts:
                    unit = self._first(channel) + slot + np.arange(units, dtype=np.int64)
                    element = unit[:, np.newaxis] % self.units_per_head * self.grid.banks + np.arange(self.grid.banks)
                    kv_head, sharing = int(unit[0]) // self.units_per_head, self.heads // self.kv_heads
                    for head in (kv_head * sharing + member for member in self._sharing):
                        weighed = in_columns(head * context + first, tokens, self.grid.width)
                        sent.append(in_buffer(weighed, self.grid.given_width))
                        place = (chunk * self.heads + head) * self.head_dim + element
                        back.append(np.where(element < self.head_dim, place, ZERO))
                        products += [multiplied(len(weighed), self.grid.width)] * units if self.grid.packing else []
            taken.append(np.concatenate(sent))
            given.append(np.concatenate(back))
            columns.append(np.concatenate(products))
        return Wires(tuple(taken), tuple(given), columns=tuple(columns), packing=self.grid.packing)

    def append_wires(self, token: int) -> Wires:
        """As `mapping.layouts.Values`: one element a column, in the order of `written`."""
        lane, order = token % self.grid.width, np.array(interleaved_banks(self.grid.device))
        taken = []
        for channel in range(self.grid.channels):
            unit = np.arange(self._first(channel), self._first(channel + 1), dtype=np.int64)[:, np.newaxis]
            element = unit % self.units_per_head * self.grid.banks + order
            place = unit // self.units_per_head * self.head_dim + element
            taken.append(one_lane(np.where(element < self.head_dim, place, ZERO).reshape(-1), lane, self.grid.width))
        return Wires(tuple(taken), (none(self.grid.banks),) * self.grid.channels, packing=self.grid.packing)

    @cached_property
    def _head_parts(self) -> int:
        """Heads that each channel holds a part of, summed over channels."""
        return sum(map(len, self._heads))

    def _channel(self, parts: Heads, used: tuple[int, ...]) -> Requests:
        if not parts:
            return NOTHING
        fill, mac, read = multiply_with(self.grid)
        requests = [open_row(self.base + parts[0][0] * self.chunks[0])]
        for chunk, columns in enumerate(used):
            for slot, units in parts:
                lin = self._start(chunk) + slot * self.chunks[chunk]
                for _ in self._sharing:
                    requests.append(run(fill, -1, 0, self.grid.filled(columns), self.grid.private_gap))
                    requests.append(loop(mac, lin, units, self.chunks[chunk], columns, read))
        rows = 2 * len(parts) * len(self._sharing)  # of a chunk
        last = 2 + (len(used) - 1) * rows
        return Requests((*requests, close()), (min(2 + rows, last), last, last))

    def append(self, token: int) -> Work:
        """Write one token's values: one element of one row per dimension."""
        chunk, column = divmod(token // self.grid.width, self.grid.buffer_columns)
        units = [self._first(channel + 1) - self._first(channel) for channel in range(self.grid.channels)]
        lin, stride = self._start(chunk) + column, self.chunks[chunk]
        made = {n: written(self.grid, self.all_bank_append, n, lin, stride) for n in set(units)}
        requests = [made[n] for n in units]
        words = self.grid.stored_words(self.kv_heads * self.head_dim)
        return assemble(requests, payload=words, sent=words)

    def appended_like(self, tokens: Ints) -> tuple[Ints, Ints]:
        """As `mapping.layouts.Values`: a token of the first column of the first chunk that is as wide."""
        chunk, column = np.divmod(tokens // self.grid.width, self.grid.buffer_columns)
        like = np.where(chunk == len(self.chunks) - 1, self.chunks.index(self.chunks[-1]), 0)
        shifts = self.slots * self.grid.buffer_columns * (chunk - like) + column
        return like * self.grid.buffer_elements, shifts


def written(grid: Grid, all_bank: bool, units: int, lin: int, stride: int) -> Requests:
    """Write one element of a column in every bank, for each of so many units; all_bank: their rows open at once."""
    write = grid.masked("WR")
    if not units:
        return NOTHING
    if not all_bank:
        return Requests((scatter(write, lin, units, stride, *grid.lead),))
    requests = []
    for unit in range(units):
        at = lin + unit * stride
        requests.append(open_row(at))
        requests += [run(write, bank, at, 1) for bank in interleaved_banks(grid.device)]
        requests.append(close())
    return Requests(tuple(requests))
