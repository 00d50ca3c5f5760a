"""The stretches in which a part of the ASIC is taken."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.numbers import NEVER
from pimsim.sim.schedule.compiled.layout import C_TAKEN


@jit
def _note_worked(worked, begin, end):
    """Note a stretch of work for those who watch; worked[0, 0] counts them."""
    if worked is None:
        return
    n = worked[0, 0]
    if n > 0 and worked[n, 1] == begin:
        worked[n, 1] = end
    else:
        worked[n + 1, 0], worked[n + 1, 1] = begin, end
        worked[0, 0] = n + 1


@jit
def first_place(calendar, clock, part, ready):
    """The first stretch that a part of the ASIC works in at or after `ready`."""
    at = clock[C_TAKEN + part]
    while at > 0 and calendar[at - 1, 1] >= ready:
        at -= 1
    return at


@jit
def take(calendar, clock, part, at, ready, clocks, worked):
    """Take the first free clocks of a part of the ASIC from `ready` on; return where, the first one, and the end.

    calendar (n, 2): the stretches that are taken, in order, with a free clock between any two.
    at: no stretch before it ends at `ready` or later.  What is taken, and all between it, is
    one stretch.
    """
    taken = clock[C_TAKEN + part]
    while at < taken and calendar[at, 1] < ready:
        at += 1
    if at == taken:  # nothing is taken from there on
        _note_worked(worked, ready, ready + clocks)
        calendar[at, 0], calendar[at, 1] = ready, ready + clocks
        clock[C_TAKEN + part] = taken + 1
        return at, ready, ready + clocks
    k, t, left = at, ready, clocks
    begin: Any = NEVER
    while True:
        free = calendar[k, 0] - t if k < taken else left
        if free > 0:
            some = min(free, left)
            begin = t if begin == NEVER else begin
            _note_worked(worked, t, t + some)
            left -= some
            t += some
        if left == 0:
            break
        t = calendar[k, 1]
        k += 1
    low, high = ready, t
    if k > at:
        low = min(low, calendar[at, 0])
    if k < taken and calendar[k, 0] == t:
        high = calendar[k, 1]
        k += 1
    if k == at:
        for j in range(taken, at, -1):
            calendar[j, 0], calendar[j, 1] = calendar[j - 1, 0], calendar[j - 1, 1]
    elif k > at + 1:
        for j in range(k, taken):
            calendar[j - k + at + 1, 0], calendar[j - k + at + 1, 1] = calendar[j, 0], calendar[j, 1]
    calendar[at, 0], calendar[at, 1] = low, high
    clock[C_TAKEN + part] = taken + at + 1 - k
    return at, begin, t


@jit
def take_at_once(calendars, clock, part, ready, clocks, worked):
    """Take the first free clocks from `ready` on; return the first one, and the end."""
    if clocks == 0:
        return ready, ready
    calendar = calendars[part]
    _, begin, end = take(calendar, clock, part, first_place(calendar, clock, part, ready), ready, clocks, worked)
    return begin, end


@jit
def forget(calendar, clock, part, before):
    """Drop the stretches that end before a clock: nothing more can start there."""
    first = first_place(calendar, clock, part, before)
    if first > 0:
        for j in range(first, clock[C_TAKEN + part]):
            calendar[j - first, 0], calendar[j - first, 1] = calendar[j, 0], calendar[j, 1]
        clock[C_TAKEN + part] -= first
