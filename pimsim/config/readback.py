"""A resolved configuration, read as it was written: values and where they came from, without checking what they mean.

`resolved.dump_yaml` wrote it.  That some of them load no more does not matter here: what they name (a trace, a
machine, a table) is without its folder.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pimsim.config.loader import DEFAULT
from pimsim.config.nodes import parse
from pimsim.config.tree import Entry

# A line's comment: behind the value, in which a # stands in quotes alone.
_LINE = re.compile(r'(?:[^"#]|"[^"]*")*?\s#\s(?P<comment>.*)')
_BREAK = re.compile(r"\r\n|[\r\n\x85\u2028\u2029]")  # YAML's ends of lines
_EXACT = 1 << 53  # from here on not every whole number is a float
_COMMENT = re.compile(
    rf"(?:(?P<default>{DEFAULT})|source: (?P<label>[^\s:\[]+))?(?::? ?(?P<reason>.*?))?(?: ?\[(?P<place>[^\[\]]*)\])?"
)


@dataclass(frozen=True)
class Given:
    """A value, and what the comment on its line says of it.

    value   of JSON's types; a whole number is an int
    label   how well it is known, "default" for a default, None where nothing is said
    place   file and line that it was given in
    """

    value: Any
    label: str | None = None
    reason: str = ""
    place: str = ""

    @property
    def is_default(self) -> bool:
        """Whether nobody gave it."""
        return self.label == DEFAULT


def read_back(text: str, file: str) -> dict[str, Given]:
    """Every value by dotted key, in the order of the file; InputError with each place where it is no YAML mapping."""
    lines = _BREAK.split(text)
    return {key: _given(entry, lines[entry.place.line - 1]) for key, entry in _leaves(parse(text, file).entries)}


def _leaves(entries: Mapping[str, Entry], path: str = "") -> Iterator[tuple[str, Entry]]:
    """As `tree.leaves`; a mapping with nothing in it is a value, too."""
    for key, entry in entries.items():
        inner = f"{path}.{key}" if path else key
        if isinstance(entry.value, Mapping) and entry.value:
            yield from _leaves(entry.value, inner)
        else:
            yield inner, entry


def _given(entry: Entry, line: str) -> Given:
    found = _LINE.fullmatch(line)
    said = _COMMENT.fullmatch(found["comment"]) if found else None
    if said is None:
        return Given(_plain(entry.value))
    label = DEFAULT if said["default"] else said["label"]
    return Given(_plain(entry.value), label, said["reason"] or "", said["place"] or "")


def _plain(value: Any) -> Any:
    """As JSON has it."""
    if isinstance(value, tuple):
        return [_plain(entry.value) for entry in value]
    if isinstance(value, Mapping):
        return {key: _plain(entry.value) for key, entry in value.items()}
    return _number(value) if isinstance(value, Decimal) else value


def _number(value: Decimal) -> Any:
    """A whole number is an int; what is too large for a float stays text."""
    number = float(value)
    if not math.isfinite(number):
        return str(value)
    return int(number) if number.is_integer() and abs(number) < _EXACT else number


def nested(given: Mapping[str, Given]) -> dict[str, Any]:
    """The values alone, in the sections that their keys name."""
    found: dict[str, Any] = {}
    for key, each in given.items():
        *sections, name = key.split(".")
        inside = found
        for section in sections:
            inside = inside.setdefault(section, {})
        inside[name] = each.value
    return found
