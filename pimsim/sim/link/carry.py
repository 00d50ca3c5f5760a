"""Messages on their way, in SimPy: devices and messages are processes, which share wires.

A wire serves one message at a time, for its serialisation.  Messages that wait are served in
the order in which they asked; of those that asked at the same picosecond, in the order of
the program.  A message that asks for its first wire at t and gets it at s >= t

- occupies it until s + serialisation,
- asks for its next wire at s + latency + one flit: its first flit is there then, and cut
  through; the flits behind it follow as fast as any wire takes them,
- is received, where that was the last wire, at s + latency + serialisation.

A switch, or a device on the way, holds what waits for its next wire (there is always room),
so a message that waits holds up none of the wires behind it.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any, NamedTuple

import simpy

from pimsim.sim.link.instant import Choice
from pimsim.sim.link.link import Link
from pimsim.sim.link.topology import Route, Wire

Process = Generator[simpy.Event, Any, None]


class Flight(NamedTuple):
    """A message, the round in which it is sent, and its way."""

    round: int
    src: int
    dst: int
    size_bytes: int
    route: Route


def carry(flights: Sequence[Flight], adds_ps: Sequence[Sequence[int]], link: Link) -> tuple[int, ...]:
    """When each device is done with all rounds, in ps; empty without rounds.

    flights: in the order of the program.  adds_ps (rounds, devices): how long a device adds
    after each round.
    """
    env = simpy.Environment()
    run = _Run(env, flights, adds_ps, link)
    env.run(env.all_of([env.process(run.device(device)) for device in range(len(run.done))]))
    return tuple(run.done)


class _Run:
    def __init__(
        self, env: simpy.Environment, flights: Sequence[Flight], adds_ps: Sequence[Sequence[int]], link: Link
    ) -> None:
        self.env, self.flights, self.adds_ps, self.link = env, flights, adds_ps, link
        self.done = [0] * (len(adds_ps[0]) if adds_ps else 0)
        self.wires, self.flit_ps = _Wires(), link.flit_ps
        self.sent: dict[tuple[int, int], list[int]] = {}
        missing: dict[tuple[int, int], int] = {}
        for number, flight in enumerate(flights):
            self.sent.setdefault((flight.src, flight.round), []).append(number)
            missing[flight.dst, flight.round] = missing.get((flight.dst, flight.round), 0) + 1
        self.mail = {place: _Mail(env, count) for place, count in missing.items()}

    def device(self, device: int) -> Process:
        """Send, receive and add, round by round."""
        for number, adds in enumerate(self.adds_ps):
            for each in self.sent.get((device, number), ()):
                self.env.process(self.message(each))
            if mail := self.mail.get((device, number)):
                yield mail.complete
            if adds[device]:
                yield self.env.timeout(adds[device])
        self.done[device] = int(self.env.now)

    def message(self, number: int) -> Process:
        """Go from wire to wire, and be received."""
        flight, delay, waits = self.flights[number], 0, 0
        took = self.link.serialise_ps(flight.size_bytes)
        for wire in flight.route:
            yield Choice(self.env).come(delay, number)
            waits = self.wires.reserve(wire, int(self.env.now), took)
            delay = waits + self.link.latency_ps + self.flit_ps
        yield self.env.timeout(waits + self.link.latency_ps + took)
        self.mail[flight.dst, flight.round].receive()


class _Wires:
    """All wires.  Who asks has its place at once: none asks earlier after this.

    So a message is told when its turn comes, which costs an event less than to be woken then.
    """

    def __init__(self) -> None:
        self.free: dict[Wire, int] = {}

    def reserve(self, wire: Wire, now: int, took: int) -> int:
        """Take the wire for `took` ps, behind all who asked before; how long until then."""
        start = max(now, self.free.get(wire, 0))
        self.free[wire] = start + took
        return start - now


class _Mail:
    """Messages of a round that a device receives: complete when all are there."""

    def __init__(self, env: simpy.Environment, count: int) -> None:
        self.complete, self.left = env.event(), count

    def receive(self) -> None:
        self.left -= 1
        if not self.left:
            self.complete.succeed()
