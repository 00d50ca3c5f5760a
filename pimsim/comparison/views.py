"""What the charts of a page show: all of the difference, or that of one cause, component or operator alone.

A view is plotly's traces with the axis that suits them, a title, and the same as a table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pimsim.comparison import units
from pimsim.comparison.drawn import Parts, layers, only, steps, text
from pimsim.comparison.room import axis
from pimsim.comparison.rows import in_steps, labels, operator_name, several_phases, which_operators
from pimsim.comparison.scope import SHORT
from pimsim.report.charts import NAMES, plain
from pimsim.results.drawn.colours import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION
from pimsim.results.written import readable

Summary = Mapping[str, Any]
View = dict[str, Any]
ALL = ""
_PARTS = ("causes", "components")
_SERIES = (BLUE, ORANGE, GREEN, PURPLE, VERMILION, SKY)
_MORE, _LESS, _WHOLE = VERMILION, GREEN, "#999999"
_STEPS, _OPERATORS, _STACKED = 14, 14, 6
_BARS = {"type": "bar", "orientation": "h", "hoverinfo": "text", "textposition": "outside", "cliponaxis": False}
_ROW, _RIM = 27, 95  # pixels
_LETTER, _GAP, _PLOT = 7.0, 8.0, 245.0  # pixels of a letter, around a text, and of a plot in a narrow window


class Views:
    """The views of a comparison, by chart and by what is chosen.

    A choice is `cause:mac`, `component:io` or `operator:decode qkv`; none is all.
    """

    def __init__(self, summary: Summary) -> None:
        self.summary = summary
        self._names = [run["name"] for run in summary["runs"]]
        self._labels = labels(summary)
        self._base = summary["base"]
        self._phases = several_phases(summary)
        self._steps = in_steps(summary)
        self._per = SHORT[summary["scope"]["per"]]

    @staticmethod
    def colour(run: int) -> str:
        """That of a run."""
        return _SERIES[run % len(_SERIES)]

    def all(self) -> dict[str, dict[str, View]]:
        """Every view of every chart."""
        if self.summary["equal"]:
            return {}
        return {
            "causes": dict(self._of_parts("causes")),
            "components": dict(self._of_parts("components")),
            "operators": dict(self._of_operators()),
        }

    def keys(self) -> dict[str, list[str]]:
        """The operators in which each cause and component is something, by choice."""
        return {
            f"{kind}:{name}": [self.operator_key(row) for row in self.summary["operators"] if name in row[table]]
            for kind, table in ((table[:-1], table) for table in _PARTS)
            for name in self._parts(table)
        }

    def said(self) -> dict[str, str]:
        """What people call a choice."""
        found = {f"{table[:-1]}:{name}": readable(name) for table in _PARTS for name in self._parts(table)}
        return found | {self.operator_key(row): self._said(row) for row in self.summary["operators"]}

    def _said(self, row: Summary) -> str:
        return operator_name(row, self._phases)

    def about(self, chart: str) -> str:
        """What a row of a chart's table is."""
        return chart[:-1]

    def height(self, chart: str) -> int:
        """In pixels."""
        if chart == "operators":
            count = min(len(self.summary["operators"]), _OPERATORS)
            return _RIM + _ROW * count * (1 if self._steps else max(1, len(self._names) // 2))
        return _RIM + _ROW * (min(len(self._parts(chart)), _STEPS) + 2 if self._steps else len(self._names) + 3)

    def _parts(self, table: str) -> list[str]:
        return [row[table[:-1]] for row in self.summary[table]["rows"]]

    def operator_key(self, row: Summary) -> str:
        """The choice that a row of the operators is."""
        return "operator:" + " ".join(filter(None, (row["phase"], row["part"], row["operator"])))

    # -- causes and components -----------------------------------------------------------

    def _of_parts(self, table: str) -> Iterator[tuple[str, View]]:
        kind, parts = table[:-1], self.summary[table]
        whole = {row[kind]: row["values"] for row in parts["rows"]}
        yield ALL, self._made_of(table, whole, parts["total"]["values"], "")
        figure = "latency" if table == "causes" else "energy"
        for row in self.summary["operators"]:
            name = self._said(row)
            yield self.operator_key(row), self._made_of(table, row[table], row[figure]["values"], f" of {name}")

    def _made_of(self, table: str, parts: Parts, totals: Sequence[float], of: str) -> View:
        what, unit_of = ("Latency", "ns") if table == "causes" else ("Energy", "pJ")
        unit = units.of_table(unit_of, [*totals, *(value for values in parts.values() for value in values)])
        draw: Callable[..., list[dict[str, Any]]] = self._waterfall if self._steps else self._stacks
        traces = draw(table[:-1], parts, totals, unit)
        rows = [[of.removeprefix(" of "), name, *values] for name, values in (*parts.items(), ("total", totals))]
        ends = [(left + width, text) for trace in traces for left, width, text in _marks(trace)]
        x = {"title": {"text": f"{what.lower()} ({unit.name}{self._per})"}, "range": list(axis(ends, _share))}
        return {"title": f"{what} by {table[:-1]}{of}", "traces": traces, "rows": rows, "layout": self._layout(x)}

    def _layout(self, x: Mapping[str, Any]) -> dict[str, Any]:
        return {"xaxis": x, "yaxis": NAMES, "barmode": "group"}

    def _waterfall(self, kind: str, parts: Parts, totals: Sequence[float], unit: units.Unit) -> list[dict[str, Any]]:
        """One trace: the base, a step for each part, the other run."""
        bars = steps(self._labels, totals, parts, self._base, _STEPS)
        colours = [_WHOLE if bar.is_run else _MORE if (bar.difference or 0) > 0 else _LESS for bar in bars]
        texts = [text(bar, unit) for bar in bars]
        hover = [
            f"<b>{plain(bar.name)}</b>: {said} {unit.name}" + self._of_each(parts.get(bar.part), unit)
            for bar, said in zip(bars, texts, strict=True)
        ]
        return [{
            **_BARS, "name": "", "showlegend": False, "y": [plain(bar.name) for bar in bars],
            "base": [bar.left / unit.factor for bar in bars], "x": [bar.width / unit.factor for bar in bars],
            "marker": {"color": colours}, "text": texts, "hovertext": hover,
            "customdata": [bar.part and f"{kind}:{bar.part}" for bar in bars],
        }]  # fmt: skip

    def _of_each(self, values: Sequence[float] | None, unit: units.Unit) -> str:
        """Lines with the value in each run."""
        found = zip(self._names, values, strict=True) if values is not None else ()
        return "".join(f"<br>{plain(name)}: {unit.value(value)} {unit.name}" for name, value in found)

    def _stacks(self, kind: str, parts: Parts, totals: Sequence[float], unit: units.Unit) -> list[dict[str, Any]]:
        """A trace per part, stacked; what is small in every run is one."""
        traces = []
        lefts = [0.0] * len(totals)
        found = layers(parts, _STACKED)
        for layer, colour in zip(found, (*_SERIES, _WHOLE), strict=False):
            hover = [f"<b>{plain(layer.name)}</b> of {plain(run)}: {unit.value(value)} {unit.name}"
                     for run, value in zip(self._names, layer.values, strict=True)]  # fmt: skip
            traces.append({
                **_BARS, "name": plain(layer.name), "y": [plain(run) for run in self._labels],
                "x": [value / unit.factor for value in layer.values], "base": [left / unit.factor for left in lefts],
                "marker": {"color": colour}, "hovertext": hover, "offsetgroup": "runs",
                "customdata": [layer.part and f"{kind}:{layer.part}"] * len(totals),
                "text": [unit.value(total) for total in totals] if layer is found[-1] else [],
            })  # fmt: skip
            lefts = [left + value for left, value in zip(lefts, layer.values, strict=True)]
        return traces

    # -- operators -------------------------------------------------------------------------

    def _of_operators(self) -> Iterator[tuple[str, View]]:
        rows = self.summary["operators"]
        yield ALL, self._operators([(row, row["latency"]["values"]) for row in rows], "ns", "latency", "")
        for table, unit_of, what in (("causes", "ns", "latency"), ("components", "pJ", "energy")):
            for name in self._parts(table):
                found = [(row, row[table][name]) for row in rows if name in row[table]]
                yield f"{table[:-1]}:{name}", self._operators(found, unit_of, what, f": {readable(name)}")

    def _operators(self, found: Sequence[tuple[Summary, Sequence[float]]], unit_of: str, what: str, of: str) -> View:
        def differences(each: tuple[Summary, Sequence[float]]) -> list[float]:
            return [value - each[1][self._base] for value in each[1]]

        differing = [each for each in found if any(differences(each))] or found
        shown = sorted(differing, key=lambda each: -max(map(abs, differences(each))))[:_OPERATORS]
        unit = units.of_table(unit_of, [value for _, values in shown for value in values])
        traces = (self._diverging if self._steps else self._grouped)(shown, unit)
        marks = [(width, text) for trace in traces for _, width, text in _marks(trace)]
        x = {"title": {"text": f"{what}{', difference' if self._steps else ''} ({unit.name}{self._per})"},
             "range": list(axis(marks, _share)), "zeroline": True}  # fmt: skip
        rows = [[of.removeprefix(": "), self._said(row), *values] for row, values in found]
        title = f"{which_operators(self.summary)}{of}"
        return {"title": title, "traces": traces, "rows": rows, "layout": self._layout(x)}

    def _diverging(self, shown: Sequence[tuple[Summary, Sequence[float]]], unit: units.Unit) -> list[dict[str, Any]]:
        moves = [values[1 - self._base] - values[self._base] for _, values in shown]
        names = [plain(self._said(row)) for row, _ in shown]
        texts = [
            unit.difference(move) + plain(only(self._labels, row["present"]))
            for move, (row, _) in zip(moves, shown, strict=True)
        ]
        hover = [
            f"<b>{name}</b>: {said} {unit.name}" + self._of_each(values, unit)
            for name, said, (_, values) in zip(names, texts, shown, strict=True)
        ]
        return [{
            **_BARS, "name": "", "showlegend": False, "y": names, "x": [move / unit.factor for move in moves],
            "text": texts, "marker": {"color": [_MORE if move > 0 else _LESS for move in moves]}, "hovertext": hover,
            "customdata": [self.operator_key(row) for row, _ in shown],
        }]  # fmt: skip

    def _grouped(self, shown: Sequence[tuple[Summary, Sequence[float]]], unit: units.Unit) -> list[dict[str, Any]]:
        names = [plain(self._said(row)) for row, _ in shown]
        return [
            {
                **_BARS, "name": plain(run), "y": names,
                "x": [values[at] / unit.factor for _, values in shown], "marker": {"color": self.colour(at)},
                "hovertext": [f"<b>{name}</b> in {plain(run)}: {unit.value(values[at])} {unit.name}"
                              for name, (_, values) in zip(names, shown, strict=True)],
                "customdata": [self.operator_key(row) for row, _ in shown],
            }
            for at, run in enumerate(self._names)
        ]  # fmt: skip


def _marks(trace: Mapping[str, Any]) -> list[tuple[float, float, str]]:
    """Where each bar begins, how long it is, and the text behind it."""
    lefts, texts = (trace.get(key) or [empty] * len(trace["x"]) for key, empty in (("base", 0.0), ("text", "")))
    return list(zip(lefts, trace["x"], texts, strict=True))


def _share(text: str) -> float:
    """Of a plot, that a text takes."""
    return (_LETTER * len(text) + _GAP) / _PLOT
