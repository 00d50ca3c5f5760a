"""What programs did from which state: one that starts from an equal state again, as long before the
next refresh, is replayed: known by its state, or, without a look at that, by the outcome that it follows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pimsim.dram.compiler import carve, flat, jit
from pimsim.dram.kernel.arrays import copy
from pimsim.dram.kernel.bounds import marked_at
from pimsim.dram.kernel.numbers import (
    A_COMMAND,
    A_COUNT,
    A_LINEAR,
    A_REQUEST,
    A_STRIDE,
    A_USED,
    ALL_BANK,
    CLOSE,
    FAR_AWAY,
    HASH,
    LOOP,
    NEVER,
    NONE,
    ONE,
    RUN,
    SCATTER,
    ZERO,
)
from pimsim.dram.kernel.refresh import refresh_due
from pimsim.dram.kernel.state import (
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
)
from pimsim.dram.kernel.timing import times_bound
from pimsim.dram.kernel.work import MARKS, T_PARTIAL, W_CURSOR, W_EARLIER, W_END, W_LATER, W_PERIOD, W_SPREAD

# An outcome: what a program did from a state.  Clocks are relative to the start, rows to the base.
(
    Y_START,  # where the description of that state is
    Y_CLK,
    Y_END,
    Y_OPEN,
    Y_SINCE,
    Y_CLOSED,  # whether the banks that were open were closed
    Y_LEVEL,
    Y_FAR,
    Y_MODE,
    Y_REFRESHES,
    Y_WIDE,  # whether not all banks are alike afterwards
    Y_WHOLE,  # whether it left nothing as it was of what is behind the registers of the state
    Y_DUE,
    Y_PERIOD,  # it is the same if the refresh is due whole periods of so many clocks earlier or later,
    Y_EARLIEST,  # from here
    Y_LATEST,  # to here
    Y_LIKE,  # the first outcome that left the same state, but for the clock
    Y_PARTIAL,
    Y_COMPLETE,
    Y_LAST,
    OUTCOME_REGISTERS,
) = range(21)
# The description of a start: registers, then latest commands of windows, clocks and, unless all banks are alike, rows.
(
    X_PROGRAM,
    X_COLUMN,
    X_CURSOR,
    X_DUE,  # clocks until the next refresh is due, or FAR_AWAY
    X_OPEN,
    X_MODE,
    X_LEVEL,
    X_FAR,
    START_REGISTERS,
) = range(9)
# The same by the outcome that led to it.
(
    L_TRAIL,  # that
    L_AFTER,  # clocks since its start
    L_PROGRAM,
    L_COLUMN,
    L_CURSOR,
    L_DUE,
    L_MOVE,  # how far the base moved, if a row is open
    L_OUTCOME,  # what follows
    LINK_WIDTH,
) = range(9)
# A program that may be met again: its number, and its longest time until the last command.
(P_NUMBER, P_REACH, PROGRAM_WIDTH) = range(3)
MOST_SPREAD = np.int64(128)  # periods of a loop, to either side, that make no difference
NEXT_FREE = 0  # the word of `outcomes` that says where the next one goes


class Outcome(NamedTuple):
    """What is kept of one, in words of `outcomes`; shapes in commands (c), causes, banks, windows (x)."""

    reg: Any  # (OUTCOME_REGISTERS,)
    counts: Any  # (c + 1,) as of `Work`
    charged: Any  # (causes,)
    recent: Any  # (x * depth,) of the state afterwards
    times: Any  # its clocks: of the channel, or, if it is wide, of all nodes
    rows: Any  # (banks,), or none


@jit
def _outcome_of(d, outcomes, at, wide):
    """The parts of the outcome at a place."""
    nodes, rows = (d.nodes, d.banks) if wide else (ONE, ZERO)
    lists = ((d.windows * d.depth,), (nodes * d.commands,), (rows,))
    return Outcome(*carve(outcomes, at, ((OUTCOME_REGISTERS,), (d.commands + 1,), (d.causes,)) + lists))


@jit
def _known(d, outcomes, at):
    """The parts of an outcome that is there."""
    return _outcome_of(d, outcomes, at, outcomes[at + Y_WIDE] != 0)


@jit
def _rows_touched(d, program, first, last, column):
    """The lowest and highest row that a program works in, relative to its base."""
    low, high = FAR_AWAY, NONE
    for r in range(first, last):
        op, cmd, n = program[r, A_REQUEST], program[r, A_COMMAND], program[r, A_COUNT]
        lin = program[r, A_LINEAR] + column
        end = lin
        if op == RUN:
            if not d.needs_open[cmd] or program[r, A_LINEAR] >= d.functions * d.columns:
                continue
            end = lin + n - 1
        elif op == LOOP:
            end = lin + (n - 1) * program[r, A_STRIDE] + program[r, A_USED] - 1
        elif op == SCATTER:
            end = lin + (n - 1) * program[r, A_STRIDE]
        elif op == CLOSE:
            continue
        low, high = min(low, lin // d.columns), max(high, end // d.columns)
    return low, high


@jit
def _relative(d, row, base_row, low, high):
    """A row as a program sees it: closed (-1), a function's, one it does not work in (NEVER), or from its base."""
    if row < 0:
        return NONE
    if row >= d.functions:
        return row
    if row - base_row < low or row - base_row > high:
        return NEVER
    return row - base_row


@jit
def _absolute(d, row, base_row):
    """The row that `_relative` made `row` of; not of one that the program does not work in."""
    return NONE if row < 0 else row if row >= d.functions else row + base_row


@jit
def _uniform(d, s, clk):
    """Whether a state is that of all banks alike: nothing of a single bank binds from `clk` on, one row for all."""
    return s.reg[R_FAR] <= clk and (s.reg[R_OPEN] == 0 or s.reg[R_LEVEL] >= 0)


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
    due = s.reg[R_DUE] - start
    return due if d.refresh == ALL_BANK and due <= reach else FAR_AWAY


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
    link[L_TRAIL] = s.reg[R_TRAIL]
    link[L_AFTER] = start - s.reg[R_ORIGIN]
    link[L_PROGRAM] = number
    link[L_COLUMN] = base % d.columns
    link[L_CURSOR] = account - start
    link[L_DUE] = due
    link[L_MOVE] = base - s.reg[R_BASE] if s.reg[R_OPEN] > 0 else 0
    return _mix_link(link)


@jit
def _mix_link(link):
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
def keep_link(link, links, slot, outcomes, at):
    """Keep that the outcome at `at` follows, if it was described by what led to it.

    The same for all clocks of the refresh at which it is the same.
    """
    if slot < 0:
        return
    link[L_OUTCOME] = at
    copy(links[slot], link)
    period, due = outcomes[at + Y_PERIOD], link[L_DUE]
    if period == 0 or due == FAR_AWAY:
        return
    for other in range(outcomes[at + Y_EARLIEST], outcomes[at + Y_LATEST] + 1, period):
        link[L_DUE] = other
        copy(links[slot_of(links, _mix_link(link))], link)
    link[L_DUE] = due


@jit
def describe_start(d, s, w, x, program, first, last, number, base, start, due):
    """Write to `x` everything that decides what a program does; return its hash, and its length."""
    low, high = FAR_AWAY, NONE
    if s.reg[R_OPEN] > 0:
        low, high = _rows_touched(d, program, first, last, base % d.columns)
    base_row = base // d.columns
    x[X_PROGRAM] = number
    x[X_COLUMN] = base % d.columns
    x[X_CURSOR] = w.reg[W_CURSOR] - start
    x[X_DUE] = due
    x[X_OPEN] = s.reg[R_OPEN]
    x[X_MODE] = s.reg[R_MODE]
    x[X_LEVEL] = _relative(d, s.reg[R_LEVEL], base_row, low, high)
    x[X_FAR] = times_bound(d, s, start)
    n = START_REGISTERS
    recent, times = flat(s.recent), flat(s.clocks)
    for k in range(len(recent)):
        x[n] = recent[k] - start
        n += 1
    for k in range(x[X_FAR]):
        x[n] = times[k] - start
        n += 1
    if s.reg[R_LEVEL] < 0 and s.reg[R_OPEN] > 0:
        for k in range(d.banks):
            x[n] = _relative(d, s.rows[k], base_row, low, high)
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
        if outcomes[first + k] != x[k] and not (k == X_DUE and _holds_at(outcomes, at, x[X_DUE])):
            return ZERO
    return at


@jit
def _holds_at(outcomes, at, due):
    """Whether an outcome is the same if the refresh is due at another clock."""
    period = outcomes[at + Y_PERIOD]
    if period == 0 or due < outcomes[at + Y_EARLIEST] or due > outcomes[at + Y_LATEST]:
        return False
    return (due - outcomes[at + Y_EARLIEST]) % period == 0


@jit
def know(starts, mixed, n, outcomes, at):
    """Find an outcome from now on by the hash of its start, and by those of all at which it is the same."""
    period, due, latest = outcomes[at + Y_PERIOD], outcomes[at + Y_DUE], outcomes[at + Y_LATEST]
    starts[slot_of(starts, mixed)] = at
    if period == 0:
        return
    weight = ONE  # of the due clock in the hash
    for _ in range(X_DUE + 1, n):
        weight = _mix(weight, ZERO)
    earliest, step = outcomes[at + Y_EARLIEST], (period * weight) & HASH
    mixed = (mixed - ((due - earliest) // period) * step) & HASH
    for _ in range(earliest, latest + 1, period):
        starts[slot_of(starts, mixed)] = at
        mixed = (mixed + step) & HASH


@jit
def if_it_holds(d, s, outcomes, at, start):
    """The outcome at `at`, 0 if it met no refresh and one is due before its last command now."""
    if at > 0 and outcomes[at + Y_DUE] == FAR_AWAY and refresh_due(d, s, start + outcomes[at + Y_CLK]):
        return ZERO
    return at


@jit
def remember(d, s, w, x, n, outcomes, ends, program, first, last, base, start, since, refreshes):
    """Keep what the program described in `x` did, and return where (0: it is not kept).

    `since`: the clock since which a bank was open when it started.
    """
    recent, times = flat(s.recent), flat(s.clocks)
    wide = not _uniform(d, s, s.reg[R_CLK])
    at = outcomes[NEXT_FREE]
    begin = at + OUTCOME_REGISTERS + d.commands + 1 + d.causes + len(recent)
    begin += len(times) + d.banks if wide else d.commands
    if begin + n > len(outcomes) or (refreshes > 0 and x[X_DUE] == FAR_AWAY):
        return ZERO  # no room; or it took longer than it ever did, or one bank after the other is refreshed
    low, high = _rows_touched(d, program, first, last, base % d.columns)
    base_row = base // d.columns
    stayed = x[X_OPEN] > 0 and s.reg[R_OPEN] > 0 and s.reg[R_SINCE] == since
    y = _outcome_of(d, outcomes, at, wide)
    y.reg[Y_START] = begin
    y.reg[Y_CLK] = s.reg[R_CLK] - start
    y.reg[Y_END] = w.reg[W_END] - start
    y.reg[Y_OPEN] = s.reg[R_OPEN]
    y.reg[Y_SINCE] = NEVER if stayed else s.reg[R_SINCE] - start
    y.reg[Y_CLOSED] = x[X_OPEN] > 0 and not stayed
    y.reg[Y_LEVEL] = _relative(d, s.reg[R_LEVEL], base_row, low, high)
    y.reg[Y_FAR] = s.reg[R_FAR] - start
    y.reg[Y_MODE] = s.reg[R_MODE]
    y.reg[Y_REFRESHES] = refreshes
    y.reg[Y_WIDE] = wide
    y.reg[Y_DUE] = x[X_DUE]
    y.reg[Y_PERIOD] = 0
    if refreshes > 0 and w.reg[W_SPREAD] == refreshes:
        _note_spread(d, w, y, x[X_DUE], refreshes)
    for k in range(MARKS):
        y.reg[Y_PARTIAL + k] = marked_at(w, k) - start
    copy(y.counts, w.counts)
    if y.reg[Y_CLOSED]:
        y.counts[d.commands] -= start - since
    copy(y.charged, w.charged)
    for k in range(len(y.recent)):
        y.recent[k] = recent[k] - start
    for k in range(len(y.times)):
        y.times[k] = times[k] - start
    whole = y.reg[Y_LEVEL] != NEVER
    for k in range(len(y.rows)):
        y.rows[k] = _relative(d, s.rows[k], base_row, low, high)
        whole &= y.rows[k] != NEVER
    y.reg[Y_WHOLE] = whole
    for k in range(n):
        outcomes[begin + k] = x[k]
    outcomes[NEXT_FREE] = begin + n
    y.reg[Y_LIKE] = at
    if whole:
        slot = slot_of(ends, _mix_end(d, y))
        if ends[slot] > 0 and _ends_alike(d, y, _known(d, outcomes, ends[slot])):
            y.reg[Y_LIKE] = ends[slot]
        else:
            ends[slot] = at
    return at


@jit
def _left_over(clock, y):
    """How long after the latest command of an outcome something still binds."""
    return max(clock - y.reg[Y_CLK], 0)


@jit
def _mix_end(d, y):
    """The hash of the state that an outcome leaves; its clocks count from the latest command on."""
    mixed = _mix(_mix(_mix(ZERO, y.reg[Y_OPEN]), y.reg[Y_LEVEL]), y.reg[Y_MODE])
    for k in range(len(y.times)):
        mixed = _mix(mixed, _left_over(y.times[k], y))
    return mixed


@jit
def _ends_alike(d, y, z):
    """Whether two outcomes leave the same state, but for the clock of the latest command."""
    same = y.reg[Y_OPEN] == z.reg[Y_OPEN] and y.reg[Y_LEVEL] == z.reg[Y_LEVEL] and y.reg[Y_MODE] == z.reg[Y_MODE]
    if not same or y.reg[Y_WIDE] != z.reg[Y_WIDE]:
        return False
    for k in range(len(y.times)):
        if _left_over(y.times[k], y) != _left_over(z.times[k], z):
            return False
    for k in range(len(y.rows)):
        if y.rows[k] != z.rows[k]:
            return False
    for x in range(d.windows):
        for k in range(d.length[x]):
            recent = x * d.depth + k
            if _left_over(y.recent[recent] + d.latency[x], y) != _left_over(z.recent[recent] + d.latency[x], z):
                return False
    return True


@jit
def _note_spread(d, w, y, due, refreshes):
    """Note at which other clocks the refreshes could have been due: not one more of them before the last command."""
    period = w.reg[W_PERIOD]
    early = min(w.reg[W_EARLIER], (due + refreshes * d.interval - 1 - y.reg[Y_CLK]) // period)
    y.reg[Y_PERIOD] = period
    y.reg[Y_EARLIEST] = due - min(early, MOST_SPREAD) * period
    y.reg[Y_LATEST] = due + min(w.reg[W_LATER], MOST_SPREAD) * period


@jit
def settle(d, s, outcomes):
    """Write what is behind the registers of a state, if the latest replay left that for later."""
    if not s.reg[R_LATE]:
        return
    s.reg[R_LATE] = 0
    y, start, base_row = _known(d, outcomes, s.reg[R_TRAIL]), s.reg[R_ORIGIN], s.reg[R_BASE] // d.columns
    recent, times = flat(s.recent), flat(s.clocks)
    for k in range(len(y.recent)):
        recent[k] = start + y.recent[k]
    for k in range(len(y.times)):
        times[k] = start + y.times[k]
    for k in range(d.banks):
        row = y.rows[k] if y.reg[Y_WIDE] else y.reg[Y_LEVEL]
        if row != NEVER:
            s.rows[k] = _absolute(d, row, base_row)


@jit
def replay(d, s, outcomes, at, base, start):
    """Do what a program did, from clock `start` and in the rows of `base`."""
    y = _known(d, outcomes, at)
    if not y.reg[Y_WHOLE]:
        settle(d, s, outcomes)
    s.reg[R_DUE] += y.reg[Y_REFRESHES] * d.interval
    s.reg[R_CLK] = start + y.reg[Y_CLK]
    s.reg[R_OPEN] = y.reg[Y_OPEN]
    if y.reg[Y_SINCE] != NEVER:
        s.reg[R_SINCE] = start + y.reg[Y_SINCE]
    level = y.reg[Y_LEVEL]
    if level != NEVER:
        s.reg[R_LEVEL] = _absolute(d, level, base // d.columns)
    s.reg[R_MODE] = y.reg[Y_MODE]
    s.reg[R_FAR] = start + y.reg[Y_FAR]
    leave(s, outcomes, at, base, start)
    s.reg[R_LATE] = ONE
    if not y.reg[Y_WHOLE]:
        settle(d, s, outcomes)
        s.reg[R_TRAIL] = 0


@jit
def leave(s, outcomes, at, base, start):
    """An outcome led here, from clock `start` and in the rows of `base`; so could the first that leaves its state."""
    like = outcomes[at + Y_LIKE]
    s.reg[R_TRAIL], s.reg[R_BASE] = like, base
    s.reg[R_ORIGIN] = start + outcomes[at + Y_CLK] - outcomes[like + Y_CLK]


@jit
def count_replayed(d, s, outcomes, at, start, many, totals, charges, moments):
    """Count on `many` channels what an outcome does from the state `s`; return the data end."""
    y = _known(d, outcomes, at)
    for k in range(MARKS):
        moments[T_PARTIAL + k] = max(moments[T_PARTIAL + k], start + y.reg[Y_PARTIAL + k])
    for k in range(d.commands + 1):
        totals[k] += many * y.counts[k]
    if y.reg[Y_CLOSED]:
        totals[d.commands] += many * (start - s.reg[R_SINCE])
    copy(charges, y.charged)
    return start + y.reg[Y_END]
