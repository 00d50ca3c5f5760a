"""Where the time and the energy go: sorted bars, coloured by what is at work."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results import scheduled
from pimsim.results.headline import energy_scale, number, percent, time_scale
from pimsim.workload.ops import OPS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Legend entry, colour and members of each group; what is in none is ASIC arithmetic.
_TIME_GROUPS = (
    ("MAC units", style.BLUE, ("mac",)),
    ("rows", style.ORANGE, ("activation", "refresh")),
    ("pins", style.SKY, ("input_transfer", "result_transfer")),
    ("K and V", style.GREEN, ("write", "read")),
    ("modes, copies", style.YELLOW, ("mode_switch", "copy")),
)
_ENERGY_GROUPS = (
    ("MAC units", style.BLUE, ("mac_read", "mac_units")),
    ("rows", style.ORANGE, ("activation", "refresh")),
    ("pins", style.SKY, ("io",)),
    ("K and V", style.GREEN, ("column_read", "column_write")),
    ("standby", style.PURPLE, ("standby_active", "standby_precharged")),
)
_FUNCTIONS = {name: op.written for name, op in OPS.shipped.items() if op.written}
_ACRONYMS = {"mac": "MAC", "asic": "ASIC", "io": "I/O"} | _FUNCTIONS
_OTHER = ("ASIC", style.VERMILION)
_SMALLEST = 5e-5  # shares below are one bar, "other", so that every label says more than 0.0 %

_Groups = tuple[tuple[str, str, tuple[str, ...]], ...]


def latency_breakdown(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Latency by cause: a bar each, longest on top, with its share of the total."""
    parts = summary["system"]["latency_breakdown_ns"]
    factor, unit = time_scale(max(parts.values()), least=1)
    return _bars(parts, factor, f"latency ({unit})", _title("Latency by cause", summary), _TIME_GROUPS, ax)


def energy_breakdown(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Energy by component: a bar each, longest on top, with its share of the total."""
    parts = summary["system"]["energy_breakdown_pJ"]
    factor, unit = energy_scale(max(parts.values()), least=1)
    return _bars(parts, factor, f"energy ({unit})", _title("Energy by component", summary), _ENERGY_GROUPS, ax)


def _title(what: str, summary: Mapping[str, Any]) -> str:
    workload = summary["workload"]
    if "schedule" in summary:
        ran = scheduled.said(summary) if workload["tokens_run"] else f"prompt of {scheduled.prompt(summary):,}"
        return f"{what}: {style.short(workload['model'])}, {ran}"
    tokens = workload["prompt_tokens"] + workload["output_tokens"]
    return f"{what}: {style.short(workload['model'])}, {tokens:,} token{'s' if tokens != 1 else ''}"


def ranked(parts: Mapping[str, float]) -> list[tuple[str, float, float]]:
    """(name, value, share) from the largest down; zeros left out, the smallest as one "other"."""
    total = sum(parts.values()) or 1.0
    shown = [(name, value, value / total) for name, value in parts.items() if value / total >= _SMALLEST]
    rest = sum(value for value in parts.values() if 0 < value / total < _SMALLEST)
    shown.sort(key=lambda part: -part[1])
    return [*shown, ("other", rest, rest / total)] if rest else shown


def _bars(parts: Mapping[str, float], factor: float, label: str, title: str, groups: _Groups, ax: Axes | None) -> Axes:
    with style.drawing():
        ax = style.axes_or_new(ax)
        rows = ranked(parts)
        values = [value / factor for _, value, _ in rows]
        looks = [_look(name, groups) for name, _, _ in rows]
        ax.barh([_readable(name) for name, _, _ in rows], values, color=[colour for _, colour in looks], height=0.7)
        texts = [f"{number(value)}  ({percent(share)})" for value, (_, _, share) in zip(values, rows, strict=True)]
        style.label_bars(ax, values, texts)
        _legend(ax, looks)
        ax.invert_yaxis()
        ax.set_xlim(0, 1.22 * max(values, default=1.0))
        ax.set_xlabel(label)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x")
        ax.set_title(title)
    return ax


def _look(name: str, groups: _Groups) -> tuple[str, str]:
    if name == "other":
        return "other", style.GREY
    return next(((group, colour) for group, colour, members in groups if name in members), _OTHER)


def _readable(name: str) -> str:
    return " ".join(_ACRONYMS.get(word, word) for word in name.split("_"))


def _legend(ax: Axes, looks: list[tuple[str, str]]) -> None:
    from matplotlib.patches import Patch

    handles = [Patch(color=colour, label=group) for group, colour in dict(looks).items() if group != "other"]
    ax.legend(handles=handles, loc="lower right")
