"""The memory as the mapping sees it: addresses of elements, and columns that lie one after another.

All channels and all banks use the same rows for the same matrix, so that a channel's
banks multiply in lock step.  A region is a run of linear columns (row * columns +
column) that every bank reserves; it starts on a row boundary.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.program import bank_order
from pimsim.dram.timing import Device

N = TypeVar("N", int, NDArray[np.int64])  # a number of one step, or one of each of many


@dataclass(frozen=True)
class Place(Generic[N]):
    """The address of one element, or of each of many: lane counts BF16 elements inside the column."""

    channel: N
    bank: N
    row: N
    column: N
    lane: N


@dataclass(frozen=True)
class Grid:
    """The memory as the mapping sees it.

    buffer_columns: columns of the global buffer; broadcast_gap and private_gap: clocks
    between two columns that the ASIC can supply to all channels alike, or to each its own.
    """

    device: Device
    buffer_columns: int
    broadcast_gap: int = 0
    private_gap: int = 0

    @property
    def channels(self) -> int:
        return self.device.channels

    @property
    def banks(self) -> int:
        return self.device.banks

    @property
    def width(self) -> int:
        """Elements of a column."""
        return self.device.column_elements

    @property
    def lanes(self) -> int:
        """Elements that a command moves at most: a column's, or one of each bank."""
        return max(self.width, self.banks)

    @property
    def buffer_elements(self) -> int:
        """Elements of the global buffer."""
        return self.buffer_columns * self.width

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


def ceil_div(a: N, b: int) -> N:
    """a / b rounded up, for whole numbers."""
    return -(-a // b)


def pieces_of(total: int, most: int) -> tuple[int, ...]:
    """`total` cut into pieces of `most`; the last has what is left."""
    full, rest = divmod(total, most)
    return (most,) * full + ((rest,) if rest else ())


def size_of(chunks: Sequence[int], chunk: N) -> N:
    """The size of a chunk, or of each of many."""
    return chunks[chunk] if isinstance(chunk, int) else np.array(chunks, np.int64)[chunk]


def at_most(most: int, n: N) -> N:
    """The smaller of two whole numbers."""
    return min(most, n) if isinstance(n, int) else np.minimum(most, n)


def share(total: int, parts: int, part: int) -> int:
    """How many of `total` dealt round robin to `parts` go to `part`."""
    return (total - part + parts - 1) // parts


def interleaved_banks(device: Device) -> list[int]:
    """All banks of a channel, bank groups alternating."""
    return [bank_order(k, device.bank_groups, device.banks_per_group) for k in range(device.banks)]


def make_grid(device: Device, buffer_bytes: int, broadcast_gap: int = 0, private_gap: int = 0) -> Grid:
    """The grid of a device with a global buffer of `buffer_bytes`."""
    return Grid(device, buffer_bytes // device.column_bytes, broadcast_gap, private_gap)
