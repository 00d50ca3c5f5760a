"""Where the time and the energy of a run go: by operator, and by cause or component."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pimsim.report import run_marks as marks
from pimsim.report.charts import Chart, Trace, plain
from pimsim.report.run_marks import Alone, Linked
from pimsim.report.run_operators import Operator, ranked
from pimsim.results.drawn.colours import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION, YELLOW
from pimsim.results.headline import energy_scale, energy_text, percent, time_scale, time_text
from pimsim.results.written import readable

_ASIC = "ASIC"
_MOST = 14  # operators with a bar of their own


class Quantity(NamedTuple):
    """What is broken down.

    name     of an operator's mapping of parts; figure: of their sum, and of its column
    parts    what its parts are called; chart: of the chart that has them
    colours  of parts, a lighter one for what goes with the one before; what has none is the ASIC's arithmetic
    scale, text  a unit for several numbers, and one number as people read it
    """

    name: str
    figure: str
    parts: str
    chart: str
    colours: Mapping[str, str]
    scale: Callable[[float], tuple[float, str]]
    text: Callable[[float], str]


LATENCY = Quantity(
    "latency", "latency_ns", "cause", "causes",
    {
        "mac": BLUE, "activation": ORANGE, "refresh": "#F5D48C", "input_transfer": SKY, "result_transfer": "#B4DDF7",
        "write": GREEN, "read": "#80CEB9", "mode_switch": YELLOW, "copy": "#F8F2A1",
        "link": PURPLE, "machine": "#E6BCD3", "bubble": marks.GREY,
    },
    time_scale, time_text,
)  # fmt: skip
ENERGY = Quantity(
    "energy", "energy_pJ", "component", "components",
    {
        "mac_read": BLUE, "mac_units": "#7FB8D8", "activation": ORANGE, "refresh": "#F5D48C", "io": SKY,
        "column_read": "#80CEB9", "column_write": GREEN, "standby_active": PURPLE, "standby_precharged": "#E6BCD3",
        "link": YELLOW, "machine": marks.GREY,
    },
    energy_scale, energy_text,
)  # fmt: skip


class _Bar(NamedTuple):
    """An operator, or several; said: its whole name; parts: the ASIC's are one."""

    key: str
    label: str
    said: str
    parts: Mapping[str, float]

    @property
    def whole(self) -> float:
        return sum(self.parts.values())


def by_operator(of: Quantity, operators: Sequence[Operator]) -> Linked:
    """Bars of operators, longest on top, stacked of their parts; many small ones are one."""
    bars = _operator_bars(of, operators)
    run = sum(getattr(o, of.figure) for o in operators) or 1.0
    factor, unit = of.scale(max((bar.whole for bar in bars), default=0.0))
    kinds = {**of.colours, _ASIC: VERMILION}
    traces = [
        _pieces(of, kind, kinds[kind], bars, factor, run) for kind in kinds if any(bar.parts.get(kind) for bar in bars)
    ]
    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": f"{of.name} ({unit})"}, "rangemode": "tozero"},
        "yaxis": marks.CATEGORIES,
        "legend": marks.LEGEND,
    }
    longest = ", ".join(f"{bar.said} {of.text(bar.whole)}" for bar in bars[:3])
    says = f"a bar for each operator, longest first. Enter shows one operator everywhere. Longest: {longest}"
    parts = dict.fromkeys(part for o in operators for part, value in getattr(o, of.name).items() if value)
    rows = [[o.said, *(getattr(o, of.name).get(part, 0) for part in parts)] for o in operators]
    height = 70 + marks.ROW * len(bars) + 19 * -(-len(traces) // 2)
    return Linked(
        Chart(of.name, f"{of.name.capitalize()} by operator", says, traces, layout, {"margin": {"l": 8, "r": 8}},
              height, ("operator", *parts), rows)
    )  # fmt: skip


def _operator_bars(of: Quantity, operators: Sequence[Operator]) -> list[_Bar]:
    shown, others = ranked(operators, of.figure, _MOST)
    bars = [_Bar(o.key, plain(o.label), plain(o.said), _kinds(of, [o])) for o in shown]
    rest = f"{len(others)} others"
    return [*bars, _Bar("", rest, rest, _kinds(of, others))] if others else bars


def _kinds(of: Quantity, operators: Iterable[Operator]) -> dict[str, float]:
    """The parts of several operators that have a colour, and all others as the ASIC's."""
    total: dict[str, float] = {}
    for operator in operators:
        for part, value in getattr(operator, of.name).items():
            kind = part if part in of.colours else _ASIC
            total[kind] = total.get(kind, 0.0) + value
    return total


def _pieces(of: Quantity, kind: str, colour: str, bars: Sequence[_Bar], factor: float, run: float) -> Trace:
    """One kind of part, of every bar; where a bar has none of it nothing is said, so that nobody stops there."""

    def hover(bar: _Bar) -> str:
        value = bar.parts.get(kind, 0.0)
        own = f"{readable(kind)}: {of.text(value)} ({percent(value / bar.whole)})" if value else ""
        return (
            f"<b>{bar.label}</b><br>{own}<br>all: {of.text(bar.whole)}, {percent(bar.whole / run)} of the run"
            if own
            else ""
        )

    return {
        "type": "bar", "orientation": "h", "name": readable(kind), "marker": {"color": colour, "line": {"width": 0}},
        "y": [bar.label for bar in bars], "x": [bar.parts.get(kind, 0.0) / factor for bar in bars],
        "customdata": [bar.key for bar in bars], "hoverinfo": "text", "hovertext": [hover(bar) for bar in bars],
    }  # fmt: skip


def by_part(of: Quantity, whole: Mapping[str, float], operators: Sequence[Operator]) -> Linked:
    """Bars of causes or components, longest on top, each with its share: of the run, or of one operator."""
    columns, order = (of.parts, of.figure), list(largest(whole))
    layout = {
        "xaxis": {"showticklabels": False, "showgrid": False, "rangemode": "tozero"},
        "yaxis": marks.first(len(order)),
        "margin": {"r": 130, "b": 8},
    }
    total = sum(whole.values()) or 1.0
    shares = ", ".join(f"{readable(part)} {percent(whole[part] / total)}" for part in order[:4])
    chart = Chart(
        of.chart, f"{of.name.capitalize()} by {of.parts}", f"a bar for each, longest first, with its share. {shares}",
        [_parts(of, whole, "the run")], layout, {"margin": {"l": 8, "r": 124}}, 40 + marks.ROW * len(order), columns,
        _rows(whole),
    )  # fmt: skip
    own = {o.key: getattr(o, of.name) for o in operators}
    alone = {key: Alone([_parts(of, parts, "this operator")], {}, columns, _rows(parts)) for key, parts in own.items()}
    return Linked(chart, alone)


def largest(parts: Mapping[str, Any]) -> dict[str, Any]:
    """Parts from the largest down; zeros left out."""
    return dict(sorted(((name, value) for name, value in parts.items() if value), key=lambda part: -part[1]))


def _rows(parts: Mapping[str, float]) -> list[list[Any]]:
    return [[part, value] for part, value in largest(parts).items()]


def _parts(of: Quantity, parts: Mapping[str, float], whose: str) -> Trace:
    own, total = list(largest(parts)), sum(parts.values()) or 1.0
    texts = [f"{of.text(parts[part])} · {percent(parts[part] / total)}" for part in own]
    hover = [f"{readable(part)}: {said} of {whose}" for part, said in zip(own, texts, strict=True)]
    colours = [of.colours.get(part, VERMILION) for part in own]
    return marks.bars([readable(part) for part in own], [parts[part] for part in own], colours, hover, texts)
