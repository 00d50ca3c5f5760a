"""How busy everything is over time: clocks in buckets, exact, of any number of commands."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.engine import Ints
from pimsim.dram.spec import Needs
from pimsim.dram.timing import Device
from pimsim.energy.model import Prices
from pimsim.timeline.banks import Turned
from pimsim.timeline.durations import durations

Floats = NDArray[np.float64]

BUCKET_NS = 100

# What is counted of each channel, before the clocks of each command.
TRACKS = ("command bus", "data bus", "MAC units", "refresh", "banks open", "any bank open", "accesses", "misses")

_OPERATIONS = ("asic_add", "asic_multiply", "asic_sram")  # prices of `Executed.operations`


class Activity:
    """Clocks and counts in buckets of `width` clocks from `low` on, by channel and track.

    An interval is two steps of a slope: from its begin on a bucket has one clock more per
    clock, from its end on one less.  So intervals of any length cost the same, may cross
    calls, and sums are integers.
    """

    def __init__(self, device: Device, window: tuple[int, int]) -> None:
        self.device = device
        self.low, self.high = window
        self.width = max(1, BUCKET_NS * 1000 // device.tCK_ps)
        self.stop = self.low  # where the run ends, if inside of the window
        self._last = self.low
        self._durations = durations(device)
        commands = device.standard.commands
        weights = [device.addressed(c) if c.needs is Needs.OPEN else 0 for c in commands]
        self._accessed = np.array(weights, np.int64)
        shape = (device.channels, len(TRACKS) + len(commands), 0)
        self._part, self._level = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        self._operations: Floats = np.zeros((3, 0))

    def add(self, channel: int, clk: Ints, command: Ints, turned: Turned) -> None:
        """Count a channel's commands, and what they did to its banks."""
        self._add_interval(channel, "command bus", clk, clk + 1)
        for number in range(len(self.device.standard.commands)):
            mine = clk[command == number]
            if mine.size:
                self._add_command(channel, number, mine)
        kept = (clk >= self.low) & (clk < self.high)
        self._add_counts(channel, "accesses", clk[kept], self._accessed[command[kept]])
        self.add_turned(channel, turned)

    def add_turned(self, channel: int, turned: Turned) -> None:
        """Count rows that were open, misses, and the clocks with any bank open."""
        rows = np.array([(row.begin, row.end) for row in turned.rows], np.int64).reshape(-1, 2)
        self._add_interval(channel, "banks open", rows[:, 0], rows[:, 1])
        self._add_edges(channel, "any bank open", np.array(turned.opened, np.int64), 1)
        self._add_edges(channel, "any bank open", np.array(turned.closed, np.int64), -1)
        misses = np.array([m for m in turned.misses if self.low <= m[0] < self.high], np.int64).reshape(-1, 2)
        self._add_counts(channel, "misses", misses[:, 0], misses[:, 1])

    def add_operations(self, begin: int, end: int, operations: tuple[int, int, int]) -> None:
        """Spread what an instruction does on the ASIC evenly over the clocks that it takes (one at least)."""
        end = max(end, begin + 1)
        low, high = max(begin, self.low), min(end, self.high)
        if low >= high or not any(operations):
            return
        self._reach(high)
        first, last = (low - self.low) // self.width, (high - 1 - self.low) // self.width
        edges = np.clip(self.low + self.width * np.arange(first, last + 2), low, high)
        clocks = edges[1:] - edges[:-1]
        for kind, count in enumerate(operations):
            self._operations[kind, first : last + 1] += clocks * (count / (end - begin))

    def clocks(self, channel: int, track: str | int) -> Ints:
        """Busy clocks, or the count, in each bucket; track: one of TRACKS or a command's number."""
        at, n = self._track(track), len(self.edges) - 1
        part, level = self._part[channel, at, :n], self._level[channel, at, :n]
        return part + self.width * (np.cumsum(level) - level)

    @property
    def edges(self) -> Ints:
        """Where the buckets begin, and where the last one ends: with the window, or with the last activity."""
        end = max(self._last, self.stop)
        self._reach(end)
        return np.minimum(self.low + self.width * np.arange(-((self.low - end) // self.width) + 1), end)

    def power_W(self, channel: int, prices: Prices) -> Floats:
        """Mean power of a channel in each bucket: its commands over the clocks they take, and standby."""
        energy: Floats = np.zeros(len(self.edges) - 1)
        for number, name in enumerate(self.device.command_names):
            each = float(prices.commands[name] / self._durations.length(number))
            energy = energy + each * self.clocks(channel, number)
        any_open = self.clocks(channel, "any bank open")
        active, precharged = (float(prices.actions[f"standby_{state}"]) for state in ("active", "precharged"))
        standby: Floats = active * any_open + precharged * (self._lasted() - any_open)
        energy = energy + standby
        return self._in_watts(energy)

    def asic_W(self, prices: Prices) -> Floats:
        """Mean power of the ASIC in each bucket."""
        operations: Floats = np.array([float(prices.actions[name]) for name in _OPERATIONS])
        energy: Floats = operations @ self._operations[:, : len(self.edges) - 1]
        return self._in_watts(energy + float(prices.actions["asic_idle"]) * self._lasted())

    def _in_watts(self, energy_pJ: Floats) -> Floats:
        """pJ in each bucket as W: pJ / ns / 1000."""
        watts: Floats = energy_pJ / (np.diff(self.edges) * self.device.tCK_ps)
        return watts

    def _lasted(self) -> Floats:
        """Clocks of each bucket in which the run was under way."""
        return np.diff(np.minimum(self.edges, self.stop)).astype(np.float64)

    def _add_command(self, channel: int, number: int, clk: Ints) -> None:
        begin, end = self._durations.pins.get(number, (0, 0))
        if end:
            self._add_interval(channel, "data bus", clk + begin, clk + end)
        for track, lengths in (("MAC units", self._durations.macs), ("refresh", self._durations.refreshes)):
            if number in lengths:
                self._add_interval(channel, track, clk, clk + lengths[number])
        self._add_interval(channel, number, clk + begin, clk + begin + self._durations.length(number))

    def _track(self, track: str | int) -> int:
        return TRACKS.index(track) if isinstance(track, str) else len(TRACKS) + track

    def _add_interval(self, channel: int, track: str | int, begin: Ints, end: Ints) -> None:
        self._add_edges(channel, track, begin, 1)
        self._add_edges(channel, track, end, -1)

    def _add_edges(self, channel: int, track: str | int, clk: Ints, sign: int) -> None:
        """From each of these clocks on, `sign` more per clock, inside of the window."""
        clk = np.clip(clk, self.low, self.high)
        self._reach(int(clk.max(initial=self.low)))
        bucket, offset = np.divmod(clk - self.low, self.width)
        np.add.at(self._part[channel, self._track(track)], bucket, sign * (self.width - offset))
        np.add.at(self._level[channel, self._track(track)], bucket, sign)

    def _add_counts(self, channel: int, track: str, clk: Ints, count: Ints) -> None:
        self._reach(int(clk.max(initial=self.low)))
        np.add.at(self._part[channel, self._track(track)], (clk - self.low) // self.width, count)

    def _reach(self, clk: int) -> None:
        """Make room for the bucket of a clock."""
        self._last = max(self._last, clk)
        needed, have = (clk - self.low) // self.width + 1, self._part.shape[2]
        if needed > have:
            more = ((0, 0), (0, 0), (0, max(needed, 2 * have) - have))
            self._part, self._level = np.pad(self._part, more), np.pad(self._level, more)
            self._operations = np.pad(self._operations, more[1:])
