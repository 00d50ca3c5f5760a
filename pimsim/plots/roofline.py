"""Rooflines: what the PIM device and each baseline can reach, and what each operator reaches on it.

Operators of a memory that multiplies lie close together: all do about one operation for each
byte.  So a line leads from the dot of each to a disc that has room, with a number that the key
explains.  The area of the disc is its share of the time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle, product
from math import sqrt
from typing import TYPE_CHECKING, Any, NamedTuple

from pimsim.plots import style
from pimsim.plots.callouts import Callout, Callouts
from pimsim.plots.overlay import GONE, Plot, Records, Run
from pimsim.results.drawn.rates import Point
from pimsim.results.headline import number, percent

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_PARTS = {"": style.BLUE, "drafting": style.SKY, "verification": style.BLACK}  # of a schedule
_MARKERS = "XPDs"  # of the decode of each run
_LINES = (style.ORANGE, style.GREEN, style.PURPLE, style.VERMILION)  # of baselines
_DASHES = ("-", "--", ":", "-.")  # of the lines whose colour has come up before
_LARGEST_PT, _SMALLEST_PT = 14.0, 1.2  # radius of a disc of all the time, and of one of hardly any
_DOT_PT = 1.3  # radius of the dot at the place itself
_ENTRY_IN, _RIM_IN = 0.155, 0.8
_ABOVE_PT, _OF_HEIGHT = 16, 0.5  # above the highest roof, for its text, of axes that have this part of their figure


class _Roof(NamedTuple):
    """GB/s, 1e9 operations/s, and how it looks; own: the memory's, not a baseline's."""

    name: str
    bandwidth: float
    peak: float
    colour: str
    dashes: str = "-"
    own: bool = False

    @property
    def ridge(self) -> float:
        return self.peak / self.bandwidth

    def at(self, intensity: float) -> float:
        return min(self.peak, intensity * self.bandwidth)


class _Decode(NamedTuple):
    """The whole decode of a run on a baseline; label: which run's."""

    machine: str
    label: str
    point: Point
    colour: str
    marker: str


def _draw(ax: Axes, runs: Sequence[Run]) -> None:
    roofs, decodes = list(_roofs(runs)), list(_decodes(runs))
    operators = [(run, at, point) for at, run in enumerate(runs) for point in run.data.operators]
    numbers = _numbers(runs)
    ax.set_xscale("log")
    ax.set_yscale("log")
    _limits(ax, roofs, [point for *_, point in operators] + [each.point for each in decodes])
    for at, roof in enumerate(roofs):
        _draw_roof(ax, roof, beneath=sum(_same(roof, other) for other in roofs[at + 1 :]))
    handles = [line for line in ax.lines if line.get_label() in {_said(roof) for roof in roofs}]
    handles += _draw_decodes(ax, decodes)
    callouts = []
    for run, at, point in sorted(operators, key=lambda each: -each[2].share):
        colour = style.series(at) if len(runs) > 1 else _PARTS[point.part]
        label = style.short(point.name) + f" ({point.part})" * bool(point.part)
        ax.plot(point.intensity, point.rate, "o", color=colour, markersize=2 * _DOT_PT, label=label)
        text = str(numbers[point.name])
        callouts.append(Callout(text, point.intensity, point.rate, _DOT_PT, _radius(point), colour, 180.0))
        handles.append(_entry(f"{text}  {label}: {percent(point.share)}, {_of_roof(run, point)}", colour))
    marks = [Callout("", each.point.intensity, each.point.rate, 3.0, leads=False) for each in decodes]
    # Those of roofs first: they have fewer places, and a line that leads to one of them would cross the operators.
    Callouts(ax, [*marks, *_of_roofs(ax, roofs), *callouts], [_line(ax, roof) for roof in roofs])
    style.log_ticks(ax.xaxis)
    style.log_ticks(ax.yaxis)
    style.label_x(ax, "arithmetic intensity (operations/byte)")
    style.label_y(ax, "arithmetic rate (10⁹ operations/s)")
    ax.grid(axis="both")
    style.key_beside(ax, handles, "share of the time, and of the roof")
    style.title(ax, "Roofline" + (f": {style.short(runs[0].model)}" if len(runs) == 1 else ""))


def _roofs(runs: Sequence[Run]) -> Iterator[_Roof]:
    """Of each run's memory, then of the baselines, each once."""
    for at, run in enumerate(runs):
        name = "PIM banks" if len(runs) == 1 else f"{style.short(run.label)} banks"
        yield _Roof(name, run.data.pim[0], run.data.pim[1], style.series(at), own=True)
    looks = cycle(product(_DASHES, _of_baselines(len(runs))))
    seen = set()
    for run in runs:
        for machine in run.data.baselines:
            if machine and (machine[0], machine[1]) not in seen:
                seen.add((machine[0], machine[1]))
                dashes, colour = next(looks)
                yield _Roof(style.short(machine[0]), machine[1][0], machine[1][1], colour, dashes)


def _of_baselines(runs: int) -> Sequence[str]:
    """Colours that no run has."""
    taken = {style.series(at) for at in range(runs)}
    return [colour for colour in _LINES if colour not in taken] or [style.GREY]


def _decodes(runs: Sequence[Run]) -> Iterator[_Decode]:
    colours = {(roof.name, roof.bandwidth): roof.colour for roof in _roofs(runs) if not roof.own}
    for run, marker in zip(runs, cycle(_MARKERS), strict=False):
        label = "decode, eager" if len(runs) == 1 else f"{style.short(run.label)}: decode, eager"
        for machine in run.data.baselines:
            if machine and machine[2]:
                name = style.short(machine[0])
                yield _Decode(name, label, machine[2], colours[name, machine[1][0]], marker)


def _draw_decodes(ax: Axes, decodes: Sequence[_Decode]) -> list[Any]:
    """A mark each, in the colour of the machine; entries of the key, by run."""
    for machine, label, point, colour, marker in decodes:
        ax.plot(point.intensity, point.rate, marker, color=colour, markersize=5.5, label=f"{machine}: {label}")
    return [
        _entry(label, style.GREY, marker, 1.0)
        for label, marker in dict.fromkeys((each.label, each.marker) for each in decodes)
    ]


def _numbers(runs: Sequence[Run]) -> dict[str, int]:
    """Of each operator, the longest first; the same in every part and run."""
    shares: dict[str, float] = {}
    for run in runs:
        for point in run.data.operators:
            shares[point.name] = shares.get(point.name, 0.0) + point.share
    return {name: at for at, name in enumerate(sorted(shares, key=lambda name: -shares[name]), 1)}


def _radius(point: Point) -> float:
    """Of a disc whose area is the share of the time."""
    return max(_SMALLEST_PT, _LARGEST_PT * sqrt(point.share))


def _of_roof(run: Run, point: Point) -> str:
    """The rate, of what the memory could do at this intensity."""
    bandwidth, peak = run.data.pim
    found = 100 * point.rate / min(peak, point.intensity * bandwidth)
    return "< 1 %" if 0 < found < 0.5 else f"{found:.0f} %"


def _entry(text: str, colour: str, marker: str = "o", alpha: float = 0.45) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], marker=marker, linestyle="none", color=colour, alpha=alpha, markersize=5, label=text)


def _limits(ax: Axes, roofs: Sequence[_Roof], points: Sequence[Point]) -> None:
    """All points and ridges, with room around them."""
    xs = [point.intensity for point in points] + [roof.ridge for roof in roofs]
    ys = [point.rate for point in points] + [roof.peak for roof in roofs]
    ax.set_xlim(min(xs) / 6, max(xs) * 6)
    low, high = min(ys) / 3, max(ys)
    part = _ABOVE_PT / (_OF_HEIGHT * 72 * style.figure_of(ax).get_figheight())
    ax.set_ylim(low, high * max(3.0, (high / low) ** (part / (1 - part))))


def _line(ax: Axes, roof: _Roof) -> list[tuple[float, float]]:
    low, high = ax.get_xlim()
    return [(x, roof.at(x)) for x in sorted({low, min(max(roof.ridge, low), high), high})]


def _said(roof: _Roof) -> str:
    return f"{roof.name}: {roof.bandwidth:,.0f} GB/s"


def _same(one: _Roof, other: _Roof) -> bool:
    return (one.bandwidth, one.peak) == (other.bandwidth, other.peak)


def _draw_roof(ax: Axes, roof: _Roof, beneath: int) -> None:
    """beneath: how many of those that are drawn later lie on it; it shows at both sides of them."""
    xs, ys = zip(*_line(ax, roof), strict=True)
    width = ((1.8 if roof.own else 1.2) + style.WIDER * beneath) * style.look().line
    ax.plot(xs, ys, roof.dashes, color=roof.colour, linewidth=width, label=_said(roof))
    ax.plot(roof.ridge, roof.peak, "D", color=roof.colour, markersize=3, markerfacecolor="#FFFFFF")


def _of_roofs(ax: Axes, roofs: Sequence[_Roof]) -> list[Callout]:
    """Each roof with its peak, and each ridge with its intensity, where they have room."""
    end = ax.get_xlim()[1]
    roofs = list({(roof.ridge, roof.peak): roof for roof in roofs}.values())
    ridges = [
        Callout(f"ridge {number(roof.ridge)}", roof.ridge, roof.peak, 2.0, colour=roof.colour, towards=60.0)
        for roof in roofs
    ]
    peaks = [
        Callout(f"{roof.peak:,.0f}", end, roof.peak, colour=roof.colour, towards=135.0, leads=False) for roof in roofs
    ]
    return [*peaks, *ridges]  # no line leads to a peak, so it has fewer places


def _table(run: Run) -> Records:
    """A row for each roof and each point."""
    named = {name: f"{name}_{unit}" for name, unit in
             (("bandwidth", "GBps"), ("peak", "1e9_operations_per_s"), ("ridge", "operations_per_byte"),
              ("intensity", "operations_per_byte"), ("rate", "1e9_operations_per_s"), ("time", "percent"))}  # fmt: skip

    def record(what: str, name: str, number_: int | None = None, part: str = "", **values: float) -> dict[str, Any]:
        figures = {column: values.get(key) for key, column in named.items()}
        return {"what": what, "number": number_, "name": name, "part": part, **figures}

    numbers = _numbers([run])
    roofs = [
        record("roof", roof.name, bandwidth=roof.bandwidth, peak=roof.peak, ridge=roof.ridge) for roof in _roofs([run])
    ]
    operators = [
        record("operator", p.name, numbers[p.name], p.part, intensity=p.intensity, rate=p.rate, time=100 * p.share)
        for p in run.data.operators
    ]
    decodes = [
        record("decode, eager", each.machine, intensity=each.point.intensity, rate=each.point.rate)
        for each in _decodes([run])
    ]
    return roofs + operators + decodes


def _height(runs: Sequence[Run]) -> float:
    """As high as the key, where that is beside the plot."""
    entries = sum(len(run.data.operators) + len(run.data.baselines) + 2 for run in runs) + 1
    return max(style.look().height_in, _ENTRY_IN * entries + _RIM_IN) if style.look().wide else style.look().height_in


_NOTHING = f"{GONE}; run its configuration again for a roofline"
PLOTS = {"roofline": Plot("roofline", _draw, _table, _NOTHING, _height)}
