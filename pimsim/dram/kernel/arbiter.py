"""FR-FCFS: of the requests that wait, the one that can move on first."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.numbers import FAR_AWAY, NONE
from pimsim.dram.kernel.queue import (
    KINDS,
    P_ARRIVAL,
    P_BANK,
    P_COMMAND,
    P_NUMBER,
    P_ROW,
    Q_APART,
    Q_DRAINING,
    Q_PATIENCE,
    READS,
    WRITES,
    oldest_of,
    oldest_of_bank,
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
    first: Any = READS
    last: Any = KINDS
    if q.reg[Q_APART]:
        first = WRITES if q.reg[Q_DRAINING] else READS
        last = first + 1
    oldest = oldest_of(q, first, last)
    urgent = overtaken(q, oldest) >= q.reg[Q_PATIENCE]
    own = q.place[oldest, P_BANK]
    if urgent and d.turn_of[own] == refreshing:
        urgent = False
    best: Any = NONE
    chosen, hit, best_t = NONE, False, FAR_AWAY
    for k in range(d.banks):
        bank = own + k if own + k < d.banks else own + k - d.banks  # the oldest request has the best prospects
        if refreshing >= 0 and d.turn_of[bank] == refreshing:
            continue
        if urgent and bank == own:
            hits = s.rows[bank] == q.place[oldest, P_ROW]
            best, chosen, hit, best_t = _sooner(d, s, w, q, bank, oldest, hits, best, chosen, hit, best_t)
            continue
        hits = False
        for kind in range(first, last):
            place = q.hit[kind, bank]
            if place >= 0:
                hits = True
                if not urgent:
                    best, chosen, hit, best_t = _sooner(d, s, w, q, bank, place, True, best, chosen, hit, best_t)
        if not hits:
            place = oldest_of_bank(q, first, last, bank)
            if place >= 0:
                best, chosen, hit, best_t = _sooner(d, s, w, q, bank, place, False, best, chosen, hit, best_t)
    return best, chosen, best_t


@jit
def _sooner(d, s, w, q, bank, place, hits, best, chosen, hit, best_t):
    """The better of a candidate, the request in `place`, and the best one so far.

    Most candidates lose by what holds back the channel or the bank: the rest is looked at last.
    """
    own = q.place[place]
    cmd = own[P_COMMAND]
    if not hits:
        cmd = d.open_bank if s.rows[bank] < 0 else d.close_bank
    wins_ties = best < 0 or (hits and not hit) or (hits == hit and own[P_NUMBER] < q.place[best, P_NUMBER])
    latest = best_t if wins_ties else best_t - 1  # for which it is the better one
    t = max(s.clocks[CHANNEL_NODE, cmd], s.clocks[bank_node(bank), cmd], own[P_ARRIVAL], w.reg[W_FLOOR])
    if t > latest:
        return best, chosen, hit, best_t
    t = max(t, earliest(d, s, cmd, bank))
    if t > latest:
        return best, chosen, hit, best_t
    return place, cmd, hits, t
