"""The compiled channel engine: runs request programs, command by command or faster.

The only module that imports numba.  Everything it knows about a device comes in one
int64 vector (`engine` builds it from the constraint rows), so that a change of timing
never needs a recompile and numba's disk cache stays valid.  Plain vectors with offsets,
not tuples of views: a compiled call passes every field of a tuple by value.

A constraint whose preceding or following command addresses all banks always binds, so
it is a channel-level gap; only single-bank pairs need state per bank and bank group.
State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd].

Shortcuts, all exact and all off in `stepped` mode:
- a run of equal commands inside a row is issued as one step, split where a refresh is due;
- a LOOP whose relative state repeats is moved ahead by whole periods, up to the next refresh;
- channels with equal state and equal program are computed once, and a program that starts
  from an equal state again, as long before the next refresh, is replayed (`fold`).

Where a log may be given, None is no log: numba then compiles code that has nothing of it.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np

UNKEPT = "no folder for compiled code, so each run compiles it again; set NUMBA_CACHE_DIR to one that can be written to"

_COMPILES = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def _jit(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that only compiled functions call; the plain one under NUMBA_DISABLE_JIT=1."""
    return _compiled(function, no_cpython_wrapper=True, **_unfinished())


def _entry(function: Callable[..., Any]) -> Callable[..., Any]:
    """A compiled function that Python calls, with all that it calls: kept in numba's disk cache, if there is one."""
    try:
        return _compiled(function, cache=True)
    except RuntimeError:  # neither NUMBA_CACHE_DIR nor this folder nor the user's can be written to
        warnings.warn(UNKEPT, RuntimeWarning, stacklevel=1)  # once for all entries
        return _compiled(function)


def _compiled(function: Callable[..., Any], **options: Any) -> Callable[..., Any]:
    """The compiled code allocates nothing (scratch comes from `Engine`), so numba's reference
    counting is left out; with it every call of a helper costs ten times more.
    """
    if not _COMPILES:
        return function
    import numba

    options |= {"_nrt": False, "no_cfunc_wrapper": True}
    compiled: Callable[..., Any] = numba.njit(**options)(function)
    return compiled


# what the class Part below has to find in numba's own
_INTERNALS = ("_linking_libraries", "_final_module", "_finalized", "_ensure_finalized", "_get_module_for_linking")


@cache
def _unfinished() -> dict[str, Any]:
    """Options by which a function stays as it is until it is part of one that Python calls.

    numba by itself optimises and emits every function together with all that it calls: the
    bottom of a chain of n calls n times, which is half the time of a first run.  These are
    internals of numba; where it has others the code is the same and a first run takes longer.
    """
    if not _COMPILES:
        return {}
    from numba.core import codegen, compiler

    class Part(codegen.JITCodeLibrary):
        """The code of a function, to be linked; nothing of it is run by itself."""

        def finalize(self) -> None:
            for library in dict.fromkeys(self._linking_libraries):
                self._final_module.link_in(library._get_module_for_linking(), preserve=True)
            self._finalized = True

        def get_pointer_to_function(self, name: str) -> int:
            self._ensure_finalized()
            return 0

        @property
        def codegen(self) -> Part:
            return self

        def set_env(self, name: str, env: object) -> None:
            """No code, no environment."""

    class Compiler(compiler.Compiler):
        def define_pipelines(self) -> Any:
            part = Part(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
            if self.state.library is None and all(hasattr(part, name) for name in _INTERNALS):
                self.state.library = part
            return super().define_pipelines()

    return {"pipeline_class": Compiler}


# typed, so that numba compiles each function once and not once per literal
NONE = np.int64(-1)
NEVER = np.int64(-(1 << 60))
ZERO, ONE = np.int64(0), np.int64(1)
FOREVER = 1 << 60
FAR_AWAY = np.int64(1 << 60)
HASH = np.int64((1 << 40) - 1)  # bits of a hash: no product overflows

# scopes
CHANNEL, BANK, ALL = 0, 1, 2
# roles
OPEN_BANK, OPEN_ALL, CLOSE_BANK, CLOSE_ALL, REFRESH_ALL, REFRESH_BANK, SWITCH_MODE, OPEN_REST = range(8)
# requests (program.py)
RUN, LOOP, OPEN, CLOSE, SCATTER = range(5)
# refresh modes
NO_REFRESH, ALL_BANK, PER_BANK = 0, 1, 2
# The device table `d`: numbers, then where each table of it starts, then the tables.
# Shapes in commands (c), windows (x): gaps (c, c), cause (c + 1, c) by previous command
# (0: none), flags (c), windows (x) and (x, c).
(
    H_CMDS, H_GROUPS, H_PER_GROUP, H_BANKS, H_COLUMNS, H_MODE, H_INTERVAL, H_CAUSES, H_WINDOWS, H_DEPTH, H_TIMES,
    H_LOGS_REQUEST,
) = range(12)  # fmt: skip
(
    O_CHANNEL, O_GROUP_GAP, O_BANK_GAP, O_SCOPE, O_NEEDS_OPEN, O_OPENS, O_CLOSES, O_SHOWS, O_COMPLETION, O_ROLE,
    O_CAUSE, O_DEPTH, O_LATENCY, O_BEFORE, O_AFTER, O_REACH, O_MODE,
) = range(16, 33)  # fmt: skip
# where the parts of a channel's state `s` and of the scratch `w` start
(O_ROW, O_TIMES, O_BANK, O_GROUP, O_RECENT, O_CHARGED, O_PENDING) = range(33, 40)
HEADER = 40
# A channel's state `s`: registers (R_LEVEL: the row that all banks are known to have open,
# or -1; R_FAR: no clock of a single bank or bank group binds from here on); open row or -1
# (banks); next-allowed clocks of the channel (c), of each bank (banks, c), of each bank
# group (groups, c); clocks of the latest commands of each window (x, depth), oldest first.
(R_DUE, R_TURN, R_CLK, R_OPEN, R_SINCE, R_LEVEL, R_MODE, R_FAR) = range(8)
REGISTERS = 8
# The scratch `w` of one program on one channel: registers; commands counted (c) and clocks
# with a bank open (1); clocks charged to each cause up to the data end; clocks past it,
# kept only if a later command moves data.
# (W_FLOOR: nothing issues before; W_BANK: what the log shows instead of the command's own
# address, unless it is NEVER)
(
    W_START, W_PREV, W_CURSOR, W_END, W_TAIL, W_LOGGED, W_REFRESHES, W_STEPPED, W_CHANNEL, W_LOW, W_HIGH, W_FLOOR,
    W_BANK, W_ROW, W_COLUMN,
) = range(15)  # fmt: skip
W_COUNTS = 15
# What a period of a loop is recognised by (`memory`, and rows of the Engine's table of
# known periods): the request, then the state at its start, and how far it moves.
(
    M_CMD, M_STRIDE, M_USED, M_RES, M_COLUMN, M_CLK, M_REFRESHES, M_LOGGED, M_SINCE, M_END, M_CURSOR, M_PREV, M_OPEN,
    M_LEVEL, M_MODE, M_FAR, M_LENGTH, M_MOVES, M_FIRST,
) = range(19)  # fmt: skip
M_KEYS = 5
# A program that was met before (rows of the Engine's table of programs): its number, which no
# other program ever has; its longest time until the last command; whether its outcomes need
# the state of single banks; its requests.  The last row of the table counts the programs.
(P_NUMBER, P_REACH, P_WIDE, P_REQUESTS, P_FIRST) = range(5)
MOST_REQUESTS, REQUEST_WIDTH = 24, 8
# The outcome of a program (rows of the Engine's tables of outcomes): what it started from
# (clocks relative to its start, X_DUE that of the next refresh or FAR_AWAY; rows relative to
# its own), then what it did; the vectors follow the numbers in the order of `_outcome_parts`.
(X_PROGRAM, X_COLUMN, X_CURSOR, X_DUE, X_OPEN, X_MODE, X_LEVEL, X_FAR, X_FIRST) = range(9)
(Y_CLK, Y_END, Y_OPEN, Y_SINCE, Y_CLOSED, Y_LEVEL, Y_FAR, Y_MODE, Y_REFRESHES, Y_FIRST) = range(10)
# the log's columns
LOG_WIDTH = 6
# An instruction of a block: whether the channels work; ASIC clocks, or clocks that the SRAM
# needs to store the results; clocks left after the last result it waits for, or -1.
(I_IS_WORK, I_CLOCKS, I_TAIL) = range(3)
# the clocks of a block
(C_ACCOUNTED, C_ASIC, C_SERIAL) = range(3)


@_jit
def _earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s[d[O_TIMES] + cmd]
    if d[d[O_SCOPE] + cmd] == BANK:
        t = max(t, s[d[O_BANK] + bank * d[H_CMDS] + cmd], s[d[O_GROUP] + (bank // d[H_PER_GROUP]) * d[H_CMDS] + cmd])
    for x in range(d[H_WINDOWS]):
        if d[d[O_AFTER] + x * d[H_CMDS] + cmd]:
            t = max(t, s[d[O_RECENT] + x * d[H_DEPTH] + 0] + d[d[O_LATENCY] + x])
    return t


@_jit
def _write_log(d, w, log, cmd, bank, row, column, t):
    if log is None:
        return
    if t < w[W_LOW] or t >= w[W_HIGH]:
        return
    at = w[W_LOGGED]
    if at < log.shape[0]:
        log[at, 0] = t
        log[at, 1] = w[W_CHANNEL]
        log[at, 2] = cmd
        own = w[W_BANK] == NEVER
        log[at, 3] = bank if own else w[W_BANK]
        log[at, 4] = row if own else w[W_ROW]
        log[at, 5] = column if own else w[W_COLUMN]
    w[W_LOGGED] = at + 1


@_jit
def _charge(d, w, cause, t):
    """Charge the clocks since the cursor; those past the data end only provisionally."""
    cursor = w[W_CURSOR]
    if t <= cursor:
        return
    end = w[W_END]
    if end > cursor:
        w[d[O_CHARGED] + cause] += min(t, end) - cursor
    if t > end:
        w[d[O_PENDING] + cause] += t - max(end, cursor)
    w[W_CURSOR] = t


@_jit
def _move_data(d, w, cmd, until):
    """A command's data crosses the pins until `until`: everything pending was needed."""
    if until > w[W_END]:
        w[W_END] = until
        w[W_TAIL] = cmd
        for k in range(d[H_CAUSES]):
            w[d[O_CHARGED] + k] += w[d[O_PENDING] + k]
            w[d[O_PENDING] + k] = 0


@_jit
def _raise(d, s, at, gaps, t):
    """next[k] = max(next[k], t + gap[k]) for the vectors that start at s[at] and d[gaps]."""
    for k in range(d[H_CMDS]):
        s[at + k] = max(s[at + k], t + d[gaps + k])


@_jit
def _block(d, s, cmd, bank, t):
    """Raise the next-allowed clocks that `cmd` at clock t holds back."""
    width = d[H_CMDS]
    _raise(d, s, d[O_TIMES], d[O_CHANNEL] + cmd * width, t)
    if d[d[O_SCOPE] + cmd] == BANK:
        group = bank // d[H_PER_GROUP]
        _raise(d, s, d[O_BANK] + bank * width, d[O_BANK_GAP] + cmd * width, t)
        _raise(d, s, d[O_GROUP] + group * width, d[O_GROUP_GAP] + cmd * width, t)
        s[R_FAR] = max(s[R_FAR], t + d[d[O_REACH] + cmd])
    for x in range(d[H_WINDOWS]):
        if d[d[O_BEFORE] + x * width + cmd]:
            depth, at = d[d[O_DEPTH] + x], d[O_RECENT] + x * d[H_DEPTH]
            for k in range(depth - 1):
                s[at + k] = s[at + k + 1]
            s[at + depth - 1] = t


@_jit
def _turn_banks(d, s, w, log, cmd, bank, row, t):
    """Open or close the banks that `cmd` addresses; count the clocks with one open."""
    was = s[R_OPEN]
    s[R_LEVEL] = row if d[d[O_SCOPE] + cmd] == ALL and d[d[O_OPENS] + cmd] else NONE
    if d[d[O_SCOPE] + cmd] == ALL:
        for b in range(d[H_BANKS]):
            s[d[O_ROW] + b] = row if d[d[O_OPENS] + cmd] else NONE
        s[R_OPEN] = d[H_BANKS] if d[d[O_OPENS] + cmd] else 0
    elif d[d[O_OPENS] + cmd]:
        s[d[O_ROW] + bank] = row
        s[R_OPEN] += 1
    elif s[d[O_ROW] + bank] >= 0:
        s[d[O_ROW] + bank] = -1
        s[R_OPEN] -= 1
    if was == 0 and s[R_OPEN] > 0:
        s[R_SINCE] = t
    elif was > 0 and s[R_OPEN] == 0:
        w[W_COUNTS + d[H_CMDS]] += t - s[R_SINCE]


@_jit
def _issue(d, s, w, log, cmd, bank, row, column, t):
    """Put one command on the bus at clock t."""
    _charge(d, w, d[d[O_CAUSE] + (w[W_PREV] + 1) * d[H_CMDS] + cmd], t)
    w[W_PREV] = cmd if t >= w[W_START] else NONE
    s[R_CLK] = t
    w[W_COUNTS + cmd] += 1
    _block(d, s, cmd, bank, t)
    if d[d[O_OPENS] + cmd] or d[d[O_CLOSES] + cmd]:
        _turn_banks(d, s, w, log, cmd, bank, row, t)
    if cmd == d[d[O_ROLE] + SWITCH_MODE]:
        s[R_MODE] = 1 - s[R_MODE]
    if d[d[O_COMPLETION] + cmd] > 0:
        _move_data(d, w, cmd, t + d[d[O_COMPLETION] + cmd])
    _write_log(d, w, log, cmd, bank, row if d[d[O_NEEDS_OPEN] + cmd] or d[d[O_OPENS] + cmd] else NONE, column, t)


@_jit
def _refresh(d, s, w, log):
    """Close what is open and refresh, at the due clock or as soon after as the table allows."""
    due = s[R_DUE]
    w[W_REFRESHES] += 1
    if d[H_MODE] == ALL_BANK:
        if s[R_OPEN] > 0:
            shut = d[d[O_ROLE] + CLOSE_ALL]
            _issue(d, s, w, log, shut, NONE, NONE, NONE, max(due, _earliest(d, s, shut, NONE)))
        cmd = d[d[O_ROLE] + REFRESH_ALL]
        _issue(d, s, w, log, cmd, NONE, NONE, NONE, max(due, _earliest(d, s, cmd, NONE)))
    else:
        bank = s[R_TURN]
        if s[d[O_ROW] + bank] >= 0:
            shut = d[d[O_ROLE] + CLOSE_BANK]
            _issue(d, s, w, log, shut, bank, NONE, NONE, max(due, _earliest(d, s, shut, bank)))
        cmd = d[d[O_ROLE] + REFRESH_BANK]
        _issue(d, s, w, log, cmd, bank, NONE, NONE, max(due, _earliest(d, s, cmd, bank)))
        s[R_TURN] = (bank + 1) % d[H_BANKS]
    s[R_DUE] = due + d[H_INTERVAL]


@_jit
def _prepare(d, s, bank, row):
    """The next command that opening `row` needs, as (command, bank); (-1, -1) if it is open."""
    if bank >= 0:
        if s[d[O_ROW] + bank] == row:
            return NONE, NONE
        if s[d[O_ROW] + bank] >= 0:
            return d[d[O_ROLE] + CLOSE_BANK], bank
        return d[d[O_ROLE] + OPEN_BANK], bank
    if s[R_LEVEL] == row:
        return NONE, NONE
    if s[R_OPEN] == 0:
        return d[d[O_ROLE] + OPEN_ALL], NONE
    shut: Any = NONE
    for b in range(d[H_BANKS]):
        if s[d[O_ROW] + b] < 0:
            if shut < 0:
                shut = b
        elif s[d[O_ROW] + b] != row:
            return d[d[O_ROLE] + CLOSE_ALL], NONE
    if shut < 0:
        return NONE, NONE
    rest = d[d[O_ROLE] + OPEN_REST]
    return rest, shut if d[d[O_SCOPE] + rest] == BANK else NONE


@_jit
def _due(d, s, t):
    return d[H_MODE] != NO_REFRESH and t >= s[R_DUE]


@_jit
def _on_the_way(d, s, w, log, cmd, target, open_row, bank, row, column, t):
    """Issue what a request needs first; the log may show the request's address for it."""
    if d[H_LOGS_REQUEST]:
        w[W_BANK], w[W_ROW], w[W_COLUMN] = bank, row, column
    _issue(d, s, w, log, cmd, target, open_row if d[d[O_OPENS] + cmd] else NONE, NONE, t)
    w[W_BANK] = NEVER


@_jit
def _request(d, s, w, log, cmd, bank, row, column, not_before):
    """Issue `cmd` (-1: only open the row) after whatever it needs, refreshing when due."""
    floor = w[W_FLOOR]
    needs = cmd < 0 or d[d[O_NEEDS_OPEN] + cmd]
    switch = d[d[O_ROLE] + SWITCH_MODE]
    while True:
        first, target = NONE, bank
        if needs:
            first, target = _prepare(d, s, bank, row)
        if first < 0 and cmd < 0:
            return
        if first >= 0:
            t = max(floor, _earliest(d, s, first, target))
        else:
            t = max(floor, not_before, _earliest(d, s, cmd, bank))
        wrong_mode = cmd >= 0 and d[d[O_MODE] + cmd] >= 0 and d[d[O_MODE] + cmd] != s[R_MODE]
        if wrong_mode:
            t = max(t, _earliest(d, s, switch, NONE))
        if _due(d, s, t):
            _refresh(d, s, w, log)
        elif wrong_mode:
            _on_the_way(d, s, w, log, switch, NONE, NONE, bank, row, column, t)
        elif first >= 0:
            _on_the_way(d, s, w, log, first, target, row, bank, row, column, t)
        else:
            _issue(d, s, w, log, cmd, bank, row, column, t)
            return


@_jit
def _close(d, s, w, log, bank):
    floor = w[W_FLOOR]
    cmd = d[d[O_ROLE] + CLOSE_BANK] if bank >= 0 else d[d[O_ROLE] + CLOSE_ALL]
    while s[R_OPEN] > 0 and (bank < 0 or s[d[O_ROW] + bank] >= 0):
        t = max(floor, _earliest(d, s, cmd, bank))
        if _due(d, s, t):
            _refresh(d, s, w, log)
        else:
            _issue(d, s, w, log, cmd, bank, NONE, NONE, t)


@_jit
def _repeat(d, s, w, log, cmd, bank, row, column, n, spacing):
    """The rest of a run: up to n more `cmd`, `spacing` apart, all before the next refresh.

    Returns how many were issued.  Every other constraint on `cmd` was met when the run's
    first command issued, and only the command itself holds back its successor.
    """
    clk = s[R_CLK]
    if d[H_MODE] != NO_REFRESH:
        n = min(n, (s[R_DUE] - 1 - clk) // spacing)
    if n <= 0 or d[d[O_OPENS] + cmd] or d[d[O_CLOSES] + cmd]:
        return 0
    last = clk + n * spacing
    for x in range(d[H_WINDOWS]):
        if d[d[O_BEFORE] + x * d[H_CMDS] + cmd]:  # windows remember single commands
            return 0
    _charge(d, w, d[d[O_CAUSE] + (cmd + 1) * d[H_CMDS] + cmd], last)
    s[R_CLK] = last
    w[W_COUNTS + cmd] += n
    _block(d, s, cmd, bank, last)
    if d[d[O_COMPLETION] + cmd] > 0:
        _move_data(d, w, cmd, last + d[d[O_COMPLETION] + cmd])
    if log is not None and clk < w[W_HIGH] and last >= w[W_LOW]:
        for k in range(n):
            shown = column + k if d[d[O_SHOWS] + cmd] else NONE
            _write_log(d, w, log, cmd, bank, row, shown, clk + (k + 1) * spacing)
    return n


@_jit
def _run(d, s, w, log, cmd, bank, lin, n, gap, hold):
    columns = d[H_COLUMNS]
    stepped = w[W_STEPPED]
    spacing = max(1, gap, d[d[O_CHANNEL] + cmd * d[H_CMDS] + cmd])
    if d[d[O_SCOPE] + cmd] == BANK:
        spacing = max(spacing, d[d[O_BANK_GAP] + cmd * d[H_CMDS] + cmd], d[d[O_GROUP_GAP] + cmd * d[H_CMDS] + cmd])
    i = ZERO
    not_before = NEVER
    while i < n:
        row, column, room = NONE, lin + i, n - i
        if d[d[O_NEEDS_OPEN] + cmd]:
            row, column = (lin + i) // columns, (lin + i) % columns
            room = min(room, columns - column)
        shown = column if d[d[O_SHOWS] + cmd] else NONE
        _request(d, s, w, log, cmd, bank, row, shown, not_before)
        i += 1
        if not stepped and room > 1:
            i += _repeat(d, s, w, log, cmd, bank, row, column + 1, room - 1, spacing)
        not_before = s[R_CLK] + gap
    if hold > 0 and n > 0:
        w[W_FLOOR] = max(w[W_FLOOR], s[R_CLK] + hold)


@_jit
def _times_bound(d, s, clk):
    """How many next-allowed clocks may still bind after `clk`: those of the channel come first."""
    return d[H_TIMES] if s[R_FAR] > clk else d[H_CMDS]


@_jit
def _snapshot(d, s, w, memory, row):
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
    memory[M_FAR] = _times_bound(d, s, clk)
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


@_jit
def _matches(d, s, w, memory, row):
    """True if the state equals the remembered one, moved on in time and in rows."""
    clk = s[R_CLK]
    if memory[M_OPEN] != s[R_OPEN] or memory[M_PREV] != w[W_PREV] or memory[M_FAR] != _times_bound(d, s, clk):
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


@_jit
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


@_jit
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
    for k in range(_times_bound(d, s, clk)):
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


@_jit
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
    _copy_log(w, log, memory[M_LOGGED], most, length, rows)
    return most


@_jit
def _slot(known, memory):
    """Where the period of the request in `memory` is kept, if it is known."""
    mixed = memory[M_CMD]
    for k in range(1, M_KEYS):
        mixed = (mixed * 31 + memory[k]) & HASH
    return mixed % known.shape[0]


@_jit
def _recall(d, s, w, memory, period, row):
    """True if `period` is that of the request in `memory` and starts from the present state."""
    if period[M_LENGTH] <= 0:
        return False
    for k in range(M_KEYS):
        if period[k] != memory[k]:
            return False
    if not _matches(d, s, w, period, row):
        return False
    return not (period[M_MOVES] and s[R_OPEN] > 0 and s[R_CLK] - s[R_SINCE] != period[M_SINCE])


@_jit
def _skip(d, s, w, log, memory, known, seen, rows, row, most):
    """Skip periods of a loop that is at the start of one: by how many.

    memory holds the request, and its state a period ago if `seen`; what it teaches is
    `known` from then on, in later programs too (the log needs a period of its own).
    """
    slot = _slot(known, memory)
    if log is None and _recall(d, s, w, memory, known[slot], row):
        return _advance(d, s, w, known[slot], rows, most)
    if not seen or not _learn(d, s, w, memory, row):
        return ZERO
    if log is not None:
        most = _log_periods(d, s, w, log, memory, rows, most)
    else:
        _copy(known[slot], memory)
    return _advance(d, s, w, memory, rows, most)


@_jit
def _copy_log(w, log, first, periods, length, rows):
    """The log of the last period, again for each period skipped."""
    last = w[W_LOGGED]
    for p in range(1, periods + 1):
        for k in range(first, last):
            at = w[W_LOGGED]
            if at < log.shape[0] and k < log.shape[0]:
                for column in range(LOG_WIDTH):
                    log[at, column] = log[k, column]
                log[at, 0] += p * length
                if log[at, 4] >= 0:
                    log[at, 4] += p * rows
            w[W_LOGGED] = at + 1


@_jit
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@_jit
def _loop(d, s, w, log, cmd, lin, n, stride, used, res, memory, known):
    columns = d[H_COLUMNS]
    period = columns // _gcd(columns, stride)  # turns until a turn starts at the same column again
    rows = period * stride // columns
    may_skip = not w[W_STEPPED] and n > period and d[d[O_NEEDS_OPEN] + cmd]
    memory[M_CMD], memory[M_STRIDE], memory[M_USED], memory[M_RES] = cmd, stride, used, res
    seen = NONE
    v = ZERO
    while v < n:
        at = lin + v * stride
        if may_skip and v > 0:
            memory[M_COLUMN] = at % columns
            again = seen >= 0 and v == seen + period
            skipped = _skip(d, s, w, log, memory, known, again, rows, at // columns, (n - v) // period)
            if skipped > 0:
                v += period * skipped
                seen = NONE
                if v >= n:
                    break
                at = lin + v * stride
            elif seen < 0 or again:
                _snapshot(d, s, w, memory, at // columns)
                seen = v
        _run(d, s, w, log, cmd, NONE, at, used, ZERO, ZERO)
        if (at + used - 1) // columns != (at + stride) // columns:
            _close(d, s, w, log, NONE)  # the row is used up: close it while the sums drain
        _run(d, s, w, log, res, NONE, ZERO, ONE, ZERO, ZERO)
        v += 1


@_jit
def _scatter(d, s, w, log, cmd, lin, n, stride, ahead, behind, memory, known):
    columns = d[H_COLUMNS]
    groups, per_group = d[H_GROUPS], d[H_PER_GROUP]
    banks = groups * per_group
    total = n * banks
    period = columns // _gcd(columns, stride)  # rounds over all banks until a column comes again
    rows = period * stride // columns
    length = period * banks
    may_skip = not w[W_STEPPED] and n > period
    memory[M_CMD], memory[M_STRIDE], memory[M_USED], memory[M_RES] = cmd, stride, ahead, NONE - behind
    seen = NONE
    i = ZERO
    while i < total + behind:
        if may_skip and i >= behind and i < total and i % banks == 0:
            at = lin + (i // banks) * stride
            memory[M_COLUMN] = at % columns
            again = seen >= 0 and i == seen + length
            skipped = _skip(d, s, w, log, memory, known, again, rows, at // columns, (total - i) // length)
            if skipped > 0:
                i += length * skipped
                seen = NONE
            elif seen < 0 or again:
                _snapshot(d, s, w, memory, at // columns)
                seen = i
        for stage in range(3):
            k = i - (ZERO if stage == 0 else ahead if stage == 1 else behind)
            if k < 0 or k >= total:
                continue
            order = k % banks
            bank = (order % groups) * per_group + order // groups
            at = lin + (k // banks) * stride
            if stage == 0:
                shown = at % columns if d[H_LOGS_REQUEST] else NONE
                _request(d, s, w, log, NONE, bank, at // columns, shown, NEVER)
            elif stage == 1:
                shown = at % columns if d[d[O_SHOWS] + cmd] else NONE
                _request(d, s, w, log, cmd, bank, at // columns, shown, NEVER)
            else:
                _close(d, s, w, log, bank)
        i += 1


@_jit
def _execute(d, s, w, log, program, first, last, base, memory, known):
    for r in range(first, last):
        op, cmd, bank, lin, n = program[r, 0], program[r, 1], program[r, 2], program[r, 3], program[r, 4]
        if op == RUN:
            shift = base if d[d[O_NEEDS_OPEN] + cmd] else 0
            _run(d, s, w, log, cmd, bank, lin + shift, n, program[r, 5], program[r, 6])
        elif op == LOOP:
            _loop(d, s, w, log, cmd, lin + base, n, program[r, 5], program[r, 6], program[r, 7], memory, known)
        elif op == OPEN:
            at = lin + base
            shown = at % d[H_COLUMNS] if d[H_LOGS_REQUEST] else NONE
            _request(d, s, w, log, NONE, bank, at // d[H_COLUMNS], shown, NEVER)
        elif op == CLOSE:
            _close(d, s, w, log, bank)
        else:
            _scatter(d, s, w, log, cmd, lin + base, n, program[r, 5], program[r, 6], program[r, 7], memory, known)


@_jit
def _catch_up(d, s, w, log, start):
    """Refreshes that fell due while the channel had nothing to do."""
    while d[H_MODE] != NO_REFRESH and s[R_DUE] < start:
        _refresh(d, s, w, log)


@_jit
def _normalise(d, s, start):
    """Forget what no longer binds, so that equal futures are equal states.

    No command of the coming program issues before `start`, and no refresh is due before
    it, so a next-allowed clock in the past is as good as `start`.
    """
    for k in range(_times_bound(d, s, start)):
        s[d[O_TIMES] + k] = max(s[d[O_TIMES] + k], start)
    for x in range(d[H_WINDOWS]):
        for k in range(d[d[O_DEPTH] + x]):
            s[d[O_RECENT] + x * d[H_DEPTH] + k] = max(s[d[O_RECENT] + x * d[H_DEPTH] + k], start - d[d[O_LATENCY] + x])
    s[R_CLK] = max(s[R_CLK], start)
    if s[R_OPEN] == 0:
        s[R_SINCE] = start


@_jit
def _start_work(d, w, start, account, channel, stepped, logged, low, high):
    w[W_START] = start
    w[W_FLOOR] = start
    w[W_BANK] = NEVER
    w[W_PREV] = -1
    w[W_CURSOR] = account
    w[W_END] = start
    w[W_TAIL] = -1
    w[W_LOGGED] = logged
    w[W_REFRESHES] = 0
    w[W_STEPPED] = stepped
    w[W_CHANNEL] = channel
    w[W_LOW] = low
    w[W_HIGH] = high
    for k in range(W_COUNTS, w.size):
        w[k] = 0


@_jit
def _clear(a):
    for k in range(a.size):
        a[k] = 0


@_jit
def _copy(a, b):
    for k in range(a.size):
        a[k] = b[k]


@_jit
def _same(d, a, b, start):
    """Whether two states that were normalised at `start` have the same future."""
    if (a[R_FAR] > start) != (b[R_FAR] > start):
        return False
    for k in range(R_FAR):
        if a[k] != b[k]:
            return False
    for k in range(d[H_BANKS] + _times_bound(d, a, start)):  # the open rows, then the clocks
        if a[d[O_ROW] + k] != b[d[O_ROW] + k]:
            return False
    for k in range(d[O_RECENT], a.size):
        if a[k] != b[k]:
            return False
    return True


@_jit
def _same_work(spans, a, b):
    return spans[a, 0] == spans[b, 0] and spans[a, 1] == spans[b, 1]


@_jit
def _part(states, owners, before, spans):
    """Channels whose work differs from their owner's get a state of their own."""
    for channel in range(owners.size):
        before[channel] = owners[channel]
    for channel in range(owners.size):
        other = before[channel]
        while other < channel and not (before[other] == before[channel] and _same_work(spans, other, channel)):
            other += 1
        if other == channel and owners[channel] != channel:
            _copy(states[channel], states[before[channel]])
        owners[channel] = owners[other] if other < channel else channel


@_jit
def _twin(d, owners, before, spans, channel, start):
    """An earlier channel that starts the same work from the same state; NONE if there is none."""
    for other in range(channel):
        if (
            owners[other] == other
            and _same_work(spans, other, channel)
            and _same(d, before[other], before[channel], start)
        ):
            return other
    return NONE


@_jit
def _begin(d, s, w, log, start, account, channel, options, logged):
    """Refreshes that fell due before `start`, counted in `w` for all that they are late."""
    _start_work(d, w, start, account, channel, options[0], logged, options[2], options[3])
    _catch_up(d, s, w, log, start)


@_jit
def _count(d, w, counts):
    """Move the commands and open clocks counted in `w` to `counts`."""
    for k in range(d[H_CMDS] + 1):
        counts[k] += w[W_COUNTS + k]
        w[W_COUNTS + k] = 0


@_jit
def _finish_charges(d, w):
    """What is left up to the data end goes to the command that sets it."""
    end = w[W_END]
    if end > w[W_CURSOR]:
        w[d[O_CHARGED] + d[d[O_CAUSE] + w[W_TAIL]]] += end - w[W_CURSOR]
        w[W_CURSOR] = end


@_jit
def _note_end(d, w, charges):
    """The charges of a finished program; return its data end."""
    for k in range(d[H_CAUSES]):
        charges[k] = w[d[O_CHARGED] + k]
    return w[W_END]


@_jit
def _outcome_parts(d, wide):
    """Where the parts of an outcome start: recent clocks, clocks and rows before; numbers, the same after; counts.

    Only a wide one has clocks and rows of single banks.
    """
    clocks = X_FIRST + d[H_WINDOWS] * d[H_DEPTH]
    rows = clocks + (d[H_TIMES] if wide else d[H_CMDS])
    after = rows + (d[H_BANKS] if wide else 0)
    counts = after + Y_FIRST + (after - X_FIRST)
    return X_FIRST, clocks, rows, after, counts


@_jit
def _rows_touched(d, program, first, last, column):
    """The lowest and highest row that a program works in, relative to its base."""
    low, high = FAR_AWAY, NONE
    for r in range(first, last):
        op, cmd, lin, n = program[r, 0], program[r, 1], program[r, 3] + column, program[r, 4]
        end = lin
        if op == RUN:
            if not d[d[O_NEEDS_OPEN] + cmd]:
                continue
            end = lin + n - 1
        elif op == LOOP:
            end = lin + (n - 1) * program[r, 5] + program[r, 6] - 1
        elif op == SCATTER:
            end = lin + (n - 1) * program[r, 5]
        elif op == CLOSE:
            continue
        low, high = min(low, lin // d[H_COLUMNS]), max(high, end // d[H_COLUMNS])
    return low, high


@_jit
def _relative(row, base_row, low, high):
    """A row as a program sees it: closed (-1), one that it does not work in (NEVER), or relative to its base."""
    if row < 0:
        return NONE
    if row - base_row < low or row - base_row > high:
        return NEVER
    return row - base_row


@_jit
def _met(programs, program, first, last):
    """The place of a program among those met before; it is put there if it is new.

    One that another took the place of gets a new number when it returns.
    """
    mixed = last - first
    for r in range(first, last):
        bank, lin, n, stride, used = program[r, 2], program[r, 3], program[r, 4], program[r, 5], program[r, 6]
        mixed = (mixed * 31 + lin * 1_000_003 + bank * 65_537 + n * 8191 + stride * 131 + used * 17) & HASH
    counter = programs.shape[0] - 1
    place = mixed % counter
    met = programs[place]
    same = met[P_NUMBER] > 0 and met[P_REQUESTS] == last - first
    for r in range(first, last):
        for k in range(REQUEST_WIDTH):
            same &= met[P_FIRST + (r - first) * REQUEST_WIDTH + k] == program[r, k]
    if not same:
        programs[counter, P_NUMBER] += 1
        met[P_NUMBER], met[P_REACH], met[P_WIDE], met[P_REQUESTS] = programs[counter, P_NUMBER], 0, 0, last - first
        for r in range(first, last):
            for k in range(REQUEST_WIDTH):
                met[P_FIRST + (r - first) * REQUEST_WIDTH + k] = program[r, k]
    return place


@_jit
def _uniform(d, s, start):
    """Whether a state is that of all banks alike: nothing of a single bank binds from `start` on, one row for all."""
    return s[R_FAR] <= start and (s[R_OPEN] == 0 or s[R_LEVEL] >= 0)


@_jit
def _describe_start(d, s, w, x, met, wide, base, start, low, high):
    """Write to `x` everything that decides what a program does; return its hash.

    A program may meet a refresh if one is due before its longest time is over; if not, when
    it is due plays no part.
    """
    recent, clocks, rows, _, _ = _outcome_parts(d, wide)
    base_row = base // d[H_COLUMNS]
    x[X_PROGRAM] = met[P_NUMBER]
    x[X_COLUMN] = base % d[H_COLUMNS]
    x[X_CURSOR] = w[W_CURSOR] - start
    x[X_DUE] = FAR_AWAY
    if d[H_MODE] == ALL_BANK and s[R_DUE] - start <= met[P_REACH]:
        x[X_DUE] = s[R_DUE] - start
    x[X_OPEN] = s[R_OPEN]
    x[X_MODE] = s[R_MODE]
    x[X_LEVEL] = _relative(s[R_LEVEL], base_row, low, high)
    x[X_FAR] = _times_bound(d, s, start)
    mixed = ((x[X_PROGRAM] * 31 + x[X_CURSOR]) * 31 + (x[X_DUE] & HASH)) & HASH
    mixed = (mixed * 31 + x[X_LEVEL]) & HASH
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        x[recent + k] = s[d[O_RECENT] + k] - start
    for k in range(x[X_FAR]):
        x[clocks + k] = s[d[O_TIMES] + k] - start
    for k in range(d[H_CMDS]):
        mixed = (mixed * 31 + x[clocks + k]) & HASH
    if s[R_LEVEL] < 0 and s[R_OPEN] > 0:
        for k in range(d[H_BANKS]):
            x[rows + k] = _relative(s[d[O_ROW] + k], base_row, low, high)
    return mixed


@_jit
def _same_start(d, x, outcome, wide):
    recent, clocks, rows, _, _ = _outcome_parts(d, wide)
    for k in range(X_FIRST):
        if x[k] != outcome[k]:
            return False
    for k in range(recent, clocks + x[X_FAR]):
        if x[k] != outcome[k]:
            return False
    if x[X_LEVEL] == NONE and x[X_OPEN] > 0:
        for k in range(rows, rows + d[H_BANKS]):
            if x[k] != outcome[k]:
                return False
    return True


@_jit
def _remember(d, s, w, x, met, outcome, wide, base, start, since, refreshes, low, high):
    """Keep what the program described in `x` did; a bank has been open since clock `since` before it."""
    met[P_REACH] = max(met[P_REACH], s[R_CLK] - start)
    if refreshes > 0 and x[X_DUE] == FAR_AWAY:
        return  # it took longer than it ever did, or one bank after the other is refreshed
    if not wide and not _uniform(d, s, start):
        met[P_WIDE] = 1
        return
    recent, clocks, rows, after, counts = _outcome_parts(d, wide)
    shift = after + Y_FIRST - recent
    base_row = base // d[H_COLUMNS]
    for k in range(after):
        outcome[k] = x[k]
    stayed = x[X_OPEN] > 0 and s[R_OPEN] > 0 and s[R_SINCE] == since
    outcome[after + Y_CLK] = s[R_CLK] - start
    outcome[after + Y_END] = w[W_END] - start
    outcome[after + Y_OPEN] = s[R_OPEN]
    outcome[after + Y_SINCE] = NEVER if stayed else s[R_SINCE] - start
    outcome[after + Y_CLOSED] = x[X_OPEN] > 0 and not stayed
    outcome[after + Y_LEVEL] = _relative(s[R_LEVEL], base_row, low, high)
    outcome[after + Y_FAR] = s[R_FAR] - start
    outcome[after + Y_MODE] = s[R_MODE]
    outcome[after + Y_REFRESHES] = refreshes
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        outcome[recent + shift + k] = s[d[O_RECENT] + k] - start
    for k in range(_times_bound(d, s, start)):
        outcome[clocks + shift + k] = s[d[O_TIMES] + k] - start
    if wide:
        for k in range(d[H_BANKS]):
            outcome[rows + shift + k] = _relative(s[d[O_ROW] + k], base_row, low, high)
    for k in range(d[H_CMDS] + 1):
        outcome[counts + k] = w[W_COUNTS + k]
    if outcome[after + Y_CLOSED]:
        outcome[counts + d[H_CMDS]] -= start - since
    for k in range(d[H_CAUSES]):
        outcome[counts + d[H_CMDS] + 1 + k] = w[d[O_CHARGED] + k]


@_jit
def _replay(d, s, w, outcome, wide, base, start):
    """Do what the remembered program did, from clock `start` and in the rows of `base`."""
    recent, clocks, rows, after, counts = _outcome_parts(d, wide)
    shift = after + Y_FIRST - recent
    base_row = base // d[H_COLUMNS]
    for k in range(d[H_CMDS] + 1):
        w[W_COUNTS + k] = outcome[counts + k]
    if outcome[after + Y_CLOSED]:
        w[W_COUNTS + d[H_CMDS]] += start - s[R_SINCE]
    for k in range(d[H_CAUSES]):
        w[d[O_CHARGED] + k] = outcome[counts + d[H_CMDS] + 1 + k]
    w[W_END] = start + outcome[after + Y_END]
    s[R_DUE] += outcome[after + Y_REFRESHES] * d[H_INTERVAL]
    s[R_CLK] = start + outcome[after + Y_CLK]
    s[R_OPEN] = outcome[after + Y_OPEN]
    if outcome[after + Y_SINCE] != NEVER:
        s[R_SINCE] = start + outcome[after + Y_SINCE]
    level = outcome[after + Y_LEVEL]
    if level != NEVER:
        s[R_LEVEL] = level + base_row if level >= 0 else NONE
    s[R_MODE] = outcome[after + Y_MODE]
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        s[d[O_RECENT] + k] = start + outcome[recent + shift + k]
    if wide:
        s[R_FAR] = start + outcome[after + Y_FAR]
        for k in range(d[H_BANKS]):
            row = outcome[rows + shift + k]
            if row != NEVER:
                s[d[O_ROW] + k] = row + base_row if row >= 0 else NONE
    elif level != NEVER:
        for k in range(d[H_BANKS]):
            s[d[O_ROW] + k] = s[R_LEVEL]
    for k in range(_times_bound(d, s, start)):
        s[d[O_TIMES] + k] = start + outcome[clocks + shift + k]


@_jit
def _place(index, mixed, places):
    """Where the outcome with a hash is kept: in the order they came, so that what is used together lies together."""
    last = index.size - 1
    if index[mixed % last] == 0:
        index[last] += 1  # how many there are
        index[mixed % last] = index[last]
    return index[mixed % last] % places


@_jit
def _outcome_of(d, s, w, program, first, last, base, start, remembered):
    """Replay a program that was executed from the same start before; else the place to keep what it will do.

    The outcome is linear in the start and the base: nothing that the engine decides by looks
    at absolute clocks or rows, and when a refresh is due is part of the start, or none falls
    due before the last command.  Returns (done, which of the programs met, wide, place).
    """
    narrow, broad, narrow_index, broad_index, programs, x = remembered
    if w[W_STEPPED] or last - first > MOST_REQUESTS:
        return False, NONE, False, NONE
    which = _met(programs, program, first, last)
    met = programs[which]
    wide = met[P_WIDE] > 0 or not _uniform(d, s, start)
    low, high = FAR_AWAY, NONE
    if s[R_OPEN] > 0:
        low, high = _rows_touched(d, program, first, last, base % d[H_COLUMNS])
    mixed = _describe_start(d, s, w, x, met, wide, base, start, low, high)
    table, index = (broad, broad_index) if wide else (narrow, narrow_index)
    place = _place(index, mixed, table.shape[0])
    outcome = table[place]
    _, _, _, after, _ = _outcome_parts(d, wide)
    if _same_start(d, x, outcome, wide) and (x[X_DUE] != FAR_AWAY or not _due(d, s, start + outcome[after + Y_CLK])):
        _replay(d, s, w, outcome, wide, base, start)
        return True, which, wide, place
    return False, which, wide, place


@_jit
def _run_channels(d, states, owners, program, spans, base, start, account, options, totals, ends, log, scratch):
    """Run every channel, those with the same state and work once if they fold; return the one whose charges count."""
    fresh, before, counts, charges, w, memory, known, links, remembered = scratch
    channels = states.shape[0]
    _part(states, owners, links, spans)
    leaders = 0
    for channel in range(channels):
        links[channel] = 0
    for channel in range(channels):
        ends[channel] = start
        links[owners[channel]] += 1  # how many channels follow
        leaders += owners[channel] == channel
    critical = 0
    for channel in range(channels):
        if owners[channel] != channel:
            ends[channel] = ends[owners[channel]]
            continue
        first, last = spans[channel, 0], spans[channel, 1]
        if first == last:
            continue
        s = states[channel]
        _begin(d, s, w, log, start, account, channel, options, ZERO)
        many = links[channel]
        if w[W_REFRESHES]:
            for k in range(d[H_CMDS] + 1):
                totals[k] += many * w[W_COUNTS + k]
                w[W_COUNTS + k] = 0
        _normalise(d, s, start)
        if leaders > 1 and options[1]:
            _copy(before[channel], s)
            twin = _twin(d, owners, before, spans, channel, start)
            if twin >= 0:
                for k in range(d[H_CMDS] + 1):
                    totals[k] += many * counts[twin, k]
                for other in range(channel, channels):
                    if owners[other] == channel:
                        owners[other] = twin
                ends[channel] = ends[twin]
                continue
        done, which, wide, place = False, NONE, False, NONE
        if options[1]:
            done, which, wide, place = _outcome_of(d, s, w, program, first, last, base, start, remembered)
        if not done:
            refreshes, since = w[W_REFRESHES], s[R_SINCE]
            _execute(d, s, w, log, program, first, last, base, memory, known)
            _finish_charges(d, w)
            if which != NONE:
                narrow, broad, _, _, programs, x = remembered
                low, high = _rows_touched(d, program, first, last, base % d[H_COLUMNS])
                _remember(
                    d, s, w, x, programs[which], (broad if wide else narrow)[place], wide, base, start, since,
                    w[W_REFRESHES] - refreshes, low, high,
                )  # fmt: skip
        for k in range(d[H_CMDS] + 1):
            counts[channel, k] = w[W_COUNTS + k]
            totals[k] += many * w[W_COUNTS + k]
        ends[channel] = _note_end(d, w, charges[channel])
        if ends[channel] > ends[critical]:
            critical = channel
    if spans[critical, 0] == spans[critical, 1]:
        return NONE
    return critical


@_jit
def _run_logged(d, states, program, spans, base, start, account, options, totals, ends, log, scratch):
    """Run and log every channel; return the one whose charges count, and the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    fresh, before, counts, charges, w, memory, known, links, remembered = scratch
    logged = ZERO
    critical: Any = ZERO
    for channel in range(states.shape[0]):
        ends[channel] = start
        s = fresh[channel]
        _copy(s, states[channel])
        _clear(counts[channel])
        _clear(charges[channel])
        first, last = spans[channel, 0], spans[channel, 1]
        if first == last:
            continue
        _begin(d, s, w, log, start, account, channel, options, logged)
        _normalise(d, s, start)
        _execute(d, s, w, log, program, first, last, base, memory, known)
        _finish_charges(d, w)
        _count(d, w, counts[channel])
        ends[channel] = _note_end(d, w, charges[channel])
        logged = w[W_LOGGED]
        if ends[channel] > ends[critical]:
            critical = channel
    if log is not None and logged > log.shape[0]:
        return NONE, -logged
    for channel in range(states.shape[0]):
        _copy(states[channel], fresh[channel])
        for k in range(d[H_CMDS] + 1):
            totals[k] += counts[channel, k]
    return critical, logged


@_jit
def _ready(after, times, i, which):
    """When what instruction i waits for has made its first result (0), or is done (1)."""
    t = NEVER
    for k in range(after.shape[1]):
        if after[i, k] != NONE:
            t = max(t, times[after[i, k], which])
    return t


@_jit
def _arithmetic(step, after, times, clock, i, start):
    """ASIC work from `start`; return when its first result is made, and when it ends."""
    begin = max(start, clock[C_ASIC])
    first, end = begin, begin + step[I_CLOCKS]
    if step[I_TAIL] != NONE:  # the work began with the first results of what it waits for
        first = _ready(after, times, i, ZERO)
        end = max(begin + step[I_TAIL], first + step[I_CLOCKS])
    clock[C_ASIC] = end
    return first, end


@_entry
def run_block(
    d, states, owners, program, spans, bases, steps, after, times, clock, options, totals, exposed, ends, log, scratch,
    part,
):  # fmt: skip
    """Carry out instructions part[2]..part[3] for each copy part[0]..part[1] of a block; return the log rows.

    states (channels, n) is updated in place; channel c has the state of owners[c] <= c.
    Instruction i has each channel run the rows spans[i, channel] of `program` (empty: it
    rests), every linear column of the array shifted by bases[i, copy], or is ASIC work.
    after (n, m) are the instructions it waits for (n: what came before; -1: no more), times
    (n + 1, 2) their first results and ends; clock = (accounted, ASIC free, serial).
    options = (stepped, fold, log low, log high).  totals (n, ...) collects the commands and
    open clocks of all channels and the charges, of clocks from `accounted` on, of the channel
    that ends last; exposed (n,) the clocks that an instruction adds outside of the channels;
    ends (channels,) receives the data end of each channel.  With a log a part must be one
    instruction: if its rows do not fit, nothing is changed and their number comes back negative.
    """
    n = steps.shape[0]
    charges = scratch[3]
    logged = ZERO
    for copy in range(part[0], part[1]):
        for i in range(part[2], part[3]):
            step = steps[i]
            accounted = clock[C_ACCOUNTED]
            start = accounted if clock[C_SERIAL] else _ready(after, times, i, ONE)
            if step[I_IS_WORK]:
                first = end = start
                if log is None:
                    critical = _run_channels(
                        d, states, owners, program, spans[i], bases[i, copy], start, max(start, accounted), options,
                        totals[i], ends, log, scratch,
                    )  # fmt: skip
                else:
                    critical, logged = _run_logged(
                        d, states, program, spans[i], bases[i, copy], start, max(start, accounted), options,
                        totals[i], ends, log, scratch,
                    )  # fmt: skip
                    if logged < 0:
                        return logged
                if critical >= 0:
                    end = ends[critical]
                    for k in range(d[H_CAUSES]):
                        totals[i, d[H_CMDS] + 1 + k] += charges[critical, k]
                if start + step[I_CLOCKS] > end:  # the SRAM takes longer to store the results
                    exposed[i] += max(start + step[I_CLOCKS] - max(end, accounted), 0)
                    end = start + step[I_CLOCKS]
            else:
                first, end = _arithmetic(step, after, times, clock, i, start)
                exposed[i] += max(end - accounted, 0)
            clock[C_ACCOUNTED] = max(accounted, end)
            times[i, 0], times[i, 1] = first, end
        if part[3] == n:
            times[n, 0], times[n, 1] = times[n - 1, 0], times[n - 1, 1]
    return logged


@_entry
def finish_channels(d, states, stop, options, totals, log, scratch):
    """Refresh every channel up to clock `stop`, and count banks that are open until then.

    Returns the log rows, negative (and nothing changed) if the log would overflow.
    """
    c = d[H_CMDS]
    fresh, before, counts, charges, w, memory, known, links, remembered = scratch
    logged = ZERO
    for channel in range(states.shape[0]):
        s = fresh[channel]
        _copy(s, states[channel])
        _start_work(d, w, stop, stop, channel, ONE, logged, options[2], options[3])
        _catch_up(d, s, w, log, stop)
        logged = w[W_LOGGED]
        if s[R_OPEN] > 0:
            w[W_COUNTS + c] += stop - s[R_SINCE]
            s[R_SINCE] = stop
        for k in range(c + 1):
            counts[channel, k] = w[W_COUNTS + k]
    if log is not None and logged > log.shape[0]:
        return -logged
    for channel in range(states.shape[0]):
        _copy(states[channel], fresh[channel])
        for k in range(c + 1):
            totals[k] += counts[channel, k]
    return logged


# ---- host traffic

# A request: arrival clock, command, bank, row, column; what is noted of it: clocks of its
# command and of the end of its data.
(Q_ARRIVAL, Q_COMMAND, Q_BANK, Q_ROW, Q_COLUMN) = range(5)


@_jit
def _pick(d, s, w, requests, queue, waiting, marks):
    """FR-FCFS: the request that can move on first, as (place in the queue, command, clock).

    Row hits keep their row open; in a bank without one, the oldest request says which row
    comes next.  Of those that can move at the same clock a hit goes first, then the oldest.
    """
    for bank in range(d[H_BANKS]):
        marks[bank] = 0
    for k in range(waiting):
        bank = requests[queue[k], Q_BANK]
        if s[d[O_ROW] + bank] == requests[queue[k], Q_ROW]:
            marks[bank] = 1
    best: Any = NONE
    chosen, best_hit, best_t = NONE, False, FAR_AWAY
    for k in range(waiting):
        r = queue[k]
        bank, row = requests[r, Q_BANK], requests[r, Q_ROW]
        hit = s[d[O_ROW] + bank] == row
        if not hit and marks[bank]:
            continue
        marks[bank] = 1
        cmd = requests[r, Q_COMMAND]
        if not hit:
            cmd = d[d[O_ROLE] + OPEN_BANK] if s[d[O_ROW] + bank] < 0 else d[d[O_ROLE] + CLOSE_BANK]
        t = max(_earliest(d, s, cmd, bank), requests[r, Q_ARRIVAL], w[W_FLOOR])
        if t < best_t or (t == best_t and hit and not best_hit):
            best, chosen, best_hit, best_t = k, cmd, hit, t
    return best, chosen, best_t


@_entry
def serve_channel(d, s, requests, start, channel, options, totals, done, queue, marks, w, log):
    """Serve requests (n, 5), in order of arrival, by FR-FCFS with queue.size places; return the log rows.

    The state `s` is updated in place, done (n, 2) receives clocks, totals counts as of
    `run_block`.  Nothing issues before `start`.  If the log overflows the rows needed come
    back negative: the caller has to restore the state.
    """
    _begin(d, s, w, log, start, start, channel, options, ZERO)
    waiting, coming = ZERO, ZERO
    n = requests.shape[0]
    while waiting > 0 or coming < n:
        if waiting == 0:
            _catch_up(d, s, w, log, requests[coming, Q_ARRIVAL])
            queue[0] = coming
            waiting, coming = ONE, coming + 1
        best, cmd, t = _pick(d, s, w, requests, queue, waiting, marks)
        if coming < n and waiting < queue.size and requests[coming, Q_ARRIVAL] <= t:
            queue[waiting] = coming
            waiting, coming = waiting + 1, coming + 1
            continue
        if _due(d, s, t):
            _refresh(d, s, w, log)
            continue
        r = queue[best]
        row, column = requests[r, Q_ROW], requests[r, Q_COLUMN]
        served = cmd == requests[r, Q_COMMAND]
        _issue(d, s, w, log, cmd, requests[r, Q_BANK], row if cmd != d[d[O_ROLE] + CLOSE_BANK] else NONE,
               column if served else NONE, t)  # fmt: skip
        if served:
            done[r, 0], done[r, 1] = t, t + d[d[O_COMPLETION] + cmd]
            waiting -= 1
            for k in range(best, waiting):
                queue[k] = queue[k + 1]
    _finish_charges(d, w)
    if log is not None and w[W_LOGGED] > log.shape[0]:
        return -w[W_LOGGED]
    _count(d, w, totals)
    for k in range(d[H_CAUSES]):
        totals[d[H_CMDS] + 1 + k] += w[d[O_CHARGED] + k]
    return w[W_LOGGED]
