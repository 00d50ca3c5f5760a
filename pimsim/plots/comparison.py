"""The simulated system beside its baselines: bars from 1, where both are equal, on a log axis with numbers at them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import log10
from typing import TYPE_CHECKING, Any

from pimsim.plots import style
from pimsim.plots.overlay import Plot, Records, Run
from pimsim.results.drawn.comparison import Ratio
from pimsim.results.headline import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

_PLOTS = {
    "speedup": ("Speedup", "speedup (baseline latency / simulated latency)"),
    "energy_ratio": ("Energy efficiency", "energy ratio (baseline energy / simulated energy)"),
}
_KINDS = {"eager": "eager model", "roofline": "roofline bound"}
_COLOURS = {"eager": style.BLUE, "roofline": style.SKY}  # of one run
_HATCHES = {"eager": "", "roofline": "////"}  # of several
_BAR_IN, _RIM_IN = 0.25, 1.2  # inches that a bar, and all that is no bar, takes
_GROUP = 0.6  # of a machine's room that its bars take


def _draw(name: str, ax: Axes, runs: Sequence[Run]) -> None:
    title, label = _PLOTS[name]
    machines = list(dict.fromkeys(ratio.machine for run in runs for ratio in run.data))
    ax.set_xscale("log")
    bars = [bar for at, run in enumerate(runs) for kind in _KINDS for bar in _bars(ax, at, kind, run, machines, runs)]
    ends = [max(value or 1.0, 1.0) for _, value in bars]
    texts = ["does not fit" if value is None else f"{number(value)}x" for _, value in bars]
    if style.rows_fit(ax, round(len(bars) / _GROUP)):
        style.label_bars(ax, ends, texts, [place for place, _ in bars])
    ax.axvline(1, color=style.BLACK, linewidth=0.8)
    known = [1.0, *(value for _, value in bars if value is not None)]
    ax.set_xlim(0.6 * min(known), max(2 * max(known), _end(ax, 0.6 * min(known), ends, texts)))
    ax.set_yticks(range(len(machines)), [style.short(name) for name in machines])
    ax.set_ylim(len(machines) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)
    _number_ticks(ax)
    ax.grid(axis="x")
    style.label_x(ax, label)
    style.title(ax, title + (f": {style.short(runs[0].model)}" if len(runs) == 1 else ""))
    style.key_below(ax, _key(runs))


def _bars(
    ax: Axes, at: int, kind: str, run: Run, machines: Sequence[str], runs: Sequence[Run]
) -> list[tuple[float, float | None]]:
    """Bars from 1 to the ratio, none for a machine that the workload does not fit; where each is, and its ratio."""
    thick = _GROUP / (len(runs) * len(_KINDS))
    slot = at * len(_KINDS) + list(_KINDS).index(kind)
    places = [machines.index(ratio.machine) + thick * (slot + 0.5) - _GROUP / 2 for ratio in run.data]
    values: list[float | None] = [getattr(ratio, kind) for ratio in run.data]
    widths = [0.0 if value is None else value - 1 for value in values]
    ax.barh(places, widths, left=1, height=0.92 * thick, label=_KINDS[kind], **_look(at, kind, runs))
    return list(zip(places, values, strict=True))


def _look(at: int, kind: str, runs: Sequence[Run]) -> dict[str, Any]:
    if len(runs) == 1:
        return {"color": _COLOURS[kind]}
    return {"facecolor": style.series(at), "hatch": _HATCHES[kind], "edgecolor": "#FFFFFF", "linewidth": 0}


def _end(ax: Axes, low: float, ends: Sequence[float], texts: Sequence[str]) -> float:
    """Where the log axis from `low` has to end so that the texts beyond the bars have room."""
    decades = style.beyond(ax, [log10(end / low) for end in ends], texts)
    return float(low * 10**decades)


def _key(runs: Sequence[Run]) -> list[Patch]:
    if len(runs) == 1:
        return [style.patch(_COLOURS[kind], text) for kind, text in _KINDS.items()]
    hatched = [
        style.patch("#FFFFFF", text, hatch=_HATCHES[kind], edgecolor=style.GREY) for kind, text in _KINDS.items()
    ]
    return [*style.key_of_runs([run.label for run in runs]), *hatched]


def _number_ticks(ax: Axes) -> None:
    """1, 10, 1,000 rather than powers of ten."""
    from matplotlib.ticker import FuncFormatter

    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,g}"))
    ax.minorticks_off()


def _table(name: str, run: Run) -> Records:
    ratios: Sequence[Ratio] = run.data
    return [{"machine": r.machine, f"{name}_eager_x": r.eager, f"{name}_roofline_x": r.roofline} for r in ratios]


def _height(runs: Sequence[Run]) -> float:
    bars = sum(len(run.data) for run in runs) * len(_KINDS)
    return max(style.look().height_in, _RIM_IN + _BAR_IN * bars)


_NOTHING = "the configuration names no baselines to compare with"
PLOTS = {name: Plot(name, partial(_draw, name), partial(_table, name), _NOTHING, _height) for name in _PLOTS}
