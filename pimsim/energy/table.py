"""Energy tables: what turns counts and currents into energy, a source and a note on every row.

A table has its own rows, on top of those of the table that it extends.  Two are shipped; a configuration may
name a file of the same form, and `pimsim.register` gives one a name.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pimsim.config.loader import read_text
from pimsim.config.shipped import SUFFIXES
from pimsim.energy.rows import NEEDED, WHOLES, show
from pimsim.energy.written import SCHEMA, TableRow, Written, parse
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import CANNOT_READ
from pimsim.kinds import ENERGY, expecting
from pimsim.registry import Registry, not_loaded

TABLES = ("v1", "v2")
_LONGEST_CHAIN = 20  # files that extend each other, as of configurations


@dataclass(frozen=True)
class EnergyTable:
    """A named set of assumptions that turns counts and currents into energy.

    own      the rows that a user's file has, and the files that it extends; none of a shipped table
    extends  the table, shipped or registered, in which they stand in the place of others, "" if in none
    digest   tells its values from those of any other table; "" of a shipped one, whose name does
    """

    name: str
    hypothesis: str
    rows: Mapping[str, TableRow]
    own: Mapping[str, TableRow] = field(default_factory=dict)
    extends: str = ""
    digest: str = ""

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


# -- shipped, and by name --------------------------------------------------------------


class _Shipped(Mapping[str, EnergyTable]):
    """The tables that are shipped, each read when it is needed."""

    def __getitem__(self, name: str) -> EnergyTable:
        if name not in TABLES:
            raise KeyError(name)
        return _shipped(name)

    def __contains__(self, name: object) -> bool:
        return name in TABLES

    def __iter__(self) -> Iterator[str]:
        return iter(TABLES)

    def __len__(self) -> int:
        return len(TABLES)


ENERGY_TABLES: Registry[EnergyTable] = Registry("energy table", _Shipped())


@cache  # a sweep asks for each point
def _shipped(name: str) -> EnergyTable:
    """A table beside this module, on top of what it extends."""
    data = _data(name)
    under: Mapping[str, TableRow] = _shipped(data["extends"]).rows if "extends" in data else {}
    own = {key: TableRow(Fraction(str(row.pop("value"))), **row) for key, row in data["rows"].items()}
    return EnergyTable(name, data["hypothesis"], own | {key: row for key, row in under.items() if key not in own})


def _data(name: str) -> dict[str, Any]:
    import yaml

    text = Path(__file__).with_name(f"{name}.yaml").read_text(encoding="utf-8")
    data: dict[str, Any] = yaml.load(text, getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # no mistakes to find
    assert data["schema"] == SCHEMA and data["name"] == name
    return data


def is_path(name: str) -> bool:
    """Whether `load_table` reads `name` as a file."""
    return name.endswith(SUFFIXES)


def load_table(name_or_path: str) -> EnergyTable:
    """A table by name, or the one in a file (`is_path`).

    InputError with everything that is wrong with the file, each with its place, or if there is no such table.
    """
    if is_path(name_or_path):
        return load_file(name_or_path)
    if name_or_path not in ENERGY_TABLES:
        hint = did_you_mean(name_or_path, ENERGY_TABLES) or f"; known: {', '.join(ENERGY_TABLES)}, or a file"
        raise InputError(f"unknown energy table {name_or_path!r}{hint}{not_loaded()}", key="energy.table")
    return ENERGY_TABLES[name_or_path]


# -- files -----------------------------------------------------------------------------


def load_file(path: str) -> EnergyTable:
    """The table in a file, on top of what it extends; InputError as `load_table`."""
    with expecting(ENERGY, path):
        return table_of(read_text(path), path)


def table_of(text: str, file: str) -> EnergyTable:
    """The table that YAML `text` describes, problems placed in `file`; InputError as `load_table`."""
    return _made(parse(text, file), (os.path.realpath(file),))


def _made(written: Written, chain: tuple[str, ...]) -> EnergyTable:
    """What a file says on top of what it extends; chain: this file, and those that extend it."""
    problems, under = list(written.problems), None
    if written.extends:
        try:
            under = _extended(written, chain)
        except InputError as error:
            problems += error.problems
    if under or not written.extends:
        problems += _incomplete(written, under)
    if problems:
        raise InputError(problems)
    return _on_top(written, under)


def _on_top(written: Written, under: EnergyTable | None) -> EnergyTable:
    rows = {**(under.rows if under else {}), **written.rows}
    own = {**(under.own if under else {}), **written.rows}
    base = under.extends or under.name if under else ""
    hypothesis = written.hypothesis or (under.hypothesis if under else "")
    values = {key: str(row.value) for key, row in sorted(rows.items())}
    return EnergyTable(
        written.name, hypothesis, rows, own, base, sha256(json.dumps(values).encode("ascii")).hexdigest()
    )


def _extended(written: Written, chain: tuple[str, ...]) -> EnergyTable:
    """The table that a file extends: one by name, or that of another file, relative to it."""
    name = written.extends
    if not is_path(name):
        try:
            return load_table(name)
        except InputError as error:
            raise InputError(written.problem("extends", problem.message) for problem in error.problems) from None
    target = _beside(written.file, name)
    if os.path.realpath(target) in chain:
        raise InputError(written.problem("extends", f"{name} extends this file: a cycle"))
    if len(chain) > _LONGEST_CHAIN:
        raise InputError(written.problem("extends", f"file number {len(chain) + 1} that extends another, too many"))
    try:
        with expecting(ENERGY, target):
            return _made(parse(read_text(target), target), (*chain, os.path.realpath(target)))
    except InputError as error:
        raise InputError(_unreadable(problem, written, target) for problem in error.problems) from None


def _unreadable(problem: Problem, written: Written, target: str) -> Problem:
    """A file that cannot be read is the fault of the line that names it."""
    if problem.file != target or not problem.message.startswith(CANNOT_READ):
        return problem
    return written.problem("extends", f"{written.extends}: {problem.message}")


def _incomplete(written: Written, under: EnergyTable | None) -> Iterator[Problem]:
    """Rows that are nowhere, and shares that are more than their whole."""
    rows = {**(under.rows if under else {}), **written.rows}
    given = written.tree.entries.get("rows")
    there = {*rows, *(given.value if given and isinstance(given.value, Mapping) else ())}
    missing = [key for key in NEEDED if key not in there]
    if missing:
        yield written.problem("rows", f"has no {', '.join(missing)}; `extends: {TABLES[-1]}` has them all")
    for whole in WHOLES:
        values = [rows[key].value for key in whole if key in rows]
        mine = [key for key in whole if key in written.rows]
        if mine and sum(values) > 1:
            what = f"{' + '.join(whole)} is {show(sum(values, Fraction(0)))}, more than 1"
            yield written.problem(f"rows.{mine[0]}.value", what)


def files_of(path: str) -> Iterator[str]:
    """A file, and those that it extends, as far as they can be read."""
    seen: set[str] = set()
    while os.path.realpath(path) not in seen and len(seen) <= _LONGEST_CHAIN:
        seen.add(os.path.realpath(path))
        yield path
        try:
            extends = parse(read_text(path), path).extends
        except InputError:
            return
        if not is_path(extends):
            return
        path = _beside(path, extends)


def _beside(file: str, name: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(file), name))
