"""Which links a message takes from one device to another.

Devices are 0 .. devices - 1, and switches have the numbers after them.  A wire is one
direction of a link: (where it begins, where it ends).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

Wire = tuple[int, int]
Route = tuple[Wire, ...]

KINDS = ("switch", "ring", "chain", "tree")
ROTATED = ("switch", "ring")
LEAST_RADIX = 3  # one port up and two down: with fewer a level of a tree is as wide as the one below


@dataclass(frozen=True)
class Topology:
    """`devices` joined in one of four ways.

    switch: each has one link to the same switch.  ring: each has links to both neighbours,
    and messages go the shorter way, in a tie up (two devices have one link).  chain: a ring
    that is open between the last and the first.  tree: switches of `radix` ports, devices
    below those of the first level in their order; every switch but the highest has one port
    up, and messages go up to the first switch that is above both ends.
    ValueError where that cannot be; all that is wrong at once.
    """

    kind: str
    devices: int
    radix: int = 0

    def __post_init__(self) -> None:
        if wrong := self._wrong():
            raise ValueError("; ".join(wrong))

    def _wrong(self) -> list[str]:
        checks = {
            f"a topology is one of {', '.join(KINDS)}, not {self.kind}": self.kind in KINDS,
            "a topology has at least one device": self.devices >= 1,
            f"a switch of a tree has at least {LEAST_RADIX} ports": self.kind != "tree" or self.radix >= LEAST_RADIX,
        }
        return [what for what, holds in checks.items() if not holds]

    @property
    def rotates(self) -> bool:
        """True if it is the same system again when each device takes the place of the next one."""
        return self.kind in ROTATED

    def route(self, src: int, dst: int) -> Route:
        """The wires from one device to another one, in their order."""
        return _route(self, src, dst)

    def wires(self) -> tuple[Wire, ...]:
        """All wires, in order of their numbers."""
        ups = [wire for wire in _links(self) if wire[0] != wire[1]]
        return tuple(sorted({*ups, *((head, tail) for tail, head in ups)}))

    def folded(self, wire: Wire) -> Wire:
        """The wire that stands for this one and all that it becomes by rotation.

        Of a switch: a port to it, or one from it.  Of a ring: up, or down.
        """
        tail, head = wire
        if self.kind == "switch":
            return (0, self.devices) if head == self.devices else (self.devices, 0)
        return (0, 1) if (tail + 1) % self.devices == head else (1, 0)


def _links(topology: Topology) -> list[Wire]:
    n = topology.devices
    if topology.kind == "ring":
        return [(device, (device + 1) % n) for device in range(n)]
    if topology.kind == "chain":
        return [(device, device + 1) for device in range(n - 1)]
    return [(node, above) for node, above in enumerate(_above(topology))]


@lru_cache(maxsize=1 << 18)
def _route(topology: Topology, src: int, dst: int) -> Route:
    if src == dst or not (0 <= src < topology.devices and 0 <= dst < topology.devices):
        raise ValueError(f"no message goes from device {src} to device {dst} of {topology.devices}")
    if topology.kind == "ring":
        return _around(src, dst, topology.devices)
    if topology.kind == "chain":
        return tuple(pairwise(range(src, dst + 1) if src < dst else range(src, dst - 1, -1)))
    return _over_switches(_above(topology), src, dst)


def _around(src: int, dst: int, n: int) -> Route:
    up = (dst - src) % n
    way = range(up + 1) if up <= n - up else range(0, -(n - up) - 1, -1)
    return tuple(pairwise((src + hop) % n for hop in way))


def _over_switches(above: tuple[int, ...], src: int, dst: int) -> Route:
    up, down = _climb(above, src), _climb(above, dst)
    top = next(node for node in up if node in down)
    return tuple(pairwise([*up[: up.index(top)], top, *reversed(down[: down.index(top)])]))


def _climb(above: tuple[int, ...], node: int) -> list[int]:
    way = [node]
    while node < len(above):
        node = above[node]
        way.append(node)
    return way


@lru_cache(maxsize=256)
def _above(topology: Topology) -> tuple[int, ...]:
    """The switch above each device and each switch; the highest one, which is not listed, comes last."""
    radix = topology.devices if topology.kind == "switch" else topology.radix
    above: list[int] = []
    level = range(topology.devices)
    while not above or len(level) > 1:
        below = radix if len(level) <= radix else radix - 1
        above += [level.stop + place // below for place in range(len(level))]
        level = range(level.stop, above[-1] + 1)
    return tuple(above)
