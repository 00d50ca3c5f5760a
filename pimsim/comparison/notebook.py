"""A comparison in a notebook: tables of plain HTML, nothing from the network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any

from pimsim.comparison import rows
from pimsim.comparison.rows import Table

_INPUTS, _PARTS, _OPERATORS = 30, 12, 12


def html(summary: Mapping[str, Any]) -> str:
    """What differs, in tables."""
    return "".join(_parts(summary))


def _parts(summary: Mapping[str, Any]) -> Iterator[str]:
    names = zip(rows.labels(summary), summary["runs"], strict=True)
    said = (f"{label}: {run['name']}" if label != run["name"] else label for label, run in names)
    yield f"<p>{escape('; '.join(said))}</p>"
    if summary["warnings"]:
        yield f"<ul>{''.join(f'<li>{escape(text)}</li>' for text in summary['warnings'])}</ul>"
    if summary["equal"]:
        yield "<p>Nothing differs: neither the inputs nor the results.</p>"
        return
    tables = (
        rows.of_inputs(summary, _INPUTS), rows.of_results(summary), rows.of_parts(summary, "causes", _PARTS),
        rows.of_parts(summary, "components", _PARTS), rows.of_operators(summary, _OPERATORS),
    )  # fmt: skip
    yield from map(_table, filter(lambda each: each.rows or each.notes, tables))


def _table(table: Table) -> str:
    head = "".join(f"<th style='text-align:right'>{escape(text)}</th>" for text in table.headings)
    body = "".join(f"<tr><td style='text-align:left'>{escape(row[0])}</td>{_cells(row[1:])}</tr>" for row in table.rows)
    notes = "".join(f"<p>{escape(note)}</p>" for note in table.notes)
    title = f"<th style='text-align:left'>{escape(table.title)}</th>"
    return f"<table><tr>{title}{head}</tr>{body}</table>{notes}"


def _cells(texts: list[str]) -> str:
    return "".join(f"<td style='text-align:right'>{escape(text)}</td>" for text in texts)
