"""K and V on GDDR6-AiM: where they lie, and the programs that append to them and multiply with them.

Rows are not shared: a bank's keys of one chunk of heads of one token, and its values of one
dimension of a head over as many tokens as the buffer holds, have a row each.  One instruction
drives all channels that hold something, so that they run the same.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from pimsim.devices.aim.products import Product, marked
from pimsim.dram.program import Request, close, run, scatter
from pimsim.mapping.grid import Grid, Place, at_most, ceil_div, interleaved_banks
from pimsim.mapping.keys import KeyPlaces
from pimsim.mapping.layouts import Split
from pimsim.mapping.wires import ZERO, Cuts, Wires, in_buffer, in_columns, none, one_lane, widened
from pimsim.mapping.work import NOTHING, Ints, Moved, N, Requests, Work, assemble


@dataclass(frozen=True)
class KeyLayout(KeyPlaces):
    """K, a row for each chunk of a token.

    in_banks: the accumulators add up the scores of a head that is cut.
    """

    in_banks: bool = True

    @property
    def partial_sums(self) -> int:
        """Partial sums of one score that the ASIC adds up."""
        return 1 if self.in_banks else self.cuts

    @property
    def sums(self) -> Cuts:
        """As `mapping.layouts.Keys`."""
        return Cuts.of(self.head_dim, self.grid.buffer_elements, self.in_banks)

    @property
    def rows(self) -> int:
        """Rows that the keys reserve in every bank."""
        return self.slots * len(self.chunks)

    def start(self, chunk: int, slot: int) -> int:
        """As `KeyPlaces`."""
        return self.base + (chunk * self.slots + slot) * self.grid.device.columns

    def score_groups(self, groups: int) -> Work:
        """The program of q K^T, which is the same for all contexts of as many groups of tokens.

        The buffer is filled once for each chunk and each query head that shares it, and all tokens' rows follow.
        """
        slots, product = ceil_div(groups, self.grid.channels), Product(self.grid)
        rows: list[Request] = []
        for chunk, _ in self.fills:
            pieces, columns = self.chunks[chunk]
            rows.append(product.fill(pieces * columns, self.grid.broadcast_gap))
            for slot in range(slots):
                for piece in range(pieces):
                    rows += product.sum(self.start(chunk, slot) + piece * columns, columns)
        chunks, turns = (len(self.chunks), self.kv_heads) if self.part is None else (len(self.fills), 1)
        one, first, cuts = len(rows) // chunks, product.FIRST_RESULT, self.cuts
        used = min(self.grid.channels, groups)
        if cuts == 1:
            return lockstep(self.grid, used, rows, (first, first, first))
        complete = (cuts - 1) * one + first
        partial = complete if self.in_banks else one + first
        marks = (partial, complete, (chunks - 1) * one + first)
        sums = 1 if self.in_banks else turns * (cuts - 1)
        return lockstep(self.grid, used, rows, marks, sums, turns=turns)

    def score_wires(self, context: int) -> Wires:
        """As `mapping.layouts.Keys`: the queries of a chunk, then for each sum what it starts from, and itself."""
        grid, groups = self.grid, ceil_div(context, self.grid.banks)
        slots, used, own = ceil_div(groups, grid.channels), min(grid.channels, groups), self.heads * self.head_dim
        taken, given = [none(grid.lanes)] * grid.channels, [none(grid.banks)] * grid.channels
        for channel in range(used):
            sent, back = [], []
            for chunk, member in self.fills:
                query = in_buffer(self._pieces(chunk, member, self.sharing), grid.given_width)
                sent.append(widened(query, grid.lanes))
                for slot in range(slots):
                    tokens = self._scored(chunk, slot, channel, context)
                    for piece in range(self.chunks[chunk][0]):
                        head, cut = self._piece(chunk, piece)
                        first = (head * self.sharing + member) * self.partial_sums
                        first = (first + cut * (not self.in_banks)) * context
                        place = np.where(tokens == ZERO, ZERO, first + tokens)[np.newaxis]
                        goes_on = (place != ZERO) & (self.in_banks and cut > 0)
                        sent.append(widened(np.where(goes_on, own + place, ZERO), grid.lanes))
                        back.append(place)
            taken[channel], given[channel] = np.concatenate(sent), np.concatenate(back)
        return Wires(tuple(taken), tuple(given), own)

    def score_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Keys`."""
        used, heads = at_most(self.grid.channels, ceil_div(context, self.grid.banks)), len(self.query_heads)
        results = self.grid.sum_words(heads * self.cuts * context)
        sums = heads * (self.cuts - 1) * self.in_banks * context
        sent = self.grid.given_words(heads * self.head_dim)
        return Moved(
            payload=sent * used + sums + results,
            macs=heads * self.head_dim * context,
            sent=sent + sums,
            results=results,
        )


@dataclass(frozen=True)
class ValueLayout:
    """V, column-major: each (head, dimension) is a run of tokens in one bank.

    A unit is one dimension per bank, all of one head.  `ways` channels share a head, or a channel
    holds several.  Tokens are cut into segments of one global buffer; each unit has a row for each.
    A part is one of the heads of every channel, for one of the query heads that share it.
    """

    grid: Grid
    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    base: int = 0
    in_banks: bool = True
    all_bank_append: bool = True
    part: int | None = field(default=None, kw_only=True)  # (None: all of them)

    @property
    def split(self) -> Split:
        """As `mapping.layouts.Values`."""
        return "heads"

    @property
    def units(self) -> int:
        """Units of a head in one channel."""
        return ceil_div(self._parts, max(1, min(self.grid.channels // self.kv_heads, self._parts)))

    @property
    def ways(self) -> int:
        """Channels that a head is dealt to."""
        return ceil_div(self._parts, self.units)

    @property
    def _parts(self) -> int:
        """Units of a head."""
        return ceil_div(self.head_dim, self.grid.banks)

    @property
    def slots(self) -> int:
        """Heads of one channel."""
        return ceil_div(self.kv_heads, self.grid.channels // self.ways)

    @cached_property
    def _fills(self) -> tuple[tuple[int, int], ...]:
        """(slot, which of the query heads that share its head) of each filling of the buffer, in order."""
        sharing = self.heads // self.kv_heads
        every = [(slot, member) for slot in range(self.slots) for member in range(sharing)]
        return tuple(every) if self.part is None else (every[self.part],)

    @cached_property
    def query_heads(self) -> tuple[int, ...]:
        """As `mapping.layouts.Parts`."""
        if self.part is None:
            return tuple(range(self.heads))
        ((slot, member),) = self._fills
        return tuple(head * (self.heads // self.kv_heads) + member for head in range(slot, self.kv_heads, self.slots))

    @cached_property
    def parts(self) -> tuple[Self, ...]:
        """As `mapping.layouts.Parts`."""
        return tuple(replace(self, part=number) for number in range(self.slots * (self.heads // self.kv_heads)))

    @cached_property
    def used(self) -> int:
        """Channels that hold something, the first ones."""
        return ceil_div(self.kv_heads, self.slots) * self.ways

    @cached_property
    def segments(self) -> int:
        """Rows of a unit."""
        return len(self.grid.buffers(self.grid.columns_of(self.tokens)))

    @property
    def rows(self) -> int:
        """Rows that the values reserve in every bank."""
        return self.slots * self.units * self.segments

    def _start(self, slot: int, unit: int, segment: int) -> int:
        return self.base + ((slot * self.units + unit) * self.segments + segment) * self.grid.device.columns

    def sums(self, context: int) -> Cuts:
        """As `mapping.layouts.Values`."""
        return Cuts.of(context, self.grid.buffer_elements, self.in_banks)

    def locate(self, token: int, head: int, element: int) -> Place[int]:
        """The address of V[token, head, element]; heads are counted among the V heads."""
        part, bank = divmod(element, self.grid.banks)
        way, unit = divmod(part, self.units)
        owner, slot = divmod(head, self.slots)
        column, lane = divmod(token, self.grid.width)
        segment, column = divmod(column, self.grid.buffer_columns)
        return self.grid.place(owner * self.ways + way, bank, self._start(slot, unit, segment) + column, lane)

    def partial_sums(self, context: N) -> N:
        """Partial sums of one result over `context` tokens that the ASIC adds up."""
        return 0 * context + 1 if self.in_banks else self._cuts(context)

    def _cuts(self, context: N) -> N:
        return ceil_div(self.grid.columns_of(context), self.grid.buffer_columns)

    def weigh_columns(self, columns: int) -> Work:
        """The program of p V, which is the same for all contexts of as many columns."""
        cuts, product = self.grid.buffers(columns), Product(self.grid)
        rows: list[Request] = []
        for segment, some in enumerate(cuts):
            for slot, _ in self._fills:
                rows.append(product.fill(some, self.grid.private_gap))
                for unit in range(self.units):
                    rows += product.sum(self._start(slot, unit, segment), some)
        one, first = len(rows) // len(cuts), product.FIRST_RESULT
        complete = (len(cuts) - 1) * one + first
        partial = complete if self.in_banks else min(one + first, complete)
        sums = 1 if self.in_banks else max(1, len(cuts) - 1)
        return lockstep(self.grid, self.used, rows, (partial, complete, complete), sums)

    def weigh_wires(self, context: int) -> Wires:
        """As `mapping.layouts.Values`: a segment of a head's probabilities, then what its sums start from, and they."""
        grid, sharing, own = self.grid, self.heads // self.kv_heads, self.heads * context
        taken, given = [none(grid.lanes)] * grid.channels, [none(grid.banks)] * grid.channels
        for channel in range(self.used):
            owner, way = divmod(channel, self.ways)
            unit = np.arange(self.units, dtype=np.int64)[:, np.newaxis]
            element = (way * self.units + unit) * grid.banks + np.arange(grid.banks)
            sent, back = [], []
            for segment in range(self._cuts(context)):
                first = segment * grid.buffer_elements
                tokens = min(context - first, grid.buffer_elements)
                for slot, member in self._fills:
                    kv_head = owner * self.slots + slot
                    head, there = kv_head * sharing + member, kv_head < self.kv_heads
                    p = in_columns(head * context + first, tokens, grid.width)
                    p = in_buffer(p if there else np.full_like(p, ZERO), grid.given_width)
                    sent.append(widened(p, grid.lanes))
                    cut = segment * (not self.in_banks)
                    place = (cut * self.heads + head) * self.head_dim + element
                    place = np.where((element < self.head_dim) & there, place, ZERO)
                    goes_on = (place != ZERO) & (self.in_banks and segment > 0)
                    sent.append(widened(np.where(goes_on, own + place, ZERO), grid.lanes))
                    back.append(place)
            taken[channel], given[channel] = np.concatenate(sent), np.concatenate(back)
        return Wires(tuple(taken), tuple(given), own)

    def append_wires(self, token: int) -> Wires:
        """As `mapping.layouts.Values`: a piece has an element for every bank, or one for one bank."""
        grid, lane = self.grid, token % self.grid.width
        banks = np.arange(grid.banks) if self.all_bank_append else np.array(interleaved_banks(grid.device))
        taken = [none(grid.lanes)] * grid.channels
        for channel in range(self.used):
            owner, way = divmod(channel, self.ways)
            slot, unit = (part[:, np.newaxis] for part in np.divmod(np.arange(self.slots * self.units), self.units))
            element, head = (way * self.units + unit) * grid.banks + banks, owner * self.slots + slot
            place = np.where((element < self.head_dim) & (head < self.kv_heads), head * self.head_dim + element, ZERO)
            pieces = place if self.all_bank_append else one_lane(place.reshape(-1), lane, grid.width)
            taken[channel] = widened(pieces, grid.lanes)
        return Wires(tuple(taken), (none(grid.banks),) * grid.channels, lane=lane)

    def weigh_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Values`."""
        cuts, heads = self._cuts(context), len(self.query_heads)
        results = heads * self.head_dim
        sums = results * self.in_banks * (cuts - 1)
        sent, back = self.grid.given_words(heads * context * self.ways) + sums, self.grid.sum_words(results * cuts)
        return Moved(payload=sent + back, macs=results * context, sent=sent, results=back)

    def append(self, token: int) -> Work:
        """Write one token's values: one element of one row per dimension."""
        segment, column = divmod(token // self.grid.width, self.grid.buffer_columns)
        lin, count = self._start(0, 0, segment) + column, self.slots * self.units
        stride = self.segments * self.grid.device.columns
        rows = [self._write_all(lin + k * stride) for k in range(count)] if self.all_bank_append else [
            scatter(self.grid.masked("WR"), lin, count, stride, *self.grid.lead), close(),
        ]  # fmt: skip
        words = self.grid.stored_words(self.kv_heads * self.head_dim)
        return assemble(_of_channels(self.grid, self.used, Requests(tuple(rows))), payload=words, sent=words)

    def appended_like(self, tokens: Ints) -> tuple[Ints, Ints]:
        """As `mapping.layouts.Values`: the first token."""
        segment, column = np.divmod(tokens // self.grid.width, self.grid.buffer_columns)
        return np.zeros_like(tokens), segment * self.grid.device.columns + column

    def _write_all(self, lin: int) -> Request:
        """WR_ABK: a burst has an element for each bank."""
        return run(self.grid.masked("WRA16"), -1, lin, 1)


def _of_channels(grid: Grid, used: int, requests: Requests) -> list[Requests]:
    """The same for the first `used` channels, nothing for the others."""
    return [requests] * used + [NOTHING] * (grid.channels - used)


def lockstep(
    grid: Grid, used: int, rows: list[Request], marks: tuple[int, int, int], sums: int = 1, turns: int = 1
) -> Work:
    return assemble(_of_channels(grid, used, marked(rows, marks)), sums=sums, turns=turns)
