"""Kinds of values in a trace: each checks a value and describes itself in JSON Schema."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

from pimsim.errors import did_you_mean
from pimsim.registry import Registry, not_loaded
from pimsim.workload.trace.expr import LONGEST, Expr, ExprError, parse
from pimsim.workload.trace.jsonline import DocumentPath

# Called with the path, the message and how far into a text it is.
Report = Callable[[DocumentPath, str, int], None]
# Called with the path of a key that is not known, and those that are.
Unknown = Callable[[DocumentPath, Iterable[str]], None]

LARGEST = 10**18  # of any number; more is a typing error
_SHOWN = 40  # characters of a wrong value in a message


@dataclass(frozen=True)
class Sink:
    """Where problems and unknown keys go."""

    report: Report
    unknown: Unknown


class Kind:
    """One kind of value."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        """Report everything that is wrong with `value`."""
        raise NotImplementedError

    def schema(self) -> dict[str, Any]:
        """The JSON Schema of such a value."""
        raise NotImplementedError


def _name_of(value: Any) -> str:
    """A wrong value as a message shows it."""
    words = {True: "true", False: "false", None: "null"}
    if value is None or isinstance(value, bool):
        return words[value]
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    text = repr(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


@dataclass(frozen=True)
class Text(Kind):
    """Text of 1 to 200 characters."""

    empty: bool = False
    longest: int = 200

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, str):
            sink.report(path, f"must be text, not {_name_of(value)}", 0)
        elif not (value or self.empty):
            sink.report(path, "must not be empty", 0)
        elif len(value) > self.longest:
            sink.report(path, f"has {len(value)} characters; {self.longest} are allowed", 0)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "minLength": 0 if self.empty else 1, "maxLength": self.longest}


@dataclass(frozen=True)
class Digest(Kind):
    """A SHA-256 in hexadecimal."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, str) or not re.fullmatch("[0-9a-f]{64}", value):
            sink.report(path, f"must be 64 hexadecimal digits, not {_name_of(value)}", 0)

    def schema(self) -> dict[str, Any]:
        return {"type": "string", "pattern": "^[0-9a-f]{64}$"}


@dataclass(frozen=True)
class Choice(Kind):
    """One of several words; `what` says of what, `never` which of them no file has."""

    what: str
    words: Collection[str]
    never: Collection[str] = ()

    @property
    def _known(self) -> Collection[str]:
        return [word for word in self.words if word not in self.never] if self.never else self.words

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, str):
            sink.report(path, f"must be text, not {_name_of(value)}", 0)
        elif value not in self.words or value in self.never:
            hint = did_you_mean(value[:_SHOWN], self._known) or f"; known: {', '.join(self._known)}"
            missing = not_loaded() if isinstance(self.words, Registry) else ""
            sink.report(path, f"unknown {self.what} {_name_of(value)}{hint}{missing}", 0)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self._known)}


@dataclass(frozen=True)
class Count(Kind):
    """An integer of at least `least`."""

    least: int = 0

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            sink.report(path, f"must be an integer, not {_name_of(value)}", 0)
        elif not self.least <= value <= LARGEST:
            limit = f"at least {self.least}" if value < self.least else f"at most {LARGEST}"
            sink.report(path, f"must be {limit}, not {_name_of(value)}", 0)

    def schema(self) -> dict[str, Any]:
        return {"type": "integer", "minimum": self.least, "maximum": LARGEST}


@dataclass(frozen=True)
class Number(Kind):
    """A number from 0 to `most`."""

    most: int = LARGEST

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            sink.report(path, f"must be a number, not {_name_of(value)}", 0)
        elif not 0 <= value <= self.most:
            sink.report(path, f"must be from 0 to {self.most}, not {_name_of(value)}", 0)

    def schema(self) -> dict[str, Any]:
        return {"type": "number", "minimum": 0, "maximum": self.most}


def fraction(value: float) -> Fraction:
    """A checked `Number`, exactly as its shortest text says it."""
    return Fraction(repr(value))


def number(value: Fraction) -> int | float:
    """As a trace has it: an integer where it is one."""
    return int(value) if value.denominator == 1 else float(value)


@dataclass(frozen=True)
class Flag(Kind):
    """true or false."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, bool):
            sink.report(path, f"must be true or false, not {_name_of(value)}", 0)

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True)
class Size(Kind):
    """An integer of at least 1, or an affine expression."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if isinstance(value, str):
            try:
                parse(value)
            except ExprError as error:
                sink.report(path, str(error), error.offset)
        elif isinstance(value, bool) or not isinstance(value, int):
            sink.report(path, f"must be an integer or an expression, not {_name_of(value)}", 0)
        else:
            Count(1).check(value, path, sink)

    def schema(self) -> dict[str, Any]:
        return {
            "anyOf": [Count(1).schema(), {"type": "string", "pattern": "^[-+*() A-Za-z0-9_]+$", "maxLength": LONGEST}]
        }


def size(value: int | str) -> Expr:
    """The expression that a checked `Size` is."""
    return parse(value) if isinstance(value, str) else Expr(value)


@dataclass(frozen=True)
class Items(Kind):
    """A list."""

    item: Kind
    least: int = 0

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, list):
            sink.report(path, f"must be a list, not {_name_of(value)}", 0)
            return
        if len(value) < self.least:
            sink.report(path, f"must have at least {self.least} element{'s' * (self.least > 1)}", 0)
        for i, item in enumerate(value):
            self.item.check(item, (*path, str(i)), sink)

    def schema(self) -> dict[str, Any]:
        return {"type": "array", "items": self.item.schema(), "minItems": self.least}


@dataclass(frozen=True)
class Steps(Kind):
    """How many steps from 0, or the numbers of the first and the last."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, list):
            Count(1).check(value, path, sink)
            return
        if len(value) != 2:
            sink.report(path, f"must be a number of steps or [first, last], not a list of {len(value)}", 0)
            return
        Items(Count(0)).check(value, path, sink)
        if all(type(step) is int for step in value) and value[0] > value[1]:
            sink.report(path, f"the first step {value[0]} is behind the last {value[1]}", 0)

    def schema(self) -> dict[str, Any]:
        pair = {"type": "array", "items": Count(0).schema(), "minItems": 2, "maxItems": 2}
        return {"anyOf": [Count(1).schema(), pair]}


@dataclass(frozen=True)
class Slice(Kind):
    """The first element and how many."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, list) or len(value) != 2:
            what = f"a list of {len(value)}" if isinstance(value, list) else _name_of(value)
            sink.report(path, f"must be [offset, size], not {what}", 0)
            return
        Count(0).check(value[0], (*path, "0"), sink)
        Count(1).check(value[1], (*path, "1"), sink)

    def schema(self) -> dict[str, Any]:
        return {
            "type": "array",
            "prefixItems": [Count(0).schema(), Count(1).schema()],
            "items": False,
            "minItems": 2,
        }


@dataclass(frozen=True)
class Either(Kind):
    """One of several kinds, which the value shows: an object, a list, or something else."""

    other: Kind
    items: Kind | None = None
    record: Kind | None = None

    def of(self, value: Any) -> Kind:
        """The kind that a value is to be of."""
        kind = self.items if isinstance(value, list) else self.record if isinstance(value, dict) else None
        return kind or self.other

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        self.of(value).check(value, path, sink)

    def schema(self) -> dict[str, Any]:
        return {"anyOf": [kind.schema() for kind in (self.other, self.items, self.record) if kind]}


@dataclass(frozen=True)
class Names(Kind):
    """An object whose keys are the user's own; `names` of keys are symbols."""

    item: Kind
    symbols: bool = True

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, dict):
            sink.report(path, f"must be an object, not {_name_of(value)}", 0)
            return
        for name, item in value.items():
            if self.symbols and not re.fullmatch("[A-Za-z_][A-Za-z0-9_]{0,31}", name):
                sink.report((*path, name), f"{_name_of(name)} is not a symbol: letters, digits and _", 0)
            self.item.check(item, (*path, name), sink)

    def schema(self) -> dict[str, Any]:
        names = {"propertyNames": {"pattern": "^[A-Za-z_][A-Za-z0-9_]{0,31}$"}} if self.symbols else {}
        return {"type": "object", "additionalProperties": self.item.schema(), **names}


@dataclass(frozen=True)
class Field:
    """One key of an object; `default` is what a missing one means, as text for the docs."""

    key: str
    kind: Kind
    doc: str
    required: bool = False
    default: str = ""


@dataclass(frozen=True)
class Object(Kind):
    """An object with known keys; others are kept and told."""

    fields: tuple[Field, ...]

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        if not isinstance(value, dict):
            sink.report(path, f"must be an object, not {_name_of(value)}", 0)
            return
        for field in self.fields:
            if field.key in value:
                field.kind.check(value[field.key], (*path, field.key), sink)
            elif field.required:
                sink.report((*path, field.key), "is missing", 0)
        known = self.keys
        for key in value:
            if key not in known:
                sink.unknown((*path, key), known)

    @cached_property
    def keys(self) -> frozenset[str]:
        """The names that are known."""
        return frozenset(field.key for field in self.fields)

    def schema(self) -> dict[str, Any]:
        required = [field.key for field in self.fields if field.required]
        return {
            "type": "object",
            "properties": {field.key: field.kind.schema() | {"description": _doc(field)} for field in self.fields},
            **({"required": required} if required else {}),
        }


@dataclass(frozen=True)
class OneOf(Object):
    """An object that has one of its keys."""

    def check(self, value: Any, path: DocumentPath, sink: Sink) -> None:
        super().check(value, path, sink)
        if isinstance(value, dict) and len(self.keys & set(value)) != 1:
            sink.report(path, f"must have one of {' and '.join(field.key for field in self.fields)}", 0)

    def schema(self) -> dict[str, Any]:
        return super().schema() | {"oneOf": [{"required": [field.key]} for field in self.fields]}


def _doc(field: Field) -> str:
    return f"{field.doc} (default: {field.default})" if field.default else field.doc
