"""Times become clocks exactly and are rounded up."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.units import to_cycles


@pytest.mark.parametrize(
    ("ns", "tCK_ps", "cycles"),
    [
        ("15.39", 570, 27),  # 26.99999... or 27.00000...1 in floats, depending on the order
        ("15.391", 570, 28),
        ("12", 1000, 12),
        ("0", 1000, 0),
        ("0.001", 1000, 1),
        ("0.57", 570, 1),
    ],
)
def test_a_time_is_rounded_up_to_whole_clocks(ns: str, tCK_ps: int, cycles: int) -> None:
    assert to_cycles(Decimal(ns), tCK_ps) == cycles


@given(st.decimals(min_value=0, max_value=10_000, places=6), st.integers(1, 10_000))
def test_the_clocks_are_the_fewest_that_cover_the_time(ns: Decimal, tCK_ps: int) -> None:
    cycles = to_cycles(ns, tCK_ps)
    assert (cycles - 1) * tCK_ps < Fraction(ns) * 1000 <= cycles * tCK_ps


def test_a_negative_time_is_refused() -> None:
    with pytest.raises(ValueError, match="must not be negative, not -1 ns"):
        to_cycles(Decimal(-1), 1000)


def test_a_clock_that_stands_still_is_refused() -> None:
    with pytest.raises(ValueError, match="tCK_ps must be positive, not 0"):
        to_cycles(Decimal(1), 0)
