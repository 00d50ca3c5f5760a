"""The usual exchanges of N devices, as programs of messages.

Sizes are those of the whole vector, V bytes.  A slice is V/N bytes, rounded up: all devices
send the same, and the last slice is filled up.  The same holds for the elements added up.

| kind | before, and after | ring: N - 1 rounds to the next one | direct: at once |
|---|---|---|---|
| broadcast | the root has V; all have it | pass V on | the root sends V to each |
| gather | a slice each; the root has V | | each sends its slice to the root |
| all_gather | a slice each; all have V | pass on the slice that came | each sends its slice to each |
| reduce_scatter | V each; a slice each of the sum | add to the slice that came, pass it on | each slice to its device |
| all_reduce | V each; all have the sum | reduce_scatter, then all_gather | the same |
| all_to_all | N slices each; one slice of each device | pass on all that has a way to go | each slice to its device |
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise

from pimsim.sim.link.program import Message, Program, Rotation, Round, Turn

Turns = Callable[[int, int, int], tuple[Turn, ...]]  # of devices, bytes and elements of a slice

# In order of preference where two take the same time.
ALGORITHMS = {
    "broadcast": ("direct", "ring"),
    "gather": ("direct",),
    "all_gather": ("ring", "direct"),
    "reduce_scatter": ("ring", "direct"),
    "all_reduce": ("ring", "direct"),
    "all_to_all": ("direct", "ring"),
}


def collective(
    kind: str, algorithm: str, devices: int, size_bytes: int, elements: int = 0, root: int = 0
) -> Program | Rotation:
    """The program of a collective.

    size_bytes, elements: of the whole vector (`elements` of those that add).  root: of
    broadcast and gather.  One device has nothing to send.  ValueError: no such collective
    or algorithm, or a root that is not there.
    """
    if algorithm not in ALGORITHMS.get(kind, ()):
        raise ValueError(f"no collective {kind} by the algorithm {algorithm}")
    if devices < 1 or not 0 <= root < devices or size_bytes < 0 or elements < 0:
        raise ValueError(f"no {kind} of {size_bytes} bytes and {elements} elements on {devices} devices, root {root}")
    slice_bytes = -(-size_bytes // devices)
    if rooted := _ROOTED.get((kind, algorithm)):
        sent = slice_bytes if kind == "gather" else size_bytes
        return Program(devices, rooted([(root + hop) % devices for hop in range(devices)], sent), algorithm)
    turns = _EQUAL[kind, algorithm](devices, slice_bytes, -(-elements // devices)) if devices > 1 else ()
    return Rotation(devices, turns, algorithm)


def _pass_on(way: list[int], size: int) -> tuple[Round, ...]:
    return tuple(Round((Message(src, dst, size),)) for src, dst in pairwise(way))


def _to_each(way: list[int], size: int) -> tuple[Round, ...]:
    return _at_once(Message(way[0], dst, size) for dst in way[1:])


def _to_root(way: list[int], size: int) -> tuple[Round, ...]:
    return _at_once(Message(src, way[0], size) for src in way[1:])


def _at_once(messages: Iterable[Message]) -> tuple[Round, ...]:
    return (Round(each),) if (each := tuple(messages)) else ()


def _ring(n: int, size: int, adds: int) -> tuple[Turn, ...]:
    return (Turn(((1, size),), adds),) * (n - 1)


def _direct(n: int, size: int, adds: int) -> tuple[Turn, ...]:
    """The nearest device first: no two devices begin with the same one."""
    return (Turn(tuple((offset, size) for offset in range(1, n)), (n - 1) * adds),)


def _carry_along(n: int, size: int, adds: int) -> tuple[Turn, ...]:
    return tuple(Turn(((1, left * size),)) for left in range(n - 1, 0, -1))


def _without_adds(turns: Turns) -> Turns:
    return lambda n, size, adds: turns(n, size, 0)


def _then_gather(turns: Turns) -> Turns:
    return lambda n, size, adds: turns(n, size, adds) + turns(n, size, 0)


Rooted = Callable[[list[int], int], tuple[Round, ...]]
_ROOTED: dict[tuple[str, str], Rooted] = {
    ("broadcast", "direct"): _to_each,
    ("broadcast", "ring"): _pass_on,
    ("gather", "direct"): _to_root,
}
_EQUAL: dict[tuple[str, str], Turns] = {
    ("all_gather", "ring"): _without_adds(_ring),
    ("all_gather", "direct"): _without_adds(_direct),
    ("reduce_scatter", "ring"): _ring,
    ("reduce_scatter", "direct"): _direct,
    ("all_reduce", "ring"): _then_gather(_ring),
    ("all_reduce", "direct"): _then_gather(_direct),
    ("all_to_all", "direct"): _without_adds(_direct),
    ("all_to_all", "ring"): _carry_along,
}
