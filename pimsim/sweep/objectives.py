"""Objectives: figures of a row that a sweep makes small, or large."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.errors import did_you_mean
from pimsim.sweep.proxy import PROXIES

# What `summary.json` has under `system`, one number each (a test compares).
SYSTEM = (
    "cycles",
    "latency_ns",
    "prefill_latency_ns",
    "latency_per_token_ns",
    "tokens_per_s",
    "energy_pJ",
    "prefill_energy_pJ",
    "energy_per_token_pJ",
    "average_power_mW",
    "row_hit_rate",
    "external_bytes",
    "payload_bytes",
    "data_movement_reduction",
    "non_vmm_fraction",
    "mac_utilization",
)
BASELINE = ("speedup", "energy_ratio")
COUNTS = ("system.latency_breakdown_ns.", "system.energy_breakdown_pJ.", "system.commands.")  # 0 where there is none
DIRECTIONS = ("minimise", "maximise")


@dataclass(frozen=True)
class Objective:
    """A column of the results, and whether more of it is better."""

    name: str
    maximise: bool = False

    @property
    def direction(self) -> str:
        """ "minimise" or "maximise"."""
        return DIRECTIONS[self.maximise]

    def cost(self, row: Mapping[str, Any]) -> float | None:
        """The figure, less is better; None if the row has none."""
        if row["status"] != "ok":
            return None
        value = row.get(self.name)
        if value is None or value != value:  # a data frame has NaN for nothing
            return 0.0 if self.name.startswith(COUNTS) else None
        return -float(value) if self.maximise else float(value)


def unknown_objective(name: str, baselines: Collection[str]) -> str | None:
    """What is said of a name that is no figure of a row; None if it is one."""
    known = [f"system.{key}" for key in SYSTEM] + [f"proxy.{key}" for key in PROXIES]
    known += [f"baselines.{baseline}.{key}" for baseline in baselines for key in BASELINE]
    if name in known or (name.startswith(COUNTS) and not name.endswith(".")):
        return None
    return f"no figure of a result{did_you_mean(name, known)}"
