"""The one place where a time becomes a number of clocks."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from math import ceil

PS_PER_NS = 1000


def to_cycles(ns: Decimal, tCK_ps: int) -> int:
    """`ns` nanoseconds in whole clocks of `tCK_ps` picoseconds, exact, rounded up.

    15.39 ns at 570 ps is 27 clocks.  ValueError if the time is negative or the clock
    is not positive.
    """
    if ns < 0:
        raise ValueError(f"a time must not be negative, not {ns} ns")
    if tCK_ps <= 0:
        raise ValueError(f"tCK_ps must be positive, not {tCK_ps}")
    return ceil(Fraction(ns) * PS_PER_NS / tCK_ps)
