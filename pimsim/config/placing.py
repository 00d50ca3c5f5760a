"""Rules of `placement`: what another machine beside the memory may be asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from os.path import normpath
from typing import Any

from pimsim.config.schema import Config, LinkConfig, PlacementConfig
from pimsim.errors import Problem

_PIM, _AUTO = PlacementConfig.PIM, PlacementConfig.AUTO
_PARTS = tuple(f"placement.{part}" for part in PlacementConfig.PARTS)
_MACHINE, _SUB_BATCHES = "placement.machine", "placement.sub_batches"
_OF_SEVERAL = ("topology", "radix", "algorithm")  # keys of a link that say how several devices are joined


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


def idle(config: Config) -> Iterator[Problem]:
    """Keys of a machine beside the memory that change nothing, as warnings."""
    for key, why in (*_without_work(config), *_of_the_link(config)):
        yield Problem("", 0, 0, key, f"{key} means nothing: {why}")


def _without_work(config: Config) -> Iterator[tuple[str, str]]:
    """A machine that has nothing, and what is said of a prompt that it does not take."""
    placement, prompt = config.placement, config.workload.prompt_tokens > 0
    if placement.machine and not placement.key:
        yield _MACHINE, f"the machine has no part of the work ({', '.join(_PARTS)})"
    if placement.prefill != _PIM and not prompt:
        yield "placement.prefill", "there is no prompt (workload.prompt_tokens)"
    if placement.kv == "shared" and (placement.prefill == _PIM or not prompt):
        yield "placement.kv", "no prompt is the machine's (placement.prefill, workload.prompt_tokens)"


def _of_the_link(config: Config) -> Iterator[tuple[str, str]]:
    """What is said of links that join several devices."""
    for key in _OF_SEVERAL if config.placement.key else ():
        if getattr(config.system.link, key) != LinkConfig.model_fields[key].default:
            yield f"system.link.{key}", "one link joins the memory and the machine"
