"""Where the time and the energy go: sorted bars, coloured by what is at work."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.drawn.breakdown import ASIC, OTHER, Breakdown, energy, latency, readable
from pimsim.results.headline import energy_scale, number, percent, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = {
    "MAC units": style.BLUE,
    "rows": style.ORANGE,
    "pins": style.SKY,
    "K and V": style.GREEN,
    "modes, copies": style.YELLOW,
    "standby": style.PURPLE,
    ASIC: style.VERMILION,
    OTHER: style.GREY,
}


def latency_breakdown(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Latency by cause: a bar each, longest on top, with its share of the total."""
    shown = latency(summary)
    factor, unit = time_scale(shown.parts[0].value, least=1)
    return _bars(shown, factor, f"latency ({unit})", f"Latency by cause: {_ran(summary, shown)}", ax)


def energy_breakdown(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Energy by component: a bar each, longest on top, with its share of the total."""
    shown = energy(summary)
    factor, unit = energy_scale(shown.parts[0].value, least=1)
    return _bars(shown, factor, f"energy ({unit})", f"Energy by component: {_ran(summary, shown)}", ax)


def _ran(summary: Mapping[str, Any], shown: Breakdown) -> str:
    return f"{style.short(summary['workload']['model'])}, {shown.ran}"


def _bars(shown: Breakdown, factor: float, label: str, title: str, ax: Axes | None) -> Axes:
    with style.drawing():
        ax = style.axes_or_new(ax)
        values = [part.value / factor for part in shown.parts]
        colours = [_COLOURS[part.group] for part in shown.parts]
        ax.barh([readable(part.name) for part in shown.parts], values, color=colours, height=0.7)
        texts = [f"{number(v)}  ({percent(part.share)})" for v, part in zip(values, shown.parts, strict=True)]
        style.label_bars(ax, values, texts)
        _legend(ax, dict.fromkeys(part.group for part in shown.parts))
        ax.invert_yaxis()
        ax.set_xlim(0, 1.22 * max(values, default=1.0))
        ax.set_xlabel(label)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.set_title(title)
    return ax


def _legend(ax: Axes, groups: Iterable[str]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=_COLOURS[group], label=group) for group in groups if group != OTHER]
    ax.legend(handles=handles, loc="lower right")
