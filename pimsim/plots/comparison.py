"""The simulated system beside its baselines, on a log axis with numbers at the bars."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.drawn.comparison import ratios
from pimsim.results.headline import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_HEIGHT = 0.3
_ROW_IN = 0.42  # inches that a machine takes, where there are many
_SERIES = (("eager model", style.BLUE, -_HEIGHT / 2), ("roofline bound", style.SKY, _HEIGHT / 2))


def speedup(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Baseline latency / simulated latency, for the eager model and the roofline of each baseline."""
    return _compare(summary, "speedup", "speedup (baseline latency / simulated latency)", "Speedup", ax)


def energy_ratio(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Baseline energy / simulated energy, for the eager model and the roofline of each baseline."""
    label = "energy ratio (baseline energy / simulated energy)"
    return _compare(summary, "energy_ratio", label, "Energy efficiency", ax)


def _compare(summary: Mapping[str, Any], key: str, label: str, title: str, ax: Axes | None) -> Axes:
    baselines = ratios(summary, key)
    if not baselines:
        raise ValueError("the configuration names no baselines to compare with")
    with style.drawing():
        ax = style.axes_or_new(ax, max(style.HEIGHT_IN, 1.2 + _ROW_IN * len(baselines)))
        series = ([b.eager for b in baselines], [b.roofline for b in baselines])
        for (name, colour, shift), values in zip(_SERIES, series, strict=True):
            _bars(ax, name, colour, shift, values)
        ax.axvline(1, color=style.BLACK, linewidth=0.8)
        ax.set_xscale("log")
        known = [1.0, *(value for values in series for value in values if value is not None)]
        ax.set_xlim(0.6 * min(known), 4 * max(known))
        ax.set_yticks(range(len(baselines)), [style.short(b.machine) for b in baselines])
        ax.tick_params(axis="y", length=0)
        ax.invert_yaxis()
        _number_ticks(ax)
        ax.set_xlabel(label)
        ax.grid(axis="x")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=2)
        ax.set_title(f"{title}: {style.short(summary['workload']['model'])}")
    return ax


def _bars(ax: Axes, name: str, colour: str, shift: float, values: list[float | None]) -> None:
    """Bars from 1, where both are equal, to the ratio; none for a machine that the workload does not fit."""
    positions = [index + shift for index in range(len(values))]
    widths = [0.0 if value is None else value - 1 for value in values]
    ax.barh(positions, widths, left=1, height=_HEIGHT * 0.92, color=colour, label=name)
    for position, value in zip(positions, values, strict=True):
        ax.annotate(
            "does not fit" if value is None else f"{number(value)}x",
            (max(value or 1.0, 1.0), position),
            (4, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )


def _number_ticks(ax: Axes) -> None:
    """1, 10, 1,000 rather than powers of ten."""
    from matplotlib.ticker import FuncFormatter

    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.minorticks_off()
