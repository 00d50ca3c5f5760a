"""Host traffic in plain Python: the readable twin of `dram.traffic`, on one `controller`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from pimsim.dram.traffic import DEPTH, PATIENCE, Access
from pimsim.dram.twin.channel import CLOSED
from pimsim.dram.twin.controller import Controller, Move


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
