"""V that is split along tokens: where it lies when every channel has all heads of some tokens.

K is dealt to channels by tokens, and V is usually dealt by heads, so that a channel is sent whole rows of
probabilities.  Where many query heads share few heads of V, that leaves channels without work, and sends the others
the probabilities of many heads.  Split along tokens a channel takes those of its own tokens alone, and makes partial
results of all heads; the ASIC adds up what comes of the channels.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Self

import numpy as np

from pimsim.mapping.grid import Grid, Place, at_most, ceil_div
from pimsim.mapping.layouts import Split
from pimsim.mapping.wires import ZERO, Cuts
from pimsim.mapping.work import Ints, Moved, N


@dataclass(frozen=True)
class DealtValues(ABC):
    """V, column-major: each (head, dimension) has a run of tokens in one bank of every channel.

    A column of tokens is as many as a column of the memory has elements.  Columns are dealt to as many ways as there
    are channels, round robin; a way of a head is a channel.  The columns of a way are cut into pieces of one global
    buffer.  A unit is one dimension per bank, all of one head.
    A part is a group of heads, for one of the query heads that share each.
    """

    grid: Grid
    heads: int
    kv_heads: int
    head_dim: int
    tokens: int
    base: int = 0
    part: int | None = field(default=None, kw_only=True)  # (None: all of them)

    @property
    def split(self) -> Split:
        """As `mapping.layouts.Values`."""
        return "tokens"

    @abstractmethod
    def start(self, cut: int, head: int, unit: int) -> int:
        """The linear column where a unit's tokens of a piece start."""

    def turn(self, head: int) -> int:
        """The channel of a head's first way; the others follow."""
        return 0

    @property
    def adds_up(self) -> bool:
        """Whether the banks add up the pieces of a way; else the ASIC does."""
        return False

    @property
    def sharing(self) -> int:
        """Query heads that share the values of one head."""
        return self.heads // self.kv_heads

    @property
    @abstractmethod
    def groups(self) -> tuple[range, ...]:
        """Heads that go together, in order."""

    @cached_property
    def fills(self) -> tuple[tuple[int, int], ...]:
        """(group, which of the query heads that share one of its heads) of each part, in order."""
        every = [(group, member) for group in range(len(self.groups)) for member in range(self.sharing)]
        return tuple(every) if self.part is None else (every[self.part],)

    @cached_property
    def query_heads(self) -> tuple[int, ...]:
        """As `mapping.layouts.Parts`."""
        if self.part is None:
            return tuple(range(self.heads))
        ((group, member),) = self.fills
        return tuple(head * self.sharing + member for head in self.groups[group])

    @cached_property
    def parts(self) -> tuple[Self, ...]:
        """As `mapping.layouts.Parts`."""
        return tuple(replace(self, part=number) for number in range(len(self.groups) * self.sharing))

    @cached_property
    def units(self) -> int:
        """Units of a head."""
        return ceil_div(self.head_dim, self.grid.banks)

    @cached_property
    def columns(self) -> int:
        """Columns of tokens that a unit has room for in each way."""
        return ceil_div(self.grid.columns_of(self.tokens), self.grid.channels)

    @cached_property
    def cuts(self) -> tuple[int, ...]:
        """Columns of each piece that are reserved."""
        return self.grid.buffers(self.columns)

    def ways(self, context: N) -> N:
        """Ways that have tokens, the first ones."""
        return at_most(self.grid.channels, self.grid.columns_of(context))

    def pieces(self, context: N) -> N:
        """Pieces that have tokens, of all ways."""
        columns, together = self.grid.columns_of(context), self.grid.channels * self.grid.buffer_columns
        full = (columns - 1) // together
        return full * self.grid.channels + at_most(self.grid.channels, columns - full * together)

    def partial_sums(self, context: N) -> N:
        """As `mapping.layouts.Values`: one of each way, or of each of its pieces."""
        return self.ways(context) if self.adds_up else self.pieces(context)

    def sums(self, context: int) -> Cuts:
        """As `mapping.layouts.Values`: the first pieces of all ways, then the second ones."""
        grid = self.grid
        return Cuts.dealt(context, grid.buffer_elements, self.adds_up, grid.channels, grid.width)

    def way(self, channel: int, head: int) -> int:
        """Which way of a head a channel is."""
        return (channel - self.turn(head)) % self.grid.channels

    def home(self, token: int, head: int) -> tuple[int, int, int]:
        """(channel, piece, column in it) of a token."""
        slot, way = divmod(token // self.grid.width, self.grid.channels)
        return (way + self.turn(head)) % self.grid.channels, *divmod(slot, self.grid.buffer_columns)

    def locate(self, token: int, head: int, element: int) -> Place[int]:
        """The address of V[token, head, element]; heads are counted among the V heads."""
        (channel, cut, column), (unit, bank) = self.home(token, head), divmod(element, self.grid.banks)
        return self.grid.place(channel, bank, self.start(cut, head, unit) + column, token % self.grid.width)

    def weighed(self, way: int, cut: int, columns: int, context: int) -> Ints:
        """(columns, width) tokens of the first columns of a piece, `ZERO` beyond the context."""
        grid = self.grid
        slots = cut * grid.buffer_columns + np.arange(columns, dtype=np.int64)[:, np.newaxis]
        tokens = (slots * grid.channels + way) * grid.width + np.arange(grid.width)
        return np.where(tokens < context, tokens, ZERO)

    def elements(self, first: int, banks: Ints) -> Ints:
        """(units, banks) elements of a head that the units have, counted from place `first`; `ZERO` beyond it."""
        element = np.arange(self.units, dtype=np.int64)[:, np.newaxis] * self.grid.banks + banks
        return np.where(element < self.head_dim, first + element, ZERO)

    def results(self, way: int, cut: int, head: int) -> Ints:
        """(units, banks) places of the partial results of a query head, in order of (partial sum, head, element)."""
        part = way if self.adds_up else cut * self.grid.channels + way
        return self.elements((part * self.heads + head) * self.head_dim, np.arange(self.grid.banks))

    def weigh_moves(self, context: N) -> Moved[N]:
        """As `mapping.layouts.Values`: each probability goes to one channel."""
        pieces, heads = self.pieces(context), len(self.query_heads)
        outputs = heads * self.head_dim
        sums = outputs * self.adds_up * (pieces - self.ways(context))
        sent = self.grid.given_words(heads * context) + self.grid.sum_words(sums)
        results = self.grid.sum_words(outputs * pieces)
        return Moved(payload=sent + results, macs=outputs * context, sent=sent, results=results)

    def appended_like(self, tokens: Ints) -> tuple[Ints, Ints]:
        """As `mapping.layouts.Values`: a token of the way's first column, in the first piece that is as wide."""
        slot, way = np.divmod(tokens // self.grid.width, self.grid.channels)
        cut, column = np.divmod(slot, self.grid.buffer_columns)
        like = np.where(cut == len(self.cuts) - 1, self.cuts.index(self.cuts[-1]), 0)
        starts = np.array([self.start(each, 0, 0) for each in range(len(self.cuts))], np.int64)
        first = (like * self.grid.buffer_columns * self.grid.channels + way) * self.grid.width
        return first, starts[cut] - starts[like] + column
