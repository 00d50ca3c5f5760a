"""Host traffic: reads and writes that a FR-FCFS controller serves, one queue a channel.

A channel's state is that of the channel engine, so traffic can run on a plain memory or
between the programs of a PIM device.  `twin.traffic` is the readable twin.

Policy: requests enter the queue in order of arrival while it has room.  Rows stay open.
The request that can move on first does: its read or write if its row is open, else the
command on the way to it.  A row that a queued request hits is not closed, and in a bank
without a hit only the oldest request may change the row.  Ties go to the row hit, then to
the oldest.  So that nothing starves, the oldest request has its way once PATIENCE younger
ones went first: its bank is its own, and until its data moves no other data does.

A refresh that is due by then takes its banks; the others go on meanwhile.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pimsim.dram.engine import Engine, Ints
from pimsim.dram.kernel.traffic import QUEUE_WIDTH, serve_channel

DEPTH = 32  # places in a channel's queue
PATIENCE = 128  # younger requests that may go before the oldest


class Access(NamedTuple):
    """One access: arrival in clocks, "RD" or "WR", bank of the channel, row, column."""

    arrival: int
    command: str
    bank: int
    row: int
    column: int


class HostTraffic:
    """Serves requests on the channels of an engine, between its programs."""

    def __init__(self, engine: Engine, depth: int = DEPTH, patience: int = PATIENCE) -> None:
        if depth < 1:
            raise ValueError(f"a queue needs at least 1 place, not {depth}")
        if patience < 0:
            raise ValueError(f"at least 0 requests go before the oldest, not {patience}")
        self.engine = engine
        self.depth = depth
        self.patience = patience

    def serve(self, channel: int, requests: Ints, start: int, totals: Ints) -> Ints:
        """Serve requests (n, 5) of one channel; clocks (n, 2) of each one's command and of its data's end.

        requests: arrival (ascending), command number, bank, row, column.  No command issues
        before clock `start`, which must not lie before what the channel did already.
        """
        state = self.engine.states[channel]
        done = np.zeros((len(requests), 2), np.int64)
        before = state.copy()
        marks = np.zeros(self.engine.device.banks, np.int64)
        queue = np.zeros((self.depth, QUEUE_WIDTH), np.int64)
        while not self.engine.deliver(
            serve_channel(
                self.engine.table,
                state,
                requests,
                start,
                channel,
                self.engine.options,
                self.patience,
                totals,
                done,
                queue,
                marks,
                self.engine.scratch.work,
                self.engine.log,
            )  # fmt: skip
        ):
            state[:] = before
        return done

    def numbered(self, requests: Sequence[Access]) -> Ints:
        """Requests as the array that `serve` reads."""
        index = self.engine.device.standard.index
        rows = [(r.arrival, index(r.command), r.bank, r.row, r.column) for r in requests]
        return np.array(rows, np.int64).reshape(-1, 5)
