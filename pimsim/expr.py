"""Small languages of operators: how their texts are cut into words, and in which order the operators apply.

    expression  operand {operator operand}

A language is a `Reader` that says which words it has, how tightly each operator binds, and what an
operand and an operator make: a number, a polynomial, something that has a value later.  What it
does not name it does not have: no text is ever given to Python.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

Made = TypeVar("Made")


@dataclass(frozen=True)
class Token:
    """A word: its kind ("end" behind the last one), and the characters of the text before it."""

    kind: str
    text: str
    at: int


def tokens(text: str, words: re.Pattern[str], stray: Callable[[int], Exception]) -> Iterator[Token]:
    """The words of a text; each is a named group of `words`, its kind.

    stray: what is raised for a character, by its place, with which no word begins
    """
    at = 0
    while rest := text[at:].lstrip():
        found = words.match(text, at)
        if found is None:
            raise stray(len(text) - len(rest))
        kind = str(found.lastgroup)
        yield Token(kind, found[kind], found.start(kind))
        at = found.end()
    yield Token("end", "", len(text))


class Reader(Generic[Made]):
    """Reads a text from left to right; `token` is the next word, which nobody has taken yet."""

    BINDS: ClassVar[Mapping[str, int]] = {}  # how tightly each operator binds its operands, from 1

    def __init__(self, words: Iterator[Token]) -> None:
        self._words = words
        self.token = next(words)

    def take(self) -> Token:
        """The next word, after which comes the one behind it."""
        taken, self.token = self.token, next(self._words, self.token)
        return taken

    @property
    def binds(self) -> int:
        """How tightly the operator that comes next binds; 0 if none does."""
        return self.BINDS.get(self.token.text, 0)

    def expression(self, least: int = 1) -> Made:
        """What comes next, with every operator that binds at least so tightly."""
        left = self.operand(least)
        while (binds := self.binds) >= least:
            left = self.applied(left, binds)
        return left

    def operand(self, least: int) -> Made:
        """Take what stands between operators: a leaf, one that a sign is in front of, or a parenthesis."""
        raise NotImplementedError

    def applied(self, left: Made, binds: int) -> Made:
        """Take the operator that comes next, and its right operand."""
        raise NotImplementedError
