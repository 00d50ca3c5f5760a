"""One line of JSON, and the column of each thing in it."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from pimsim.files import JsonError, json_value
from pimsim.workload.trace.files import FileDamage, lines_of_file

DocumentPath = tuple[str, ...]

_DEPTH = 20  # levels of nesting; the format has four
_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_WORD = re.compile(r"[^\s,:{}\[\]\"]+")


class LineProblem(NamedTuple):
    """What is wrong with a line: column from 1, path of keys, message."""

    column: int
    path: DocumentPath
    message: str


class LineError(ValueError):
    """A line that is not JSON as the format wants it."""

    def __init__(self, *problems: LineProblem) -> None:
        super().__init__(problems)
        self.problems = problems


def parse_line(text: str) -> Any:
    """The value of a line; LineError if it is not JSON, has a key twice, or a number that is none."""
    duplicates: list[bool] = []

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            duplicates.append(True)
        return found

    _check_depth(text)
    try:
        value = json_value(text, pairs)
    except JsonError as error:
        raise LineError(LineProblem(error.offset + 1, (), str(error))) from None
    if duplicates:
        raise LineError(*_duplicates(text))
    return value


def _check_depth(text: str) -> None:
    """LineError if the line is nested deeper than anything in the format."""
    if text.count("[") + text.count("{") <= _DEPTH:
        return
    depth = 0
    for found in re.finditer(r'"(?:[^"\\]|\\.)*"|[\[{]|[\]}]', text):
        depth += {"[": 1, "{": 1, "]": -1, "}": -1}.get(found[0], 0)
        if depth > _DEPTH:
            raise LineError(LineProblem(found.start() + 1, (), "is nested too deeply"))


def _duplicates(text: str) -> Iterator[LineProblem]:
    seen: dict[DocumentPath, int] = {}
    for path, key, _ in _places(text):
        if path in seen:
            yield LineProblem(key + 1, path, f"duplicate key, first given in column {seen[path] + 1}")
        seen.setdefault(path, key)


class Columns:
    """Where the keys and values of a line of JSON are; columns count from 1."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._keys: dict[DocumentPath, int] = {}
        self._values: dict[DocumentPath, int] = {}
        for path, key, value in _places(text):
            self._keys.setdefault(path, key)
            self._values.setdefault(path, value)

    def key(self, path: DocumentPath) -> int:
        """Where the last key of a path is; of a path that is not there, what would hold it."""
        return self._find(self._keys, path)

    def value(self, path: DocumentPath, offset: int = 0) -> int:
        """Where a value is, `offset` characters into its text."""
        column = self._find(self._values, path)
        quoted = path in self._values and self._text[column - 1] == '"'
        return column + 1 + offset if quoted and offset else column

    def _find(self, known: dict[DocumentPath, int], path: DocumentPath) -> int:
        while path and path not in known:
            path, known = path[:-1], self._values
        return known.get(path, 0) + 1


def _places(text: str) -> list[tuple[DocumentPath, int, int]]:
    """Path, offset of the key and offset of the value of everything in a valid line, in order."""
    found: list[tuple[DocumentPath, int, int]] = []
    _walk(text, _skip(text, 0), (), 0, found)
    return found


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _walk(text: str, at: int, path: DocumentPath, key: int, found: list[tuple[DocumentPath, int, int]]) -> int:
    """Note the value that starts at `at` and all in it; where it ends."""
    found.append((path, key, at))
    if text[at] not in "{[":
        scalar = _STRING.match(text, at) or _WORD.match(text, at)
        return scalar.end() if scalar else len(text)
    mapping = text[at] == "{"
    at = _skip(text, at + 1)
    for i in itertools.count():
        if text[at] in "}]":
            return at + 1
        name, key = str(i), at
        if mapping:
            end = _STRING.match(text, at).end()  # type: ignore[union-attr]
            name = json.loads(text[at:end])
            at = _skip(text, _skip(text, end) + 1)  # behind the colon
        at = _skip(text, _walk(text, at, (*path, name), key, found))
        at = _skip(text, at + 1) if text[at] == "," else at
    raise AssertionError("unreachable")


def column_in_file(file: str, line: int, key: str) -> int:
    """The column of `key` (with dots) in a line of a trace; 1 if the file has changed since it was read."""
    if not file or not line:
        return 1
    try:
        data = next(itertools.islice(lines_of_file(Path(file)), line - 1, None), b"")
        text = data.decode("utf-8").strip("\r\n")
        parse_line(text)
    except (OSError, ValueError, FileDamage):
        return 1
    return Columns(text).value(tuple(key.split(".")) if key else ())
