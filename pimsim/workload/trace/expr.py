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

from pimsim.expr import Reader, Token, tokens

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
        if factor == 1:  # most sizes, which are of one row
            return self
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
    reader = _Affine(text)
    result = reader.expression()
    if reader.token.kind != "end":
        raise ExprError(f"{reader.token.text!r} is not expected here", reader.token.at)
    return result


class _Affine(Reader[Expr]):
    """Sums of products; only the first term of a sum has a sign of its own."""

    BINDS = {"+": 1, "-": 1, "*": 2}

    def __init__(self, text: str) -> None:
        def stray(at: int) -> ExprError:
            return ExprError(f"{text[at]!r} is not allowed in an expression", at)

        super().__init__(tokens(text, _TOKEN, stray))
        self.depth = 0

    def operand(self, least: int) -> Expr:
        token = self.token
        if least == 1 and token.text in ("+", "-"):
            return self.signed(self.take())
        if token.text == "(":
            result = self.inside()
        elif token.kind == "number":
            if len(token.text) > _DIGITS:
                raise ExprError(f"a number of {len(token.text)} digits", token.at)
            result = Expr(int(token.text))
        elif token.kind == "name":
            result = Expr(0, ((token.text, 1),))
        else:
            raise ExprError("a number or a symbol is missing", token.at)
        self.take()
        return result

    def inside(self) -> Expr:
        self.take()
        self.depth += 1
        if self.depth > _DEPTH:
            raise ExprError("is nested too deeply", self.token.at)
        result = self.expression()
        if self.token.text != ")":
            raise ExprError("a closing parenthesis is missing", self.token.at)
        self.depth -= 1
        return result

    def signed(self, sign: Token) -> Expr:
        return self.expression(2).scaled(-1 if sign.text == "-" else 1)

    def applied(self, left: Expr, binds: int) -> Expr:
        sign = self.take()
        if sign.text != "*":
            return left.plus(self.signed(sign))
        at, right = self.token.at, self.expression(3)
        if left.terms and right.terms:
            raise ExprError("is not affine: a product of two symbols", at)
        return left.scaled(right.constant) if not right.terms else right.scaled(left.constant)
