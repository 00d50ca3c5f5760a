"""Which cause each clock of a program is charged to, and what is counted."""

from __future__ import annotations

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.layout import (
    H_CAUSES,
    H_CMDS,
    O_CAUSE,
    O_CHARGED,
    O_PENDING,
    W_ARRIVED,
    W_COUNTS,
    W_CURSOR,
    W_END,
    W_TAIL,
    W_WATCHED,
    ZERO,
)  # fmt: skip


@jit
def charge(d, w, cause, t):
    """Charge the clocks since the cursor; those past the data end only provisionally."""
    cursor = w[W_CURSOR]
    if t <= cursor:
        return
    end = w[W_END]
    if end > cursor:
        w[d[O_CHARGED] + cause] += min(t, end) - cursor
    if t > end:
        w[d[O_PENDING] + cause] += t - max(end, cursor)
    w[W_CURSOR] = t


@jit
def move_data(d, w, cmd, until):
    """A command's data crosses the pins until `until`: everything pending was needed."""
    if w[W_WATCHED]:
        w[W_WATCHED], w[W_ARRIVED] = ZERO, until
    if until > w[W_END]:
        w[W_END] = until
        w[W_TAIL] = cmd
        for k in range(d[H_CAUSES]):
            w[d[O_CHARGED] + k] += w[d[O_PENDING] + k]
            w[d[O_PENDING] + k] = 0


@jit
def count_commands(d, w, many, counts):
    """Move the commands and open clocks counted in `w` to `counts`, for `many` channels."""
    for k in range(d[H_CMDS] + 1):
        counts[k] += many * w[W_COUNTS + k]
        w[W_COUNTS + k] = 0


@jit
def finish_charges(d, w):
    """What is left up to the data end goes to the command that sets it."""
    end = w[W_END]
    if end > w[W_CURSOR]:
        w[d[O_CHARGED] + d[d[O_CAUSE] + w[W_TAIL]]] += end - w[W_CURSOR]
        w[W_CURSOR] = end
