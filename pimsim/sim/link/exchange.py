"""What an exchange takes, moves and costs.

Where all devices do the same (a `Rotation`) on a topology that rotates (switch, ring), each
device, and each wire that one becomes by rotation, goes through the same: the program, the
wires and who goes first are the same again when every device takes the place of the next one.
So one device and one wire of each kind are simulated: what a device sends comes back to itself.

Ties do not spoil that, though the order of a program is not the same again: only what one
device asks for at once is a tie.  Behind its first wire a message asks a fixed time after it
began on the wire before, and messages that ask for the same wire come from wires that are
alike, which begin with one message at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import NamedTuple

from pimsim.sim.link.carry import Flight, carry
from pimsim.sim.link.collectives import ALGORITHMS, collective
from pimsim.sim.link.link import Link
from pimsim.sim.link.program import Program, Rotation
from pimsim.sim.link.topology import Topology

AUTO = "auto"
Times = tuple[tuple[int, int], ...]


class Exchange(NamedTuple):
    """An exchange that was simulated.

    algorithm: by which.  ps: until all devices have all and are done with their additions;
    done_ps: until each of them is.
    adds: elements that a device adds up, the most of any.  sent_bytes: by each device.
    link_bytes: bytes times hops.  flit_bytes: the same with the filling of the last flits.
    busy_ps: how long the busiest wire is occupied; total_busy_ps: all wires together.
    energy_pJ: of all flits over all hops, exact.
    """

    algorithm: str
    ps: int
    done_ps: tuple[int, ...]
    adds: int
    sent_bytes: tuple[int, ...]
    link_bytes: int
    flit_bytes: int
    busy_ps: int
    total_busy_ps: int
    energy_pJ: Fraction


def at_once(elements: int) -> int:
    """Additions that take no time."""
    return 0


def exchange(
    kind: str,
    topology: Topology,
    link: Link,
    size_bytes: int,
    elements: int = 0,
    *,
    algorithm: str = AUTO,
    root: int = 0,
    add_ps: Callable[[int], int] = at_once,
    fold: bool = True,
) -> Exchange:
    """A collective (see `collectives`) by an algorithm; `auto`: the fastest, the first of its list in a tie."""
    names = ALGORITHMS.get(kind, ()) if algorithm == AUTO else (algorithm,)
    programs = [collective(kind, name, topology.devices, size_bytes, elements, root) for name in names]
    if not programs:
        raise ValueError(f"no collective is called {kind}; there are {', '.join(ALGORITHMS)}")
    return min((simulate(each, topology, link, add_ps, fold) for each in programs), key=lambda each: each.ps)


def simulate(
    program: Program | Rotation,
    topology: Topology,
    link: Link,
    add_ps: Callable[[int], int] = at_once,
    fold: bool = True,
) -> Exchange:
    """Carry out a program.

    add_ps: how long a device adds up so many elements, in ps.  fold: where all devices do
    the same, simulate one of them; the result is the same.  Equal inputs are simulated once.
    ValueError: the program is for other devices than the topology's.
    """
    if program.devices != topology.devices:
        raise ValueError(f"a program for {program.devices} devices does not run on {topology.devices}")
    times = tuple((elements, add_ps(elements)) for elements in sorted(program.sums()))
    return _simulated(program, topology, link, times, fold)


@lru_cache(maxsize=4096)
def _simulated(program: Program | Rotation, topology: Topology, link: Link, times: Times, fold: bool) -> Exchange:
    if isinstance(program, Rotation):
        if fold and topology.rotates:
            return _of_one_device(program, topology, link, dict(times))
        return _of_all_devices(program.program, topology, link, dict(times))
    return _of_all_devices(program, topology, link, dict(times))


def _of_all_devices(program: Program, topology: Topology, link: Link, times: dict[int, int]) -> Exchange:
    flights = [
        Flight(number, *message, topology.route(message.src, message.dst))
        for number, each in enumerate(program.rounds)
        for message in each.messages
        if message.size_bytes
    ]
    n = program.devices
    adds = [each.adds or (0,) * n for each in program.rounds]
    return _carried(program.algorithm, flights, adds, times, link, n, copies=1)


def _of_one_device(rotation: Rotation, topology: Topology, link: Link, times: dict[int, int]) -> Exchange:
    flights = [
        Flight(number, 0, 0, size, tuple(map(topology.folded, topology.route(0, offset))))
        for number, turn in enumerate(rotation.turns)
        for offset, size in turn.sends
        if size
    ]
    adds = [(turn.adds,) for turn in rotation.turns]
    return _carried(rotation.algorithm, flights, adds, times, link, 1, copies=rotation.devices)


def _carried(
    algorithm: str,
    flights: Sequence[Flight],
    adds: Sequence[Sequence[int]],
    times: dict[int, int],
    link: Link,
    devices: int,
    copies: int,
) -> Exchange:
    """Simulate `devices` devices, of each of which there are `copies`."""
    done = carry(flights, [[times.get(each, 0) for each in row] for row in adds], link)
    sent, busy = Counter[int](), Counter[tuple[int, int]]()
    for flight in flights:
        sent[flight.src] += flight.size_bytes
        for wire in flight.route:
            busy[wire] += link.serialise_ps(flight.size_bytes)
    flit_bytes = copies * sum(link.filled(flight.size_bytes) * len(flight.route) for flight in flights)
    return Exchange(
        algorithm=algorithm,
        ps=max(done, default=0),
        done_ps=(done or (0,) * devices) * copies,
        adds=max(map(sum, zip(*adds, strict=True)), default=0),
        sent_bytes=tuple(sent[device] for device in range(devices)) * copies,
        link_bytes=copies * sum(flight.size_bytes * len(flight.route) for flight in flights),
        flit_bytes=flit_bytes,
        busy_ps=max(busy.values(), default=0),
        total_busy_ps=copies * busy.total(),
        energy_pJ=link.energy_pJ(flit_bytes),
    )
