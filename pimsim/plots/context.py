"""Time per token as the context grows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.results.headline import number, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_FEW = 48  # steps up to which each one gets a marker


def latency_vs_context(summary: Mapping[str, Any], tokens: Sequence[Mapping[str, Any]], ax: Axes | None = None) -> Axes:
    """Latency of each decode step against its context, and the mean of all steps."""
    mean = summary["system"]["latency_per_token_ns"]
    factor, unit = time_scale(max(token["latency_ns"] for token in tokens))
    with style.drawing():
        ax = style.axes_or_new(ax)
        contexts = [token["context"] for token in tokens]
        values = [token["latency_ns"] / factor for token in tokens]
        marker = "o" if len(tokens) <= _FEW else ""
        ax.plot(contexts, values, color=style.BLUE, linewidth=1.4, marker=marker, markersize=3.5, label="each step")
        mean_label = f"mean, {number(mean / factor)} {unit}"
        ax.axhline(mean / factor, color=style.ORANGE, linewidth=1.2, linestyle="--", label=mean_label)
        ax.set_ylim(0, 1.15 * max(values))
        ax.set_xlabel("context (tokens)")
        ax.set_ylabel(f"latency ({unit}/token)")
        ax.legend(loc="lower right")
        ax.grid(axis="both")
        ax.set_title(f"Latency of a token: {summary['workload']['model']}")
    return ax
