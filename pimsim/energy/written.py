"""One file of an energy table: what it says, and everything that is wrong with it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from typing import Any

from pimsim.config.nodes import parse_with_problems
from pimsim.config.tree import Entry, Tree, locate
from pimsim.energy.rows import ROWS
from pimsim.errors import Problem, did_you_mean
from pimsim.labels import LABELS

SCHEMA = "pimsim.energy/1"
_KEYS = ("schema", "name", "hypothesis", "extends", "rows")
_ROW = ("value", "unit", "source", "note")


@dataclass(frozen=True)
class TableRow:
    """One assumption: its value in `unit`, where it comes from and why; where it stands, if a user's file has it."""

    value: Fraction
    unit: str
    source: str
    note: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True)
class Written:
    """What a file says; of what is wrong with it, `problems` has all that the file shows by itself."""

    file: str
    name: str
    hypothesis: str
    extends: str
    rows: Mapping[str, TableRow]
    problems: tuple[Problem, ...]
    tree: Tree

    def problem(self, key: str, message: str) -> Problem:
        """Something that is wrong with a key of the file."""
        place = locate(self.tree, key)
        return Problem(place.file, place.line, place.column, key, message)


@lru_cache(maxsize=64)  # a sweep asks for each point
def parse(text: str, file: str) -> Written:
    """What YAML `text` says, problems placed in `file`; InputError if it is no mapping."""
    return _Reader(file, parse_with_problems(text, file)).table()


@dataclass
class _Reader:
    file: str
    tree: Tree
    found: list[Problem] = field(default_factory=list)

    def table(self) -> Written:
        self.found += self.tree.problems
        top = self.tree.entries
        self.keys(top, "", _KEYS, ("schema", "name", "rows"))
        if "schema" in top and top["schema"].value != SCHEMA:
            self.complain("schema", f"must be {SCHEMA}, not {_show(top['schema'].value)}")
        name, hypothesis, extends = (self.text(top, key, "") for key in ("name", "hypothesis", "extends"))
        rows = self.rows(top["rows"]) if "rows" in top else {}
        return Written(self.file, name, hypothesis, extends, rows, tuple(sorted(self.found)), self.tree)

    def rows(self, section: Entry) -> dict[str, TableRow]:
        if not isinstance(section.value, Mapping):
            self.complain("rows", f"must be a mapping of rows, not {_show(section.value)}")
            return {}
        read = {key: self.row(key, entry) for key, entry in section.value.items()}
        return {key: row for key, row in read.items() if row is not None}

    def row(self, key: str, entry: Entry) -> TableRow | None:
        path, kind = f"rows.{key}", ROWS.get(key)
        if kind is None:
            self.complain(path, f"nothing reads this row{did_you_mean(key, ROWS)}")
            return None
        if not isinstance(entry.value, Mapping):
            self.complain(path, f"must have {', '.join(_ROW)}, not {_show(entry.value)}")
            return None
        self.keys(entry.value, f"{path}.", _ROW, _ROW)
        number = self.number(entry.value, f"{path}.value")
        unit, source, note = (self.text(entry.value, part, f"{path}.") for part in _ROW[1:])
        if unit and unit != kind.unit:
            self.complain(f"{path}.unit", f"must be {kind.unit!r}, not {unit!r}")
        if source and source not in LABELS:
            hint = did_you_mean(source, LABELS) or f"; labels: {', '.join(LABELS)}"
            self.complain(f"{path}.source", f"unknown source label {source!r}{hint}")
        if number is not None and (wrong := kind.wrong(number)):
            self.complain(f"{path}.value", wrong)
        return None if number is None else TableRow(number, unit, source, note, self.file, entry.place.line)

    def number(self, row: Mapping[str, Entry], path: str) -> Fraction | None:
        if "value" not in row:
            return None
        value = row["value"].value
        if isinstance(value, int | Decimal) and not isinstance(value, bool) and abs(Decimal(value).adjusted()) < 20:
            return Fraction(value)
        self.complain(path, f"must be a number, not {_show(value)}")
        return None

    def text(self, section: Mapping[str, Entry], key: str, path: str) -> str:
        """A text that is not empty; "" if it is missing, or after a complaint."""
        value = section[key].value if key in section else None
        if isinstance(value, int) and not isinstance(value, bool) and key == "unit":
            value = str(value)  # 1 without quotes
        if key not in section or (isinstance(value, str) and value):
            return str(value or "")
        self.complain(f"{path}{key}", "must not be empty" if value == "" else f"must be text, not {_show(value)}")
        return ""

    def keys(self, section: Mapping[str, Entry], path: str, known: Collection[str], needed: Collection[str]) -> None:
        for key in section:
            if key not in known:
                self.complain(f"{path}{key}", f"unknown key{did_you_mean(key, known)}")
        for key in needed:
            if key not in section:
                self.complain(f"{path}{key}", "required key is missing")

    def complain(self, key: str, message: str) -> None:
        place = locate(self.tree, key)
        self.found.append(Problem(place.file, place.line, place.column, key, message))


def _show(value: Any) -> str:
    """A value as its writer would know it, short."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping | tuple):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = repr(value) if isinstance(value, str) else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
