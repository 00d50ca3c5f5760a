"""The report of a sweep: every point in a table, and the points of two objectives against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pimsim.report.page import render, script_json

Row = Mapping[str, Any]
OK = "ok"
_FIGURES = ("accuracy.", "system.", "baselines.", "proxy.", "workload.parameters")
_SIDE = ("point_id", "status", "error", "config_sha256", "trace_sha256", "warnings")


def sweep_html(rows: Sequence[Row], objectives: Sequence[str], meta: Mapping[str, Any]) -> str:
    """The report of a sweep's rows.

    rows        one mapping per point, as in the results file; `status` "ok", or `error` says why not
    objectives  columns to be low (a leading "-": to be high); the first two are drawn at first
    meta        title, and anything else worth a line: {"base": "pim-gpt.yaml", "dropped": 3}
    """
    wanted = [name.lstrip("-") for name in objectives]
    good = [row for row in rows if row.get("status", OK) == OK]
    varied = [name for name in _columns(rows) if name not in _SIDE and _differs(name, rows)]
    inputs = [name for name in varied if not name.startswith(_FIGURES)]
    shown = list(dict.fromkeys([*inputs, *(name for name in wanted if name in varied or not varied)]))
    numbers = [name for name in _columns(good) if _has_numbers(name, good)]
    axes = list(dict.fromkeys([*(name for name in wanted if name in numbers), *numbers]))
    return render(
        "sweep.html",
        title=str(meta.get("title", "sweep")),
        meta={key: value for key, value in meta.items() if key != "title"},
        rows=rows,
        good=len(good),
        failed=[row for row in rows if row.get("status", OK) != OK],
        columns=shown,
        axes=axes,
        inputs=inputs,
        data=script_json(
            {
                "points": [{name: row.get(name) for name in dict.fromkeys([*inputs, *axes])} for row in good],
                "inputs": inputs,
                "high": [name.lstrip("-") for name in objectives if name.startswith("-")],
            }
        ),
    )


def _columns(rows: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(name for row in rows for name in row))


def _differs(name: str, rows: Sequence[Row]) -> bool:
    return len({str(row.get(name)) for row in rows}) > 1


def _has_numbers(name: str, rows: Sequence[Row]) -> bool:
    """Whether every row has the column, with a number or null, and some a number."""
    values = [row.get(name, "") for row in rows]
    return any(map(_is_number, values)) and all(value is None or _is_number(value) for value in values)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value
