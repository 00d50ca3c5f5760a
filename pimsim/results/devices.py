"""What people read of the devices of a system: figures and sentences from the part `devices` of a summary.

It is small: processes that draw load it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pimsim.results.headline import percent, size

Summary = Mapping[str, Any]
Share = Mapping[str, Any]

AVERAGE = "Times and their causes are of the average device; all else counts all devices."
WAYS = ("tensor", "pipeline", "expert")


def devices_of(summary: Summary) -> Mapping[str, Any] | None:
    """The devices that share a model; None of one device."""
    found: Mapping[str, Any] | None = summary.get("devices")
    return found


def shared(devices: Mapping[str, Any]) -> str:
    """How a model is shared, in words: "16 devices: tensor 4, pipeline 4 with 4 parts of the batch in flight"."""
    ways = [f"{way} {devices[way]}" + _in_flight(devices, way) for way in WAYS if devices[way] > 1]
    ways += [f"{devices['replicas']} replicas"] if devices["replicas"] > 1 else []
    ways += [f"{devices['idle']} without work"] if devices["idle"] else []
    return f"{devices['count']} devices: {', '.join(ways)}"


def _in_flight(devices: Mapping[str, Any], way: str) -> str:
    parts = devices["in_flight"]
    return f" with {parts} parts of the batch in flight" if way == "pipeline" and parts > 1 else ""


def stages(share: Share) -> str:
    """Which stages of a pipeline a share is in: "3", or "1 to 4"."""
    first, last = share["first_stage"], share["first_stage"] + share["stages"] - 1
    return f"{first}" if first == last else f"{first} to {last}"


def memory(share: Share) -> str:
    """What a device of a share stores, of what it has room for."""
    if share["capacity_bytes"] is None:
        return "-"
    return f"{size(share['memory_bytes'])} of {size(share['capacity_bytes'])}"


def times(share: Share) -> dict[str, float]:
    """Of the whole time the shares in which a device of a share works by itself, exchanges, and waits."""
    alone = share["busy_fraction"] - share["link_fraction"]
    return {"work": alone, "links": share["link_fraction"], "bubbles": share["bubble_fraction"]}


HEADINGS = ("Stage", "devices", "blocks", "sequences", "work", "links", "bubbles", "memory used")


def share_cells(share: Share) -> list[str]:
    """A share as texts, one for each of HEADINGS."""
    counts = (share[name] for name in ("devices", "blocks", "sequences"))
    return [stages(share), *map(str, counts), *map(percent, times(share).values()), memory(share)]


def alike(share: Share) -> str:
    """The only share, as a sentence."""
    said = ", ".join(f"{what} {percent(part)}" for what, part in times(share).items())
    return f"Each device: {said} of the time; {memory(share)} used"
