"""Where K lies on devices that keep one token's keys in one bank, and how it is written there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from math import gcd
from typing import Self

import numpy as np

from pimsim.dram.program import Request, close, open_row, run
from pimsim.mapping.grid import Grid, Place, ceil_div
from pimsim.mapping.wires import ZERO, Wires, in_columns, in_one, none
from pimsim.mapping.work import NOTHING, Ints, Requests, Work, assemble


@dataclass(frozen=True)
class KeyPlaces(ABC):
    """K, row-major: one token's keys of all heads lie in one bank, in space for `tokens`.

    most_heads: of a chunk (None: as many as fit).

    Tokens in sets of one per bank are dealt to channels round robin.  A chunk holds as
    many whole heads as the buffer does (a head larger than the buffer is cut).  Chunks of
    one token go to different banks, so that appending it overlaps their activations.
    part: which of its `parts` is multiplied with.
    """

    grid: Grid
    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    base: int = 0
    most_heads: int | None = field(default=None, kw_only=True)
    part: int | None = field(default=None, kw_only=True)  # (None: all of them)

    @abstractmethod
    def start(self, chunk: int, slot: int) -> int:
        """The linear column where the keys of a chunk start that a bank holds of its `slot`-th token."""

    @cached_property
    def chunks(self) -> tuple[tuple[int, int], ...]:
        """(pieces, columns of a piece) of each chunk; a piece is a head or a part of one."""
        head = self.grid.columns_of(self.head_dim)
        room = self.grid.buffer_columns
        if head > room:
            return tuple((1, columns) for columns in self.grid.buffers(head)) * self.kv_heads
        together = min(room // head, self.most_heads or room)
        full, rest = divmod(self.kv_heads, together)
        return ((together, head),) * full + (((rest, head),) if rest else ())

    @property
    def cuts(self) -> int:
        """Pieces that one head is cut into."""
        return len(self.grid.buffers(self.grid.columns_of(self.head_dim)))

    @property
    def sharing(self) -> int:
        """Query heads that share the keys of one head."""
        return self.heads // self.kv_heads

    @cached_property
    def fills(self) -> tuple[tuple[int, int], ...]:
        """(chunk, which of the query heads that share one of its heads) of each filling of the buffer, in order.

        A part is the filling of one chunk, or of all that have pieces of one query head.
        """
        together = self.cuts if self.cuts > 1 else 1
        firsts = range(0, len(self.chunks), together)
        parts = [[(first + cut, member) for cut in range(together)] for first in firsts for member in self._members]
        if self.part is not None:
            return tuple(parts[self.part])
        return tuple((chunk, member) for chunk in range(len(self.chunks)) for member in self._members)

    @property
    def _members(self) -> range:
        return range(self.sharing)

    @cached_property
    def query_heads(self) -> tuple[int, ...]:
        """As `mapping.layouts.Parts`."""
        if self.part is None:
            return tuple(range(self.heads))
        chunk, member = self.fills[0]
        pieces = range(self.chunks[chunk][0])
        return tuple(self._piece(chunk, piece)[0] * self.sharing + member for piece in pieces)

    @cached_property
    def parts(self) -> tuple[Self, ...]:
        """As `mapping.layouts.Parts`."""
        count = len(self.chunks) // (self.cuts if self.cuts > 1 else 1) * self.sharing
        return tuple(replace(self, part=number) for number in range(count))

    def columns_of(self, chunk: int) -> int:
        """Columns of one token's keys of a chunk."""
        pieces, columns = self.chunks[chunk]
        return pieces * columns

    @cached_property
    def columns_before(self) -> tuple[int, ...]:
        """Columns of one token's keys of all chunks before each; the last number is of all."""
        return tuple(accumulate(map(self.columns_of, range(len(self.chunks))), initial=0))

    @cached_property
    def slots(self) -> int:
        """Tokens that each bank of the fullest channel has room for."""
        return ceil_div(ceil_div(self.tokens, self.grid.banks), self.grid.channels)

    def _home(self, token: int, chunk: int) -> tuple[int, int, int]:
        """(channel, bank, linear column) where `token`'s keys of `chunk` start."""
        group, member = divmod(token, self.grid.banks)
        slot, channel = divmod(group, self.grid.channels)
        return channel, (member + chunk) % self.grid.banks, self.start(chunk, slot)

    def locate(self, token: int, head: int, element: int) -> Place[int]:
        """The address of K[token, head, element]; heads are counted among the K heads."""
        column, lane = divmod(element, self.grid.width)
        if self.cuts > 1:
            cut, column = divmod(column, self.grid.buffer_columns)
            chunk, offset = head * self.cuts + cut, column
        else:
            per_chunk, columns = self.chunks[0]
            chunk, piece = divmod(head, per_chunk)
            offset = piece * columns + column
        channel, bank, lin = self._home(token, chunk)
        return self.grid.place(channel, bank, lin + offset, lane)

    def append(self, token: int) -> Work:
        """Write one token's keys: a run of consecutive columns per chunk."""
        write = self.grid.command(self.grid.device.standard.roles.write)
        rows: list[Request] = []
        chunks = range(len(self.chunks))
        for first in range(0, len(self.chunks), self.grid.banks):
            some = chunks[first : first + self.grid.banks]
            homes = [(self._home(token, chunk), self.columns_of(chunk)) for chunk in some]
            rows += [open_row(lin, bank) for (_, bank, lin), _ in homes]
            rows += [run(write, bank, lin, n, self.grid.broadcast_gap) for (_, bank, lin), n in homes]
        requests = [NOTHING] * self.grid.channels
        requests[self._home(token, 0)[0]] = Requests((*rows, close()))
        words = self.grid.stored_words(self.kv_heads * self.head_dim)
        return assemble(requests, payload=words, sent=words)

    def append_wires(self, token: int) -> Wires:
        """As `mapping.layouts.Keys`."""
        pieces = np.concatenate([self._pieces(chunk, 0, 1) for chunk in range(len(self.chunks))])
        taken = in_one(self._home(token, 0)[0], pieces, self.grid.channels)
        return Wires(taken, (none(self.grid.lanes),) * self.grid.channels, packing=self.grid.packing)

    def _pieces(self, chunk: int, member: int, sharing: int) -> Ints:
        """Columns of a chunk, of the `member`-th of `sharing` heads that share one of its: places (head, element)."""
        found = []
        for piece in range(self.chunks[chunk][0]):
            head, cut = self._piece(chunk, piece)
            first = cut * self.grid.buffer_elements
            elements = min(self.head_dim - first, self.grid.buffer_elements)
            found.append(in_columns((head * sharing + member) * self.head_dim + first, elements, self.grid.width))
        return np.concatenate(found)

    def _piece(self, chunk: int, piece: int) -> tuple[int, int]:
        """(head, cut) of a piece of a chunk."""
        return divmod(chunk, self.cuts) if self.cuts > 1 else (chunk * self.chunks[0][0] + piece, 0)

    def _scored(self, chunk: int, slot: int, channel: int, context: int) -> Ints:
        """The token of each bank in a slot, as keys of a chunk lie in it; `ZERO` beyond the context."""
        banks = np.arange(self.grid.banks, dtype=np.int64)
        member = (banks - chunk) % self.grid.banks
        tokens = (slot * self.grid.channels + channel) * self.grid.banks + member
        return np.where(tokens < context, tokens, ZERO)

    def appended_like(self, tokens: Ints) -> tuple[Ints, Ints]:
        """As `mapping.layouts.Keys`: a token of the same channel and bank whose keys start at the same columns."""
        strides = {self.start(chunk, 1) - self.start(chunk, 0) for chunk in range(len(self.chunks))}
        if len(strides) > 1:
            return tokens, np.zeros_like(tokens)
        stride, columns, together = strides.pop(), self.grid.device.columns, self.grid.channels * self.grid.banks
        slots = tokens // together
        further = slots - slots % (columns // gcd(columns, stride))
        return tokens - further * together, further * stride
