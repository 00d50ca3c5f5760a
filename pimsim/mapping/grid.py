"""The memory as the mapping sees it: addresses of elements, and columns that lie one after another.

All channels and all banks use the same rows for the same matrix, so that a channel's
banks multiply in lock step.  A region is a run of linear columns (row * columns +
column) that every bank reserves; it starts on a row boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic

import numpy as np

from pimsim.dram.program import bank_order
from pimsim.dram.timing import Device
from pimsim.formats import SUM_BITS
from pimsim.mapping.counting import N, at_most, ceil_div, pieces_of
from pimsim.mapping.packing import Packing

__all__ = ["N", "at_most", "ceil_div", "pieces_of"]  # of a grid, too
WORD_BITS = 16  # what a work counts in: a BF16


@dataclass(frozen=True)
class Place(Generic[N]):
    """The address of one element, or of each of many: lane counts elements inside the column."""

    channel: N
    bank: N
    row: N
    column: N
    lane: N


@dataclass(frozen=True)
class Grid:
    """The memory as the mapping sees it.

    buffer_columns: columns that one filling of the global buffer is multiplied with; broadcast_gap and
    private_gap: clocks between two columns that the ASIC can supply to all channels alike, or to each its own.
    packing: how what is stored lies in columns, and what it is multiplied with (None: BF16).
    """

    device: Device
    buffer_columns: int
    broadcast_gap: int = 0
    private_gap: int = 0
    packing: Packing | None = None

    @property
    def channels(self) -> int:
        return self.device.channels

    @property
    def banks(self) -> int:
        return self.device.banks

    @property
    def width(self) -> int:
        """Elements of a column."""
        return self.packing.width if self.packing else self.device.column_elements

    @property
    def given_width(self) -> int:
        """Elements of a column of the buffer."""
        return self.packing.given_width if self.packing else self.device.column_elements

    @property
    def pair(self) -> str:
        """The pair of formats that is multiplied ("": BF16)."""
        return self.packing.pair.name if self.packing else ""

    @property
    def whole_sums(self) -> bool:
        """Whether sums are read as integers of 32 bits."""
        return self.packing is not None and self.packing.sum_bits != SUM_BITS

    @property
    def lanes(self) -> int:
        """Elements that a command moves at most: a column's, or one of each bank."""
        return max(self.width, self.given_width, self.banks)

    @property
    def buffer_elements(self) -> int:
        """Elements of the global buffer."""
        return self.buffer_columns * self.width

    def filled(self, columns: int) -> int:
        """Columns of the buffer that take what `columns` columns are multiplied with."""
        return self.packing.filled(columns) if self.packing else columns

    def given_words(self, elements: N) -> N:
        """Words of 16 bits, as `Work` counts, of so many elements that go to the buffer."""
        return ceil_div(elements * self.packing.pair.given.bits, WORD_BITS) if self.packing else elements

    def stored_words(self, elements: N) -> N:
        """The same of elements that are stored."""
        return ceil_div(elements * self.packing.pair.stored.bits, WORD_BITS) if self.packing else elements

    def sum_words(self, sums: N) -> N:
        """The same of sums that are read."""
        return sums * (self.packing.sum_bits // WORD_BITS) if self.packing else sums

    def with_buffer(self, columns: int) -> Grid:
        """The same memory with so many columns of the buffer in use."""
        return self if columns == self.buffer_columns else replace(self, buffer_columns=columns)

    def packed(self, packing: Packing | None) -> Grid:
        """The same memory for what is packed otherwise."""
        if packing is None:
            return self
        return replace(self, packing=packing, buffer_columns=packing.buffered(self.buffer_columns))

    def command(self, name: str) -> int:
        """The number of a command of the device."""
        return self.device.standard.index(name)

    def masked(self, name: str) -> int:
        """The number of the command that writes one element of a column, where `name` writes the column."""
        return self.command(self.device.standard.masked(name) if self.width > 1 else name)

    def columns_of(self, elements: N) -> N:
        """Columns that hold `elements`."""
        return ceil_div(elements, self.width)

    def buffers(self, columns: int) -> tuple[int, ...]:
        """`columns` cut into global buffers: all full but the last."""
        return pieces_of(columns, self.buffer_columns)

    def rows_of(self, columns: int) -> int:
        """Rows of a bank that hold `columns`."""
        return ceil_div(columns, self.device.columns)

    @cached_property
    def lead(self) -> tuple[int, int]:
        """How many banks ahead of a write to each to open, and behind it to close, so that activations set the pace.

        A bank closes before its turn comes again, so that no element's row is closed before it is written.
        """
        cycles = self.device.cycles
        pace = max(cycles["nRRDS"], ceil_div(cycles["nFAW"], 4), 1)
        ahead = min(ceil_div(cycles["nRCDWR"], pace), self.banks - 1)
        recover = cycles["nCWL"] + cycles["nBL"] + cycles["nWR"]
        return ahead, min(ahead + ceil_div(recover, pace), self.banks - 1)

    def place(self, channel: N, bank: N, lin: N, lane: N) -> Place[N]:
        """The address of a linear column."""
        return Place(channel, bank, lin // self.device.columns, lin % self.device.columns, lane)


def size_of(chunks: Sequence[int], chunk: N) -> N:
    """The size of a chunk, or of each of many."""
    return chunks[chunk] if isinstance(chunk, int) else np.array(chunks, np.int64)[chunk]


def share(total: int, parts: int, part: int) -> int:
    """How many of `total` dealt round robin to `parts` go to `part`."""
    return (total - part + parts - 1) // parts


def interleaved_banks(device: Device) -> list[int]:
    """All banks of a channel, bank groups alternating."""
    return [bank_order(k, device.bank_groups, device.banks_per_group) for k in range(device.banks)]


def make_grid(device: Device, buffer_bytes: int, broadcast_gap: int = 0, private_gap: int = 0) -> Grid:
    """The grid of a device with a global buffer of `buffer_bytes`."""
    return Grid(device, buffer_bytes // device.column_bytes, broadcast_gap, private_gap)
