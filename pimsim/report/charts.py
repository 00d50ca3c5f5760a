"""Charts of a page: what is drawn, as data that the page's script hands to plotly."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Trace = Mapping[str, Any]
NAMES = {"type": "category", "autorange": "reversed"}  # an axis of bars, the first on top; "8" is a name there as well


@dataclass(frozen=True)
class Chart:
    """One chart.

    name    of the chart in the page, and of the files that it is saved as
    title   above it
    says    what it shows, in a sentence for those who hear it
    traces  plotly's; each point of a trace has a text in `hovertext`, which hovering over it shows and the
            keyboard reads out.  A colour may be a variable of the page's style: "var(--accent)"
    layout  plotly's, as far as it differs from what every chart has (`assets/kit.js`)
    narrow  what differs in a window of a phone's width
    height  in pixels
    columns, rows  what is drawn as a table, saved as CSV; without columns the chart has no such file
    note    below it, for everybody
    """

    name: str
    title: str
    says: str
    traces: Sequence[Trace]
    layout: Mapping[str, Any] = field(default_factory=dict)
    narrow: Mapping[str, Any] = field(default_factory=dict)
    height: int = 320
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[Any]] = ()
    note: str = ""

    def as_data(self) -> dict[str, Any]:
        """What the page's script reads."""
        table = {"columns": list(self.columns), "rows": [list(row) for row in self.rows]} if self.columns else None
        drawn = {"traces": list(self.traces), "layout": self.layout, "narrow": self.narrow, "height": self.height}
        return {"name": self.name, "title": self.title, **drawn, "table": table}


def plain(text: str) -> str:
    """Text of a user for a chart, where plotly would read tags in it."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def as_data(charts: Iterable[Chart]) -> dict[str, dict[str, Any]]:
    """Charts by name."""
    return {chart.name: chart.as_data() for chart in charts}
