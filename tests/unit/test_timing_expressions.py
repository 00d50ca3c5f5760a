"""Expressions of the device tables: sums, differences and products of timings, the largest and the least of several."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.dram.timing import evaluate

CYCLES = {"nCL": 7, "nBL": 2, "nRP": 5}


@given(
    st.recursive(
        st.sampled_from(["3", "10", *CYCLES]),
        lambda inner: (
            st.builds("{} {} {}".format, inner, st.sampled_from("+-*"), inner)
            | st.builds("({})".format, inner)
            | st.builds("{}({}, {}, {})".format, st.sampled_from(["max", "min"]), inner, inner, inner)
        ),
        max_leaves=12,
    )
)
def test_arithmetic_is_pythons(text: str) -> None:
    assert evaluate(text, CYCLES) == eval(text, {"max": max, "min": min}, CYCLES)  # the test's own text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "nCL +",
        "nCL / 2",
        "2 ** 3",
        "-1",
        "nCL nBL",
        "nCL end",
        "(nCL",
        "nCL)",
        "max",
        "max()",
        "max(nCL",
        "abs(nCL)",
        "é",
        "1.5",
    ],
)
def test_nothing_else_is_one(text: str) -> None:
    with pytest.raises(ValueError, match="not a timing expression") as caught:
        evaluate(text, CYCLES)
    assert str(caught.value).endswith(f": {text}")


def test_a_timing_that_is_not_there_is_no_value() -> None:
    with pytest.raises(KeyError, match="nCWL"):
        evaluate("nCL + nCWL", CYCLES)
