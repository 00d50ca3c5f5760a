"""Refresh: due every interval, or several together after as many; issued as soon after as the table allows."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.numbers import NO_REFRESH, NONE
from pimsim.dram.kernel.state import R_DUE, R_OPEN, R_TURN
from pimsim.dram.kernel.timing import earliest, named_bank
from pimsim.dram.kernel.work import W_AFTER, W_REFRESHES


@jit
def first_open(d, s, cmd, bank):
    """The first open bank of those from `bank` on that `cmd` addresses, -1 if all are closed."""
    own = bank if s.reg[R_OPEN] > 0 else NONE
    while own >= 0 and s.rows[own] < 0:
        own = d.next_bank[cmd, own]
    return own


@jit
def next_refresh_step(d, s):
    """The next command of the refresh that is due, its bank, and when it may issue: what is open closes first."""
    cmd, bank = d.refresh_next, d.turn_bank[s.reg[R_TURN]]
    to_close = first_open(d, s, cmd, bank)
    if to_close >= 0:
        cmd, bank = d.refresh_close, to_close
    bank = named_bank(d, cmd, bank)
    return cmd, bank, max(s.reg[R_DUE], earliest(d, s, cmd, bank))


@jit
def step_refresh(d, s, w, log, cmd, bank, t):
    """Issue a command of `next_refresh_step`; return whether the refresh is under way."""
    issue(d, s, w, log, cmd, bank, NONE, NONE, t)
    if d.closes[cmd]:
        return False
    w.reg[W_REFRESHES] += 1
    s.reg[R_TURN] = (s.reg[R_TURN] + 1) % d.turns
    if s.reg[R_TURN] % d.together == 0:  # the others that were put off with it have gone before
        s.reg[R_DUE] += d.together * d.interval
    return True


@jit
def refresh(d, s, w, log):
    """Close what is open and refresh, at the due clock or as soon after as the table allows."""
    done = False
    while not done:
        cmd, bank, t = next_refresh_step(d, s)
        done = step_refresh(d, s, w, log, cmd, bank, t)
    w.reg[W_AFTER] = 0


@jit
def refresh_due(d, s, t):
    return d.refresh != NO_REFRESH and t >= s.reg[R_DUE]


@jit
def catch_up(d, s, w, log, start):
    """Refreshes that fell due while the channel had nothing to do."""
    while refresh_due(d, s, start - 1):
        refresh(d, s, w, log)
