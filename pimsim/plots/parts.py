"""What drafting, verification and rejected work take of the decode phase."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.drawn.parts import parts as parts_of
from pimsim.results.headline import energy_scale, number, time_scale
from pimsim.results.scheduled import OF_DECODING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = dict(zip(OF_DECODING, (style.BLUE, style.SKY, style.ORANGE, style.VERMILION), strict=True))
_BARS = (("time", "latency_ns", time_scale), ("energy", "energy_pJ", energy_scale))
_ROOM = 0.06  # share of a bar from which on it has room for its number


def parts(summary: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """A bar of the decode phase's time and one of its energy, stacked of its parts, each with its share."""
    shown = parts_of(summary)
    if shown is None:
        raise ValueError("all of what is decoded is one part: there is no drafting and no verification")
    with style.drawing():
        ax = style.axes_or_new(ax)
        names = []
        for position, (what, figure, scale) in enumerate(_BARS):
            total = shown.totals[figure]
            factor, unit = scale(total, least=1)
            names.append(f"{what}\n{number(total / factor)} {unit}")
            _stack(ax, position, shown.shares[figure])
        ax.set_yticks(range(len(names)), names)
        ax.tick_params(axis="y", length=0)
        ax.invert_yaxis()
        ax.set_xlim(0, 100)
        ax.set_xlabel("share of the decode phase (%)")
        handles, labels = ax.get_legend_handles_labels()
        once = dict(zip(labels, handles, strict=True))
        ax.legend(once.values(), once, loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=len(OF_DECODING))
        ax.set_title(f"Parts of decoding: {style.short(summary['workload']['model'])}")
    return ax


def _stack(ax: Axes, position: int, shares: Mapping[str, float]) -> None:
    """The parts of one bar, side by side."""
    left = 0.0
    for name, share in shares.items():
        ax.barh(position, 100 * share, left=100 * left, height=0.55, color=_COLOURS[name], label=name)
        if share >= _ROOM:
            text = f"{100 * share:.1f} %"
            colour = "#FFFFFF" if _COLOURS[name] == style.BLUE else style.BLACK
            ax.text(100 * (left + share / 2), position, text, ha="center", va="center", color=colour, fontsize=8.5)
        left += share
