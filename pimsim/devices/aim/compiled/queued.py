"""Host accesses with queues of their own: the compiled reading of `devices.aim.queued`, which says the rules.

A channel is followed from one command to the next, not from clock to clock: between two commands nothing changes,
so the next one is the first that anything wanted may issue.  What the host does later changes nothing about requests
that were taken, so these are carried out at once; accesses wait until the host comes to the channel again.
"""

from __future__ import annotations

from typing import Any

from pimsim.devices.aim.compiled.layout import FEW_WRITES, MANY_WRITES, QUEUE_ENTRIES
from pimsim.dram.compiler import jit, parts_of
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.numbers import FAR_AWAY, NEVER, NONE, ZERO
from pimsim.dram.kernel.requests import on_the_way, prepare
from pimsim.dram.kernel.state import R_MODE
from pimsim.dram.kernel.timing import earliest
from pimsim.dram.records import Record

# The registers of a channel's accesses.
(
    A_NOW,  # the channel was followed up to this clock
    A_CLEAR,  # from this clock on no request is queued
    A_LEFT,  # when the latest of what leaves one by one left
    A_WRITTEN,  # no write is in flight from here on
    A_WRITING,  # whether it is the writes' turn
    A_READS,  # how many are queued
    A_WRITES,
    A_BEGUN,  # for how many a row was opened
    A_REGISTERS,
) = range(9)
(Q_COMMAND, Q_BANK, Q_ROW, Q_READS, ENTRY_WIDTH) = range(5)
MOST_BEGUN = 4 * QUEUE_ENTRIES


class Accesses(Record):
    """Of the host to one channel: command, bank, row, and whether it reads, of each."""

    reg = (A_REGISTERS,)
    reads = (QUEUE_ENTRIES, ENTRY_WIDTH)
    writes = (QUEUE_ENTRIES, ENTRY_WIDTH)
    begun = (MOST_BEGUN, ENTRY_WIDTH)


accesses_of = parts_of(Accesses)


@jit
def calm(a, clk):
    """Whether nothing of a channel's accesses matters from clock `clk` on; then it is as if there had been none."""
    if a.reg[A_READS] + a.reg[A_WRITES] + a.reg[A_BEGUN] > 0:
        return False
    if max(a.reg[A_CLEAR], a.reg[A_LEFT] + 1, a.reg[A_WRITTEN]) > clk:
        return False
    a.reg[A_NOW] = a.reg[A_CLEAR] = a.reg[A_LEFT] = a.reg[A_WRITTEN] = a.reg[A_WRITING] = ZERO
    return True


# -- what the host asks of a channel --------------------------------------------------------------


@jit
def offer(d, s, w, log, a, t, cmd, bank, row, reads):
    """Offer an access from clock t on; the clock at which it is taken, or lost."""
    at = max(t, a.reg[A_CLEAR])
    follow(d, s, w, log, a, at)
    if reads:
        while a.reg[A_WRITES] == 0 and a.reg[A_READS] == QUEUE_ENTRIES:
            _step(d, s, w, log, a, FAR_AWAY)
            at = a.reg[A_NOW]
        if a.reg[A_WRITES] == 0:
            _put(a.reads[a.reg[A_READS]], cmd, bank, row, reads)
            a.reg[A_READS] += 1
        return at
    while a.reg[A_WRITES] == QUEUE_ENTRIES:
        _step(d, s, w, log, a, FAR_AWAY)
        at = a.reg[A_NOW]
    _put(a.writes[a.reg[A_WRITES]], cmd, bank, row, reads)
    a.reg[A_WRITES] += 1
    return at


@jit
def _put(entry, cmd, bank, row, reads):
    entry[Q_COMMAND], entry[Q_BANK], entry[Q_ROW], entry[Q_READS] = cmd, bank, row, reads


@jit
def taken_from(d, s, w, log, a, t):
    """The first clock from t on at which requests are taken: no access is queued then."""
    follow(d, s, w, log, a, t)
    at = t
    while a.reg[A_READS] + a.reg[A_WRITES] > 0:
        _step(d, s, w, log, a, FAR_AWAY)
        at = a.reg[A_NOW]
    return at


@jit
def barrier(d, s, w, log, a, t):
    """A SYNC or EOC that is offered from clock t on; when it leaves."""
    at = max(taken_from(d, s, w, log, a, t), a.reg[A_NOW])
    while True:
        soonest = _serve_begun(d, s, w, log, a, at)
        if soonest == NEVER:
            at += 1
        elif a.reg[A_WRITTEN] <= at:
            break
        else:
            at = max(at + 1, min(soonest, a.reg[A_WRITTEN]))
    a.reg[A_NOW] = a.reg[A_CLEAR] = at + 1
    return leave(a, at + 1)


@jit
def leave(a, end):
    """When something leaves that has ended at clock `end`: one by one, in order."""
    a.reg[A_LEFT] = max(a.reg[A_LEFT] + 1, end)
    return a.reg[A_LEFT]


@jit
def request_beside(d, s, w, log, a, cmd, bank, row, column, floor):
    """A request's command beside accesses that have begun, from clock `floor` on; its clock."""
    at = max(floor, a.reg[A_NOW])
    while True:
        soonest = _serve_begun(d, s, w, log, a, at)
        if soonest == NEVER:
            at += 1
            continue
        step, target, ready = _next(d, s, cmd, bank, row)
        if ready > at:
            at = max(at + 1, min(soonest, ready))
            continue
        if _may_go(d, a, step, target):
            _send(d, s, w, log, step, target, cmd, bank, row, column, at)
            if step == cmd:
                a.reg[A_NOW] = at + 1
                return at
        at += 1


# -- from one command to the next -----------------------------------------------------------------


@jit
def follow(d, s, w, log, a, until):
    """Follow a channel up to a clock."""
    if a.reg[A_READS] + a.reg[A_WRITES] + a.reg[A_BEGUN] > 0:
        while _step(d, s, w, log, a, until):
            pass
    a.reg[A_NOW] = max(a.reg[A_NOW], until)


@jit
def _step(d, s, w, log, a, until):
    """Issue the next command of an access; False if none issues before clock `until`."""
    t = a.reg[A_NOW]
    while t < until:
        soonest = _serve_begun(d, s, w, log, a, t)
        if soonest != NEVER:
            soonest = min(soonest, _serve_queue(d, s, w, log, a, t))
        if soonest == NEVER:
            a.reg[A_NOW] = t + 1
            return True
        t = max(t + 1, soonest)
    return False


@jit
def _serve_begun(d, s, w, log, a, t):
    """Issue a command of an access that has begun (NEVER), or say when one may."""
    soonest = FAR_AWAY
    for i in range(a.reg[A_BEGUN]):
        entry = a.begun[i]
        cmd, bank, row = entry[Q_COMMAND], entry[Q_BANK], entry[Q_ROW]
        step, target, ready = _next(d, s, cmd, bank, row)
        if ready <= t:
            _send(d, s, w, log, step, target, cmd, bank, row, ZERO, t)
            if step == cmd:
                _finish(d, a, entry, t)
                _remove(a.begun, i, a.reg[A_BEGUN])
                a.reg[A_BEGUN] -= 1
            return NEVER
        soonest = min(soonest, ready)
    return soonest


@jit
def _serve_queue(d, s, w, log, a, t):
    """The same of those that are queued."""
    if a.reg[A_WRITING]:
        a.reg[A_WRITING] = not (a.reg[A_WRITES] < FEW_WRITES and a.reg[A_READS] > 0)
    else:
        a.reg[A_WRITING] = a.reg[A_WRITES] > MANY_WRITES or a.reg[A_READS] == 0
    if a.reg[A_WRITING]:
        return _serve_first(d, s, w, log, a, a.writes, A_WRITES, t)
    return _serve_first(d, s, w, log, a, a.reads, A_READS, t)


@jit
def _serve_first(d, s, w, log, a, queue, number, t):
    """The same of one queue."""
    soonest = FAR_AWAY
    for i in range(a.reg[number]):
        entry = queue[i]
        cmd, bank, row = entry[Q_COMMAND], entry[Q_BANK], entry[Q_ROW]
        step, target, ready = _next(d, s, cmd, bank, row)
        if ready > t:
            soonest = min(soonest, ready)
            continue
        if not _may_go(d, a, step, target):
            return t + 1
        _send(d, s, w, log, step, target, cmd, bank, row, ZERO, t)
        if step == cmd or step == d.open_bank:
            if step == cmd:
                _finish(d, a, entry, t)
            else:
                _put(a.begun[a.reg[A_BEGUN]], cmd, bank, row, entry[Q_READS])
                a.reg[A_BEGUN] += 1
            _remove(queue, i, a.reg[number])
            a.reg[number] -= 1
        return NEVER
    return soonest


@jit
def _remove(queue, i, n):
    """Take the i-th of n out of a queue."""
    for k in range(i, n - 1):
        for field in range(ENTRY_WIDTH):
            queue[k, field] = queue[k + 1, field]


@jit
def _finish(d, a, entry, t):
    """An access has issued its command at clock t."""
    end = t + d.completion[entry[Q_COMMAND]]
    if entry[Q_READS]:
        leave(a, end)
    else:
        a.reg[A_WRITTEN] = max(a.reg[A_WRITTEN], end)


@jit
def _next(d, s, cmd, bank, row):
    """The next command on the way to `cmd` in an open row, what it addresses, and when it may issue."""
    first: Any = NONE
    target = bank
    if d.needs_open[cmd]:
        first, target = prepare(d, s, cmd, bank, row)
    step = cmd if first < 0 else first
    if first < 0:
        target = bank
    ready = earliest(d, s, step, target)
    if d.mode[cmd] >= 0 and d.mode[cmd] != s.reg[R_MODE]:
        return d.switch_mode, NONE, max(ready, earliest(d, s, d.switch_mode, NONE))
    return step, target, ready


@jit
def _may_go(d, a, step, target):
    """Whether a command closes no bank of an access that has begun."""
    if step == d.close_bank:
        for i in range(a.reg[A_BEGUN]):
            if a.begun[i, Q_BANK] == target:
                return False
    return True


@jit
def _send(d, s, w, log, step, target, cmd, bank, row, column, t):
    """Issue a command on the way to `cmd`, or itself."""
    shown = column if d.shows[cmd] else NONE
    if step == cmd:
        issue(d, s, w, log, cmd, bank, row, shown, t)
    else:
        on_the_way(d, s, w, log, step, target, row, bank, row, shown, t)
