"""Small line charts as SVG path data, in a box of WIDTH x HEIGHT units; axes from nought."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 40
MOST = 512  # points drawn; more are thinned out, the first and the last kept


@dataclass(frozen=True)
class Chart:
    """A line: path data, ticks as (position, text) and labels of the axes; of several lines (name, colour, path)."""

    path: str
    x_ticks: tuple[tuple[str, str], ...]
    y_ticks: tuple[tuple[str, str], ...]
    x_label: str
    y_label: str
    lines: tuple[tuple[str, str, str], ...] = ()


def line(xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str) -> Chart:
    """A chart of y over x; the y axis begins at 0."""
    return replace(lines([("", "", xs, ys)], x_label, y_label), lines=())


def lines(series: Sequence[tuple[str, str, Sequence[float], Sequence[float]]], x_label: str, y_label: str) -> Chart:
    """A chart of several lines, each with its name, colour, xs and ys, on the same axes; `path` is the first one's."""
    low, high = min(min(xs) for *_, xs, _ in series), max(max(xs) for *_, xs, _ in series)
    top = max(max(ys) for *_, ys in series) or 1.0
    paths = [(name, colour, _path(xs, ys, low, high, top)) for name, colour, xs, ys in series]
    x_ticks = tuple((_x(t, low, high), f"{t:,.10g}") for t in ticks(low, high) if low <= t <= high)
    y_ticks = tuple((_y(t, top), f"{t:,.10g}") for t in ticks(0, top) if t <= top)
    return Chart(paths[0][2], x_ticks, y_ticks, x_label, y_label, tuple(paths))


def _path(xs: Sequence[float], ys: Sequence[float], low: float, high: float, top: float) -> str:
    """A line through the points; through a single one, a line without a length, which a round end makes a dot."""
    step = max(1, math.ceil(len(xs) / MOST))
    chosen = sorted({*range(0, len(xs), step), len(xs) - 1})
    points = [(_x(xs[i], low, high), _y(ys[i], top)) for i in chosen]
    return "M" + "L".join(f"{x} {y}" for x, y in (points if len(xs) > 1 else points * 2))


def _x(value: float, low: float, high: float) -> str:
    share = (value - low) / (high - low) if high > low else 0.5
    return f"{LEFT + share * (WIDTH - LEFT - RIGHT):.1f}"


def _y(value: float, top: float) -> str:
    return f"{HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM):.1f}"


def ticks(low: float, high: float) -> list[float]:
    """About five round numbers from low to high."""
    span = high - low
    if span <= 0:
        return [low]
    power = 10.0 ** math.floor(math.log10(span / 5))
    size = next(power * m for m in (1, 2, 5, 10) if span / (power * m) <= 6)
    return [round(k * size, 12) for k in range(math.ceil(low / size), math.floor(high / size) + 1)]
