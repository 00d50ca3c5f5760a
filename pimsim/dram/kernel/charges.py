"""Which cause each clock of a program is charged to, and what is counted."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.numbers import ZERO
from pimsim.dram.kernel.work import W_ARRIVED, W_CURSOR, W_END, W_TAIL, W_WATCHED


@jit
def charge(d, w, cause, t):
    """Charge the clocks since the cursor; those past the data end only provisionally."""
    cursor = w.reg[W_CURSOR]
    if t <= cursor:
        return
    end = w.reg[W_END]
    if end > cursor:
        w.charged[cause] += min(t, end) - cursor
    if t > end:
        w.pending[cause] += t - max(end, cursor)
    w.reg[W_CURSOR] = t


@jit
def move_data(d, w, cmd, until):
    """A command's data crosses the pins until `until`: everything pending was needed."""
    if w.reg[W_WATCHED]:
        w.reg[W_WATCHED], w.reg[W_ARRIVED] = ZERO, until
    if until > w.reg[W_END]:
        w.reg[W_END] = until
        w.reg[W_TAIL] = cmd
        for k in range(d.causes):
            w.charged[k] += w.pending[k]
            w.pending[k] = 0


@jit
def count_commands(d, w, many, counts):
    """Move the commands and open clocks counted in `w` to `counts`, for `many` channels."""
    for k in range(d.commands + 1):
        counts[k] += many * w.counts[k]
        w.counts[k] = 0


@jit
def finish_charges(d, w):
    """What is left up to the data end goes to the command that sets it."""
    end = w.reg[W_END]
    if end > w.reg[W_CURSOR]:
        w.charged[d.cause[0, w.reg[W_TAIL]]] += end - w.reg[W_CURSOR]
        w.reg[W_CURSOR] = end
