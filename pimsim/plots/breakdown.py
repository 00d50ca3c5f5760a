"""Where the time and the energy go: sorted bars, coloured by what is at work, or by run where there are several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from pimsim.plots import style
from pimsim.plots.overlay import Plot, Records, Run
from pimsim.results.drawn.breakdown import ASIC, OTHER, Part
from pimsim.results.headline import energy_scale, number, percent, time_scale
from pimsim.results.written import readable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.patches import Patch

_WAITING = "#C4C8CE"  # nothing is at work
_COLOURS = {
    "MAC units": style.BLUE,
    "rows": style.ORANGE,
    "pins": style.SKY,
    "K and V": style.GREEN,
    "modes, copies": style.YELLOW,
    "standby": style.PURPLE,
    "links": style.BLACK,
    "other machine": style.PURPLE,
    "waiting": _WAITING,
    ASIC: style.VERMILION,
    OTHER: style.GREY,
}
_ROW_IN, _RIM_IN = 0.165, 0.95  # inches that a bar, and all that is not a bar, takes at least


class _What(NamedTuple):
    """What is broken down: its name, what its parts are called, and its units."""

    name: str
    part: str
    title: str
    scale: Callable[..., tuple[float, str]]


_LATENCY = _What("latency", "cause", "Latency by cause", time_scale)
_ENERGY = _What("energy", "component", "Energy by component", energy_scale)


def _draw(what: _What, ax: Axes, runs: Sequence[Run]) -> None:
    factor, unit = _unit(what, runs)
    rows = _rows(runs)
    thick = 0.7 if len(runs) == 1 else 0.84
    ends: list[float] = []
    texts: list[str] = []
    positions: list[float] = []
    for at, run in enumerate(runs):
        parts = {part.name: part for part in run.data.parts}
        own = [(row, parts[name]) for row, name in enumerate(rows) if name in parts]
        places = [row + thick * ((at + 0.5) / len(runs) - 0.5) for row, _ in own]
        values = [part.value / factor for _, part in own]
        ax.barh(places, values, height=thick / len(runs), color=_colours(run, at, [part for _, part in own], runs))
        ends, positions = ends + values, positions + places
        texts += [f"{number(value)}  ({percent(part.share)})" for value, (_, part) in zip(values, own, strict=True)]
    fit = style.rows_fit(ax, len(rows) * len(runs))
    if fit:
        style.label_bars(ax, ends, texts, positions)
    ax.set_xlim(0, max(style.beyond(ax, ends, texts) if fit else 0, 1.05 * max(ends, default=1.0)))
    ax.set_ylim(len(rows) - 0.5, -0.5)
    ax.set_yticks(range(len(rows)), [readable(name) for name in rows])
    ax.tick_params(axis="y", length=0)
    ax.grid(axis="x")
    style.label_x(ax, f"{what.name} ({unit})")
    ran = f": {style.short(runs[0].model)}, {runs[0].data.ran}" if len(runs) == 1 else ""
    style.title(ax, what.title + ran)
    style.key_below(ax, _key(runs))


def _unit(what: _What, runs: Sequence[Run]) -> tuple[float, str]:
    return what.scale(max((part.value for run in runs for part in run.data.parts), default=1.0), least=1)


def _rows(runs: Sequence[Run]) -> list[str]:
    """The names of all parts, by the largest of each; "other" last."""
    largest: dict[str, float] = {}
    for run in runs:
        for part in run.data.parts:
            largest[part.name] = max(part.value, largest.get(part.name, 0.0))
    return sorted(largest, key=lambda name: (name == OTHER, -largest[name]))


def _colours(run: Run, at: int, parts: Sequence[Part], runs: Sequence[Run]) -> list[str]:
    """By what is at work; of several runs by run."""
    return [style.series(at) if len(runs) > 1 else _COLOURS[part.group] for part in parts]


def _key(runs: Sequence[Run]) -> list[Patch]:
    if len(runs) > 1:
        return style.key_of_runs([run.label for run in runs])
    groups = dict.fromkeys(part.group for part in runs[0].data.parts if part.group != OTHER)
    return [style.patch(_COLOURS[group], group) for group in groups]


def _table(what: _What, run: Run) -> Records:
    factor, unit = _unit(what, [run])
    return [
        {
            what.part: readable(part.name),
            f"{what.name}_{style.ascii_unit(unit)}": part.value / factor,
            "share_percent": 100 * part.share,
            "at_work": part.group,
        }
        for part in run.data.parts
    ]


def _height(runs: Sequence[Run]) -> float:
    return max(style.look().height_in, _RIM_IN + _ROW_IN * len(_rows(runs)) * len(runs))


PLOTS = {
    name: Plot(name, partial(_draw, what), partial(_table, what), height=_height)
    for name, what in (("latency_breakdown", _LATENCY), ("energy_breakdown", _ENERGY))
}
