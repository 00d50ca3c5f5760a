"""Where a program on a channel begins and ends."""

from __future__ import annotations

from pimsim.dram.compiler import flat, jit
from pimsim.dram.kernel.arrays import clear
from pimsim.dram.kernel.numbers import FAR_AWAY, LOG_HIGH, LOG_LOW, NEVER, STEPPED
from pimsim.dram.kernel.refresh import catch_up
from pimsim.dram.kernel.state import R_CLK, R_OPEN, R_SINCE
from pimsim.dram.kernel.timing import times_bound
from pimsim.dram.kernel.work import (
    MARKS,
    T_PARTIAL,
    W_BANK,
    W_CHANNEL,
    W_CURSOR,
    W_EARLIER,
    W_END,
    W_FLOOR,
    W_HIGH,
    W_LATER,
    W_LOGGED,
    W_LOW,
    W_PERIOD,
    W_PREV,
    W_REFRESHES,
    W_SPREAD,
    W_START,
    W_STEPPED,
    W_TAIL,
    W_WATCHED,
)


@jit
def normalise(d, s, start):
    """Forget what no longer binds, so that equal futures are equal states.

    No command of the coming program issues before `start`, and no refresh is due before
    it, so a next-allowed clock in the past is as good as `start`.
    """
    times = flat(s.clocks)
    for k in range(times_bound(d, s, start)):
        times[k] = max(times[k], start)
    for x in range(d.windows):
        for k in range(d.length[x]):
            s.recent[x, k] = max(s.recent[x, k], start - d.latency[x])
    s.reg[R_CLK] = max(s.reg[R_CLK], start)
    if s.reg[R_OPEN] == 0:
        s.reg[R_SINCE] = start


@jit
def start_work(w, start, account, channel, stepped, logged, low, high):
    w.reg[W_START] = start
    w.reg[W_FLOOR] = start
    w.reg[W_BANK] = NEVER
    w.reg[W_PREV] = -1
    w.reg[W_CURSOR] = account
    w.reg[W_END] = start
    w.reg[W_TAIL] = -1
    w.reg[W_LOGGED] = logged
    w.reg[W_REFRESHES] = 0
    w.reg[W_STEPPED] = stepped
    w.reg[W_CHANNEL] = channel
    w.reg[W_LOW] = low
    w.reg[W_HIGH] = high
    w.reg[W_WATCHED] = 0
    w.reg[W_PERIOD] = w.reg[W_SPREAD] = 0
    w.reg[W_EARLIER] = w.reg[W_LATER] = FAR_AWAY
    for k in range(MARKS):
        w.marks[k] = NEVER
    clear(w.counts)
    clear(w.charged)
    clear(w.pending)


@jit
def begin_program(d, s, w, log, start, account, channel, options, logged):
    """Refreshes that fell due before `start`, counted in `w` for all that they are late."""
    start_work(w, start, account, channel, options[STEPPED], logged, options[LOG_LOW], options[LOG_HIGH])
    catch_up(d, s, w, log, start)


@jit
def note_end(d, w, charges, moments):
    """The charges and marks of a finished program; return its data end."""
    for k in range(d.causes):
        charges[k] = w.charged[k]
    for k in range(MARKS):
        moments[T_PARTIAL + k] = max(moments[T_PARTIAL + k], marked_at(w, k))
    return w.reg[W_END]


@jit
def marked_at(w, k):
    """When the first data of the k-th mark was there; of a program without it: all data."""
    return w.reg[W_END] if w.marks[k] == NEVER else w.marks[k]
