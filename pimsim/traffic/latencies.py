"""Latencies of any number of requests: exact counts, in little memory.

Each value is counted by itself, in pages of neighbouring values; pages that were not used for
some time are packed.  Values that come again, some clocks longer each time, are kept once.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.engine import Ints

PAGE_BITS = 14
PAGE = 1 << PAGE_BITS  # values of a page
OPEN_PAGES = 128  # that are not packed
_TOGETHER = 1 << 16  # values that are counted at a time


@dataclass(frozen=True)
class _Series:
    """Sorted values (n,) that come `times` times, `step` clocks longer each time, on so many channels."""

    values: Ints
    times: int
    step: int
    channels: int

    def up_to(self, latency: int) -> int:
        """How many are not longer."""
        low, high = int(self.values[0]), int(self.values[-1])
        whole = min(max((latency - high) // self.step + 1, 0), self.times)  # times at which all are not longer
        some = min(max((latency - low) // self.step + 1, 0), self.times)  # times at which the first one is not
        left = latency - np.arange(whole, some, dtype=np.int64) * self.step
        parts = int(np.searchsorted(self.values, left, side="right").sum())
        return self.channels * (whole * self.values.size + parts)


class Latencies:
    """How many requests took how many clocks."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0  # clocks
        self._min, self._max = 1 << 62, -1
        self._open: OrderedDict[int, Ints] = OrderedDict()  # pages by their numbers, the one used last at the end
        self._packed: dict[int, NDArray[np.uint8]] = {}
        self._sizes: dict[int, int] = {}  # values in each page
        self._series: list[_Series] = []
        self._waiting: list[Ints] = []  # values that are not counted yet

    def add(self, clocks: Ints, times: int = 1, step: int = 0, channels: int = 1) -> None:
        """Latencies (n,) of requests; they come `times` times, `step` clocks longer each time, on so many channels."""
        if not clocks.size:
            return
        self.count += clocks.size * times * channels
        self.total += (int(clocks.sum()) * times + clocks.size * step * (times * (times - 1) // 2)) * channels
        self._min = min(self._min, int(clocks.min()))
        self._max = max(self._max, int(clocks.max()) + step * (times - 1))
        if step and times > 1:
            self._series.append(_Series(np.sort(clocks), times, step, channels))
        elif times * channels > 1:
            self._count(clocks, times * channels)
        else:
            self._waiting.append(clocks)
            if sum(map(len, self._waiting)) >= _TOGETHER:
                self._count_waiting()

    def min(self) -> int:
        """The shortest one."""
        return self._min

    def max(self) -> int:
        """The longest one."""
        return self._max

    def quantile(self, share: float) -> int:
        """The shortest latency that at least this share of the requests does not exceed."""
        self._count_waiting()
        wanted = max(math.ceil(self.count * share - 1), 0) + 1
        low, high = self._min, self._max
        while low < high:
            middle = (low + high) // 2
            if self._up_to(middle) >= wanted:
                high = middle
            else:
                low = middle + 1
        return low

    def _up_to(self, latency: int) -> int:
        """How many requests took not longer."""
        last, at = divmod(latency, PAGE)
        found = sum(size for number, size in self._sizes.items() if number < last)
        if last in self._sizes:
            found += int(self._page(last)[: at + 1].sum())
        return found + sum(series.up_to(latency) for series in self._series)

    def _count_waiting(self) -> None:
        if self._waiting:
            self._count(np.concatenate(self._waiting), 1)
            self._waiting.clear()

    def _count(self, clocks: Ints, times: int) -> None:
        values = np.sort(clocks)
        first = np.flatnonzero(np.concatenate([[True], values[1:] != values[:-1]]))
        counts = np.diff(first, append=values.size) * times
        values = values[first]
        numbers = values >> PAGE_BITS
        starts = np.flatnonzero(np.concatenate([[True], numbers[1:] != numbers[:-1]]))
        for start, stop in zip(starts.tolist(), [*starts[1:].tolist(), values.size], strict=True):
            number = int(numbers[start])
            self._page(number)[values[start:stop] & (PAGE - 1)] += counts[start:stop]
            self._sizes[number] = self._sizes.get(number, 0) + int(counts[start:stop].sum())

    def _page(self, number: int) -> Ints:
        """The counts (PAGE,) of a page, to read or to change."""
        if number in self._open:
            self._open.move_to_end(number)
            return self._open[number]
        packed = self._packed.pop(number, None)
        self._open[number] = np.zeros(PAGE, np.int64) if packed is None else _unpacked(packed)
        if len(self._open) > OPEN_PAGES:
            oldest, counts = self._open.popitem(last=False)
            self._packed[oldest] = _packed(counts)
        return self._open[number]


def _packed(counts: Ints) -> NDArray[np.uint8]:
    """Counts (PAGE,) as bits: a row for each that the largest one has."""
    bits = np.arange(max(int(counts.max()).bit_length(), 1))
    return np.packbits((counts >> bits[:, np.newaxis]) & 1 != 0, axis=1)


def _unpacked(rows: NDArray[np.uint8]) -> Ints:
    """The counts again."""
    return np.unpackbits(rows, axis=1).astype(np.int64).T @ (1 << np.arange(len(rows), dtype=np.int64))
