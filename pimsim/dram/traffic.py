"""Host traffic: reads and writes that a FR-FCFS controller serves, one queue a channel.

A channel's state is that of the channel engine, so traffic can run on a plain memory or
between the programs of a PIM device.  `HostTraffic` is compiled, `twin.traffic.serve` its
readable twin.

Policy: requests enter the queue in order of arrival while it has room.  Rows stay open.
The request that can move on first does: its read or write if its row is open, else the
command on the way to it.  A row that a queued request hits is not closed, and in a bank
without a hit only the oldest request may change the row.  Ties go to the row hit, then to
the oldest.  So that nothing starves, the oldest request has its way once PATIENCE younger
ones went first: its bank is its own, and until its data moves no other data does.

A refresh that is due by then takes its banks; the others go on meanwhile.

With a queue of their own (`WriteQueue`) writes wait until `high` of them do or no read waits;
then they alone are served, until `low` are left and a read waits.  All of the above holds in
the queue that is being served, the other one has no say.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pimsim.dram.build import sizes_of
from pimsim.dram.engine import Engine, Ints
from pimsim.dram.kernel import queue as k
from pimsim.dram.kernel.queue import Queue
from pimsim.dram.kernel.traffic import SERVED_WIDTH, serve_channel
from pimsim.dram.kernel.work import W_CHANNEL, W_END, Work
from pimsim.dram.records import named

DEPTH = 32  # places in a channel's queue
PATIENCE = 128  # younger requests that may go before the oldest


class WriteQueue(NamedTuple):
    """Places for writes alone: from `high` of them waiting they are served, down to `low`."""

    places: int
    high: int
    low: int


class Access(NamedTuple):
    """One access: arrival in clocks, "RD" or "WR", bank of the channel, row, column."""

    arrival: int
    command: str
    bank: int
    row: int
    column: int


class HostTraffic:
    """Serves requests on the channels of an engine, between its programs."""

    def __init__(
        self, engine: Engine, depth: int = DEPTH, patience: int = PATIENCE, writes: WriteQueue | None = None
    ) -> None:
        """depth: places of all requests, or of reads alone if `writes` have places of their own."""
        if depth < 1:
            raise ValueError(f"a queue needs at least 1 place, not {depth}")
        if patience < 0:
            raise ValueError(f"at least 0 requests go before the oldest, not {patience}")
        if writes is not None and not 0 <= writes.low < writes.high <= writes.places:
            raise ValueError(f"0 <= low < high <= places in a queue of writes, not {writes}")
        self.engine = engine
        self.depth = depth
        self.patience = patience
        self.writes = writes or WriteQueue(0, 0, 0)

    def serve(self, channel: int, requests: Ints, start: int, totals: Ints) -> Ints:
        """Serve requests (n, 5) of one channel; clocks (n, 2) of each one's command and of its data's end.

        requests: arrival (ascending), command number, bank, row, column.  No command issues
        before clock `start`, which must not lie before what the channel did already.
        """
        served = Lane(self, channel, start).serve(requests, totals)
        done = np.empty((len(requests), 2), np.int64)
        done[served[:, 0]] = served[:, 2:]
        return done

    def numbered(self, requests: Sequence[Access]) -> Ints:
        """Requests as the array that `serve` reads."""
        index = self.engine.device.standard.index
        rows = [(r.arrival, index(r.command), r.bank, r.row, r.column) for r in requests]
        return np.array(rows, np.int64).reshape(-1, 5)


class Lane:
    """The requests of one channel, which may come in parts: what waits in between, and what was counted so far."""

    def __init__(self, host: HostTraffic, channel: int, start: int = 0) -> None:
        self.engine = host.engine
        device = self.engine.device
        self.places = host.depth + host.writes.places
        sizes = sizes_of(device, len(self.engine.causes)) | {"places": self.places}
        self.state = self.engine.states[channel]
        self.work = Work.new(sizes)
        self.queue = Queue.new(sizes)
        queue = named(Queue, self.queue)
        for places in (queue.oldest, queue.youngest, queue.hit, queue.kind[:, k.K_OLDEST :], queue.next):
            places[:] = -1
        queue.place[:, k.P_NUMBER], queue.place[:, k.P_AFTER] = -1, [*range(1, self.places), -1]
        queue.reg[[k.Q_START, k.Q_CHANNEL, k.Q_PATIENCE, k.Q_PLACES]] = start, channel, host.patience, host.depth
        queue.reg[k.Q_WRITE] = device.standard.index(device.standard.roles.write)
        queue.reg[[k.Q_APART, k.Q_HIGH, k.Q_LOW]] = host.writes
        self._registers = queue.reg
        self._channel = channel
        self._served = np.empty((0, SERVED_WIDTH), np.int64)

    def serve(self, requests: Ints, totals: Ints, more: bool = False) -> Ints:
        """Serve requests (n, 5) that come after those of the calls before; what was served, until the next call.

        (m, 4): number, arrival, clock of the command and of the data's end, in order of
        service.  With `more` to come some stay in the queue.  Without, all are served, and
        totals receives the counts of all calls.
        """
        if len(self._served) < len(requests) + self.places:
            self._served = np.empty((len(requests) + self.places, SERVED_WIDTH), np.int64)
        self._registers[k.Q_MORE] = more
        records = (self.state, self.work, self.queue)
        before = [record.copy() for record in records] if self.engine.log is not None else []
        while not self.engine.deliver(
            serve_channel(
                self.engine.table,
                *records,
                requests,
                self.engine.options,
                totals,
                self._served,
                self.engine.log,
            )  # fmt: skip
        ):
            for record, kept in zip(records, before, strict=True):
                record[:] = kept
        return self._served[: self._registers[k.Q_SERVED]]

    def follow(self, other: Lane) -> None:
        """Be where another channel is that was given the same requests."""
        self.state[:], self.work[:], self.queue[:] = other.state, other.work, other.queue
        self._registers[k.Q_CHANNEL] = named(Work, self.work).reg[W_CHANNEL] = self._channel

    @property
    def end(self) -> int:
        """The clock at which the last data has crossed the pins."""
        return int(named(Work, self.work).reg[W_END])
