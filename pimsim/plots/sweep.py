"""Plots of many results: rows of a sweep, as dicts or as a pandas data frame.

x, y and value are columns: config keys, or figures such as `system.latency_per_token_ns`.
Rows that failed (status other than "ok") or lack a figure are left out.  Units come from
the ends of the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from pimsim.errors import did_you_mean
from pimsim.plots import style
from pimsim.plots.callouts import Callout, Callouts
from pimsim.plots.pictures import rows_high
from pimsim.results.headline import energy_scale, number, time_scale

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_UNITS = ("ns", "ps", "pJ", "mW", "mA", "V", "GHz", "Gbps", "GBps", "KiB", "bytes", "Gb", "mm2")
_TEXTS = {"GBps": "GB/s", "Gbps": "Gb/s", "mm2": "mm²"}
_SCALES = {"ns": time_scale, "pJ": energy_scale}
_ENDS = ("low", "base", "high")  # of a tornado's bar
_MOST = 15  # bars of a tornado
_Bar = TypeVar("_Bar", bound=Mapping[str, Any])


def pareto(rows: Any, x: str, y: str, ax: Axes | None = None, *, maximise: Sequence[str] = (), label: str = "") -> Axes:
    """Every point, and the front of those that no other beats in both x and y.

    maximise  which of x and y are better when larger; label: a column that names the points of the front
    """
    kept = _with(rows, x, y)
    (fx, x_text), (fy, y_text) = (_scaled(column, [float(row[column]) for row in kept]) for column in (x, y))
    points = [(float(row[x]) / fx, float(row[y]) / fy) for row in kept]
    front = [(px / fx, py / fy, row) for px, py, row in front_of(rows, x, y, maximise)]
    with style.drawing():
        ax = style.axes_or_new(ax)
        ax.plot([p[0] for p in points], [p[1] for p in points], "o", color=style.SKY, markersize=4, label="points")
        xs, ys = [p[0] for p in front], [p[1] for p in front]
        ax.plot(xs, ys, "o-", drawstyle="steps-post", color=style.VERMILION, markersize=5, label="Pareto front")
        names = [Callout(_tick(row[label]), px, py, 2.5, towards=30.0) for px, py, row in front if label]
        Callouts(ax, names, [list(zip(xs, ys, strict=True)), *([point] for point in points)] if names else ())
        style.label_x(ax, x_text)
        style.label_y(ax, y_text)
        ax.grid(axis="both")
        style.key_below(ax, style.labelled(ax), f"labels: {_name(label)}" if label else "")
        style.title(ax, f"Pareto front: {len(front)} of {len(points)} points")
    return ax


def front_of(rows: Any, x: str, y: str, maximise: Sequence[str] = ()) -> list[tuple[float, float, dict[str, Any]]]:
    """(x, y, row) of those that no other beats in both, from the best x on."""
    signs = (-1 if x in maximise else 1, -1 if y in maximise else 1)
    return _front([(float(row[x]), float(row[y]), row) for row in _with(rows, x, y)], signs)


def table_of_front(rows: Any, x: str, y: str, maximise: Sequence[str], keys: Sequence[str]) -> list[dict[str, Any]]:
    """What `pareto` draws, in its units, with the keys of each point."""
    front = [row for _, _, row in front_of(rows, x, y, maximise)]
    kept = _with(rows, x, y)
    (fx, x_name), (fy, y_name) = (_column(column, [float(row[column]) for row in kept]) for column in (x, y))
    return [
        {key: row.get(key) for key in keys}
        | {x_name: row[x] / fx, y_name: row[y] / fy, "on_front": "true" if row in front else "false"}
        for row in kept
    ]


def heatmap(rows: Any, x: str, y: str, value: str, ax: Axes | None = None) -> Axes:
    """The value over two axes; points that share both are averaged, and cells without a point stay empty."""
    found = _cells(rows, x, y, value)
    columns, lines = (sorted({key[i] for key in found}, key=_order) for i in (0, 1))
    factor, text = _scaled(value, list(found.values()))
    cells = np.full((len(lines), len(columns)), np.nan)
    for (column, line), mean in found.items():
        cells[lines.index(line), columns.index(column)] = mean / factor
    with style.drawing():
        ax = style.axes_or_new(ax)
        image = ax.imshow(cells, origin="lower", aspect="auto", cmap="cividis")
        style.figure_of(ax).colorbar(image, ax=ax, label=text)
        _write_cells(ax, cells)
        style.ticks_x(ax, range(len(columns)), [_tick(c) for c in columns])
        style.ticks_y(ax, [_tick(c) for c in lines])
        style.label_x(ax, _text(x))
        style.label_y(ax, _text(y))
        style.title(ax, _name(value).capitalize())
    return ax


def _cells(rows: Any, x: str, y: str, value: str) -> dict[tuple[Any, Any], float]:
    """The mean of the value of the points that share x and y."""
    found: dict[tuple[Any, Any], list[float]] = {}
    for row in _with(rows, x, y, value):
        found.setdefault((row[x], row[y]), []).append(float(row[value]))
    return {place: float(np.mean(values)) for place, values in found.items()}


def table_of_cells(rows: Any, x: str, y: str, value: str) -> list[dict[str, Any]]:
    """What `heatmap` draws, in its unit."""
    cells = _cells(rows, x, y, value)
    factor, name = _column(value, list(cells.values()))
    return [{x: px, y: py, name: mean / factor} for (px, py), mean in cells.items()]


def tornado(rows: Any, ax: Axes | None = None, *, objective: str = "", most: int = _MOST) -> Axes:
    """How far each input moves a figure from its base value, the widest on top.

    rows  as `pimsim.sweep.sensitivity.tornado` makes them: key, base, low, high, and low_at and
    high_at, the values that give them; of one objective, or of the one that is named
    """
    bars = [bar for bar in _records(rows) if objective in ("", bar.get("objective", ""))]
    if len({bar.get("objective") for bar in bars}) != 1:
        raise ValueError("rows of exactly one objective are needed: name it with objective=")
    bars = _widest(bars, most)
    name = bars[0].get("objective", "") or objective or "figure"
    factor, text = _scaled(name, [float(bar["high"]) for bar in bars])
    bars = [_bar_in(bar, factor) for bar in bars]
    base = bars[0]["base"]
    with style.drawing():
        ax = style.axes_or_new(ax, rows_high(len(bars)))
        for side, colour, end in (("low", style.BLUE, "lowest"), ("high", style.VERMILION, "highest")):
            widths = [bar[side] - base for bar in bars]
            ax.barh(range(len(bars)), widths, left=base, height=0.65, color=colour, label=end)
        ax.set_xlim(_room_for_ends(ax, bars))
        for side in ("low", "high") if style.rows_fit(ax, len(bars)) else ():
            _write_ends(ax, bars, side)
        ax.axvline(base, color=style.BLACK, linewidth=0.8)
        ax.set_yticks(range(len(bars)), [style.short(bar["key"]) for bar in bars])
        ax.tick_params(axis="y", length=0)
        ax.set_ylim(len(bars) - 0.5, -0.5)
        style.label_x(ax, text)
        ax.grid(axis="x")
        style.key_below(ax, style.labelled(ax))
        style.title(ax, f"What moves {_name(name)} most, from {number(base)}")
    return ax


def table_of_bars(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What `tornado` draws of an objective, in its unit."""
    bars = _widest(rows, _MOST)
    objective = bars[0]["objective"]
    factor, name = _column(objective, [float(bar["high"]) for bar in bars])
    unit = name.removeprefix(_stem(objective))
    return [
        {"key": bar["key"]}
        | {f"{side}{unit}": bar[side] for side in _ENDS}
        | {"low_at": bar["low_at"], "high_at": bar["high_at"]}
        for bar in (_bar_in(bar, factor) for bar in bars)
    ]


def _widest(bars: Iterable[_Bar], most: int) -> list[_Bar]:
    """The bars that are drawn, the widest first."""
    return sorted(bars, key=lambda bar: bar["low"] - bar["high"])[:most]


def _bar_in(bar: Mapping[str, Any], factor: float) -> dict[str, Any]:
    return {**bar, **{side: float(bar[side]) / factor for side in _ENDS}}


def scaling(rows: Any, x: str, y: str, ax: Axes | None = None, *, better: str = "lower", group: str = "") -> Axes:
    """Speedup against an axis, from its smallest value, with the ideal line.

    better  "lower" if y is a time or an energy, "higher" if it is a rate
    group   a column; a line for each of its values
    """
    if better not in ("lower", "higher"):
        raise ValueError(f"better must be 'lower' or 'higher', not {better!r}")
    lines = _speedups(rows, x, y, better, group)
    with style.drawing():
        ax = style.axes_or_new(ax)
        for colour, (name, points) in zip(style.SERIES, lines.items(), strict=False):
            xs, speedups = zip(*points, strict=True)
            ax.plot(xs, speedups, "o-", color=colour, markersize=4, label=str(name) if group else "simulated")
        ends = [min(p[0] for ps in lines.values() for p in ps), max(p[0] for ps in lines.values() for p in ps)]
        ax.plot(ends, [1, ends[1] / ends[0]], "--", color=style.GREY, linewidth=1.2, label="ideal")
        ax.set_xscale("log", base=2)
        ax.set_yscale("log", base=2)
        _plain_ticks(ax, sorted({p[0] for ps in lines.values() for p in ps}))
        style.label_x(ax, _text(x))
        style.label_y(ax, f"speedup (over {_name(x)} = {_tick(ends[0])})")
        ax.grid(axis="both")
        style.key_below(ax, style.labelled(ax), _text(group) if group else "")
        style.title(ax, f"Scaling of {_name(y)}")
    return ax


def _speedups(rows: Any, x: str, y: str, better: str, group: str = "") -> dict[Any, list[tuple[float, float]]]:
    """(x, speedup over the smallest x) of each line, in the order of x."""
    lines: dict[Any, list[tuple[float, float]]] = {}
    for row in _with(rows, x, y, *([group] if group else [])):
        lines.setdefault(row[group] if group else "", []).append((float(row[x]), float(row[y])))
    for name, points in lines.items():
        points.sort()
        first = points[0][1]
        lines[name] = [(px, first / value if better == "lower" else value / first) for px, value in points]
    return lines


def table_of_scaling(rows: Any, x: str, y: str, better: str) -> list[dict[str, Any]]:
    """What `scaling` draws, without its ideal line."""
    return [{x: px, f"speedup_of_{_stem(y)}_x": value} for px, value in _speedups(rows, x, y, better)[""]]


# ---- rows


def _records(rows: Any) -> list[dict[str, Any]]:
    """Dicts of a data frame, or of any rows."""
    return list(rows.to_dict("records") if hasattr(rows, "to_dict") else rows)


def _with(rows: Any, *columns: str) -> list[dict[str, Any]]:
    """The rows that have a figure in every column; ValueError if there is none."""
    good = [row for row in _records(rows) if row.get("status", "ok") == "ok"]
    kept = [row for row in good if all(_is(row.get(c)) for c in columns)]
    if not kept:
        known = list(dict.fromkeys(name for row in good for name in row))
        hints = (did_you_mean(column, known) for column in columns if column not in known)
        raise ValueError(f"no row has {' and '.join(columns)}{''.join(hints)}")
    return kept


def _is(value: Any) -> bool:
    return value is not None and value == value  # a data frame has NaN for nothing


def _front(points: Iterable[tuple[float, float, Any]], signs: tuple[int, int]) -> list[tuple[float, float, Any]]:
    """Those that no other beats, from the best x on."""
    found: list[tuple[float, float, Any]] = []
    for point in sorted(points, key=lambda p: (signs[0] * p[0], signs[1] * p[1])):
        if not found or signs[1] * point[1] < signs[1] * found[-1][1]:
            found.append(point)
    return found


def _order(value: Any) -> tuple[bool, Any]:
    """Numbers before text, each in order."""
    return isinstance(value, str), value


# ---- text


def _name(column: str) -> str:
    """What a column is, without its unit: "latency per token" of "system.latency_per_token_ns"."""
    words = column.removeprefix("system.").split("_")
    return " ".join(words[:-1] if words[-1] in _UNITS and len(words) > 1 else words)


def _text(column: str) -> str:
    """The text of an axis: the name and its unit."""
    unit = column.rsplit("_", 1)[-1]
    if unit in _UNITS and unit != column:
        return f"{_name(column)} ({_TEXTS.get(unit, unit)})"
    return _name(column)


def _scaled(column: str, values: Sequence[float]) -> tuple[float, str]:
    """What to divide a column by for readable numbers, and the text of its axis with that unit."""
    factor, unit = _unit(column, values)
    return factor, f"{_name(column)} ({unit})" if unit else _text(column)


def _column(column: str, values: Sequence[float]) -> tuple[float, str]:
    """What `_scaled` divides by, and the name of the column in that unit, as a heading of a CSV."""
    factor, unit = _unit(column, values)
    return factor, f"{_stem(column)}_{style.ascii_unit(unit)}" if unit else column


def _unit(column: str, values: Sequence[float]) -> tuple[float, str]:
    """What to divide by, and the unit that this gives; "" where the column is shown as it is."""
    scale = _SCALES.get(column.rsplit("_", 1)[-1])
    return scale(max(map(abs, values)), least=1) if scale else (1.0, "")


def _stem(column: str) -> str:
    """A column's name without its unit."""
    stem, _, unit = column.rpartition("_")
    return stem if stem and unit in _UNITS else column


def _tick(value: Any) -> str:
    return f"{value:,g}" if isinstance(value, int | float) and not isinstance(value, bool) else style.short(str(value))


def _write_cells(ax: Axes, cells: Any) -> None:
    """The number of each cell, where the cells have room for them."""
    texts = {at: number(float(value)) for at, value in np.ndenumerate(cells) if not np.isnan(value)}
    width, height = style.size_pt(ax)
    room = 0.75 * width / cells.shape[1]  # names and a bar of colours take some
    if max(map(style.text_width, texts.values()), default=0) > room or height / cells.shape[0] < 1.3 * style.small():
        return
    middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
    for (line, column), text in texts.items():
        colour = style.BLACK if cells[line, column] > middle else "#FFFFFF"
        ax.text(column, line, text, ha="center", va="center", color=colour, fontsize=style.small())


def _end(bar: Mapping[str, Any], side: str) -> str:
    """The input's value at an end of a bar that has a length."""
    return _tick(bar[f"{side}_at"]) if bar[side] != bar["base"] and _is(bar.get(f"{side}_at")) else ""


def _room_for_ends(ax: Axes, bars: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Limits that hold the bars and the texts beyond their ends."""
    room = 0.7 * style.size_pt(ax)[0]
    low, high = min(bar["low"] for bar in bars), max(bar["high"] for bar in bars)
    texts = {side: max(style.text_width(_end(bar, side)) for bar in bars) + 8 for side in ("low", "high")}
    each_pt = (high - low or abs(high) or 1.0) / max(room - sum(texts.values()), 0.3 * room)
    return low - texts["low"] * each_pt, high + texts["high"] * each_pt


def _write_ends(ax: Axes, bars: Sequence[Mapping[str, Any]], side: str) -> None:
    """The input's value beyond the end of each bar that has a length."""
    place, align = ((4, 0), "left") if side == "high" else ((-4, 0), "right")
    for at, bar in enumerate(bars):
        if text := _end(bar, side):
            ax.annotate(text, (bar[side], at), place, textcoords="offset points", va="center", ha=align,
                        fontsize=style.small())  # fmt: skip


def _plain_ticks(ax: Axes, values: Sequence[float]) -> None:
    """The values themselves at the x axis, plain numbers at the y axis."""
    from matplotlib.ticker import FuncFormatter, NullLocator

    style.ticks_x(ax, values, [_tick(value) for value in values])
    ax.yaxis.set_minor_locator(NullLocator())
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
