"""Loops whose relative state repeats: moved ahead by whole periods, up to the next refresh."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.arrays import copy
from pimsim.dram.kernel.layout import (
    H_BANKS,
    H_CAUSES,
    H_CMDS,
    H_DEPTH,
    H_MODE,
    H_WINDOWS,
    HASH,
    M_CLK,
    M_CMD,
    M_CURSOR,
    M_END,
    M_FAR,
    M_FIRST,
    M_KEYS,
    M_LENGTH,
    M_LEVEL,
    M_LOGGED,
    M_MODE,
    M_MOVES,
    M_OPEN,
    M_PREV,
    M_REFRESHES,
    M_SINCE,
    NEVER,
    NO_REFRESH,
    O_CHARGED,
    O_DEPTH,
    O_LATENCY,
    O_PENDING,
    O_RECENT,
    O_ROW,
    O_TIMES,
    R_CLK,
    R_DUE,
    R_FAR,
    R_LEVEL,
    R_MODE,
    R_OPEN,
    R_SINCE,
    W_COUNTS,
    W_CURSOR,
    W_END,
    W_HIGH,
    W_LOGGED,
    W_LOW,
    W_PREV,
    W_REFRESHES,
    ZERO,
)  # fmt: skip
from pimsim.dram.kernel.log import copy_log
from pimsim.dram.kernel.timing import times_bound


@jit
def snapshot(d, s, w, memory, row):
    """Remember everything that decides what comes next: times relative to the latest clock, rows to `row`.

    Times that no longer bind count as 0: they bind nothing later either.
    """
    clk = s[R_CLK]
    memory[M_CLK] = clk
    memory[M_REFRESHES] = w[W_REFRESHES]
    memory[M_LOGGED] = w[W_LOGGED]
    memory[M_SINCE] = clk - s[R_SINCE]
    memory[M_OPEN] = s[R_OPEN]
    memory[M_LEVEL] = s[R_LEVEL] - row if s[R_LEVEL] >= 0 else NEVER
    memory[M_END] = w[W_END] - clk
    memory[M_CURSOR] = w[W_CURSOR] - clk
    memory[M_PREV] = w[W_PREV]
    memory[M_MODE] = s[R_MODE]
    memory[M_FAR] = times_bound(d, s, clk)
    at = M_FIRST
    for k in range(d[H_CMDS] + 1):
        memory[at + k] = w[W_COUNTS + k]
    at += d[H_CMDS] + 1
    for k in range(d[H_CAUSES]):
        memory[at + k] = w[d[O_CHARGED] + k]
        memory[at + d[H_CAUSES] + k] = w[d[O_PENDING] + k]
    at += 2 * d[H_CAUSES]
    for x in range(d[H_WINDOWS]):
        for k in range(d[d[O_DEPTH] + x]):
            memory[at] = max(s[d[O_RECENT] + x * d[H_DEPTH] + k] + d[d[O_LATENCY] + x] - clk, 0)
            at += 1
    if s[R_LEVEL] < 0:
        for k in range(d[H_BANKS]):
            memory[at + k] = s[d[O_ROW] + k] - row if s[d[O_ROW] + k] >= 0 else NEVER
    at += d[H_BANKS]
    for k in range(memory[M_FAR]):
        memory[at + k] = max(s[d[O_TIMES] + k] - clk, 0)


@jit
def _matches(d, s, w, memory, row):
    """True if the state equals the remembered one, moved on in time and in rows."""
    clk = s[R_CLK]
    if memory[M_OPEN] != s[R_OPEN] or memory[M_PREV] != w[W_PREV] or memory[M_FAR] != times_bound(d, s, clk):
        return False
    if memory[M_END] != w[W_END] - clk or memory[M_CURSOR] != w[W_CURSOR] - clk or memory[M_MODE] != s[R_MODE]:
        return False
    if memory[M_LEVEL] != (s[R_LEVEL] - row if s[R_LEVEL] >= 0 else NEVER):
        return False
    at = M_FIRST + d[H_CMDS] + 1 + d[H_CAUSES]
    for k in range(d[H_CAUSES]):
        if memory[at + k] != w[d[O_PENDING] + k]:
            return False
    at += d[H_CAUSES]
    for x in range(d[H_WINDOWS]):
        for k in range(d[d[O_DEPTH] + x]):
            if memory[at] != max(s[d[O_RECENT] + x * d[H_DEPTH] + k] + d[d[O_LATENCY] + x] - clk, 0):
                return False
            at += 1
    if s[R_LEVEL] < 0:
        for k in range(d[H_BANKS]):
            if memory[at + k] != (s[d[O_ROW] + k] - row if s[d[O_ROW] + k] >= 0 else NEVER):
                return False
    at += d[H_BANKS]
    for k in range(memory[M_FAR]):
        if memory[at + k] != max(s[d[O_TIMES] + k] - clk, 0):
            return False
    return True


@jit
def _learn(d, s, w, memory, row):
    """True if the state is the remembered one again; `memory` then holds what the period did."""
    clk = s[R_CLK]
    moves = s[R_SINCE] != memory[M_CLK] - memory[M_SINCE]  # else a bank has been open all along
    if memory[M_REFRESHES] != w[W_REFRESHES] or not _matches(d, s, w, memory, row):
        return False
    if moves and s[R_OPEN] > 0 and clk - s[R_SINCE] != memory[M_SINCE]:
        return False
    memory[M_LENGTH] = clk - memory[M_CLK]
    memory[M_MOVES] = moves
    at = M_FIRST
    for k in range(d[H_CMDS] + 1):
        memory[at + k] = w[W_COUNTS + k] - memory[at + k]
    at += d[H_CMDS] + 1
    for k in range(d[H_CAUSES]):
        memory[at + k] = w[d[O_CHARGED] + k] - memory[at + k]
    return True


@jit
def _advance(d, s, w, memory, rows, periods):
    """Move on by up to `periods` of the remembered period; return by how many.

    Times, rows, counts and charges are linear in the number of periods as long as no
    refresh falls due, and a period is skipped only if its last command comes before one.
    """
    clk = s[R_CLK]
    if d[H_MODE] != NO_REFRESH:
        periods = min(periods, (s[R_DUE] - 1 - clk) // memory[M_LENGTH])
    if periods <= 0:
        return ZERO
    ahead = periods * memory[M_LENGTH]
    at = M_FIRST
    for k in range(d[H_CMDS] + 1):
        w[W_COUNTS + k] += periods * memory[at + k]
    at += d[H_CMDS] + 1
    for k in range(d[H_CAUSES]):
        w[d[O_CHARGED] + k] += periods * memory[at + k]
    for k in range(d[H_BANKS]):
        if s[d[O_ROW] + k] >= 0:
            s[d[O_ROW] + k] += periods * rows
    if s[R_LEVEL] >= 0:
        s[R_LEVEL] += periods * rows
    for k in range(times_bound(d, s, clk)):
        if s[d[O_TIMES] + k] > clk:
            s[d[O_TIMES] + k] += ahead
    for x in range(d[H_WINDOWS]):
        for k in range(d[d[O_DEPTH] + x]):
            if s[d[O_RECENT] + x * d[H_DEPTH] + k] + d[d[O_LATENCY] + x] > clk:
                s[d[O_RECENT] + x * d[H_DEPTH] + k] += ahead
    if memory[M_MOVES]:
        s[R_SINCE] += ahead
    if s[R_FAR] > clk:
        s[R_FAR] += ahead
    s[R_CLK] += ahead
    w[W_END] += ahead
    w[W_CURSOR] += ahead
    return periods


@jit
def _log_periods(d, s, w, log, memory, rows, most):
    """Log the periods that are about to be skipped; return how many may be."""
    length = memory[M_LENGTH]
    if d[H_MODE] != NO_REFRESH:
        most = min(most, (s[R_DUE] - 1 - s[R_CLK]) // length)
    stop = s[R_CLK] + most * length
    inside = memory[M_CLK] >= w[W_LOW] and stop < w[W_HIGH]
    outside = stop < w[W_LOW] or memory[M_CLK] >= w[W_HIGH]
    if most <= 0 or not (inside or outside):
        return ZERO  # the log's window sees whole periods or none
    copy_log(w, log, memory[M_LOGGED], most, length, rows)
    return most


@jit
def _slot(known, memory):
    """Where the period of the request in `memory` is kept, if it is known."""
    mixed = memory[M_CMD]
    for k in range(1, M_KEYS):
        mixed = (mixed * 31 + memory[k]) & HASH
    return mixed % len(known)


@jit
def _is_period(d, s, w, memory, period, row):
    """True if `period` is that of the request in `memory` and starts from the present state."""
    if period[M_LENGTH] <= 0:
        return False
    for k in range(M_KEYS):
        if period[k] != memory[k]:
            return False
    if not _matches(d, s, w, period, row):
        return False
    return not (period[M_MOVES] and s[R_OPEN] > 0 and s[R_CLK] - s[R_SINCE] != period[M_SINCE])


@jit
def skip(d, s, w, log, memory, known, seen, rows, row, most):
    """Skip periods of a loop that is at the start of one: by how many.

    memory holds the request, and its state a period ago if `seen`; what it teaches is
    `known` from then on, in later programs too (the log needs a period of its own).
    """
    slot = _slot(known, memory)
    if log is None and _is_period(d, s, w, memory, known[slot], row):
        return _advance(d, s, w, known[slot], rows, most)
    if not seen or not _learn(d, s, w, memory, row):
        return ZERO
    if log is not None:
        most = _log_periods(d, s, w, log, memory, rows, most)
    else:
        copy(known[slot], memory)
    return _advance(d, s, w, memory, rows, most)
