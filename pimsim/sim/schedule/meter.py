"""The meter as compiled code reads it (`compiled.meter`)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from pimsim.dram.engine import Ints
from pimsim.dram.records import named
from pimsim.sim.schedule.compiled.meter import G_FULL, G_MOST, G_PART, G_SHIFT, Meter

# Buckets of the meter: a window has at least so many, and it keeps so many, a power of 2.
WINDOW_BUCKETS, METER_BUCKETS = 4, 1 << 12


def new_meter(commands: int, window: int = 0, costs: Sequence[int] = ()) -> Ints:
    """A meter of windows of so many clocks; without one nothing is metered."""
    record = Meter.new({"commands": commands, "buckets": METER_BUCKETS if window else 1})
    if window:
        meter = named(Meter, record)
        shift = max(window // WINDOW_BUCKETS, 1).bit_length() - 1
        meter.reg[[G_SHIFT, G_FULL, G_PART]] = shift, window >> shift, window & ((1 << shift) - 1)
        meter.costs[:] = costs
    return record


def largest_window(record: Ints) -> Fraction:
    """The largest sum of a window so far."""
    reg = named(Meter, record).reg
    return Fraction(int(reg[G_MOST]), 1 << int(reg[G_SHIFT]))
