"""One command on the bus."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.charges import charge, move_data
from pimsim.dram.kernel.layout import (
    ALL,
    H_BANKS,
    H_CMDS,
    NONE,
    O_CAUSE,
    O_CLOSES,
    O_COMPLETION,
    O_NEEDS_OPEN,
    O_OPENS,
    O_ROLE,
    O_ROW,
    O_SCOPE,
    R_CLK,
    R_LEVEL,
    R_MODE,
    R_OPEN,
    R_SINCE,
    SWITCH_MODE,
    W_COUNTS,
    W_PREV,
    W_START,
)  # fmt: skip
from pimsim.dram.kernel.log import write_log
from pimsim.dram.kernel.timing import hold_back


@jit
def _turn_banks(d, s, w, log, cmd, bank, row, t):
    """Open or close the banks that `cmd` addresses; count the clocks with one open."""
    was = s[R_OPEN]
    s[R_LEVEL] = row if d[d[O_SCOPE] + cmd] == ALL and d[d[O_OPENS] + cmd] else NONE
    if d[d[O_SCOPE] + cmd] == ALL:
        for b in range(d[H_BANKS]):
            s[d[O_ROW] + b] = row if d[d[O_OPENS] + cmd] else NONE
        s[R_OPEN] = d[H_BANKS] if d[d[O_OPENS] + cmd] else 0
    elif d[d[O_OPENS] + cmd]:
        s[d[O_ROW] + bank] = row
        s[R_OPEN] += 1
    elif s[d[O_ROW] + bank] >= 0:
        s[d[O_ROW] + bank] = -1
        s[R_OPEN] -= 1
    if was == 0 and s[R_OPEN] > 0:
        s[R_SINCE] = t
    elif was > 0 and s[R_OPEN] == 0:
        w[W_COUNTS + d[H_CMDS]] += t - s[R_SINCE]


@jit
def issue(d, s, w, log, cmd, bank, row, column, t):
    """Put one command on the bus at clock t."""
    charge(d, w, d[d[O_CAUSE] + (w[W_PREV] + 1) * d[H_CMDS] + cmd], t)
    w[W_PREV] = cmd if t >= w[W_START] else NONE
    s[R_CLK] = t
    w[W_COUNTS + cmd] += 1
    hold_back(d, s, cmd, bank, t)
    if d[d[O_OPENS] + cmd] or d[d[O_CLOSES] + cmd]:
        _turn_banks(d, s, w, log, cmd, bank, row, t)
    if cmd == d[d[O_ROLE] + SWITCH_MODE]:
        s[R_MODE] = 1 - s[R_MODE]
    if d[d[O_COMPLETION] + cmd] > 0:
        move_data(d, w, cmd, t + d[d[O_COMPLETION] + cmd])
    write_log(d, w, log, cmd, bank, row if d[d[O_NEEDS_OPEN] + cmd] or d[d[O_OPENS] + cmd] else NONE, column, t)
