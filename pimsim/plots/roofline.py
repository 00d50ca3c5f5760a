"""Rooflines: what the PIM device and each baseline can reach, and what each operator reaches on it."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle, product
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.drawn.rates import Rates

if TYPE_CHECKING:
    from matplotlib.axes import Axes


_MARKERS = "osD^vP*X<>"
_PARTS = {"": style.BLUE, "drafting": style.SKY, "verification": style.BLACK}  # of a schedule
_LINES = (style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION)
_DASHES = ("-", "--", ":", "-.")  # of the lines whose colour has come up before
_RANGE = (0.05, 1000.0)  # operations per byte that are drawn
_ENTRIES = 16  # of a legend that fit beside the plot in its usual type


def roofline(summary: Mapping[str, Any], rates: Rates, ax: Axes | None = None) -> Axes:
    """Arithmetic rate against operations per byte: roofs as lines, operators of the decode steps as points.

    Where nothing is decoded, operators of the prefill.
    """
    with style.drawing():
        ax = style.axes_or_new(ax)
        _draw_roof(ax, "PIM, inside the banks", *rates.pim, style.BLUE)
        markers = dict(zip(dict.fromkeys(point.name for point in rates.operators), cycle(_MARKERS), strict=False))
        for point in rates.operators:
            label, colour = (
                f"PIM: {style.short(point.name)}" + f" ({point.part})" * bool(point.part),
                _PARTS[point.part],
            )
            ax.plot(point.intensity, point.rate, markers[point.name], color=colour, fillstyle="none", label=label)
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
