"""Time of a step as the context grows."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.drawn.context import StepLine, Steps
from pimsim.results.headline import number, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 48  # steps up to which each one gets a marker


def latency_vs_context(summary: Mapping[str, Any], steps: Steps | None, ax: Axes | None = None) -> Axes:
    """Latency of each decode step against its context, and the mean of all steps; ValueError without any."""
    from matplotlib.ticker import MaxNLocator

    if steps is None:
        raise ValueError("nothing is decoded: there is no step to show")
    factor, unit = time_scale(max(line.latencies_ns.max() for line in steps.lines))
    several = len(steps.lines) > 1
    with style.drawing():
        ax = style.axes_or_new(ax)
        top = max(_draw(ax, line, factor, colour) for line, colour in zip(steps.lines, cycle(style.SERIES)))
        if not several:
            mean = steps.mean_ns / factor
            ax.axhline(mean, color=style.ORANGE, linewidth=1.2, linestyle="--", label=f"mean, {number(mean)} {unit}")
        ax.set_ylim(0, 1.15 * top)
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.set_xlabel("context (tokens)")
        ax.set_ylabel(f"latency ({unit}/step)")
        ax.legend(loc="best" if several else "lower right")
        ax.grid(axis="both")
        ax.set_title(f"Latency of a step: {style.short(summary['workload']['model'])}")
    return ax


def _draw(ax: Axes, line: StepLine, factor: float, colour: str) -> float:
    """Draw a line over the context; its highest value."""
    values: list[float] = (line.latencies_ns / factor).tolist()
    marker = "o" if len(values) <= _FEW else ""
    name = line.name or "each step"
    ax.plot(line.contexts.tolist(), values, color=colour, linewidth=1.4, marker=marker, markersize=3.5, label=name)
    return max(values)
