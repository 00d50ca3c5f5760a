"""What the page of a run shows of the devices that share a model: how each spends its time, and what they exchange."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pimsim.report.run_marks import GREY
from pimsim.results.devices import HEADINGS, memory, shared, stages, times
from pimsim.results.drawn.colours import BLUE, PURPLE

COLOURS = {"work": BLUE, "links": PURPLE, "bubbles": GREY}  # as the causes of the latency have them
_EXCHANGES = ("kind", "elements", "algorithm", "ns", "link_bytes")


def section(devices: Mapping[str, Any]) -> dict[str, Any]:
    """Everything that the section of devices has: a stacked bar and a row for each share, a row for each exchange."""
    return {
        "said": shared(devices),
        "colours": COLOURS,
        "headings": HEADINGS,
        "shares": [_share(share) for share in devices["shares"]],
        "columns": _EXCHANGES,
        "exchanges": [[found[name] for name in _EXCHANGES] for found in devices["exchanges"]],
        "moved_bytes": devices["moved_bytes"],
        "steady_step_ns": devices["steady_step_ns"],
        "sequence_step_ns": devices["sequence_step_ns"],
        "pipeline": devices["pipeline"] > 1,
    }


def _share(share: Mapping[str, Any]) -> dict[str, Any]:
    where = f"stage{'s' if share['stages'] > 1 else ''} {stages(share)}"
    return {
        "name": f"{where}: {share['devices']} device{'s' if share['devices'] > 1 else ''}",
        "stage": stages(share),
        "counts": [share[name] for name in ("devices", "blocks", "sequences")],
        "times": times(share),
        "widths": {what: f"{100 * part:.2f}" for what, part in times(share).items()},
        "memory_bytes": share["memory_bytes"],
        "memory": memory(share),
    }
