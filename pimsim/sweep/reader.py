"""A sweep file, read and checked: every problem at once, each with its line and column."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from pimsim import api
from pimsim.baselines.devices import name_of
from pimsim.config.loader import baseline_files, put, read_text, read_tree, with_table, written
from pimsim.config.nodes import parse_with_problems
from pimsim.config.rules import RULES, workload_source
from pimsim.config.schema import AnyConfig, Common
from pimsim.config.shipped import CONFIGURATIONS, SWEEPS, find
from pimsim.config.tree import WORKLOAD_SOURCES, Entry, Position, Tree, entry_of, locate, merge, plain
from pimsim.config.validate import class_of, flat_values, value_problems
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import open_input
from pimsim.held import keeping
from pimsim.kinds import SWEEP, expecting
from pimsim.sweep.accuracy import RISING, Accuracy, check_keys, read_section
from pimsim.sweep.axes import ALONE, AxesReader
from pimsim.sweep.constraints import kind_of_operand, make_filter
from pimsim.sweep.definition import SAMPLERS, SCHEMA, Search, Sweep, named_files
from pimsim.sweep.expressions import Expression, ExpressionError, parse
from pimsim.sweep.folder import MOST_POINTS
from pimsim.sweep.keys import choices, unknown
from pimsim.sweep.objectives import DIRECTIONS, Objective, unknown_objective
from pimsim.sweep.space import Base, PointTable, Space
from pimsim.text import not_a_file_name

_SECTIONS = ("schema", "name", "base", "set", "axes", "constraints", "accuracy", "objectives", "search")
_SEARCH = ("trials", "seed", "batch", "sampler", "axes")
_DICT, _NAME = "<sweep>", "sweep"  # the file and the name of a sweep that is a dict


def load_sweep(source: str | os.PathLike[str] | Mapping[str, Any]) -> Sweep:
    """The sweep in a file, the shipped one of that name, or a dict of the same form; InputError with every problem.

    The base of a dict is relative to the working folder, or a configuration that was loaded.
    """
    with keeping() as kept:
        sweep = _read(source)
        names = {os.path.normpath(name) for name in named_files(sweep.base, sweep.space, sweep.search)}
        for name in names:
            _keep(name)
    return replace(sweep, files={name: kept.get(name) for name in sorted(names)})


def _read(source: str | os.PathLike[str] | Mapping[str, Any]) -> Sweep:
    if isinstance(source, Mapping):
        entry = entry_of(source, Position(_DICT, 1, 1))
        assert isinstance(entry.value, Mapping)
        return _Reader(Tree(entry.place, dict(entry.value)), "", "").sweep()
    path = find(os.fspath(source), shelf=SWEEPS)
    with expecting(SWEEP, path):
        text = read_text(path)
        return _Reader(parse_with_problems(text, path), path, text).sweep()


def _keep(name: str) -> None:
    """Read a file that points name; one that cannot be read is missing for each of them."""
    with suppress(InputError):
        open_input(name).close()


@dataclass
class _Reader:
    """Reads one sweep; `text` is that of the file, for the columns of expressions."""

    tree: Tree
    path: str
    text: str
    problems: list[Problem] = field(default_factory=list)

    def sweep(self) -> Sweep:
        """The sweep, or InputError."""
        self.problems += self.tree.problems
        entries = self.tree.entries
        for name in entries:
            if name not in _SECTIONS:
                self.complain(entries[name].place, name, f"unknown key{did_you_mean(name, _SECTIONS)}")
        name = self.name()
        before = len(self.problems)
        base = self.base()
        known = len(self.problems) == before
        self.know_table(base)
        base, fixed = self.with_set(base)
        axes = AxesReader(self.complain, fixed)
        tables, search = self.points(axes)
        space = Space(tuple(tables))
        expressions = self.expressions()
        if len(space) > MOST_POINTS:
            self.complain(self.place("axes"), "axes", f"has {len(space)} points; at most {MOST_POINTS} are allowed")
        first = {key: value for key, value, _ in reversed(axes.checks)}
        whole = Base(base, self.path, self.base_name() if known else "", self.fixed_values())
        if base.entries:
            self.check_values(whole, axes, first)
        accuracy = self.accuracy(axes)
        objectives = self.objectives(base, axes)
        if search is not None and not objectives:
            self.complain(self.place("search"), "search", "needs objectives")
        if self.problems:
            raise InputError(sorted(self.problems, key=lambda problem: (problem.file != self.main, problem)))
        keys = tuple(search.domains) if search else space.keys
        kept = make_filter(expressions, whole, keys, first)
        return Sweep(name, self.path, whole, space, kept, tuple(objectives), search, accuracy=accuracy)

    @property
    def main(self) -> str:
        return self.path or _DICT

    def complain(self, place: Position, key: str, message: str) -> None:
        self.problems.append(Problem(place.file, place.line, place.column, key, message))

    def place(self, name: str) -> Position:
        entry = self.tree.entries.get(name)
        return entry.place if entry else self.tree.place

    def name(self) -> str:
        """The name that is given, or that of the file."""
        schema, name = self.tree.entries.get("schema"), self.tree.entries.get("name")
        if schema is not None and schema.value != SCHEMA:
            self.complain(schema.place, "schema", f"must be {SCHEMA}")
        if name is not None and not isinstance(name.value, str):
            self.complain(name.place, "name", "must be text")
            return ""
        found = str(name.value) if name is not None else Path(self.path or _NAME).stem
        wrong = not_a_file_name(found)  # of the folder of the results
        if wrong:
            self.complain(self.place("name"), "name", wrong if name is not None else f"is needed: the file's {wrong}")
        return found

    # -- the base ---------------------------------------------------------------------

    def base(self) -> Tree:
        """The base configuration as it is written; empty after a complaint."""
        entry = self.tree.entries.get("base")
        if entry is not None and isinstance(entry.value, Common):
            return written(entry.value).given
        if entry is None or not isinstance(entry.value, str) or not entry.value:
            self.complain(self.place("base"), "base", "is needed: a configuration, by its name or its file")
            return Tree(self.place("base"))
        path = os.path.join(os.path.dirname(self.path), entry.value)
        try:
            tree = read_tree(find(entry.value, os.path.dirname(self.path)))
        except InputError as error:
            for problem in error.problems:
                missing = problem.file == path and problem.line == 1 and "cannot be read" in problem.message
                if missing:
                    self.complain(entry.place, "base", f"{entry.value}: {problem.message}")
                else:
                    self.problems.append(problem)
            return Tree(self.place("base"))
        self.problems += tree.problems
        return tree

    def base_name(self) -> str | AnyConfig:
        """How `pimsim run` is told the base from where this process stands: a shipped name, or its path.

        A configuration that was loaded is itself.
        """
        given = self.tree.entries["base"].value
        if isinstance(given, Common):
            return cast("AnyConfig", given)
        found = find(str(given), os.path.dirname(self.path))
        shipped = CONFIGURATIONS.get(Path(found).stem)
        return Path(found).stem if shipped and os.path.realpath(found) == shipped else os.path.relpath(found)

    def fixed_values(self) -> Mapping[str, Any]:
        """What `set` says."""
        entry = self.tree.entries.get("set")
        return plain(entry.value) if entry is not None and isinstance(entry.value, Mapping) else {}

    def know_table(self, tree: Tree) -> None:
        """Read the table that a tree names, if any, so that its times are keys; InputError where it is wrong."""
        try:
            with_table(Tree(tree.place, tree.entries), api.read_table)
        except InputError as error:
            raise InputError([*self.problems, *error.problems]) from None

    def knows_tables(self, axes: AxesReader) -> bool:
        """Whether the tables that an axis names are known, after a complaint for each that is not."""
        before = len(self.problems)
        for key, value, place in axes.checks:
            if key == "dram.standard":
                named = Tree(Position(self.path, 0, 0))
                put(named, key, entry_of(value, named.place))
                try:
                    with_table(named, api.read_table)
                except InputError as error:
                    for problem in error.problems:
                        if problem.line:  # of the table itself
                            self.problems.append(problem)
                        else:
                            self.complain(place, key, problem.message)
        return len(self.problems) == before

    def with_set(self, base: Tree) -> tuple[Tree, dict[str, Position]]:
        """The base with `set` on top, and where each key of `set` stands."""
        entry = self.tree.entries.get("set")
        if entry is None:
            return base, {}
        if not isinstance(entry.value, Mapping):
            self.complain(entry.place, "set", "must be a mapping of keys to values")
            return base, {}
        over, fixed = Tree(entry.place), {}
        if "dram.standard" in entry.value:
            put(over, "dram.standard", entry.value["dram.standard"])
            self.know_table(over)
        for key, inner in entry.value.items():
            message = unknown(key)
            if message:
                self.complain(inner.place, key, message)
                continue
            fixed[key] = inner.place
            put(over, key, inner)
        return Tree(base.place, merge(base.entries, over.entries)), fixed

    def check_values(self, base: Base, axes: AxesReader, first: Mapping[str, Any]) -> None:
        """What the schema says of the base, and of each value of an axis by itself."""
        if not self.knows_tables(axes):
            return
        values, names = base.values(first), api.known_names()
        for key, message in (*value_problems(values, names), *self.broken(values, axes.seen)):
            if not _concerns(key, axes.seen):
                place = locate(base.tree, key)
                self.complain(place, key, message)
        if not _concerns("workload.trace", axes.seen):
            self.problems += base.trace_problems(first)
        for key, value, place in axes.checks:
            if key == "workload.trace":
                for problem in base.trace_problems({**first, key: value}):
                    self.complain(place, key, problem.message)
            found = value_problems(base.values({**first, key: value}), names)
            for wrong, message in dict.fromkeys(found):
                if _concerns(wrong, (key,)):
                    self.complain(place, wrong, message)

    def broken(self, values: Mapping[str, Any], varied: Mapping[str, Position]) -> Iterator[tuple[str, str]]:
        """Rules between keys of which none varies, and which are broken: no point can mend them."""
        kind = class_of(values)
        flat = dict(flat_values(values, kind))
        for rule in (*RULES, *kind.RULES):
            given = rule.given(flat)
            if given is not None and not any(_concerns(key, varied) for key in (*rule.keys, *rule.others)):
                try:
                    holds = rule.holds(*given)
                except (TypeError, ArithmeticError):  # a value of the wrong kind or size, reported for itself
                    continue
                if not holds:
                    yield rule.keys[0], rule.complaint(given)
        if not any(_concerns(f"workload.{source}", varied) for source in WORKLOAD_SOURCES):
            workload = values.get("workload")
            given = [key for key, value in workload.items() if value is not None] if isinstance(workload, dict) else []
            yield from workload_source(given, set(), needed=True)

    # -- the points -------------------------------------------------------------------

    def points(self, axes: AxesReader) -> tuple[list[PointTable], Search | None]:
        """The tables of `axes`, or the search."""
        entries = self.tree.entries
        if "axes" in entries and "search" in entries:
            self.complain(entries["search"].place, "search", "a sweep has axes or a search, not both")
        if "search" in entries:
            return [], self.search(entries["search"], axes)
        section = entries.get("axes")
        if section is None or not isinstance(section.value, Mapping) or not section.value:
            self.complain(self.place("axes"), "axes", "is needed: a mapping of keys to lists of values")
            return [], None
        return axes.tables(section.value), None

    def search(self, entry: Entry, axes: AxesReader) -> Search | None:
        """The search that a section describes; None after a complaint."""
        given = entry.value if isinstance(entry.value, Mapping) else {}
        for name in given:
            if name not in _SEARCH:
                self.complain(given[name].place, f"search.{name}", f"unknown key{did_you_mean(name, _SEARCH)}")
        trials = axes.count(given, "trials", "search", entry.place, 1, 1_000_000)
        seed = axes.count(given, "seed", "search", entry.place, 0, 2**32 - 1)
        batch = axes.count(given, "batch", "search", entry.place, 1, 10_000, default=8)
        sampler = given["sampler"].value if "sampler" in given else SAMPLERS[0]
        if sampler not in SAMPLERS:
            hint = did_you_mean(str(sampler), SAMPLERS)
            self.complain(given["sampler"].place, "search.sampler", f"must be {', '.join(SAMPLERS)}{hint}")
        domains = axes.domains(given.get("axes"), "search.axes", entry.place, draws=True)
        if trials is None or seed is None or batch is None or not domains:
            return None
        return Search(trials, seed, batch, str(sampler), domains)

    # -- constraints and objectives ---------------------------------------------------

    def expressions(self) -> list[Expression]:
        """The constraints that can be read."""
        section = self.tree.entries.get("constraints")
        if section is None:
            return []
        if not isinstance(section.value, tuple):
            self.complain(section.place, "constraints", "must be a list of expressions")
            return []
        axes = self.tree.entries.get("axes")
        for name in axes.value if axes is not None and isinstance(axes.value, Mapping) else ():
            if name in ALONE:
                self.complain(section.place, "constraints", f"would drop points that {name} needs")
        found = [self.expression(f"constraints.{i}", item) for i, item in enumerate(section.value)]
        return [expression for expression in found if expression is not None]

    def expression(self, path: str, item: Entry) -> Expression | None:
        if not isinstance(item.value, str):
            self.complain(item.place, path, "must be an expression over key paths")
            return None
        try:
            return parse(item.value, kind_of_operand, choices)
        except ExpressionError as error:
            place, message = self.inside(item, error.column), error.message
            if place is None:
                place, message = item.place, f"{message} (character {error.column})"
            self.complain(place, path, message)
            return None

    def inside(self, item: Entry, column: int) -> Position | None:
        """The place of a character of a text; None if the file has it folded or escaped."""
        lines, place = self.text.split("\n"), item.place
        if not self.path or place.line > len(lines):
            return None
        at = place.column - 1 + (lines[place.line - 1][place.column - 1 : place.column] in ("'", '"'))
        whole = lines[place.line - 1][at:].startswith(str(item.value))
        return Position(place.file, place.line, at + column) if whole else None

    def accuracy(self, axes: AxesReader) -> Accuracy | None:
        """The model that runs at every point, and its text; None if there is none, or after a complaint."""
        entry, fixed = self.tree.entries.get("accuracy"), self.tree.entries.get("set")
        if entry is None:
            return None
        given = fixed.value if fixed is not None and isinstance(fixed.value, Mapping) else {}
        check_keys([(key, inner, inner.place) for key, inner in given.items()] + axes.checks, self.complain)
        try:
            return read_section(entry, os.path.dirname(self.path), self.complain)
        except InputError as error:
            self.problems += error.problems
            return None

    def objectives(self, base: Tree, axes: AxesReader) -> list[Objective]:
        """The objectives: a name, or {maximise: name}."""
        section = self.tree.entries.get("objectives")
        if section is None:
            return []
        if not isinstance(section.value, tuple):
            self.complain(section.place, "objectives", "must be a list of figures")
            return []
        found: list[Objective] = []
        for i, item in enumerate(section.value):
            objective = self.objective(f"objectives.{i}", item, base, axes)
            if objective and objective.name in [other.name for other in found]:
                self.complain(item.place, f"objectives.{i}", f"duplicate objective {objective.name}")
            elif objective:
                found.append(objective)
        return found

    def objective(self, path: str, item: Entry, base: Tree, axes: AxesReader) -> Objective | None:
        name = item.value
        direction = DIRECTIONS[name in RISING] if isinstance(name, str) else DIRECTIONS[0]
        if isinstance(name, Mapping) and len(name) == 1:
            direction, inner = next(iter(name.items()))
            name = inner.value
        if not isinstance(name, str) or direction not in DIRECTIONS:
            hint = did_you_mean(direction, DIRECTIONS)
            self.complain(item.place, path, f"must be a figure, or {{maximise: figure}} or {{minimise: figure}}{hint}")
            return None
        baselines = _baselines(base)
        for key, value, place in axes.checks:
            if key == "baselines":
                baselines += _baselines(Tree(place, {key: entry_of(value, place)}))
        message = unknown_objective(name, baselines, "accuracy" in self.tree.entries)
        if message:
            self.complain(item.place, path, f"{name}: {message}")
            return None
        return Objective(name, direction == "maximise")


def _baselines(tree: Tree) -> list[str]:
    """The names that results show: of a file its own."""
    files, given = baseline_files(tree), plain(tree.entries).get("baselines")
    return [name_of(files.get(str(name), str(name))) for name in given] if isinstance(given, list | tuple) else []


def _concerns(key: str, varied: Any) -> bool:
    """Whether a key is one of `varied`, a part of one, or around one."""
    return any(key == other or key.startswith(f"{other}.") or other.startswith(f"{key}.") for other in varied)
