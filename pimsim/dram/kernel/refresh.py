"""Refresh: due every interval, issued as soon after as the table allows."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.layout import (
    CLOSE_ALL,
    CLOSE_BANK,
    H_BANKS,
    H_INTERVAL,
    H_MODE,
    NO_REFRESH,
    NONE,
    O_CLOSES,
    O_ROLE,
    O_ROW,
    PER_BANK,
    R_DUE,
    R_OPEN,
    R_TURN,
    REFRESH_ALL,
    REFRESH_BANK,
    W_REFRESHES,
)  # fmt: skip
from pimsim.dram.kernel.timing import earliest


@jit
def next_refresh_step(d, s):
    """The next command of the refresh that is due, its bank, and when it may issue: what is open closes first."""
    bank, cmd = NONE, d[d[O_ROLE] + REFRESH_ALL]
    if d[H_MODE] == PER_BANK:
        bank, cmd = s[R_TURN], d[d[O_ROLE] + REFRESH_BANK]
        if s[d[O_ROW] + bank] >= 0:
            cmd = d[d[O_ROLE] + CLOSE_BANK]
    elif s[R_OPEN] > 0:
        cmd = d[d[O_ROLE] + CLOSE_ALL]
    return cmd, bank, max(s[R_DUE], earliest(d, s, cmd, bank))


@jit
def step_refresh(d, s, w, log, cmd, bank, t):
    """Issue a command of `next_refresh_step`; return whether the refresh is under way."""
    issue(d, s, w, log, cmd, bank, NONE, NONE, t)
    if d[d[O_CLOSES] + cmd]:
        return False
    w[W_REFRESHES] += 1
    s[R_DUE] += d[H_INTERVAL]
    if d[H_MODE] == PER_BANK:
        s[R_TURN] = (bank + 1) % d[H_BANKS]
    return True


@jit
def refresh(d, s, w, log):
    """Close what is open and refresh, at the due clock or as soon after as the table allows."""
    done = False
    while not done:
        cmd, bank, t = next_refresh_step(d, s)
        done = step_refresh(d, s, w, log, cmd, bank, t)


@jit
def refresh_due(d, s, t):
    return d[H_MODE] != NO_REFRESH and t >= s[R_DUE]


@jit
def catch_up(d, s, w, log, start):
    """Refreshes that fell due while the channel had nothing to do."""
    while refresh_due(d, s, start - 1):
        refresh(d, s, w, log)
