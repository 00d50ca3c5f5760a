"""The compiled channel engine: runs request programs, command by command or faster.

The only module that imports numba.  Everything it knows about a device comes in one
int64 table (`Engine` builds it from the constraint rows), so that a change of timing
never needs a recompile and numba's disk cache stays valid.

A constraint whose preceding or following command addresses all banks always binds, so
it is a channel-level gap; only single-bank pairs need state per bank and bank group.
State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd].

Shortcuts, all exact and all off in `stepped` mode:
- a run of equal commands inside a row is issued as one step, split where a refresh is due;
- a LOOP whose relative state repeats is moved ahead by whole periods, up to the next refresh;
- channels with equal state and equal program are computed once (`fold`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.spec import Effect, Needs, Scope

if TYPE_CHECKING:
    from pimsim.dram.timing import Device

Ints = NDArray[np.int64]


def _jit(function: Callable[..., Any], cache: bool = False) -> Callable[..., Any]:
    """numba.njit, or the plain function under NUMBA_DISABLE_JIT=1.

    The compiled code allocates nothing (scratch comes from `Engine`), so numba's
    reference counting is left out; with it every call of a helper costs ten times more.
    """
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return function
    import numba

    compiled: Callable[..., Any] = numba.njit(cache=cache, _nrt=False, no_cpython_wrapper=not cache, no_cfunc_wrapper=True)(function)
    return compiled


def _entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that Python calls: kept in numba's disk cache."""
    return _jit(function, cache=True)


# typed, so that numba compiles each function once and not once per literal
NONE = np.int64(-1)
NEVER = np.int64(-(1 << 60))
ZERO, ONE = np.int64(0), np.int64(1)
FOREVER = 1 << 60

# scopes
CHANNEL, BANK, ALL = 0, 1, 2
# roles
OPEN_BANK, OPEN_ALL, CLOSE_BANK, CLOSE_ALL, REFRESH_ALL, REFRESH_BANK = range(6)
# requests (program.py)
RUN, LOOP, OPEN, CLOSE, SCATTER = range(5)
# refresh modes
NO_REFRESH, ALL_BANK, PER_BANK = 0, 1, 2
# header of the table
(H_CMDS, H_GROUPS, H_PER_GROUP, H_COLUMNS, H_MODE, H_INTERVAL, H_CAUSES, H_WINDOWS, H_DEPTH) = range(9)
HEADER = 16
# registers of a channel's state
(R_DUE, R_TURN, R_CLK, R_OPEN, R_SINCE) = range(5)
REGISTERS = 8
# scratch of one program on one channel
(W_START, W_PREV, W_CURSOR, W_END, W_TAIL, W_LOGGED, W_REFRESHES, W_STEPPED, W_CHANNEL, W_LOW, W_HIGH) = range(11)
WORK = 12
# what a repeat is recognised by, before the vectors
(M_CLK, M_REFRESHES, M_LOGGED, M_SINCE, M_END, M_CURSOR, M_PREV, M_FIRST) = range(8)
# the log's columns
LOG_WIDTH = 6


class Tables(NamedTuple):
    """Views into the device table; shapes in commands (c), banks, windows (w)."""

    header: Any
    channel: Any  # (c, c) gap at channel level
    group: Any  # (c, c) gap of single-bank commands that share a bank group
    bank: Any  # (c, c) gap of single-bank commands that share a bank
    scope: Any  # (c,)
    needs_open: Any  # (c,)
    opens: Any  # (c,)
    closes: Any  # (c,)
    shows_column: Any  # (c,)
    completion: Any  # (c,)
    role: Any  # (6,)
    cause: Any  # (c + 1, c): by previous command (0: none) and command
    window_depth: Any  # (w,)
    window_latency: Any  # (w,)
    window_before: Any  # (w, c)
    window_after: Any  # (w, c)


class State(NamedTuple):
    """Views into one channel's state."""

    reg: Any  # registers
    row: Any  # (banks,) open row or -1
    times: Any  # all of next, bank and group, flat
    next: Any  # (c,) next-allowed clock at channel level
    bank: Any  # (banks, c)
    group: Any  # (groups, c)
    recent: Any  # (w, depth) clocks of the latest commands of each window, oldest first


class Tally(NamedTuple):
    """Where one program on one channel counts."""

    work: Any  # scratch registers
    counts: Any  # (c + 1,) commands, then clocks with a bank open
    charged: Any  # (causes,) clocks up to the data end so far
    pending: Any  # (causes,) clocks past it, kept only if a later command moves data
    log: Any  # (capacity, 6)


@_jit
def _tables(tab):
    c = tab[H_CMDS]
    causes_rows = c + 1
    w = tab[H_WINDOWS]
    at = HEADER
    channel = tab[at : at + c * c].reshape(c, c)
    at += c * c
    group = tab[at : at + c * c].reshape(c, c)
    at += c * c
    bank = tab[at : at + c * c].reshape(c, c)
    at += c * c
    scope = tab[at : at + c]
    needs_open = tab[at + c : at + 2 * c]
    opens = tab[at + 2 * c : at + 3 * c]
    closes = tab[at + 3 * c : at + 4 * c]
    shows_column = tab[at + 4 * c : at + 5 * c]
    completion = tab[at + 5 * c : at + 6 * c]
    at += 6 * c
    role = tab[at : at + 6]
    at += 6
    cause = tab[at : at + causes_rows * c].reshape(causes_rows, c)
    at += causes_rows * c
    window_depth = tab[at : at + w]
    window_latency = tab[at + w : at + 2 * w]
    at += 2 * w
    before = tab[at : at + w * c].reshape(w, c)
    at += w * c
    after = tab[at : at + w * c].reshape(w, c)
    return Tables(
        tab[:HEADER], channel, group, bank, scope, needs_open, opens, closes, shows_column, completion,
        role, cause, window_depth, window_latency, before, after,
    )  # fmt: skip


@_jit
def _state(tab, vector):
    c, groups, windows, depth = tab[H_CMDS], tab[H_GROUPS], tab[H_WINDOWS], tab[H_DEPTH]
    banks = groups * tab[H_PER_GROUP]
    at = REGISTERS
    row = vector[at : at + banks]
    at += banks
    times = vector[at : at + (1 + banks + groups) * c]
    nxt = vector[at : at + c]
    at += c
    bank = vector[at : at + banks * c].reshape(banks, c)
    at += banks * c
    group = vector[at : at + groups * c].reshape(groups, c)
    at += groups * c
    recent = vector[at : at + windows * depth].reshape(windows, depth)
    return State(vector[:REGISTERS], row, times, nxt, bank, group, recent)


@_jit
def _earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s.next[cmd]
    if d.scope[cmd] == BANK:
        t = max(t, s.bank[bank, cmd], s.group[bank // d.header[H_PER_GROUP], cmd])
    for w in range(d.window_depth.size):
        if d.window_after[w, cmd]:
            t = max(t, s.recent[w, 0] + d.window_latency[w])
    return t


@_jit
def _write_log(d, tally, cmd, bank, row, column, t):
    work, log = tally.work, tally.log
    if log.shape[0] == 0 or t < work[W_LOW] or t >= work[W_HIGH]:
        return
    at = work[W_LOGGED]
    if at < log.shape[0]:
        log[at, 0] = t
        log[at, 1] = work[W_CHANNEL]
        log[at, 2] = cmd
        log[at, 3] = bank
        log[at, 4] = row
        log[at, 5] = column
    work[W_LOGGED] = at + 1


@_jit
def _charge(tally, cause, t):
    """Charge the clocks since the cursor; those past the data end only provisionally."""
    work = tally.work
    cursor = work[W_CURSOR]
    if t <= cursor:
        return
    end = work[W_END]
    if end > cursor:
        tally.charged[cause] += min(t, end) - cursor
    if t > end:
        tally.pending[cause] += t - max(end, cursor)
    work[W_CURSOR] = t


@_jit
def _move_data(tally, cmd, until):
    """A command's data crosses the pins until `until`: everything pending was needed."""
    work = tally.work
    if until > work[W_END]:
        work[W_END] = until
        work[W_TAIL] = cmd
        for k in range(tally.pending.size):
            tally.charged[k] += tally.pending[k]
            tally.pending[k] = 0


@_jit
def _block(d, s, cmd, bank, t):
    """Raise the next-allowed clocks that `cmd` at clock t holds back."""
    for k in range(s.next.size):
        s.next[k] = max(s.next[k], t + d.channel[cmd, k])
    if d.scope[cmd] == BANK:
        group = bank // d.header[H_PER_GROUP]
        for k in range(s.next.size):
            s.bank[bank, k] = max(s.bank[bank, k], t + d.bank[cmd, k])
            s.group[group, k] = max(s.group[group, k], t + d.group[cmd, k])
    for w in range(d.window_depth.size):
        if d.window_before[w, cmd]:
            depth = d.window_depth[w]
            for k in range(depth - 1):
                s.recent[w, k] = s.recent[w, k + 1]
            s.recent[w, depth - 1] = t


@_jit
def _turn_banks(d, s, tally, cmd, bank, row, t):
    """Open or close the banks that `cmd` addresses; count the clocks with one open."""
    reg = s.reg
    was = reg[R_OPEN]
    if d.scope[cmd] == ALL:
        for b in range(s.row.size):
            s.row[b] = row if d.opens[cmd] else NONE
        reg[R_OPEN] = s.row.size if d.opens[cmd] else 0
    elif d.opens[cmd]:
        s.row[bank] = row
        reg[R_OPEN] += 1
    elif s.row[bank] >= 0:
        s.row[bank] = -1
        reg[R_OPEN] -= 1
    if was == 0 and reg[R_OPEN] > 0:
        reg[R_SINCE] = t
    elif was > 0 and reg[R_OPEN] == 0:
        tally.counts[s.next.size] += t - reg[R_SINCE]


@_jit
def _issue(d, s, tally, cmd, bank, row, column, t):
    """Put one command on the bus at clock t."""
    work = tally.work
    _charge(tally, d.cause[work[W_PREV] + 1, cmd], t)
    work[W_PREV] = cmd if t >= work[W_START] else NONE
    s.reg[R_CLK] = t
    tally.counts[cmd] += 1
    _block(d, s, cmd, bank, t)
    if d.opens[cmd] or d.closes[cmd]:
        _turn_banks(d, s, tally, cmd, bank, row, t)
    if d.completion[cmd] > 0:
        _move_data(tally, cmd, t + d.completion[cmd])
    _write_log(d, tally, cmd, bank, row if d.needs_open[cmd] or d.opens[cmd] else NONE, column, t)


@_jit
def _refresh(d, s, tally):
    """Close what is open and refresh, at the due clock or as soon after as the table allows."""
    reg = s.reg
    due = reg[R_DUE]
    tally.work[W_REFRESHES] += 1
    if d.header[H_MODE] == ALL_BANK:
        if reg[R_OPEN] > 0:
            shut = d.role[CLOSE_ALL]
            _issue(d, s, tally, shut, NONE, NONE, NONE, max(due, _earliest(d, s, shut, NONE)))
        cmd = d.role[REFRESH_ALL]
        _issue(d, s, tally, cmd, NONE, NONE, NONE, max(due, _earliest(d, s, cmd, NONE)))
    else:
        bank = reg[R_TURN]
        if s.row[bank] >= 0:
            shut = d.role[CLOSE_BANK]
            _issue(d, s, tally, shut, bank, NONE, NONE, max(due, _earliest(d, s, shut, bank)))
        cmd = d.role[REFRESH_BANK]
        _issue(d, s, tally, cmd, bank, NONE, NONE, max(due, _earliest(d, s, cmd, bank)))
        reg[R_TURN] = (bank + 1) % s.row.size
    reg[R_DUE] = due + d.header[H_INTERVAL]


@_jit
def _prepare(d, s, bank, row):
    """The next command that opening `row` needs, as (command, bank); (-1, -1) if it is open."""
    if bank >= 0:
        if s.row[bank] == row:
            return NONE, NONE
        if s.row[bank] >= 0:
            return d.role[CLOSE_BANK], bank
        return d.role[OPEN_BANK], bank
    if s.reg[R_OPEN] == 0:
        return d.role[OPEN_ALL], NONE
    shut = NONE
    for b in range(s.row.size):
        if s.row[b] < 0:
            if shut < 0:
                shut = b
        elif s.row[b] != row:
            return d.role[CLOSE_ALL], NONE
    if shut < 0:
        return NONE, NONE
    return d.role[OPEN_BANK], shut


@_jit
def _due(d, s, t):
    return d.header[H_MODE] != NO_REFRESH and t >= s.reg[R_DUE]


@_jit
def _request(d, s, tally, cmd, bank, row, column, not_before):
    """Issue `cmd` (-1: only open the row) after whatever it needs, refreshing when due."""
    start = tally.work[W_START]
    needs = cmd < 0 or d.needs_open[cmd]
    while True:
        first, target = NONE, bank
        if needs:
            first, target = _prepare(d, s, bank, row)
        if first < 0 and cmd < 0:
            return
        if first >= 0:
            t = max(start, _earliest(d, s, first, target))
        else:
            t = max(start, not_before, _earliest(d, s, cmd, bank))
        if _due(d, s, t):
            _refresh(d, s, tally)
        elif first >= 0:
            _issue(d, s, tally, first, target, row if d.opens[first] else NONE, NONE, t)
        else:
            _issue(d, s, tally, cmd, bank, row, column, t)
            return


@_jit
def _close(d, s, tally, bank):
    start = tally.work[W_START]
    cmd = d.role[CLOSE_BANK] if bank >= 0 else d.role[CLOSE_ALL]
    while s.reg[R_OPEN] > 0 and (bank < 0 or s.row[bank] >= 0):
        t = max(start, _earliest(d, s, cmd, bank))
        if _due(d, s, t):
            _refresh(d, s, tally)
        else:
            _issue(d, s, tally, cmd, bank, NONE, NONE, t)


@_jit
def _repeat(d, s, tally, cmd, bank, row, column, n, spacing):
    """The rest of a run: up to n more `cmd`, `spacing` apart, all before the next refresh.

    Returns how many were issued.  Every other constraint on `cmd` was met when the run's
    first command issued, and only the command itself holds back its successor.
    """
    clk = s.reg[R_CLK]
    if d.header[H_MODE] != NO_REFRESH:
        n = min(n, (s.reg[R_DUE] - 1 - clk) // spacing)
    if n <= 0:
        return 0
    work = tally.work
    last = clk + n * spacing
    for w in range(d.window_depth.size):
        if d.window_before[w, cmd]:  # windows remember single commands
            return 0
    _charge(tally, d.cause[cmd + 1, cmd], last)
    s.reg[R_CLK] = last
    tally.counts[cmd] += n
    _block(d, s, cmd, bank, last)
    if d.completion[cmd] > 0:
        _move_data(tally, cmd, last + d.completion[cmd])
    if tally.log.shape[0] and clk < work[W_HIGH] and last >= work[W_LOW]:
        for k in range(n):
            shown = column + k if d.shows_column[cmd] else NONE
            _write_log(d, tally, cmd, bank, row, shown, clk + (k + 1) * spacing)
    return n


@_jit
def _run(d, s, tally, cmd, bank, lin, n, gap):
    columns = d.header[H_COLUMNS]
    stepped = tally.work[W_STEPPED]
    spacing = max(1, gap, d.channel[cmd, cmd])
    if d.scope[cmd] == BANK:
        spacing = max(spacing, d.bank[cmd, cmd], d.group[cmd, cmd])
    i = ZERO
    not_before = NEVER
    while i < n:
        row, column, room = NONE, lin + i, n - i
        if d.needs_open[cmd]:
            row, column = (lin + i) // columns, (lin + i) % columns
            room = min(room, columns - column)
        shown = column if d.shows_column[cmd] else NONE
        _request(d, s, tally, cmd, bank, row, shown, not_before)
        i += 1
        if not stepped and room > 1:
            i += _repeat(d, s, tally, cmd, bank, row, column + 1, room - 1, spacing)
        not_before = s.reg[R_CLK] + gap


@_jit
def _snapshot(d, s, tally, memory):
    """Remember everything that decides what comes next, times relative to the latest clock.

    Times that no longer bind count as 0: they bind nothing later either.
    """
    clk = s.reg[R_CLK]
    memory[M_CLK] = clk
    memory[M_REFRESHES] = tally.work[W_REFRESHES]
    memory[M_LOGGED] = tally.work[W_LOGGED]
    memory[M_SINCE] = clk - s.reg[R_SINCE] if s.reg[R_OPEN] > 0 else NONE
    memory[M_END] = tally.work[W_END] - clk
    memory[M_CURSOR] = tally.work[W_CURSOR] - clk
    memory[M_PREV] = tally.work[W_PREV]
    at = M_FIRST
    for k in range(tally.counts.size):
        memory[at + k] = tally.counts[k]
    at += tally.counts.size
    for k in range(tally.charged.size):
        memory[at + k] = tally.charged[k]
        memory[at + tally.charged.size + k] = tally.pending[k]
    at += 2 * tally.charged.size
    for k in range(s.row.size):
        memory[at + k] = s.row[k]
    at += s.row.size
    for k in range(s.times.size):
        memory[at + k] = max(s.times[k] - clk, 0)
    at += s.times.size
    for w in range(d.window_depth.size):
        for k in range(d.window_depth[w]):
            memory[at] = max(s.recent[w, k] + d.window_latency[w] - clk, 0)
            at += 1


@_jit
def _repeats(d, s, tally, memory, rows):
    """True if the state equals the remembered one, moved on in time and by `rows` rows."""
    clk = s.reg[R_CLK]
    work = tally.work
    since = clk - s.reg[R_SINCE] if s.reg[R_OPEN] > 0 else NONE
    if memory[M_REFRESHES] != work[W_REFRESHES] or memory[M_SINCE] != since or memory[M_PREV] != work[W_PREV]:
        return False
    if memory[M_END] != work[W_END] - clk or memory[M_CURSOR] != work[W_CURSOR] - clk:
        return False
    at = M_FIRST + tally.counts.size + tally.charged.size
    for k in range(tally.pending.size):
        if memory[at + k] != tally.pending[k]:
            return False
    at += tally.pending.size
    for k in range(s.row.size):
        if s.row[k] != (memory[at + k] + rows if memory[at + k] >= 0 else NONE):
            return False
    at += s.row.size
    for k in range(s.times.size):
        if memory[at + k] != max(s.times[k] - clk, 0):
            return False
    at += s.times.size
    for w in range(d.window_depth.size):
        for k in range(d.window_depth[w]):
            if memory[at] != max(s.recent[w, k] + d.window_latency[w] - clk, 0):
                return False
            at += 1
    return True


@_jit
def _skip(d, s, tally, memory, rows, most):
    """If the state repeats, move on by up to `most` periods; return by how many.

    Times, rows, counts and charges are linear in the number of periods as long as no
    refresh falls due, and a period is skipped only if its last command comes before one.
    """
    if not _repeats(d, s, tally, memory, rows):
        return ZERO
    work = tally.work
    clk = s.reg[R_CLK]
    length = clk - memory[M_CLK]
    periods = most
    if d.header[H_MODE] != NO_REFRESH:
        periods = min(periods, (s.reg[R_DUE] - 1 - clk) // length)
    if tally.log.shape[0]:
        stop = clk + periods * length
        inside = memory[M_CLK] >= work[W_LOW] and stop < work[W_HIGH]
        outside = stop < work[W_LOW] or memory[M_CLK] >= work[W_HIGH]
        if not (inside or outside):
            periods = ZERO  # the log's window sees whole periods or none
    if periods <= 0:
        return ZERO
    if tally.log.shape[0]:
        _copy_log(tally, memory[M_LOGGED], periods, length, rows)
    ahead = periods * length
    at = M_FIRST
    for k in range(tally.counts.size):
        tally.counts[k] += periods * (tally.counts[k] - memory[at + k])
    at += tally.counts.size
    for k in range(tally.charged.size):
        tally.charged[k] += periods * (tally.charged[k] - memory[at + k])
    for k in range(s.row.size):
        if s.row[k] >= 0:
            s.row[k] += periods * rows
    for k in range(s.times.size):
        if s.times[k] > clk:
            s.times[k] += ahead
    for w in range(d.window_depth.size):
        for k in range(d.window_depth[w]):
            if s.recent[w, k] + d.window_latency[w] > clk:
                s.recent[w, k] += ahead
    if s.reg[R_OPEN] > 0:
        s.reg[R_SINCE] += ahead
    s.reg[R_CLK] += ahead
    work[W_END] += ahead
    work[W_CURSOR] += ahead
    return periods


@_jit
def _copy_log(tally, first, periods, length, rows):
    """The log of the last period, again for each period skipped."""
    log, work = tally.log, tally.work
    last = work[W_LOGGED]
    for p in range(1, periods + 1):
        for k in range(first, last):
            at = work[W_LOGGED]
            if at < log.shape[0] and k < log.shape[0]:
                for column in range(LOG_WIDTH):
                    log[at, column] = log[k, column]
                log[at, 0] += p * length
                if log[at, 4] >= 0:
                    log[at, 4] += p * rows
            work[W_LOGGED] = at + 1


@_jit
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@_jit
def _loop(d, s, tally, cmd, lin, n, stride, used, res, memory):
    columns = d.header[H_COLUMNS]
    period = columns // _gcd(columns, stride)  # turns until a turn starts at the same column again
    rows = period * stride // columns
    may_skip = not tally.work[W_STEPPED] and n > period
    seen = NONE
    v = ZERO
    while v < n:
        if may_skip and v > 0 and (seen < 0 or v == seen + period):
            if seen >= 0:
                v += period * _skip(d, s, tally, memory, rows, (n - v) // period)
                if v >= n:
                    break
            _snapshot(d, s, tally, memory)
            seen = v
        _run(d, s, tally, cmd, NONE, lin + v * stride, used, ZERO)
        if (lin + v * stride + used - 1) // columns != (lin + (v + 1) * stride) // columns:
            _close(d, s, tally, NONE)  # the row is used up: close it while the sums drain
        _run(d, s, tally, res, NONE, ZERO, ONE, ZERO)
        v += 1


@_jit
def _scatter(d, s, tally, cmd, lin, n, stride, ahead, behind, memory):
    columns = d.header[H_COLUMNS]
    groups, per_group = d.header[H_GROUPS], d.header[H_PER_GROUP]
    banks = groups * per_group
    total = n * banks
    period = columns // _gcd(columns, stride)  # rounds over all banks until a column comes again
    rows = period * stride // columns
    length = period * banks
    may_skip = not tally.work[W_STEPPED] and n > period
    seen = NONE
    i = ZERO
    while i < total + behind:
        if may_skip and i >= behind and i < total and i % banks == 0 and (seen < 0 or i == seen + length):
            if seen >= 0:
                i += length * _skip(d, s, tally, memory, rows, (total - i) // length)
            _snapshot(d, s, tally, memory)
            seen = i
        for stage in range(3):
            k = i - (ZERO if stage == 0 else ahead if stage == 1 else behind)
            if k < 0 or k >= total:
                continue
            order = k % banks
            bank = (order % groups) * per_group + order // groups
            at = lin + (k // banks) * stride
            if stage == 0:
                _request(d, s, tally, NONE, bank, at // columns, NONE, NEVER)
            elif stage == 1:
                shown = at % columns if d.shows_column[cmd] else NONE
                _request(d, s, tally, cmd, bank, at // columns, shown, NEVER)
            else:
                _close(d, s, tally, bank)
        i += 1


@_jit
def _execute(d, s, tally, program, first, last, base, memory):
    for r in range(first, last):
        op, cmd, bank, lin, n = program[r, 0], program[r, 1], program[r, 2], program[r, 3], program[r, 4]
        if op == RUN:
            shift = base if d.needs_open[cmd] else 0
            _run(d, s, tally, cmd, bank, lin + shift, n, program[r, 5])
        elif op == LOOP:
            _loop(d, s, tally, cmd, lin + base, n, program[r, 5], program[r, 6], program[r, 7], memory)
        elif op == OPEN:
            _request(d, s, tally, NONE, bank, (lin + base) // d.header[H_COLUMNS], NONE, NEVER)
        elif op == CLOSE:
            _close(d, s, tally, bank)
        else:
            _scatter(d, s, tally, cmd, lin + base, n, program[r, 5], program[r, 6], program[r, 7], memory)


@_jit
def _catch_up(d, s, tally, start):
    """Refreshes that fell due while the channel had nothing to do."""
    while d.header[H_MODE] != NO_REFRESH and s.reg[R_DUE] < start:
        _refresh(d, s, tally)


@_jit
def _normalise(d, s, start):
    """Forget what no longer binds, so that equal futures are equal states.

    No command of the coming program issues before `start`, and no refresh is due before
    it, so a next-allowed clock in the past is as good as `start`.
    """
    for k in range(s.times.size):
        s.times[k] = max(s.times[k], start)
    for w in range(d.window_depth.size):
        for k in range(d.window_depth[w]):
            s.recent[w, k] = max(s.recent[w, k], start - d.window_latency[w])
    s.reg[R_CLK] = max(s.reg[R_CLK], start)
    if s.reg[R_OPEN] == 0:
        s.reg[R_SINCE] = start


@_jit
def _start_work(tally, start, account, channel, stepped, logged, low, high):
    work = tally.work
    work[W_START] = start
    work[W_PREV] = -1
    work[W_CURSOR] = account
    work[W_END] = start
    work[W_TAIL] = -1
    work[W_LOGGED] = logged
    work[W_REFRESHES] = 0
    work[W_STEPPED] = stepped
    work[W_CHANNEL] = channel
    work[W_LOW] = low
    work[W_HIGH] = high
    _clear(tally.counts)
    _clear(tally.charged)
    _clear(tally.pending)


@_jit
def _clear(a):
    for k in range(a.size):
        a[k] = 0


@_jit
def _copy(a, b):
    for k in range(a.size):
        a[k] = b[k]


@_jit
def _same(a, b):
    for k in range(a.size):
        if a[k] != b[k]:
            return False
    return True


@_entry
def run_channels(tab, states, program, spans, base, start, account, options, totals, ends, log, scratch):
    """Run one program per channel from clock `start`; return (last data end, log rows).

    states (channels, n) is updated in place; spans (channels, 2) are rows of `program`
    (empty: the channel rests); base shifts every linear column of the array; clocks from
    `account` (>= start) on are charged to causes;
    options = (stepped, fold, log low, log high); totals collects the commands and open
    clocks of all channels and the charges of the channel that ends last; ends (channels,)
    receives each channel's data end.  If the log would overflow nothing is changed and
    the rows needed come back negative.
    """
    d = _tables(tab)
    c, n_causes = d.header[H_CMDS], d.header[H_CAUSES]
    channels = states.shape[0]
    stepped, fold = options[0], options[1]
    fresh, before, counts, charges, late, previous, work, pending, memory = scratch
    for channel in range(channels):
        _copy(fresh[channel], states[channel])
        _clear(late[channel])
    logged = ZERO
    for channel in range(channels):
        ends[channel] = start
        _clear(counts[channel])
        _clear(charges[channel])
        first, last = spans[channel, 0], spans[channel, 1]
        if first == last:
            continue
        s = _state(tab, fresh[channel])
        tally = Tally(work, counts[channel], charges[channel], pending, log)
        _start_work(tally, start, account, channel, stepped, logged, options[2], options[3])
        _catch_up(d, s, tally, start)
        _copy(late[channel], counts[channel])
        _clear(counts[channel])
        _normalise(d, s, start)
        previous[channel] = work[W_PREV]
        if fold and log.shape[0] == 0:
            _copy(before[channel], fresh[channel])
            twin = -1
            for other in range(channel):
                if (
                    work[W_CURSOR] == account
                    and spans[other, 0] == first
                    and spans[other, 1] == last
                    and previous[other] == previous[channel]
                    and _same(before[other], before[channel])
                ):
                    twin = other
                    break
            if work[W_CURSOR] != account:
                previous[channel] = -2  # a refresh reaches past the start: nobody's twin
            if twin >= 0:
                _copy(fresh[channel], fresh[twin])
                _copy(counts[channel], counts[twin])
                _copy(charges[channel], charges[twin])
                ends[channel] = ends[twin]
                continue
        _execute(d, s, tally, program, first, last, base, memory)
        end = work[W_END]
        if end > work[W_CURSOR]:
            charges[channel, d.cause[0, work[W_TAIL]]] += end - work[W_CURSOR]
        ends[channel] = end
        logged = work[W_LOGGED]
    if log.shape[0] > 0 and logged > log.shape[0]:
        return start, -logged
    critical = 0
    for channel in range(channels):
        _copy(states[channel], fresh[channel])
        for k in range(c + 1):
            totals[k] += counts[channel, k] + late[channel, k]
        if ends[channel] > ends[critical]:
            critical = channel
    for k in range(n_causes):
        totals[c + 1 + k] += charges[critical, k]
    return ends[critical], logged


@_entry
def finish_channels(tab, states, stop, options, totals, log, scratch):
    """Refresh every channel up to clock `stop` and count banks still open until then."""
    d = _tables(tab)
    c, n_causes = d.header[H_CMDS], d.header[H_CAUSES]
    fresh, before, many_counts, charges, late, previous, work, pending, memory = scratch
    counts, charged = many_counts[0], charges[0]
    for channel in range(states.shape[0]):
        _copy(fresh[channel], states[channel])
    logged = ZERO
    for channel in range(states.shape[0]):
        s = _state(tab, fresh[channel])
        tally = Tally(work, counts, charged, pending, log)
        _start_work(tally, stop, stop, channel, ONE, logged, options[2], options[3])
        _catch_up(d, s, tally, stop)
        logged = work[W_LOGGED]
        if log.shape[0] == 0 or logged <= log.shape[0]:
            for k in range(c + 1):
                totals[k] += counts[k]
            if s.reg[R_OPEN] > 0:
                totals[c] += stop - s.reg[R_SINCE]
                s.reg[R_SINCE] = stop
    if log.shape[0] > 0 and logged > log.shape[0]:
        return -logged
    for channel in range(states.shape[0]):
        _copy(states[channel], fresh[channel])
    return logged


class Engine:
    """All channels of a device: their state, and the compiled calls that move it.

    `totals` of a call is an int64 vector: a count per command of the table, the clocks
    with a bank open (both summed over channels), then the clocks charged to each cause of
    `causes` on the channel that ended last.
    """

    def __init__(self, device: Device, stepped: bool = False, fold: bool = True) -> None:
        self.device = device
        self.causes = tuple(dict.fromkeys(cause for _, _, cause in device.standard.causes))
        self.table = build_table(device, self.causes)
        self.states = initial_states(device, self.table)
        self.ends = np.zeros(device.channels, np.int64)
        self.options = np.array([stepped, fold, 0, FOREVER], np.int64)
        self.scratch = new_scratch(self.states, len(device.standard.commands), len(self.causes))
        self.no_log = np.empty((0, LOG_WIDTH), np.int64)
        self._log = self.no_log
        self._sink: Callable[[Ints], None] | None = None

    def log_to(self, sink: Callable[[Ints], None], low: int = 0, high: int = FOREVER) -> None:
        """Send every command with low <= clk < high to `sink`, unsorted between channels."""
        self._sink = sink
        self._log = np.empty((1 << 16, LOG_WIDTH), np.int64)
        self.options[2], self.options[3] = low, high

    def new_totals(self) -> Ints:
        """A zeroed vector for `run`'s counts."""
        return np.zeros(len(self.device.standard.commands) + 1 + len(self.causes), np.int64)

    def run(self, program: Ints, spans: Ints, base: int, start: int, totals: Ints, account: int = 0) -> int:
        """Run program rows spans[channel] on each channel from clock `start`; return the last data end.

        Clocks before `account` are somebody else's and are not charged to causes again.
        """
        account = max(start, account)
        while True:
            end, logged = run_channels(
                self.table, self.states, program, spans, base, start, account, self.options, totals, self.ends, self._log,
                self.scratch,
            )
            if logged >= 0:
                break
            self._log = np.empty((2 * -logged, LOG_WIDTH), np.int64)
        if logged and self._sink:
            self._sink(self._log[:logged].copy())
        return int(end)

    def finish(self, stop: int, totals: Ints) -> None:
        """Refresh all channels up to clock `stop`."""
        while True:
            logged = finish_channels(self.table, self.states, stop, self.options, totals, self._log, self.scratch)
            if logged >= 0:
                break
            self._log = np.empty((2 * -logged, LOG_WIDTH), np.int64)
        if logged and self._sink:
            self._sink(self._log[:logged].copy())

    @property
    def watermark(self) -> int:
        """No channel will issue a command before this clock any more."""
        return int(self.states[:, R_CLK].min())


def new_scratch(states: Ints, commands: int, causes: int) -> tuple[Ints, ...]:
    """Room for one call: the compiled code allocates nothing."""
    channels = states.shape[0]
    shapes = [
        states.shape,  # fresh
        states.shape,  # before
        (channels, commands + 1),  # counts
        (channels, causes),  # charges
        (channels, commands + 1),  # late: refreshes that fell due before the start
        (channels,),  # previous
        (WORK,),
        (causes,),  # pending
        (M_FIRST + commands + 1 + 2 * causes + states.shape[1],),  # memory
    ]
    return tuple(np.zeros(shape, np.int64) for shape in shapes)


def build_table(device: Device, causes: tuple[str, ...]) -> Ints:
    """The device's tables as one vector, in the order that `_tables` reads."""
    commands = device.standard.commands
    c = len(commands)
    gaps = np.full((3, c, c), NEVER, np.int64)  # channel, group, bank
    windows = []
    for constraint in device.standard.constraints:
        latency = device.latency(constraint)
        if latency <= 0:
            continue
        if constraint.window > 1:
            if constraint.level != "channel":
                raise ValueError(f"a window needs level channel, not {constraint.level!r}")
            windows.append((constraint, latency))
            continue
        for before in constraint.preceding:
            for after in constraint.following:
                a, b = device.standard.index(before), device.standard.index(after)
                level = _level(constraint.level, commands[a].scope, commands[b].scope)
                if level is not None:
                    gaps[level, a, b] = max(gaps[level, a, b], latency)
    cause = np.zeros((c + 1, c), np.int64)
    for p, previous in enumerate((None, *device.command_names)):
        for k, name in enumerate(device.command_names):
            cause[p, k] = causes.index(_cause(device, previous, name))
    return np.concatenate(
        [_header(device, c, len(causes), windows), gaps.ravel(), _flags(device), cause.ravel(), _windows(device, windows)]
    )


def _level(level: str, before: Scope, after: Scope) -> int | None:
    """Which gap matrix a constraint goes to: 0 channel, 1 bank group, 2 bank; None: never binds."""
    if level == "channel":
        return 0
    if Scope.CHANNEL in (before, after):
        return None
    if Scope.ALL_BANKS in (before, after):
        return 0  # every bank is shared
    return 1 if level == "bank_group" else 2


def _cause(device: Device, previous: str | None, name: str) -> str:
    for before, after, cause in device.standard.causes:
        if before in ("*", previous) and after in ("*", name):
            return cause
    raise ValueError(f"{device.standard.name}: no cause for {previous} -> {name}")


def _header(device: Device, c: int, n_causes: int, windows: list[Any]) -> Ints:
    header = np.zeros(HEADER, np.int64)
    mode = {"none": NO_REFRESH, "all_bank": ALL_BANK, "per_bank": PER_BANK}[device.refresh]
    depth = max((constraint.window for constraint, _ in windows), default=0)
    header[:9] = (
        c, device.bank_groups, device.banks_per_group, device.columns, mode, device.refresh_interval,
        n_causes, len(windows), depth,
    )  # fmt: skip
    return header


def _flags(device: Device) -> Ints:
    commands = device.standard.commands
    scopes = {Scope.CHANNEL: CHANNEL, Scope.BANK: BANK, Scope.ALL_BANKS: ALL}
    roles = device.standard.roles
    names = (
        roles.open_bank, roles.open_all, roles.close_bank, roles.close_all, roles.refresh_all, roles.refresh_bank,
    )  # fmt: skip
    return np.array(
        [scopes[x.scope] for x in commands]
        + [x.needs is Needs.OPEN for x in commands]
        + [x.effect is Effect.OPEN for x in commands]
        + [x.effect is Effect.CLOSE for x in commands]
        + [x.shows_column for x in commands]
        + [device.completion(x) for x in commands]
        + [-1 if name is None else device.standard.index(name) for name in names],
        np.int64,
    )


def _windows(device: Device, windows: list[Any]) -> Ints:
    names = device.command_names
    return np.array(
        [constraint.window for constraint, _ in windows]
        + [latency for _, latency in windows]
        + [name in constraint.preceding for constraint, _ in windows for name in names]
        + [name in constraint.following for constraint, _ in windows for name in names],
        np.int64,
    )


def initial_states(device: Device, table: Ints) -> Ints:
    """All banks closed, nothing pending, the first refresh due after one interval."""
    c, banks, groups = int(table[H_CMDS]), device.banks, device.bank_groups
    windows, depth = int(table[H_WINDOWS]), int(table[H_DEPTH])
    state = np.full(REGISTERS + banks + (1 + banks + groups) * c + windows * depth, NEVER, np.int64)
    state[:REGISTERS] = 0
    state[R_DUE] = device.refresh_interval
    state[R_CLK] = 0
    state[REGISTERS : REGISTERS + banks] = -1
    return np.tile(state, (device.channels, 1))
