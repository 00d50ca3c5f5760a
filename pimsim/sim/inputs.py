"""What a simulation is of: the part of a configuration that it may read, and a key of all that decides its counts.

A simulation is given a configuration in which prices and other things that decide no count are
not there at all: to read one of them is an error, so the counts of two runs with equal keys are
equal.  Times in ns are not there either, since the device has them in clocks: two configurations
that round to the same clocks are the same run.

Of hardware or operators that others have registered, nobody knows what they read: such a run has
the whole configuration, and no key.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import fields
from typing import Any, TypeVar

from pydantic import BaseModel

from pimsim.config.schema import Config
from pimsim.devices.registry import HARDWARE
from pimsim.dram.timing import Device
from pimsim.workload.graph import Workload
from pimsim.workload.ops import OPS
from pimsim.workload.schedule import Schedule

# What decides what is said and what a count costs, and no count.
PRICED = (
    "name",
    "baselines",
    "baseline_kernels",
    "energy",
    "dram.power",
    "dram.io.energy_pJ_per_bit",
    "pim.mac_power_mW",
    "pim.mac_power_reference",
    "pim.routing_factor",
    "asic.power_mW",
    "asic.power_reference",
    "values",
    "system.link.energy_pJ_per_bit",
)
# What the device has in clocks.
IN_CLOCKS = ("dram.timing", "dram.io", "pim.clock_GHz")

Model = TypeVar("Model", bound=BaseModel)


class Same:
    """A thing that is equal to itself alone."""

    def __init__(self, thing: object) -> None:
        self.thing = thing

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Same) and self.thing is other.thing

    def __hash__(self) -> int:
        return id(self.thing)


def simulated(config: Config, workload: Workload) -> Config:
    """The configuration as a simulation of a workload is given it; what is not its business is no attribute of it."""
    return config if _of_others(config, workload) else _without(config, (*PRICED, *IN_CLOCKS))


def key_of(part: Config, workload: Workload, device: Device, schedule: Schedule | None = None) -> Hashable | None:
    """Equal for runs that count the same, None where that cannot be told; part: what `simulated` gave."""
    if _of_others(part, workload):
        return None
    sizes = tuple(getattr(device, field.name) for field in fields(device) if field.name not in ("standard", "cycles"))
    steps = None if schedule is None else (schedule.sha256, tuple(stage.workload for stage in schedule.stages))
    return _values(part), workload, Same(device.standard), sizes, tuple(device.cycles.items()), steps


def is_priced(key: str) -> bool:
    """Whether a key of a configuration, or a section of keys, decides no count."""
    return any(key == priced or key.startswith(f"{priced}.") for priced in PRICED)


def _of_others(config: Config, workload: Workload) -> bool:
    """Whether somebody has registered what runs, or what it runs on."""
    if HARDWARE.origin(config.dram.standard) is not None:
        return True
    return any(OPS.origin(operator.op) is not None for operator in workload.operators)


def _without(section: Model, keys: Iterable[str]) -> Model:
    """A section without some of its keys."""
    inner: dict[str, list[str]] = {}
    for key in keys:
        name, _, rest = key.partition(".")
        inner.setdefault(name, []).append(rest)
    copy = section.model_copy()
    for name, within in inner.items():
        if "" in within:
            del copy.__dict__[name]
        else:
            copy.__dict__[name] = _without(getattr(section, name), within)
    return copy


def _values(section: BaseModel) -> tuple[Any, ...]:
    """Everything in a section, to be compared."""
    values: Mapping[str, Any] = section.__dict__
    return tuple(map(_comparable, values.values()))


def _comparable(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return _values(value)
    return tuple(value.items()) if isinstance(value, Mapping) else value
