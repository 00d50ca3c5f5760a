"""Affine expressions: parsed, never evaluated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.workload.trace.expr import Expr, ExprError, parse
from tests.trace.traces import sizes

BINDING = {"T": 100, "B": 3, "Q": 5, "step": 7}


@pytest.mark.parametrize(
    ("text", "value", "canonical"),
    [
        ("7", 7, "7"),
        ("T", 100, "T"),
        ("2*T-3", 197, "2*T-3"),
        (" 1 + step ", 8, "step+1"),
        ("T*2", 200, "2*T"),
        ("-T+5", -95, "-T+5"),
        ("2*(T-B*3)-Q", 177, "-6*B-Q+2*T"),
        ("T-T", 0, "0"),
        ("((3))*4", 12, "12"),
    ],
)
def test_expressions_have_the_value_that_arithmetic_gives_them(text: str, value: int, canonical: str) -> None:
    assert parse(text).at(BINDING) == value
    assert str(parse(text)) == canonical


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ("", 0, "a number or a symbol is missing"),
        ("2*", 2, "a number or a symbol is missing"),
        ("T*B", 2, "not affine"),
        ("T/2", 1, "'/' is not allowed"),
        ("T 2", 2, "'2' is not expected here"),
        ("(T", 2, "closing parenthesis"),
        ("T)", 1, "')' is not expected here"),
        ("__import__('os')", 10, "'(' is not expected here"),
        ("9" * 19, 0, "19 digits"),
        ("(" * 30 + "T" + ")" * 30, 21, "nested too deeply"),
        ("T" * 201, 0, "201 characters"),
        ("é", 0, "'é' is not allowed"),
    ],
)
def test_what_is_no_expression_is_refused_with_its_place(text: str, offset: int, message: str) -> None:
    with pytest.raises(ExprError, match=message.replace("(", r"\(").replace(")", r"\)").replace("*", r"\*")) as caught:
        parse(text)
    assert caught.value.offset == offset


@given(sizes())
def test_text_of_an_expression_is_that_expression(expr: Expr) -> None:
    assert parse(str(expr)) == expr


@given(st.lists(st.tuples(st.integers(-99, 99), st.sampled_from(["T", "B", ""])), min_size=1, max_size=6))
def test_a_sum_of_products_is_the_sum_of_their_values(terms: list[tuple[int, str]]) -> None:
    text = "".join(f"{factor:+d}*{symbol}" if symbol else f"{factor:+d}" for factor, symbol in terms)
    assert parse(text).at(BINDING) == sum(factor * BINDING.get(symbol, 1) for factor, symbol in terms)


def test_bindings_can_stand_in_for_symbols() -> None:
    assert parse("2*T+Q-1").within({"T": parse("step+8")}) == parse("2*step+15+Q")
