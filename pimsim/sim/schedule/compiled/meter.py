"""The largest sum that instructions spend in any window of clocks."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.layout import ZERO
from pimsim.sim.schedule.compiled.layout import G_BUCKETS, G_FIRST, G_FULL, G_LAST, G_MOST, G_PART, G_SHIFT, G_SUM


@jit
def _pass_buckets(m, until):
    """Nothing more is laid out before bucket `until`: look at the windows that are complete."""
    ring, full, part, shift, mask = m[G_BUCKETS], m[G_FULL], m[G_PART], m[G_SHIFT], len(m) - m[G_BUCKETS] - 1
    most, total = m[G_MOST], m[G_SUM]
    for k in range(m[G_FIRST], until):
        gone = ring + ((k - full) & mask)
        new, old = m[ring + (k & mask)], m[gone]
        most = max(most, (total << shift) + part * new)  # begins where a bucket does
        total += new - old
        most = max(most, (total << shift) + part * old)  # ends where a bucket does
        m[gone] = 0
    m[G_FIRST], m[G_SUM], m[G_MOST] = max(m[G_FIRST], until), total, most


@jit
def lay_out(m, spent, begin, end):
    """Lay `spent` out evenly from `begin` to `end`; what lies before the oldest bucket goes there."""
    ring, shift, mask = m[G_BUCKETS], m[G_SHIFT], len(m) - m[G_BUCKETS] - 1
    begin = max(begin, m[G_FIRST] << shift)
    end = max(end, begin + 1)
    k, last = begin >> shift, (end - 1) >> shift
    m[G_LAST] = max(m[G_LAST], last)
    each, left = ZERO, spent
    if k < last:
        each = spent // (end - begin)
        left = spent - each * (end - begin)
    while True:
        if k - m[G_FIRST] > mask - m[G_FULL]:
            _pass_buckets(m, k - (mask - m[G_FULL]) // 2)
        stop = min((k + 1) << shift, end)
        m[ring + (k & mask)] += each * (stop - begin) + left
        if k == last:
            return
        begin, left = stop, ZERO
        k += 1


@jit
def pass_all(m):
    """The run is over: no bucket grows any more."""
    if m[G_FULL] > 0:
        _pass_buckets(m, m[G_LAST] + m[G_FULL] + 2)
