"""The simulated system beside its baselines, as ratios."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple


class Ratio(NamedTuple):
    """What a machine takes over what the simulated system takes; None where the workload does not fit it.

    eager: by the model of an eager program; roofline: by the bound of the machine
    """

    machine: str
    eager: float | None
    roofline: float | None


def ratios(summary: Mapping[str, Any], key: str) -> list[Ratio]:
    """Of each baseline; key: speedup or energy_ratio."""
    return [Ratio(name, found[key], found["roofline"][key]) for name, found in summary["baselines"].items()]
