"""Host requests that repeat: once a channel is where it was, whole periods of them are skipped.

A stream is a block of requests again and again, each time some rows on.  Before each block
everything that decides what comes next is looked at relative to the clock, to the block's
rows and to its arrival.  If that was so before, what came in between comes again, command
by command, however often: counts, charges and latencies are linear in the number of periods.
A refresh is part of that, since the clocks until it is due are looked at too.

Rows count modulo those of a bank: all that is ever asked of two of them is if they are the same.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.dram.kernel import queue as q
from pimsim.dram.kernel import state as st
from pimsim.dram.kernel import work as wk
from pimsim.dram.kernel.numbers import NO_REFRESH, STEPPED
from pimsim.dram.kernel.queue import Queue
from pimsim.dram.kernel.state import State
from pimsim.dram.kernel.table import Table
from pimsim.dram.kernel.traffic import D_ARRIVAL, D_END
from pimsim.dram.kernel.work import Work
from pimsim.dram.records import named
from pimsim.dram.traffic import Lane

REMEMBERED = 1 << 20  # latencies that are kept while no period is found: 8 MiB
TOGETHER = 1 << 15  # requests that are served at a time once none is looked for
_CLOSED, _NEVER = -1, -1

# Takes latencies (n,), how often they come, and by how many clocks they are longer each time.
Sink = Callable[[Ints, int, int], None]


class Stream(NamedTuple):
    """Requests of one channel that repeat.

    block     (m, 5) as `Lane.serve` takes them: the first ones
    times     how often they come
    step      rows from one block to the next, modulo those of a bank
    arrivals  the clocks (m,) at which the requests of a block arrive, by its number; None: all at clock 0
    """

    block: Ints
    times: int
    step: int
    arrivals: Callable[[int], Ints] | None = None

    def requests(self, first: int, last: int, rows: int) -> Ints:
        """The requests (n, 5) of the blocks from one number to before another, in banks of so many rows."""
        numbers = np.repeat(np.arange(first, last), len(self.block))
        found = np.tile(self.block, (last - first, 1))
        found[:, q.P_ROW] = (found[:, q.P_ROW] + numbers * self.step) % rows
        if self.arrivals is not None:
            found[:, q.P_ARRIVAL] = np.concatenate([self.arrivals(number) for number in range(first, last)])
        return found


class _Moment(NamedTuple):
    """A channel before a block."""

    number: int  # of the block
    clk: int
    arrival: int  # of the block's first request
    since: int  # a bank has been open
    refreshes: int
    entered: Ints  # requests of each kind
    counts: Ints
    charged: Ints
    latencies: int  # parts of them that were there
    waits: int  # blocks so far of which not all had arrived


def serve_stream(lane: Lane, stream: Stream, totals: Ints, sink: Sink) -> None:
    """Serve the requests of a stream, after which more may come, and hand on the latencies of those that are done."""
    periods = _Periods(lane, stream)
    number, rows = 0, lane.engine.device.rows
    while number < stream.times:
        many = 1 if periods.looking else max(TOGETHER // len(stream.block), 1)
        stop = min(number + many, stream.times)
        requests = stream.requests(number, stop, rows)
        skipped = periods.skip(number, requests, sink) if periods.looking else 0
        if not skipped:
            served = lane.serve(requests, totals, more=True)
            latencies = served[:, D_END] - served[:, D_ARRIVAL]
            periods.remember(latencies)
            sink(latencies, 1, 0)
            skipped = stop - number
        number += skipped


class _Periods:
    """What a channel was like before blocks of a stream, and what is skipped once it is so again."""

    def __init__(self, lane: Lane, stream: Stream) -> None:
        self.stream, self.device = stream, lane.engine.device
        self.state, self.work = named(State, lane.state), named(Work, lane.work)
        self.queue = named(Queue, lane.queue)
        table = named(Table, lane.engine.table)
        self.refreshes = table.refresh != NO_REFRESH
        # of a window's command, how long it binds; what is no part of a shorter window never does
        used = np.arange(table.depth) < table.length[:, np.newaxis]
        self.binds = np.where(used, table.latency[:, np.newaxis], -(1 << 61))
        self.looking = lane.engine.log is None and not lane.engine.options[STEPPED]
        self.known: dict[bytes, _Moment] = {}
        self.latencies: list[Ints] = []
        self.remembered = self.waits = 0

    def remember(self, latencies: Ints) -> None:
        """Keep the latencies of a block that was served; if there are too many, there is no period to be found."""
        if not self.looking:
            return
        self.latencies.append(latencies)
        self.remembered += len(latencies)
        if self.remembered > REMEMBERED:
            self._forget()
            self.looking = False

    def _forget(self) -> None:
        self.known.clear()
        self.latencies.clear()
        self.remembered = self.waits = 0

    def skip(self, number: int, requests: Ints, sink: Sink) -> int:
        """Skip as many periods as come from block `number` on: by how many blocks."""
        if self._is_strange():
            return 0
        moment, key = self._moment(number, requests)
        before = self.known.setdefault(key, moment)
        if before is moment:
            return 0
        periods = self._periods(before, moment)
        if not periods:
            self.known[key] = moment
            return 0
        longer = self._longer(before, moment)
        sink(np.concatenate(self.latencies[before.latencies :]) + longer, periods, longer)
        self._advance(before, moment, periods)
        self._forget()
        return periods * (moment.number - before.number)

    def _is_strange(self) -> bool:
        """Whether the channel is not yet one of host requests alone: other rows, or nothing has issued."""
        reg, rows = self.state.reg, self.state.rows
        early = reg[st.R_CLK] < self.queue.reg[q.Q_START]
        return bool(early or reg[st.R_LEVEL] >= 0 or (rows >= self.device.rows).any())

    def _moment(self, number: int, requests: Ints) -> tuple[_Moment, bytes]:
        """What is counted before a block, and what decides what comes next."""
        s, w = self.state, self.work
        clk, row, first = int(s.reg[st.R_CLK]), number * self.stream.step, int(requests[0, q.P_ARRIVAL])
        due = int(s.reg[st.R_DUE]) if self.refreshes else clk + 1
        # Once all has arrived, and before the last refresh, it does not matter when.
        late = requests[-1, q.P_ARRIVAL] <= min(clk, due - 1)
        self.waits += not late
        coming = [1] if late else [0, *(requests[:, q.P_ARRIVAL] - clk)]
        registers = [
            due - clk, s.reg[st.R_TURN], s.reg[st.R_MODE], self.queue.reg[q.Q_DRAINING], w.reg[wk.W_PREV],
            w.reg[wk.W_TAIL], w.reg[wk.W_CURSOR] - clk, w.reg[wk.W_END] - clk, *self.queue.kind[:, q.K_WAITING],
        ]  # fmt: skip
        parts = [
            np.array(registers, np.int64),
            w.pending,
            np.maximum(s.clocks - clk, 0),  # what binds no longer never will again
            np.maximum(s.recent + self.binds - clk, 0),
            np.where(s.rows >= 0, (s.rows - row) % self.device.rows, _CLOSED),
            self._waiting(first, row),
            np.array(coming, np.int64),
        ]
        since = int(s.reg[st.R_SINCE]) if s.reg[st.R_OPEN] > 0 else _NEVER
        entered = self.queue.kind[:, q.K_ENTERED].copy()
        counted = (int(w.reg[wk.W_REFRESHES]), entered, w.counts.copy(), w.charged.copy())
        moment = _Moment(number, clk, first, since, *counted, len(self.latencies), self.waits)
        return moment, b"".join(part.tobytes() for part in parts)

    def _waiting(self, first: int, row: int) -> Ints:
        """The requests in the queue, in order of age, without their places."""
        place, reg = self.queue.place, self.queue.reg
        found = place[place[:, q.P_NUMBER] >= 0][:, : q.P_RANK + 1]
        found = found[np.argsort(found[:, q.P_NUMBER])]
        kind = np.where(found[:, q.P_COMMAND] == reg[q.Q_WRITE], q.WRITES, q.READS)
        found[:, q.P_ARRIVAL] -= first
        found[:, q.P_ROW] = (found[:, q.P_ROW] - row) % self.device.rows
        found[:, q.P_NUMBER] -= reg[q.Q_NUMBER]
        found[:, q.P_RANK] -= self.queue.kind[kind, q.K_ENTERED]
        return np.ascontiguousarray(found, np.int64)

    def _longer(self, before: _Moment, now: _Moment) -> int:
        """By how many clocks a period is longer than its requests take to arrive."""
        return (now.clk - before.clk) - (now.arrival - before.arrival)

    def _periods(self, before: _Moment, now: _Moment) -> int:
        """How often what came from one moment to the other comes again from the latter on."""
        length = now.number - before.number
        longer = self._longer(before, now)
        if longer < 0 or (longer > 0 and now.waits > before.waits):
            return 0  # a request that had not arrived would the next time
        if now.since not in (before.since, before.since + now.clk - before.clk):
            return 0  # a bank has been open for another time
        periods = (self.stream.times - now.number) // length
        if self.stream.arrivals is None:
            return periods
        same = 0
        while same < periods and self._arrive_alike(before, now, same):
            same += 1
        return same

    def _arrive_alike(self, before: _Moment, now: _Moment, period: int) -> bool:
        """Whether the requests of a period arrive as those from `before` to `now` did."""
        arrivals = self.stream.arrivals
        assert arrivals is not None
        length = now.number - before.number
        behind = (period + 1) * (now.arrival - before.arrival)
        first = now.number + period * length
        return all((arrivals(first + i) == arrivals(before.number + i) + behind).all() for i in range(length))

    def _advance(self, before: _Moment, now: _Moment, periods: int) -> None:
        """Move everything on by so many periods."""
        s, w, queue = self.state, self.work, self.queue
        clk, ahead = now.clk, periods * (now.clk - before.clk)
        blocks = periods * (now.number - before.number)
        rows, number = blocks * self.stream.step, blocks * len(self.stream.block)
        entered = periods * (now.entered - before.entered)
        s.clocks[s.clocks >= clk] += ahead  # at the clock itself another bus may carry a command
        s.recent[s.recent + self.binds > clk] += ahead
        s.rows[s.rows >= 0] = (s.rows[s.rows >= 0] + rows) % self.device.rows
        s.reg[st.R_CLK] += ahead
        s.reg[st.R_FAR] += ahead if s.reg[st.R_FAR] > clk else 0
        s.reg[st.R_DUE] += ahead if self.refreshes else 0
        s.reg[st.R_SINCE] += ahead if now.since != before.since else 0
        w.reg[[wk.W_CURSOR, wk.W_END]] += ahead
        w.reg[wk.W_REFRESHES] += periods * (now.refreshes - before.refreshes)
        w.counts += periods * (now.counts - before.counts)
        w.charged += periods * (now.charged - before.charged)
        place = queue.place[queue.place[:, q.P_NUMBER] >= 0]
        kind = np.where(place[:, q.P_COMMAND] == queue.reg[q.Q_WRITE], q.WRITES, q.READS)
        place[:, q.P_ARRIVAL] += periods * (now.arrival - before.arrival)
        place[:, q.P_ROW] = (place[:, q.P_ROW] + rows) % self.device.rows
        place[:, q.P_NUMBER] += number
        place[:, q.P_RANK] += entered[kind]
        queue.place[queue.place[:, q.P_NUMBER] >= 0] = place
        queue.reg[q.Q_NUMBER] += number
        queue.kind[:, q.K_ENTERED] += entered
