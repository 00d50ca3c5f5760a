"""A second reading of how messages take links, without SimPy: instant by instant, with a queue at each wire.

At each instant, in this order: messages arrive and additions end, so that devices go on;
hops that ask join the queues of their wires, in the order of the program; each wire that is
free takes the first of its queue.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from math import ceil

from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Program
from pimsim.sim.link.topology import Topology, Wire


class Reading:
    def __init__(self, program: Program, topology: Topology, link: Link, add_ps: Callable[[int], int]) -> None:
        self.program, self.topology, self.link, self.add_ps = program, topology, link, add_ps
        self.sends = [(of, each) for of, sent in enumerate(program.rounds) for each in sent.messages if each.size_bytes]
        self.missing = [[0] * program.devices for _ in program.rounds]
        for of, message in self.sends:
            self.missing[of][message.dst] += 1
        self.round = [0] * program.devices  # in which each device is
        self.adding = [False] * program.devices
        self.done = [0] * program.devices
        # What will happen, by its instant.
        self.arrive: dict[int, list[int]] = defaultdict(list)
        self.added: dict[int, list[int]] = defaultdict(list)
        self.ask: dict[int, list[tuple[int, int]]] = defaultdict(list)
        self.queues: dict[Wire, list[tuple[int, int]]] = defaultdict(list)
        self.free: dict[Wire, int] = defaultdict(int)

    def taken(self, size: int) -> int:
        filled = ceil(size / self.link.flit_bytes) * self.link.flit_bytes
        return ceil(filled * 1000 / self.link.bandwidth_GBps) if self.link.bandwidth_GBps else 0

    def begin(self, device: int, now: int) -> None:
        if self.round[device] == len(self.program.rounds):
            self.done[device] = now
            return
        for number, (of, message) in enumerate(self.sends):
            if (of, message.src) == (self.round[device], device):
                self.ask[now].append((number, 0))
        self.go_on(device, now)

    def go_on(self, device: int, now: int) -> None:
        """Where nothing is missing of its round, a device adds."""
        of = self.round[device]
        if of < len(self.program.rounds) and not self.missing[of][device] and not self.adding[device]:
            adds = (self.program.rounds[of].adds or [0] * self.program.devices)[device]
            self.adding[device] = True
            self.added[now + (self.add_ps(adds) if adds else 0)].append(device)

    def devices_go_on(self, now: int) -> None:
        for number in self.arrive.pop(now, []):
            of, message = self.sends[number]
            self.missing[of][message.dst] -= 1
            self.go_on(message.dst, now)
        while now in self.added:
            for device in self.added.pop(now):
                self.adding[device] = False
                self.round[device] += 1
                self.begin(device, now)

    def wires_go_on(self, now: int) -> None:
        for number, hop in sorted(self.ask.pop(now, [])):
            message = self.sends[number][1]
            self.queues[self.topology.route(message.src, message.dst)[hop]].append((number, hop))
        for wire, queue in self.queues.items():
            while queue and self.free[wire] <= now:
                number, hop = queue.pop(0)
                message = self.sends[number][1]
                self.free[wire] = now + self.taken(message.size_bytes)
                if hop + 1 < len(self.topology.route(message.src, message.dst)):
                    self.ask[now + self.link.latency_ps + self.taken(1)].append((number, hop + 1))
                else:
                    self.arrive[self.free[wire] + self.link.latency_ps].append(number)

    def next(self) -> int | None:
        waits = [self.free[wire] for wire, queue in self.queues.items() if queue]
        return min([*self.arrive, *self.added, *self.ask, *waits], default=None)


def finished(program: Program, topology: Topology, link: Link, add_ps: Callable[[int], int]) -> list[int]:
    """When each device is done, in ps."""
    reading = Reading(program, topology, link, add_ps)
    for device in range(program.devices):
        reading.begin(device, 0)
    while (now := reading.next()) is not None:
        reading.devices_go_on(now)
        reading.wires_go_on(now)
    return reading.done
