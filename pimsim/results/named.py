"""The single values of a summary by dotted name, as rows of a sweep and objectives have them, and their units.

It reads a summary alone, so it does for one that was loaded as for one that was just made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# Of a baseline beside its own figures, which are the eager ones: the figures of its other models.
COMPILED = ("speedup", "energy_ratio", "latency_ns", "energy_pJ")  # one launch a step
ROOFLINE = (*COMPILED, "required_bytes")  # its bound
MODELS = {"compiled": COMPILED, "roofline": ROOFLINE}

# Of another machine beside the memory; 0 where none stands there.
PLACEMENT = ("machine_busy_fraction", "link_busy_fraction", "link_bytes")
# Of the devices of a system: the single numbers; what each share does has no name of its own.
DEVICES = (
    "count", "tensor", "pipeline", "expert", "replicas", "in_flight", "idle", "steady_step_ns", "steady_tokens_per_s",
    "sequence_step_ns", "moved_bytes",
)  # fmt: skip

_SUFFIXES = ("ns", "pJ", "mW", "bytes")  # of a name, or of the breakdown that it is a part of
_UNITS = {
    "cycles": "cycles",
    "commands": "commands",
    "tokens_per_s": "tokens/s",
    "context": "tokens",
    "prompt_tokens": "tokens",
    "output_tokens": "tokens",
    "tokens_run": "tokens",
    "tokens_kept": "tokens",
    "kept_per_verification": "tokens",
    "batch": "sequences",
    "parameters": "parameters",
    "matrix_parameters": "parameters",
    "steady_tokens_per_s": "tokens/s",
    **dict.fromkeys(("count", "tensor", "expert", "idle"), "devices"),
    "pipeline": "stages",
    "replicas": "replicas",
    "in_flight": "parts of a batch",
}
RATIO = "1"  # the unit of shares and ratios


def single_values(summary: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Name and value: of the workload, of the system, of its devices where there are several, of a machine beside the
    memory, and of each baseline its figures, not how they came about.
    """
    for section in ("workload", "system"):
        yield from _leaves(section, summary[section])
    if devices := summary.get("devices"):
        yield from ((f"devices.{key}", devices[key]) for key in DEVICES)
    yield from ((f"placement.{key}", summary["placement"][key]) for key in PLACEMENT if "placement" in summary)
    for name, figures in summary["baselines"].items():
        for key, value in figures.items():
            if not isinstance(value, Mapping):
                yield f"baselines.{name}.{key}", value
        for model, keys in MODELS.items():
            found = figures.get(model, {})
            yield from ((f"baselines.{name}.{model}.{key}", found[key]) for key in keys if key in found)


def _leaves(path: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from _leaves(f"{path}.{key}", value)
        else:
            yield f"{path}.{key}", value


def figure_records(summary: Mapping[str, Any]) -> list[dict[str, Any]]:
    """figure, value and unit of every number of a summary, in its order; the value is None where it is null."""
    return [
        {"figure": name, "value": value, "unit": unit_of(name)}
        for name, value in single_values(summary)
        if not isinstance(value, str | bool)
    ]


def unit_of(name: str) -> str:
    """ns, pJ, tokens/s ... of a figure by its dotted name; "1" of a share or a ratio."""
    for part in reversed(name.split(".")):
        if part in _UNITS:
            return _UNITS[part]
        suffix = part.rpartition("_")[2]
        if suffix in _SUFFIXES:
            return suffix
    return RATIO
