"""FR-FCFS: of the requests that wait, the one that can move on first."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.numbers import FAR_AWAY, NONE
from pimsim.dram.kernel.queue import (
    N_COMMAND,
    N_HITS,
    N_OTHER,
    N_OTHER_COMMAND,
    N_PLACE,
    P_ARRIVAL,
    P_BANK,
    P_COMMAND,
    P_NUMBER,
    P_ROW,
    Q_PATIENCE,
    oldest_of,
    overtaken,
)
from pimsim.dram.kernel.state import CHANNEL_NODE
from pimsim.dram.kernel.timing import bank_node, earliest
from pimsim.dram.kernel.work import W_FLOOR


@jit
def pick(d, s, w, q, refreshing):
    """The request that can move on first, as (place, command, clock).

    Row hits keep their row open: in a bank with one, the oldest hit of each kind may go; in
    another the oldest request says which row comes next.  Of those that can move at the same
    clock a hit goes first, then the oldest.  Once `patience` younger requests went before the
    oldest, its bank is its own and no data but its own moves.  The banks of the turn
    `refreshing` (-1: none) take none; the place is -1 if nothing is left.
    """
    oldest = oldest_of(q)
    urgent = overtaken(q, oldest) >= q.reg[Q_PATIENCE]
    own = q.place[oldest, P_BANK]
    if urgent and d.turn_of[own] == refreshing:
        urgent = False
    best: Any = NONE
    chosen, hit, best_t = NONE, False, FAR_AWAY
    if urgent:
        cmd, hits = q.place[oldest, P_COMMAND], s.rows[own] == q.place[oldest, P_ROW]
        if not hits:
            cmd = d.open_bank if s.rows[own] < 0 else d.close_bank
        best, chosen, hit, best_t = _sooner(d, s, w, q, own, oldest, cmd, hits, best, chosen, hit, best_t)
    for k in range(d.banks):
        bank = own + k if own + k < d.banks else own + k - d.banks  # the oldest request has the best prospects
        place = q.next[bank, N_PLACE]
        if place < 0 or (refreshing >= 0 and d.turn_of[bank] == refreshing):
            continue
        cmd, hits = q.next[bank, N_COMMAND], q.next[bank, N_HITS] != 0
        if urgent and (bank == own or hits):
            continue
        best, chosen, hit, best_t = _sooner(d, s, w, q, bank, place, cmd, hits, best, chosen, hit, best_t)
        place = q.next[bank, N_OTHER]
        if place >= 0:
            cmd = q.next[bank, N_OTHER_COMMAND]
            best, chosen, hit, best_t = _sooner(d, s, w, q, bank, place, cmd, hits, best, chosen, hit, best_t)
    return best, chosen, best_t


@jit
def _sooner(d, s, w, q, bank, place, cmd, hits, best, chosen, hit, best_t):
    """The better of a candidate, `cmd` for the request in `place`, and the best one so far.

    Most candidates lose by what holds back the channel or the bank: the rest is looked at last.
    """
    t = max(s.clocks[CHANNEL_NODE, cmd], s.clocks[bank_node(bank), cmd], q.place[place, P_ARRIVAL], w.reg[W_FLOOR])
    if _loses(q, place, hits, t, best, hit, best_t):
        return best, chosen, hit, best_t
    t = max(t, earliest(d, s, cmd, bank))
    if _loses(q, place, hits, t, best, hit, best_t):
        return best, chosen, hit, best_t
    return place, cmd, hits, t


@jit
def _loses(q, place, hits, t, best, hit, best_t):
    """Whether a candidate that may go at t, or later, comes after the best one so far."""
    if t != best_t or best < 0:
        return t > best_t
    return hit > hits or (hit == hits and q.place[best, P_NUMBER] < q.place[place, P_NUMBER])
