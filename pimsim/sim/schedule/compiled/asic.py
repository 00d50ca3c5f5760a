"""What the ASIC does when: work on whole operands, and on results as they arrive."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.numbers import NEVER, NONE, ONE, ZERO
from pimsim.dram.kernel.work import T_END, T_LAST
from pimsim.sim.schedule.compiled.calendar import first_place, take, take_at_once
from pimsim.sim.schedule.compiled.layout import (
    ASIC_PARTS,
    I_CLOCKS,
    I_FEED,
    I_FEEDS,
    I_FROM,
    I_PARTS,
    I_PORTIONS,
    I_TAIL,
    I_WHERE,
    READ_PORT,
    UNITS,
)


@jit
def _floor(steps, feeds, after, times, i):
    """When what instruction i reads besides the results that it streams with is there."""
    t = NEVER
    last = feeds[steps[i, I_FEED] + steps[i, I_FEEDS] - 1]
    for k in range(len(after[i])):
        j = after[i, k]
        if j == NONE:
            break
        if j == last:
            continue
        if j < len(steps) and steps[j, I_FEEDS] and feeds[steps[j, I_FEED] + steps[j, I_FEEDS] - 1] == last:
            continue  # it streams with the same results, and goes first
        t = max(t, times[j, T_END])
    return t


@jit
def _stream(step, feeds, times, calendar, clock, floor, ready, worked):
    """Take clocks for results as they arrive; return when the first portion is there, the first clock, and the end.

    Portion by portion, each as soon as it is there and the units are free.
    The results of a program come in equal parts: all but the last evenly from `step[I_FROM]` to
    T_LAST, the last until T_END.  The last portion is what the last results need, and waits for all.
    """
    flow = step[I_CLOCKS] - step[I_TAIL]
    early = (step[I_PARTS] - 1) * step[I_PORTIONS]
    others = step[I_FEEDS] * (early + step[I_PORTIONS]) - 1
    whole, rest = flow // max(others, 1), flow % max(others, 1)
    n, done, over, arrived, since, at, begin, end = ZERO, ZERO, others - 1, NEVER, NEVER, NONE, NEVER, ready
    for f in range(step[I_FEED], step[I_FEED] + step[I_FEEDS]):
        p = feeds[f]
        for ramp in range(2):
            there, span, count, gaps = times[p, T_LAST], times[p, T_END], step[I_PORTIONS], step[I_PORTIONS] - 1
            if ramp == 0:
                there, span, count, gaps = times[p, step[I_FROM]], times[p, T_LAST], early, early
            elif gaps == 0:
                there, gaps = span, ONE
            span -= there
            stride, odd, odds = span // max(gaps, 1), span % max(gaps, 1), ZERO
            for _ in range(count):
                arrived = max(arrived, floor, there)
                since = arrived if n == 0 else since
                there, odds = there + stride, odds + odd
                if odds >= gaps:
                    there, odds = there + 1, odds - gaps
                n, over = n + 1, over + rest
                some = whole
                if n > others:
                    arrived, some = max(arrived, ready), step[I_CLOCKS] - done
                elif over >= others:
                    over, some = over - others, whole + 1
                if some == 0:
                    continue
                if at == NONE:
                    at = first_place(calendar, clock, UNITS, arrived)
                at, start, end = take(calendar, clock, UNITS, at, arrived, some, worked)
                begin, done = start if begin == NEVER else begin, done + some
    return since, begin, end


@jit
def arithmetic(steps, feeds, after, times, calendars, clock, worked, i, start):
    """ASIC work that all is there for at `start`; return when it begins, and when it ends.

    The units, or what is outside in their place, and both SRAM ports work side by side; it ends when all three are
    done.
    """
    step = steps[i]
    if step[I_FEEDS] == 0:
        begin, end = take_at_once(calendars, clock, step[I_WHERE], start, step[I_CLOCKS], worked)
        for part in range(READ_PORT, ASIC_PARTS):
            _, moved = take_at_once(calendars, clock, part, start, step[I_CLOCKS + part], None)
            end = max(end, moved)
        return begin, end
    floor = _floor(steps, feeds, after, times, i)
    since, begin, end = _stream(step, feeds, times, calendars[UNITS], clock, floor, start, worked)
    for part in range(READ_PORT, ASIC_PARTS):
        last = step[I_CLOCKS + part] * step[I_TAIL] // step[I_CLOCKS]
        take_at_once(calendars, clock, part, since, step[I_CLOCKS + part] - last, None)
        _, moved = take_at_once(calendars, clock, part, start, last, None)
        end = max(end, moved)
    return begin, end
