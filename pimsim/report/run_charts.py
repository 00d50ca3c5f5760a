"""Charts of a run: all operators, and what takes their place while one of them is looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import cycle
from math import log10
from typing import Any, NamedTuple

from pimsim.report.charts import Chart, Trace, plain
from pimsim.report.run_operators import Operator, Operators, ranked
from pimsim.report.run_steps import Line, Steps, steps_of
from pimsim.results.drawn.breakdown import readable
from pimsim.results.drawn.rates import Point, Rates, rates
from pimsim.results.headline import count_text, energy_scale, energy_text, number, percent, time_scale, time_text
from pimsim.results.use import Use, uses

# Okabe and Ito's palette, as the plots have it; a lighter one for what goes with the one before.
BLUE, ORANGE, SKY, GREEN, PURPLE, VERMILION = "#0072B2", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#D55E00"
YELLOW, GREY = "#F0E442", "#8A8F98"
_LATENCY = {
    "mac": BLUE, "activation": ORANGE, "refresh": "#F5D48C", "input_transfer": SKY, "result_transfer": "#B4DDF7",
    "write": GREEN, "read": "#80CEB9", "mode_switch": YELLOW, "copy": "#F8F2A1",
}  # fmt: skip
_ENERGY = {
    "mac_read": BLUE, "mac_units": "#7FB8D8", "activation": ORANGE, "refresh": "#F5D48C", "io": SKY,
    "column_read": "#80CEB9", "column_write": GREEN, "standby_active": PURPLE, "standby_precharged": "#E6BCD3",
}  # fmt: skip
_ASIC = "ASIC"
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)  # lines of one chart, in order
_AREAS = (BLUE, ORANGE, GREEN, VERMILION, SKY, PURPLE, YELLOW)
_MOST_BARS = 14  # operators with a bar of their own
_MACHINES = (ORANGE, GREEN, PURPLE, VERMILION)
_RANGE = (0.05, 1000.0)  # operations per byte that a roofline shows
_ROW = 24  # pixels of a bar
_CATEGORIES = {"autorange": "reversed", "ticks": "outside", "ticklen": 5, "tickcolor": "rgba(0,0,0,0)"}
_NUMBERS = {"exponentformat": "none", "separatethousands": True}


@dataclass(frozen=True)
class Linked:
    """A chart, and by the key of each operator what it shows while this one is looked at: without any, its marks fade
    that are of other operators.
    """

    chart: Chart
    alone: Mapping[str, Alone] = field(default_factory=dict)


class Alone(NamedTuple):
    """What takes the place of a chart's own; layout: what differs; without columns the table is the chart's."""

    traces: Sequence[Trace]
    layout: Mapping[str, Any] = {}
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()


def linked_charts(operators: Operators) -> list[Linked]:
    """Every chart of a run that has something to show, in the order of the page."""
    run, all_of_it = operators.of_run, operators.all
    system = run.summary["system"]
    found = [
        Linked(_by_operator("latency", "Latency by operator", all_of_it, _LATENCY, time_scale, time_text)),
        Linked(_by_operator("energy", "Energy by operator", all_of_it, _ENERGY, energy_scale, energy_text)),
        _breakdown("causes", "Latency by cause", system["latency_breakdown_ns"],
                   {o.key: o.latency for o in all_of_it}, _LATENCY, time_text, "latency_ns"),
        _breakdown("components", "Energy by component", system["energy_breakdown_pJ"],
                   {o.key: o.energy for o in all_of_it}, _ENERGY, energy_text, "energy_pJ"),
    ]  # fmt: skip
    found += _tokens(operators, steps_of(operators))
    found += [
        _commands(system["commands"], all_of_it),
        *_use(operators),
        *_roofline(rates(operators.result), all_of_it),
    ]
    return found


# -- where time and energy go --------------------------------------------------------------


def _by_operator(
    name: str,
    title: str,
    operators: Sequence[Operator],
    colours: Mapping[str, str],
    scale: Callable[[float], tuple[float, str]],
    text: Callable[[float], str],
) -> Chart:
    """Bars of operators, longest on top, stacked of causes or components; the ASIC's functions are one of them."""
    figure = {"latency": "latency_ns", "energy": "energy_pJ"}[name]
    shown, others = ranked(operators, figure, _MOST_BARS)
    bars = [(o.key, plain(o.label), _kinds(getattr(o, name), colours)) for o in shown]
    if others:
        rest = _summed(_kinds(getattr(o, name), colours) for o in others)
        bars.append(("", f"{len(others)} others", rest))
    whole = sum(getattr(o, figure) for o in operators) or 1.0
    factor, unit = scale(max((sum(parts.values()) for _, _, parts in bars), default=0.0))
    traces = []
    for kind, colour in {**colours, _ASIC: VERMILION}.items():
        if any(parts.get(kind) for _, _, parts in bars):
            traces.append(
                {
                    "type": "bar",
                    "orientation": "h",
                    "name": readable(kind),
                    "marker": {"color": colour, "line": {"width": 0}},
                    "y": [label for _, label, _ in bars],
                    "x": [parts.get(kind, 0.0) / factor for _, _, parts in bars],
                    "customdata": [key for key, _, _ in bars],
                    "hoverinfo": "text",
                    "hovertext": [_hover(label, kind, parts, whole, text) for _, label, parts in bars],
                }
            )
    layout = {
        "barmode": "stack",
        "xaxis": {"title": {"text": f"{name} ({unit})"}, "rangemode": "tozero"},
        "yaxis": _CATEGORIES,
        "legend": {"traceorder": "normal"},
    }
    says = f"a bar for each operator, longest first. Enter shows one operator everywhere. {_said(bars, text)}"
    columns = ["operator", *_columns(operators, name)]
    rows = [[o.said, *(getattr(o, name).get(part, 0) for part in columns[1:])] for o in operators]
    height = 70 + _ROW * len(bars) + 19 * -(-len(traces) // 2)
    return Chart(name, title, says, traces, layout, {"margin": {"l": 8, "r": 8}}, height, columns, rows)


def _columns(operators: Sequence[Operator], name: str) -> list[str]:
    """The parts that any of them has."""
    return list(dict.fromkeys(part for o in operators for part, value in getattr(o, name).items() if value))


def _kinds(parts: Mapping[str, float], colours: Mapping[str, str]) -> dict[str, float]:
    """Parts that have a colour, and all others as the ASIC's."""
    kept = {name: value for name, value in parts.items() if name in colours and value}
    rest = sum(value for name, value in parts.items() if name not in colours)
    return kept | ({_ASIC: rest} if rest else {})


def _summed(many: Any) -> dict[str, float]:
    total: dict[str, float] = {}
    for parts in many:
        for name, value in parts.items():
            total[name] = total.get(name, 0.0) + value
    return total


def _hover(label: str, kind: str, parts: Mapping[str, float], whole: float, text: Callable[[float], str]) -> str:
    """Of one piece of a bar; "" if it has none, so that nothing stops there."""
    value, total = parts.get(kind, 0.0), sum(parts.values())
    if not value:
        return ""
    own = f"{readable(kind)}: {text(value)} ({percent(value / total)})"
    return f"<b>{label}</b><br>{own}<br>all: {text(total)}, {percent(total / whole)} of the run"


def _said(bars: Sequence[tuple[str, str, Mapping[str, float]]], text: Callable[[float], str]) -> str:
    """The longest bars, for those who hear them."""
    longest = [f"{label} {text(sum(parts.values()))}" for _, label, parts in bars[:3]]
    return f"Longest: {', '.join(longest)}"


def _breakdown(
    name: str,
    title: str,
    whole: Mapping[str, float],
    of_operators: Mapping[str, Mapping[str, float]],
    colours: Mapping[str, str],
    text: Callable[[float], str],
    column: str,
) -> Linked:
    """Bars of causes or components, longest on top, each with its share: of the run, or of one operator."""
    columns = (name.rstrip("s"), column)

    def largest(parts: Mapping[str, float]) -> list[str]:
        return sorted((part for part, value in parts.items() if value), key=lambda part: -parts[part])

    def bars(parts: Mapping[str, float], of: str) -> list[Trace]:
        own, total = largest(parts), sum(parts.values()) or 1.0
        texts = [f"{text(parts[part])} · {percent(parts[part] / total)}" for part in own]
        hover = [f"{readable(part)}: {said} of {of}" for part, said in zip(own, texts, strict=True)]
        colour = [colours.get(part, VERMILION) for part in own]
        return [_bars([readable(part) for part in own], [parts[part] for part in own], colour, hover, texts)]

    def rows(parts: Mapping[str, float]) -> list[list[Any]]:
        return [[part, parts[part]] for part in largest(parts)]

    order = largest(whole)
    layout = {"xaxis": {"showticklabels": False, "showgrid": False, "rangemode": "tozero"}, "yaxis": _first(len(order)),
              "margin": {"r": 130, "b": 8}}  # fmt: skip
    shares = ", ".join(f"{readable(part)} {percent(whole[part] / (sum(whole.values()) or 1))}" for part in order[:4])
    says = f"a bar for each, longest first, with its share. {shares}"
    chart = Chart(name, title, says, bars(whole, "the run"), layout, {"margin": {"l": 8, "r": 124}},
                  40 + _ROW * len(order), columns, rows(whole))  # fmt: skip
    return Linked(
        chart, {key: Alone(bars(own, "this operator"), {}, columns, rows(own)) for key, own in of_operators.items()}
    )


def _bars(
    names: Sequence[str], values: Sequence[float], colour: Any, hover: Sequence[str], texts: Sequence[str]
) -> Trace:
    """Bars with their texts behind them."""
    return {
        "type": "bar", "orientation": "h", "y": list(names), "x": list(values), "marker": {"color": colour},
        "text": list(texts), "textposition": "outside", "cliponaxis": False, "textfont": {"size": 12},
        "hoverinfo": "text", "hovertext": list(hover), "showlegend": False,
    }  # fmt: skip


def _first(count: int) -> dict[str, Any]:
    """An axis of bars, the first on top, with room for so many: of fewer, each is as high."""
    return {**_CATEGORIES, "autorange": False, "range": [max(count, 1) - 0.5, -0.5]}


# -- what was done -------------------------------------------------------------------------


def _commands(whole: Mapping[str, int], operators: Sequence[Operator]) -> Linked:
    """Bars of commands, most first, on a logarithmic axis: a rare one may be what takes the time."""
    order = sorted((name for name, count in whole.items() if count), key=lambda name: -whole[name])
    columns = ("command", "count")

    def bars(counts: Mapping[str, int]) -> list[Trace]:
        own = [name for name in order if counts.get(name)]
        hover = [f"{name}: {counts[name]:,}, {percent(counts[name] / whole[name])} of all" for name in own]
        return [_bars(own, [counts[name] for name in own], BLUE, hover, [count_text(counts[name]) for name in own])]

    def rows(counts: Mapping[str, int]) -> list[list[Any]]:
        return [[name, counts[name]] for name in order if counts.get(name)]

    decades = len(str(max(whole.values(), default=1)))
    log = {"type": "log", "range": [0, decades], "dtick": max(1, decades // 4), "exponentformat": "SI"}
    layout = {"xaxis": {**log, "title": {"text": "commands, all channels"}}, "yaxis": _first(len(order)),
              "margin": {"r": 70}}  # fmt: skip
    says = f"how often each command was issued. {', '.join(f'{name} {whole[name]:,}' for name in order[:4])}"
    chart = Chart("commands", "Commands", says, bars(whole), layout, {"margin": {"l": 8, "r": 64}},
                  80 + _ROW * len(order), columns, rows(whole))  # fmt: skip
    return Linked(chart, {o.key: Alone(bars(o.row.commands), {}, columns, rows(o.row.commands)) for o in operators})


def _use(operators: Operators) -> Iterator[Linked]:
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
        "xaxis": {"title": {"text": "busy (% of the run, all channels)"}, "range": [0, 100]},
        "yaxis": _CATEGORIES,
        "margin": {"r": 56},
        "legend": {"traceorder": "normal"},
    }
    shares = ", ".join(f"{name} {percent(share)}" for name, share in zip(names, whole, strict=True))
    rows = [[o.said, *(float(use.shares[i]) for use in found)] for i, o in enumerate(operators.all)]
    hover = [_busiest(use, labels) for use in found]
    bars = _bars(names, [100 * share for share in whole], BLUE, hover, [percent(share) for share in whole])
    says, height = f"how much of the run each of them is busy. {shares}", 110 + _ROW * len(found)
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


# -- time over context ---------------------------------------------------------------------


def _tokens(operators: Operators, steps: Steps | None) -> Iterator[Linked]:
    """Steps one by one, over what operators take of them; of one operator its own time."""
    if steps is None:
        return
    factor, unit = time_scale(steps.longest_ns)
    several = len(steps.lines) > 1
    lines = [_line(line, colour, factor, unit)
             for line, colour in zip(steps.lines, cycle(SERIES if several else ("var(--ink)",)))]  # fmt: skip
    areas = list(_areas(operators, steps, factor, unit)) if steps.has("decode") and not several else []
    layout = {
        "xaxis": {"title": {"text": "context (tokens)"}},
        "yaxis": {"title": {"text": f"latency ({unit}/step)"}, "rangemode": "tozero", **_NUMBERS},
        "legend": {"traceorder": "normal"},
    }
    ends = time_text(steps.first_ns), time_text(steps.last_ns)
    says = f"the time of each decode step over its context, {ends[0]} at the first and {ends[1]} at the last"
    rows = [[line.name or "all", context, ns] for line in steps.lines
            for context, ns in zip(line.contexts, line.latencies_ns, strict=True)]  # fmt: skip
    chart = Chart("tokens", "Latency over context", says, [*areas, *lines], layout, {"margin": {"l": 44, "r": 8}}, 380,
                  ("steps", "context", "latency_ns"), rows)  # fmt: skip
    known = [(i, o) for i, o in enumerate(operators.all) if steps.has(o.row.phase)]
    yield Linked(chart, {o.key: _course(o, steps.spans(o.row.phase), steps.mean_ns(i)) for i, o in known})


def _areas(operators: Operators, steps: Steps, factor: float, unit: str) -> Iterator[Trace]:
    """What operators take of a decode step, one on top of the other."""
    places = {o.key: i for i, o in enumerate(operators.all)}
    decoded = [o for o in operators.all if o.row.phase == "decode"]
    shown, others = ranked(decoded, "latency_ns", len(_AREAS))
    courses = [(o.key, plain(o.label), steps.mean_ns(places[o.key])) for o in shown]
    if others:
        each = [steps.mean_ns(places[o.key]) for o in others]
        courses.append(("", f"{len(others)} others", [sum(many) for many in zip(*each, strict=True)]))
    for (key, label, means), colour in zip(courses, (*_AREAS, GREY), strict=False):
        area = _area(label, steps.spans("decode"), means, factor, unit, colour)
        yield {**area, "stackgroup": "operators", "mode": "lines", "customdata": [key] * len(means)}


def _course(operator: Operator, spans: Sequence[tuple[int, int]], means: Sequence[float]) -> Alone:
    """What one operator takes of a step, in units of its own."""
    factor, unit = time_scale(max(means, default=0.0))
    area = _area(plain(operator.said), spans, means, factor, unit, BLUE)
    columns = ("operator", "context_from", "context_to", "latency_ns_per_step")
    return Alone(
        [{**area, "fill": "tozeroy", "mode": "lines+markers", "cliponaxis": False, "showlegend": False}],
        {"yaxis": {"title": {"text": f"latency ({unit}/step)"}}},
        columns,
        [[operator.said, *span, mean] for span, mean in zip(spans, means, strict=True)],
    )


def _line(line: Line, colour: str, factor: float, unit: str) -> Trace:
    name, ys = plain(line.name), [ns / factor for ns in line.latencies_ns]
    said = [f"{name} {x:,} tokens: {number(y)} {unit}".strip() for x, y in zip(line.contexts, ys, strict=True)]
    return {
        "type": "scatter", "mode": "lines" if len(ys) > 1 else "markers", "name": name or "each step",
        "line": {"color": colour, "width": 1.5}, "x": line.contexts, "y": ys, "hoverinfo": "text", "hovertext": said,
    }  # fmt: skip


def _area(
    label: str, spans: Sequence[tuple[int, int]], means: Sequence[float], factor: float, unit: str, colour: str
) -> Trace:
    """What an operator takes of a step, as the mean of each stretch of steps."""
    ys = [ns / factor for ns in means]
    said = [f"{label}<br>{_span(*span)}: {number(y)} {unit}/step" for span, y in zip(spans, ys, strict=True)]
    return {
        "type": "scatter", "name": label, "x": [(low + high) / 2 for low, high in spans], "y": ys,
        "line": {"width": 1, "color": colour}, "marker": {"size": 5}, "hoverinfo": "text", "hovertext": said,
    }  # fmt: skip


def _span(low: int, high: int) -> str:
    return f"{low:,} tokens" if low == high else f"{low:,} to {high:,} tokens"


# -- roofline ------------------------------------------------------------------------------


def _roofline(shown: Rates, operators: Sequence[Operator]) -> Iterator[Linked]:
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
        "yaxis": {"type": "log", "title": {"text": "10⁹ operations/s"}, "dtick": 1, **_NUMBERS},
        "legend": {"traceorder": "normal"},
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
