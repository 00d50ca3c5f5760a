"""The log of commands; None is no log: numba then compiles code that has nothing of it."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.layout import LOG_WIDTH, NEVER, W_BANK, W_CHANNEL, W_COLUMN, W_HIGH, W_LOGGED, W_LOW, W_ROW


@jit
def write_log(d, w, log, cmd, bank, row, column, t):
    if log is None:
        return
    if t < w[W_LOW] or t >= w[W_HIGH]:
        return
    at = w[W_LOGGED]
    if at < len(log):
        log[at, 0] = t
        log[at, 1] = w[W_CHANNEL]
        log[at, 2] = cmd
        own = w[W_BANK] == NEVER
        log[at, 3] = bank if own else w[W_BANK]
        log[at, 4] = row if own else w[W_ROW]
        log[at, 5] = column if own else w[W_COLUMN]
    w[W_LOGGED] = at + 1


@jit
def copy_log(w, log, first, periods, length, rows):
    """The log of the last period, again for each period skipped."""
    last = w[W_LOGGED]
    for p in range(1, periods + 1):
        for k in range(first, last):
            at = w[W_LOGGED]
            if at < len(log) and k < len(log):
                for column in range(LOG_WIDTH):
                    log[at, column] = log[k, column]
                log[at, 0] += p * length
                if log[at, 4] >= 0:
                    log[at, 4] += p * rows
            w[W_LOGGED] = at + 1
