"""The compiled channel engine: runs request programs, command by command or faster.

The only module whose functions are compiled (`compiler`, `views`): numba's disk cache sees
changes in no other.  Everything it knows about a device comes in one int64 vector (`engine`
builds it from the constraint rows), so that a change of timing never needs a recompile.

A constraint whose preceding or following command addresses all banks always binds, so
it is a channel-level gap; other pairs need state per node of the levels that their rows name.
State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd].

Shortcuts, all exact and all off in `stepped` mode:
- a run of equal commands inside a row is issued as one step, split where a refresh is due;
- a LOOP whose relative state repeats is moved ahead by whole periods, up to the next refresh;
- channels with equal state and equal program are computed once, and a program that starts
  from an equal state again, as long before the next refresh, is replayed (`fold`): known by
  its state, or, without a look at that, by the outcome that it follows.

Where a log may be given, None is no log: numba then compiles code that has nothing of it.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pimsim.dram.compiler import entry, jit, table, view

# typed, so that numba compiles each function once and not once per literal
NONE = np.int64(-1)
NEVER = np.int64(-(1 << 60))
ZERO, ONE = np.int64(0), np.int64(1)
FOREVER = 1 << 60
FAR_AWAY = np.int64(1 << 60)
HASH = np.int64((1 << 40) - 1)  # bits of a hash: no product overflows

# scopes
CHANNEL, BANK, ALL, NODE = 0, 1, 2, 3
# roles
OPEN_BANK, OPEN_ALL, CLOSE_BANK, CLOSE_ALL, REFRESH, CLOSE_FOR_REFRESH, SWITCH_MODE, OPEN_REST = range(8)
# requests (program.py)
RUN, LOOP, OPEN, CLOSE, SCATTER = range(5)
# refresh modes
NO_REFRESH, ALL_BANK, IN_TURN = 0, 1, 2
# The device table `d`: numbers, then where each table of it starts, then the tables.
# Shapes in commands (c), windows (x): gaps (c, c), cause (c + 1, c) by previous command
# (0: none), flags (c), windows (x) and (x, c).
(
    H_CMDS, H_GROUPS, H_PER_GROUP, H_BANKS, H_COLUMNS, H_MODE, H_INTERVAL, H_CAUSES, H_WINDOWS, H_DEPTH, H_TIMES,
    H_LOGS_REQUEST, H_LEVELS, H_TURNS, H_FUNCTIONS,
) = range(15)  # fmt: skip
(
    O_CHANNEL, O_LEVEL_GAP, O_NODE, O_SCOPE, O_NEEDS_OPEN, O_OPENS, O_CLOSES, O_SHOWS, O_COMPLETION, O_ROLE,
    O_CAUSE, O_DEPTH, O_LATENCY, O_BEFORE, O_AFTER, O_REACH, O_MODE, O_HOME, O_TURN, O_TURN_OF, O_WITHIN, O_WIDE,
) = range(16, 38)  # fmt: skip
# where the parts of a channel's state `s` and of the scratch `w` start
(O_ROW, O_TIMES, O_RECENT, O_CHARGED, O_PENDING) = range(38, 43)
HEADER = 43
# A channel's state `s`: registers (R_LEVEL: the row that all banks are known to have open,
# or -1; R_FAR: no clock of a single bank or bank group binds from here on; R_TRAIL: the
# outcome whose replay or first execution led here, 0 if something else did; R_ORIGIN and
# R_BASE: from which clock and in the rows of which base; R_LATE: whether what follows the
# registers is still as it was before that); open row or -1 (banks); next-allowed clocks of
# the channel (c), of each bank (banks, c), of each bank group (groups, c); clocks of the
# latest commands of each window (x, depth), oldest first.
(R_DUE, R_TURN, R_CLK, R_OPEN, R_SINCE, R_LEVEL, R_MODE, R_FAR, R_TRAIL, R_ORIGIN, R_BASE, R_LATE) = range(12)
REGISTERS = 12
# The scratch `w` of one program on one channel: registers; commands counted (c) and clocks
# with a bank open (1); clocks charged to each cause up to the data end; clocks past it,
# kept only if a later command moves data.
# (W_FLOOR: nothing issues before; W_BANK: what the log shows instead of the command's own
# address, unless it is NEVER; W_WATCHED: the next data to cross the pins is that of a marked
# row, W_ARRIVED: when it has; W_PARTIAL, W_COMPLETE, W_LAST: the same of each mark)
(
    W_START, W_PREV, W_CURSOR, W_END, W_TAIL, W_LOGGED, W_REFRESHES, W_STEPPED, W_CHANNEL, W_LOW, W_HIGH, W_FLOOR,
    W_BANK, W_ROW, W_COLUMN, W_WATCHED, W_ARRIVED, W_PARTIAL, W_COMPLETE, W_LAST,
) = range(20)  # fmt: skip
W_COUNTS = 20
MARKS = 3  # of a program: see `run_block`
# What a period of a loop is recognised by (`memory`, and rows of the Engine's table of
# known periods): the request, then the state at its start, and how far it moves.
(
    M_CMD, M_STRIDE, M_USED, M_RES, M_COLUMN, M_CLK, M_REFRESHES, M_LOGGED, M_SINCE, M_END, M_CURSOR, M_PREV, M_OPEN,
    M_LEVEL, M_MODE, M_FAR, M_LENGTH, M_MOVES, M_FIRST,
) = range(19)  # fmt: skip
M_KEYS = 5
# An outcome: what a program did from a state, in the Engine's `outcomes`, one behind the
# other (the first word says where the next one goes).  Numbers, then commands counted (c)
# and clocks with a bank open (1), clocks charged to each cause, then what is behind the
# registers of the state afterwards: latest commands of windows, clocks and, unless all banks
# are alike, rows; then, from Y_START on, the description of the state that it started from.
# Clocks are relative to the start, rows to the base.  Y_WHOLE: the program left nothing as
# it was of what is behind the registers.
(
    Y_START, Y_CLK, Y_END, Y_OPEN, Y_SINCE, Y_CLOSED, Y_LEVEL, Y_FAR, Y_MODE, Y_REFRESHES, Y_WIDE, Y_WHOLE, Y_DUE,
    Y_PARTIAL, Y_COMPLETE, Y_LAST, Y_FIRST,
) = range(17)  # fmt: skip
# The description of a start `x`; X_DUE: clocks until the next refresh is due, or FAR_AWAY.
(X_PROGRAM, X_COLUMN, X_CURSOR, X_DUE, X_OPEN, X_MODE, X_LEVEL, X_FAR, X_FIRST) = range(9)
# The same by the outcome that led to it: that, clocks since its start, the program, ..., how
# far the base moved, if a row is open.
(L_TRAIL, L_AFTER, L_PROGRAM, L_COLUMN, L_CURSOR, L_DUE, L_MOVE, L_OUTCOME, LINK_WIDTH) = range(9)
# A program that may be met again: its number, and its longest time until the last command.
(P_NUMBER, P_REACH, PROGRAM_WIDTH) = range(3)
# the log's columns
LOG_WIDTH = 6
# An instruction of a block: what it is (REST: I_CLOCKS is the clock until which the channels
# rest); the clocks for which it needs the ASIC's units, read port and write port.  If it
# streams: clocks that are left after the last result (else -1); from which moment of a
# program on (T_PARTIAL, T_COMPLETE); equal parts in which a program's results come; portions
# of a part; where the programs that feed it start in `feeds`, and how many there are.  Last,
# what it spends beside its commands (see the meter).
(
    I_KIND, I_CLOCKS, I_READ, I_WRITE, I_TAIL, I_FROM, I_PARTS, I_PORTIONS, I_FEED, I_FEEDS, I_SPENDS,
) = range(11)  # fmt: skip
ARITHMETIC, WORK, REST = range(3)
# The moments of an instruction.  Of a program: its start, its marks, its end.
(T_BEGIN, T_PARTIAL, T_COMPLETE, T_LAST, T_END, MOMENTS) = range(6)
# the clocks of a block; C_COPY: the next copy; C_TAKEN: stretches in the calendar of each part
# of the ASIC
(C_ACCOUNTED, C_SERIAL, C_COPY, C_TAKEN) = range(4)
UNITS, READ_PORT, WRITE_PORT, ASIC_PARTS = range(4)
# The meter `m`: where the largest sum of any window of clocks is found.  What an instruction
# spends is laid out evenly from its begin to its end, in buckets of 2^G_SHIFT clocks; a window is
# G_FULL of them (0: nothing is metered) and G_PART clocks of one more, at its end or at its begin
# (the sum is linear in between).  G_FIRST: the oldest bucket that may still grow; G_LAST: the
# latest that has; G_SUM: of the G_FULL buckets before G_FIRST; G_MOST: the largest sum of a
# window, in parts of 2^G_SHIFT; G_BUCKETS: where the buckets start.  Behind these, what each
# command spends, and the buckets.
(G_SHIFT, G_FULL, G_PART, G_FIRST, G_LAST, G_SUM, G_MOST, G_BUCKETS, G_COSTS) = range(9)


@jit
def _addresses(d, cmd, bank, other):
    """Whether a command of a node addresses another bank than the one that it is given."""
    home = d[O_HOME] + cmd * d[H_BANKS]
    return d[home + other] == d[home + bank]


@jit
def _named(d, cmd, bank):
    """The bank that the log shows for a command that addresses `bank`: the lowest of them, or none for all."""
    return NONE if d[d[O_SCOPE] + cmd] == ALL else d[d[O_HOME] + cmd * d[H_BANKS] + bank]


@jit
def _node(d, level, bank):
    """Where the clocks of a bank's node start among those of the channel."""
    return d[d[O_NODE] + level * d[H_BANKS] + bank] * d[H_CMDS]


@jit
def _earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s[d[O_TIMES] + cmd]
    scope = d[d[O_SCOPE] + cmd]
    if scope == BANK:
        for level in range(d[H_LEVELS]):
            t = max(t, s[d[O_TIMES] + _node(d, level, bank) + cmd])
    elif scope == NODE:
        for other in range(d[H_BANKS]):
            if _addresses(d, cmd, bank, other):
                for level in range(d[H_LEVELS]):
                    t = max(t, s[d[O_TIMES] + _node(d, level, other) + cmd])
    for x in range(d[H_WINDOWS]):
        if d[d[O_AFTER] + x * d[H_CMDS] + cmd] and _counts(d, x, cmd, bank):
            t = max(t, s[d[O_RECENT] + x * d[H_DEPTH] + 0] + d[d[O_LATENCY] + x])
    return t


@jit
def _counts(d, x, cmd, bank):
    """Whether a command takes part in the node of a window."""
    scope = d[d[O_SCOPE] + cmd]
    if d[d[O_WIDE] + x] or scope == ALL:
        return True
    within = d[O_WITHIN] + x * d[H_BANKS]
    if scope == BANK:
        return d[within + bank] != 0
    if scope == NODE:
        for other in range(d[H_BANKS]):
            if d[within + other] and _addresses(d, cmd, bank, other):
                return True
    return False


@jit
def _write_log(d, w, log, cmd, bank, row, column, t):
    if log is None:
        return
    if t < w[W_LOW] or t >= w[W_HIGH]:
        return
    at = w[W_LOGGED]
    if at < len(log):
        log[at, 0] = t
        log[at, 1] = w[W_CHANNEL]
        log[at, 2] = cmd
        own = w[W_BANK] == NEVER
        log[at, 3] = bank if own else w[W_BANK]
        log[at, 4] = row if own else w[W_ROW]
        log[at, 5] = column if own else w[W_COLUMN]
    w[W_LOGGED] = at + 1


@jit
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


@jit
def _move_data(d, w, cmd, until):
    """A command's data crosses the pins until `until`: everything pending was needed."""
    if w[W_WATCHED]:
        w[W_WATCHED], w[W_ARRIVED] = ZERO, until
    if until > w[W_END]:
        w[W_END] = until
        w[W_TAIL] = cmd
        for k in range(d[H_CAUSES]):
            w[d[O_CHARGED] + k] += w[d[O_PENDING] + k]
            w[d[O_PENDING] + k] = 0


@jit
def _raise(d, s, at, gaps, t):
    """next[k] = max(next[k], t + gap[k]) for the vectors that start at s[at] and d[gaps]."""
    for k in range(d[H_CMDS]):
        s[at + k] = max(s[at + k], t + d[gaps + k])


@jit
def _block(d, s, cmd, bank, t):
    """Raise the next-allowed clocks that `cmd` at clock t holds back."""
    width = d[H_CMDS]
    _raise(d, s, d[O_TIMES], d[O_CHANNEL] + cmd * width, t)
    scope = d[d[O_SCOPE] + cmd]
    if scope == BANK:
        _block_bank(d, s, cmd, bank, t)
    elif scope == NODE:
        for other in range(d[H_BANKS]):
            if _addresses(d, cmd, bank, other):
                _block_bank(d, s, cmd, other, t)
    for x in range(d[H_WINDOWS]):
        if d[d[O_BEFORE] + x * width + cmd] and _counts(d, x, cmd, bank):
            depth, at = d[d[O_DEPTH] + x], d[O_RECENT] + x * d[H_DEPTH]
            for k in range(depth - 1):
                s[at + k] = s[at + k + 1]
            s[at + depth - 1] = t


@jit
def _block_bank(d, s, cmd, bank, t):
    """The same of the nodes that one bank is in."""
    width = d[H_CMDS]
    for level in range(d[H_LEVELS]):
        _raise(d, s, d[O_TIMES] + _node(d, level, bank), d[O_LEVEL_GAP] + (level * width + cmd) * width, t)
    s[R_FAR] = max(s[R_FAR], t + d[d[O_REACH] + cmd])


@jit
def _turn_bank(d, s, cmd, bank, row):
    if d[d[O_OPENS] + cmd]:
        s[R_OPEN] += s[d[O_ROW] + bank] < 0
        s[d[O_ROW] + bank] = row
    elif s[d[O_ROW] + bank] >= 0:
        s[d[O_ROW] + bank] = -1
        s[R_OPEN] -= 1


@jit
def _turn_banks(d, s, w, log, cmd, bank, row, t):
    """Open or close the banks that `cmd` addresses; count the clocks with one open."""
    was = s[R_OPEN]
    s[R_LEVEL] = row if d[d[O_SCOPE] + cmd] == ALL and d[d[O_OPENS] + cmd] else NONE
    if d[d[O_SCOPE] + cmd] == ALL:
        for b in range(d[H_BANKS]):
            s[d[O_ROW] + b] = row if d[d[O_OPENS] + cmd] else NONE
        s[R_OPEN] = d[H_BANKS] if d[d[O_OPENS] + cmd] else 0
    elif d[d[O_SCOPE] + cmd] == NODE:
        for b in range(d[H_BANKS]):
            if _addresses(d, cmd, bank, b):
                _turn_bank(d, s, cmd, b, row)
    else:
        _turn_bank(d, s, cmd, bank, row)
    if was == 0 and s[R_OPEN] > 0:
        s[R_SINCE] = t
    elif was > 0 and s[R_OPEN] == 0:
        w[W_COUNTS + d[H_CMDS]] += t - s[R_SINCE]


@jit
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


@jit
def _first_open(d, s, cmd, bank):
    """The lowest open bank of those that `cmd` addresses if it is given `bank`, or -1."""
    if s[R_OPEN] > 0:
        for other in range(d[H_BANKS]):
            if s[d[O_ROW] + other] >= 0 and _addresses(d, cmd, bank, other):
                return other
    return NONE


@jit
def _refresh_step(d, s):
    """The next command of the refresh that is due, its bank, and when it may issue: what is open closes first."""
    cmd, bank = d[d[O_ROLE] + REFRESH], d[d[O_TURN] + s[R_TURN]]
    to_close = _first_open(d, s, cmd, bank)
    if to_close >= 0:
        cmd, bank = d[d[O_ROLE] + CLOSE_FOR_REFRESH], to_close
    bank = _named(d, cmd, bank)
    return cmd, bank, max(s[R_DUE], _earliest(d, s, cmd, bank))


@jit
def _step_refresh(d, s, w, log, cmd, bank, t):
    """Issue a command of `_refresh_step`; return whether the refresh is under way."""
    _issue(d, s, w, log, cmd, bank, NONE, NONE, t)
    if d[d[O_CLOSES] + cmd]:
        return False
    w[W_REFRESHES] += 1
    s[R_DUE] += d[H_INTERVAL]
    s[R_TURN] = (s[R_TURN] + 1) % d[H_TURNS]
    return True


@jit
def _refresh(d, s, w, log):
    """Close what is open and refresh, at the due clock or as soon after as the table allows."""
    done = False
    while not done:
        cmd, bank, t = _refresh_step(d, s)
        done = _step_refresh(d, s, w, log, cmd, bank, t)


@jit
def _prepare(d, s, cmd, bank, row):
    """The next command that opening `row` for `cmd` needs, as (command, bank); (-1, -1) if it is open."""
    if bank >= 0:
        if cmd >= 0 and d[d[O_SCOPE] + cmd] == NODE:
            for other in range(d[H_BANKS]):
                if _addresses(d, cmd, bank, other) and s[d[O_ROW] + other] != row:
                    bank = other
                    break
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


@jit
def _due(d, s, t):
    return d[H_MODE] != NO_REFRESH and t >= s[R_DUE]


@jit
def _on_the_way(d, s, w, log, cmd, target, open_row, bank, row, column, t):
    """Issue what a request needs first; the log may show the request's address for it."""
    if d[H_LOGS_REQUEST]:
        w[W_BANK], w[W_ROW], w[W_COLUMN] = bank, row, column
    _issue(d, s, w, log, cmd, target, open_row if d[d[O_OPENS] + cmd] else NONE, NONE, t)
    w[W_BANK] = NEVER


@jit
def _request(d, s, w, log, cmd, bank, row, column, not_before):
    """Issue `cmd` (-1: only open the row) after whatever it needs, refreshing when due."""
    floor = w[W_FLOOR]
    needs = cmd < 0 or d[d[O_NEEDS_OPEN] + cmd]
    switch = d[d[O_ROLE] + SWITCH_MODE]
    while True:
        first, target = NONE, bank
        if needs:
            first, target = _prepare(d, s, cmd, bank, row)
        if first < 0 and cmd < 0:
            return
        if first >= 0:
            t = max(floor, _earliest(d, s, first, target))
        else:
            t = max(floor, not_before, _earliest(d, s, cmd, bank))
        mode = d[d[O_MODE] + (cmd if cmd >= 0 else first)]
        wrong_mode = mode >= 0 and mode != s[R_MODE]
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


@jit
def _close(d, s, w, log, bank):
    floor = w[W_FLOOR]
    cmd = d[d[O_ROLE] + CLOSE_BANK] if bank >= 0 else d[d[O_ROLE] + CLOSE_ALL]
    while s[R_OPEN] > 0 and (bank < 0 or s[d[O_ROW] + bank] >= 0):
        target = bank
        if bank < 0 and d[d[O_SCOPE] + cmd] == NODE:
            for other in range(d[H_BANKS]):
                if target < 0 and s[d[O_ROW] + other] >= 0:
                    target = _named(d, cmd, other)
        t = max(floor, _earliest(d, s, cmd, target))
        if _due(d, s, t):
            _refresh(d, s, w, log)
        else:
            _issue(d, s, w, log, cmd, target, NONE, NONE, t)


@jit
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


@jit
def _run(d, s, w, log, cmd, bank, lin, n, gap, hold):
    columns = d[H_COLUMNS]
    stepped = w[W_STEPPED]
    spacing = max(1, gap, d[d[O_CHANNEL] + cmd * d[H_CMDS] + cmd])
    if bank >= 0:
        for level in range(d[H_LEVELS]):
            spacing = max(spacing, d[d[O_LEVEL_GAP] + (level * d[H_CMDS] + cmd) * d[H_CMDS] + cmd])
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


@jit
def _times_bound(d, s, clk):
    """How many next-allowed clocks may still bind after `clk`: those of the channel come first."""
    return d[H_TIMES] if s[R_FAR] > clk else d[H_CMDS]


@jit
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


@jit
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
    for k in range(_times_bound(d, s, clk)):
        if s[d[O_TIMES] + k] >= clk:  # at the clock itself another bus may carry a command
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
    _copy_log(w, log, memory[M_LOGGED], most, length, rows)
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
def _skip(d, s, w, log, memory, known, seen, rows, row, most):
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
        _copy(known[slot], memory)
    return _advance(d, s, w, memory, rows, most)


@jit
def _copy_log(w, log, first, periods, length, rows):
    """The log of the last period, again for each period skipped."""
    last = w[W_LOGGED]
    for p in range(1, periods + 1):
        for k in range(first, last):
            at = w[W_LOGGED]
            if at < len(log) and k < len(log):
                for column in range(LOG_WIDTH):
                    log[at, column] = log[k, column]
                log[at, 0] += p * length
                if log[at, 4] >= 0:
                    log[at, 4] += p * rows
            w[W_LOGGED] = at + 1


@jit
def _gcd(a, b):
    while b:
        a, b = b, a % b
    return a


@jit
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


@jit
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


@jit
def _execute(d, s, w, log, program, first, last, base, memory, known, marks):
    for r in range(first, last):
        row = r - first
        if row == marks[0] or row == marks[1] or row == marks[2]:
            w[W_WATCHED] = 1
        op, cmd, bank, lin, n = program[r, 0], program[r, 1], program[r, 2], program[r, 3], program[r, 4]
        if op == RUN:
            shift = base if d[d[O_NEEDS_OPEN] + cmd] and lin < d[H_FUNCTIONS] * d[H_COLUMNS] else 0
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
        for k in range(MARKS):
            if row == marks[k]:
                w[W_PARTIAL + k] = w[W_ARRIVED]


@jit
def _catch_up(d, s, w, log, start):
    """Refreshes that fell due while the channel had nothing to do."""
    while _due(d, s, start - 1):
        _refresh(d, s, w, log)


@jit
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


@jit
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
    w[W_WATCHED] = 0
    for k in range(MARKS):
        w[W_PARTIAL + k] = NEVER
    for k in range(W_COUNTS, len(w)):
        w[k] = 0


@jit
def _clear(a):
    for k in range(len(a)):
        a[k] = 0


@jit
def _copy(a, b):
    for k in range(len(a)):
        a[k] = b[k]


@jit
def _same(d, a, b):
    """Whether two states after the same program have the same future."""
    for k in range(R_FAR):
        if a[k] != b[k]:
            return False
    if a[R_TRAIL] > 0 and a[R_TRAIL] == b[R_TRAIL]:
        return a[R_ORIGIN] == b[R_ORIGIN] and a[R_BASE] == b[R_BASE]
    far = _times_bound(d, a, a[R_CLK])
    if a[R_LATE] or b[R_LATE] or far != _times_bound(d, b, b[R_CLK]):
        return False
    for k in range(d[H_BANKS] + far):  # the open rows, then the clocks
        if a[d[O_ROW] + k] != b[d[O_ROW] + k]:
            return False
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        if a[d[O_RECENT] + k] != b[d[O_RECENT] + k]:
            return False
    return True


@jit
def _same_work(spans, a, b):
    return spans[a, 0] == spans[b, 0] and spans[a, 1] == spans[b, 1]


@jit
def _part(states, owners, before, spans):
    """Channels whose work differs from their owner's get a state of their own."""
    for channel in range(len(owners)):
        before[channel] = owners[channel]
    for channel in range(len(owners)):
        other = before[channel]
        while other < channel and not (before[other] == before[channel] and _same_work(spans, other, channel)):
            other += 1
        if other == channel and owners[channel] != channel:
            _copy(states[channel], states[before[channel]])
        owners[channel] = owners[other] if other < channel else channel


@jit
def _join(d, states, owners, spans):
    """Channels that are equal after the same work share the state of the first."""
    for channel in range(len(owners)):
        if owners[channel] != channel:
            owners[channel] = owners[owners[channel]]
            continue
        for other in range(channel):
            if (
                owners[other] == other
                and _same_work(spans, other, channel)
                and _same(d, states[other], states[channel])
            ):
                owners[channel] = other
                break


@jit
def _begin(d, s, w, log, start, account, channel, options, logged):
    """Refreshes that fell due before `start`, counted in `w` for all that they are late."""
    _start_work(d, w, start, account, channel, options[0], logged, options[2], options[3])
    _catch_up(d, s, w, log, start)


@jit
def _count(d, w, many, counts):
    """Move the commands and open clocks counted in `w` to `counts`, for `many` channels."""
    for k in range(d[H_CMDS] + 1):
        counts[k] += many * w[W_COUNTS + k]
        w[W_COUNTS + k] = 0


@jit
def _finish_charges(d, w):
    """What is left up to the data end goes to the command that sets it."""
    end = w[W_END]
    if end > w[W_CURSOR]:
        w[d[O_CHARGED] + d[d[O_CAUSE] + w[W_TAIL]]] += end - w[W_CURSOR]
        w[W_CURSOR] = end


@jit
def _note_end(d, w, charges, moments):
    """The charges and marks of a finished program; return its data end."""
    for k in range(d[H_CAUSES]):
        charges[k] = w[d[O_CHARGED] + k]
    for k in range(MARKS):
        moments[T_PARTIAL + k] = max(moments[T_PARTIAL + k], _mark(w, k))
    return w[W_END]


@jit
def _mark(w, k):
    """When the first data of the k-th mark was there; of a program without it: all data."""
    return w[W_END] if w[W_PARTIAL + k] == NEVER else w[W_PARTIAL + k]


@jit
def _rows_touched(d, program, first, last, column):
    """The lowest and highest row that a program works in, relative to its base."""
    low, high = FAR_AWAY, NONE
    for r in range(first, last):
        op, cmd, lin, n = program[r, 0], program[r, 1], program[r, 3] + column, program[r, 4]
        end = lin
        if op == RUN:
            if not d[d[O_NEEDS_OPEN] + cmd] or program[r, 3] >= d[H_FUNCTIONS] * d[H_COLUMNS]:
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


@jit
def _relative(d, row, base_row, low, high):
    """A row as a program sees it: closed (-1), a function's, one it does not work in (NEVER), or from its base."""
    if row < 0:
        return NONE
    if row >= d[H_FUNCTIONS]:
        return row
    if row - base_row < low or row - base_row > high:
        return NEVER
    return row - base_row


@jit
def _absolute(d, row, base_row):
    """The row that `_relative` made `row` of; not of one that the program does not work in."""
    return NONE if row < 0 else row if row >= d[H_FUNCTIONS] else row + base_row


@jit
def _uniform(d, s, clk):
    """Whether a state is that of all banks alike: nothing of a single bank binds from `clk` on, one row for all."""
    return s[R_FAR] <= clk and (s[R_OPEN] == 0 or s[R_LEVEL] >= 0)


@jit
def _meet(programs, number):
    """What is known of a program, put in place of another one's if it is new."""
    met = programs[number & (len(programs) - 1)]
    if met[P_NUMBER] != number:
        met[P_NUMBER], met[P_REACH] = number, 0
    return met


@jit
def _next_due(d, s, start, reach):
    """Clocks until the next refresh is due, if a program that never took longer than `reach` may meet it."""
    due = s[R_DUE] - start
    return due if d[H_MODE] == ALL_BANK and due <= reach else FAR_AWAY


@jit
def _mix(mixed, number):
    return (mixed * 1_000_003 + number) & HASH


@jit
def _slot_of(table, mixed):
    """The place of a hash in a table of 2^n places."""
    return (mixed ^ (mixed >> 20)) & (len(table) - 1)


@jit
def _describe_link(d, s, link, number, base, start, account, due):
    """Write to `link` how the coming program follows the outcome that led here; return its hash."""
    link[L_TRAIL] = s[R_TRAIL]
    link[L_AFTER] = start - s[R_ORIGIN]
    link[L_PROGRAM] = number
    link[L_COLUMN] = base % d[H_COLUMNS]
    link[L_CURSOR] = account - start
    link[L_DUE] = due
    link[L_MOVE] = base - s[R_BASE] if s[R_OPEN] > 0 else 0
    mixed = ZERO
    for k in range(L_OUTCOME):
        mixed = _mix(mixed, link[k])
    return mixed


@jit
def _follow(link, links, slot):
    """The outcome that is known to follow, 0 if none is."""
    for k in range(L_OUTCOME):
        if links[slot, k] != link[k]:
            return ZERO
    return links[slot, L_OUTCOME]


@jit
def _keep_link(link, links, slot, at):
    """Keep that the outcome at `at` follows, if it was described by what led to it."""
    if slot >= 0:
        link[L_OUTCOME] = at
        _copy(links[slot], link)


@jit
def _describe_start(d, s, w, x, program, first, last, number, base, start, due):
    """Write to `x` everything that decides what a program does; return its hash, and its length."""
    low, high = FAR_AWAY, NONE
    if s[R_OPEN] > 0:
        low, high = _rows_touched(d, program, first, last, base % d[H_COLUMNS])
    base_row = base // d[H_COLUMNS]
    x[X_PROGRAM] = number
    x[X_COLUMN] = base % d[H_COLUMNS]
    x[X_CURSOR] = w[W_CURSOR] - start
    x[X_DUE] = due
    x[X_OPEN] = s[R_OPEN]
    x[X_MODE] = s[R_MODE]
    x[X_LEVEL] = _relative(d, s[R_LEVEL], base_row, low, high)
    x[X_FAR] = _times_bound(d, s, start)
    n = X_FIRST
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        x[n] = s[d[O_RECENT] + k] - start
        n += 1
    for k in range(x[X_FAR]):
        x[n] = s[d[O_TIMES] + k] - start
        n += 1
    if s[R_LEVEL] < 0 and s[R_OPEN] > 0:
        for k in range(d[H_BANKS]):
            x[n] = _relative(d, s[d[O_ROW] + k], base_row, low, high)
            n += 1
    mixed = ZERO
    for k in range(n):
        mixed = _mix(mixed, x[k])
    return mixed, n


@jit
def _recall(x, n, outcomes, index, mixed):
    """The outcome of what `x` describes, 0 if none is known."""
    at = index[_slot_of(index, mixed)]
    if at == 0:
        return at
    first = outcomes[at + Y_START]
    for k in range(n):
        if outcomes[first + k] != x[k]:
            return ZERO
    return at


@jit
def _if_it_holds(d, s, outcomes, at, start):
    """The outcome at `at`, 0 if it met no refresh and one is due before its last command now."""
    if at > 0 and outcomes[at + Y_DUE] == FAR_AWAY and _due(d, s, start + outcomes[at + Y_CLK]):
        return ZERO
    return at


@jit
def _remember(d, s, w, x, n, outcomes, program, first, last, base, start, since, refreshes):
    """Keep what the program described in `x` did, and return where (0: it is not kept).

    `since`: the clock since which a bank was open when it started.
    """
    width, recent = d[H_CMDS], d[H_WINDOWS] * d[H_DEPTH]
    wide = not _uniform(d, s, s[R_CLK])
    times = d[H_TIMES] if wide else width
    at = outcomes[0]
    behind = at + Y_FIRST + width + 1 + d[H_CAUSES]
    begin = behind + recent + times + (d[H_BANKS] if wide else ZERO)
    if begin + n > len(outcomes) or (refreshes > 0 and x[X_DUE] == FAR_AWAY):
        return ZERO  # no room; or it took longer than it ever did, or one bank after the other is refreshed
    low, high = _rows_touched(d, program, first, last, base % d[H_COLUMNS])
    base_row = base // d[H_COLUMNS]
    stayed = x[X_OPEN] > 0 and s[R_OPEN] > 0 and s[R_SINCE] == since
    outcomes[at + Y_START] = begin
    outcomes[at + Y_CLK] = s[R_CLK] - start
    outcomes[at + Y_END] = w[W_END] - start
    outcomes[at + Y_OPEN] = s[R_OPEN]
    outcomes[at + Y_SINCE] = NEVER if stayed else s[R_SINCE] - start
    outcomes[at + Y_CLOSED] = x[X_OPEN] > 0 and not stayed
    outcomes[at + Y_LEVEL] = _relative(d, s[R_LEVEL], base_row, low, high)
    outcomes[at + Y_FAR] = s[R_FAR] - start
    outcomes[at + Y_MODE] = s[R_MODE]
    outcomes[at + Y_REFRESHES] = refreshes
    outcomes[at + Y_WIDE] = wide
    outcomes[at + Y_DUE] = x[X_DUE]
    for k in range(MARKS):
        outcomes[at + Y_PARTIAL + k] = _mark(w, k) - start
    whole = outcomes[at + Y_LEVEL] != NEVER
    k = at + Y_FIRST
    for i in range(width + 1):
        outcomes[k + i] = w[W_COUNTS + i]
    if outcomes[at + Y_CLOSED]:
        outcomes[k + width] -= start - since
    for i in range(d[H_CAUSES]):
        outcomes[k + width + 1 + i] = w[d[O_CHARGED] + i]
    for i in range(recent):
        outcomes[behind + i] = s[d[O_RECENT] + i] - start
    for i in range(times):
        outcomes[behind + recent + i] = s[d[O_TIMES] + i] - start
    if wide:
        for i in range(d[H_BANKS]):
            row = _relative(d, s[d[O_ROW] + i], base_row, low, high)
            outcomes[behind + recent + times + i] = row
            whole &= row != NEVER
    outcomes[at + Y_WHOLE] = whole
    for i in range(n):
        outcomes[begin + i] = x[i]
    outcomes[0] = begin + n
    return at


@jit
def _settle(d, s, outcomes):
    """Write what is behind the registers of a state, if the latest replay left that for later."""
    if not s[R_LATE]:
        return
    s[R_LATE] = 0
    at, start, base_row = s[R_TRAIL], s[R_ORIGIN], s[R_BASE] // d[H_COLUMNS]
    wide = outcomes[at + Y_WIDE]
    k = at + Y_FIRST + d[H_CMDS] + 1 + d[H_CAUSES]
    for i in range(d[H_WINDOWS] * d[H_DEPTH]):
        s[d[O_RECENT] + i] = start + outcomes[k + i]
    k += d[H_WINDOWS] * d[H_DEPTH]
    times = d[H_TIMES] if wide else d[H_CMDS]
    for i in range(times):
        s[d[O_TIMES] + i] = start + outcomes[k + i]
    k += times
    for i in range(d[H_BANKS]):
        row = outcomes[k + i] if wide else outcomes[at + Y_LEVEL]
        if row != NEVER:
            s[d[O_ROW] + i] = _absolute(d, row, base_row)


@jit
def _replay(d, s, outcomes, at, base, start):
    """Do what a program did, from clock `start` and in the rows of `base`."""
    if not outcomes[at + Y_WHOLE]:
        _settle(d, s, outcomes)
    s[R_DUE] += outcomes[at + Y_REFRESHES] * d[H_INTERVAL]
    s[R_CLK] = start + outcomes[at + Y_CLK]
    s[R_OPEN] = outcomes[at + Y_OPEN]
    if outcomes[at + Y_SINCE] != NEVER:
        s[R_SINCE] = start + outcomes[at + Y_SINCE]
    level = outcomes[at + Y_LEVEL]
    if level != NEVER:
        s[R_LEVEL] = _absolute(d, level, base // d[H_COLUMNS])
    s[R_MODE] = outcomes[at + Y_MODE]
    s[R_FAR] = start + outcomes[at + Y_FAR]
    s[R_TRAIL], s[R_ORIGIN], s[R_BASE], s[R_LATE] = at, start, base, ONE
    if not outcomes[at + Y_WHOLE]:
        _settle(d, s, outcomes)
        s[R_TRAIL] = 0


@jit
def _count_replayed(d, s, outcomes, at, start, many, totals, charges, moments):
    """Count on `many` channels what an outcome does from the state `s`; return the data end."""
    for k in range(MARKS):
        moments[T_PARTIAL + k] = max(moments[T_PARTIAL + k], start + outcomes[at + Y_PARTIAL + k])
    k = at + Y_FIRST
    for i in range(d[H_CMDS] + 1):
        totals[i] += many * outcomes[k + i]
    if outcomes[at + Y_CLOSED]:
        totals[d[H_CMDS]] += many * (start - s[R_SINCE])
    k += d[H_CMDS] + 1
    for i in range(d[H_CAUSES]):
        charges[i] = outcomes[k + i]
    return start + outcomes[at + Y_END]


@jit
def _run_channel(
    d, s, channel, program, first, last, marks, number, base, start, account, options, many, totals, charges, moments,
    scratch,
):  # fmt: skip
    """Run a program on a channel, for `many` that are like it; return its data end.

    If it is known what the program does from here, that is done at once.  It is known by
    the outcome that led here (`_follow`) or by the state (`_recall`): the same, but the
    first looks at seven numbers.
    """
    w, memory, known, outcomes, index, links, programs, x, link = scratch
    remembers = number > 0 and options[1] and not options[0]
    met = _meet(programs, number if remembers else ZERO)
    due = _next_due(d, s, start, met[P_REACH])
    at, mixed, n, slot = ZERO, ZERO, ZERO, NONE
    if remembers and s[R_TRAIL] > 0 and not _due(d, s, start - 1):
        slot = _slot_of(links, _describe_link(d, s, link, number, base, start, account, due))
        at = _if_it_holds(d, s, outcomes, _follow(link, links, slot), start)
    if at == 0:
        _settle(d, s, outcomes)
        _begin(d, s, w, None, start, account, channel, options, ZERO)
        if w[W_REFRESHES]:
            _count(d, w, many, totals)
            w[W_REFRESHES] = 0
            due = _next_due(d, s, start, met[P_REACH])
            remembers &= w[W_PREV] == NONE  # else one came so late that clocks of the program are charged to it
        _normalise(d, s, start)
        if remembers:
            mixed, n = _describe_start(d, s, w, x, program, first, last, number, base, start, due)
            at = _if_it_holds(d, s, outcomes, _recall(x, n, outcomes, index, mixed), start)
        if at > 0:
            _keep_link(link, links, slot, at)
    if at > 0:
        end = _count_replayed(d, s, outcomes, at, start, many, totals, charges, moments)
        _replay(d, s, outcomes, at, base, start)
        return end
    since = s[R_SINCE]
    _execute(d, s, w, None, program, first, last, base, memory, known, marks)
    _finish_charges(d, w)
    s[R_TRAIL] = 0
    if remembers:
        met[P_REACH] = max(met[P_REACH], s[R_CLK] - start)
        at = _remember(d, s, w, x, n, outcomes, program, first, last, base, start, since, w[W_REFRESHES])
        if at > 0:
            index[_slot_of(index, mixed)] = at
            _keep_link(link, links, slot, at)
            if outcomes[at + Y_WHOLE]:
                s[R_TRAIL], s[R_ORIGIN], s[R_BASE] = at, start, base
    _count(d, w, many, totals)
    return _note_end(d, w, charges, moments)


@jit
def _run_channels(
    d, states, owners, program, spans, marks, numbers, base, start, account, options, totals, ends, moments, scratch
):  # fmt: skip
    """Run every channel, those with the same state and work once if they fold; return the one whose charges count."""
    charges, followers, own, _, _ = scratch
    _part(states, owners, followers, spans)
    for channel in range(len(owners)):
        followers[channel] = 0
    leaders = 0
    for channel in range(len(owners)):
        ends[channel] = start
        followers[owners[channel]] += 1
        leaders += owners[channel] == channel
    critical: Any = NONE
    for channel in range(len(owners)):
        first, last = spans[channel, 0], spans[channel, 1]
        if owners[channel] != channel:
            ends[channel] = ends[owners[channel]]
        elif first < last:
            ends[channel] = _run_channel(
                d, states[channel], channel, program, first, last, marks[channel], numbers[channel], base, start,
                account, options, followers[channel], totals, charges[channel], moments, own,
            )  # fmt: skip
            if critical == NONE or ends[channel] > ends[critical]:
                critical = channel
    if leaders > 1 and options[1]:
        _join(d, states, owners, spans)
    return critical


@jit
def _run_logged(
    d, states, program, spans, marks, base, start, account, options, totals, ends, moments, log, scratch
):  # fmt: skip
    """Run and log every channel; return the one whose charges count, and the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    charges, _, (w, memory, known, _, _, _, _, _, _), fresh, counts = scratch
    logged = ZERO
    critical: Any = NONE
    for channel in range(len(states)):
        ends[channel] = start
        s = fresh[channel]
        _copy(s, states[channel])
        _clear(counts[channel])
        first, last = spans[channel, 0], spans[channel, 1]
        if first == last:
            continue
        _begin(d, s, w, log, start, account, channel, options, logged)
        _normalise(d, s, start)
        _execute(d, s, w, log, program, first, last, base, memory, known, marks[channel])
        _finish_charges(d, w)
        _count(d, w, ONE, counts[channel])
        ends[channel] = _note_end(d, w, charges[channel], moments)
        logged = w[W_LOGGED]
        if critical == NONE or ends[channel] > ends[critical]:
            critical = channel
    if log is not None and logged > len(log):
        return NONE, -logged
    _keep_fresh(d, states, fresh, counts, totals)
    return critical, logged


@jit
def _rest(d, states, stop, options, totals, log, scratch):
    """Refresh every channel up to clock `stop`, and count banks that are open until then; return the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    _, _, (w, _, _, _, _, _, _, _, _), fresh, counts = scratch
    logged = ZERO
    for channel in range(len(states)):
        s = fresh[channel]
        _copy(s, states[channel])
        _clear(counts[channel])
        _start_work(d, w, stop, stop, channel, ONE, logged, options[2], options[3])
        _catch_up(d, s, w, log, stop)
        logged = w[W_LOGGED]
        if s[R_OPEN] > 0:
            w[W_COUNTS + d[H_CMDS]] += stop - s[R_SINCE]
            s[R_SINCE] = stop
        _count(d, w, ONE, counts[channel])
    if log is not None and logged > len(log):
        return -logged
    _keep_fresh(d, states, fresh, counts, totals)
    return logged


@jit
def _keep_fresh(d, states, fresh, counts, totals):
    """Take over what every channel did, now that its log fits."""
    for channel in range(len(states)):
        _copy(states[channel], fresh[channel])
        for k in range(d[H_CMDS] + 1):
            totals[k] += counts[channel, k]


# ---- the schedule
# `sim.schedule` says the same in plain Python: when an instruction may start, and what the ASIC does when.


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
                logged = _rest(d, states, step[I_CLOCKS], options, totals[i], log, scratch)
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
                    critical = _run_channels(
                        d, states, owners, program, spans[i], marks[i], numbers[i], bases[i, copy], start,
                        max(start, accounted), options, totals[i], ends, times[i], scratch,
                    )  # fmt: skip
                else:
                    critical, logged = _run_logged(
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
            _settle(d, states[channel], outcomes)
    return logged


# ---- host traffic

# A request: arrival clock, command, bank, row, column; its place in the queue: its number,
# and how many younger ones went first.
(Q_ARRIVAL, Q_COMMAND, Q_BANK, Q_ROW, Q_COLUMN) = range(5)
(Q_NUMBER, Q_OVERTAKEN, QUEUE_WIDTH) = range(3)


@jit
def _pick(d, s, w, requests, queue, waiting, marks, refreshing, patience):
    """FR-FCFS: the request that can move on first, as (place in the queue, command, clock).

    Row hits keep their row open; in a bank without one, the oldest request says which row
    comes next.  Of those that can move at the same clock a hit goes first, then the oldest.
    Once `patience` younger requests went before the oldest, its bank is its own and no data
    but its own moves.  The banks of the turn `refreshing` take none; the place is -1 if nothing is left.
    """
    for bank in range(d[H_BANKS]):
        marks[bank] = 0
    for k in range(waiting):
        bank = requests[queue[k, Q_NUMBER], Q_BANK]
        if s[d[O_ROW] + bank] == requests[queue[k, Q_NUMBER], Q_ROW]:
            marks[bank] = 1
    own = requests[queue[0, Q_NUMBER], Q_BANK]
    urgent = queue[0, Q_OVERTAKEN] >= patience and d[d[O_TURN_OF] + own] != refreshing
    best: Any = NONE
    chosen, best_hit, best_t = NONE, False, FAR_AWAY
    for k in range(waiting):
        r = queue[k, Q_NUMBER]
        bank, row = requests[r, Q_BANK], requests[r, Q_ROW]
        hit = s[d[O_ROW] + bank] == row
        first = urgent and k == 0
        if d[d[O_TURN_OF] + bank] == refreshing or (not hit and marks[bank] and not first):
            continue
        marks[bank] = 1
        if urgent and not first and (hit or bank == own):
            continue
        cmd = requests[r, Q_COMMAND]
        if not hit:
            cmd = d[d[O_ROLE] + OPEN_BANK] if s[d[O_ROW] + bank] < 0 else d[d[O_ROLE] + CLOSE_BANK]
        t = max(_earliest(d, s, cmd, bank), requests[r, Q_ARRIVAL], w[W_FLOOR])
        if t < best_t or (t == best_t and hit and not best_hit):
            best, chosen, best_hit, best_t = k, cmd, hit, t
    return best, chosen, best_t


@jit
def _leave(queue, place, waiting):
    """Take a request out of the queue; those before it were overtaken."""
    for k in range(place):
        queue[k, Q_OVERTAKEN] += 1
    for k in range(place, waiting - 1):
        _copy(queue[k], queue[k + 1])


@entry
def serve_channel(d, s, requests, start, channel, options, patience, totals, done, queue, marks, w, log):
    """Serve requests (n, 5), in order of arrival, by FR-FCFS with len(queue) places; return the log rows.

    The state `s` is updated in place, done (n, 2) receives clocks, totals counts as of
    `run_block`.  Nothing issues before `start`.  A refresh that is due takes its banks; the
    others go on meanwhile.  If the log overflows the rows needed come back negative: the
    caller has to restore the state.
    """
    return _serve_channel(
        table(d), view(s), table(requests), start, channel, table(options), patience, view(totals), view(done),
        view(queue), view(marks), view(w), view(log),
    )  # fmt: skip


@jit
def _serve_channel(d, s, requests, start, channel, options, patience, totals, done, queue, marks, w, log):
    _begin(d, s, w, log, start, start, channel, options, ZERO)
    waiting, coming = ZERO, ZERO
    n = len(requests)
    while waiting > 0 or coming < n:
        best, cmd, t = NONE, NONE, FAR_AWAY
        if waiting > 0:
            best, cmd, t = _pick(d, s, w, requests, queue, waiting, marks, NONE, patience)
        elif coming < n:
            _catch_up(d, s, w, log, requests[coming, Q_ARRIVAL])
        step, turn, refreshes = NONE, NONE, False
        if waiting > 0 and _due(d, s, t):
            step, turn, ready = _refresh_step(d, s)
            t = FAR_AWAY
            if d[H_MODE] == IN_TURN:
                best, cmd, t = _pick(d, s, w, requests, queue, waiting, marks, s[R_TURN], patience)
            refreshes = ready <= t
            t = min(t, ready)
        if coming < n and waiting < len(queue) and requests[coming, Q_ARRIVAL] <= t:
            queue[waiting, Q_NUMBER], queue[waiting, Q_OVERTAKEN] = coming, ZERO
            waiting, coming = waiting + 1, coming + 1
            continue
        if refreshes:
            _step_refresh(d, s, w, log, step, turn, t)
            continue
        r = queue[best, Q_NUMBER]
        row, column = requests[r, Q_ROW], requests[r, Q_COLUMN]
        served = cmd == requests[r, Q_COMMAND]
        _issue(d, s, w, log, cmd, requests[r, Q_BANK], row if cmd != d[d[O_ROLE] + CLOSE_BANK] else NONE,
               column if served else NONE, t)  # fmt: skip
        if served:
            done[r, 0], done[r, 1] = t, t + d[d[O_COMPLETION] + cmd]
            _leave(queue, best, waiting)
            waiting -= 1
    _finish_charges(d, w)
    if log is not None and w[W_LOGGED] > len(log):
        return -w[W_LOGGED]
    _count(d, w, ONE, totals)
    for k in range(d[H_CAUSES]):
        totals[d[H_CMDS] + 1 + k] += w[d[O_CHARGED] + k]
    return w[W_LOGGED]
