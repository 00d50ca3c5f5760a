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
    A_COPIES,
    A_FIRST,
    A_FLOOR,
    A_LAST,
    ASIC_PARTS,
    C_ACCOUNTED,
    C_COPY,
    C_PART,
    C_SERIAL,
    C_STEP,
    C_TAKEN,
    E_CLOCKS,
    E_SINCE,
    I_BASES,
    I_CLOCKS,
    I_KIND,
    I_PROGRAM,
    I_SHIFT,
    I_SPENDS,
    P_COPIES,
    P_FIRST,
    P_LAST,
    P_PARTS,
    P_PLACES,
    P_STEPS,
    PARTS,
    READ_PORT,
    REST,
    WORK,
)
from pimsim.sim.schedule.compiled.meter import (
    G_FULL,
    has_room,
    lay_out,
    meter_of,
    note,
    pass_all,
    start_taking,
    take,
    take_none,
)


@jit
def _ready(after, times, i):
    """When what instruction i waits for is done."""
    t = NEVER
    for k in range(len(after[i])):
        if after[i, k] != NONE:
            t = max(t, times[after[i, k], T_END])
    return t


@jit
def _expose(exposed, clocks, step):
    """Count clocks of an instruction outside of the channels."""
    if clocks > 0:
        exposed[E_CLOCKS] += clocks
        exposed[E_SINCE] = step if exposed[E_SINCE] == NONE else exposed[E_SINCE]


@entry
def run_block(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, parts, times, clock, calendars,
    options, totals, exposed, reached, ends, log, worked, scratch, meter, part,
):  # fmt: skip
    """Carry out the steps of a block, from where `clock` stands to where `part` says; return the log rows.

    It ends early before a copy for which a calendar has less than P_PLACES places, or the meter no room for
    its notes: `clock` then stands there.

    states (channels, n) is updated in place; channel c has the state of owners[c] <= c.
    A step is its parts (p, 4), one after the other: instructions first to before last, for so many copies.
    Instruction i of step k is steps[k, i].  It has each channel run the rows spans[j, channel] of
    `program` (empty: it rests), which are program numbers[j, channel] (0: one that is not
    remembered), j = I_PROGRAM, every linear column of the array shifted by bases[I_BASES, copy] +
    I_SHIFT; or is work of the ASIC, or of what is outside; or has all channels, none of them folded, refresh until
    a clock.
    marks[j, channel] are the rows, counted from the first, whose first data are: the first
    partial sums that there is something to add to, the first complete results, the first of
    the last part (-1: none).
    after (n, m) are the instructions it waits for (n: what came before the copy; one that comes later: as it was in the
    copy before; -1: no more), feeds
    the programs whose results ASIC work streams with; times (n + 1, 5) their moments; clock =
    (accounted, serial, next step, part and copy, stretches taken of each part), calendars those.
    options = (stepped, fold, log low, log high).  totals (n, ...) collects the commands and
    open clocks of all channels and the charges, of clocks from `accounted` on, of the channel
    that ends last; exposed (n, 2) the clocks that an instruction adds outside of the channels, and
    the first step in which it does; reached (steps,) receives the clocks accounted for at the end of each;
    ends (channels,) the data end of each channel.  meter: what is spent, and the largest
    sum of a window (complete once the channels have rested), or notes of what each instruction took.
    With a log a call must be of one instruction: if its rows do not fit, nothing is changed and their
    number comes back negative; `worked` then receives the stretches in which the ASIC's units worked for it.
    """
    return _run_block(
        table_of(constant(d)), view(states), view(owners), constant(program), constant(spans), constant(marks),
        constant(numbers), constant(bases), constant(steps), constant(after), constant(feeds), constant(parts),
        view(times), view(clock), view(calendars), constant(options), view(totals), view(exposed), view(reached),
        view(ends), view(log), view(worked), view(scratch), view(meter), constant(part),
    )  # fmt: skip


@jit
def _run_block(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, parts, times, clock, calendars,
    options, totals, exposed, reached, ends, log, worked, room, counter, part,
):  # fmt: skip
    scratch, meter, logged = scratch_of(room), meter_of(counter), ZERO
    n = len(times) - 1
    for step in range(clock[C_STEP], part[P_STEPS]):
        for k in range(clock[C_PART], part[P_PARTS]):
            first, last, floor = parts[k, A_FIRST], parts[k, A_LAST], parts[k, A_FLOOR]
            copies = min(parts[k, A_COPIES], part[P_COPIES]) if first < last else 0
            for copy in range(clock[C_COPY], copies):
                clock[C_STEP], clock[C_PART], clock[C_COPY] = step, k, copy
                enough = part[P_FIRST] > first or _makes_room(calendars, clock, times[floor, T_END], part[P_PLACES])
                if not enough or not has_room(meter, last - first):
                    settle_all(d, states, owners, scratch)
                    return logged
                logged = _carry_out(
                    d, states, owners, program, spans, marks, numbers, bases, steps[step], after, feeds, times, clock,
                    calendars, options, totals, exposed, ends, log, worked, scratch, meter, step, copy,
                    max(first, part[P_FIRST]), min(last, part[P_LAST]),
                )  # fmt: skip
                if logged < 0:
                    return logged
                if part[P_LAST] >= last:
                    for moment in range(MOMENTS):
                        times[n, moment] = times[last - 1, moment]
            clock[C_COPY] = 0
        clock[C_PART] = 0
        reached[step] = clock[C_ACCOUNTED]
    clock[C_STEP] = part[P_STEPS]
    settle_all(d, states, owners, scratch)
    return logged


@jit
def _makes_room(calendars, clock, before, places):
    """Drop what ended before a clock from the calendars; whether each then has so many places."""
    room = len(calendars[0])
    for k in range(PARTS):
        forget(calendars[k], clock, k, before)
        room = min(room, len(calendars[0]) - clock[C_TAKEN + k])
    return room >= places


@jit
def _carry_out(
    d, states, owners, program, spans, marks, numbers, bases, steps, after, feeds, times, clock, calendars, options,
    totals, exposed, ends, log, worked, scratch, meter, step, copy, first, last,
):  # fmt: skip
    """Carry out instructions of one copy of a part of a step; return the log rows."""
    logged, noted = ZERO, len(meter.notes)
    metered = meter.reg[G_FULL] + noted > 0
    for i in range(first, last):
        line = steps[i]
        accounted = clock[C_ACCOUNTED]
        start = accounted if clock[C_SERIAL] else _ready(after, times, i)
        if line[I_KIND] == REST:
            logged = rest_channels(d, states, line[I_CLOCKS], options, totals[i], log, scratch)
            if logged < 0:
                return logged
            pass_all(meter)
            continue
        begin = end = start
        spent, since = line[I_SPENDS], NEVER
        if line[I_KIND] == WORK:
            j = line[I_PROGRAM]
            for k in range(MOMENTS):
                times[i, k] = start
            if metered:
                start_taking(meter, totals[i])
                since = NEVER if clock[C_SERIAL] else latest_command(states, owners, spans[j])
            end, logged = run_program(
                d, states, owners, program, spans[j], marks[j], numbers[j], bases[line[I_BASES], copy] + line[I_SHIFT],
                start, max(start, accounted), options, totals[i], ends, times[i], log, scratch,
            )  # fmt: skip
            if logged < 0:
                return logged
            for k in range(READ_PORT, ASIC_PARTS):
                _, moved = take_at_once(calendars, clock, k, start, line[I_CLOCKS + k], None)
                if moved > end:  # the SRAM takes longer to supply the vector or to store the results
                    _expose(exposed[i], moved - max(end, accounted), step)
                    end = moved
            if metered:
                spent += take(meter, totals[i])
        else:
            take_none(meter)
            begin, end = arithmetic(steps, feeds, after, times, calendars, clock, worked, i, start)
            _expose(exposed[i], end - accounted, step)
        if noted > 0:
            note(meter, line[I_SPENDS], min(max(begin, since), end), end)
        elif metered and spent > 0:
            lay_out(meter, spent, min(max(begin, since), end), end)
        clock[C_ACCOUNTED] = max(accounted, end)
        times[i, T_BEGIN], times[i, T_END] = begin, end
    return logged
