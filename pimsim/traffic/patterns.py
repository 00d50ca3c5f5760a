"""Request streams: where each access goes and when it arrives, made in chunks.

Addresses count columns (one read or write each).  Consecutive columns go round the
channels, then the bank groups, then the columns of a row, then the banks, then the rows,
so that a stream meets the short timings (tCCDS) and keeps its rows open.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import gcd
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.streams import Stream
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]

PATTERNS = ("stream", "random")
CHUNK = 1 << 15  # requests that are made at a time
SHORTEST, LONGEST = 512, 1 << 14  # requests of a block of a stream, in a channel


class Chunk(NamedTuple):
    """Requests in order of arrival: the channel (n,) of each, and (n, 5) as a channel takes them."""

    channel: Ints
    requests: Ints


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


def arrivals(numbers: Ints, device: Device, rate_GBps: float | None) -> Ints:
    """Clocks at which requests arrive, by their numbers: evenly at a rate in 1e9 bytes/s, or all at clock 0 (None)."""
    if rate_GBps is None:
        return np.zeros(numbers.shape, np.int64)
    clocks = device.column_bytes * 1000 / (rate_GBps * device.tCK_ps)
    return np.asarray(np.floor(numbers * clocks), np.int64)


@dataclass(frozen=True)
class Pattern:
    """Requests of a pattern.

    "stream": each goes to the `stride`-th column after the one before; "random": to any, with
    equal chance.  rate_GBps: of arrivals, in 1e9 bytes/s (None: all are there at clock 0).
    """

    device: Device
    pattern: str
    requests: int
    read_fraction: float
    rate_GBps: float | None
    seed: int
    stride: int = 1

    def chunks(self, first: int = 0) -> Iterator[Chunk]:
        """The requests from a number on, which is not 0 only where `streams` has those before."""
        addresses = np.random.default_rng(self.seed)
        reads = np.random.default_rng(self.seed)
        if self.pattern == "random" and self._mixed:
            for start, stop in self._spans(0):  # reads are drawn after all addresses
                self._addresses(start, stop, reads)
        for start, stop in self._spans(first):
            places = decode(self._addresses(start, stop, addresses), self.device)
            command = self._commands(stop - start, reads)
            columns = [arrivals(np.arange(start, stop), self.device, self.rate_GBps), command, *places[1:]]
            yield Chunk(places[0], np.stack(columns, axis=1))

    def _spans(self, first: int) -> Iterator[tuple[int, int]]:
        for start in range(first, self.requests, CHUNK):
            yield start, min(start + CHUNK, self.requests)

    @property
    def _size(self) -> int:
        return self.device.channels * self.device.banks * self.device.rows * self.device.columns

    @property
    def _mixed(self) -> bool:
        return 0 < self.read_fraction < 1

    def _addresses(self, start: int, stop: int, rng: np.random.Generator) -> Ints:
        if self.pattern == "random":
            return rng.integers(0, self._size, stop - start, dtype=np.int64)
        return np.arange(start, stop, dtype=np.int64) * (self.stride % self._size)

    def _commands(self, n: int, rng: np.random.Generator) -> Ints:
        standard = self.device.standard
        read, write = standard.index(standard.roles.read), standard.index(standard.roles.write)
        if self._mixed:
            return np.where(rng.random(n) < self.read_fraction, read, write)
        return np.full(n, read if self.read_fraction else write)

    def streams(self) -> tuple[int, dict[int, Stream]]:
        """The first requests as a stream of each channel that has some, and how many those are; none may be."""
        device = self.device
        if self.pattern != "stream" or self._mixed:
            return 0, {}
        # Columns of all rows with one number: so many requests on, everything is some rows on.
        span = device.channels * device.banks * device.columns
        round_, step = span // gcd(span, self.stride), self.stride // gcd(span, self.stride)
        shared = device.channels // gcd(device.channels, self.stride)  # channels that have requests
        rounds = -(-SHORTEST * shared // round_)
        length = rounds * round_
        times = self.requests // length
        if times < 2 or length > LONGEST * shared:
            return 0, {}
        numbers = np.arange(length)
        channel, bank, row, column = decode(numbers * (self.stride % self._size), device)
        block = np.stack(
            [np.zeros(length, np.int64), self._commands(length, np.random.default_rng()), bank, row, column], axis=1
        )
        streams = {}
        for c in np.unique(channel).tolist():
            own = numbers[channel == c]

            def of_block(number: int, own: Ints = own) -> Ints:
                return arrivals(own + number * length, device, self.rate_GBps)

            timed = None if self.rate_GBps is None else of_block
            streams[c] = Stream(block[own], times, rounds * step % device.rows, timed)
        return times * length, streams
