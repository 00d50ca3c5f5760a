"""Energy tables: YAML files beside this module, a source and a note on every row.

A table has its own rows and those of `common.yaml`, which all tables share.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any

from pimsim.errors import InputError, did_you_mean
from pimsim.labels import LABELS

SCHEMA = "pimsim.energy/1"
SOURCES = LABELS
TABLES = ("v1", "v2")
COMMON = "common"


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

    def rest(self, *keys: str) -> Fraction:
        """What rows that are shares of one whole leave of it; InputError if they are more than the whole."""
        rest = 1 - sum(map(self.value, keys), Fraction(0))
        if rest < 0:
            what = f"energy table {self.name!r}: {' + '.join(keys)} is {float(1 - rest):g}, more than 1"
            raise InputError(what, key=f"energy.table.{keys[0]}")
        return rest


@cache  # a sweep asks for each point
def load_table(name: str) -> EnergyTable:
    """The table called `name`; InputError if there is none, or if a row has no known source."""
    if name not in TABLES:
        raise InputError(f"unknown energy table {name!r}{did_you_mean(name, TABLES)}", key="energy.table")
    own, common = _read(name), _read(COMMON)
    rows = own["rows"] | common["rows"]
    return EnergyTable(name, own["hypothesis"], {key: _row(key, row) for key, row in rows.items()})


def _read(name: str) -> dict[str, Any]:
    import yaml

    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(
        text, getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    )  # shipped: no mistakes to find
    if data["schema"] != SCHEMA or data["name"] != name:
        raise InputError(f"{name}.yaml is not the {SCHEMA} table {name!r}", key="energy.table")
    return data


def _row(key: str, row: Mapping[str, Any]) -> TableRow:
    if row["source"] not in SOURCES:
        raise InputError(f"source {row['source']!r} is not one of {', '.join(SOURCES)}", key=f"energy.table.{key}")
    return TableRow(Fraction(str(row["value"])), row["unit"], row["source"], row["note"])
