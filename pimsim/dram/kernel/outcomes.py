"""What programs did from which state: one that starts from an equal state again, as long before the
next refresh, is replayed: known by its state, or, without a look at that, by the outcome that it follows.
"""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.arrays import copy
from pimsim.dram.kernel.layout import (
    ALL_BANK,
    CLOSE,
    FAR_AWAY,
    H_BANKS,
    H_CAUSES,
    H_CMDS,
    H_COLUMNS,
    H_DEPTH,
    H_INTERVAL,
    H_MODE,
    H_TIMES,
    H_WINDOWS,
    HASH,
    L_AFTER,
    L_COLUMN,
    L_CURSOR,
    L_DUE,
    L_MOVE,
    L_OUTCOME,
    L_PROGRAM,
    L_TRAIL,
    LOOP,
    MARKS,
    NEVER,
    NONE,
    O_CHARGED,
    O_NEEDS_OPEN,
    O_RECENT,
    O_ROW,
    O_TIMES,
    ONE,
    P_NUMBER,
    P_REACH,
    R_BASE,
    R_CLK,
    R_DUE,
    R_FAR,
    R_LATE,
    R_LEVEL,
    R_MODE,
    R_OPEN,
    R_ORIGIN,
    R_SINCE,
    R_TRAIL,
    RUN,
    SCATTER,
    T_PARTIAL,
    W_COUNTS,
    W_CURSOR,
    W_END,
    X_COLUMN,
    X_CURSOR,
    X_DUE,
    X_FAR,
    X_FIRST,
    X_LEVEL,
    X_MODE,
    X_OPEN,
    X_PROGRAM,
    Y_CLK,
    Y_CLOSED,
    Y_DUE,
    Y_END,
    Y_FAR,
    Y_FIRST,
    Y_LEVEL,
    Y_MODE,
    Y_OPEN,
    Y_PARTIAL,
    Y_REFRESHES,
    Y_SINCE,
    Y_START,
    Y_WHOLE,
    Y_WIDE,
    ZERO,
)  # fmt: skip
from pimsim.dram.kernel.refresh import refresh_due
from pimsim.dram.kernel.timing import times_bound
from pimsim.dram.kernel.work import marked_at


@jit
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


@jit
def _relative(row, base_row, low, high):
    """A row as a program sees it: closed (-1), one that it does not work in (NEVER), or relative to its base."""
    if row < 0:
        return NONE
    if row - base_row < low or row - base_row > high:
        return NEVER
    return row - base_row


@jit
def _uniform(d, s, clk):
    """Whether a state is that of all banks alike: nothing of a single bank binds from `clk` on, one row for all."""
    return s[R_FAR] <= clk and (s[R_OPEN] == 0 or s[R_LEVEL] >= 0)


@jit
def meet(programs, number):
    """What is known of a program, put in place of another one's if it is new."""
    met = programs[number & (len(programs) - 1)]
    if met[P_NUMBER] != number:
        met[P_NUMBER], met[P_REACH] = number, 0
    return met


@jit
def next_due(d, s, start, reach):
    """Clocks until the next refresh is due, if a program that never took longer than `reach` may meet it."""
    due = s[R_DUE] - start
    return due if d[H_MODE] == ALL_BANK and due <= reach else FAR_AWAY


@jit
def _mix(mixed, number):
    return (mixed * 1_000_003 + number) & HASH


@jit
def slot_of(table, mixed):
    """The place of a hash in a table of 2^n places."""
    return (mixed ^ (mixed >> 20)) & (len(table) - 1)


@jit
def describe_link(d, s, link, number, base, start, account, due):
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
def follow(link, links, slot):
    """The outcome that is known to follow, 0 if none is."""
    for k in range(L_OUTCOME):
        if links[slot, k] != link[k]:
            return ZERO
    return links[slot, L_OUTCOME]


@jit
def keep_link(link, links, slot, at):
    """Keep that the outcome at `at` follows, if it was described by what led to it."""
    if slot >= 0:
        link[L_OUTCOME] = at
        copy(links[slot], link)


@jit
def describe_start(d, s, w, x, program, first, last, number, base, start, due):
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
    x[X_LEVEL] = _relative(s[R_LEVEL], base_row, low, high)
    x[X_FAR] = times_bound(d, s, start)
    n = X_FIRST
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        x[n] = s[d[O_RECENT] + k] - start
        n += 1
    for k in range(x[X_FAR]):
        x[n] = s[d[O_TIMES] + k] - start
        n += 1
    if s[R_LEVEL] < 0 and s[R_OPEN] > 0:
        for k in range(d[H_BANKS]):
            x[n] = _relative(s[d[O_ROW] + k], base_row, low, high)
            n += 1
    mixed = ZERO
    for k in range(n):
        mixed = _mix(mixed, x[k])
    return mixed, n


@jit
def recall(x, n, outcomes, index, mixed):
    """The outcome of what `x` describes, 0 if none is known."""
    at = index[slot_of(index, mixed)]
    if at == 0:
        return at
    first = outcomes[at + Y_START]
    for k in range(n):
        if outcomes[first + k] != x[k]:
            return ZERO
    return at


@jit
def if_it_holds(d, s, outcomes, at, start):
    """The outcome at `at`, 0 if it met no refresh and one is due before its last command now."""
    if at > 0 and outcomes[at + Y_DUE] == FAR_AWAY and refresh_due(d, s, start + outcomes[at + Y_CLK]):
        return ZERO
    return at


@jit
def remember(d, s, w, x, n, outcomes, program, first, last, base, start, since, refreshes):
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
    outcomes[at + Y_LEVEL] = _relative(s[R_LEVEL], base_row, low, high)
    outcomes[at + Y_FAR] = s[R_FAR] - start
    outcomes[at + Y_MODE] = s[R_MODE]
    outcomes[at + Y_REFRESHES] = refreshes
    outcomes[at + Y_WIDE] = wide
    outcomes[at + Y_DUE] = x[X_DUE]
    for k in range(MARKS):
        outcomes[at + Y_PARTIAL + k] = marked_at(w, k) - start
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
            row = _relative(s[d[O_ROW] + i], base_row, low, high)
            outcomes[behind + recent + times + i] = row
            whole &= row != NEVER
    outcomes[at + Y_WHOLE] = whole
    for i in range(n):
        outcomes[begin + i] = x[i]
    outcomes[0] = begin + n
    return at


@jit
def settle(d, s, outcomes):
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
            s[d[O_ROW] + i] = row + base_row if row >= 0 else NONE


@jit
def replay(d, s, outcomes, at, base, start):
    """Do what a program did, from clock `start` and in the rows of `base`."""
    if not outcomes[at + Y_WHOLE]:
        settle(d, s, outcomes)
    s[R_DUE] += outcomes[at + Y_REFRESHES] * d[H_INTERVAL]
    s[R_CLK] = start + outcomes[at + Y_CLK]
    s[R_OPEN] = outcomes[at + Y_OPEN]
    if outcomes[at + Y_SINCE] != NEVER:
        s[R_SINCE] = start + outcomes[at + Y_SINCE]
    level = outcomes[at + Y_LEVEL]
    if level != NEVER:
        s[R_LEVEL] = level + base // d[H_COLUMNS] if level >= 0 else NONE
    s[R_MODE] = outcomes[at + Y_MODE]
    s[R_FAR] = start + outcomes[at + Y_FAR]
    s[R_TRAIL], s[R_ORIGIN], s[R_BASE], s[R_LATE] = at, start, base, ONE
    if not outcomes[at + Y_WHOLE]:
        settle(d, s, outcomes)
        s[R_TRAIL] = 0


@jit
def count_replayed(d, s, outcomes, at, start, many, totals, charges, moments):
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
