"""Rules of `placement`: what another machine beside the memory may be asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from os.path import normpath
from typing import Any

from pimsim.config.schema import PlacementConfig

_PIM, _AUTO = PlacementConfig.PIM, PlacementConfig.AUTO
_PARTS = tuple(f"placement.{part}" for part in PlacementConfig.PARTS)
_MACHINE, _SUB_BATCHES = "placement.machine", "placement.sub_batches"


def wrong(values: Mapping[str, Any], unknown: Collection[str] = ()) -> Iterator[tuple[str, str]]:
    """(key, message) of everything that does not go together.

    values: by dotted key, those that are right alone; unknown: keys of those that name what there is not
    """
    if not all(key in values for key in (*_PARTS, _MACHINE)):
        return
    elsewhere = [key for key in _PARTS if values[key] != _PIM]
    named = {key: values[key] for key in (*_PARTS, _MACHINE) if values[key] not in (None, _PIM, _AUTO)}
    if elsewhere:
        yield from _machines(values, named, elsewhere)
        yield from _others({key: name for key, name in named.items() if key not in unknown})
        yield from _one_device(values, elsewhere[0])
    if _SUB_BATCHES in values:
        yield from _sub_batches(values, elsewhere)


def _machines(values: Mapping[str, Any], named: Mapping[str, str], elsewhere: list[str]) -> Iterator[tuple[str, str]]:
    """One machine at least."""
    if values[_MACHINE] in (_PIM, _AUTO):
        yield _MACHINE, f"must be the name of a machine, not {values[_MACHINE]!r}"
    elif not named:
        yield elsewhere[0], "auto needs a machine that it may take: name one in placement.machine"


def _others(named: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """One machine at most."""
    first = next(iter(named.values()), "")
    for key, name in named.items():
        if normpath(name) != normpath(first):  # ./mine.yaml is mine.yaml
            yield key, f"{name!r} is another machine than {first!r} ({next(iter(named))}): one stands beside the memory"


def _one_device(values: Mapping[str, Any], key: str) -> Iterator[tuple[str, str]]:
    if (devices := values.get("system.devices", 1)) > 1:
        yield key, f"another machine stands beside one device, and system.devices is {devices}; leave one of them out"


def _sub_batches(values: Mapping[str, Any], elsewhere: list[str]) -> Iterator[tuple[str, str]]:
    parts, batch = values[_SUB_BATCHES], values.get("workload.batch", 1)
    if parts > 1 and not {"placement.linear", "placement.attention"}.intersection(elsewhere):
        yield _SUB_BATCHES, "means nothing where a step has no other machine (placement.linear, placement.attention)"
    elif batch % parts:
        near = max(n for n in range(1, parts) if batch % n == 0)
        yield _SUB_BATCHES, f"must divide the {batch} sequences of a step (workload.batch), not {parts}; {near} does"
