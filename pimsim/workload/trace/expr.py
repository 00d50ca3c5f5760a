"""Affine expressions over symbols, such as `2*T-3`: parsed here, never evaluated as Python.

    expression  [+|-] term {(+|-) term}
    term        factor {* factor}
    factor      integer | symbol | ( expression )

A product may hold one symbol at most.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_TOKEN = re.compile(r"\s*(?:(?P<number>[0-9]+)|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>[-+*()]))")
_DIGITS = 18  # of a number; larger ones are typing errors, and results stay small
_DEPTH = 20  # of parentheses
LONGEST = 200  # characters of an expression


class ExprError(ValueError):
    """An expression that is wrong: `offset` characters from its start."""

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


@dataclass(frozen=True)
class Expr:
    """`constant` plus the sum of factor * symbol; `terms` are sorted by symbol, no factor is 0."""

    constant: int
    terms: tuple[tuple[str, int], ...] = ()

    @property
    def symbols(self) -> tuple[str, ...]:
        """The symbols that the value depends on."""
        return tuple(symbol for symbol, _ in self.terms)

    def at(self, binding: Mapping[str, int]) -> int:
        """The value; KeyError if a symbol is not bound."""
        return self.constant + sum(factor * binding[symbol] for symbol, factor in self.terms)

    def slope(self, symbol: str) -> int:
        """How much the value grows when `symbol` grows by 1."""
        return dict(self.terms).get(symbol, 0)

    def scaled(self, factor: int) -> Expr:
        """`factor` times this."""
        return _expr(self.constant * factor, [(symbol, f * factor) for symbol, f in self.terms])

    def plus(self, other: Expr) -> Expr:
        """The sum of both."""
        return _expr(self.constant + other.constant, (*self.terms, *other.terms))

    def within(self, bindings: Mapping[str, Expr]) -> Expr:
        """This with an expression in the place of every symbol that `bindings` has."""
        result = Expr(self.constant)
        for symbol, factor in self.terms:
            result = result.plus(bindings.get(symbol, Expr(0, ((symbol, 1),))).scaled(factor))
        return result

    def __str__(self) -> str:
        parts = [_signed(factor, symbol) for symbol, factor in self.terms]
        if self.constant or not parts:
            parts.append(f"{self.constant:+d}")
        return "".join(parts).removeprefix("+")

    @property
    def json(self) -> int | str:
        """As a trace has it: an integer, or text."""
        return str(self) if self.terms else self.constant


def _signed(factor: int, symbol: str) -> str:
    sign = "-" if factor < 0 else "+"
    return f"{sign}{symbol}" if abs(factor) == 1 else f"{sign}{abs(factor)}*{symbol}"


def _expr(constant: int, terms: Iterable[tuple[str, int]]) -> Expr:
    factors: dict[str, int] = {}
    for symbol, factor in terms:
        factors[symbol] = factors.get(symbol, 0) + factor
    return Expr(constant, tuple(sorted((s, f) for s, f in factors.items() if f)))


def parse(text: str) -> Expr:
    """The expression that `text` is; ExprError if it is none, or not affine."""
    if len(text) > LONGEST:
        raise ExprError(f"an expression of {len(text)} characters; {LONGEST} are allowed", 0)
    parser = _Parser(text)
    result = parser.expression(0)
    if parser.token:
        raise ExprError(f"{parser.token!r} is not expected here", parser.offset)
    return result


class _Parser:
    """Recursive descent; `token` is the next token, "" at the end, and `offset` where it starts."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.end = 0
        self.token, self.offset, self.kind = "", 0, ""
        self.advance()

    def advance(self) -> None:
        found = _TOKEN.match(self.text, self.end)
        if found is None:
            rest = self.text[self.end :].lstrip()
            self.offset, self.token, self.kind = len(self.text) - len(rest), "", ""
            if rest:
                raise ExprError(f"{rest[0]!r} is not allowed in an expression", self.offset)
            return
        self.kind = found.lastgroup or ""
        self.token, self.offset, self.end = found[self.kind], found.start(self.kind), found.end()

    def expression(self, depth: int) -> Expr:
        if depth > _DEPTH:
            raise ExprError("is nested too deeply", self.offset)
        sign = self.sign() if self.token in ("+", "-") else 1
        result = self.term(depth).scaled(sign)
        while self.token in ("+", "-"):
            sign = self.sign()
            result = result.plus(self.term(depth).scaled(sign))
        return result

    def sign(self) -> int:
        negative = self.token == "-"
        self.advance()
        return -1 if negative else 1

    def term(self, depth: int) -> Expr:
        result = self.factor(depth)
        while self.token == "*":
            self.advance()
            offset, other = self.offset, self.factor(depth)
            if result.terms and other.terms:
                raise ExprError("is not affine: a product of two symbols", offset)
            result = result.scaled(other.constant) if not other.terms else other.scaled(result.constant)
        return result

    def factor(self, depth: int) -> Expr:
        token, offset, kind = self.token, self.offset, self.kind
        if kind == "number" and len(token) > _DIGITS:
            raise ExprError(f"a number of {len(token)} digits", offset)
        if token == "(":
            self.advance()
            result = self.expression(depth + 1)
            if self.token != ")":
                raise ExprError("a closing parenthesis is missing", self.offset)
        elif kind == "number":
            result = Expr(int(token))
        elif kind == "name":
            result = Expr(0, ((token, 1),))
        else:
            raise ExprError("a number or a symbol is missing", offset)
        self.advance()
        return result
