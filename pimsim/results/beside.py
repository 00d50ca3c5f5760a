"""The part `placement` of a summary: what another machine beside the memory does, and what that takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.results.headline import percent, size

if TYPE_CHECKING:  # who prints a summary loads no simulator
    from pimsim.baselines.arrangement import Arrangement
    from pimsim.config.schema import Config
    from pimsim.mapping.plan import Plan
    from pimsim.sim.tally import Tally


def summarise(arranged: Arrangement, config: Config, tally: Tally, plan: Plan | None) -> dict[str, Any]:
    """Who does what.

    prefill, linear, attention  as the configuration asks; machine: its name; kv, sub_batches: as there
    operators                   of a step, in their order, on each side; prompt: who takes it
    machine_busy_fraction       of the run, launches included; link_busy_fraction: of the run
    link_bytes                  whole flits, over the link in both ways
    memory                      of each side: whether it fits, and bytes that are needed and there
    """
    from pimsim.results import metrics

    placement, loads = config.placement, arranged.loads
    machine = sum(row.outside_cycles for row in tally.rows if row.operator in loads)
    return {
        **{part: getattr(placement, part) for part in placement.PARTS},
        "machine": arranged.device.name,
        "kv": placement.kv,
        "sub_batches": placement.sub_batches,
        "operators": {"pim": list(arranged.here), "machine": list(arranged.there)},
        "prompt": "machine" if arranged.prompt else "pim",
        "machine_busy_fraction": metrics.ratio(machine, tally.cycles),
        "link_busy_fraction": metrics.ratio(tally.total("outside_cycles") - machine, tally.cycles),
        "link_bytes": tally.total("moved_bytes"),
        "memory": {"pim": _memory(plan), "machine": arranged.memory(config)},
    }


def _memory(plan: Plan | None) -> dict[str, Any]:
    """Rows of every bank that are dealt out, and all that there are, in bytes."""
    if plan is None:
        return {}
    device = plan.device
    return {
        "fits": True,
        "required_bytes": plan.memory.rows * device.bytes_of_rows,
        "capacity_bytes": device.rows * device.bytes_of_rows,
    }


def memory_warning(found: Mapping[str, Any]) -> str:
    """What a careful reader would want to know of the machine's memory; found: of a summary."""
    memory, name = found["memory"]["machine"], found["machine"]
    if memory["capacity_bytes"] is None:
        return f"{name} states no memory.capacity: whether its part fits it is not known"
    if memory["fits"]:
        return ""
    needed, there = memory["required_bytes"], memory["capacity_bytes"]
    return f"the part of {name} does not fit it: it takes {needed / 1e9:.3g} GB, and it has {there / 1e9:.3g} GB"


def line(found: Mapping[str, Any]) -> str:
    """Who does what, as a line of text; found: of a summary."""
    here, there = (found["operators"][side] for side in ("pim", "machine"))
    parts = [f"{len(there)} of {len(here) + len(there)} operators of a step"] if there else []
    parts += ["the prompt"] if found["prompt"] == "machine" else []
    busy, link = percent(found["machine_busy_fraction"]), size(found["link_bytes"])
    return f"{found['machine']} has {' and '.join(parts) or 'nothing'}: busy {busy} of the time, {link} over the link"
