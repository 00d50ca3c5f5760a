"""What the hardware does in a run: commands, how busy banks and buses are, how near its roof each operator comes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import cycle
from math import log10
from typing import Any

from pimsim.report import run_marks as marks
from pimsim.report.charts import Chart, Trace, plain
from pimsim.report.run_marks import Alone, Linked
from pimsim.report.run_operators import Operator, Operators
from pimsim.results.drawn.colours import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from pimsim.results.drawn.rates import Point, Rates
from pimsim.results.headline import count_text, number, percent
from pimsim.results.use import Use, uses

_MACHINES = (ORANGE, GREEN, PURPLE, VERMILION)
_ONCE = -0.3  # where the axis of commands begins, as a power of ten: one that was issued once has a bar
_RANGE = (0.05, 1000.0)  # operations per byte that a roofline shows


def commands(whole: Mapping[str, int], operators: Sequence[Operator]) -> Linked:
    """Bars of commands, most first, on a logarithmic axis: a rare one may be what takes the time."""
    order = sorted((name for name, count in whole.items() if count), key=lambda name: -whole[name])
    columns = ("command", "count")

    def bars(counts: Mapping[str, int]) -> list[Trace]:
        own = [name for name in order if counts.get(name)]
        hover = [f"{name}: {counts[name]:,}, {percent(counts[name] / whole[name])} of all" for name in own]
        return [
            marks.bars(own, [counts[name] for name in own], BLUE, hover, [count_text(counts[name]) for name in own])
        ]

    def rows(counts: Mapping[str, int]) -> list[list[Any]]:
        return [[name, counts[name]] for name in order if counts.get(name)]

    decades = len(str(max(whole.values(), default=1)))
    log = {"type": "log", "range": [_ONCE, decades], "dtick": max(1, decades // 4), "exponentformat": "SI"}
    layout = {"xaxis": {**log, "title": {"text": "commands, all channels"}}, "yaxis": marks.first(len(order)),
              "margin": {"r": 70}}  # fmt: skip
    says = f"how often each command was issued. {', '.join(f'{name} {whole[name]:,}' for name in order[:4])}"
    chart = Chart("commands", "Commands", says, bars(whole), layout, {"margin": {"l": 8, "r": 64}},
                  80 + marks.ROW * len(order), columns, rows(whole))  # fmt: skip
    return Linked(chart, {o.key: Alone(bars(o.row.commands), {}, columns, rows(o.row.commands)) for o in operators})


def use(operators: Operators) -> Iterator[Linked]:
    """Bars of what is busy, as shares of the run's clocks; the part of one operator, and that of all others."""
    found = uses(operators.result.tally, operators.result.prices.device)
    if not found:
        return
    names, labels = [use.name for use in found], [plain(o.label) for o in operators.all]
    whole = [float(use.share) for use in found]

    def alone(number: int, operator: Operator) -> Alone:
        own = [float(use.shares[number]) for use in found]
        rest = [max(share - mine, 0.0) for share, mine in zip(whole, own, strict=True)]
        traces = [_busy(labels[number], names, own, BLUE), _busy("all others", names, rest, "var(--line)")]
        return Alone(traces, {}, ("operator", *names), [[operator.said, *own]])

    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": "busy (% of the run, all channels)"}, "range": [0, 100 * max(1.0, *whole)]},
        "yaxis": marks.CATEGORIES,
        "margin": {"r": 56},
        "legend": marks.LEGEND,
    }
    shares = ", ".join(f"{name} {percent(share)}" for name, share in zip(names, whole, strict=True))
    rows = [[o.said, *(float(use.shares[i]) for use in found)] for i, o in enumerate(operators.all)]
    hover = [_busiest(use, labels) for use in found]
    bars = marks.bars(names, [100 * share for share in whole], BLUE, hover, [percent(share) for share in whole])
    says, height = f"how much of the run each of them is busy. {shares}", 110 + marks.ROW * len(found)
    chart = Chart("utilisation", "Banks and buses", says, [bars], layout, {"margin": {"l": 8, "r": 52}}, height,
                  ("operator", *names), rows)  # fmt: skip
    yield Linked(chart, {o.key: alone(i, o) for i, o in enumerate(operators.all)})


def _busy(name: str, of: Sequence[str], shares: Sequence[float], colour: str) -> Trace:
    """The part of one operator, or of others, in what is busy."""
    hover = [f"{use}: {percent(share)} of the run, by {name}" for use, share in zip(of, shares, strict=True)]
    return {
        "type": "bar", "orientation": "h", "name": name, "y": list(of), "x": [100 * share for share in shares],
        "marker": {"color": colour}, "hoverinfo": "text", "hovertext": hover,
    }  # fmt: skip


def _busiest(use: Use, labels: Sequence[str]) -> str:
    """How busy something is, and with what most."""
    largest = sorted((i for i, share in enumerate(use.shares) if share), key=lambda i: -use.shares[i])[:3]
    lines = [f"{labels[i]} {percent(float(use.shares[i]))}" for i in largest]
    return "<br>".join([f"{use.name}: busy {percent(float(use.share))} of the run", *lines])


def roofline(shown: Rates, operators: Sequence[Operator]) -> Iterator[Linked]:
    """Roofs as lines, operators as points, baselines as crosses, on logarithmic axes."""
    machines = [machine for machine in shown.baselines if machine is not None]
    colours = [colour for colour, _ in zip(cycle(_MACHINES), machines)]
    traces = [_roof("PIM, inside the banks", *shown.pim, BLUE)]
    traces += [_roof(plain(name), *roof, colour) for (name, roof, _), colour in zip(machines, colours, strict=True)]
    for (name, _, decode), colour in zip(machines, colours, strict=True):
        if decode is not None:
            label = f"{plain(name)}: decode, eager"
            traces.append(_points(label, [decode], [label], colour, "x"))
    named = {(o.row.operator, o.row.part): o for o in reversed(operators)}  # where names are equal, the first: decoding
    named |= {(o.row.operator, o.row.part): o for o in operators if o.row.phase == "decode"}
    own = [(point, named[point.name, point.part]) for point in shown.operators]
    if not own:
        return
    points = _points("operators", [point for point, _ in own], [plain(o.label) for _, o in own], BLUE, "circle")
    traces.append({**points, "customdata": [o.key for _, o in own]})
    layout = {
        "xaxis": {
            "type": "log",
            "title": {"text": "operations per byte"},
            "range": list(map(log10, _RANGE)),
            "dtick": 1,
        },
        "yaxis": {"type": "log", "title": {"text": "10⁹ operations/s"}, "dtick": 1, **marks.NUMBERS},
        "legend": marks.LEGEND,
    }
    reached = ", ".join(f"{plain(o.label)} {number(point.rate)}" for point, o in own[:4])
    says = f"what each operator reaches, below what the device and the baselines can reach. {reached}"
    rows = [[o.said, point.intensity, point.rate] for point, o in own]
    yield Linked(Chart("roofline", "Roofline", says, traces, layout, {"margin": {"l": 48, "r": 8}}, 420,
                       ("operator", "operations_per_byte", "GOPS"), rows))  # fmt: skip


def _roof(name: str, bandwidth: float, peak: float, colour: str) -> Trace:
    ridge = min(max(peak / bandwidth, _RANGE[0]), _RANGE[1])
    xs = sorted({_RANGE[0], ridge, _RANGE[1]})
    said = f"{name}: {bandwidth:,.0f} GB/s, {peak:,.0f} × 10⁹ operations/s"
    return {
        "type": "scatter", "mode": "lines", "name": name, "x": xs, "y": [min(peak, x * bandwidth) for x in xs],
        "line": {"color": colour, "width": 1.6}, "hoverinfo": "text", "hovertext": [said] * len(xs),
    }  # fmt: skip


def _points(name: str, points: Sequence[Point], labels: Sequence[str], colour: str, symbol: str) -> Trace:
    said = [
        f"<b>{label}</b><br>{number(p.rate)} × 10⁹ operations/s<br>{number(p.intensity)} operations per byte"
        for label, p in zip(labels, points, strict=True)
    ]
    return {
        "type": "scatter", "mode": "markers", "name": name, "x": [p.intensity for p in points],
        "y": [p.rate for p in points], "hoverinfo": "text", "hovertext": said,
        "marker": {"symbol": symbol, "size": 11, "color": colour, "line": {"width": 1, "color": "var(--paper)"}},
    }  # fmt: skip
