"""How a model scales over devices: rows of a sweep in which `system.devices` varies.

Strong scaling: the same batch on more devices, a line for each batch.  Weak scaling: as many sequences for each device,
a line for each of these numbers.  Where rows differ in their splits, the best of each number of devices is taken.
"""

from __future__ import annotations

from collections.abc import Iterable
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

from pimsim.plots import style
from pimsim.results.headline import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DEVICES, BATCH, RATE = "system.devices", "workload.batch", "system.tokens_per_s"
HALF = 0.5  # an efficiency below which scaling is said to break


class Point(NamedTuple):
    """efficiency: the rate of a device, over that of a device where the line begins."""

    devices: int
    rate: float
    efficiency: float


Lines = dict[str, list[Point]]


def lines(rows: Any, weak: bool = False) -> Lines:
    """The points of each line by its name, from the fewest devices on; lines of one point are left out.

    ValueError if there is no line.
    """
    best: dict[tuple[Fraction, int], float] = {}
    for row in _records(rows):
        count, batch = int(row[DEVICES]), int(row[BATCH])
        at = Fraction(batch, count if weak else 1), count
        best[at] = max(best.get(at, 0.0), float(row[RATE]))
    found = {
        _said(kind, weak): _line({n: rate for (own, n), rate in best.items() if own == kind})
        for kind in sorted({kind for kind, _ in best})
    }
    if kept := {name: points for name, points in found.items() if len(points) > 1}:
        return kept
    what = "as many sequences for each device" if weak else "one batch"
    raise ValueError(f"no rows with {what} have several values of {DEVICES}")


def _records(rows: Any) -> list[dict[str, Any]]:
    """The rows that ran and have what a line needs; of a data frame, too."""
    every = rows.to_dict("records") if hasattr(rows, "to_dict") else rows
    good = (row for row in every if row.get("status", "ok") == "ok")
    return [row for row in good if all(_is(row.get(column)) for column in (DEVICES, BATCH, RATE))]


def _is(value: Any) -> bool:
    return value is not None and value == value  # a data frame has NaN for nothing


def _said(kind: Fraction, weak: bool) -> str:
    many = f"{kind}" if kind.denominator == 1 else f"{number(float(kind))}"
    return f"{many} for each device" if weak else f"batch {many}"


def _line(rates: dict[int, float]) -> list[Point]:
    counts = sorted(rates)
    each = rates[counts[0]] / counts[0]
    return [Point(n, rates[n], rates[n] / n / each) for n in counts]


def breaks(points: Iterable[Point]) -> int | None:
    """The fewest devices with less than half of the efficiency; None if there are none."""
    return next((point.devices for point in points if point.efficiency < HALF), None)


def table(rows: Any, weak: bool = False) -> list[dict[str, Any]]:
    """What `scaling` draws."""
    return [
        {"line": name, "devices": point.devices, "tokens_per_s": point.rate, "efficiency": point.efficiency}
        for name, points in lines(rows, weak).items()
        for point in points
    ]


def scaling(rows: Any, ax: Axes | None = None, *, weak: bool = False) -> Axes:
    """Tokens a second over devices, each line with its ideal; the legend says its efficiency at the end.

    A line is hollow from where each device makes less than half of what it made at first.
    weak  as many sequences for each device, in the place of the same batch
    """
    found = lines(rows, weak)
    with style.drawing():
        ax = style.axes_or_new(ax)
        for colour, (name, points) in zip(style.SERIES, found.items(), strict=False):
            _draw(ax, colour, name, points)
        counts = sorted({point.devices for points in found.values() for point in points})
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        ax.set_xlim(counts[0] / 1.15, counts[-1] * 1.15)
        style.ticks_x(ax, counts, [str(count) for count in counts])
        style.log_ticks(ax.yaxis)
        style.label_x(ax, "devices")
        style.label_y(ax, "tokens/s")
        ax.grid(axis="both")
        style.key_below(ax, [*style.labelled(ax), *_meanings(found)])
        style.title(ax, f"{'Weak' if weak else 'Strong'} scaling, and efficiency at its end")
    return ax


def _draw(ax: Axes, colour: str, name: str, points: list[Point]) -> None:
    counts, rates = [point.devices for point in points], [point.rate for point in points]
    end = f"{name}: {100 * points[-1].efficiency:.0f} % at {counts[-1]}"
    ax.plot(counts, rates, "-", color=colour, label=end)
    fill = [colour if point.efficiency >= HALF else "#FFFFFF" for point in points]
    ax.scatter(counts, rates, s=18, c=fill, edgecolors=colour, zorder=3)
    ax.plot(counts, [rates[0] * n / counts[0] for n in counts], ":", color=colour, linewidth=1)


def _meanings(found: Lines) -> list[Any]:
    """What dots, and hollow points where there are some, mean."""
    from matplotlib.lines import Line2D

    ideal = Line2D([], [], linestyle=":", color=style.GREY, linewidth=1, label="ideal")
    broken = any(breaks(points) for points in found.values())
    return [ideal, *([style.mark("o", style.GREY, "below 50 %", hollow=True)] if broken else [])]
