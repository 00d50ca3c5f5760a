"""The timing table: when a command may issue, and what it holds back.

State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd].
A constraint whose preceding or following command addresses all banks always binds, so
it is a channel-level gap; only single-bank pairs need state per bank and bank group.
"""

from __future__ import annotations

from pimsim.dram.compiler import flat, jit
from pimsim.dram.kernel.numbers import BANK
from pimsim.dram.kernel.state import CHANNEL_NODE, R_FAR


@jit
def _bank_node(bank):
    return 1 + bank


@jit
def _group_node(d, bank):
    return 1 + d.banks + bank // d.per_group


@jit
def earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s.clocks[CHANNEL_NODE, cmd]
    if d.scope[cmd] == BANK:
        t = max(t, s.clocks[_bank_node(bank), cmd], s.clocks[_group_node(d, bank), cmd])
    for x in range(d.windows):
        if d.after[x, cmd]:
            t = max(t, s.recent[x, 0] + d.latency[x])
    return t


@jit
def _raise(d, s, node, gaps, cmd, t):
    """No command issues in a node before its gap to `cmd`, which issues at clock t, has passed."""
    for k in range(d.commands):
        s.clocks[node, k] = max(s.clocks[node, k], t + gaps[cmd, k])


@jit
def hold_back(d, s, cmd, bank, t):
    """Raise the next-allowed clocks that `cmd` at clock t holds back."""
    _raise(d, s, CHANNEL_NODE, d.channel_gap, cmd, t)
    if d.scope[cmd] == BANK:
        _raise(d, s, _bank_node(bank), d.bank_gap, cmd, t)
        _raise(d, s, _group_node(d, bank), d.group_gap, cmd, t)
        s.reg[R_FAR] = max(s.reg[R_FAR], t + d.reach[cmd])
    for x in range(d.windows):
        if d.before[x, cmd]:
            latest = d.length[x] - 1
            for k in range(latest):
                s.recent[x, k] = s.recent[x, k + 1]
            s.recent[x, latest] = t


@jit
def times_bound(d, s, clk):
    """How many next-allowed clocks may still bind after `clk`: those of the channel come first."""
    return len(flat(s.clocks)) if s.reg[R_FAR] > clk else d.commands
