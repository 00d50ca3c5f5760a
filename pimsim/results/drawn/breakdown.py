"""Where time and energy go: the causes of the latency, the components of the energy, from the largest down."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from pimsim.results import scheduled

ASIC, OTHER = "ASIC", "other"
# What is at work, and the causes or components that it is at work in; what is in none of them is ASIC arithmetic.
TIME_GROUPS = {
    "MAC units": ("mac",),
    "rows": ("activation", "refresh"),
    "pins": ("input_transfer", "result_transfer"),
    "K and V": ("write", "read"),
    "modes, copies": ("mode_switch", "copy"),
    "links": ("link",),
    "other machine": ("machine",),
    "waiting": ("bubble",),
}
ENERGY_GROUPS = {
    "MAC units": ("mac_read", "mac_units"),
    "rows": ("activation", "refresh"),
    "pins": ("io",),
    "K and V": ("column_read", "column_write"),
    "standby": ("standby_active", "standby_precharged"),
    "links": ("link",),
    "other machine": ("machine",),
}
_SMALLEST = 5e-5  # shares below are one part, "other", so that every label says more than 0.0 %


class Part(NamedTuple):
    """name: as in the summary; value: ns or pJ; share: of the whole, 0 to 1; group: what is at work in it."""

    name: str
    value: float
    share: float
    group: str


class Breakdown(NamedTuple):
    """ran: what ran, in words ("1,024 tokens"); parts: from the largest down, zeros left out."""

    ran: str
    parts: list[Part]


def latency(summary: Mapping[str, Any]) -> Breakdown:
    """The latency by cause, ns."""
    return _breakdown(summary, summary["system"]["latency_breakdown_ns"], TIME_GROUPS)


def energy(summary: Mapping[str, Any]) -> Breakdown:
    """The energy by component, pJ."""
    return _breakdown(summary, summary["system"]["energy_breakdown_pJ"], ENERGY_GROUPS)


def _breakdown(
    summary: Mapping[str, Any], parts: Mapping[str, float], groups: Mapping[str, tuple[str, ...]]
) -> Breakdown:
    return Breakdown(ran(summary), [Part(*part, _group(part[0], groups)) for part in ranked(parts)])


def _group(name: str, groups: Mapping[str, tuple[str, ...]]) -> str:
    return OTHER if name == OTHER else next((group for group, names in groups.items() if name in names), ASIC)


def ranked(parts: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """(name, value, share) from the largest down; zeros left out, the smallest as one "other"."""
    total = sum(parts.values()) or 1.0
    shown = [(name, value, value / total) for name, value in parts.items() if value / total >= _SMALLEST]
    rest = sum(value for value in parts.values() if 0 < value / total < _SMALLEST)
    shown.sort(key=lambda part: -part[1])
    return [*shown, (OTHER, rest, rest / total)] if rest else shown


def ran(summary: Mapping[str, Any]) -> str:
    """What ran, in words: "1,024 tokens", "prompt of 20"."""
    workload = summary["workload"]
    if "schedule" in summary:
        return scheduled.said(summary) if workload["tokens_run"] else f"prompt of {scheduled.prompt(summary):,}"
    tokens = workload["prompt_tokens"] + workload["output_tokens"]
    return f"{tokens:,} token{'s' if tokens != 1 else ''}"
