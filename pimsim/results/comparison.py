"""A result beside its baselines: speedup and energy ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pimsim.results.metrics import ratio


def compare(
    baselines: Mapping[str, Mapping[str, Any]], decode_latency_ns: float, decode_energy_pJ: float
) -> dict[str, Any]:
    """Each baseline with `speedup` and `energy_ratio` added, in it and in its roofline.

    speedup       baseline's latency / simulated latency
    energy_ratio  baseline's energy / simulated energy
    Both are None where the workload does not fit the baseline's memory (`fits`): such a machine runs
    nothing to compare with.  Both sides are the decode steps alone: a prompt's prefill is apart on both.
    """
    return {
        name: _with_ratios(baseline, decode_latency_ns, decode_energy_pJ)
        | {
            "model": baseline["model"],
            "roofline": _with_ratios(baseline["roofline"], decode_latency_ns, decode_energy_pJ),
        }
        for name, baseline in baselines.items()
    }


def _with_ratios(figures: Mapping[str, Any], latency_ns: float, energy_pJ: float) -> dict[str, Any]:
    fits = figures.get("fits", True)
    ratios = {
        "latency_ns": figures["latency_ns"],
        "energy_pJ": figures["energy_pJ"],
        "speedup": ratio(figures["latency_ns"], latency_ns) if fits else None,
        "energy_ratio": ratio(figures["energy_pJ"], energy_pJ) if fits else None,
    }
    rest = {key: value for key, value in figures.items() if key not in (*ratios, "model", "roofline")}
    return ratios | rest
