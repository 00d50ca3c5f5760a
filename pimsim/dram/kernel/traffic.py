"""Host traffic: requests that are served by FR-FCFS, as many at a time as one likes."""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import constant, entry, jit, view
from pimsim.dram.kernel.arbiter import pick
from pimsim.dram.kernel.bounds import begin_program
from pimsim.dram.kernel.charges import count_commands, finish_charges
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.numbers import ALL, FAR_AWAY, IN_TURN, NONE, ONE, ZERO
from pimsim.dram.kernel.queue import (
    P_ARRIVAL,
    P_BANK,
    P_COLUMN,
    P_COMMAND,
    P_NUMBER,
    P_ROW,
    Q_APART,
    Q_BEGUN,
    Q_CHANNEL,
    Q_MORE,
    Q_SERVED,
    Q_START,
    READS,
    WRITES,
    enter,
    find_hits,
    has_room,
    kind_of,
    leave,
    queue_of,
    turn_the_pins,
    waiting,
)
from pimsim.dram.kernel.refresh import catch_up, next_refresh_step, refresh_due, step_refresh
from pimsim.dram.kernel.state import R_CLK, R_TURN, state_of
from pimsim.dram.kernel.table import table_of
from pimsim.dram.kernel.work import W_FLOOR, W_LOGGED, work_of

# What is known of a request that was served.
(D_NUMBER, D_ARRIVAL, D_CLK, D_END, SERVED_WIDTH) = range(5)


@entry
def serve_channel(d, s, w, queue, requests, options, totals, served, log):
    """Serve requests (n, 5), in order of arrival, by FR-FCFS; return the log rows.

    requests: arrival clock, command, bank, row, column.  If more are to come (Q_MORE), nothing
    is decided that those may have a say in: what is left waits in `queue` until the next call.
    Else all are served, and totals receives counts as of `run_programs`.  The state `s` and
    the work `w` are updated in place; the first Q_SERVED rows of served (m, 4) receive number,
    arrival, clock of the command and of the data's end of a request each, in order of service.
    If the log overflows the rows needed come back negative: the caller has to restore s, w
    and queue.
    """
    return _serve_channel(
        table_of(constant(d)), view(s), view(w), view(queue), constant(requests), constant(options), view(totals),
        view(served), view(log),
    )  # fmt: skip


@jit
def _serve_channel(d, state, room, places, requests, options, totals, served, log):
    s, w, q = state_of(state), work_of(room), queue_of(places)
    w.reg[W_LOGGED] = ZERO
    if not q.reg[Q_BEGUN]:
        q.reg[Q_BEGUN] = ONE
        begin_program(d, s, w, log, q.reg[Q_START], q.reg[Q_START], q.reg[Q_CHANNEL], options, ZERO)
    q.reg[Q_SERVED] = _serve_all(d, s, w, q, requests, served, log)
    if not q.reg[Q_MORE]:
        finish_charges(d, w)
    if log is not None and w.reg[W_LOGGED] > len(log):
        return -w.reg[W_LOGGED]
    if not q.reg[Q_MORE]:
        count_commands(d, w, ONE, totals)
        for k in range(d.causes):
            totals[d.commands + 1 + k] += w.charged[k]
    return w.reg[W_LOGGED]


@jit
def _serve_all(d, s, w, q, requests, served, log):
    """Serve until nothing is left, or what comes may have a say; return how many were served.

    What has arrived by the latest command enters before anything is decided.
    """
    n, coming, done = len(requests), ZERO, ZERO
    while coming < n or waiting(q) > 0:
        if waiting(q) > 0 and _may_enter(q, requests, coming, max(s.reg[R_CLK], w.reg[W_FLOOR])):
            enter(d, s, q, requests[coming])
            coming += 1
            continue
        if coming == n and q.reg[Q_MORE] and (has_room(q, READS) or has_room(q, WRITES)):
            break
        best, cmd, t = NONE, NONE, FAR_AWAY
        if waiting(q) > 0:
            if q.reg[Q_APART]:
                turn_the_pins(d, s, q)
            best, cmd, t = pick(d, s, w, q, NONE)
        else:
            catch_up(d, s, w, log, requests[coming, P_ARRIVAL])
        step, turn, refreshes = NONE, NONE, False
        if waiting(q) > 0 and refresh_due(d, s, t):
            step, turn, ready = next_refresh_step(d, s)
            t = FAR_AWAY
            if d.refresh == IN_TURN:
                best, cmd, t = pick(d, s, w, q, s.reg[R_TURN])
            refreshes = ready <= t
            t = min(t, ready)
        if _may_enter(q, requests, coming, t):
            enter(d, s, q, requests[coming])
            coming += 1
        elif refreshes:
            step_refresh(d, s, w, log, step, turn, t)
            _rows_turned(d, s, q, step, turn)
        else:
            done += _move_on(d, s, w, q, best, cmd, t, served, done, log)
    return done


@jit
def _may_enter(q, requests, coming, t):
    """Whether a request comes that has arrived at clock t, and finds a place."""
    if coming == len(requests) or requests[coming, P_ARRIVAL] > t:
        return False
    return has_room(q, kind_of(q, requests[coming, P_COMMAND]))


@jit
def _move_on(d, s, w, q, place, cmd, t, served, done, log):
    """Issue the next command of a request at clock t; return whether it is served."""
    own = q.place[place]
    bank = own[P_BANK]
    if cmd != own[P_COMMAND]:
        issue(d, s, w, log, cmd, bank, own[P_ROW] if cmd != d.close_bank else NONE, NONE, t)
        _rows_turned(d, s, q, cmd, bank)
        return ZERO
    issue(d, s, w, log, cmd, bank, own[P_ROW], own[P_COLUMN], t)
    served[done, D_NUMBER], served[done, D_ARRIVAL] = own[P_NUMBER], own[P_ARRIVAL]
    served[done, D_CLK], served[done, D_END] = t, t + d.completion[cmd]
    leave(d, s, q, place)
    return ONE


@jit
def _rows_turned(d, s, q, cmd, bank):
    """Other requests hit in the banks that a command opened or closed."""
    if d.scope[cmd] == ALL:
        for each in range(d.banks):
            find_hits(d, s, q, each)
        return
    own: Any = bank
    while own >= 0:
        find_hits(d, s, q, own)
        own = d.next_bank[cmd, own]
