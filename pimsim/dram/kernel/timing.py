"""The timing table: when a command may issue, and what it holds back.

State is next-allowed times: issuing `prev` at t raises next[cmd] to t + gap[prev, cmd], in the
channel and in each node of the levels below it that `prev` takes part in.  A constraint whose
preceding or following command addresses all banks always binds, so it is a gap of the channel;
and no command issues before one that went before it.
"""

from __future__ import annotations

from pimsim.dram.compiler import apart, flat, jit
from pimsim.dram.kernel.numbers import ALL, BANK, BANKS, CHANNEL, NONE
from pimsim.dram.kernel.state import CHANNEL_NODE, R_FAR


@jit
def named_bank(d, cmd, bank):
    """The bank that goes with a command that shall address `bank`: the lowest of those that it addresses."""
    return NONE if d.scope[cmd] == ALL else d.lowest[cmd, bank]


@jit
def bank_node(bank):
    """The node that a bank is."""
    return 1 + bank


@jit
def _group_node(d, bank):
    return 1 + d.banks + bank // d.per_group


@jit
def earliest(d, s, cmd, bank):
    """The first clock at which `cmd` may issue."""
    t = s.clocks[CHANNEL_NODE, cmd]
    if d.scope[cmd] == BANK:
        t = max(t, s.clocks[bank_node(bank), cmd], s.clocks[_group_node(d, bank), cmd])
    elif d.scope[cmd] == BANKS:
        t = _earliest_in_nodes(d, s, cmd, bank, t)
    for x in range(d.windows):
        if d.after[x, cmd] and (d.whole[x] or _takes_part(d, x, cmd, bank)):
            t = max(t, s.recent[x, 0] + d.latency[x])
    return t


@jit
def _earliest_in_nodes(d, s, cmd, bank, t):
    """The first clock from t on at which the nodes of all levels and banks let `cmd` issue."""
    apart()
    own = bank
    while own >= 0:
        t = max(t, s.clocks[bank_node(own), cmd], s.clocks[_group_node(d, own), cmd])
        for level in range(d.levels):
            t = max(t, s.clocks[d.node[level, own], cmd])
        own = d.next_bank[cmd, own]
    return t


@jit
def _takes_part(d, x, cmd, bank):
    """Whether a command addresses a bank of the node in which a window counts."""
    apart()
    if d.scope[cmd] == CHANNEL or d.scope[cmd] == ALL:
        return d.scope[cmd] == ALL
    own = bank
    while own >= 0:
        if d.within[x, own]:
            return True
        own = d.next_bank[cmd, own]
    return False


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
        _raise(d, s, bank_node(bank), d.bank_gap, cmd, t)
        _raise(d, s, _group_node(d, bank), d.group_gap, cmd, t)
        s.reg[R_FAR] = max(s.reg[R_FAR], t + d.reach[cmd])
    elif d.scope[cmd] == BANKS:
        _hold_back_in_nodes(d, s, cmd, bank, t)
    for x in range(d.windows):
        if d.before[x, cmd] and (d.whole[x] or _takes_part(d, x, cmd, bank)):
            latest = d.length[x] - 1
            for k in range(latest):
                s.recent[x, k] = s.recent[x, k + 1]
            s.recent[x, latest] = t


@jit
def _hold_back_in_nodes(d, s, cmd, bank, t):
    """The same in the nodes of all levels and banks."""
    apart()
    own = bank
    while own >= 0:
        _raise(d, s, bank_node(own), d.bank_gap, cmd, t)
        _raise(d, s, _group_node(d, own), d.group_gap, cmd, t)
        for level in range(d.levels):
            _raise(d, s, d.node[level, own], d.level_gap[level], cmd, t)
        own = d.next_bank[cmd, own]
    s.reg[R_FAR] = max(s.reg[R_FAR], t + d.reach[cmd])


@jit
def times_bound(d, s, clk):
    """How many next-allowed clocks may still bind after `clk`: those of the channel come first."""
    return len(flat(s.clocks)) if s.reg[R_FAR] > clk else d.commands
