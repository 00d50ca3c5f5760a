"""The timing table: when a command may issue, and what it holds back.

State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd], in the
channel and in each node of the levels below it that `prev` takes part in.  A constraint whose
preceding or following command addresses all banks always binds, so it is a gap of the channel;
and no command issues before one that went before it.
"""

from __future__ import annotations

from pimsim.dram.compiler import flat, jit
from pimsim.dram.kernel.numbers import ALL, BANK, NODE, NONE
from pimsim.dram.kernel.state import CHANNEL_NODE, R_FAR


@jit
def addresses(d, cmd, bank, other):
    """Whether a command of a bank or of a node that is given `bank` addresses `other`."""
    return d.home[cmd, other] == d.home[cmd, bank]


@jit
def named_bank(d, cmd, bank):
    """The bank that goes with a command that shall address `bank`."""
    return NONE if d.scope[cmd] == ALL else d.home[cmd, bank]


@jit
def earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s.clocks[CHANNEL_NODE, cmd]
    if d.scope[cmd] == BANK:
        for level in range(1, d.levels):
            t = max(t, s.clocks[d.node[level, bank], cmd])
    elif d.scope[cmd] == NODE:
        for other in range(d.banks):
            if addresses(d, cmd, bank, other):
                for level in range(1, d.levels):
                    t = max(t, s.clocks[d.node[level, other], cmd])
    for x in range(d.windows):
        if d.after[x, cmd] and _takes_part(d, x, cmd, bank):
            t = max(t, s.recent[x, 0] + d.latency[x])
    return t


@jit
def _takes_part(d, x, cmd, bank):
    """Whether a command addresses a bank of the node in which a window counts."""
    if d.whole[x] or d.scope[cmd] == ALL:
        return True
    if d.scope[cmd] == BANK:
        return d.within[x, bank] != 0
    if d.scope[cmd] == NODE:
        for other in range(d.banks):
            if d.within[x, other] and addresses(d, cmd, bank, other):
                return True
    return False


@jit
def _raise(d, s, level, node, cmd, t):
    """No command issues in a node before its gap to `cmd`, which issues at clock t, has passed."""
    for k in range(d.commands):
        s.clocks[node, k] = max(s.clocks[node, k], t + d.gap[level, cmd, k])


@jit
def _raise_bank(d, s, cmd, bank, t):
    """The same in all nodes below the channel that a bank is in."""
    for level in range(1, d.levels):
        _raise(d, s, level, d.node[level, bank], cmd, t)
    s.reg[R_FAR] = max(s.reg[R_FAR], t + d.reach[cmd])


@jit
def hold_back(d, s, cmd, bank, t):
    """Raise the next-allowed clocks that `cmd` at clock t holds back."""
    _raise(d, s, 0, CHANNEL_NODE, cmd, t)
    if d.scope[cmd] == BANK:
        _raise_bank(d, s, cmd, bank, t)
    elif d.scope[cmd] == NODE:
        for other in range(d.banks):
            if addresses(d, cmd, bank, other):
                _raise_bank(d, s, cmd, other, t)
    for x in range(d.windows):
        if d.before[x, cmd] and _takes_part(d, x, cmd, bank):
            latest = d.length[x] - 1
            for k in range(latest):
                s.recent[x, k] = s.recent[x, k + 1]
            s.recent[x, latest] = t


@jit
def times_bound(d, s, clk):
    """How many next-allowed clocks may still bind after `clk`: those of the channel come first."""
    return len(flat(s.clocks)) if s.reg[R_FAR] > clk else d.commands
