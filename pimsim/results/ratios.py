"""A result over its baselines: speedup and energy ratio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pimsim.results.metrics import ratio

MODELS = (
    "compiled",
    "measured_kernels",
    "roofline",
)  # beside the eager one, whose figures are the machine's


def with_ratios(
    baselines: Mapping[str, Mapping[str, Any]],
    decode_latency_ns: float,
    decode_energy_pJ: float,
    prefill_latency_ns: float = 0.0,
    prefill_energy_pJ: float = 0.0,
) -> dict[str, Any]:
    """Each baseline with `speedup` and `energy_ratio` added, in it, compiled, by measured kernels, and in its roofline.

    speedup       baseline's latency / simulated latency
    energy_ratio  baseline's energy / simulated energy
    Both are None where the workload does not fit the baseline's memory (`fits`): such a machine runs
    nothing to compare with.  Both sides are the decode steps alone: a prompt's prefill is apart on both.
    Where nothing is decoded they are the prefill.
    """
    own = (decode_latency_ns, decode_energy_pJ) if decode_latency_ns else (prefill_latency_ns, prefill_energy_pJ)
    prompt = not decode_latency_ns

    def compared(figures: Mapping[str, Any], fits: bool) -> dict[str, Any]:
        theirs = _of_prompt(figures) if prompt else figures
        ratios = {
            "latency_ns": figures["latency_ns"],
            "energy_pJ": figures["energy_pJ"],
            "speedup": ratio(theirs["latency_ns"], own[0]) if fits else None,
            "energy_ratio": ratio(theirs["energy_pJ"], own[1]) if fits else None,
        }
        rest = {key: value for key, value in figures.items() if key not in (*ratios, "model", *MODELS)}
        return ratios | rest

    return {
        name: compared(baseline, baseline.get("fits", True))
        | {"model": baseline["model"]}
        | {
            part: compared(baseline[part], baseline[part].get("fits", baseline.get("fits", True)))
            for part in MODELS
            if part in baseline
        }
        for name, baseline in baselines.items()
    }


def _of_prompt(figures: Mapping[str, Any]) -> Mapping[str, Any]:
    """Latency and energy of the prefill, of a machine or of one of its models."""
    if "prefill_latency_ns" in figures:
        return {"latency_ns": figures["prefill_latency_ns"], "energy_pJ": figures["prefill_energy_pJ"]}
    prompt: Mapping[str, Any] = figures.get("prefill", {"latency_ns": 0.0, "energy_pJ": 0.0})
    return prompt
