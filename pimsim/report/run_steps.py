"""Steps of a run over their context: one by one, and what each operator takes of them in legs of the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import cycle
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.report import run_marks as marks
from pimsim.report.charts import Chart, Trace, plain
from pimsim.report.run_marks import Alone, Linked
from pimsim.report.run_operators import Operator, Operators, ranked
from pimsim.results.drawn import colours, context
from pimsim.results.headline import number, time_scale, time_text
from pimsim.results.metrics import nanoseconds
from pimsim.sim.tally import Tally

_AREAS = (colours.BLUE, colours.ORANGE, colours.GREEN, colours.VERMILION, colours.SKY, colours.PURPLE, colours.YELLOW)
MOST = 1500  # steps that a page shows, evenly chosen from more


class Line(NamedTuple):
    """Steps by context; name: "" for all of them."""

    name: str
    contexts: list[int]
    latencies_ns: list[float]


class Steps:
    """The steps of a run.

    lines  the decode steps
    """

    def __init__(self, tally: Tally, lines: Sequence[Line]) -> None:
        self._tally, self.lines = tally, lines
        self._course = tally.course

    @property
    def longest_ns(self) -> float:
        """Of the longest step."""
        return max(max(line.latencies_ns) for line in self.lines)

    def has(self, phase: str) -> bool:
        """Whether it is known what operators of a phase took as it went on."""
        return self._course is not None and self._tally.tokens.steps_of(phase) > 1

    def _edges(self, phase: str) -> NDArray[np.int64]:
        assert self._course is not None
        return self._course.edges(phase, self._tally.tokens.steps_of(phase))

    def spans(self, phase: str) -> list[tuple[int, int]]:
        """The smallest and the largest context of each leg of a phase."""
        contexts, edges = self._tally.tokens.column("context")[self._tally.tokens.of_phase(phase)], self._edges(phase)
        low, high = (reduce.reduceat(contexts, edges[:-1]).tolist() for reduce in (np.minimum, np.maximum))
        return list(zip(low, high, strict=True))

    def mean_ns(self, row: int) -> list[float]:
        """What the operator of a row takes of a step of its phase, in each leg."""
        assert self._course is not None
        edges = self._edges(self._tally.rows[row].phase)
        clocks = self._course.of_row(row, len(edges) - 1)
        return [
            nanoseconds(n, self._tally.tCK_ps) / steps
            for n, steps in zip(clocks.tolist(), np.diff(edges).tolist(), strict=True)
        ]


def steps_of(operators: Operators) -> Steps | None:
    """Those of a run; None where fewer than two are decoded."""
    found = context.steps(operators.of_run)
    if found is None or sum(len(line.contexts) for line in found.lines) < 2:
        return None
    return Steps(operators.result.tally, [_chosen(line) for line in found.lines])


def _chosen(line: context.StepLine) -> Line:
    """A line with as many steps as are drawn."""
    count = len(line.contexts)
    chosen = np.unique(np.linspace(0, count - 1, min(count, MOST)).astype(np.int64))
    return Line(line.name, line.contexts[chosen].tolist(), line.latencies_ns[chosen].tolist())


def over_context(operators: Operators) -> Iterator[Linked]:
    """Steps one by one, over what operators take of them; of one operator its own time."""
    steps = steps_of(operators)
    if steps is None:
        return
    factor, unit = time_scale(steps.longest_ns)
    several = len(steps.lines) > 1
    lines = [_line(line, colour, factor, unit)
             for line, colour in zip(steps.lines, cycle(marks.SERIES if several else ("var(--ink)",)))]  # fmt: skip
    areas = list(_areas(operators, steps, factor, unit)) if steps.has("decode") and not several else []
    layout = {
        "xaxis": {"title": {"text": "context (tokens)"}},
        "yaxis": {"title": {"text": f"latency ({unit}/step)"}, "rangemode": "tozero", **marks.NUMBERS},
        "legend": marks.LEGEND,
    }
    says = f"the time of each decode step over its context. {'; '.join(map(_ends, steps.lines))}"
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
    for (key, label, means), colour in zip(courses, (*_AREAS, marks.GREY), strict=False):
        area = _area(label, steps.spans("decode"), means, factor, unit, colour)
        yield {**area, "stackgroup": "operators", "mode": "lines", "customdata": [key] * len(means)}


def _course(operator: Operator, spans: Sequence[tuple[int, int]], means: Sequence[float]) -> Alone:
    """What one operator takes of a step, in units of its own."""
    factor, unit = time_scale(max(means, default=0.0))
    area = _area(plain(operator.said), spans, means, factor, unit, colours.BLUE)
    columns = ("operator", "context_from", "context_to", "latency_ns_per_step")
    return Alone(
        [{**area, "fill": "tozeroy", "mode": "lines+markers", "cliponaxis": False, "showlegend": False}],
        {"yaxis": {"title": {"text": f"latency ({unit}/step)"}}},
        columns,
        [[operator.said, *span, mean] for span, mean in zip(spans, means, strict=True)],
    )


def _ends(line: Line) -> str:
    first, last = (time_text(line.latencies_ns[at]) for at in (0, -1))
    return f"{line.name}{': ' if line.name else ''}{first} at the first and {last} at the last"


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
    """What an operator takes of a step, as the mean of each leg."""
    ys = [ns / factor for ns in means]
    said = [f"{label}<br>{_span(*span)}: {number(y)} {unit}/step" for span, y in zip(spans, ys, strict=True)]
    return {
        "type": "scatter", "name": label, "x": [(low + high) / 2 for low, high in spans], "y": ys,
        "line": {"width": 1, "color": colour}, "marker": {"size": 5}, "hoverinfo": "text", "hovertext": said,
    }  # fmt: skip


def _span(low: int, high: int) -> str:
    return f"{low:,} tokens" if low == high else f"{low:,} to {high:,} tokens"
