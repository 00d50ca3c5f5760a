"""One command on the bus."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.charges import charge, move_data
from pimsim.dram.kernel.log import write_log
from pimsim.dram.kernel.numbers import ALL, NONE
from pimsim.dram.kernel.state import R_CLK, R_LEVEL, R_MODE, R_OPEN, R_SINCE
from pimsim.dram.kernel.timing import hold_back
from pimsim.dram.kernel.work import W_PREV, W_START


@jit
def _turn_bank(d, s, cmd, bank, row):
    if d.opens[cmd]:
        s.reg[R_OPEN] += s.rows[bank] < 0
        s.rows[bank] = row
    elif s.rows[bank] >= 0:
        s.rows[bank] = -1
        s.reg[R_OPEN] -= 1


@jit
def _turn_banks(d, s, w, log, cmd, bank, row, t):
    """Open or close the banks that `cmd` addresses; count the clocks with one open."""
    was = s.reg[R_OPEN]
    s.reg[R_LEVEL] = row if d.scope[cmd] == ALL and d.opens[cmd] else NONE
    if d.scope[cmd] == ALL:
        for b in range(d.banks):
            s.rows[b] = row if d.opens[cmd] else NONE
        s.reg[R_OPEN] = d.banks if d.opens[cmd] else 0
    else:
        own = bank
        while own >= 0:
            _turn_bank(d, s, cmd, own, row)
            own = d.next_bank[cmd, own]
    if was == 0 and s.reg[R_OPEN] > 0:
        s.reg[R_SINCE] = t
    elif was > 0 and s.reg[R_OPEN] == 0:
        w.counts[d.commands] += t - s.reg[R_SINCE]


@jit
def issue(d, s, w, log, cmd, bank, row, column, t):
    """Put one command on the bus at clock t."""
    charge(d, w, d.cause[w.reg[W_PREV] + 1, cmd], t)
    w.reg[W_PREV] = cmd if t >= w.reg[W_START] else NONE
    s.reg[R_CLK] = t
    w.counts[cmd] += 1
    hold_back(d, s, cmd, bank, t)
    if d.opens[cmd] or d.closes[cmd]:
        _turn_banks(d, s, w, log, cmd, bank, row, t)
    if cmd == d.switch_mode:
        s.reg[R_MODE] = 1 - s.reg[R_MODE]
    if d.completion[cmd] > 0:
        move_data(d, w, cmd, t + d.completion[cmd])
    write_log(d, w, log, cmd, bank, row if d.needs_open[cmd] or d.opens[cmd] else NONE, column, t)
