"""Charts of a sweep that are the same for every reader: tornadoes, Sobol indices, a search in its order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any

from pimsim.report.charts import NAMES, Chart, plain
from pimsim.report.page import cell
from pimsim.report.sweep_columns import Column
from pimsim.report.sweep_names import Named
from pimsim.results.drawn.colours import BLUE, VERMILION
from pimsim.results.headline import number

Row = Mapping[str, Any]
_LOWER, _HIGHER, _SOFT = BLUE, VERMILION, "#8a919c"
_BAR_PX, _AROUND_PX = 36, 110  # of a bar, and of what is around all of them
_LOST = "lost"  # what a row says of values without a figure
_GIVEN = ("objective", "key", "base", "low", "high", "low_at", "high_at", "swing")
_WIDE_PX, _PHONE_PX, _LETTER_PX = 680, 350, 7  # a page of paper, a phone, and a letter of its text
_DRAWN = 2000  # trials of a search, thinned out where there are more


Lost = Mapping[tuple[str, str], Sequence[Any]]  # of an objective and a key: values that have no figure


def effects_charts(design: str, effects: Sequence[Row], names: Mapping[str, Named], lost: Lost) -> list[Chart]:
    """A chart for each objective of `sensitivity.csv`, the longest bar on top."""
    draw = {"one_at_a_time": _tornado, "sobol": _sobol}.get(design)
    if draw is None:
        return []
    rows: dict[str, list[Row]] = {}
    for row in effects:
        none = "; ".join(f"{cell(value)}: no figure" for value in lost.get((row["objective"], row["key"]), ()))
        rows.setdefault(row["objective"], []).append({**row, _LOST: none})
    return [
        draw(f"effects-{i}", name, names.get(name, Named(name)), found) for i, (name, found) in enumerate(rows.items())
    ]


def lost_values(design: str, columns: Mapping[str, Column], keys: Iterable[str], goals: Iterable[str]) -> Lost:
    """Of a tornado the values that a bar knows nothing of: a short bar would say that they do little."""
    found: dict[tuple[str, str], list[Any]] = {}
    if design != "one_at_a_time":
        return found
    for goal in goals:
        figures = columns[goal].listed() if goal in columns else []
        for key in keys if figures else ():
            values = columns[key].listed() if key in columns else []
            for value, figure in zip(values, figures, strict=False):
                if value is not None and figure is None:
                    found.setdefault((goal, key), []).append(value)
    return found


# -- one at a time --------------------------------------------------------------------

_SIDES = {"low": ("below the base", _LOWER), "high": ("above the base", _HIGHER)}


def _tornado(name: str, objective: str, named: Named, rows: Sequence[Row]) -> Chart:
    base = rows[0]["base"] / named.factor
    swings = (f"{row['key']} {_shown(row, 'low', named)} to {_shown(row, 'high', named)}{_and(row)}" for row in rows)
    rule = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "x0": base, "x1": base, "line": {"color": "var(--ink)"}}
    return Chart(
        name,
        f"What each input does to {objective}",
        f"{number(base)} {named.unit} at the base; {'; '.join(swings)}",
        [_side(side, named, base, rows) for side in _SIDES],
        {
            **_bars(),
            "barmode": "overlay",
            "xaxis": {"title": {"text": plain(named.axis)}, "range": _range(base, named, rows, _WIDE_PX)},
            "shapes": [rule],
        },
        {**_NARROW, "xaxis": {"range": _range(base, named, rows, _PHONE_PX)}},
        _AROUND_PX + _BAR_PX * len(rows),
        _GIVEN,
        [[row[name] for name in _GIVEN] for row in rows],
    )


def _side(side: str, named: Named, base: float, rows: Sequence[Row]) -> dict[str, Any]:
    """The bars of one side, from the base outwards, each with the value of the key that gives it."""
    name, colour = _SIDES[side]
    return {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": _keys(rows),
        "x": [row[side] / named.factor - base for row in rows],
        "base": base,
        "text": [plain(_said(row, side, named)) for row in rows],
        "textposition": "outside",
        "cliponaxis": False,
        "marker": {"color": colour},
        "hoverinfo": "text",
        "hovertext": [plain(_told(row, side, named)) for row in rows],
    }


def _said(row: Row, side: str, named: Named) -> str:
    """What stands beside a bar: the value of its end, and on the right those that have none."""
    end = f"{_at(row, side)} → {_shown(row, side, named)}" if _at(row, side) else ""
    return "; ".join(filter(None, (end, row[_LOST] if side == "high" else "")))


def _told(row: Row, side: str, named: Named) -> str:
    end = f"{row['key']} = {_at(row, side)}: {_shown(row, side, named)} {named.unit}" if _at(row, side) else ""
    return end + _and(row) if end else f"{row['key']}: {row[_LOST]}" if side == "high" and row[_LOST] else ""


def _and(row: Row) -> str:
    return f" ({row[_LOST]})" if row[_LOST] else ""


def _keys(rows: Sequence[Row]) -> list[str]:
    """The keys, each by its last part where no other has the same."""
    last = [row["key"].rpartition(".")[2] for row in rows]
    return [plain(row["key"] if last.count(name) > 1 else name) for row, name in zip(rows, last, strict=True)]


def _at(row: Row, side: str) -> str:
    """The value of the key that gives an end; "" where that is the base."""
    return cell(row[f"{side}_at"])


def _shown(row: Row, side: str, named: Named) -> str:
    return number(row[side] / named.factor)


def _range(base: float, named: Named, rows: Sequence[Row], page_px: int) -> list[float]:
    """Where the axis begins and ends, so that a page of this width has room for what stands beside the bars."""
    low, high = min(row["low"] for row in rows) / named.factor, max(row["high"] for row in rows) / named.factor
    room = {side: 10 + _LETTER_PX * max(len(_said(row, side, named)) for row in rows) for side in _SIDES}
    wide = page_px - 30 - _LETTER_PX * max(map(len, _keys(rows)))
    each = ((high - low) or abs(base) or 1) / max(wide - sum(room.values()), 0.1 * wide)
    return [low - each * room["low"], high + each * room["high"]]


# -- Sobol ----------------------------------------------------------------------------

_SHARES = {"total": ("in total, with what it does together with others", _SOFT), "first_order": ("alone", _LOWER)}


def _sobol(name: str, objective: str, named: Named, rows: Sequence[Row]) -> Chart:
    told = (f"{row['key']} {row['first_order']:.2f} alone, {row['total']:.2f} in total" for row in rows)
    columns = [column for column in rows[0] if column != _LOST]
    return Chart(
        name,
        f"Which input explains the variance of {objective}",
        "; ".join(told),
        [_shares(column, rows) for column in _SHARES],
        {**_bars(), "barmode": "group", "xaxis": {"title": {"text": "share of the variance"}},
         "legend": {"traceorder": "reversed"}},
        _NARROW,
        _AROUND_PX + 2 * _BAR_PX * len(rows),
        columns,
        [[row[column] for column in columns] for row in rows],
    )  # fmt: skip


def _shares(column: str, rows: Sequence[Row]) -> dict[str, Any]:
    name, colour = _SHARES[column]
    trace = {
        "type": "bar",
        "orientation": "h",
        "name": name,
        "y": _keys(rows),
        "x": [row[column] for row in rows],
        "marker": {"color": colour},
        "hoverinfo": "text",
        "hovertext": [plain(f"{row['key']}: {_interval(row, column)} {name.partition(',')[0]}") for row in rows],
    }
    if f"{column}_low" not in rows[0]:
        return {**trace, "text": [f"{row[column]:.3f}" for row in rows], "textposition": "outside", "cliponaxis": False}
    ends = {"array": [max(0.0, row[f"{column}_high"] - row[column]) for row in rows],
            "arrayminus": [max(0.0, row[column] - row[f"{column}_low"]) for row in rows]}  # fmt: skip
    return {**trace, "error_x": {"type": "data", "symmetric": False, "thickness": 1.5, "color": "var(--ink)", **ends}}


def _interval(row: Row, column: str) -> str:
    if f"{column}_low" not in row:
        return f"{row[column]:.3f}"
    return f"{row[column]:.3f} ({row[f'{column}_low']:.3f} to {row[f'{column}_high']:.3f})"


_NARROW = {"yaxis": {"tickfont": {"size": 12}}, "margin": {"l": 8, "r": 8}}


def _bars() -> dict[str, Any]:
    return {"yaxis": NAMES, "margin": {"r": 40, "t": 40}, "showlegend": True}


# -- a search -------------------------------------------------------------------------


def order_charts(
    index: Sequence[int], columns: Mapping[str, Column], goals: Mapping[str, bool], names: Mapping[str, Named]
) -> list[Chart]:
    """For each objective of a search its figures in the order in which points were chosen, and the best so far."""
    found = []
    for i, (name, maximise) in enumerate(goals.items()):
        values = columns[name].listed() if name in names else []
        pairs = zip(index, values, strict=False)
        trials = [(at, value) for at, value in pairs if value is not None]
        if trials:
            found.append(_order(f"order-{i}", name, names[name], maximise, trials))
    return found


def _order(chart: str, name: str, named: Named, maximise: bool, trials: Sequence[tuple[int, float]]) -> Chart:
    best = list(accumulate((value for _, value in trials), max if maximise else min))
    last = trials[best.index(best[-1])][0]
    drawn = [(*trials[place], best[place]) for place in _thinned(best)]
    at = [i for i, _, _ in drawn]
    figures, bests = ([one[part] / named.factor for one in drawn] for part in (1, 2))
    unit = f" {named.unit}" if named.unit else ""
    return Chart(
        chart,
        f"{name}, point after point",
        f"the best of {len(trials):,} points, {number(best[-1] / named.factor)}{unit}, is point {last:,}",
        [
            {"type": "scatter", "mode": "markers", "name": "a point", "x": at, "y": figures, "hoverinfo": "text",
             "marker": {"color": _SOFT, "size": 6},
             "hovertext": [f"point {i:,}: {number(y)}{unit}" for i, y in zip(at, figures, strict=True)]},
            {"type": "scatter", "mode": "lines", "name": "the best so far", "x": at, "y": bests, "hoverinfo": "text",
             "line": {"color": _HIGHER, "width": 2, "shape": "hv"},
             "hovertext": [f"best up to point {i:,}: {number(y)}{unit}" for i, y in zip(at, bests, strict=True)]},
        ],
        {"xaxis": {"title": {"text": "point"}}, "yaxis": {"title": {"text": plain(named.axis)}}, "margin": {"t": 40},
         "showlegend": True},
        {},
        300,
        ("index", name, "best so far"),
        [list(one) for one in drawn],
    )  # fmt: skip


def _thinned(best: Sequence[float]) -> Iterator[int]:
    """Places that are drawn: every n-th, each where the best changes, and the last."""
    step = max(1, len(best) // _DRAWN)
    for place, value in enumerate(best):
        if place % step == 0 or place == len(best) - 1 or value != best[place - 1]:
            yield place
