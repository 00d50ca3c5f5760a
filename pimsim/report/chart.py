"""Small line charts as SVG path data, in a box of WIDTH x HEIGHT units; axes from nought."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 240
LEFT, RIGHT, TOP, BOTTOM = 62, 12, 12, 40
MOST = 512  # points drawn; more are thinned out, the first and the last kept


@dataclass(frozen=True)
class Chart:
    """A line: path data, ticks as (position, text) and the labels of the axes."""

    path: str
    x_ticks: tuple[tuple[str, str], ...]
    y_ticks: tuple[tuple[str, str], ...]
    x_label: str
    y_label: str


def line(xs: Sequence[float], ys: Sequence[float], x_label: str, y_label: str) -> Chart:
    """A chart of y over x; the y axis begins at 0."""
    step = max(1, math.ceil(len(xs) / MOST))
    chosen = sorted({*range(0, len(xs), step), len(xs) - 1})
    low, high, top = min(xs), max(xs), max(ys) or 1.0
    points = [(_x(xs[i], low, high), _y(ys[i], top)) for i in chosen]
    path = "M" + "L".join(f"{x} {y}" for x, y in points)
    x_ticks = tuple((_x(t, low, high), f"{t:,.10g}") for t in ticks(low, high) if low <= t <= high)
    y_ticks = tuple((_y(t, top), f"{t:,.10g}") for t in ticks(0, top) if t <= top)
    return Chart(path, x_ticks, y_ticks, x_label, y_label)


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
