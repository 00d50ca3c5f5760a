"""How busy buses, banks and MAC units are over time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pimsim.plots import style
from pimsim.results.headline import time_scale
from pimsim.timeline.shares import TRACKS, Busy, busy, busy_in_step

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pimsim.results.result import Result
    from pimsim.timeline.activity import Activity

_COLOURS = dict(zip(TRACKS, (style.BLUE, style.ORANGE, style.BLACK, style.SKY, style.VERMILION), strict=True))


def utilisation(activity: Activity, ax: Axes | None = None, title: str = "Utilisation over time") -> Axes:
    """Busy share of buses, banks and MAC units over time, all channels together.

    activity  from `timeline.recorder.Recorder`, or of a command log: `activity_of(log, device)`
    """
    return _draw(busy(activity, title), ax)


def of_step(result: Result, context: int | None = None, ax: Axes | None = None) -> Axes:
    """Utilisation during the decode of one token, or of a step of a schedule, which is simulated again, from rest."""
    return _draw(busy_in_step(result, context), ax)


def _draw(shown: Busy, ax: Axes | None) -> Axes:
    factor, unit = time_scale(float(shown.edges_ns[-1]))
    edges = shown.edges_ns / factor
    with style.drawing():
        ax = style.axes_or_new(ax)
        for track, shares in shown.shares.items():
            ax.stairs(100 * shares, edges, color=_COLOURS[track], linewidth=1.1, label=TRACKS[track])
        ax.set_ylim(0, 102)
        ax.set_xlim(edges[0], edges[-1])
        ax.set_xlabel(f"time ({unit})")
        ax.set_ylabel("busy (%)")
        ax.grid(axis="y")
        ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=5, columnspacing=1.0, handlelength=1.2)
        ax.set_title(shown.title)
    return ax
