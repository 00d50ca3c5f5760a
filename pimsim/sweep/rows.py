"""A row of the results: what varies beside what came out."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from pimsim.sweep.point import Row

_HEAD = ("point_id", "status", "error")


def with_inputs(point: Mapping[str, Any], row: Row) -> Row:
    """A row with the values that make the point after its status; a figure of the same name gives way."""
    head = {key: row[key] for key in _HEAD}
    inputs = {key: cell(value) for key, value in point.items()}
    return head | inputs | {key: value for key, value in row.items() if key not in (*_HEAD, *inputs, "index")}


def cell(value: Any) -> Any:
    """An input as a cell of a table has it: a number, text, true or false; anything else as JSON."""
    if isinstance(value, Decimal):
        return int(value) if value % 1 == 0 else float(value)
    if isinstance(value, Mapping | tuple | list):
        return json.dumps(value, default=cell, separators=(",", ":"))
    return value
