"""How busy buses, banks and MAC units are over time: a band each, from 0 to 100 %."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pimsim.plots import style
from pimsim.plots.overlay import Plot, Records, Run, show
from pimsim.results.headline import time_scale
from pimsim.timeline.shares import MODEL, TRACKS, Busy, busy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pimsim.timeline.activity import Activity

_COLOURS = dict(zip(TRACKS, (style.BLUE, style.ORANGE, style.BLACK, style.SKY, style.VERMILION), strict=True))
_BAND = 0.82  # of the room of a track
_SEVERAL = "Utilisation while a step runs"  # title of several runs
_NAMES = {"banks open": "banks with\nan open row"}  # on two lines


def utilisation(activity: Activity, ax: Axes | None = None, title: str = "Utilisation over time") -> Axes:
    """Busy share of buses, banks and MAC units over time, all channels together.

    activity  from `timeline.recorder.Recorder`, or of a command log: `activity_of(log, device)`
    """
    return show(PLOTS["utilisation"], Run("log", "", busy(activity, title)), ax)


def _draw(ax: Axes, runs: Sequence[Run]) -> None:
    factor, unit = _unit(runs)
    tracks = _tracks(runs)
    below = style.rows_fit(ax, len(tracks) * len(runs))  # means of several runs: one below another, or side by side
    for row, track in enumerate(tracks):
        base = len(tracks) - 1 - row
        for share, dashes in ((0, "-"), (1, ":")):
            ax.axhline(base + share * _BAND, color=style.GREY, linewidth=0.5, linestyle=dashes)
        for at, run in enumerate(runs):
            if track in run.data.shares:
                colour = style.series(at) if len(runs) > 1 else _COLOURS[track]
                _band(ax, run.data, track, base, factor, colour)
        means = [f"{100 * _mean(run.data, track):.0f}" for run in runs]
        text = "\n".join(f"{mean} %" for mean in means) if below else " | ".join(means)
        ax.annotate(text, (1, base + _BAND / 2), (3, 0), xycoords=("axes fraction", "data"),
                    textcoords="offset points", va="center", fontsize=style.small())  # fmt: skip
    ax.annotate("mean" if below else "means (%)", (1, len(tracks) - (1 - _BAND)), (3, 2),
                xycoords=("axes fraction", "data"), textcoords="offset points", va="bottom",
                fontsize=style.small())  # fmt: skip
    ends = [float(edge) / factor for run in runs for edge in (run.data.edges_ns[0], run.data.edges_ns[-1])]
    ax.set_xlim(min(ends), max(ends))
    ax.set_ylim(-0.04, len(tracks) - (1 - _BAND) + 0.04)
    names = [_NAMES.get(track, TRACKS[track]) for track in tracks]
    ax.set_yticks([len(tracks) - 1 - row + _BAND / 2 for row in range(len(tracks))], names)
    ax.tick_params(axis="y", length=0)
    ax.spines["left"].set_visible(False)
    style.label_x(ax, f"time ({unit})")
    style.label_y(ax, "busy (%)")
    ax.grid(axis="x")
    title = runs[0].data.title.replace(MODEL, style.short(runs[0].model)) if len(runs) == 1 else _SEVERAL
    style.title(ax, title, corner=1.4 * style.small())
    style.key_below(ax, style.key_of_runs([run.label for run in runs]) if len(runs) > 1 else [])


def _unit(runs: Sequence[Run]) -> tuple[float, str]:
    return time_scale(max(float(run.data.edges_ns[-1]) for run in runs))


def _tracks(runs: Sequence[Run]) -> list[str]:
    return [track for track in TRACKS if any(track in run.data.shares for run in runs)]


def _band(ax: Axes, shown: Busy, track: str, base: float, factor: float, colour: str) -> None:
    """One track of one run."""
    heights, edges = base + _BAND * shown.shares[track], shown.edges_ns / factor
    ax.stairs(heights, edges, baseline=base, fill=True, color=colour, alpha=0.3, linewidth=0)
    ax.stairs(heights, edges, baseline=base, color=colour, linewidth=0.8 * style.look().line)


def _mean(shown: Busy, track: str) -> float:
    if track not in shown.shares:
        return 0.0
    return float(np.average(shown.shares[track], weights=np.diff(shown.edges_ns)))


def _table(run: Run) -> Records:
    factor, unit = _unit([run])
    edges = (run.data.edges_ns / factor).tolist()
    unit = style.ascii_unit(unit)
    shares = {f"{track.replace(' ', '_')}_percent": (100 * each).tolist() for track, each in run.data.shares.items()}
    return [
        {f"from_{unit}": begin, f"to_{unit}": end, **{name: each[at] for name, each in shares.items()}}
        for at, (begin, end) in enumerate(zip(edges[:-1], edges[1:], strict=True))
    ]


PLOTS = {"utilisation": Plot("utilisation", _draw, _table)}
