"""What the charts of a run share: colours, bars with their texts, and what takes the place of a chart's own marks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pimsim.report.charts import NAMES, Chart, Trace
from pimsim.results.drawn.colours import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILION

GREY = "#8A8F98"  # not of the palette; for what is not the subject
SERIES = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)  # lines of one chart, in order
ROW = 24  # pixels of a bar
CATEGORIES = {**NAMES, "ticks": "outside", "ticklen": 5, "tickcolor": "rgba(0,0,0,0)"}
NUMBERS = {"exponentformat": "none", "separatethousands": True}  # of an axis
LEGEND = {"traceorder": "normal"}


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


def bars(
    names: Sequence[str], values: Sequence[float], colour: Any, hover: Sequence[str], texts: Sequence[str]
) -> Trace:
    """Bars with their texts behind them."""
    return {
        "type": "bar", "orientation": "h", "y": list(names), "x": list(values), "marker": {"color": colour},
        "text": list(texts), "textposition": "outside", "cliponaxis": False, "textfont": {"size": 12},
        "hoverinfo": "text", "hovertext": list(hover), "showlegend": False,
    }  # fmt: skip


def first(count: int) -> dict[str, Any]:
    """An axis of bars, the first on top, with room for so many: of fewer, each is as high."""
    return {**CATEGORIES, "autorange": False, "range": [max(count, 1) - 0.5, -0.5]}
