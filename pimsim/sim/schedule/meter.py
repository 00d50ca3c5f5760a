"""The meter as compiled code reads it (`compiled.layout`)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np

from pimsim.dram.engine import Ints
from pimsim.sim.schedule.compiled import layout as k

# Buckets of the meter: a window has at least so many, and it keeps so many, a power of 2.
WINDOW_BUCKETS, METER_BUCKETS = 4, 1 << 12


def new_meter(commands: int, window: int = 0, costs: Sequence[int] = ()) -> Ints:
    """A meter of windows of so many clocks; without one nothing is metered."""
    buckets = k.G_COSTS + commands
    meter = np.zeros(buckets + (METER_BUCKETS if window else 1), np.int64)
    meter[k.G_BUCKETS] = buckets
    if window:
        shift = max(window // WINDOW_BUCKETS, 1).bit_length() - 1
        meter[[k.G_SHIFT, k.G_FULL, k.G_PART]] = shift, window >> shift, window & ((1 << shift) - 1)
        meter[k.G_COSTS : buckets] = costs
    return meter


def largest_window(meter: Ints) -> Fraction:
    """The largest sum of a window so far."""
    return Fraction(int(meter[k.G_MOST]), 1 << int(meter[k.G_SHIFT]))
