"""Formats of memory traces: the words of a line, and what is wrong with a line."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

Words = tuple[bytes, ...]  # of a line; b"" for one that it leaves out
_WORD = re.compile(rb"[^ \t\r]+")


def hexadecimal(word: bytes) -> int:
    """The number that digits say, with or without 0x."""
    return int(word, 16)


def either(word: bytes) -> int:
    """The number that hexadecimal digits with 0x say, or decimal ones."""
    return int(word, 16 if word[1:2] in (b"x", b"X") else 10)


class Word(NamedTuple):
    """A word of a line: its name, what it must be, as text and as a regular expression."""

    name: str
    what: str
    pattern: bytes
    optional: bool = False


@dataclass(frozen=True)
class Format:
    """The words of a line in order, those named operation, address or vector, cycle, bytes; how a write is called."""

    words: tuple[Word, ...]
    writes: tuple[bytes, ...]
    number: Callable[[bytes], int] = hexadecimal  # that an address says

    @cached_property
    def line(self) -> re.Pattern[bytes]:
        """A line, with a group for each word."""
        text = b""
        for number, word in enumerate(self.words):
            part = (rb"[ \t]+" if number else rb"[ \t]*") + b"(" + word.pattern + b")"
            text += b"(?:" + part + b")?" if word.optional else part
        return re.compile(b"^" + text + rb"[ \t]*\r?$", re.MULTILINE)

    def index(self, name: str) -> int:
        """Which word has this name, -1 if none has."""
        return next((number for number, word in enumerate(self.words) if word.name == name), -1)

    def wrong(self, line: bytes) -> tuple[int, str]:
        """The column at which a line is wrong, and what is."""
        found = list(_WORD.finditer(line))
        for word in self.words:
            if found and re.fullmatch(word.pattern, found[0][0]):
                found.pop(0)
            elif not word.optional:
                if not found:
                    return len(line.rstrip()) + 1, f"{word.what} is missing"
                return found[0].start() + 1, f"must be {word.what}, not {_shown(found[0][0])}"
        return (found[0].start() + 1, f"{_shown(found[0][0])} is too much") if found else (1, "is no line of a trace")

    def column(self, line: bytes, name: str) -> int:
        """Where in a line a word is."""
        match = self.line.match(line)
        return match.start(1 + self.index(name)) + 1 if match else 1


def _shown(word: bytes) -> str:
    return repr(word[:40].decode(errors="replace"))


_EITHER = Word("address", "an address, hexadecimal (0x...) or decimal", rb"0[xX][0-9a-fA-F]{1,15}|[0-9]{1,18}")
_HEX = Word("address", "a hexadecimal address of at most 15 digits", rb"(?:0[xX])?[0-9a-fA-F]{1,15}")
_VECTOR = Word("vector", "numbers with commas between them", rb"[0-9]{1,9}(?:,[0-9]{1,9})+")
FORMATS = {
    "ramulator-ldst": Format((Word("operation", "LD or ST", b"LD|ST"), _EITHER), (b"ST",), either),
    "ramulator-rw": Format((Word("operation", "R or W", b"[RW]"), _VECTOR), (b"W",)),
    "dramsim3": Format(
        (
            _HEX,
            Word("operation", "READ or WRITE", b"READ|WRITE|read|write|P_MEM_RD|P_MEM_WR"),
            Word("cycle", "a cycle of at most 12 digits", rb"[0-9]{1,12}"),
        ),
        (b"WRITE", b"write", b"P_MEM_WR"),
    ),
    "dramsys-stl": Format(
        (
            Word("cycle", "a cycle of at most 12 digits and a colon", rb"[0-9]{1,12}:"),
            Word("bytes", "a number of bytes in brackets", rb"\([1-9][0-9]{0,5}\)", optional=True),
            Word("operation", "read or write", b"read|write"),
            _HEX,
            Word("data", "data", rb"[^ \t\r\n]+", optional=True),
        ),
        (b"write",),
    ),
}
