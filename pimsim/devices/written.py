"""Tables in YAML: another one's with some rows changed.

A row says all that binds its pairs of commands at its level: what the other table has for the same
pairs there is replaced.  A row with a window counts all its preceding commands together, so it
replaces only what counts the same ones.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from hashlib import sha256
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationError, WithJsonSchema, create_model
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from pimsim.config.devices import CONFIGS
from pimsim.config.loader import read_text
from pimsim.config.nodes import parse_with_problems
from pimsim.config.schema import AnyConfig, LongTimeOrNone, Section, default
from pimsim.config.tree import Tree, locate, plain
from pimsim.config.validate import subsection
from pimsim.devices.check import describe, levels, problems, timing_class
from pimsim.devices.device import Hardware
from pimsim.devices.registry import HARDWARE
from pimsim.dram.spec import Standard, TimingConstraint
from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.kinds import TABLE, expecting
from pimsim.labels import LABELS
from pimsim.registry import not_loaded

NAME = r"[A-Za-z0-9][A-Za-z0-9_-]*"


def _texts(value: Any) -> Any:
    """One name as a list of it."""
    return (value,) if isinstance(value, str) else value


def _expression(value: Any) -> Any:
    """A number of clocks is an expression as well."""
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


_NAMES = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
Commands = Annotated[tuple[str, ...], BeforeValidator(_texts), Field(min_length=1), WithJsonSchema(_NAMES)]
Expression = Annotated[
    str, BeforeValidator(_expression), Field(min_length=1), WithJsonSchema({"type": ["string", "integer"]})
]
Nanoseconds = Annotated[Decimal, Field(ge=0, le=10_000, max_digits=15), WithJsonSchema({"type": "number"})]
Source = Annotated[str, Field(min_length=1, description="LABEL: reason; LABEL as in `# source:` of a configuration.")]


class Pairs(Section):
    """Pairs of commands, and where two commands must meet to be one."""

    level: str = Field(description="What both commands share: channel, bank_group, bank, or another of the table's.")
    preceding: Commands = Field(description="Commands, any of which comes first.")
    following: Commands = Field(description="Commands, any of which comes after it.")
    window: int = Field(1, ge=1, description="Counts back: with 4 the fourth most recent preceding command binds.")


class Row(Pairs):
    """A timing constraint."""

    latency: Expression = Field(description="Clocks from the one to the other: an expression of nXXX, + - * max min.")
    source: Source


class Time(Section):
    """A new time of `dram.timing`."""

    description: str = Field(min_length=1, description="What it is; the documentation of the key.")
    value: Nanoseconds | None = Field(None, description="ns; without one a configuration must give it.")
    source: Source | None = Field(None, description="Of the value.")


class Cause(Section):
    """To what the clocks between two consecutive commands are charged."""

    preceding: str = Field(description="A command, or *.")
    following: str = Field(description="A command, or *.")
    cause: str = Field(description="As in latency_breakdown_ns.")


class TableFile(Section):
    """A file of rows that change another table."""

    schema_: Literal["pimsim.table/1"] = Field(alias="schema", description="Version of this format.")
    name: str = Field(pattern=f"^{NAME}$", description="What `dram.standard` calls it.")
    extends: str = Field(min_length=1, description="The standard whose table is changed.")
    description: str = Field("", description="What it is.")
    timing: dict[str, Time] = Field({}, description="Times that configurations have besides, tXXX_ns.")
    derived: dict[str, Expression] = Field({}, description="Names in clocks, nXXX, that follow from others.")
    constraints: tuple[Row, ...] = Field((), description="Rows that are added, or replace those of the same pairs.")
    remove: tuple[Pairs, ...] = Field((), description="Pairs that nothing binds any more.")
    causes: tuple[Cause, ...] = Field((), description="Rows that come before those that are there.")


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a table file."""
    return TableFile.model_json_schema(by_alias=True)


@dataclass(frozen=True)
class Written:
    """What a file says: hardware, the class of its configurations, and a digest of the whole table."""

    hardware: Hardware
    kind: type[AnyConfig]
    digest: str


def load_table(path: str | os.PathLike[str], prices: Sequence[str], causes: Sequence[str]) -> Written:
    """The table in a file; InputError with everything that is wrong with it, each with its place.

    prices, causes: as `check.problems`
    """
    with expecting(TABLE, path):
        return _Reader(os.fspath(path)).read(prices, causes)


def digest(table: Standard, times: Mapping[str, Time] | None = None) -> str:
    """What tells a table, with times that its configurations have, from any other."""
    return sha256(repr((table, times or {})).encode()).hexdigest()


@dataclass
class _Reader:
    """One file, and what is wrong with it so far."""

    path: str
    tree: Tree = field(init=False)
    found: list[Problem] = field(default_factory=list)

    def read(self, prices: Sequence[str], causes: Sequence[str]) -> Written:
        self.tree = parse_with_problems(read_text(self.path), self.path)
        self.found += self.tree.problems
        file = self.validated()
        if file is not None:
            parent = self.parent(file)
            self.check(file, parent)
        if self.found or file is None or parent is None:
            raise InputError(sorted(self.found))
        hardware = replace(parent, table=_changed(parent.table, file))
        tells, known = digest(hardware.table, file.timing), HARDWARE.origin(file.name)
        if (
            known is not None and known.digest == tells
        ):  # read before: the same class, so that nothing is registered anew
            return Written(HARDWARE[file.name], CONFIGS[file.name], tells)
        kind = _derived_class(file, CONFIGS[file.extends])
        inherited = set(problems(parent, CONFIGS[file.extends], prices, causes))
        for message in problems(hardware, kind, prices, causes):
            if message not in inherited and not self.is_of_parent(message, file):
                self.complain(self.place_of(message, file), message)
        if self.found:
            raise InputError(sorted(self.found))
        return Written(hardware, kind, tells)

    def complain(self, key: str, message: str) -> None:
        place = locate(self.tree, key)
        self.found.append(Problem(place.file, place.line, place.column, key, message))

    def validated(self) -> TableFile | None:
        try:
            return TableFile.model_validate(plain(self.tree.entries))
        except ValidationError as error:
            for details in error.errors(include_url=False):
                self.complain(".".join(str(part) for part in details["loc"]), _message(details))
        return None

    def parent(self, file: TableFile) -> Hardware | None:
        if file.name in HARDWARE.shipped:
            self.complain("name", f"{file.name!r} is the name of a shipped standard")
        if file.extends in HARDWARE:
            return HARDWARE[file.extends]
        hint = did_you_mean(file.extends, HARDWARE) or f"; standards: {', '.join(HARDWARE)}"
        self.complain("extends", f"unknown standard {file.extends!r}{hint}{not_loaded()}")
        return None

    def check(self, file: TableFile, parent: Hardware | None) -> None:
        """What the file says by itself, and of the table that it changes."""
        for number, row in enumerate(file.constraints):
            self.source(f"constraints.{number}.source", row.source)
        for key, time in file.timing.items():
            self.time(key, time, CONFIGS[file.extends] if parent else None)
        for name in file.derived:
            if not (name.startswith("n") and len(name) > 1 and name.isidentifier()):
                self.complain(f"derived.{name}", "a name in clocks is nXXX")
        if parent is None:
            return
        for section in ("constraints", "remove"):
            for number, pairs in enumerate(getattr(file, section)):
                self.level(f"{section}.{number}.level", pairs.level, levels(parent.table))
        known = [command.name for command in parent.table.commands]
        for key, names in _commands(file):
            for number, name in enumerate(names):
                if name not in known:
                    self.complain(f"{key}.{number}", f"unknown command {name!r}{did_you_mean(name, known)}")
        for number, pairs in enumerate(file.remove):
            missing = [pair for pair in _pairs(pairs) if pair not in set(_bound(parent.table.constraints, pairs))]
            if missing:
                what = ", ".join(f"{before} -> {after}" for before, after in missing[:4])
                self.complain(f"remove.{number}", f"no row of {file.extends} binds {what} {_where(pairs)}")

    def level(self, key: str, name: str, known: Sequence[str]) -> None:
        if name not in known:
            hint = did_you_mean(name, known) or f"; levels: {', '.join(known)}"
            self.complain(key, f"unknown level {name!r}{hint}")

    def source(self, key: str, text: str) -> None:
        label, colon, reason = (part.strip() for part in text.partition(":"))
        if label not in LABELS:
            hint = did_you_mean(label, LABELS) or f"; labels: {', '.join(LABELS)}"
            self.complain(key, f"unknown source label {label!r}{hint}")
        elif not reason:
            self.complain(key, f"must be LABEL: reason, not {text!r}")

    def time(self, key: str, time: Time, kind: type[AnyConfig] | None) -> None:
        timing = timing_class(kind) if kind else None
        if not (key.startswith("t") and key.endswith("_ns") and len(key) > 4 and key.isidentifier()):
            self.complain(f"timing.{key}", "a time is tXXX_ns")
        elif timing is not None and key in timing.model_fields:
            self.complain(f"timing.{key}", "is a key of the standard already: a configuration gives its value")
        if time.value is not None and time.source is None:
            self.complain(f"timing.{key}", "has a value and no source")
        if time.source is not None:
            self.source(f"timing.{key}.source", time.source)

    def is_of_parent(self, message: str, file: TableFile) -> bool:
        """A time that only a removed row used: configurations of the other table give it, and may go on."""
        name = message.partition(" is used by no row")[0].removeprefix("dram.timing.")
        return " is used by no row" in message and name not in file.timing

    def place_of(self, message: str, file: TableFile) -> str:
        """The key that a message of `check.problems` is about."""
        for number, row in enumerate(file.constraints):
            if message.startswith(describe(row.level, row.preceding, row.following, row.window)):
                return f"constraints.{number}.latency"
        for name in file.derived:
            if message.startswith(f"derived {name}:"):
                return f"derived.{name}"
        for key in file.timing:
            if message.startswith(f"dram.timing.{key} "):
                return f"timing.{key}"
        for number, cause in enumerate(file.causes):
            if message.startswith(f"causes ({cause.preceding}, {cause.following})"):
                return f"causes.{number}"
        return "name"


def _message(details: ErrorDetails) -> str:
    kind, given = details["type"], details["input"]
    if kind == "missing":
        return "required key is missing"
    if kind == "extra_forbidden":
        wrong = str(details["loc"][-1])
        return f"unknown key{did_you_mean(wrong, [key for key in _KEYS if key != wrong])}"
    shown = "a mapping" if isinstance(given, Mapping) else "a list" if isinstance(given, tuple) else repr(given)
    if kind == "literal_error":
        return f"must be {details['ctx']['expected']}, not {shown}"
    message = details["msg"]
    return f"{message[0].lower()}{message[1:]}, not {shown}"


_KEYS = sorted(
    {
        info.alias or name
        for section in (TableFile, Row, Time, Cause)
        for name, info in section.model_fields.items()
    }
)  # fmt: skip


# -- the changed table ------------------------------------------------------------------


Pair = tuple[str, str]


def _commands(file: TableFile) -> Iterator[tuple[str, Sequence[str]]]:
    """(key, names) of every list of commands in a file; of causes, those that are no star."""
    for section in ("constraints", "remove"):
        for number, row in enumerate(getattr(file, section)):
            yield f"{section}.{number}.preceding", row.preceding
            yield f"{section}.{number}.following", row.following


def _pairs(row: Pairs | TimingConstraint) -> list[Pair]:
    return [(before, after) for before in row.preceding for after in row.following]


def _where(row: Pairs) -> str:
    return f"at level {row.level}" + (f" with window {row.window} over these" if row.window > 1 else "")


def _meets(old: TimingConstraint, row: Pairs) -> bool:
    """Whether a row is of the same level, and counts the same commands if it has a window."""
    if (old.level, old.window) != (row.level, row.window):
        return False
    return row.window == 1 or set(old.preceding) == set(row.preceding)


def _bound(constraints: Sequence[TimingConstraint], row: Pairs) -> Iterator[Pair]:
    """Every pair that constraints of the same kind as `row` bind."""
    for old in constraints:
        if _meets(old, row):
            yield from _pairs(old)


def _changed(table: Standard, file: TableFile) -> Standard:
    """A table with the rows of a file."""
    constraints = table.constraints
    for row in (*file.remove, *file.constraints):
        constraints = tuple(part for old in constraints for part in _without(old, row))
    added = tuple(
        TimingConstraint(row.level, row.preceding, row.following, row.latency, row.window, row.source)
        for row in file.constraints
    )
    causes = tuple((cause.preceding, cause.following, cause.cause) for cause in file.causes)
    return replace(
        table,
        name=file.name,
        constraints=(*constraints, *added),
        causes=(*causes, *table.causes),
        derived={**table.derived, **file.derived},
    )


def _without(old: TimingConstraint, row: Pairs) -> Iterator[TimingConstraint]:
    """A row without the pairs of another: what is left of it, as rows."""
    gone = set(_pairs(row)) if _meets(old, row) else set()
    if not gone & set(_pairs(old)):
        yield old
        return
    left: dict[tuple[str, ...], list[str]] = {}  # commands before, by those that still follow them
    for before in old.preceding:
        following = tuple(after for after in old.following if (before, after) not in gone)
        left.setdefault(following, []).append(before)
    yield from (replace(old, preceding=tuple(p), following=f) for f, p in left.items() if f)


# -- the class of its configurations ------------------------------------------------------


def _derived_class(file: TableFile, parent: type[AnyConfig]) -> type[AnyConfig]:
    """The class of another standard's configurations, for this one and with its times."""
    memory = subsection(parent, "dram")
    timing = timing_class(parent)
    assert memory is not None and timing is not None  # of any standard
    stem = "".join(part.capitalize() for part in file.name.replace("-", "_").split("_"))
    times: dict[str, Any] = {key: (LongTimeOrNone, _field(time)) for key, time in file.timing.items()}
    new_timing = create_model(f"{stem}Timings", __base__=timing, __doc__=timing.__doc__, **times)
    about = memory.model_fields
    standard: Any = Literal[file.name]
    new_memory = create_model(
        f"{stem}Memory",
        __base__=memory,
        __doc__=memory.__doc__,
        standard=(standard, Field(description=about["standard"].description)),
        timing=(new_timing, Field(description=about["timing"].description)),
    )
    dram = Field(description=parent.model_fields["dram"].description)
    return create_model(
        f"{stem}Config", __base__=parent, __doc__=file.description or parent.__doc__, dram=(new_memory, dram)
    )


def _field(time: Time) -> FieldInfo:
    if time.value is None or time.source is None:
        found: FieldInfo = Field(description=f"{time.description.rstrip('.')}, ns.")
        return found
    value = time.value
    made: FieldInfo = default(value, f"{time.description.rstrip('.')}, ns.", f"{value} ({time.source})")
    return made
