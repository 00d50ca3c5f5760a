"""The timing table: when a command may issue, and what it holds back.

State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd].
A constraint whose preceding or following command addresses all banks always binds, so
it is a channel-level gap; only single-bank pairs need state per bank and bank group.
"""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.layout import (
    BANK,
    H_CMDS,
    H_DEPTH,
    H_PER_GROUP,
    H_TIMES,
    H_WINDOWS,
    O_AFTER,
    O_BANK,
    O_BANK_GAP,
    O_BEFORE,
    O_CHANNEL,
    O_DEPTH,
    O_GROUP,
    O_GROUP_GAP,
    O_LATENCY,
    O_REACH,
    O_RECENT,
    O_SCOPE,
    O_TIMES,
    R_FAR,
)  # fmt: skip


@jit
def earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s[d[O_TIMES] + cmd]
    if d[d[O_SCOPE] + cmd] == BANK:
        t = max(t, s[d[O_BANK] + bank * d[H_CMDS] + cmd], s[d[O_GROUP] + (bank // d[H_PER_GROUP]) * d[H_CMDS] + cmd])
    for x in range(d[H_WINDOWS]):
        if d[d[O_AFTER] + x * d[H_CMDS] + cmd]:
            t = max(t, s[d[O_RECENT] + x * d[H_DEPTH] + 0] + d[d[O_LATENCY] + x])
    return t


@jit
def _raise(d, s, at, gaps, t):
    """next[k] = max(next[k], t + gap[k]) for the vectors that start at s[at] and d[gaps]."""
    for k in range(d[H_CMDS]):
        s[at + k] = max(s[at + k], t + d[gaps + k])


@jit
def hold_back(d, s, cmd, bank, t):
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


@jit
def times_bound(d, s, clk):
    """How many next-allowed clocks may still bind after `clk`: those of the channel come first."""
    return d[H_TIMES] if s[R_FAR] > clk else d[H_CMDS]
