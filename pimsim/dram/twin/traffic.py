"""Host traffic in plain Python: the readable twin of `dram.traffic`, on one `controller`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pimsim.dram.traffic import DEPTH, PATIENCE, Access, WriteQueue
from pimsim.dram.twin.channel import CLOSED
from pimsim.dram.twin.controller import Controller, Move


class Waiting:
    """A request in the queue: its number, and how many younger ones went first."""

    def __init__(self, number: int, request: Access) -> None:
        self.number, self.request, self.overtaken = number, request, 0


class Queue:
    """Requests that wait, in order of age: all in one line, or reads and writes in a line each."""

    def __init__(self, write: str, depth: int, writes: WriteQueue | None) -> None:
        self.waiting: list[Waiting] = []
        self._write, self._depth, self._writes = write, depth, writes
        self._draining = False

    def has_room(self, request: Access) -> bool:
        """Whether a request may enter."""
        if self._writes is None:
            return len(self.waiting) < self._depth
        own = self._line(request.command == self._write)
        return len(own) < (self._writes.places if request.command == self._write else self._depth)

    def line(self) -> list[Waiting]:
        """Those that are served now: from `high` writes on the writes, until `low` are left and a read waits."""
        if self._writes is None:
            return self.waiting
        reads, writes = self._line(False), self._line(True)
        if self._draining:
            self._draining = bool(writes) and (not reads or len(writes) > self._writes.low)
        else:
            self._draining = bool(writes) and (not reads or len(writes) >= self._writes.high)
        return writes if self._draining else reads

    def _line(self, write: bool) -> list[Waiting]:
        return [waiting for waiting in self.waiting if (waiting.request.command == self._write) == write]


class Candidate(NamedTuple):
    """A command that may issue next: the clock, how it ranks among those of that clock, for whom."""

    clk: int
    rank: tuple[bool, int]
    place: int
    step: Move


def serve(
    controller: Controller,
    requests: Sequence[Access],
    start: int,
    depth: int = DEPTH,
    patience: int = PATIENCE,
    writes: WriteQueue | None = None,
) -> list[tuple[int, int]]:
    """The twin of `HostTraffic.serve` on one controller: clocks of each request's command and of its data's end."""
    device = controller.device
    controller.finish(start)
    coming = [Waiting(*item) for item in enumerate(requests)]
    queue = Queue(device.standard.roles.write, depth, writes)
    done = [(0, 0)] * len(requests)

    def enter_by(clk: int) -> bool:
        """Whether the next request has arrived by a clock and found a place."""
        if not coming or coming[0].request.arrival > clk or not queue.has_room(coming[0].request):
            return False
        queue.waiting.append(coming.pop(0))
        return True

    while queue.waiting or coming:
        if not queue.waiting:
            controller.finish(coming[0].request.arrival)
            enter_by(coming[0].request.arrival)
        while enter_by(max(controller.channel.latest, start)):
            pass
        line = queue.line()
        choice = _next(controller, line, start, patience)
        if enter_by(choice.clk):
            continue
        if choice.place == REFRESH:
            controller.step_refresh(choice.step, choice.clk)
            continue
        controller.issue(choice.step, choice.clk)
        served = line[choice.place]
        if choice.step.command == served.request.command:
            completion = device.completion(device.standard.command(choice.step.command))
            done[served.number] = (choice.clk, choice.clk + completion)
            for older in line[: choice.place]:
                older.overtaken += 1
            queue.waiting.remove(served)
    return done


REFRESH = -1  # the place in the queue of what no request asked for


def _next(controller: Controller, line: Sequence[Waiting], start: int, patience: int) -> Candidate:
    """What issues next: the request that moves on first, unless a refresh that is due by then takes its bank."""
    choices = _choices(controller, line, start, patience)
    if controller.refresh_due(min(choices).clk):
        step, clk = controller.next_refresh_step()
        others = _choices(controller, line, start, patience, refreshing=controller.refreshed_next)
        choices = [Candidate(clk, FIRST, REFRESH, step), *others]
    return min(choices)


FIRST = (False, -1)  # of the choices of a clock


def _choices(
    controller: Controller, line: Sequence[Waiting], start: int, patience: int, refreshing: Sequence[int] = ()
) -> list[Candidate]:
    """For each request that may move on: its next command."""
    rows = controller.channel.open_rows
    hits = [rows[waiting.request.bank] == waiting.request.row for waiting in line]
    oldest = line[0].request
    urgent = line[0].overtaken >= patience and oldest.bank not in refreshing
    taken = {waiting.request.bank for waiting, hit in zip(line, hits, strict=True) if hit}  # rows that stay
    if urgent:
        taken.discard(oldest.bank)
    found = []
    for place, (waiting, hit) in enumerate(zip(line, hits, strict=True)):
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
