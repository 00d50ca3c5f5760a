"""Figures as people read them: a number with a prefix that suits its size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pimsim.results import scheduled

Figure = tuple[str, str, str]

_TIME = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1.0, "ns"))
_ENERGY = ((1e12, "J"), (1e9, "mJ"), (1e6, "µJ"), (1e3, "nJ"), (1.0, "pJ"))
_POWER = ((1e3, "W"), (1.0, "mW"))
_BYTES = ((1e12, "TB"), (1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "bytes"))


def scale(largest: float, units: tuple[tuple[float, str], ...], least: float = 0.1) -> tuple[float, str]:
    """The factor and unit that make `largest` at least `least`, or the smallest there is."""
    return next(((factor, unit) for factor, unit in units if abs(largest) >= factor * least), units[-1])


def time_scale(largest_ns: float, least: float = 0.1) -> tuple[float, str]:
    """ns per unit, and the unit."""
    return scale(largest_ns, _TIME, least)


def energy_scale(largest_pJ: float, least: float = 0.1) -> tuple[float, str]:
    """pJ per unit, and the unit."""
    return scale(largest_pJ, _ENERGY, least)


def power_scale(largest_mW: float, least: float = 0.1) -> tuple[float, str]:
    """mW per unit, and the unit."""
    return scale(largest_mW, _POWER, least)


def size_scale(largest_bytes: float, least: float = 1) -> tuple[float, str]:
    """Bytes per unit, and the unit."""
    return scale(largest_bytes, _BYTES, least)


def size(count: float) -> str:
    """Bytes with a decimal prefix: 187 GB."""
    factor, unit = size_scale(count)
    return f"{number(count / factor)} {unit}"


def count_text(count: int) -> str:
    """1,234 in full, 5.03G from a million on."""
    for factor, letter in ((10**9, "G"), (10**6, "M")):
        if count >= factor:
            return f"{number(count / factor)}{letter}"
    return f"{count:,}"


def number(value: float) -> str:
    """Three significant digits, or every digit before the point: 0.953, 12.4, 1,049."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:#.3g}" if abs(value) >= 1e-3 else f"{value:.2e}"


def percent(share: float) -> str:
    """One decimal, and a share that would read 0.0 % as what it is: 64.2 %, < 0.1 %."""
    return "< 0.1 %" if 0 < share < 0.0005 else f"{100 * share:.1f} %"


def _scaled(value: float, units: tuple[tuple[float, str], ...]) -> tuple[str, str]:
    factor, unit = scale(value, units)
    return number(value / factor), unit


def time_text(ns: float) -> str:
    """A time with the unit that suits it: 12.4 µs."""
    return " ".join(_scaled(ns, _TIME))


def energy_text(pJ: float) -> str:
    """An energy with the unit that suits it: 7.07 mJ."""
    return " ".join(_scaled(pJ, _ENERGY))


def headline(summary: Mapping[str, Any]) -> list[Figure]:
    """(what, number, unit) of the figures that a reader looks for first; those that are null are left out."""
    system = summary["system"]
    power, power_unit = _scaled(system["average_power_mW"], _POWER)
    peak, peak_unit = _scaled(system["peak_power_mW"], _POWER)
    figures = [
        *_latency(summary),
        *_throughput(system),
        *_devices(summary),
        *_kept(summary),
        _energy(system),
        ("power", power, power_unit),
        ("peak power", peak, peak_unit),
        ("row hits", f"{system['row_hit_rate']:.1%}".rstrip("%"), "%"),
        *_traffic(system),
        ("ASIC arithmetic", f"{100 * system['non_vmm_fraction']:.2f}", "% of latency"),
        ("MAC use", f"{100 * system['mac_utilization']:.1f}", "% of peak"),
    ]
    if system["prefill_latency_ns"]:
        prefill, unit = _scaled(system["prefill_latency_ns"], _TIME)
        at = 0 if system["latency_per_step_ns"] is None else 1
        figures[at:at] = [("prefill", prefill, unit), *_first_token(system)]
    return figures


def _latency(summary: Mapping[str, Any]) -> Iterator[Figure]:
    """Of one sequence the time per token; of several that of a step, where it is a token of each."""
    system, batch = summary["system"], summary["workload"]["batch"]
    if system["latency_per_step_ns"] is None:
        return
    several = f"{batch}"
    by_step = batch > 1
    if "schedule" in summary:
        several = scheduled.sequences(summary)
        by_step = system["tpot_ns"] is None or (several != "1" and scheduled.one_by_one(summary))
    value, unit = _scaled(system["latency_per_step_ns" if by_step else "tpot_ns"], _TIME)
    if by_step:
        yield "latency", value, f"{unit} per step" + (f" of {several} sequences" if several != "1" else "")
    else:
        yield "latency", value, f"{unit}/token" + (f" of each of {several} sequences" if several != "1" else "")


def _throughput(system: Mapping[str, Any]) -> Iterator[Figure]:
    if system["tokens_per_s"] is not None:
        yield "throughput", number(system["tokens_per_s"]), "tokens/s"


def _devices(summary: Mapping[str, Any]) -> Iterator[Figure]:
    """Of several devices that share a model: what they exchange and wait, and a pipeline once it is full."""
    devices, system = summary.get("devices"), summary["system"]
    if devices is None:
        return
    for what, cause in (("links", "link"), ("bubbles", "bubble")):
        if part := system["latency_breakdown_ns"].get(cause):
            yield what, f"{100 * part / system['latency_ns']:.2f}", "% of time"
    if devices["steady_tokens_per_s"] is not None:
        yield "when full", number(devices["steady_tokens_per_s"]), "tokens/s"
    if devices["pipeline"] > 1 and devices["sequence_step_ns"] is not None:
        value, unit = _scaled(devices["sequence_step_ns"], _TIME)
        yield "a sequence", value, f"{unit}/step"


def _kept(summary: Mapping[str, Any]) -> Iterator[Figure]:
    """What verification keeps, where there is any."""
    kept = summary["system"].get("kept_per_verification")
    if kept is not None:
        share = percent(summary["system"]["acceptance"])
        yield "kept", number(kept), f"of {scheduled.verified(summary)} tokens a verification step ({share})"


def _energy(system: Mapping[str, Any]) -> Figure:
    """Per token that is kept; where none is, of the run."""
    per_token = system["energy_per_token_pJ"]
    value, unit = _scaled(system["energy_pJ"] if per_token is None else per_token, _ENERGY)
    return "energy", value, unit if per_token is None else f"{unit}/token"


def _traffic(system: Mapping[str, Any]) -> Iterator[Figure]:
    """Of the decode phase, if there is one and the memory has a part of it."""
    saved = system["data_movement_reduction"]
    if system["latency_per_step_ns"] is not None and saved is not None:
        yield "bus traffic", number(saved), "x less than without PIM"


def _first_token(system: Mapping[str, Any]) -> Iterator[Figure]:
    if system["ttft_ns"] is not None:
        first, unit = _scaled(system["ttft_ns"], _TIME)
        yield "first token", first, unit
