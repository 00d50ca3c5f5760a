"""Constraints: expressions over configuration keys, parsed here and never given to Python.

    or  <  and  <  not  <  == != < <= > >=  <  + -  <  * / // %  <  unary -  <  **

with Python's meaning, chains (`1 <= dram.channels <= 8`) included.  Operands are numbers,
'text', true, false, and key paths.  Numbers are exact: 0.1 + 0.2 == 0.3 holds.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

from pimsim.errors import did_you_mean
from pimsim.expr import Reader, Token, tokens

NUMBER, TEXT, TRUTH = "a number", "text", "true or false"

_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][-+]?\d+)?)|(?P<name>[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*)"
    r"|(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>\*\*|//|<=|>=|==|!=|[-+*/%<>()]))",
    re.ASCII,
)
_DEPTH = 50  # of parentheses
_TOKENS = 200  # each may be a call inside a call
_DIGITS = 100  # of an exponent's result
_Value = Fraction | str | bool
_Compare = Callable[[Any, Any], Any]
_COMPARISONS: Mapping[str, _Compare] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}
_COMPARES, _UNARY, _POWER = 4, 7, 8


class ExpressionError(ValueError):
    """What is wrong with an expression, and at which character of it, from 1."""

    def __init__(self, column: int, message: str) -> None:
        super().__init__(message)
        self.column = column
        self.message = message


@dataclass(frozen=True)
class Expression:
    """A constraint.

    keys  the key paths in it, each with its first column (from 1)
    """

    text: str
    keys: Mapping[str, int]
    _holds: Callable[[Mapping[str, Any]], Any]

    def holds(self, values: Mapping[str, Any]) -> bool:
        """Whether `values`, by dotted key, satisfy it; ArithmeticError or TypeError, in words, if nobody can tell."""
        return bool(self._holds(values))


@dataclass(frozen=True)
class _Node:
    """A part of an expression: where it starts, what it gives (None: not known before), and how.

    key, text  of a key path by itself, and of a 'text'
    """

    column: int
    kind: str | None
    value: Callable[[Mapping[str, Any]], Any]
    key: str | None = None
    text: str | None = None


def parse(
    text: str, kinds: Callable[[str, int], str | None], choices: Callable[[str], Collection[str]] = lambda key: ()
) -> Expression:
    """The constraint in `text`.

    kinds    what a key path holds (NUMBER, TEXT, TRUTH or None), given the path and its column;
             it raises ExpressionError for a path that does not exist
    choices  the texts that a key path may hold; none: any
    ExpressionError has the column of what is wrong.
    """
    parser = _Constraint(text, kinds, choices)
    node = parser.expression()
    parser.expect_end()
    if node.kind not in (TRUTH, None):
        raise ExpressionError(node.column, f"is {node.kind}, not a condition; compare it, say with <=")
    return Expression(text, parser.keys, _truth(node))


class _Constraint(Reader[_Node]):
    BINDS = {
        "or": 1,
        "and": 2,
        **dict.fromkeys(_COMPARISONS, _COMPARES),
        **{"+": 5, "-": 5, "*": 6, "/": 6, "//": 6, "%": 6},
        "**": _POWER,
    }

    def __init__(
        self, text: str, kinds: Callable[[str, int], str | None], choices: Callable[[str], Collection[str]]
    ) -> None:
        super().__init__(iter(_tokens(text)))
        self.kinds = kinds
        self.choices = choices
        self.keys: dict[str, int] = {}
        self.depth = 0

    def expect_end(self) -> None:
        if self.token.kind != "end":
            raise ExpressionError(_column(self.token), f"unexpected {self.token.text!r}{_advice(self.token.text)}")

    def operand(self, least: int) -> _Node:
        token = self.take()
        column = _column(token)
        if token.text == "not":
            inner = _truth(self.expression(3))
            return _Node(column, TRUTH, lambda values: not inner(values))
        if token.text in ("+", "-"):
            number = _typed(self.expression(_UNARY), NUMBER)
            return _Node(column, NUMBER, (lambda values: -number(values)) if token.text == "-" else number)
        if token.text == "(":
            return self.parenthesis(column)
        return self.leaf(token, column)

    def parenthesis(self, column: int) -> _Node:
        self.depth += 1
        if self.depth > _DEPTH:
            raise ExpressionError(column, "is nested too deeply")
        inner = self.expression()
        if self.token.text != ")":
            raise ExpressionError(_column(self.token), f"')' is missing for the '(' in column {column}")
        self.take()
        self.depth -= 1
        return replace(inner, column=column)

    def leaf(self, token: Token, column: int) -> _Node:
        if token.kind == "number":
            number = _number(token)
            return _Node(column, NUMBER, lambda values: number)
        if token.kind == "text":
            text = token.text[1:-1]
            return _Node(column, TEXT, lambda values: text, text=text)
        if token.text in ("true", "false"):
            truth = token.text == "true"
            return _Node(column, TRUTH, lambda values: truth)
        if token.kind == "name" and token.text not in ("and", "or"):
            return self.key(token.text, column)
        what = "the end" if token.kind == "end" else repr(token.text)
        raise ExpressionError(column, f"expected a number, a key path, 'text' or '(', found {what}")

    def key(self, path: str, column: int) -> _Node:
        if self.token.text == "(":
            raise ExpressionError(column, f"there are no functions; {path!r} is followed by '('")
        self.keys.setdefault(path, column)
        return _Node(column, self.kinds(path, column), lambda values: _exact(path, values), key=path)

    def applied(self, left: _Node, binds: int) -> _Node:
        if binds == _COMPARES:
            return self.comparison(left)
        token = self.take()
        if token.kind == "name":
            return self.junction(token, left, binds)
        right = self.expression(_UNARY if binds == _POWER else binds + 1)  # of the right: 2 ** -1, 2 ** 3 ** 2
        a, b = _typed(left, NUMBER), _typed(right, NUMBER)
        apply = _power if token.text == "**" else _ARITHMETIC[token.text]
        return _Node(left.column, NUMBER, lambda values: _arithmetic(apply, a(values), b(values)))

    def junction(self, token: Token, left: _Node, binds: int) -> _Node:
        a, b = _truth(left), _truth(self.expression(binds + 1))
        if token.text == "and":
            return _Node(left.column, TRUTH, lambda values: a(values) and b(values))
        return _Node(left.column, TRUTH, lambda values: a(values) or b(values))

    def comparison(self, left: _Node) -> _Node:
        """A chain: every neighbouring pair must hold."""
        links: list[Callable[[Mapping[str, Any]], bool]] = []
        first = left
        while self.binds == _COMPARES:
            sign = self.take()
            right = self.expression(_COMPARES + 1)
            self.check_choice(left, right)
            self.check_choice(right, left)
            links.append(_link(left, sign, right))
            left = right
        return _Node(first.column, TRUTH, lambda values: all(link(values) for link in links))

    def check_choice(self, key: _Node, text: _Node) -> None:
        """ExpressionError for a key beside a text that it never holds."""
        known = self.choices(key.key) if key.key is not None and text.text is not None else ()
        if known and text.text not in known:
            hint = did_you_mean(str(text.text), known) or f"; it is one of {', '.join(known)}"
            raise ExpressionError(text.column, f"{key.key} is never {text.text!r}{hint}")


def _tokens(text: str) -> list[Token]:
    """All words, before the first is read: what is no word is wrong whatever comes before it."""

    def stray(at: int) -> ExpressionError:
        return ExpressionError(at + 1, f"unexpected {text[at]!r}{_advice(text[at])}")

    found: list[Token] = []
    for token in tokens(text.rstrip(), _TOKEN, stray):
        if len(found) == _TOKENS and token.kind != "end":
            raise ExpressionError(_column(token), f"is longer than {_TOKENS} words and signs")
        found.append(token)
    return found


def _column(token: Token) -> int:
    return token.at + 1


def _advice(text: str) -> str:
    known = {"=": "==", "&": "and", "|": "or", "!": "not", "^": "**"}
    return f"; did you mean {known[text]!r}?" if text in known else ""


def _typed(node: _Node, kind: str) -> Callable[[Mapping[str, Any]], Any]:
    """The value of a node that must be of `kind`."""
    if node.kind not in (kind, None):
        raise ExpressionError(node.column, f"is {node.kind}, where {kind} is needed")

    def value(values: Mapping[str, Any]) -> Any:
        found = node.value(values)
        if _kind(found) != kind:
            raise TypeError(f"column {node.column} is {_kind(found)}, where {kind} is needed")
        return found

    return value


def _truth(node: _Node) -> Callable[[Mapping[str, Any]], Any]:
    return _typed(node, TRUTH)


def _link(left: _Node, sign: Token, right: _Node) -> Callable[[Mapping[str, Any]], bool]:
    if left.kind is not None and right.kind is not None and left.kind != right.kind:
        raise ExpressionError(_column(sign), f"compares {left.kind} with {right.kind}")
    if sign.text not in ("==", "!=") and TRUTH in (left.kind, right.kind):
        raise ExpressionError(_column(sign), f"{TRUTH} is neither less nor more")
    compare = _COMPARISONS[sign.text]

    def holds(values: Mapping[str, Any]) -> bool:
        a, b = left.value(values), right.value(values)
        if _kind(a) != _kind(b):
            raise TypeError(f"column {_column(sign)} compares {_kind(a)} with {_kind(b)}")
        return bool(compare(a, b))

    return holds


def _kind(value: Any) -> str:
    return TRUTH if isinstance(value, bool) else NUMBER if isinstance(value, Fraction) else TEXT


def _number(token: Token) -> Fraction:
    """A number that is written; of more digits than any key has, or beyond 1e999, none is."""
    digits, _, exponent = token.text.lower().partition("e")
    if len(digits) > _DIGITS or len(exponent.lstrip("+-0")) > 3:
        raise ExpressionError(_column(token), f"is a number of more than {_DIGITS} digits or beyond 1e999")
    return Fraction(token.text)


def _size(value: Fraction) -> int:
    """About how many digits a number has; exact where that is few."""
    return max(value.numerator.bit_length(), value.denominator.bit_length()) * 301 // 1000 + 1


def _exact(key: str, values: Mapping[str, Any]) -> _Value:
    value = values.get(key)
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal):
        return Fraction(str(value))
    raise TypeError(f"{key} has no value" if value is None else f"{key} is no single value")


def _arithmetic(apply: Callable[[Any, Any], Any], a: Fraction, b: Fraction) -> Fraction:
    try:
        return Fraction(apply(a, b))
    except ZeroDivisionError:
        raise ArithmeticError("division by zero") from None


def _power(a: Fraction, b: Fraction) -> Fraction:
    """a ** b: exact for a whole b, else as floats."""
    if abs(b) * _size(a) > _DIGITS:
        raise ArithmeticError("a power is too large")
    if b.denominator == 1:
        return Fraction(a**b.numerator)
    if a < 0:
        raise ArithmeticError("a negative number has no fractional power")
    return Fraction(float(a) ** float(b))
