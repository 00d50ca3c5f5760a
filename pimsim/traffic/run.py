"""Runs requests of a host and says what they achieved."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from pimsim.dram.engine import FOREVER, Engine, Ints
from pimsim.dram.kernel.queue import REQUEST_WIDTH
from pimsim.dram.kernel.traffic import D_ARRIVAL, D_END
from pimsim.dram.streams import Stream, serve_stream
from pimsim.dram.timing import Device
from pimsim.dram.traffic import DEPTH, PATIENCE, HostTraffic, Lane, WriteQueue
from pimsim.logs.log import LogWriter, take_before
from pimsim.logs.log_size import check_room_for
from pimsim.traffic.latencies import Latencies
from pimsim.traffic.patterns import PATTERNS, Chunk, Pattern

RATES = (1e-3, 1e6)  # GB/s; outside, the clocks of arrivals do not fit or are all the same
NOTHING = np.empty((0, REQUEST_WIDTH), np.int64)


class Source(Protocol):
    """Where requests come from; it can be asked again."""

    def streams(self) -> tuple[int, dict[int, Stream]]:
        """The first requests as a stream of each channel that has some, and how many those are."""
        ...

    def chunks(self, first: int = 0) -> Iterator[Chunk]:
        """The others."""
        ...


class Queues(NamedTuple):
    """Places in each channel's queue, younger requests that may go before the oldest, places for writes alone."""

    depth: int = DEPTH
    patience: int = PATIENCE
    writes: WriteQueue | None = None


QUEUES = Queues()


@dataclass(frozen=True)
class TrafficResult:
    """What requests achieved.

    clocks       from 0 to the end of the last data
    latencies    clocks from each request's arrival to the end of its data
    commands     counts by name, over all channels
    """

    device: Device
    requests: int
    clocks: int
    latencies: Latencies
    commands: dict[str, int]

    @property
    def ns(self) -> float:
        """The clocks in ns."""
        return self.clocks * self.device.tCK_ps / 1000

    @property
    def bandwidth_GBps(self) -> float:
        """Bytes moved over the time taken, 1e9 bytes/s."""
        return self.requests * self.device.column_bytes / self.ns

    @property
    def peak_GBps(self) -> float:
        """One column after another on every data bus: column_bytes / (nBL tCK), 1e9 bytes/s."""
        per_bus = self.device.column_bytes * 1000 / (self.device.cycles["nBL"] * self.device.tCK_ps)
        return per_bus * self.device.channels * self.device.data_buses

    @property
    def row_hit_rate(self) -> float:
        """Requests that opened no row, over all; a row opened again because a refresh closed it counts too."""
        return max(0.0, 1 - self.device.banks_activated(self.commands) / self.requests)

    @property
    def refresh_duty(self) -> float:
        """Share of the banks' time that refreshes take: tRFC of all of a channel, tRFCpb of one."""
        device = self.device
        commands = map(device.standard.command, device.standard.roles.refreshes)
        busy = sum(
            self.commands.get(c.name, 0) * device.busy_clocks(c) * device.addressed(c) / device.banks for c in commands
        )
        return busy / (self.clocks * device.channels)

    def summary(self) -> dict[str, Any]:
        """The figures, units in their names."""
        clock, latencies = self.device.tCK_ps / 1000, self.latencies
        p50, p95, p99 = (latencies.quantile(share) * clock for share in (0.5, 0.95, 0.99))
        mean = latencies.total * clock / latencies.count
        return {
            "requests": self.requests,
            "cycles": self.clocks,
            "time_ns": self.ns,
            "bandwidth_GBps": self.bandwidth_GBps,
            "peak_GBps": self.peak_GBps,
            "of_peak": self.bandwidth_GBps / self.peak_GBps,
            "row_hit_rate": self.row_hit_rate,
            "refresh_duty": self.refresh_duty,
            "latency_ns": {
                "min": latencies.min() * clock, "mean": mean, "p50": p50, "p95": p95, "p99": p99,
                "max": latencies.max() * clock,
            },
            "commands": {name: count for name, count in self.commands.items() if count},
        }  # fmt: skip


def simulate_traffic(
    device: Device,
    pattern: str = "stream",
    requests: int = 100_000,
    read_fraction: float = 1.0,
    rate_GBps: float | None = None,
    seed: int = 0,
    depth: int = DEPTH,
    patience: int = PATIENCE,
    log: str | Path | None = None,
    stride: int = 1,
    writes: WriteQueue | None = None,
) -> TrafficResult:
    """Serve a stream of reads and writes on all channels of a device.

    pattern "stream" or "random"; rate_GBps: of arrivals, over all channels (None: all are
    there from the start); depth: places in each channel's queue; patience: how many younger
    requests may go before the oldest; log: every DRAM command; stride: columns from one
    access of a stream to the next; writes: places of their own for writes, depth is that of
    reads then.
    ValueError if an argument is out of its range.
    """
    if requests < 1 or not 0 <= read_fraction <= 1 or not (rate_GBps is None or RATES[0] <= rate_GBps <= RATES[1]):
        raise ValueError(
            f"at least 1 request, a read fraction from 0 to 1 and a rate from {RATES[0]} to {RATES[1]} GB/s"
        )
    if pattern not in PATTERNS:
        raise ValueError(f"pattern must be one of {PATTERNS}, not {pattern!r}")
    if stride < 1:
        raise ValueError(f"a stream goes on by at least 1 column, not {stride}")
    source = Pattern(device, pattern, requests, read_fraction, rate_GBps, seed, stride)
    return serve(device, source, Queues(depth, patience, writes), log)


def serve(device: Device, source: Source, queues: Queues = QUEUES, log: str | Path | None = None) -> TrafficResult:
    """Serve the requests of a source on all channels of a device; log: every DRAM command."""
    if log is None:
        return Run(device, queues).result(source)
    with LogWriter(log, device) as writer:
        counted = Run(device, queues).result(source)  # takes little time, and says how long the log will be
        return Run(device, queues, _Log(writer, counted)).result(source)


class Run:
    """The channels of a device while they serve requests."""

    def __init__(self, device: Device, queues: Queues, log: Waiting | None = None) -> None:
        self.device, self.log = device, log
        self.engine = Engine(device)
        if log is not None:
            self.engine.log_to(log.parts.append)
        host = HostTraffic(self.engine, *queues)
        self.lanes = [Lane(host, channel) for channel in range(device.channels)]
        self.latencies = Latencies()
        self.totals = self.engine.new_totals()

    def result(self, source: Source) -> TrafficResult:
        """Serve all requests of a source."""
        first = self._serve_streams(*source.streams()) if self.log is None else 0
        for channel, requests in source.chunks(first):
            order = np.argsort(channel, kind="stable")
            bounds = np.searchsorted(channel[order], np.arange(len(self.lanes) + 1))
            for lane, start, stop in zip(self.lanes, bounds[:-1], bounds[1:], strict=True):
                self._serve(lane, requests[order[start:stop]], more=True)
            if self.log is not None:
                self.log.write_before(self.engine.watermark)
        for lane in self.lanes:
            self._serve(lane, NOTHING, more=False)
        clocks = max(lane.end for lane in self.lanes)
        self.engine.finish(clocks, self.totals)
        if self.log is not None:
            self.log.write_before(FOREVER)
        counts = self.device.counted(self.totals[: len(self.device.standard.commands)].tolist())
        return TrafficResult(self.device, self.latencies.count, clocks, self.latencies, counts)

    def _serve(self, lane: Lane, requests: Ints, more: bool) -> None:
        served = lane.serve(requests, self.totals, more)
        self.latencies.add(served[:, D_END] - served[:, D_ARRIVAL])

    def _serve_streams(self, requests: int, streams: dict[int, Stream]) -> int:
        """Serve the streams that a source begins with; how many requests those have."""
        alike: dict[bytes, list[int]] = {}  # channels whose requests are the same
        for channel, stream in streams.items():
            key = stream.block.tobytes() if stream.arrivals is None else b"%d" % channel
            alike.setdefault(key, []).append(channel)
        for first, *others in alike.values():

            def add(clocks: Ints, times: int, step: int, channels: int = 1 + len(others)) -> None:
                self.latencies.add(clocks, times, step, channels)

            serve_stream(self.lanes[first], streams[first], self.totals, add)
            for channel in others:
                self.lanes[channel].follow(self.lanes[first])
        return requests


class Waiting(Protocol):
    """Where a run puts the commands of each channel, and says up to which clock all are there."""

    parts: list[Ints]

    def write_before(self, clk: int) -> None:
        """Hand on the commands before a clock, of which all are there; the others wait."""


class _Log:
    """Commands on their way to a file, in order of clock, then channel."""

    def __init__(self, writer: LogWriter, counted: TrafficResult) -> None:
        self.writer, self.counted = writer, counted
        self.parts: list[Ints] = []  # of a channel each
        self._begun = False

    def write_before(self, clk: int) -> None:
        """Write the commands before a clock, of which all are there; the others wait."""
        if not self.parts:
            return
        rows = take_before(self.parts, clk)
        if not len(rows):
            return
        columns = list(rows.T)
        if not self._begun:
            self._begun = True
            device = self.counted.device
            commands = sum(self.counted.commands.values())
            check_room_for(self.writer.path, device, columns, commands, self.counted.clocks, device.rows)
        self.writer.append(*columns)
