"""Files of other simulators that describe a memory: every key with its value and its place.

Two forms are read: the memspec of DRAMSys and DRAMPower (JSON), and the configuration of DRAMSim3 (INI).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal

from pimsim.config.loader import read_text
from pimsim.config.nodes import parse_with_problems
from pimsim.config.tree import Entry, Position, Scalar, leaves
from pimsim.errors import InputError, Problem
from pimsim.files import JsonError, json_value
from pimsim.kinds import MEMORY, expecting


@dataclass(frozen=True)
class Given:
    """A key of a file, dotted, with what it says and where."""

    key: str
    value: Scalar | tuple[Entry, ...]
    place: Position

    @property
    def name(self) -> str:
        """The key without its section."""
        return self.key.rpartition(".")[2]

    def problem(self, message: str) -> Problem:
        """Something that is wrong with it."""
        return Problem(self.place.file, self.place.line, self.place.column, self.key, message)


@dataclass
class MemoryFile:
    """What a file says.

    form      "memspec" or "ini"
    keys      by dotted key, in the order of the file; those of an INI file in small letters
    """

    path: str
    form: str
    keys: Mapping[str, Given]
    problems: list[Problem] = field(default_factory=list)

    def get(self, key: str) -> Given | None:
        """A key, if it is there."""
        return self.keys.get(key.lower() if self.form == INI else key)

    def problem(self, key: str, message: str) -> Problem:
        """Something that is wrong with the file as a whole."""
        return Problem(self.path, 1, 1, key, message)


_DIGITS = 20
MEMSPEC, INI = "memspec", "ini"
SECTIONS: Mapping[str, tuple[str, ...]] = {  # that a memory needs
    MEMSPEC: ("memarchitecturespec", "memtimingspec"),
    INI: ("dram_structure", "timing", "system"),
}


def read(path: str) -> MemoryFile:
    """What a file says; InputError with everything that is wrong with how it is written."""
    with expecting(MEMORY, path):
        text = read_text(path)
        if not text.strip("\ufeff \t\r\n"):
            raise InputError(Problem(path, 1, 1, "", "is empty"))
        found = _memspec(text, path) if text.lstrip("\ufeff \t\r\n").startswith("{") else _ini(text, path)
        there = {key.partition(".")[0] for key in found.keys}
        missing = [section for section in SECTIONS[found.form] if section not in there]
        if missing:
            found.problems.append(found.problem("", f"has no {' and no '.join(missing)}: not a memory's {found.form}"))
        if found.problems:
            raise InputError(sorted(found.problems))
        return found


# -- JSON ------------------------------------------------------------------------------


def _memspec(text: str, path: str) -> MemoryFile:
    """A memspec, alone or under the key of that name."""
    try:
        json_value(text)
    except JsonError as error:
        line, column = text.count("\n", 0, error.offset) + 1, error.offset - text.rfind("\n", 0, error.offset)
        raise InputError(Problem(path, line, column, "", f"is {error}")) from None
    tree = parse_with_problems(_without_tabs(text), path)  # JSON is YAML, but for tabs between its words
    inner = tree.entries.get("memspec")
    top = inner.value if inner is not None and isinstance(inner.value, Mapping) else tree.entries
    return MemoryFile(path, MEMSPEC, {key: _given(key, entry) for key, entry in leaves(top)}, list(tree.problems))


def _without_tabs(text: str) -> str:
    """The text with a space for each tab; no text of JSON has one in it."""
    return text.replace("\t", " ")


def _given(key: str, entry: Entry) -> Given:
    value = entry.value
    assert not isinstance(value, Mapping)
    if isinstance(value, Decimal) and abs(value.adjusted()) < _DIGITS and value % 1 == 0:
        value = int(value)  # 16.0
    return Given(key, value, entry.place)


# -- INI -------------------------------------------------------------------------------

_SIGN = re.compile(r"[=:]")
_COMMENT = re.compile(r"(?:^|\s);.*|;\s*$")
# As C reads a number: what follows behind a space is no part of it.
_NUMBER = re.compile(r"([-+]?(?:\d{1,20}(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d{1,3})?)(?:[\s(].*)?", re.ASCII)
_WORDS = {"true": True, "false": False}


def _ini(text: str, path: str) -> MemoryFile:
    """Sections of keys; keys of sections are the same in capitals and in small letters, as DRAMSim3 has it."""
    found = MemoryFile(path, INI, {})
    keys: dict[str, Given] = {}
    for given in _pairs(text, found):
        if given.key.lower() in keys:
            first = keys[given.key.lower()].place.line
            found.problems.append(given.problem(f"duplicate key, first given on line {first}"))
        keys.setdefault(given.key.lower(), given)
    found.keys = keys
    return found


def _pairs(text: str, found: MemoryFile) -> Iterator[Given]:
    section = ""
    for number, raw in enumerate(text.lstrip("\ufeff").split("\n"), 1):
        line = raw.strip()
        if not line or line[0] in ";#":
            continue
        place = Position(found.path, number, len(raw) - len(raw.lstrip()) + 1)
        name, *values = _SIGN.split(line, 1)
        if line[0] == "[" and "]" in line:
            section = line[1 : line.index("]")].strip()
        elif values and name.strip() and section:
            yield Given(f"{section}.{name.strip()}", _value(_COMMENT.sub("", values[0]).strip()), place)
        else:
            what = "must be `key = value` or `[section]`" if section else "comes before any [section]"
            found.problems.append(Problem(place.file, place.line, place.column, "", f"{what}: {line[:40]!r}"))


def _value(text: str) -> Scalar:
    number = _NUMBER.fullmatch(text)
    if number is None:
        return _WORDS.get(text.lower(), text)
    return int(number[1]) if number[1].lstrip("+-").isdecimal() else Decimal(number[1])
