"""What drafting, verification and rejected work take of the decode phase."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pimsim.plots import style
from pimsim.plots.overlay import Plot, Records, Run
from pimsim.results.headline import energy_scale, number, time_scale
from pimsim.results.scheduled import OF_DECODING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = dict(zip(OF_DECODING, (style.BLUE, style.SKY, style.ORANGE, style.VERMILION), strict=True))
_BARS = (("time", "latency_ns", time_scale), ("energy", "energy_pJ", energy_scale))
_BAR_IN, _RIM_IN = 0.45, 1.2  # inches that a bar, and all that is no bar, takes


def _draw(ax: Axes, runs: Sequence[Run]) -> None:
    """A bar of the decode phase's time and one of its energy, stacked of its parts, each with its share."""
    names: list[str] = []
    for what, figure, scale in _BARS:
        factor, unit = scale(max(run.data.totals[figure] for run in runs), least=1)
        for run in runs:
            whose = f"{style.short(run.label)}\n" if len(runs) > 1 else ""
            _stack(ax, len(names), run.data.shares[figure])
            names.append(f"{whose}{what}{' ' if whose else chr(10)}{number(run.data.totals[figure] / factor)} {unit}")
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.set_xlim(0, 100)
    style.label_x(ax, "share of the decode phase (%)")
    shown = [name for name in OF_DECODING if any(name in run.data.shares["latency_ns"] for run in runs)]
    style.key_below(ax, [style.patch(_COLOURS[name], name) for name in shown])
    style.title(ax, "Parts of decoding" + (f": {style.short(runs[0].model)}" if len(runs) == 1 else ""))


def _stack(ax: Axes, position: int, shares: Mapping[str, float]) -> None:
    """The parts of one bar, side by side, with the numbers that have room."""
    left, room = 0.0, 0.85 * style.size_pt(ax)[0]
    for name, share in shares.items():
        ax.barh(position, 100 * share, left=100 * left, height=0.55, color=_COLOURS[name], label=name)
        text = f"{100 * share:.1f} %"
        if style.text_width(text) + 4 <= share * room:
            colour = "#FFFFFF" if _COLOURS[name] == style.BLUE else style.BLACK
            ax.text(100 * (left + share / 2), position, text, ha="center", va="center", color=colour,
                    fontsize=style.small())  # fmt: skip
        left += share


def _table(run: Run) -> Records:
    records: Records = []
    for what, figure, scale in _BARS:
        factor, unit = scale(run.data.totals[figure], least=1)
        for name, share in run.data.shares[figure].items():
            amount = share * run.data.totals[figure] / factor
            records.append({"of": what, "part": name, "share_percent": 100 * share, "amount": amount, "unit": unit})
    return records


def _height(runs: Sequence[Run]) -> float:
    return max(style.look().height_in, _RIM_IN + _BAR_IN * len(_BARS) * len(runs))


PLOTS = {
    "parts": Plot(
        "parts", _draw, _table, "all of what is decoded is one part: there is no drafting and no verification", _height
    )
}
