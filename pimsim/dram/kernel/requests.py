"""A request: a command, after whatever it needs."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.numbers import ALL, NEVER, NONE, ZERO
from pimsim.dram.kernel.refresh import refresh, refresh_due
from pimsim.dram.kernel.state import R_LEVEL, R_MODE, R_OPEN
from pimsim.dram.kernel.timing import earliest, named_bank
from pimsim.dram.kernel.work import W_BANK, W_COLUMN, W_FLOOR, W_ROW


@jit
def prepare(d, s, cmd, bank, row):
    """The next command that `cmd` needs to find `row` open, as (command, bank); (-1, -1) if it is."""
    if bank >= 0:
        while s.rows[bank] == row:
            bank = d.next_bank[cmd, bank] if cmd >= 0 else NONE
            if bank < 0:
                return NONE, NONE
        if s.rows[bank] >= 0:
            return d.close_bank, bank
        return d.open_bank, bank
    if s.reg[R_LEVEL] == row:
        return NONE, NONE
    if s.reg[R_OPEN] == 0:
        return d.open_all, NONE
    shut: Any = NONE
    for b in range(d.banks):
        if s.rows[b] < 0:
            if shut < 0:
                shut = b
        elif s.rows[b] != row:
            return d.close_all, NONE
    if shut < 0:
        return NONE, NONE
    rest = d.open_rest
    return rest, NONE if d.scope[rest] == ALL else shut


@jit
def on_the_way(d, s, w, log, cmd, target, open_row, bank, row, column, t):
    """Issue what a request needs first; the log may show the request's address for it."""
    if d.logs_request:
        w.reg[W_BANK], w.reg[W_ROW], w.reg[W_COLUMN] = bank, row, column
    issue(d, s, w, log, cmd, target, open_row if d.opens[cmd] else NONE, NONE, t)
    w.reg[W_BANK] = NEVER


@jit
def request(d, s, w, log, cmd, bank, row, column, not_before):
    """Issue `cmd` (-1: only open the row) after whatever it needs, refreshing when due."""
    floor = w.reg[W_FLOOR]
    needs = cmd < 0 or d.needs_open[cmd]
    switch = d.switch_mode
    while True:
        first, target = NONE, bank
        if needs:
            first, target = prepare(d, s, cmd, bank, row)
        if first < 0 and cmd < 0:
            return
        if first >= 0:
            t = max(floor, earliest(d, s, first, target))
        else:
            t = max(floor, not_before, earliest(d, s, cmd, bank))
        mode = d.mode[cmd if cmd >= 0 else first]
        wrong_mode = mode >= 0 and mode != s.reg[R_MODE]
        if wrong_mode:
            t = max(t, earliest(d, s, switch, NONE))
        if refresh_due(d, s, t):
            refresh(d, s, w, log)
        elif wrong_mode:
            on_the_way(d, s, w, log, switch, NONE, NONE, bank, row, column, t)
        elif first >= 0:
            on_the_way(d, s, w, log, first, target, row, bank, row, column, t)
        else:
            issue(d, s, w, log, cmd, bank, row, column, t)
            return


@jit
def _lowest_open(d, s):
    bank: Any = ZERO
    while s.rows[bank] < 0:
        bank += 1
    return bank


@jit
def close_rows(d, s, w, log, bank):
    floor = w.reg[W_FLOOR]
    cmd = d.close_bank if bank >= 0 else d.close_all
    while s.reg[R_OPEN] > 0 and (bank < 0 or s.rows[bank] >= 0):
        target = bank if bank >= 0 else named_bank(d, cmd, _lowest_open(d, s))
        t = max(floor, earliest(d, s, cmd, target))
        if refresh_due(d, s, t):
            refresh(d, s, w, log)
        else:
            issue(d, s, w, log, cmd, target, NONE, NONE, t)
