"""Instructions one after the other: when each may start, and what its channels or the ASIC then do."""

from __future__ import annotations

from pimsim.dram.compiler import constant, entry, jit, view
from pimsim.dram.kernel.channels import latest_command, rest_channels, run_program, scratch_of, settle_all
from pimsim.dram.kernel.numbers import NEVER, NONE, ZERO
from pimsim.dram.kernel.table import table_of
from pimsim.dram.kernel.work import MOMENTS, T_BEGIN, T_END
from pimsim.sim.schedule.compiled.asic import arithmetic
from pimsim.sim.schedule.compiled.calendar import forget, take_at_once
from pimsim.sim.schedule.compiled.layout import (
    ASIC_PARTS,
    C_ACCOUNTED,
    C_COPY,
    C_SERIAL,
    C_TAKEN,
    I_CLOCKS,
    I_KIND,
    I_SPENDS,
    P_COPIES,
    P_COPY,
    P_FIRST,
    P_LAST,
    P_PLACES,
    READ_PORT,
    REST,
    WORK,
)
from pimsim.sim.schedule.compiled.meter import G_FULL, lay_out, meter_of, note, pass_all, start_taking, take, take_none


@jit
def _ready(after, times, i):
    """When what instruction i waits for is done."""
    t = NEVER
    for k in range(len(after[i])):
        if after[i, k] != NONE:
            t = max(t, times[after[i, k], T_END])
    return t


@entry
def run_block(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, times, clock, calendars, options,
    totals, exposed, ends, log, worked, scratch, meter, part,
):  # fmt: skip
    """Carry out instructions of a block, for copies of it: those of `part`; return the log rows.

    It ends early at a copy for which a calendar has less than P_PLACES places.

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
    sum of a window (complete once the channels have rested), or notes of what each instruction took.
    With a log a part must be one instruction: if its rows do not fit, nothing is changed and their
    number comes back negative; `worked` then receives the stretches in which the ASIC's units worked for it.
    """
    return _run_block(
        table_of(constant(d)), view(states), view(owners), constant(program), constant(spans), constant(marks),
        constant(numbers), constant(bases), constant(steps), constant(after), constant(feeds), view(times),
        view(clock), view(calendars), constant(options), view(totals), view(exposed), view(ends), view(log),
        view(worked), view(scratch), view(meter), constant(part),
    )  # fmt: skip


@jit
def _run_block(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, times, clock, calendars, options,
    totals, exposed, ends, log, worked, room, counter, part,
):  # fmt: skip
    n = len(steps)
    scratch, meter = scratch_of(room), meter_of(counter)
    logged, noted = ZERO, len(meter.notes)
    metered = meter.reg[G_FULL] + noted > 0
    first, last = part[P_FIRST], part[P_LAST]
    for copy in range(part[P_COPY], part[P_COPIES]):
        if first == 0:
            clock[C_COPY] = copy
            room = len(calendars[0])
            for k in range(ASIC_PARTS):
                forget(calendars[k], clock, k, times[n, T_END])
                room = min(room, len(calendars[0]) - clock[C_TAKEN + k])
            if room < part[P_PLACES]:
                break
        for i in range(first, last):
            step = steps[i]
            accounted = clock[C_ACCOUNTED]
            start = accounted if clock[C_SERIAL] else _ready(after, times, i)
            if step[I_KIND] == REST:
                logged = rest_channels(d, states, step[I_CLOCKS], options, totals[i], log, scratch)
                if logged < 0:
                    return logged
                pass_all(meter)
                continue
            begin = end = start
            spent, since = step[I_SPENDS], NEVER
            if step[I_KIND] == WORK:
                for k in range(MOMENTS):
                    times[i, k] = start
                if metered:
                    start_taking(meter, totals[i])
                    since = NEVER if clock[C_SERIAL] else latest_command(states, owners, spans[i])
                end, logged = run_program(
                    d, states, owners, program, spans[i], marks[i], numbers[i], bases[i, copy], start,
                    max(start, accounted), options, totals[i], ends, times[i], log, scratch,
                )  # fmt: skip
                if logged < 0:
                    return logged
                for k in range(READ_PORT, ASIC_PARTS):
                    _, moved = take_at_once(calendars, clock, k, start, step[I_CLOCKS + k], None)
                    if moved > end:  # the SRAM takes longer to supply the vector or to store the results
                        exposed[i] += max(moved - max(end, accounted), 0)
                        end = moved
                if metered:
                    spent += take(meter, totals[i])
            else:
                take_none(meter)
                begin, end = arithmetic(steps, feeds, after, times, calendars, clock, worked, i, start)
                exposed[i] += max(end - accounted, 0)
            if noted > 0:
                note(meter, step[I_SPENDS], min(max(begin, since), end), end)
            elif metered and spent > 0:
                lay_out(meter, spent, min(max(begin, since), end), end)
            clock[C_ACCOUNTED] = max(accounted, end)
            times[i, T_BEGIN], times[i, T_END] = begin, end
        if last == n:
            for k in range(MOMENTS):
                times[n, k] = times[n - 1, k]
        clock[C_COPY] = copy + 1
    settle_all(d, states, owners, scratch)
    return logged
