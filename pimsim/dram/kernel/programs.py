"""The requests of a program (`dram.program`), carried out on one channel.

A run of equal commands inside a row is issued as one step, split where a refresh is due.
"""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.charges import charge, move_data
from pimsim.dram.kernel.log import write_log
from pimsim.dram.kernel.numbers import (
    A_AHEAD,
    A_BANK,
    A_BEHIND,
    A_COMMAND,
    A_COUNT,
    A_GAP,
    A_HOLD,
    A_LINEAR,
    A_REQUEST,
    A_RESULT,
    A_STRIDE,
    A_USED,
    CLOSE,
    LOOP,
    NEVER,
    NO_REFRESH,
    NONE,
    ONE,
    OPEN,
    RUN,
    ZERO,
)
from pimsim.dram.kernel.periods import M_CMD, M_COLUMN, M_RES, M_STRIDE, M_USED, begin_loop, end_loop, skip, snapshot
from pimsim.dram.kernel.requests import close_rows, request
from pimsim.dram.kernel.state import R_CLK, R_DUE
from pimsim.dram.kernel.timing import hold_back
from pimsim.dram.kernel.work import MARKS, W_ARRIVED, W_FLOOR, W_HIGH, W_LOW, W_STEPPED, W_WATCHED


@jit
def spacing_of(d, cmd, bank, gap):
    """The clocks between two of a run of equal commands inside a row, `gap` at least."""
    spacing = max(1, gap, d.channel_gap[cmd, cmd])
    if bank >= 0:
        spacing = max(spacing, d.bank_gap[cmd, cmd], d.group_gap[cmd, cmd])
        for level in range(d.levels):
            spacing = max(spacing, d.level_gap[level, cmd, cmd])
    return spacing


@jit
def repeat(d, s, w, log, cmd, bank, row, column, n, spacing):
    """The rest of a run: up to n more `cmd`, `spacing` apart, all before the next refresh.

    Returns how many were issued.  Every other constraint on `cmd` was met when the run's
    first command issued, and only the command itself holds back its successor.
    """
    clk = s.reg[R_CLK]
    if d.refresh != NO_REFRESH:
        n = min(n, (s.reg[R_DUE] - 1 - clk) // spacing)
    if n <= 0 or d.opens[cmd] or d.closes[cmd]:
        return 0
    last = clk + n * spacing
    for x in range(d.windows):
        if d.before[x, cmd]:  # windows remember single commands
            return 0
    charge(d, w, d.cause[cmd + 1, cmd], last)
    s.reg[R_CLK] = last
    w.counts[cmd] += n
    hold_back(d, s, cmd, bank, last)
    if d.completion[cmd] > 0:
        move_data(d, w, cmd, last + d.completion[cmd])
    if log is not None and clk < w.reg[W_HIGH] and last >= w.reg[W_LOW]:
        for k in range(n):
            shown = column + k if d.shows[cmd] else NONE
            write_log(d, w, log, cmd, bank, row, shown, clk + (k + 1) * spacing)
    return n


@jit
def _run(d, s, w, log, cmd, bank, lin, n, gap, hold):
    columns = d.columns
    stepped = w.reg[W_STEPPED]
    spacing = spacing_of(d, cmd, bank, gap)
    if bank >= 0:
        bank = d.lowest[cmd, bank]
    i = ZERO
    not_before = NEVER
    while i < n:
        row, column, room = NONE, lin + i, n - i
        if d.needs_open[cmd]:
            row, column = (lin + i) // columns, (lin + i) % columns
            room = min(room, columns - column)
        shown = column if d.shows[cmd] else NONE
        request(d, s, w, log, cmd, bank, row, shown, not_before)
        i += 1
        if not stepped and room > 1:
            i += repeat(d, s, w, log, cmd, bank, row, column + 1, room - 1, spacing)
        not_before = s.reg[R_CLK] + gap
    if hold > 0 and n > 0:
        w.reg[W_FLOOR] = max(w.reg[W_FLOOR], s.reg[R_CLK] + hold)


@jit
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@jit
def _loop(d, s, w, log, cmd, lin, n, stride, used, res, memory, known):
    columns = d.columns
    period = columns // _gcd(columns, stride)  # turns until a turn starts at the same column again
    rows = period * stride // columns
    may_skip = not w.reg[W_STEPPED] and n > period and d.needs_open[cmd]
    memory.reg[M_CMD], memory.reg[M_STRIDE], memory.reg[M_USED], memory.reg[M_RES] = cmd, stride, used, res
    seen = NONE
    v = ZERO
    begin_loop(w)
    while v < n:
        at = lin + v * stride
        if may_skip and v > 0:
            memory.reg[M_COLUMN] = at % columns
            again = seen >= 0 and v == seen + period
            skipped = skip(d, s, w, log, memory, known, again, rows, at // columns, (n - v) // period)
            if skipped > 0:
                v += period * skipped
                seen = NONE
                if v >= n:
                    break
                at = lin + v * stride
            elif seen < 0 or again:
                snapshot(d, s, w, memory, at // columns)
                seen = v
        _run(d, s, w, log, cmd, NONE, at, used, ZERO, ZERO)
        if (at + used - 1) // columns != (at + stride) // columns:
            close_rows(d, s, w, log, NONE)  # the row is used up: close it while the sums drain
        _run(d, s, w, log, res, NONE, ZERO, ONE, ZERO, ZERO)
        v += 1
    end_loop(w)


@jit
def _scatter(d, s, w, log, cmd, lin, n, stride, ahead, behind, memory, known):
    columns = d.columns
    groups, per_group = d.groups, d.per_group
    banks = groups * per_group
    total = n * banks
    period = columns // _gcd(columns, stride)  # rounds over all banks until a column comes again
    rows = period * stride // columns
    length = period * banks
    may_skip = not w.reg[W_STEPPED] and n > period
    memory.reg[M_CMD], memory.reg[M_STRIDE], memory.reg[M_USED], memory.reg[M_RES] = cmd, stride, ahead, NONE - behind
    seen = NONE
    i = ZERO
    begin_loop(w)
    while i < total + behind:
        if may_skip and i >= behind and i < total and i % banks == 0:
            at = lin + (i // banks) * stride
            memory.reg[M_COLUMN] = at % columns
            again = seen >= 0 and i == seen + length
            skipped = skip(d, s, w, log, memory, known, again, rows, at // columns, (total - i) // length)
            if skipped > 0:
                i += length * skipped
                seen = NONE
            elif seen < 0 or again:
                snapshot(d, s, w, memory, at // columns)
                seen = i
        for stage in range(3):
            k = i - (ZERO if stage == 0 else ahead if stage == 1 else behind)
            if k < 0 or k >= total:
                continue
            order = k % banks
            bank = (order % groups) * per_group + order // groups
            at = lin + (k // banks) * stride
            if stage == 0:
                shown = at % columns if d.logs_request else NONE
                request(d, s, w, log, NONE, bank, at // columns, shown, NEVER)
            elif stage == 1:
                shown = at % columns if d.shows[cmd] else NONE
                request(d, s, w, log, cmd, bank, at // columns, shown, NEVER)
            else:
                close_rows(d, s, w, log, bank)
        i += 1
    end_loop(w)


@jit
def execute(d, s, w, log, program, first, last, base, memory, known, marks):
    for r in range(first, last):
        row = r - first
        if row == marks[0] or row == marks[1] or row == marks[2]:
            w.reg[W_WATCHED] = 1
        asked = program[r]
        op, cmd, bank, lin, n = asked[A_REQUEST], asked[A_COMMAND], asked[A_BANK], asked[A_LINEAR], asked[A_COUNT]
        if op == RUN:
            shift = base if d.needs_open[cmd] and lin < d.functions * d.columns else 0
            _run(d, s, w, log, cmd, bank, lin + shift, n, asked[A_GAP], asked[A_HOLD])
        elif op == LOOP:
            stride, used, res = asked[A_STRIDE], asked[A_USED], asked[A_RESULT]
            _loop(d, s, w, log, cmd, lin + base, n, stride, used, res, memory, known)
        elif op == OPEN:
            at = lin + base
            shown = at % d.columns if d.logs_request else NONE
            request(d, s, w, log, NONE, bank, at // d.columns, shown, NEVER)
        elif op == CLOSE:
            close_rows(d, s, w, log, bank)
        else:
            stride, ahead, behind = asked[A_STRIDE], asked[A_AHEAD], asked[A_BEHIND]
            _scatter(d, s, w, log, cmd, lin + base, n, stride, ahead, behind, memory, known)
        for k in range(MARKS):
            if row == marks[k]:
                w.marks[k] = w.reg[W_ARRIVED]
