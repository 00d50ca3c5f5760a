"""Constraints are read as Python reads them, and nothing else is read at all."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.sweep.expressions import NUMBER, TEXT, TRUTH, ExpressionError, parse

VALUES: dict[str, Any] = {"a.b": 3, "c": 0.5, "name": "gpt2", "on": True, "none": None, "list": (1, 2)}
KINDS = {"a.b": NUMBER, "c": NUMBER, "name": TEXT, "on": TRUTH, "none": None, "list": None}


def kind_of(key: str, column: int) -> str | None:
    if key not in KINDS:
        raise ExpressionError(column, f"unknown key {key}")
    return KINDS[key]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a.b * 2 == 6", True),
        ("a.b*2 < 6", False),
        ("1 <= a.b <= 3", True),
        ("1 <= a.b < 3", False),
        ("1 < 2 > 0 == false", None),
        ("0.1 + 0.2 == 0.3", True),
        ("-2 ** 2 == -4", True),
        ("2 ** -1 == c", True),
        ("2 ** 3 ** 2 == 512", True),
        ("7 // 2 == 3 and -7 // 2 == -4 and 7 % 4 == 3 and 7 / 2 == 3.5", True),
        ("10 - 4 - 3 == 3", True),
        ("not a.b == 3 or on", True),
        ("not (a.b == 3 or on)", False),
        ("on and a.b == 4", False),
        ("name == 'gpt2' and name != \"gpt3\"", True),
        ("'a' < 'b'", True),
        ("on", True),
        ("4 ** 0.5 == 2", True),
        ("true or none > 1", True),
    ],
)
def test_an_expression_means_what_python_says(text: str, expected: bool | None) -> None:
    if expected is None:
        with pytest.raises(ExpressionError, match="compares a number with true or false"):
            parse(text, kind_of)
        return
    assert parse(text, kind_of).holds(VALUES) is expected


@given(
    st.recursive(
        st.sampled_from(["1", "2.5", "a.b", "c"]),
        lambda inner: st.builds("({0} {1} {2})".format, inner, st.sampled_from(["+", "-", "*", "//", "%"]), inner),
        max_leaves=8,
    )
)
def test_arithmetic_is_pythons(text: str) -> None:
    """Python's own reading of the same text, names replaced."""
    try:
        value = eval(text.replace("a.b", "3").replace("c", "0.5"))  # the test's own text
    except ZeroDivisionError:
        with pytest.raises(ArithmeticError, match="division by zero"):
            parse(f"{text} == 0", kind_of).holds(VALUES)
        return
    assert parse(f"{text} == {value:.10f}".replace("== -", "== 0 -"), kind_of).holds(VALUES)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("a.b <= ", 7, "expected a number, a key path, 'text' or '(', found the end"),
        ("", 1, "found the end"),
        ("a.b = 3", 5, "unexpected '='; did you mean '=='?"),
        ("a.b < 3 & on", 9, "did you mean 'and'"),
        ("a.x < 3", 1, "unknown key a.x"),
        ("2 < len(a.b)", 5, "there are no functions"),
        ("(a.b < 3", 9, "')' is missing for the '(' in column 1"),
        ("a.b < 3)", 8, "unexpected ')'"),
        ("a.b * 2", 1, "is a number, not a condition"),
        ("a.b + name < 3", 7, "is text, where a number is needed"),
        ("name < 3", 6, "compares text with a number"),
        ("on < true", 4, "neither less nor more"),
        ("a.b and on", 1, "is a number, where true or false is needed"),
        ("__import__('os').system('true')", 17, "unexpected '.'"),
        ("a.b < 3 on", 9, "unexpected 'on'"),
        ("(" * 60, 51, "nested too deeply"),
        ("a.b < 'x", 7, "unexpected"),
        ("not " * 300 + "on", 801, "is longer than 200"),
    ],
)
def test_what_is_wrong_has_its_column(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse(text, kind_of)
    assert (caught.value.column, message in caught.value.message) == (column, True), caught.value.message


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("1 / (a.b - 3) > 0", ArithmeticError, "division by zero"),
        ("none > 1", TypeError, "none has no value"),
        ("list == 1", TypeError, "list is no single value"),
        ("10 ** 10 ** 10 > 1", ArithmeticError, "too large"),
        ("(-2) ** 0.5 > 1", ArithmeticError, "no fractional power"),
    ],
)
def test_what_has_no_answer_says_so(text: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        parse(text, kind_of).holds(VALUES)


def test_the_keys_of_an_expression_are_known_with_their_columns() -> None:
    assert dict(parse("c < 1 and a.b > c", kind_of).keys) == {"c": 1, "a.b": 11}
