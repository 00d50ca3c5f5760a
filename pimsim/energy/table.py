"""Energy tables: YAML files beside this module, a source and a note on every row."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from importlib.resources import files
from typing import Any

from pimsim.errors import InputError, did_you_mean
from pimsim.labels import LABELS

SCHEMA = "pimsim.energy/1"
SOURCES = LABELS
TABLES = ("v1", "v2")


@dataclass(frozen=True)
class TableRow:
    """One assumption: its value in `unit`, where it comes from and why."""

    value: Fraction
    unit: str
    source: str
    note: str


@dataclass(frozen=True)
class EnergyTable:
    """A named set of assumptions that turns counts and currents into energy."""

    name: str
    hypothesis: str
    rows: Mapping[str, TableRow]

    def value(self, key: str) -> Fraction:
        """The value of row `key`; InputError if the table has none or it is negative."""
        row = self.rows.get(key)
        if row is None:
            raise InputError(f"energy table {self.name!r} has no row {key!r}", key=f"energy.table.{key}")
        if row.value < 0:
            raise InputError(f"energy table {self.name!r}: {row.value} is negative", key=f"energy.table.{key}")
        return row.value


@cache  # a sweep asks for each point
def load_table(name: str) -> EnergyTable:
    """The table called `name`; InputError if there is none, or if a row has no known source."""
    import yaml

    if name not in TABLES:
        raise InputError(f"unknown energy table {name!r}{did_you_mean(name, TABLES)}", key="energy.table")
    text = files("pimsim.energy").joinpath(f"{name}.yaml").read_text(encoding="utf-8")
    data = yaml.safe_load(text)
    if data["schema"] != SCHEMA or data["name"] != name:
        raise InputError(f"{name}.yaml is not the {SCHEMA} table {name!r}", key="energy.table")
    return EnergyTable(name, data["hypothesis"], {key: _row(key, row) for key, row in data["rows"].items()})


def _row(key: str, row: Mapping[str, Any]) -> TableRow:
    if row["source"] not in SOURCES:
        raise InputError(f"source {row['source']!r} is not one of {', '.join(SOURCES)}", key=f"energy.table.{key}")
    return TableRow(Fraction(str(row["value"])), row["unit"], row["source"], row["note"])
