"""The host: instructions one after the other, each at the clock of its decode.

An instruction's commands are carried out as soon as it is decoded, although they may wait in
the queues for long: what comes later changes nothing about them.  The clock of the next
decode then follows from the clocks at which they issued.
"""

from __future__ import annotations

from pimsim.devices.aim.compiled.layout import (
    ACCESS,
    BARRIER,
    C_BANK,
    C_CHANNEL,
    C_OPERATION,
    C_REGISTER,
    C_ROW,
    C_SIZE,
    C_VALUE,
    CONFIGURES,
    END,
    FUNCTION,
    H_CLK,
    H_END,
    H_ENDED,
    H_FUNCTION,
    H_NEXT,
    H_QUEUED,
    H_SKIP,
    H_VAIN,
    O_COMMAND,
    O_HOLD,
    O_KIND,
    O_READS,
)
from pimsim.devices.aim.compiled.queued import (
    A_BEGUN,
    A_CLEAR,
    A_NOW,
    A_WRITTEN,
    accesses_of,
    barrier,
    follow,
    leave,
    offer,
    request_beside,
    taken_from,
)
from pimsim.devices.aim.compiled.queues import choose, count_owned, enqueue, entered, join, owner_of_one
from pimsim.dram.compiler import constant, entry, jit, view
from pimsim.dram.kernel.bounds import start_work
from pimsim.dram.kernel.charges import count_commands
from pimsim.dram.kernel.numbers import FAR_AWAY, FOLD, LOG_HIGH, LOG_LOW, NEVER, NONE, STEPPED, ZERO
from pimsim.dram.kernel.programs import repeat, spacing_of
from pimsim.dram.kernel.refresh import catch_up
from pimsim.dram.kernel.requests import request
from pimsim.dram.kernel.state import R_CLK, state_of
from pimsim.dram.kernel.table import table_of
from pimsim.dram.kernel.work import W_CHANNEL, W_END, W_FLOOR, W_LOGGED, W_STEPPED, work_of

_MOST_VAIN = 15  # joins that are left out after one in vain, at most


@entry
def run_host(
    d, states, owners, queues, accesses, program, operations, function_register, functions, host, options, totals, log,
    work, owned, chosen,
):  # fmt: skip
    """Carry out the instructions of a block from host[H_NEXT] on, up to the end of the program; return the log rows.

    states (channels, n) is updated in place; channel c has the state, the queue of queues
    (channels, QUEUE_WIDTH) and the `Accesses` of accesses, of owners[c] <= c.  program (n, COLUMNS); operations (n,
    OPERATION_WIDTH) by the number of an operation; the register that chooses the activation
    function, and the row of the first one.  host (HOST_WIDTH,) is carried on.  totals
    collects the commands and open clocks of all channels; work, owned and chosen (channels,) are room to
    work in.  With a log no channels may share a state; the call ends once half of it is
    full, and if it was too small for what it began the rows come back negative: nothing that
    was changed is of any use then.
    """
    return _run_host(
        table_of(constant(d)), view(states), view(owners), view(queues), view(accesses), constant(program),
        constant(operations), function_register, functions, view(host), constant(options), view(totals), view(log),
        view(work), view(owned), view(chosen),
    )  # fmt: skip


@jit
def _run_host(
    d, states, owners, queues, accesses, program, operations, function_register, functions, host, options, totals, log,
    work, owned, chosen,
):  # fmt: skip
    w = work_of(work)
    # no clock is charged to a cause: all are before the cursor
    start_work(w, ZERO, FAR_AWAY, ZERO, options[STEPPED], ZERO, options[LOG_LOW], options[LOG_HIGH])
    w.reg[W_END] = host[H_END]
    count_owned(owners, owned)
    joins = options[FOLD] and log is None
    if joins and host[H_SKIP] <= 0:
        _join(d, states, queues, accesses, owners, owned, host, totals)
    i = host[H_NEXT]
    while i < len(program) and not host[H_ENDED]:
        if log is not None and 2 * w.reg[W_LOGGED] > len(log):
            break
        asked = program[i]
        operation = operations[asked[C_OPERATION]]
        kind, waits = operation[O_KIND], operation[O_HOLD] > 0
        if kind == END:
            host[H_CLK], host[H_ENDED] = _drained(d, states, accesses, owners, owned, host, totals, log, w), 1
            _follow_to(d, states, accesses, owners, owned, host, totals, log, w)
        elif kind == BARRIER:
            host[H_CLK], waits = _drained(d, states, accesses, owners, owned, host, totals, log, w) + 1, True
        elif kind == ACCESS:
            _access(d, states, owners, queues, accesses, asked, operation, host, totals, log, w, owned)
        elif operation[O_COMMAND] >= 0:
            _hand_on(d, states, owners, queues, accesses, asked, operation, host, totals, log, w, owned, chosen)
        else:
            if kind == CONFIGURES and asked[C_REGISTER] == function_register:
                host[H_FUNCTION] = functions + asked[C_VALUE]
            host[H_CLK] += 1
        if joins and waits and owned[0] < len(owners):
            host[H_SKIP] -= 1
            if host[H_SKIP] <= 0:
                _join(d, states, queues, accesses, owners, owned, host, totals)
        i += 1
    host[H_NEXT], host[H_END] = i, w.reg[W_END]
    if log is not None and w.reg[W_LOGGED] > len(log):
        return -w.reg[W_LOGGED]
    return w.reg[W_LOGGED]


@jit
def _join(d, states, queues, accesses, owners, owned, host, totals):
    """Join what is equal, and try less often where nothing is."""
    if join(d, states, queues, accesses, owners, owned, totals, host[H_CLK], host[H_QUEUED]):
        host[H_VAIN] = 0
    else:
        host[H_VAIN] = min(2 * host[H_VAIN] + 1, _MOST_VAIN)
    host[H_SKIP] = host[H_VAIN]


@jit
def _drained(d, states, accesses, owners, owned, host, totals, log, w):
    """The clock at which the host learns that all channels have done all that came before."""
    if not host[H_QUEUED]:
        return max(host[H_CLK], w.reg[W_END]) + 1
    last = host[H_CLK]
    for own in range(len(owners)):
        if owners[own] == own:
            w.reg[W_CHANNEL] = own
            a = accesses_of(accesses[own])
            last = max(last, barrier(d, state_of(states[own]), w, log, a, host[H_CLK]))
            count_commands(d, w, owned[own], totals)
    return last


@jit
def _follow_to(d, states, accesses, owners, owned, host, totals, log, w):
    """Accesses that have begun go on up to the end, while the host waits for the slowest channel."""
    for own in range(len(owners)):
        if owners[own] == own:
            w.reg[W_CHANNEL] = own
            follow(d, state_of(states[own]), w, log, accesses_of(accesses[own]), host[H_CLK] + 1)
            count_commands(d, w, owned[own], totals)


@jit
def _access(d, states, owners, queues, accesses, asked, operation, host, totals, log, w, owned):
    """Offer an access to its channel; the next decode follows the clock at which it is taken."""
    own = owner_of_one(states, queues, accesses, owners, owned, asked)
    s, a, w.reg[W_CHANNEL] = state_of(states[own]), accesses_of(accesses[own]), own
    cmd, reads = operation[O_COMMAND], operation[O_READS]
    host[H_CLK] = offer(d, s, w, log, a, host[H_CLK], cmd, asked[C_BANK], asked[C_ROW], reads) + 1
    count_commands(d, w, owned[own], totals)


@jit
def _hand_on(d, states, owners, queues, accesses, asked, operation, host, totals, log, w, owned, chosen):
    """Hand an instruction's commands on to its channels; then the host's clock is that of the next decode."""
    clk = host[H_CLK]
    if asked[C_CHANNEL] >= 0:
        own = owner_of_one(states, queues, accesses, owners, owned, asked)
        clk = _carry_out(d, states, queues, accesses, asked, operation, host, totals, log, w, own, owned[own])
    else:
        choose(states, queues, accesses, owners, owned, chosen, asked)
        for own in range(len(owners)):
            if chosen[own] > 0:
                free = _carry_out(d, states, queues, accesses, asked, operation, host, totals, log, w, own, owned[own])
                clk = max(clk, free)
    host[H_CLK] = clk + 1


@jit
def _carry_out(d, states, queues, accesses, asked, operation, host, totals, log, w, channel, many):
    """Carry out an instruction on a channel, for `many` that are like it; return the last clock that it takes the host.

    By then all its commands are in the queue and, if it blocks, its data has arrived.
    """
    s, queue, a = state_of(states[channel]), queues[channel], accesses_of(accesses[channel])
    cmd, n, hold = operation[O_COMMAND], asked[C_SIZE], operation[O_HOLD]
    row = host[H_FUNCTION] if operation[O_KIND] == FUNCTION else asked[C_ROW]
    w.reg[W_CHANNEL] = channel
    start = taken_from(d, s, w, log, a, host[H_CLK])
    w.reg[W_FLOOR] = max(start, a.reg[A_NOW])
    catch_up(d, s, w, log, start)
    i, last = ZERO, start
    while i < n and a.reg[A_BEGUN] > 0:
        last = request_beside(d, s, w, log, a, cmd, asked[C_BANK], row, i, w.reg[W_FLOOR])
        enqueue(queue, last, 1, 1)
        i += 1
    if i < n:
        w.reg[W_FLOOR] = max(w.reg[W_FLOOR], a.reg[A_NOW])
        # of a reference simulator's product that is longer than a row all columns are said to be in that row
        columns = max(d.columns, n) if host[H_QUEUED] else d.columns
        _issue(d, s, w, log, queue, cmd, asked[C_BANK], row, columns, i, n)
        last = s.reg[R_CLK]
    count_commands(d, w, many, totals)
    clk = max(start, entered(queue))
    if host[H_QUEUED]:
        a.reg[A_NOW] = a.reg[A_CLEAR] = last + 1
        if hold > 0 or operation[O_READS]:
            left = leave(a, last + d.completion[cmd])
            return max(clk, left) if hold > 0 else clk
        if d.completion[cmd] > 0:
            a.reg[A_WRITTEN] = max(a.reg[A_WRITTEN], last + d.completion[cmd])
        return clk
    return max(clk, last + hold - 1) if hold > 0 else clk


@jit
def _issue(d, s, w, log, queue, cmd, bank, row, columns, i, n):
    """Issue the i-th to the last of `n` commands, from the first column of a row on; rows have so many columns."""
    spacing = spacing_of(d, cmd, bank, ZERO)
    while i < n:
        at, column, room = row, i, n - i
        if d.needs_open[cmd]:
            at, column = row + i // columns, i % columns
            room = min(room, columns - column)
        shown = column if d.shows[cmd] else NONE
        request(d, s, w, log, cmd, bank, at, shown, NEVER)
        clk, issued = s.reg[R_CLK], 1
        if room > 1 and not w.reg[W_STEPPED]:
            issued += repeat(d, s, w, log, cmd, bank, at, column + 1, room - 1, spacing)
        enqueue(queue, clk, spacing, issued)
        i += issued
