"""Time of a step as the context grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from typing import TYPE_CHECKING, Any

import numpy as np

from pimsim.plots import style
from pimsim.results.headline import number, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pimsim.results.lines import Line

_MOST = 20_000  # steps drawn
_FEW = 48  # steps up to which each one gets a marker


def latency_vs_context(
    summary: Mapping[str, Any], tokens: Mapping[str, Any], ax: Axes | None = None, lines: Sequence[Line] = ()
) -> Axes:
    """Latency of each decode step against its context, and the mean of all steps.

    tokens: `results.tables.token_columns`; of very many steps some are left out, evenly.
    lines: of a schedule (`results.lines`), whose steps are no one line
    ValueError where nothing is decoded.
    """
    from matplotlib.ticker import MaxNLocator

    mean = summary["system"]["latency_per_step_ns"]
    if mean is None:
        raise ValueError("nothing is decoded: there is no step to show")
    steps = len(tokens["context"])
    factor, unit = time_scale(max(tokens["latency_ns"].tolist()))
    several = len(lines) > 1
    with style.drawing():
        ax = style.axes_or_new(ax)
        looks = zip(lines if several else [("each step", np.arange(steps))], cycle(style.SERIES), strict=False)
        top = max(_draw(ax, tokens, factor, line, colour) for line, colour in looks)
        if not several:
            mean_label = f"mean, {number(mean / factor)} {unit}"
            ax.axhline(mean / factor, color=style.ORANGE, linewidth=1.2, linestyle="--", label=mean_label)
        ax.set_ylim(0, 1.15 * top)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.set_xlabel("context (tokens)")
        ax.set_ylabel(f"latency ({unit}/step)")
        ax.legend(loc="best" if several else "lower right")
        ax.grid(axis="both")
        ax.set_title(f"Latency of a step: {style.short(summary['workload']['model'])}")
    return ax


def _draw(ax: Axes, tokens: Mapping[str, Any], factor: float, line: Line, colour: str) -> float:
    """Draw a line over the context; its highest value."""
    name, places = line
    shown = places[:: -(-len(places) // _MOST)]
    values: list[float] = [latency / factor for latency in tokens["latency_ns"][shown].tolist()]
    marker = "o" if len(places) <= _FEW else ""
    contexts = tokens["context"][shown].tolist()
    ax.plot(contexts, values, color=colour, linewidth=1.4, marker=marker, markersize=3.5, label=name)
    return max(values)
