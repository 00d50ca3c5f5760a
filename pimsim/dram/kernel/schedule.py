"""When an instruction may start, and what the ASIC does when; `sim.schedule` says the same in plain Python."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import entry, jit, table, view
from pimsim.dram.kernel.channels import rest_channels, run_channels, run_logged
from pimsim.dram.kernel.layout import (
    ASIC_PARTS,
    C_ACCOUNTED,
    C_COPY,
    C_SERIAL,
    C_TAKEN,
    FAR_AWAY,
    G_BUCKETS,
    G_COSTS,
    G_FIRST,
    G_FULL,
    G_LAST,
    G_MOST,
    G_PART,
    G_SHIFT,
    G_SUM,
    H_CAUSES,
    H_CMDS,
    I_CLOCKS,
    I_FEED,
    I_FEEDS,
    I_FROM,
    I_KIND,
    I_PARTS,
    I_PORTIONS,
    I_SPENDS,
    I_TAIL,
    MOMENTS,
    NEVER,
    NONE,
    ONE,
    R_CLK,
    READ_PORT,
    REST,
    T_BEGIN,
    T_END,
    T_LAST,
    UNITS,
    WORK,
    ZERO,
)  # fmt: skip
from pimsim.dram.kernel.outcomes import settle


@jit
def _ready(after, times, i):
    """When what instruction i waits for is done."""
    t = NEVER
    for k in range(len(after[i])):
        if after[i, k] != NONE:
            t = max(t, times[after[i, k], T_END])
    return t


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
def _first_place(calendar, clock, part, ready):
    """The first stretch that a part of the ASIC works in at or after `ready`."""
    at = clock[C_TAKEN + part]
    while at > 0 and calendar[at - 1, 1] >= ready:
        at -= 1
    return at


@jit
def _take(calendar, clock, part, at, ready, clocks, worked):
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
def _take_at_once(calendars, clock, part, ready, clocks, worked):
    """Take the first free clocks from `ready` on; return the first one, and the end."""
    if clocks == 0:
        return ready, ready
    calendar = calendars[part]
    _, begin, end = _take(calendar, clock, part, _first_place(calendar, clock, part, ready), ready, clocks, worked)
    return begin, end


@jit
def _forget(calendar, clock, part, before):
    """Drop the stretches that end before a clock: nothing more can start there."""
    first = _first_place(calendar, clock, part, before)
    if first > 0:
        for j in range(first, clock[C_TAKEN + part]):
            calendar[j - first, 0], calendar[j - first, 1] = calendar[j, 0], calendar[j, 1]
        clock[C_TAKEN + part] -= first


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
                    at = _first_place(calendar, clock, UNITS, arrived)
                at, start, end = _take(calendar, clock, UNITS, at, arrived, some, worked)
                begin, done = start if begin == NEVER else begin, done + some
    return since, begin, end


@jit
def _arithmetic(steps, feeds, after, times, calendars, clock, worked, i, start):
    """ASIC work that all is there for at `start`; return when it begins, and when it ends.

    The units and both SRAM ports work side by side; it ends when all three are done.
    """
    step = steps[i]
    if step[I_FEEDS] == 0:
        begin, end = _take_at_once(calendars, clock, UNITS, start, step[I_CLOCKS], worked)
        for part in range(READ_PORT, ASIC_PARTS):
            _, moved = _take_at_once(calendars, clock, part, start, step[I_CLOCKS + part], None)
            end = max(end, moved)
        return begin, end
    floor = _floor(steps, feeds, after, times, i)
    since, begin, end = _stream(step, feeds, times, calendars[UNITS], clock, floor, start, worked)
    for part in range(READ_PORT, ASIC_PARTS):
        last = step[I_CLOCKS + part] * step[I_TAIL] // step[I_CLOCKS]
        _take_at_once(calendars, clock, part, since, step[I_CLOCKS + part] - last, None)
        _, moved = _take_at_once(calendars, clock, part, start, last, None)
        end = max(end, moved)
    return begin, end


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
def _lay_out(m, spent, begin, end):
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
def _pass_all(m):
    """The run is over: no bucket grows any more."""
    if m[G_FULL] > 0:
        _pass_buckets(m, m[G_LAST] + m[G_FULL] + 2)


@jit
def _spent(d, m, totals):
    """What the commands that are counted in `totals` spend."""
    spent = ZERO
    for k in range(d[H_CMDS]):
        spent += totals[k] * m[G_COSTS + k]
    return spent


@jit
def _latest_command(states, owners, spans):
    """When the first of the channels that have something to do next issued its latest command."""
    clk = FAR_AWAY
    for channel in range(len(owners)):
        if spans[channel, 0] < spans[channel, 1]:
            clk = min(clk, states[owners[channel], R_CLK])
    return clk


@entry
def run_block(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, times, clock, calendars, options,
    totals, exposed, ends, log, worked, scratch, meter, part,
):  # fmt: skip
    """Carry out instructions part[2]..part[3] for each copy part[0]..part[1] of a block; return the log rows.

    It ends early at a copy for which a calendar has less than part[4] places.

    states (channels, n) is updated in place; channel c has the state of owners[c] <= c.
    Instruction i has each channel run the rows spans[i, channel] of `program` (empty: it
    rests), which are program numbers[i, channel] (0: one that is not remembered), every
    linear column of the array shifted by bases[i, copy]; or is ASIC work; or has all
    channels, none of them folded, refresh until a clock.
    marks[i, channel] are the rows, counted from the first, whose first data are: the first
    partial sums that there is something to add to, the first complete results, the first of
    the last part (-1: none).
    after (n, m) are the instructions it waits for (n: what came before; -1: no more), feeds
    the programs whose results ASIC work streams with; times (n + 1, 5) their moments; clock =
    (accounted, serial, next copy, stretches taken of each part of the ASIC), calendars those.
    options = (stepped, fold, log low, log high).  totals (n, ...) collects the commands and
    open clocks of all channels and the charges, of clocks from `accounted` on, of the channel
    that ends last; exposed (n,) the clocks that an instruction adds outside of the channels;
    ends (channels,) receives the data end of each channel.  meter: what is spent, and the largest
    sum of a window (complete once the channels have rested).  With a log a part must be one
    instruction: if its rows do not fit, nothing is changed and their number comes back
    negative; `worked` then receives the stretches in which the ASIC's units worked for it.
    """
    return _run_block(
        table(d), view(states), view(owners), table(program), table(spans), table(marks), table(numbers),
        table(bases), table(steps), table(after), table(feeds), view(times), view(clock), view(calendars),
        table(options), view(totals), view(exposed), view(ends), view(log), view(worked), view(scratch), view(meter),
        table(part),
    )  # fmt: skip


@jit
def _run_block(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, times, clock, calendars, options,
    totals, exposed, ends, log, worked, scratch, meter, part,
):  # fmt: skip
    n = len(steps)
    charges, _, (_, _, _, outcomes, _, _, _, _, _), _, _ = scratch
    logged, metered = ZERO, meter[G_FULL] > 0
    for copy in range(part[0], part[1]):
        if part[2] == 0:
            clock[C_COPY] = copy
            room = len(calendars[0])
            for k in range(ASIC_PARTS):
                _forget(calendars[k], clock, k, times[n, T_END])
                room = min(room, len(calendars[0]) - clock[C_TAKEN + k])
            if room < part[4]:
                break
        for i in range(part[2], part[3]):
            step = steps[i]
            accounted = clock[C_ACCOUNTED]
            start = accounted if clock[C_SERIAL] else _ready(after, times, i)
            if step[I_KIND] == REST:
                logged = rest_channels(d, states, step[I_CLOCKS], options, totals[i], log, scratch)
                if logged < 0:
                    return logged
                _pass_all(meter)
                continue
            begin = end = start
            spent, since = step[I_SPENDS], NEVER
            if step[I_KIND] == WORK:
                for k in range(MOMENTS):
                    times[i, k] = start
                if metered:
                    spent -= _spent(d, meter, totals[i])
                    since = NEVER if clock[C_SERIAL] else _latest_command(states, owners, spans[i])
                if log is None:
                    critical = run_channels(
                        d, states, owners, program, spans[i], marks[i], numbers[i], bases[i, copy], start,
                        max(start, accounted), options, totals[i], ends, times[i], scratch,
                    )  # fmt: skip
                else:
                    critical, logged = run_logged(
                        d, states, program, spans[i], marks[i], bases[i, copy], start, max(start, accounted), options,
                        totals[i], ends, times[i], log, scratch,
                    )  # fmt: skip
                    if logged < 0:
                        return logged
                if critical >= 0:
                    end = ends[critical]
                    for k in range(d[H_CAUSES]):
                        totals[i, d[H_CMDS] + 1 + k] += charges[critical, k]
                for k in range(READ_PORT, ASIC_PARTS):
                    _, moved = _take_at_once(calendars, clock, k, start, step[I_CLOCKS + k], None)
                    if moved > end:  # the SRAM takes longer to supply the vector or to store the results
                        exposed[i] += max(moved - max(end, accounted), 0)
                        end = moved
                if metered:
                    spent += _spent(d, meter, totals[i])
            else:
                begin, end = _arithmetic(steps, feeds, after, times, calendars, clock, worked, i, start)
                exposed[i] += max(end - accounted, 0)
            if metered and spent > 0:
                _lay_out(meter, spent, min(max(begin, since), end), end)
            clock[C_ACCOUNTED] = max(accounted, end)
            times[i, T_BEGIN], times[i, T_END] = begin, end
        if part[3] == n:
            for k in range(MOMENTS):
                times[n, k] = times[n - 1, k]
        clock[C_COPY] = copy + 1
    for channel in range(len(owners)):
        if owners[channel] == channel:
            settle(d, states[channel], outcomes)
    return logged
