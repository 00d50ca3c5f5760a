"""Request streams: where each access goes and when it arrives.

Addresses count columns (one read or write each).  Consecutive columns go round the
channels, then the bank groups, then the columns of a row, then the banks, then the rows,
so that a stream meets the short timings (tCCDS) and keeps its rows open.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.timing import Device

Ints = NDArray[np.int64]

PATTERNS = ("stream", "random")


def decode(address: Ints, device: Device) -> tuple[Ints, Ints, Ints, Ints]:
    """Channel, bank of the channel, row and column of each column address (modulo the memory's size)."""
    rest = address
    rest, channel = np.divmod(rest, device.channels)
    rest, group = np.divmod(rest, device.bank_groups)
    rest, column = np.divmod(rest, device.columns)
    rest, bank = np.divmod(rest, device.banks_per_group)
    return channel, group * device.banks_per_group + bank, rest % device.rows, column


def encode(channel: Ints, bank: Ints, row: Ints, column: Ints, device: Device) -> Ints:
    """The column address of a place; the inverse of `decode`."""
    group, inner = np.divmod(bank, device.banks_per_group)
    address = ((row * device.banks_per_group + inner) * device.columns + column) * device.bank_groups + group
    return np.asarray(address * device.channels + channel, np.int64)


def addresses(pattern: str, n: int, device: Device, rng: np.random.Generator) -> Ints:
    """n column addresses: from 0 on ("stream"), or anywhere with equal chance ("random")."""
    if pattern == "stream":
        return np.arange(n, dtype=np.int64)
    if pattern == "random":
        size = device.channels * device.banks * device.rows * device.columns
        return rng.integers(0, size, n, dtype=np.int64)
    raise ValueError(f"pattern must be one of {PATTERNS}, not {pattern!r}")


def arrivals(n: int, device: Device, rate_GBps: float | None) -> Ints:
    """Clocks at which n requests arrive: evenly at a rate in 1e9 bytes/s, or all at clock 0 (None)."""
    if rate_GBps is None:
        return np.zeros(n, np.int64)
    clocks = device.column_bytes * 1000 / (rate_GBps * device.tCK_ps)
    return np.asarray(np.floor(np.arange(n) * clocks), np.int64)
