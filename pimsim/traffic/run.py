"""Runs a request stream and says what it achieved."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.timing import Device
from pimsim.dram.traffic import DEPTH, PATIENCE, HostTraffic
from pimsim.logs.log import LogWriter
from pimsim.logs.log_size import check_room
from pimsim.traffic.patterns import addresses, arrivals, decode

RATES = (1e-3, 1e6)  # GB/s; outside, the clocks of arrivals do not fit or are all the same


@dataclass(frozen=True)
class TrafficResult:
    """What a request stream achieved.

    clocks       from 0 to the end of the last data
    latencies    clocks (n,) from each request's arrival to the end of its data
    commands     counts by name, over all channels
    """

    device: Device
    requests: int
    clocks: int
    latencies: Ints
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
        ns = self.latencies * (self.device.tCK_ps / 1000)
        quantiles = np.quantile(ns, [0.5, 0.95, 0.99], method="inverted_cdf").tolist()
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
                "min": float(ns.min()), "mean": float(ns.mean()), "p50": quantiles[0], "p95": quantiles[1],
                "p99": quantiles[2], "max": float(ns.max()),
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
) -> TrafficResult:
    """Serve a stream of reads and writes on all channels of a device.

    pattern "stream" or "random"; rate_GBps: of arrivals, over all channels (None: all are
    there from the start); depth: places in each channel's queue; patience: how many younger
    requests may go before the oldest; log: every DRAM command.
    ValueError if an argument is out of its range.
    """
    if requests < 1 or not 0 <= read_fraction <= 1 or not (rate_GBps is None or RATES[0] <= rate_GBps <= RATES[1]):
        raise ValueError(
            f"at least 1 request, a read fraction from 0 to 1 and a rate from {RATES[0]} to {RATES[1]} GB/s"
        )
    rng = np.random.default_rng(seed)
    channel, bank, row, column = decode(addresses(pattern, requests, device, rng), device)
    reads = rng.random(requests) < read_fraction
    index, roles = device.standard.index, device.standard.roles
    command = np.where(reads, index(roles.read), index(roles.write))
    rows = np.stack([arrivals(requests, device, rate_GBps), command, bank, row, column], axis=1)
    engine = Engine(device)
    totals = engine.new_totals()
    done = np.zeros(requests, np.int64)
    with LogWriter(log, device) if log is not None else nullcontext() as writer:
        parts: list[Ints] = []
        if writer is not None:
            engine.log_to(parts.append)
        host = HostTraffic(engine, depth, patience)
        for c in range(device.channels):
            mine = channel == c
            done[mine] = host.serve(c, np.ascontiguousarray(rows[mine]), 0, totals)[:, 1]
        engine.finish(int(done.max()), totals)
        if writer is not None:
            commands = np.concatenate(parts)
            columns = commands[np.lexsort((commands[:, 1], commands[:, 0]))].T
            check_room(writer.path, device, *columns)
            writer.append(*columns)
    names = device.command_names
    counts = dict(zip(names, totals[: len(names)].tolist(), strict=True))
    return TrafficResult(device, requests, int(done.max()), done - rows[:, 0], counts)
