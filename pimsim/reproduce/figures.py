"""What each figure is: a function of one model's runs, or the lowest, highest or mean of such a function.

A run with another configuration beside the shipped one (the ASIC at 100 MHz, 16 channels ...)
is a probe; its figure is a ratio of the two.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean

from pimsim.reproduce.runs import Changes
from pimsim.reproduce.values import T4, XEON, Values
from pimsim.workload.models import MODELS as MODEL_SHAPES
from pimsim.workload.models import ModelShape

GPT2 = ("gpt2-small", "gpt2-medium", "gpt2-large", "gpt2-xl")
GPT3 = ("gpt3-small", "gpt3-medium", "gpt3-large", "gpt3-xl")
MODELS = GPT2 + GPT3
PROBED = ("gpt2-small", "gpt2-xl", "gpt3-xl")  # smallest, largest with odd sizes, largest


@cache
def stand_in(model: str) -> str:
    """The first model of the same sizes: GPT-2 and GPT-3 small and medium only differ in how long a text may be."""

    def sizes(name: str) -> ModelShape:
        return replace(MODEL_SHAPES[name], name="", max_positions=1)

    return next(other for other in MODELS if sizes(other) == sizes(model))


SHIPPED = ""  # the probe that changes nothing
PROBES: Mapping[str, Changes] = {
    SHIPPED: (),
    "asic_100MHz": (("asic.clock_GHz", 0.1),),
    "channels_16": (("dram.channels", 16),),
    "pin_rate_2Gbps": (("dram.io.data_rate_Gbps", 2),),
    "mac_width_64": (("pim.lanes", 64), ("dram.column_bytes", 128)),
}

ByProbe = Mapping[str, Values]  # of one model
Measure = Callable[[ByProbe], float]


@dataclass(frozen=True)
class Quantity:
    """One value per model; `probes` are the runs that it needs."""

    name: str
    of: str
    unit: str
    value: Measure
    probes: tuple[str, ...] = (SHIPPED,)
    models: tuple[str, ...] = MODELS


def _speedup(baseline: str, model: str) -> Measure:
    return lambda runs: runs[SHIPPED].speedup(baseline, model)


def _energy(baseline: str, table: str, model: str) -> Measure:
    return lambda runs: runs[SHIPPED].energy_ratio(baseline, table, model)


def _slower(probe: str) -> Measure:
    """Time with the probe over time without."""
    return lambda runs: runs[probe].token_ns / runs[SHIPPED].token_ns


def _faster(probe: str) -> Measure:
    """Speed with the probe over speed without."""
    return lambda runs: runs[SHIPPED].token_ns / runs[probe].token_ns


_SHORT = {T4: "t4", XEON: "xeon"}
_NAMES = {T4: "T4", XEON: "Xeon Gold 6154"}
QUANTITIES: tuple[Quantity, ...] = (
    *(
        Quantity(f"speedup_{_SHORT[b]}{suffix}", f"speedup over the {_NAMES[b]} ({model})", "x", _speedup(b, model))
        for b in (T4, XEON)
        for model, suffix in (("eager", ""), ("roofline", "_roofline"))
    ),
    *(
        Quantity(
            f"energy_{_SHORT[b]}_{table}{suffix}",
            f"energy ratio over the {_NAMES[b]} ({model}), energy table {table}",
            "x",
            _energy(b, table, model),
        )
        for b in (T4, XEON)
        for table in ("v1", "v2")
        for model, suffix in (("eager", ""), ("roofline", "_roofline"))
    ),
    Quantity("row_hit_rate", "row-hit rate", "share", lambda runs: runs[SHIPPED].row_hit_rate),
    Quantity("data_movement", "external data movement reduced", "x", lambda runs: runs[SHIPPED].data_movement),
    Quantity("non_vmm", "share of the latency in ASIC arithmetic alone", "share", lambda runs: runs[SHIPPED].non_vmm),
    Quantity(
        "ops_per_parameter",
        "operations per parameter and token",
        "1",
        lambda runs: runs[SHIPPED].operations_per_parameter,
    ),
    *(
        Quantity(name, of, "x", ratio(name), (SHIPPED, name), PROBED)
        for name, of, ratio in (
            ("asic_100MHz", "time with the ASIC at 100 MHz over 1 GHz", _slower),
            ("channels_16", "speed of 16 channels over 8", _faster),
            ("pin_rate_2Gbps", "time at 2 Gb/s a pin over 16", _slower),
            ("mac_width_64", "speed of 64 lanes over 16", _faster),
        )
    ),
)  # fmt: skip

# Figures over the models: which model's value stands for all.
OVER_MODELS: Mapping[str, Callable[[list[float]], float]] = {"lowest": min, "highest": max, "slowest": max, "": fmean}
