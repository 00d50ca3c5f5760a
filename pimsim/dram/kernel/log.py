"""The log of commands; None is no log: numba then compiles code that has nothing of it."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.numbers import NEVER
from pimsim.dram.kernel.work import W_BANK, W_CHANNEL, W_COLUMN, W_HIGH, W_LOGGED, W_LOW, W_ROW

# the columns of the log
LOG_CLK, LOG_CHANNEL, LOG_COMMAND, LOG_BANK, LOG_ROW, LOG_COLUMN, LOG_WIDTH = range(7)


@jit
def write_log(d, w, log, cmd, bank, row, column, t):
    if log is None:
        return
    if t < w.reg[W_LOW] or t >= w.reg[W_HIGH]:
        return
    at = w.reg[W_LOGGED]
    if at < len(log):
        log[at, LOG_CLK] = t
        log[at, LOG_CHANNEL] = w.reg[W_CHANNEL]
        log[at, LOG_COMMAND] = cmd
        own = w.reg[W_BANK] == NEVER
        log[at, LOG_BANK] = bank if own else w.reg[W_BANK]
        log[at, LOG_ROW] = row if own else w.reg[W_ROW]
        log[at, LOG_COLUMN] = column if own else w.reg[W_COLUMN]
    w.reg[W_LOGGED] = at + 1


@jit
def copy_log(w, log, first, periods, length, rows):
    """The log of the last period, again for each period skipped."""
    last = w.reg[W_LOGGED]
    for p in range(1, periods + 1):
        for k in range(first, last):
            at = w.reg[W_LOGGED]
            if at < len(log) and k < len(log):
                for column in range(LOG_WIDTH):
                    log[at, column] = log[k, column]
                log[at, LOG_CLK] += p * length
                if log[at, LOG_ROW] >= 0:
                    log[at, LOG_ROW] += p * rows
            w.reg[W_LOGGED] = at + 1
