"""Rooflines: what the PIM device and each baseline can reach, and what each operator reaches on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, product
from typing import TYPE_CHECKING, Any, NamedTuple

from pimsim.plots import style
from pimsim.results.metrics import bytes_without_pim

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pimsim.dram.timing import Device
    from pimsim.results.result import Result

_MARKERS = "osD^vP*X<>"
_LINES = (style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION)
_DASHES = ("-", "--", ":", "-.")  # of the lines whose colour has come up before
_RANGE = (0.05, 1000.0)  # operations per byte that are drawn
_ENTRIES = 16  # of a legend that fit beside the plot in its usual type


class Point(NamedTuple):
    """intensity: operations per byte that the arithmetic reads; rate: 1e9 operations/s."""

    name: str
    intensity: float
    rate: float


def device_roof(device: Device, lanes: int, clock_GHz: float) -> tuple[float, float]:
    """(GB/s that the MAC units read from their banks, 1e9 operations/s that they make).

    A column of every bank each nMAC clocks; two operations per lane and MAC clock.
    """
    banks = device.channels * device.banks
    bandwidth = banks * device.column_bytes * 1000 / (device.mac_clocks * device.tCK_ps)
    return bandwidth, 2 * banks * lanes * clock_GHz


def operator_points(result: Result, device: Device) -> list[Point]:
    """The decode operators that the MAC units run: 2 operations per MAC, over the columns read and over the latency."""
    points = []
    for row in result.tally.phase_rows("decode"):
        read = device.columns_multiplied(row.commands) * device.column_bytes
        if row.macs and read and row.cycles:
            points.append(Point(row.operator, 2 * row.macs / read, 2000 * row.macs / (row.cycles * device.tCK_ps)))
    return points


def baseline_point(result: Result, baseline: Mapping[str, Any]) -> Point:
    """The whole decode on a baseline, eager: the same MACs, over the weights, K and V, and over its latency."""
    macs = sum(row.macs for row in result.tally.phase_rows("decode"))
    batch_bytes = float(bytes_without_pim(result.config, result.workload))
    return Point("", 2 * macs / batch_bytes, 2 * macs / baseline["latency_ns"])


class Rates(NamedTuple):
    """What a roofline shows.

    pim        (GB/s, 1e9 operations/s) of the device; operators: what each reaches on it
    baselines  of each that is bounded by a roofline: name, (GB/s, 1e9 operations/s), the whole decode (None if the
               model does not fit it); None for one that has no such bound
    """

    pim: tuple[float, float]
    operators: list[Point]
    baselines: list[tuple[str, tuple[float, float], Point | None] | None]


def rates(result: Result) -> Rates:
    """The rates of the device and its operators, and those of the baselines."""
    device, pim = result.prices.device, result.config.pim
    roof = device_roof(device, pim.lanes, float(pim.clock_GHz))
    machines = [_machine(result, name, baseline) for name, baseline in result.baselines.items()]
    return Rates(roof, operator_points(result, device), machines)


def _machine(
    result: Result, name: str, baseline: Mapping[str, Any]
) -> tuple[str, tuple[float, float], Point | None] | None:
    bound = baseline["roofline"]
    if "bandwidth_GBps" not in bound:
        return None
    point = baseline_point(result, baseline) if baseline.get("fits", True) else None
    return name, (bound["bandwidth_GBps"], 1000 * bound["peak_TFLOPs"]), point


def roofline(summary: Mapping[str, Any], rates: Rates, ax: Axes | None = None) -> Axes:
    """Arithmetic rate against operations per byte: roofs as lines, operators of the decode steps as points."""
    with style.drawing():
        ax = style.axes_or_new(ax)
        _draw_roof(ax, "PIM, inside the banks", *rates.pim, style.BLUE)
        for marker, point in zip(cycle(_MARKERS), rates.operators, strict=False):
            label = f"PIM: {style.short(point.name)}"
            ax.plot(point.intensity, point.rate, marker, color=style.BLUE, fillstyle="none", label=label)
        looks = cycle(product(_DASHES, _LINES))
        for (dashes, colour), machine in zip(looks, rates.baselines, strict=False):
            if machine is None:
                continue
            long_name, roof, decode = machine
            name = style.short(long_name)
            _draw_roof(ax, name, *roof, colour, dashes)
            if decode is not None:
                ax.plot(decode.intensity, decode.rate, "X", color=colour, markersize=7, label=f"{name}: decode, eager")
        ax.set_xscale("log")
        ax.set_yscale("log")
        style.log_ticks(ax.xaxis)
        style.log_ticks(ax.yaxis)
        ax.set_xlim(*_RANGE)
        ax.set_xlabel("arithmetic intensity (operations/byte)")
        ax.set_ylabel("arithmetic rate (10⁹ operations/s)")
        ax.grid(axis="both")
        size = 8 * min(1.0, _ENTRIES / len(ax.lines))
        ax.legend(loc="center left", bbox_to_anchor=(1.0, 0.5), fontsize=size)
        ax.set_title(f"Roofline: {style.short(summary['workload']['model'])}")
    return ax


def _draw_roof(ax: Axes, name: str, bandwidth: float, peak: float, colour: str, dashes: str = "-") -> None:
    ridge = peak / bandwidth
    xs = sorted({_RANGE[0], min(max(ridge, _RANGE[0]), _RANGE[1]), _RANGE[1]})
    ys = [min(peak, x * bandwidth) for x in xs]
    ax.plot(xs, ys, dashes, color=colour, linewidth=1.4, label=f"{name}: {bandwidth:,.0f} GB/s")
