"""Time of a step as the context grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.headline import number, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MOST = 20_000  # steps drawn
_FEW = 48  # steps up to which each one gets a marker


def latency_vs_context(summary: Mapping[str, Any], tokens: Mapping[str, Any], ax: Axes | None = None) -> Axes:
    """Latency of each decode step against its context, and the mean of all steps.

    tokens: `results.tables.token_columns`; of very many steps some are left out, evenly.
    """
    from matplotlib.ticker import MaxNLocator

    mean = summary["system"]["latency_per_step_ns"]
    steps = len(tokens["context"])
    shown = slice(None, None, -(-steps // _MOST))
    contexts, latencies = tokens["context"][shown].tolist(), tokens["latency_ns"][shown].tolist()
    factor, unit = time_scale(max(latencies))
    with style.drawing():
        ax = style.axes_or_new(ax)
        values = [latency / factor for latency in latencies]
        marker = "o" if steps <= _FEW else ""
        ax.plot(contexts, values, color=style.BLUE, linewidth=1.4, marker=marker, markersize=3.5, label="each step")
        mean_label = f"mean, {number(mean / factor)} {unit}"
        ax.axhline(mean / factor, color=style.ORANGE, linewidth=1.2, linestyle="--", label=mean_label)
        ax.set_ylim(0, 1.15 * max(values))
        ax.xaxis.set_major_locator(MaxNLocator("auto", integer=True))
        ax.set_xlabel("context (tokens)")
        ax.set_ylabel(f"latency ({unit}/step)")
        ax.legend(loc="lower right")
        ax.grid(axis="both")
        ax.set_title(f"Latency of a step: {style.short(summary['workload']['model'])}")
    return ax
