"""A program on a channel: what is set before it starts, and what is noted when it has ended."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.layout import (
    H_CAUSES,
    H_DEPTH,
    H_WINDOWS,
    MARKS,
    NEVER,
    O_CHARGED,
    O_DEPTH,
    O_LATENCY,
    O_RECENT,
    O_TIMES,
    R_CLK,
    R_OPEN,
    R_SINCE,
    T_PARTIAL,
    W_BANK,
    W_CHANNEL,
    W_COUNTS,
    W_CURSOR,
    W_END,
    W_FLOOR,
    W_HIGH,
    W_LOGGED,
    W_LOW,
    W_PARTIAL,
    W_PREV,
    W_REFRESHES,
    W_START,
    W_STEPPED,
    W_TAIL,
    W_WATCHED,
)  # fmt: skip
from pimsim.dram.kernel.refresh import catch_up
from pimsim.dram.kernel.timing import times_bound


@jit
def normalise(d, s, start):
    """Forget what no longer binds, so that equal futures are equal states.

    No command of the coming program issues before `start`, and no refresh is due before
    it, so a next-allowed clock in the past is as good as `start`.
    """
    for k in range(times_bound(d, s, start)):
        s[d[O_TIMES] + k] = max(s[d[O_TIMES] + k], start)
    for x in range(d[H_WINDOWS]):
        for k in range(d[d[O_DEPTH] + x]):
            s[d[O_RECENT] + x * d[H_DEPTH] + k] = max(s[d[O_RECENT] + x * d[H_DEPTH] + k], start - d[d[O_LATENCY] + x])
    s[R_CLK] = max(s[R_CLK], start)
    if s[R_OPEN] == 0:
        s[R_SINCE] = start


@jit
def start_work(d, w, start, account, channel, stepped, logged, low, high):
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
def begin_program(d, s, w, log, start, account, channel, options, logged):
    """Refreshes that fell due before `start`, counted in `w` for all that they are late."""
    start_work(d, w, start, account, channel, options[0], logged, options[2], options[3])
    catch_up(d, s, w, log, start)


@jit
def note_end(d, w, charges, moments):
    """The charges and marks of a finished program; return its data end."""
    for k in range(d[H_CAUSES]):
        charges[k] = w[d[O_CHARGED] + k]
    for k in range(MARKS):
        moments[T_PARTIAL + k] = max(moments[T_PARTIAL + k], marked_at(w, k))
    return w[W_END]


@jit
def marked_at(w, k):
    """When the first data of the k-th mark was there; of a program without it: all data."""
    return w[W_END] if w[W_PARTIAL + k] == NEVER else w[W_PARTIAL + k]
