"""Host traffic: reads and writes that a FR-FCFS controller serves, one queue a channel.

A channel's state is that of the channel engine, so traffic can run on a plain memory or
between the programs of a PIM device.  `HostTraffic` is compiled, `serve` its readable twin.

Policy: requests enter the queue in order of arrival while it has room.  Rows stay open.
The request that can move on first does: its read or write if its row is open, else the
command on the way to it.  A row that a queued request hits is not closed, and in a bank
without a hit only the oldest request may change the row.  Ties go to the row hit, then to
the oldest.  A refresh that is due by then goes first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pimsim.dram import kernel as k
from pimsim.dram.controller import Controller, Step
from pimsim.dram.device import CLOSED
from pimsim.dram.engine import Engine, Ints

DEPTH = 32  # places in a channel's queue


class Request(NamedTuple):
    """One access: arrival in clocks, "RD" or "WR", bank of the channel, row, column."""

    arrival: int
    command: str
    bank: int
    row: int
    column: int


class HostTraffic:
    """Serves requests on the channels of an engine, between its programs."""

    def __init__(self, engine: Engine, depth: int = DEPTH) -> None:
        if depth < 1:
            raise ValueError(f"a queue needs at least 1 place, not {depth}")
        self.engine = engine
        self.depth = depth

    def serve(self, channel: int, requests: Ints, start: int, totals: Ints) -> Ints:
        """Serve requests (n, 5) of one channel; clocks (n, 2) of each one's command and of its data's end.

        requests: arrival (ascending), command number, bank, row, column.  No command issues
        before clock `start`, which must not lie before what the channel did already.
        """
        state = self.engine.states[channel]
        done = np.zeros((len(requests), 2), np.int64)
        if not len(requests):
            return done
        before = state.copy()
        w, marks, queue = (
            self.engine.scratch[2][0],
            np.zeros(self.engine.device.banks, np.int64),
            np.zeros(self.depth, int),
        )
        while not self.engine.deliver(
            k.serve_channel(
                self.engine.table,
                state,
                requests,
                start,
                channel,
                self.engine.options,
                totals,
                done,
                queue,
                marks,
                w,
                self.engine.log,
            )  # fmt: skip
        ):
            state[:] = before
        return done

    def numbered(self, requests: Sequence[Request]) -> Ints:
        """Requests as the array that `serve` reads."""
        index = self.engine.device.standard.index
        rows = [(r.arrival, index(r.command), r.bank, r.row, r.column) for r in requests]
        return np.array(rows, np.int64).reshape(-1, 5)


def serve(controller: Controller, requests: Sequence[Request], start: int, depth: int = DEPTH) -> list[tuple[int, int]]:
    """The twin of `HostTraffic.serve` on one controller: clocks of each request's command and of its data's end."""
    device = controller.device
    controller.finish(start)
    coming = list(enumerate(requests))
    queue: list[tuple[int, Request]] = []
    done = [(0, 0)] * len(requests)
    while queue or coming:
        if not queue:
            controller.finish(coming[0][1].arrival)
            queue.append(coming.pop(0))
        clk, place, step = _next(controller, queue, start)
        if coming and len(queue) < depth and coming[0][1].arrival <= clk:
            queue.append(coming.pop(0))
        elif controller.refresh_due(clk):
            controller.refresh()
        else:
            controller.issue(step, clk)
            number, request = queue[place]
            if step.command == request.command:
                done[number] = (clk, clk + device.completion(device.standard.command(step.command)))
                del queue[place]
    return done


def _next(controller: Controller, queue: Sequence[tuple[int, Request]], start: int) -> tuple[int, int, Step]:
    """The clock, the place in the queue and the step of the request that moves on first."""
    rows = controller.channel.open_rows
    kept = {request.bank for _, request in queue if rows[request.bank] == request.row}
    candidates = []
    for place, (_, request) in enumerate(queue):
        hit = rows[request.bank] == request.row
        if not hit and request.bank in kept:
            continue
        kept.add(request.bank)
        step = (
            Step(request.command, request.bank, request.row, request.column) if hit else _row_step(controller, request)
        )
        clk = max(controller.channel.earliest(step.command, step.bank), request.arrival, start)
        candidates.append((clk, not hit, place, step))
    clk, _, place, step = min(candidates, key=lambda candidate: candidate[:3])
    return clk, place, step


def _row_step(controller: Controller, request: Request) -> Step:
    roles = controller.device.standard.roles
    if controller.channel.open_rows[request.bank] == CLOSED:
        return Step(roles.open_bank or "", request.bank, request.row)
    return Step(roles.close_bank or "", request.bank)
