"""All channels of a device.

Channels with equal state and equal program are computed once (`fold`).
"""

from __future__ import annotations

from typing import Any

from pimsim.dram.compiler import jit
from pimsim.dram.kernel.arrays import clear, copy
from pimsim.dram.kernel.charges import count_commands, finish_charges
from pimsim.dram.kernel.layout import (
    FAR_AWAY,
    H_BANKS,
    H_CAUSES,
    H_CMDS,
    H_DEPTH,
    H_WINDOWS,
    NONE,
    O_RECENT,
    O_ROW,
    ONE,
    P_REACH,
    R_BASE,
    R_CLK,
    R_FAR,
    R_LATE,
    R_OPEN,
    R_ORIGIN,
    R_SINCE,
    R_TRAIL,
    W_COUNTS,
    W_LOGGED,
    W_PREV,
    W_REFRESHES,
    Y_WHOLE,
    ZERO,
)  # fmt: skip
from pimsim.dram.kernel.outcomes import (
    count_replayed,
    describe_link,
    describe_start,
    follow,
    if_it_holds,
    keep_link,
    meet,
    next_due,
    recall,
    remember,
    replay,
    settle,
    slot_of,
)  # fmt: skip
from pimsim.dram.kernel.programs import execute
from pimsim.dram.kernel.refresh import catch_up, refresh_due
from pimsim.dram.kernel.timing import times_bound
from pimsim.dram.kernel.work import begin_program, normalise, note_end, start_work


@jit
def _same(d, a, b):
    """Whether two states after the same program have the same future."""
    for k in range(R_FAR):
        if a[k] != b[k]:
            return False
    if a[R_TRAIL] > 0 and a[R_TRAIL] == b[R_TRAIL]:
        return a[R_ORIGIN] == b[R_ORIGIN] and a[R_BASE] == b[R_BASE]
    far = times_bound(d, a, a[R_CLK])
    if a[R_LATE] or b[R_LATE] or far != times_bound(d, b, b[R_CLK]):
        return False
    for k in range(d[H_BANKS] + far):  # the open rows, then the clocks
        if a[d[O_ROW] + k] != b[d[O_ROW] + k]:
            return False
    for k in range(d[H_WINDOWS] * d[H_DEPTH]):
        if a[d[O_RECENT] + k] != b[d[O_RECENT] + k]:
            return False
    return True


@jit
def _same_work(spans, a, b):
    return spans[a, 0] == spans[b, 0] and spans[a, 1] == spans[b, 1]


@jit
def _part(states, owners, before, spans):
    """Channels whose work differs from their owner's get a state of their own."""
    for channel in range(len(owners)):
        before[channel] = owners[channel]
    for channel in range(len(owners)):
        other = before[channel]
        while other < channel and not (before[other] == before[channel] and _same_work(spans, other, channel)):
            other += 1
        if other == channel and owners[channel] != channel:
            copy(states[channel], states[before[channel]])
        owners[channel] = owners[other] if other < channel else channel


@jit
def _join(d, states, owners, spans):
    """Channels that are equal after the same work share the state of the first."""
    for channel in range(len(owners)):
        if owners[channel] != channel:
            owners[channel] = owners[owners[channel]]
            continue
        for other in range(channel):
            if (
                owners[other] == other
                and _same_work(spans, other, channel)
                and _same(d, states[other], states[channel])
            ):
                owners[channel] = other
                break


@jit
def _run_channel(
    d, s, channel, program, first, last, marks, number, base, start, account, options, many, totals, charges, moments,
    scratch,
):  # fmt: skip
    """Run a program on a channel, for `many` that are like it; return its data end.

    If it is known what the program does from here, that is done at once.  It is known by
    the outcome that led here (`follow`) or by the state (`recall`): the same, but the
    first looks at seven numbers.
    """
    w, memory, known, outcomes, index, links, programs, x, link = scratch
    remembers = number > 0 and options[1] and not options[0]
    met = meet(programs, number if remembers else ZERO)
    due = next_due(d, s, start, met[P_REACH])
    at, mixed, n, slot = ZERO, ZERO, ZERO, NONE
    if remembers and s[R_TRAIL] > 0 and not refresh_due(d, s, start - 1):
        slot = slot_of(links, describe_link(d, s, link, number, base, start, account, due))
        at = if_it_holds(d, s, outcomes, follow(link, links, slot), start)
    if at == 0:
        settle(d, s, outcomes)
        begin_program(d, s, w, None, start, account, channel, options, ZERO)
        if w[W_REFRESHES]:
            count_commands(d, w, many, totals)
            w[W_REFRESHES] = 0
            due = next_due(d, s, start, met[P_REACH])
            remembers &= w[W_PREV] == NONE  # else one came so late that clocks of the program are charged to it
        normalise(d, s, start)
        if remembers:
            mixed, n = describe_start(d, s, w, x, program, first, last, number, base, start, due)
            at = if_it_holds(d, s, outcomes, recall(x, n, outcomes, index, mixed), start)
        if at > 0:
            keep_link(link, links, slot, at)
    if at > 0:
        end = count_replayed(d, s, outcomes, at, start, many, totals, charges, moments)
        replay(d, s, outcomes, at, base, start)
        return end
    since = s[R_SINCE]
    execute(d, s, w, None, program, first, last, base, memory, known, marks)
    finish_charges(d, w)
    s[R_TRAIL] = 0
    if remembers:
        met[P_REACH] = max(met[P_REACH], s[R_CLK] - start)
        at = remember(d, s, w, x, n, outcomes, program, first, last, base, start, since, w[W_REFRESHES])
        if at > 0:
            index[slot_of(index, mixed)] = at
            keep_link(link, links, slot, at)
            if outcomes[at + Y_WHOLE]:
                s[R_TRAIL], s[R_ORIGIN], s[R_BASE] = at, start, base
    count_commands(d, w, many, totals)
    return note_end(d, w, charges, moments)


@jit
def _run_channels(
    d, states, owners, program, spans, marks, numbers, base, start, account, options, totals, ends, moments, scratch
):  # fmt: skip
    """Run every channel, those with the same state and work once if they fold; return the one whose charges count."""
    charges, followers, own, _, _ = scratch
    _part(states, owners, followers, spans)
    for channel in range(len(owners)):
        followers[channel] = 0
    leaders = 0
    for channel in range(len(owners)):
        ends[channel] = start
        followers[owners[channel]] += 1
        leaders += owners[channel] == channel
    critical: Any = NONE
    for channel in range(len(owners)):
        first, last = spans[channel, 0], spans[channel, 1]
        if owners[channel] != channel:
            ends[channel] = ends[owners[channel]]
        elif first < last:
            ends[channel] = _run_channel(
                d, states[channel], channel, program, first, last, marks[channel], numbers[channel], base, start,
                account, options, followers[channel], totals, charges[channel], moments, own,
            )  # fmt: skip
            if critical == NONE or ends[channel] > ends[critical]:
                critical = channel
    if leaders > 1 and options[1]:
        _join(d, states, owners, spans)
    return critical


@jit
def _run_logged(
    d, states, program, spans, marks, base, start, account, options, totals, ends, moments, log, scratch
):  # fmt: skip
    """Run and log every channel; return the one whose charges count, and the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    charges, _, (w, memory, known, _, _, _, _, _, _), fresh, counts = scratch
    logged = ZERO
    critical: Any = NONE
    for channel in range(len(states)):
        ends[channel] = start
        s = fresh[channel]
        copy(s, states[channel])
        clear(counts[channel])
        first, last = spans[channel, 0], spans[channel, 1]
        if first == last:
            continue
        begin_program(d, s, w, log, start, account, channel, options, logged)
        normalise(d, s, start)
        execute(d, s, w, log, program, first, last, base, memory, known, marks[channel])
        finish_charges(d, w)
        count_commands(d, w, ONE, counts[channel])
        ends[channel] = note_end(d, w, charges[channel], moments)
        logged = w[W_LOGGED]
        if critical == NONE or ends[channel] > ends[critical]:
            critical = channel
    if log is not None and logged > len(log):
        return NONE, -logged
    _keep_fresh(d, states, fresh, counts, totals)
    return critical, logged


@jit
def rest_channels(d, states, stop, options, totals, log, scratch):
    """Refresh every channel up to clock `stop`, and count banks that are open until then; return the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    _, _, (w, _, _, _, _, _, _, _, _), fresh, counts = scratch
    logged = ZERO
    for channel in range(len(states)):
        s = fresh[channel]
        copy(s, states[channel])
        clear(counts[channel])
        start_work(d, w, stop, stop, channel, ONE, logged, options[2], options[3])
        catch_up(d, s, w, log, stop)
        logged = w[W_LOGGED]
        if s[R_OPEN] > 0:
            w[W_COUNTS + d[H_CMDS]] += stop - s[R_SINCE]
            s[R_SINCE] = stop
        count_commands(d, w, ONE, counts[channel])
    if log is not None and logged > len(log):
        return -logged
    _keep_fresh(d, states, fresh, counts, totals)
    return logged


@jit
def _keep_fresh(d, states, fresh, counts, totals):
    """Take over what every channel did, now that its log fits."""
    for channel in range(len(states)):
        copy(states[channel], fresh[channel])
        for k in range(d[H_CMDS] + 1):
            totals[k] += counts[channel, k]


@jit
def run_program(
    d, states, owners, program, spans, marks, numbers, base, start, account, options, totals, ends, moments, log,
    scratch,
):  # fmt: skip
    """Run a program on all channels, and charge as the one that ends last; return its data end, and the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    charges, _, _, _, _ = scratch
    logged = ZERO
    if log is None:
        critical = _run_channels(
            d, states, owners, program, spans, marks, numbers, base, start, account, options, totals, ends, moments,
            scratch,
        )  # fmt: skip
    else:
        critical, logged = _run_logged(
            d, states, program, spans, marks, base, start, account, options, totals, ends, moments, log, scratch
        )
    if critical < 0:
        return start, logged
    for k in range(d[H_CAUSES]):
        totals[d[H_CMDS] + 1 + k] += charges[critical, k]
    return ends[critical], logged


@jit
def settle_all(d, states, owners, scratch):
    """Write what replays left for later of every state that is in use."""
    _, _, (_, _, _, outcomes, _, _, _, _, _), _, _ = scratch
    for channel in range(len(owners)):
        if owners[channel] == channel:
            settle(d, states[channel], outcomes)


@jit
def latest_command(states, owners, spans):
    """When the first of the channels that have something to do next issued its latest command."""
    clk = FAR_AWAY
    for channel in range(len(owners)):
        if spans[channel, 0] < spans[channel, 1]:
            clk = min(clk, states[owners[channel], R_CLK])
    return clk
