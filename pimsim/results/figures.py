"""The numbers that a summary may have, by dotted name: what an objective can be.

One table says which names there are, which of them are 0 where a summary does not have
them, and what a wrong name is near to.  A test compares it with real summaries, so a new
key of `summary.json` is a new row here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cache

from pimsim.asic import units
from pimsim.config.devices import CONFIGS
from pimsim.config.schema import Config
from pimsim.devices.registry import HARDWARE
from pimsim.energy.formulas import ASIC_PARTS, COMPONENTS
from pimsim.errors import nearest
from pimsim.registry import derived
from pimsim.results import parts, scheduled
from pimsim.results.named import DEVICES, MODELS, PLACEMENT
from pimsim.sim.tally import DEVICE_CAUSES

SYSTEM = (
    "cycles",
    "latency_ns",
    "prefill_latency_ns",
    "ttft_ns",
    "latency_per_step_ns",
    "latency_per_token_ns",
    "tpot_ns",
    "tokens_per_s",
    "energy_pJ",
    "prefill_energy_pJ",
    "energy_per_token_pJ",
    "average_power_mW",
    "peak_power_mW",
    "activation_usual_pJ",  # null where the usual formula is negative
    "row_hit_rate",
    "external_bytes",
    "payload_bytes",
    "data_movement_reduction",
    "non_vmm_fraction",
    "mac_utilization",
    "asic_busy_fraction",
    "acceptance",  # this and the next are of the schedule of a trace; null where it verifies nothing
    "kept_per_verification",
)
WORKLOAD = (
    "context",
    "prompt_tokens",
    "output_tokens",
    "batch",
    "tokens_run",
    "tokens_kept",
    "parameters",
    "matrix_parameters",
)
BASELINE = (
    "speedup",  # null, as energy_ratio, where the model does not fit
    "energy_ratio",
    "latency_ns",
    "energy_pJ",
    "latency_per_token_ns",
    "energy_per_token_pJ",
    "prefill_latency_ns",
    "prefill_energy_pJ",
    "required_bytes",
    "capacity_bytes",
)

MOVED = "devices.moved_bytes"  # one device moves none

# Parts that every run has, but only the summary of a schedule says what they took.
_WHOLE = tuple(part for part in scheduled.PARTS if part not in parts.SPECULATIVE)


@derived
@cache
def breakdowns() -> Mapping[str, tuple[str, ...]]:
    """The parts that each breakdown of `system` may have; one that does not occur in a run is 0 there."""
    devices = [HARDWARE[name] for name, kind in CONFIGS.items() if issubclass(kind, Config)]
    return {
        "latency_breakdown_ns": (
            *DEVICE_CAUSES,
            *sorted({*units.KINDS, *units.KINDS_OF_WAYS, *units.KINDS_OF_FORMATS}),
        ),
        "energy_breakdown_pJ": COMPONENTS,
        "asic_energy_pJ": ASIC_PARTS,
        "commands": tuple(dict.fromkeys(name for device in devices for name in device.command_names)),
        "parts": tuple(f"{part}.{figure}" for part in parts.SPECULATIVE for figure in parts.FIGURES),
    }


@derived
@cache
def _parts() -> frozenset[str]:
    parts = (f"system.{name}.{part}" for name, members in breakdowns().items() for part in members)
    return frozenset((*parts, MOVED, *(f"placement.{key}" for key in PLACEMENT)))


def is_part(name: str) -> bool:
    """Whether `name` is 0 in a summary that does not have it: a part of a breakdown, what only devices move, or what a
    machine beside the memory does.
    """
    return name in _parts()


def known(baselines: Collection[str] = ()) -> Iterator[str]:
    """Every name of a number that a summary may have, with these baselines."""
    yield from (f"system.{key}" for key in SYSTEM)
    yield from (f"system.parts.{part}.{figure}" for part in _WHOLE for figure in parts.FIGURES)
    yield from (f"system.{name}.{part}" for name, members in breakdowns().items() for part in members)
    yield from (f"workload.{key}" for key in WORKLOAD)
    yield from (f"devices.{key}" for key in DEVICES)
    yield from (f"placement.{key}" for key in PLACEMENT)
    yield from (f"baselines.{baseline}.{key}" for baseline in baselines for key in BASELINE)
    for model, keys in MODELS.items():
        yield from (f"baselines.{baseline}.{model}.{key}" for baseline in baselines for key in keys)


def unknown(name: str, baselines: Collection[str] = (), others: Iterable[str] = ()) -> str | None:
    """What is said of a name that is no number of a summary, nor one of `others`; None if it is one."""
    names = [*known(baselines), *others]
    if name in names:
        return None
    parts = [other.removeprefix(f"{name}.") for other in names if other.startswith(f"{name}.")]
    if parts:
        return f"is no single number; its parts are {', '.join(parts)}"
    section, _, last = name.rpartition(".")
    siblings = [other.rpartition(".")[2] for other in names if other.rpartition(".")[0] == section]
    near = nearest(last, siblings)
    if near is not None:
        return f"no figure of a result; did you mean '{section}.{near}'?"
    anywhere: dict[str, str] = {}
    for other in names:
        anywhere.setdefault(other.rpartition(".")[2], other)
    close = nearest(name, names) if section and not siblings else anywhere.get(nearest(last, anywhere) or "")
    if close:
        return f"no figure of a result; did you mean {close!r}?"
    return f"no figure of a result; there are {', '.join(siblings)}" if siblings else "no figure of a result"
