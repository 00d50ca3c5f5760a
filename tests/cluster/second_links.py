"""A second reading of how messages take links, without SimPy: hops in the order in which they are asked for.

Whoever asks for a wire first has it first, and no hop asks before the one that it follows
has begun.  So when hops are taken in the order (asked, place in the program), each one can
be placed for good: it begins when it asks, or when its wire is free.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from math import ceil

from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Program
from pimsim.sim.link.topology import Topology


def finished(program: Program, topology: Topology, link: Link, add_ps: Callable[[int], int]) -> list[int]:
    """When each device is done, in ps."""
    sends = [(number, message) for number, each in enumerate(program.rounds) for message in each.messages if message[2]]
    due = [[0] * program.devices for _ in program.rounds]
    for number, message in sends:
        due[number][message.dst] += 1
    begun: set[tuple[int, int]] = set()
    latest = [[0] * program.devices for _ in program.rounds]
    free: dict[tuple[int, int], int] = {}
    asked: list[tuple[int, int, int]] = []
    ends = [0] * program.devices

    def begin(device: int, number: int, now: int) -> None:
        if number == len(program.rounds):
            ends[device] = now
            return
        for place, (of, message) in enumerate(sends):
            if of == number and message.src == device:
                heapq.heappush(asked, (now, place, 0))
        latest[number][device] = max(latest[number][device], now)
        begun.add((device, number))
        go_on(device, number)

    def go_on(device: int, number: int) -> None:
        if (device, number) in begun and not due[number][device]:
            adds = (program.rounds[number].adds or [0] * program.devices)[device]
            begin(device, number + 1, latest[number][device] + (add_ps(adds) if adds else 0))

    def taken(size: int) -> int:
        filled = ceil(size / link.flit_bytes) * link.flit_bytes
        return ceil(filled * 1000 / link.bandwidth_GBps) if link.bandwidth_GBps else 0

    for device in range(program.devices):
        begin(device, 0, 0)
    while asked:
        when, place, hop = heapq.heappop(asked)
        number, message = sends[place]
        route = topology.route(message.src, message.dst)
        start = max(when, free.get(route[hop], 0))
        free[route[hop]] = start + taken(message.size_bytes)
        if hop + 1 < len(route):
            heapq.heappush(asked, (start + link.latency_ps + taken(1), place, hop + 1))
            continue
        there = start + link.latency_ps + taken(message.size_bytes)
        latest[number][message.dst] = max(latest[number][message.dst], there)
        due[number][message.dst] -= 1
        go_on(message.dst, number)
    return ends
