"""Host traffic: requests that are served by FR-FCFS."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import constant, entry, jit, view
from pimsim.dram.kernel.arrays import copy
from pimsim.dram.kernel.bounds import begin_program
from pimsim.dram.kernel.charges import count_commands, finish_charges
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.numbers import FAR_AWAY, IN_TURN, NONE, ONE, ZERO
from pimsim.dram.kernel.refresh import catch_up, next_refresh_step, refresh_due, step_refresh
from pimsim.dram.kernel.state import R_TURN, state_of
from pimsim.dram.kernel.table import table_of
from pimsim.dram.kernel.timing import earliest
from pimsim.dram.kernel.work import W_FLOOR, W_LOGGED, work_of

# A request: arrival clock, command, bank, row, column; its place in the queue: its number,
# and how many younger ones went first.
(Q_ARRIVAL, Q_COMMAND, Q_BANK, Q_ROW, Q_COLUMN) = range(5)
(Q_NUMBER, Q_OVERTAKEN, QUEUE_WIDTH) = range(3)


@jit
def _pick(d, s, w, requests, queue, waiting, marks, refreshing, patience):
    """FR-FCFS: the request that can move on first, as (place in the queue, command, clock).

    Row hits keep their row open; in a bank without one, the oldest request says which row
    comes next.  Of those that can move at the same clock a hit goes first, then the oldest.
    Once `patience` younger requests went before the oldest, its bank is its own and no data
    but its own moves.  The banks of the turn `refreshing` (-1: none) take none; the place is -1 if
    nothing is left.
    """
    for bank in range(d.banks):
        marks[bank] = 0
    for k in range(waiting):
        bank = requests[queue[k, Q_NUMBER], Q_BANK]
        if s.rows[bank] == requests[queue[k, Q_NUMBER], Q_ROW]:
            marks[bank] = 1
    own = requests[queue[0, Q_NUMBER], Q_BANK]
    urgent = queue[0, Q_OVERTAKEN] >= patience and d.turn_of[own] != refreshing
    best: Any = NONE
    chosen, best_hit, best_t = NONE, False, FAR_AWAY
    for k in range(waiting):
        r = queue[k, Q_NUMBER]
        bank, row = requests[r, Q_BANK], requests[r, Q_ROW]
        hit = s.rows[bank] == row
        first = urgent and k == 0
        if (refreshing >= 0 and d.turn_of[bank] == refreshing) or (not hit and marks[bank] and not first):
            continue
        marks[bank] = 1
        if urgent and not first and (hit or bank == own):
            continue
        cmd = requests[r, Q_COMMAND]
        if not hit:
            cmd = d.open_bank if s.rows[bank] < 0 else d.close_bank
        t = max(earliest(d, s, cmd, bank), requests[r, Q_ARRIVAL], w.reg[W_FLOOR])
        if t < best_t or (t == best_t and hit and not best_hit):
            best, chosen, best_hit, best_t = k, cmd, hit, t
    return best, chosen, best_t


@jit
def _leave(queue, place, waiting):
    """Take a request out of the queue; those before it were overtaken."""
    for k in range(place):
        queue[k, Q_OVERTAKEN] += 1
    for k in range(place, waiting - 1):
        copy(queue[k], queue[k + 1])


@entry
def serve_channel(d, s, requests, start, channel, options, patience, totals, done, queue, marks, w, log):
    """Serve requests (n, 5), in order of arrival, by FR-FCFS with len(queue) places; return the log rows.

    The state `s` is updated in place, done (n, 2) receives clocks, totals counts as of
    `run_block`.  Nothing issues before `start`.  A refresh that is due takes its banks; the
    others go on meanwhile.  If the log overflows the rows needed come back negative: the
    caller has to restore the state.
    """
    return _serve_channel(
        table_of(constant(d)), view(s), constant(requests), start, channel, constant(options), patience, view(totals),
        view(done), view(queue), view(marks), view(w), view(log),
    )  # fmt: skip


@jit
def _serve_channel(d, state, requests, start, channel, options, patience, totals, done, queue, marks, room, log):
    s, w = state_of(state), work_of(room)
    begin_program(d, s, w, log, start, start, channel, options, ZERO)
    waiting, coming = ZERO, ZERO
    n = len(requests)
    while waiting > 0 or coming < n:
        best, cmd, t = NONE, NONE, FAR_AWAY
        if waiting > 0:
            best, cmd, t = _pick(d, s, w, requests, queue, waiting, marks, NONE, patience)
        elif coming < n:
            catch_up(d, s, w, log, requests[coming, Q_ARRIVAL])
        step, turn, refreshes = NONE, NONE, False
        if waiting > 0 and refresh_due(d, s, t):
            step, turn, ready = next_refresh_step(d, s)
            t = FAR_AWAY
            if d.refresh == IN_TURN:
                best, cmd, t = _pick(d, s, w, requests, queue, waiting, marks, s.reg[R_TURN], patience)
            refreshes = ready <= t
            t = min(t, ready)
        if coming < n and waiting < len(queue) and requests[coming, Q_ARRIVAL] <= t:
            queue[waiting, Q_NUMBER], queue[waiting, Q_OVERTAKEN] = coming, ZERO
            waiting, coming = waiting + 1, coming + 1
            continue
        if refreshes:
            step_refresh(d, s, w, log, step, turn, t)
            continue
        r = queue[best, Q_NUMBER]
        row, column = requests[r, Q_ROW], requests[r, Q_COLUMN]
        served = cmd == requests[r, Q_COMMAND]
        issue(d, s, w, log, cmd, requests[r, Q_BANK], row if cmd != d.close_bank else NONE,
               column if served else NONE, t)  # fmt: skip
        if served:
            done[r, 0], done[r, 1] = t, t + d.completion[cmd]
            _leave(queue, best, waiting)
            waiting -= 1
    finish_charges(d, w)
    if log is not None and w.reg[W_LOGGED] > len(log):
        return -w.reg[W_LOGGED]
    count_commands(d, w, ONE, totals)
    for k in range(d.causes):
        totals[d.commands + 1 + k] += w.charged[k]
    return w.reg[W_LOGGED]
