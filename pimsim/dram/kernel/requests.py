"""A request: a command, after whatever it needs."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.layout import (
    BANK,
    CLOSE_ALL,
    CLOSE_BANK,
    H_BANKS,
    H_LOGS_REQUEST,
    NEVER,
    NONE,
    O_MODE,
    O_NEEDS_OPEN,
    O_OPENS,
    O_ROLE,
    O_ROW,
    O_SCOPE,
    OPEN_ALL,
    OPEN_BANK,
    OPEN_REST,
    R_LEVEL,
    R_MODE,
    R_OPEN,
    SWITCH_MODE,
    W_BANK,
    W_COLUMN,
    W_FLOOR,
    W_ROW,
)  # fmt: skip
from pimsim.dram.kernel.refresh import refresh, refresh_due
from pimsim.dram.kernel.timing import earliest


@jit
def _prepare(d, s, bank, row):
    """The next command that opening `row` needs, as (command, bank); (-1, -1) if it is open."""
    if bank >= 0:
        if s[d[O_ROW] + bank] == row:
            return NONE, NONE
        if s[d[O_ROW] + bank] >= 0:
            return d[d[O_ROLE] + CLOSE_BANK], bank
        return d[d[O_ROLE] + OPEN_BANK], bank
    if s[R_LEVEL] == row:
        return NONE, NONE
    if s[R_OPEN] == 0:
        return d[d[O_ROLE] + OPEN_ALL], NONE
    shut: Any = NONE
    for b in range(d[H_BANKS]):
        if s[d[O_ROW] + b] < 0:
            if shut < 0:
                shut = b
        elif s[d[O_ROW] + b] != row:
            return d[d[O_ROLE] + CLOSE_ALL], NONE
    if shut < 0:
        return NONE, NONE
    rest = d[d[O_ROLE] + OPEN_REST]
    return rest, shut if d[d[O_SCOPE] + rest] == BANK else NONE


@jit
def _on_the_way(d, s, w, log, cmd, target, open_row, bank, row, column, t):
    """Issue what a request needs first; the log may show the request's address for it."""
    if d[H_LOGS_REQUEST]:
        w[W_BANK], w[W_ROW], w[W_COLUMN] = bank, row, column
    issue(d, s, w, log, cmd, target, open_row if d[d[O_OPENS] + cmd] else NONE, NONE, t)
    w[W_BANK] = NEVER


@jit
def request(d, s, w, log, cmd, bank, row, column, not_before):
    """Issue `cmd` (-1: only open the row) after whatever it needs, refreshing when due."""
    floor = w[W_FLOOR]
    needs = cmd < 0 or d[d[O_NEEDS_OPEN] + cmd]
    switch = d[d[O_ROLE] + SWITCH_MODE]
    while True:
        first, target = NONE, bank
        if needs:
            first, target = _prepare(d, s, bank, row)
        if first < 0 and cmd < 0:
            return
        if first >= 0:
            t = max(floor, earliest(d, s, first, target))
        else:
            t = max(floor, not_before, earliest(d, s, cmd, bank))
        wrong_mode = cmd >= 0 and d[d[O_MODE] + cmd] >= 0 and d[d[O_MODE] + cmd] != s[R_MODE]
        if wrong_mode:
            t = max(t, earliest(d, s, switch, NONE))
        if refresh_due(d, s, t):
            refresh(d, s, w, log)
        elif wrong_mode:
            _on_the_way(d, s, w, log, switch, NONE, NONE, bank, row, column, t)
        elif first >= 0:
            _on_the_way(d, s, w, log, first, target, row, bank, row, column, t)
        else:
            issue(d, s, w, log, cmd, bank, row, column, t)
            return


@jit
def close_rows(d, s, w, log, bank):
    floor = w[W_FLOOR]
    cmd = d[d[O_ROLE] + CLOSE_BANK] if bank >= 0 else d[d[O_ROLE] + CLOSE_ALL]
    while s[R_OPEN] > 0 and (bank < 0 or s[d[O_ROW] + bank] >= 0):
        t = max(floor, earliest(d, s, cmd, bank))
        if refresh_due(d, s, t):
            refresh(d, s, w, log)
        else:
            issue(d, s, w, log, cmd, bank, NONE, NONE, t)
