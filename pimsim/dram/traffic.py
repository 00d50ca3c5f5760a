"""Host traffic: reads and writes that a FR-FCFS controller serves, one queue a channel.

A channel's state is that of the channel engine, so traffic can run on a plain memory or
between the programs of a PIM device.  `HostTraffic` is compiled, `serve` its readable twin.

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
from pimsim.dram.twin.channel import CLOSED
from pimsim.dram.twin.controller import Controller, Move

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


class Waiting:
    """A request in the queue: its number, and how many younger ones went first."""

    def __init__(self, number: int, request: Access) -> None:
        self.number, self.request, self.overtaken = number, request, 0


class Candidate(NamedTuple):
    """A command that may issue next: the clock, how it ranks among those of that clock, for whom."""

    clk: int
    rank: tuple[bool, int]
    place: int
    step: Move


def serve(
    controller: Controller, requests: Sequence[Access], start: int, depth: int = DEPTH, patience: int = PATIENCE
) -> list[tuple[int, int]]:
    """The twin of `HostTraffic.serve` on one controller: clocks of each request's command and of its data's end."""
    device = controller.device
    controller.finish(start)
    coming = [Waiting(*item) for item in enumerate(requests)]
    queue: list[Waiting] = []
    done = [(0, 0)] * len(requests)
    while queue or coming:
        if not queue:
            controller.finish(coming[0].request.arrival)
            queue.append(coming.pop(0))
        choice = _next(controller, queue, start, patience)
        if coming and len(queue) < depth and coming[0].request.arrival <= choice.clk:
            queue.append(coming.pop(0))
        elif choice.place == REFRESH:
            controller.step_refresh(choice.step, choice.clk)
        else:
            controller.issue(choice.step, choice.clk)
            served = queue[choice.place]
            if choice.step.command == served.request.command:
                completion = device.completion(device.standard.command(choice.step.command))
                done[served.number] = (choice.clk, choice.clk + completion)
                for older in queue[: choice.place]:
                    older.overtaken += 1
                del queue[choice.place]
    return done


REFRESH = -1  # the place in the queue of what no request asked for


def _next(controller: Controller, queue: Sequence[Waiting], start: int, patience: int) -> Candidate:
    """What issues next: the request that moves on first, unless a refresh that is due by then takes its bank."""
    choices = _choices(controller, queue, start, patience)
    if controller.refresh_due(min(choices).clk):
        step, clk = controller.next_refresh_step()
        others = _choices(controller, queue, start, patience, refreshing=controller.refreshed_next)
        choices = [Candidate(clk, FIRST, REFRESH, step), *others]
    return min(choices)


FIRST = (False, -1)  # of the choices of a clock


def _choices(
    controller: Controller, queue: Sequence[Waiting], start: int, patience: int, refreshing: Sequence[int] = ()
) -> list[Candidate]:
    """For each request that may move on: its next command."""
    rows = controller.channel.open_rows
    hits = [rows[waiting.request.bank] == waiting.request.row for waiting in queue]
    oldest = queue[0].request
    urgent = queue[0].overtaken >= patience and oldest.bank not in refreshing
    taken = {waiting.request.bank for waiting, hit in zip(queue, hits, strict=True) if hit}  # rows that stay
    if urgent:
        taken.discard(oldest.bank)
    found = []
    for place, (waiting, hit) in enumerate(zip(queue, hits, strict=True)):
        request = waiting.request
        behind = urgent and place > 0 and (hit or request.bank == oldest.bank)
        if request.bank in refreshing or behind or (not hit and request.bank in taken):
            continue
        taken.add(request.bank)
        step = (
            Move(request.command, request.bank, request.row, request.column) if hit else _row_step(controller, request)
        )
        clk = max(controller.earliest(step), request.arrival, start)
        found.append(Candidate(clk, (not hit, place), place, step))
    return found


def _row_step(controller: Controller, request: Access) -> Move:
    roles = controller.device.standard.roles
    if controller.channel.open_rows[request.bank] == CLOSED:
        return Move(roles.open_bank or "", request.bank, request.row)
    return Move(roles.close_bank or "", request.bank)
