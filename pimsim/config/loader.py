"""Configuration files: reading, `extends`, overrides, and where each value came from."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic import BaseModel

from pimsim import files, kinds
from pimsim.config.nodes import parse_value, parse_with_problems
from pimsim.config.rules import Names
from pimsim.config.schema import REASON, AnyConfig, Config
from pimsim.config.shipped import SUFFIXES, TRACES, find, hint, located
from pimsim.config.tree import Entry, Position, Tree, entry_of, leaves, locate, merge, plain
from pimsim.config.validate import flatten, keys, subsection, validate
from pimsim.config.written import Written
from pimsim.errors import InputError, Problem
from pimsim.text import not_text

Overrides = Mapping[str, Any] | Sequence[str]
# What the schedule of a trace says of the workload (None: a key that is left to its default), and in which line;
# from the file, and the keys of the workload that may win over it.
Scheduled = Callable[[str, Mapping[str, Any]], tuple[Mapping[str, int | None], int]]
# The standard that a table file describes, by its path.
ReadTable = Callable[[str], str]
# Reads the energy table in a file, to see whether anything is wrong with it.
ReadEnergy = Callable[[str], object]
DEFAULT = "default"
_DEPTH = 20  # parts of a dotted key; the schema has four
_LONGEST_CHAIN = 20  # files that extend each other


@dataclass(frozen=True)
class Origin:
    """Where a value came from, and how well it is known.

    file   a file, "--set", "overrides" or "default"; line counts from 1, 0 for a default
    label  of the value's `# source:` comment, "default" for a default, None without one
    before what the value was in the file that is extended or overridden, None if it was not given there
    home   who registered what the value names: a package with its version, or a file; "" for what is shipped
    written what stands there, if it is a file that says what the value is
    """

    file: str
    line: int
    label: str | None = None
    reason: str = ""
    before: str | None = None
    home: str = ""
    written: str = ""

    @property
    def place(self) -> str:
        """Home, file and line, without folders, which differ between machines."""
        name = os.path.basename(self.file)
        return (f"{self.home}, " if self.home else "") + (f"{name}:{self.line}" if self.line else name)


@dataclass(frozen=True)
class Loaded:
    """A valid configuration, with the origin of each of its values by dotted key."""

    config: AnyConfig
    provenance: Mapping[str, Origin]
    tree: Tree

    def locate(self, path: str) -> tuple[str, int, int]:
        """File, line and column of a key, or of the nearest mapping around a key that is not given."""
        return _place(self.tree, path)


def load_config(
    path: str | os.PathLike[str],
    overrides: Overrides | None = None,
    names: Names | None = None,
    scheduled: Scheduled | None = None,
    table: ReadTable | None = None,
    energy: ReadEnergy | None = None,
) -> AnyConfig:
    """As `load`, the configuration alone."""
    return load(path, overrides, names, scheduled, table, energy).config


def load(
    path: str | os.PathLike[str],
    overrides: Overrides | None = None,
    names: Names | None = None,
    scheduled: Scheduled | None = None,
    table: ReadTable | None = None,
    energy: ReadEnergy | None = None,
) -> Loaded:
    """The configuration in the file `path`, or the shipped one of that name, with `overrides` on top.

    overrides  {"dram.channels": 4} or ["dram.channels=4"], the values of the latter in YAML
    names      names that exist by key, say {"workload.model": [...], "baselines": [...]};
               keys without a collection are not checked
    scheduled  reads what a trace says of the workload, for keys that are not given
    table      reads the table that `dram.standard` names if it is a file
    energy     reads the energy table if it is a file
    InputError has every problem that was found, each with file, line, column and key.
    """
    over = override_tree(overrides or {})
    try:
        main = find(os.fspath(path))
    except InputError as error:
        raise InputError([*error.problems, *over.problems]) from None
    with kinds.expecting(kinds.CONFIGURATION, main):
        return _load(main, over, names, scheduled, table, energy)


def _load(
    main: str,
    over: Tree,
    names: Names | None,
    scheduled: Scheduled | None,
    table: ReadTable | None,
    energy: ReadEnergy | None,
) -> Loaded:
    try:
        given = _stack(_read_chain(main, ()), over)
    except InputError as error:
        raise InputError(_in_order([*error.problems, *over.problems], main)) from None
    return _loaded(given, names, scheduled, table, energy)


def change(
    config: AnyConfig,
    changes: Overrides,
    more: Mapping[str, Any],
    names: Names | None = None,
    scheduled: Scheduled | None = None,
    table: ReadTable | None = None,
    energy: ReadEnergy | None = None,
) -> Loaded:
    """A configuration with changes on top, as if they had been overrides when it was loaded; as `load`.

    more  changes by keys at the top, on top of the others
    """
    over = override_tree(changes)
    also = override_tree(more, start=1 if isinstance(changes, str) else len(changes))
    over = Tree(over.place, merge(over.entries, also.entries, inherited=False), over.problems + also.problems)
    return _loaded(_stack(written(config).given, over), names, scheduled, table, energy)


def written(config: AnyConfig) -> Written:
    """How a configuration was written, with the values that were set in Python since."""
    return config.written.with_values(flatten(config, given=True))


def _loaded(
    given: Tree,
    names: Names | None,
    scheduled: Scheduled | None,
    table: ReadTable | None,
    energy: ReadEnergy | None,
) -> Loaded:
    """The configuration that a tree describes."""
    main = given.place.file
    try:
        tree = with_table(given, table) if table else given
    except InputError as error:
        raise InputError(_in_order(error.problems, main)) from None
    problems, config = tree.problems, None
    trace = trace_file(tree)
    if trace and scheduled:
        tree, found = complete(tree, trace, scheduled)
        problems = [*problems, *found]
    if energy:
        problems = [*problems, *_energy_problems(tree, energy)]
    try:
        config = validate(plain(tree.entries), names or {})
    except InputError as error:
        problems = [*problems, *error.located(lambda key: _place(tree, key)).problems]
    if problems or config is None:
        raise InputError(_in_order(problems, main))
    if trace and isinstance(config, Config):
        config.workload.found_at(trace)
    if isinstance(config, Config):
        config.found_at(baseline_files(tree))
        config.energy.found_at(energy_file(tree))
    config.written_as(Written(given, tree, flatten(config, given=True)))
    return Loaded(config, provenance(config, tree), tree)


def _place(tree: Tree, key: str) -> tuple[str, int, int]:
    place = locate(tree, key)
    return place.file, place.line, place.column


def _stack(base: Tree, over: Tree) -> Tree:
    return Tree(base.place, merge(base.entries, over.entries), base.problems + over.problems)


def _in_order(problems: Sequence[Problem], path: str) -> list[Problem]:
    """The main file's problems first, then those of each other file, in the order of lines."""
    return sorted(problems, key=lambda problem: (problem.file != path, problem))


# -- files ----------------------------------------------------------------------------


def read_tree(path: str) -> Tree:
    """The tree of a file and of those that it extends, not validated, with the problems of its keys."""
    return _read_chain(path, ())


def _read_chain(path: str, inherited_by: tuple[str, ...]) -> Tree:
    """The tree of a file, on top of the files that it extends."""
    tree = parse_with_problems(read_text(path), path)
    extends = tree.entries.pop("extends", None)
    if extends is None:
        return tree
    chain = (*inherited_by, os.path.realpath(path))
    if len(chain) > _LONGEST_CHAIN:
        place = extends.place
        message = f"file number {len(chain) + 1} of files that extend each other, too many"
        raise InputError(Problem(place.file, place.line, place.column, "extends", message))
    target = _extends_target(extends, path, chain)
    try:
        base = _read_chain(target, chain)
    except InputError as error:
        raise InputError(_unreadable(problem, extends, target) for problem in error.problems) from None
    return replace(_stack(base, tree), place=tree.place)


def _extends_target(extends: Entry, path: str, chain: tuple[str, ...]) -> str:
    place = extends.place
    if not isinstance(extends.value, str) or not extends.value or "\0" in extends.value:
        raise InputError(Problem(place.file, place.line, place.column, "extends", "must be the name of one file"))
    try:
        target = find(extends.value, os.path.dirname(path))
    except InputError as error:
        (missing,) = error.problems
        raise InputError(_unreadable(missing, extends, missing.file)) from None
    if other := kinds.misplaced(kinds.CONFIGURATION, target):
        raise InputError(Problem(place.file, place.line, place.column, "extends", f"{target} {other.message}"))
    if os.path.realpath(target) in chain:
        message = f"{extends.value} extends this file: a cycle"
        raise InputError(Problem(place.file, place.line, place.column, "extends", message))
    return target


def _unreadable(problem: Problem, extends: Entry, target: str) -> Problem:
    """A file that cannot be read is the fault of the line that names it."""
    if problem.file != target or not problem.message.startswith(_CANNOT_READ):
        return problem
    place = extends.place
    message = f"{extends.value}: {problem.message}"
    return Problem(place.file, place.line, place.column, "extends", message)


_CANNOT_READ = f"{files.CANNOT_READ}: "
LARGEST = 1 << 20  # bytes of a YAML file; the largest that is shipped has a fiftieth


def read_text(path: str) -> str:
    """The text of a UTF-8 file; InputError if there is none."""
    return files.read_text(path, LARGEST)


# -- overrides ------------------------------------------------------------------------


def override_tree(overrides: Overrides, start: int = 0) -> Tree:
    """Overrides as a tree whose lines are the numbers of the overrides, after `start` others; a later one wins."""
    if wrong := _not_text(overrides):
        raise InputError(f"{wrong[0]!r}: must be text, a dotted key or KEY=VALUE", key="overrides")
    if isinstance(overrides, Mapping):
        tree = Tree(Position("overrides", 1, 1))
        for number, (key, value) in enumerate(overrides.items(), start + 1):
            put(tree, key, entry_of(value, Position("overrides", number, 1)))
        return tree
    tree = Tree(Position("--set", 1, 1))
    for number, option in enumerate([overrides] if isinstance(overrides, str) else overrides, 1):
        _parse_option(tree, option, Position("--set", number, 1))
    return tree


def _not_text(overrides: Overrides) -> list[Any]:
    """Keys, or options, that are none."""
    if not isinstance(overrides, Collection):  # what is read twice
        return [overrides]
    return [each for each in overrides if not isinstance(each, str)]


def _parse_option(tree: Tree, option: str, place: Position) -> None:
    key, equals, text = (part.strip() for part in option.partition("="))
    if not equals or not key:
        message = f"must be KEY=VALUE, not {option!r}"
        tree.problems.append(Problem(place.file, place.line, place.column, "", message))
        return
    try:
        entry, problems = parse_value(text, place.file, key)
        put(tree, key, _moved(entry, place))
    except InputError as error:
        problems = list(error.problems)
    tree.problems += (replace(problem, line=place.line, column=1, key=problem.key or key) for problem in problems)


def put(tree: Tree, key: str, entry: Entry) -> None:
    """Set the dotted key in a tree; a later one wins."""
    path = key.split(".")
    if len(path) > _DEPTH:
        place = entry.place
        tree.problems.append(Problem(place.file, place.line, 1, f"{key[:60]}...", "unknown key"))
        return
    for part in reversed(path[1:]):
        entry = Entry(entry.place, {part: entry})
    tree.entries = merge(tree.entries, {path[0]: entry}, inherited=False)


def _moved(entry: Entry, place: Position) -> Entry:
    """The same value, every part of it where the option stands."""
    value = entry.value
    if isinstance(value, Mapping):
        return Entry(place, {key: _moved(inner, place) for key, inner in value.items()})
    if isinstance(value, tuple):
        return Entry(place, tuple(_moved(inner, place) for inner in value))
    return Entry(place, value)


# -- a table of its own -----------------------------------------------------------------


def table_file(tree: Tree) -> str:
    """The table that `dram.standard` names if it is a file, as `trace_file`; "" if it is a name."""
    entry = _standard(tree)
    if entry is None or not isinstance(entry.value, str) or not_text(entry.value):
        return ""
    return _beside(entry.place.file, entry.value) if entry.value.endswith(SUFFIXES) else ""


def with_table(tree: Tree, read: ReadTable) -> Tree:
    """The tree with the name of a table in the place of its file; InputError with all that is wrong with that."""
    path, entry = table_file(tree), _standard(tree)
    if not path or entry is None:
        return tree
    try:
        name = read(path)
    except InputError as error:
        raise InputError(
            [*tree.problems, *(_not_a_table(problem, entry, path) for problem in error.problems)]
        ) from None
    named = Tree(tree.place)
    put(named, "dram.standard", replace(entry, value=name, written=str(entry.value)))
    return Tree(tree.place, merge(tree.entries, named.entries, inherited=False), tree.problems)


def _standard(tree: Tree) -> Entry | None:
    dram = tree.entries.get("dram")
    return dram.value.get("standard") if dram and isinstance(dram.value, Mapping) else None


def _not_a_table(problem: Problem, entry: Entry, path: str, key: str = "dram.standard") -> Problem:
    """A table that cannot be read is the fault of the line that names it."""
    if problem.file != path or not problem.message.startswith(_CANNOT_READ):
        return problem
    place = entry.place
    return Problem(place.file, place.line, place.column, key, f"{entry.value}: {problem.message}")


def energy_file(tree: Tree) -> str:
    """The energy table of a configuration if it is a file, as `trace_file`; "" if it is a name."""
    entry = _energy(tree)
    if entry is None or not isinstance(entry.value, str) or not_text(entry.value):
        return ""
    return _beside(entry.place.file, entry.value) if entry.value.endswith(SUFFIXES) else ""


def _energy_problems(tree: Tree, read: ReadEnergy) -> list[Problem]:
    """What is wrong with the energy table that a configuration names, if it is a file."""
    path, entry = energy_file(tree), _energy(tree)
    if not path or entry is None:
        return []
    try:
        read(path)
    except InputError as error:
        return [_not_a_table(problem, entry, path, "energy.table") for problem in error.problems]
    return []


def _energy(tree: Tree) -> Entry | None:
    energy = tree.entries.get("energy")
    return energy.value.get("table") if energy and isinstance(energy.value, Mapping) else None


# -- what a trace says -----------------------------------------------------------------


def trace_file(tree: Tree) -> str:
    """The trace of a configuration, from where this process stands: it is relative to the file that names it.

    A name that is no file there may be that of a shipped one.
    """
    workload = tree.entries.get("workload")
    entry = workload.value.get("trace") if workload and isinstance(workload.value, Mapping) else None
    if entry is None or not isinstance(entry.value, str) or not entry.value or not_text(entry.value):
        return ""
    return os.path.normpath(located(entry.value, os.path.dirname(entry.place.file), TRACES))


BASELINE_SUFFIXES = (".yaml", ".yml")  # of baselines that are files; all others are names of shipped ones


def baseline_files(tree: Tree) -> dict[str, str]:
    """Where the machines of a configuration are if they are files, as `trace_file`, by what was written."""
    entry, beside = tree.entries.get("baselines"), tree.entries.get("placement")
    items = list(entry.value) if entry is not None and isinstance(entry.value, tuple) else []
    items += beside.value.values() if beside is not None and isinstance(beside.value, Mapping) else ()
    named = {item.value: item.place.file for item in items if isinstance(item.value, str) and not not_text(item.value)}
    return {name: _beside(file, name) for name, file in named.items() if name.endswith(BASELINE_SUFFIXES)}


def _beside(file: str, path: str) -> str:
    return os.path.normpath(os.path.join(os.path.dirname(file), path))


def complete(tree: Tree, trace: str, scheduled: Scheduled) -> tuple[Tree, list[Problem]]:
    """The tree with what the trace's schedule says, and what is wrong with the trace.

    Keys that stand beside the trace, or were given after it, may win over the schedule; those of earlier
    layers never do.  Of a trace that is wrong the keys are made up, so that they are not reported missing as well.
    """
    workload = tree.entries["workload"]
    assert isinstance(workload.value, Mapping)
    given = {key: plain(entry.value) for key, entry in workload.value.items() if not entry.beneath}
    known: Mapping[str, int | None]
    problems: list[Problem] = []
    try:
        known, line = scheduled(trace, given)
    except InputError as error:
        query = given.get("query_tokens")  # which divides whatever would have been there
        known, line = {"output_tokens": query if type(query) is int and query > 0 else 1, "query_tokens": None}, 1
        problems = [_not_a_trace(problem, workload.value, trace) for problem in error.problems]
    entries = dict(workload.value)
    for key, value in known.items():
        inherited = entries.pop(key, None) if key not in given else None
        if key not in given and value is not None:
            entries[key] = Entry(Position(trace, line, 1), value, before=inherited)
    entry = replace(workload, value=entries)
    return Tree(tree.place, {**tree.entries, "workload": entry}, tree.problems), problems


def _not_a_trace(problem: Problem, workload: Mapping[str, Entry], trace: str) -> Problem:
    """A trace that cannot be read is the fault of the line that names it, as a key is of its own."""
    if problem.file and not (problem.file == trace and problem.message.startswith(_CANNOT_READ)):
        return problem
    key = problem.key or "workload.trace"
    place = workload.get(key.removeprefix("workload."), workload["trace"]).place
    message = (
        f"{problem.message}: {trace}{hint(str(workload['trace'].value), TRACES)}" if problem.file else problem.message
    )
    return Problem(place.file, place.line, place.column, key, message)


# -- provenance -----------------------------------------------------------------------


def provenance(config: AnyConfig, tree: Tree) -> dict[str, Origin]:
    """Where each value of a configuration is from, by dotted key."""
    given = {
        path: Origin(
            entry.place.file,
            entry.place.line,
            entry.label,
            entry.reason,
            None if entry.before is None else as_text(plain(entry.before.value)),
            written=entry.written,
        )
        for path, entry in leaves(tree.entries)
    }
    reasons = default_reasons(type(config))
    return {path: given.get(path) or Origin(DEFAULT, 0, DEFAULT, reasons.get(path, "")) for path in _paths(config)}


def _paths(config: AnyConfig) -> Iterator[str]:
    """Every dotted key, also of a mapping whose keys are names."""
    for path, value in flatten(config).items():
        yield from (f"{path}.{name}" for name in value) if isinstance(value, dict) and value else (path,)


def as_text(value: Any) -> str:
    """A plain value as YAML shows it on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {as_text(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(as_text, value)) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def default_reasons(section: type[BaseModel], path: str = "") -> dict[str, str]:
    """Why each key that has a default has that one."""
    reasons: dict[str, str] = {}
    for key, name in keys(section).items():
        extra, inner = section.model_fields[name].json_schema_extra, subsection(section, name)
        if isinstance(extra, dict):
            reasons[f"{path}{key}"] = str(extra[REASON])
        if inner is not None:
            reasons.update(default_reasons(inner, f"{path}{key}."))
    return reasons
