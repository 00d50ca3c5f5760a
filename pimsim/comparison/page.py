"""The page of a comparison: inputs that differ, the headline side by side, causes, components and operators linked.

Every view of a chart is made here: the page's script (`assets/compare.js`) only shows the one that is asked for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pimsim.comparison import units
from pimsim.comparison.inputs import MEANINGS
from pimsim.comparison.rows import labels, operator_name, others, own_warnings, several_phases
from pimsim.comparison.views import Views
from pimsim.config.loader import as_text
from pimsim.report.charts import NAMES, Chart
from pimsim.report.page import render, script_json
from pimsim.text import one_line

Summary = Mapping[str, Any]


def page(summary: Summary) -> str:
    """A page that needs nothing from the network; equal comparisons make equal bytes."""
    views = Views(summary)
    names = [run["name"] for run in summary["runs"]]
    return render(
        "compare.html",
        title=" and ".join(names) if len(names) < 4 else f"{names[0]} and {len(names) - 1} others",
        summary=summary,
        data=script_json(
            {"comparison": summary, "views": views.all(), "keys": views.keys(), "said": views.said()}, indent=None
        ),
        charts=list(_charts(summary, views)),
        runs=list(_runs(summary)),
        own_warnings=_own_warnings(summary),
        inputs=list(_inputs(summary)),
        roles=[(role, meaning, _count(summary, role)) for role, meaning in MEANINGS.items() if _count(summary, role)],
        results=list(_results(summary)),
        operators=_operators(summary, views),
        commands=list(_commands(summary)),
        baselines=list(_baselines(summary)),
        labels=labels(summary),
        others=others(summary),
    )


def _charts(summary: Summary, views: Views) -> Iterator[Chart]:
    """Empty ones: the script fills each with a view."""
    for name, (title, says) in _CHARTS.items():
        if not summary["equal"]:
            columns = ("view", views.about(name), *(run["name"] for run in summary["runs"]))
            yield Chart(name, title, says, [], {"yaxis": NAMES}, _NARROW, views.height(name), columns)


_NARROW = {"margin": {"l": 8, "r": 8}}
_CHARTS = {
    "causes": ("Latency by cause", "what the difference in latency is made of; a cause chooses its operators"),
    "components": (
        "Energy by component",
        "what the difference in energy is made of; a component chooses its operators",
    ),
    "operators": ("Operators that differ most", "latency of each operator; one of them chooses its causes"),
}


def _runs(summary: Summary) -> Iterator[dict[str, Any]]:
    for at, (label, run) in enumerate(zip(labels(summary), summary["runs"], strict=True)):
        made = run["made"]
        yield run | {
            "label": "" if label == run["name"] else label,
            "colour": Views.colour(at),
            "command": made if made.startswith("pimsim ") else "",
            "folder": "" if made.startswith("pimsim ") else made,
            "base": at == summary["base"],
        }


def _own_warnings(summary: Summary) -> list[tuple[str, str]]:
    """Text, and the names of the runs that it is of."""
    return [(text, ", ".join(names)) for text, names in own_warnings(summary).items()]


def _count(summary: Summary, role: str) -> int:
    return sum(each["role"] == role for each in summary["inputs"])


def _inputs(summary: Summary) -> Iterator[dict[str, Any]]:
    for each in summary["inputs"]:
        cells = [
            {"value": one_line(as_text(value)) if there else "", "source": ", ".join(filter(None, (label, place)))}
            for value, there, label, place in zip(
                each["values"], each["present"], each["labels"], each["places"], strict=True
            )
        ]
        yield {"key": each["key"], "role": each["role"], "cells": cells}


def _results(summary: Summary) -> Iterator[dict[str, Any]]:
    """A row per figure, with a bar for each run."""
    for row in summary["results"]:
        unit = units.of_row(row["figure"], row["unit"], row["values"])
        largest = max((abs(value) for value in row["values"] if value is not None), default=0.0) or 1.0
        yield {
            "figure": row["figure"],
            "what": row["what"],
            "unit": unit.name,
            "better": row["better"],
            "cells": [
                {"text": unit.value(value), "value": value, "length": f"{100 * abs(value or 0) / largest:.2f}",
                 "colour": Views.colour(at)}
                for at, value in enumerate(row["values"])
            ],
            "differences": [(step := row["differences"][at], unit.difference(step)) for at in others(summary)],
            "ratios": [(each := row["ratios"][at], "" if unit.name == "%" else units.ratio(each))
                       for at in others(summary)],
        }  # fmt: skip


def _operators(summary: Summary, views: Views) -> dict[str, Any]:
    """The table of operators: latency and energy of each run, in one unit each, and the differences."""
    rows = summary["operators"]
    time = units.of_table("ns", [value for row in rows for value in row["latency"]["values"]])
    energy = units.of_table("pJ", [value for row in rows for value in row["energy"]["values"]])
    phases = several_phases(summary)
    return {
        "time": time.name,
        "energy": energy.name,
        "rows": [
            {
                "key": views.operator_key(row),
                "name": operator_name(row, phases),
                "of": row.get("of", []),
                "cells": [
                    *_cells(row["latency"], time, row["present"]),
                    *_cells(row["energy"], energy, row["present"]),
                ],
                "latency": _differences(summary, row["latency"], time),
                "energy": _differences(summary, row["energy"], energy),
            }
            for row in rows
        ],
    }


def _cells(row: Summary, unit: units.Unit, present: Sequence[bool]) -> list[tuple[float | None, str]]:
    found = zip(row["values"], present, strict=True)
    return [(value, unit.value(value)) if there else (None, "-") for value, there in found]


def _differences(summary: Summary, row: Summary, unit: units.Unit) -> list[tuple[float | None, str]]:
    return [(row["differences"][at], unit.difference(row["differences"][at])) for at in others(summary)]


def _commands(summary: Summary) -> Iterator[dict[str, Any]]:
    for row in summary["commands"]:
        ratios = [(row["ratios"][at], units.ratio(row["ratios"][at])) for at in others(summary)]
        yield {"name": row["command"], "counts": row["values"], "ratios": ratios}


def _baselines(summary: Summary) -> Iterator[dict[str, Any]]:
    for row in summary["baselines"]:
        yield {"name": row["baseline"], "model": row["model"], "what": row["what"],
               "cells": [(value, units.ratio(value)) for value in row["values"]]}  # fmt: skip
