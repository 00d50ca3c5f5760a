"""The points of a sweep: a product of tables, counted without making them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from typing import Any

from pimsim import api
from pimsim.baselines.devices import is_path
from pimsim.config.loader import (
    baseline_files,
    complete,
    energy_file,
    put,
    table_file,
    trace_file,
    with_table,
)
from pimsim.config.schema import AnyConfig
from pimsim.config.tree import Position, Tree, entry_of, merge, plain
from pimsim.energy.table import files_of
from pimsim.errors import Problem
from pimsim.held import held
from pimsim.sim.inputs import is_priced
from pimsim.workload.scheduled import scheduled
from pimsim.workload.shapes import ModelShape
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Trace

Values = Mapping[str, Any]  # by dotted key
_SORTED = 1 << 20  # points that are put in another order at most


@dataclass(frozen=True)
class PointTable:
    """Keys that vary together: a row has a value for some or all of them.

    kind  "grid", "zip", "random", "latin_hypercube", "one_at_a_time" or "sobol"
    """

    kind: str
    keys: tuple[str, ...]
    rows: tuple[Values, ...]

    @cached_property
    def runs(self) -> Sequence[int]:
        """For each row a number, equal for rows that differ in prices alone; in the order in which they first occur."""
        simulated = [key for key in self.keys if not is_priced(key)]
        if len(simulated) == len(self.keys):
            return range(len(self.rows))
        numbers: dict[str, int] = {}
        parts = (repr([(key, row[key]) for key in simulated if key in row]) for row in self.rows)
        return array("q", (numbers.setdefault(part, len(numbers)) for part in parts))


@dataclass(frozen=True)
class Space:
    """Every combination of a row of each table; the last table varies fastest."""

    tables: tuple[PointTable, ...]

    def __len__(self) -> int:
        return math.prod(len(table.rows) for table in self.tables)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary, in the order of the file."""
        return tuple(key for table in self.tables for key in table.keys)

    def point(self, index: int) -> dict[str, Any]:
        """The values of the point number `index`, by dotted key."""
        parts: list[Values] = []
        for table in reversed(self.tables):
            index, row = divmod(index, len(table.rows))
            parts.append(table.rows[row])
        return {key: value for part in reversed(parts) for key, value in part.items()}

    def run_of(self, index: int) -> int:
        """A number that is equal for points that differ in prices alone, which one simulation serves."""
        run, weight = 0, 1
        for table in reversed(self.tables):
            index, row = divmod(index, len(table.rows))
            run += table.runs[row] * weight
            weight *= len(table.rows)
        return run

    def by_runs(self, indexes: Sequence[int]) -> Sequence[int]:
        """These points, those of one run together; in their order if there are so many that it takes memory."""
        if len(indexes) > _SORTED or all(isinstance(table.runs, range) for table in self.tables):
            return indexes
        return sorted(indexes, key=self.run_of)

    def points(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every point with its number."""
        return ((index, self.point(index)) for index in range(len(self)))


@dataclass(frozen=True)
class PointRequest:
    """What a worker is asked to simulate.

    values  of a configuration, plain, every key given or with a default
    trace   the file of its trace, from where this process stands; "" without one
    machines  where its baselines that are files are, by what was written
    table   the file of its table, as `trace`; energy: of its energy table, as `trace`
    files   SHA-256 of each file that it reads, by normalised path; None: there is no such file
    shape   of a model that is in the place of the one that the values name, if there is one
    """

    values: Mapping[str, Any]
    trace: str = ""
    machines: Mapping[str, str] = field(default_factory=dict)
    table: str = ""
    energy: str = ""
    files: Mapping[str, str | None] = field(default_factory=dict)
    shape: ModelShape | None = None

    def named_files(self) -> Iterator[str]:
        """The files that a simulation reads: the trace, the tables, and baselines that are no names."""
        yield from (file for file in (self.trace, self.table) if file)
        yield from files_of(self.energy) if self.energy else ()
        baselines = self.values.get("baselines", ())
        yield from (self.machines.get(name, name) for name in baselines if isinstance(name, str) and is_path(name))


def _trace(path: str) -> Trace:
    """The trace in a file; each point asks."""
    content = held(path)
    return load_trace(path) if content is None else _held_trace(path, content)


@lru_cache(maxsize=4)
def _held_trace(path: str, _: bytes) -> Trace:
    return load_trace(path)


@dataclass(frozen=True)
class Base:
    """What the points of a sweep have in common.

    tree  the base configuration with `set` on top; file: the sweep file, to which files in an axis are relative
    name  of the base, as `pimsim run` is given it where this process stands, or a configuration that was loaded
    fixed what `set` says, plain
    """

    tree: Tree
    file: str = ""
    name: str | AnyConfig = ""
    fixed: Values = field(default_factory=dict)

    def request(self, point: Values) -> PointRequest:
        """The configuration of a point, as a file that extends the base would have it."""
        return self._with_problems(point)[0]

    def values(self, point: Values) -> Mapping[str, Any]:
        """Its plain values."""
        return self.request(point).values

    def trace_problems(self, point: Values) -> list[Problem]:
        """What is wrong with the trace of a point."""
        return self._with_problems(point)[1]

    def _with_problems(self, point: Values) -> tuple[PointRequest, list[Problem]]:
        place = Position(self.file, 0, 0)
        over = Tree(place)
        for key, value in point.items():
            put(over, key, entry_of(value, place))
        tree = Tree(self.tree.place, merge(self.tree.entries, over.entries))
        problems: list[Problem] = []
        trace = trace_file(tree)
        if trace:
            tree, problems = complete(tree, trace, lambda path, given: scheduled(_trace(path), given))
        table = table_file(tree)
        tree = with_table(tree, api.read_table)
        return PointRequest(plain(tree.entries), trace, baseline_files(tree), table, energy_file(tree)), problems
