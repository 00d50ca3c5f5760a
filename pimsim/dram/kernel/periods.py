"""Loops whose relative state repeats: moved ahead by whole periods, up to the next refresh."""

from __future__ import annotations

from pimsim.dram.compiler import flat, jit, parts_of
from pimsim.dram.kernel.arrays import copy
from pimsim.dram.kernel.log import copy_log
from pimsim.dram.kernel.numbers import HASH, NEVER, NO_REFRESH, ZERO
from pimsim.dram.kernel.state import R_CLK, R_DUE, R_FAR, R_LEVEL, R_MODE, R_OPEN, R_SINCE
from pimsim.dram.kernel.timing import times_bound
from pimsim.dram.kernel.work import (
    W_AFTER,
    W_BEFORE,
    W_CURSOR,
    W_EARLIER,
    W_END,
    W_HIGH,
    W_LATER,
    W_LENGTH,
    W_LOGGED,
    W_LOW,
    W_MET,
    W_PERIOD,
    W_PREV,
    W_REFRESHES,
    W_SPREAD,
)
from pimsim.dram.records import Record

# What a period of a loop is recognised by: the request, then the state at its start, and how far it moves.
(
    M_CMD, M_STRIDE, M_USED, M_RES, M_COLUMN, M_KEYS,
) = range(6)  # fmt: skip
(
    M_CLK, M_REFRESHES, M_LOGGED, M_SINCE, M_END, M_CURSOR, M_PREV, M_OPEN, M_LEVEL, M_MODE, M_FAR, M_LENGTH, M_MOVES,
    PERIOD_REGISTERS,
) = range(M_KEYS, M_KEYS + 14)  # fmt: skip


class Period(Record):
    """What decides what comes next, then what a period did."""

    reg = (PERIOD_REGISTERS,)
    counts = ("counts",)  # as of `Work`
    charged = ("causes",)
    pending = ("causes",)
    rows = ("banks",)  # relative to that of the loop
    clocks = ("nodes", "commands")  # relative to the latest one
    recent = ("windows", "depth")


period_of = parts_of(Period)


@jit
def snapshot(d, s, w, memory, row):
    """Remember everything that decides what comes next: times relative to the latest clock, rows to `row`.

    Times that no longer bind count as 0: they bind nothing later either.
    """
    clk = s.reg[R_CLK]
    memory.reg[M_CLK] = clk
    memory.reg[M_REFRESHES] = w.reg[W_REFRESHES]
    memory.reg[M_LOGGED] = w.reg[W_LOGGED]
    memory.reg[M_SINCE] = clk - s.reg[R_SINCE]
    memory.reg[M_OPEN] = s.reg[R_OPEN]
    memory.reg[M_LEVEL] = s.reg[R_LEVEL] - row if s.reg[R_LEVEL] >= 0 else NEVER
    memory.reg[M_END] = w.reg[W_END] - clk
    memory.reg[M_CURSOR] = w.reg[W_CURSOR] - clk
    memory.reg[M_PREV] = w.reg[W_PREV]
    memory.reg[M_MODE] = s.reg[R_MODE]
    memory.reg[M_FAR] = times_bound(d, s, clk)
    copy(memory.counts, w.counts)
    copy(memory.charged, w.charged)
    copy(memory.pending, w.pending)
    for x in range(d.windows):
        for k in range(d.length[x]):
            memory.recent[x, k] = max(s.recent[x, k] + d.latency[x] - clk, 0)
    if s.reg[R_LEVEL] < 0:
        for k in range(d.banks):
            memory.rows[k] = s.rows[k] - row if s.rows[k] >= 0 else NEVER
    times, kept = flat(s.clocks), flat(memory.clocks)
    for k in range(memory.reg[M_FAR]):
        kept[k] = max(times[k] - clk, 0)


@jit
def _matches(d, s, w, memory, row):
    """True if the state equals the remembered one, moved on in time and in rows."""
    clk = s.reg[R_CLK]
    if memory.reg[M_OPEN] != s.reg[R_OPEN] or memory.reg[M_PREV] != w.reg[W_PREV]:
        return False
    if memory.reg[M_MODE] != s.reg[R_MODE] or memory.reg[M_FAR] != times_bound(d, s, clk):
        return False
    if memory.reg[M_END] != w.reg[W_END] - clk or memory.reg[M_CURSOR] != w.reg[W_CURSOR] - clk:
        return False
    if memory.reg[M_LEVEL] != (s.reg[R_LEVEL] - row if s.reg[R_LEVEL] >= 0 else NEVER):
        return False
    for k in range(d.causes):
        if memory.pending[k] != w.pending[k]:
            return False
    for x in range(d.windows):
        for k in range(d.length[x]):
            if memory.recent[x, k] != max(s.recent[x, k] + d.latency[x] - clk, 0):
                return False
    if s.reg[R_LEVEL] < 0:
        for k in range(d.banks):
            if memory.rows[k] != (s.rows[k] - row if s.rows[k] >= 0 else NEVER):
                return False
    times, kept = flat(s.clocks), flat(memory.clocks)
    for k in range(memory.reg[M_FAR]):
        if kept[k] != max(times[k] - clk, 0):
            return False
    return True


@jit
def _learn(d, s, w, memory, row):
    """True if the state is the remembered one again; `memory` then holds what the period did."""
    clk = s.reg[R_CLK]
    moves = s.reg[R_SINCE] != memory.reg[M_CLK] - memory.reg[M_SINCE]  # else a bank has been open all along
    if memory.reg[M_REFRESHES] != w.reg[W_REFRESHES] or not _matches(d, s, w, memory, row):
        return False
    if moves and s.reg[R_OPEN] > 0 and clk - s.reg[R_SINCE] != memory.reg[M_SINCE]:
        return False
    memory.reg[M_LENGTH] = clk - memory.reg[M_CLK]
    memory.reg[M_MOVES] = moves
    for k in range(d.commands + 1):
        memory.counts[k] = w.counts[k] - memory.counts[k]
    for k in range(d.causes):
        memory.charged[k] = w.charged[k] - memory.charged[k]
    return True


@jit
def _advance(d, s, w, memory, rows, periods):
    """Move on by up to `periods` of the remembered period; return by how many.

    Times, rows, counts and charges are linear in the number of periods as long as no
    refresh falls due, and a period is skipped only if its last command comes before one.
    """
    clk = s.reg[R_CLK]
    if d.refresh != NO_REFRESH:
        periods = min(periods, (s.reg[R_DUE] - 1 - clk) // memory.reg[M_LENGTH])
    if periods <= 0:
        return ZERO
    ahead = periods * memory.reg[M_LENGTH]
    for k in range(d.commands + 1):
        w.counts[k] += periods * memory.counts[k]
    for k in range(d.causes):
        w.charged[k] += periods * memory.charged[k]
    for k in range(d.banks):
        if s.rows[k] >= 0:
            s.rows[k] += periods * rows
    if s.reg[R_LEVEL] >= 0:
        s.reg[R_LEVEL] += periods * rows
    times = flat(s.clocks)
    for k in range(times_bound(d, s, clk)):
        if times[k] >= clk:  # at the clock itself another bus may carry a command
            times[k] += ahead
    for x in range(d.windows):
        for k in range(d.length[x]):
            if s.recent[x, k] + d.latency[x] > clk:
                s.recent[x, k] += ahead
    if memory.reg[M_MOVES]:
        s.reg[R_SINCE] += ahead
    if s.reg[R_FAR] > clk:
        s.reg[R_FAR] += ahead
    s.reg[R_CLK] += ahead
    w.reg[W_END] += ahead
    w.reg[W_CURSOR] += ahead
    _note_skip(d, w, memory, periods)
    return periods


@jit
def begin_loop(w):
    """Nothing was skipped yet in a loop."""
    w.reg[W_MET] = w.reg[W_REFRESHES]
    w.reg[W_BEFORE] = w.reg[W_AFTER] = 0


@jit
def _note_skip(d, w, period, periods):
    """Note what was skipped right before the first refresh of a loop, and since the latest one."""
    if w.reg[W_REFRESHES] == w.reg[W_MET]:
        w.reg[W_BEFORE], w.reg[W_LENGTH] = periods, period.reg[M_LENGTH]
        copy(w.period_counts, period.counts)
        copy(w.period_charged, period.charged)
        return
    w.reg[W_AFTER] = 0
    if period.reg[M_LENGTH] != w.reg[W_LENGTH]:
        return
    for k in range(len(period.counts)):
        if period.counts[k] != w.period_counts[k]:
            return
    for k in range(len(period.charged)):
        if period.charged[k] != w.period_charged[k]:
            return
    w.reg[W_AFTER] = periods


@jit
def end_loop(w):
    """By how much the refreshes of a loop could have come earlier or later, and nothing else be different.

    Before the first and after the latest of them it repeats the same period: a refresh that
    comes a period later finds the same state, and leaves as many periods less to come.
    """
    refreshes = w.reg[W_REFRESHES] - w.reg[W_MET]
    if refreshes == 0 or w.reg[W_BEFORE] == 0 or w.reg[W_AFTER] == 0:
        return
    if w.reg[W_PERIOD] == 0:
        w.reg[W_PERIOD] = w.reg[W_LENGTH]
    if w.reg[W_PERIOD] == w.reg[W_LENGTH]:
        w.reg[W_EARLIER] = min(w.reg[W_EARLIER], w.reg[W_BEFORE])
        w.reg[W_LATER] = min(w.reg[W_LATER], w.reg[W_AFTER])
        w.reg[W_SPREAD] += refreshes


@jit
def _log_periods(d, s, w, log, memory, rows, most):
    """Log the periods that are about to be skipped; return how many may be."""
    length = memory.reg[M_LENGTH]
    if d.refresh != NO_REFRESH:
        most = min(most, (s.reg[R_DUE] - 1 - s.reg[R_CLK]) // length)
    stop = s.reg[R_CLK] + most * length
    inside = memory.reg[M_CLK] >= w.reg[W_LOW] and stop < w.reg[W_HIGH]
    outside = stop < w.reg[W_LOW] or memory.reg[M_CLK] >= w.reg[W_HIGH]
    if most <= 0 or not (inside or outside):
        return ZERO  # the log's window sees whole periods or none
    copy_log(w, log, memory.reg[M_LOGGED], most, length, rows)
    return most


@jit
def _slot(known, memory):
    """Where the period of the request in `memory` is kept, if it is known."""
    mixed = memory.reg[M_CMD]
    for k in range(1, M_KEYS):
        mixed = (mixed * 31 + memory.reg[k]) & HASH
    return mixed % len(known)


@jit
def _is_period(d, s, w, memory, period, row):
    """True if `period` is that of the request in `memory` and starts from the present state."""
    if period.reg[M_LENGTH] <= 0:
        return False
    for k in range(M_KEYS):
        if period.reg[k] != memory.reg[k]:
            return False
    if not _matches(d, s, w, period, row):
        return False
    return not (period.reg[M_MOVES] and s.reg[R_OPEN] > 0 and s.reg[R_CLK] - s.reg[R_SINCE] != period.reg[M_SINCE])


@jit
def _keep(kept, memory):
    """Know a period from now on, in place of another one."""
    copy(kept.reg, memory.reg)
    copy(kept.counts, memory.counts)
    copy(kept.charged, memory.charged)
    copy(kept.pending, memory.pending)
    copy(kept.rows, memory.rows)
    copy(flat(kept.clocks), flat(memory.clocks))
    copy(flat(kept.recent), flat(memory.recent))


@jit
def skip(d, s, w, log, memory, known, seen, rows, row, most):
    """Skip periods of a loop that is at the start of one: by how many.

    memory holds the request, and its state a period ago if `seen`; what it teaches is
    `known` from then on, in later programs too (the log needs a period of its own).
    """
    kept = period_of(known[_slot(known, memory)])
    if log is None and _is_period(d, s, w, memory, kept, row):
        return _advance(d, s, w, kept, rows, most)
    if not seen or not _learn(d, s, w, memory, row):
        return ZERO
    if log is not None:
        most = _log_periods(d, s, w, log, memory, rows, most)
    else:
        _keep(kept, memory)
    return _advance(d, s, w, memory, rows, most)
