"""All channels of a device.

Channels with equal state and equal program are computed once (`fold`).
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pimsim.dram.compiler import flat, jit
from pimsim.dram.kernel.arrays import clear, copy
from pimsim.dram.kernel.bounds import begin_program, normalise, note_end, start_work
from pimsim.dram.kernel.charges import count_commands, finish_charges
from pimsim.dram.kernel.numbers import FAR_AWAY, FOLD, LOG_HIGH, LOG_LOW, NONE, ONE, STEPPED, ZERO
from pimsim.dram.kernel.outcomes import (
    P_REACH,
    Y_WHOLE,
    count_replayed,
    describe_link,
    describe_start,
    follow,
    if_it_holds,
    keep_link,
    know,
    leave,
    meet,
    next_due,
    recall,
    remember,
    replay,
    settle,
    slot_of,
)
from pimsim.dram.kernel.periods import period_of
from pimsim.dram.kernel.programs import execute
from pimsim.dram.kernel.refresh import catch_up, refresh_due
from pimsim.dram.kernel.state import R_BASE, R_CLK, R_FAR, R_LATE, R_OPEN, R_ORIGIN, R_SINCE, R_TRAIL, state_of
from pimsim.dram.kernel.timing import times_bound
from pimsim.dram.kernel.work import W_LOGGED, W_PREV, W_REFRESHES, work_of


class Scratch(NamedTuple):
    """What a call works on, and what it remembers for later ones; shapes in commands (c) and causes."""

    charges: Any  # (channels, causes) of the latest program
    followers: Any  # (channels,) how many have the state of each
    fresh: Any  # (channels, ...) states that are taken over if the log fits
    counts: Any  # (channels, c + 1) what is then counted
    work: Any  # of `Work`
    period: Any  # of `Period`, of the loop under way
    periods: Any  # (places, ...) of those that are known
    outcomes: Any  # words of `Outcome`s, one behind the other
    starts: Any  # where they are, by the hash of the state
    ends: Any  # and, of those that left different states, by the hash of the state that they left
    links: Any  # (places, LINK_WIDTH) and by the outcome before
    programs: Any  # (places, PROGRAM_WIDTH)
    start: Any  # the description of a start
    link: Any  # (LINK_WIDTH,)


@jit
def scratch_of(scratch):
    """The parts of a scratch."""
    (
        charges, followers, fresh, counts, work, period, periods, outcomes, starts, ends, links, programs, start, link,
    ) = scratch  # fmt: skip
    return Scratch(
        charges, followers, fresh, counts, work_of(work), period_of(period), periods, outcomes, starts, ends, links,
        programs, start, link,
    )  # fmt: skip


@jit
def same(d, a, b):
    """Whether two states after the same program have the same future."""
    for k in range(R_FAR):
        if a.reg[k] != b.reg[k]:
            return False
    if a.reg[R_TRAIL] > 0 and a.reg[R_TRAIL] == b.reg[R_TRAIL]:
        return a.reg[R_ORIGIN] == b.reg[R_ORIGIN] and a.reg[R_BASE] == b.reg[R_BASE]
    far = times_bound(d, a, a.reg[R_CLK])
    if a.reg[R_LATE] or b.reg[R_LATE] or far != times_bound(d, b, b.reg[R_CLK]):
        return False
    for k in range(d.banks):
        if a.rows[k] != b.rows[k]:
            return False
    times, others = flat(a.clocks), flat(b.clocks)
    for k in range(far):
        if times[k] != others[k]:
            return False
    recent, others = flat(a.recent), flat(b.recent)
    for k in range(len(recent)):
        if recent[k] != others[k]:
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
                and same(d, state_of(states[other]), state_of(states[channel]))
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
    w, outcomes, links, link = scratch.work, scratch.outcomes, scratch.links, scratch.link
    remembers = number > 0 and options[FOLD] and not options[STEPPED]
    met = meet(scratch.programs, number if remembers else ZERO)
    due = next_due(d, s, start, met[P_REACH])
    at, mixed, n, slot = ZERO, ZERO, ZERO, NONE
    if remembers and s.reg[R_TRAIL] > 0 and not refresh_due(d, s, start - 1):
        slot = slot_of(links, describe_link(d, s, link, number, base, start, account, due))
        at = if_it_holds(d, s, outcomes, follow(link, links, slot), start)
    if at == 0:
        settle(d, s, outcomes)
        begin_program(d, s, w, None, start, account, channel, options, ZERO)
        if w.reg[W_REFRESHES]:
            count_commands(d, w, many, totals)
            w.reg[W_REFRESHES] = 0
            due = next_due(d, s, start, met[P_REACH])
            remembers &= w.reg[W_PREV] == NONE  # else one came so late that clocks of the program are charged to it
        normalise(d, s, start)
        if remembers:
            mixed, n = describe_start(d, s, w, scratch.start, program, first, last, number, base, start, due)
            at = if_it_holds(d, s, outcomes, recall(scratch.start, n, outcomes, scratch.starts, mixed), start)
        if at > 0:
            keep_link(link, links, slot, outcomes, at)
    if at > 0:
        end = count_replayed(d, s, outcomes, at, start, many, totals, charges, moments)
        replay(d, s, outcomes, at, base, start)
        return end
    since = s.reg[R_SINCE]
    execute(d, s, w, None, program, first, last, base, scratch.period, scratch.periods, marks)
    finish_charges(d, w)
    s.reg[R_TRAIL] = 0
    if remembers:
        met[P_REACH] = max(met[P_REACH], s.reg[R_CLK] - start)
        at = remember(
            d, s, w, scratch.start, n, outcomes, scratch.ends, program, first, last, base, start, since,
            w.reg[W_REFRESHES],
        )  # fmt: skip
        if at > 0:
            know(scratch.starts, mixed, n, outcomes, at)
            keep_link(link, links, slot, outcomes, at)
            if outcomes[at + Y_WHOLE]:
                leave(s, outcomes, at, base, start)
    count_commands(d, w, many, totals)
    return note_end(d, w, charges, moments)


@jit
def _run_channels(
    d, states, owners, program, spans, marks, numbers, base, start, account, options, totals, ends, moments, scratch
):  # fmt: skip
    """Run every channel, those with the same state and work once if they fold; return the one whose charges count."""
    charges, followers = scratch.charges, scratch.followers
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
                d, state_of(states[channel]), channel, program, first, last, marks[channel], numbers[channel], base,
                start, account, options, followers[channel], totals, charges[channel], moments, scratch,
            )  # fmt: skip
            if critical == NONE or ends[channel] > ends[critical]:
                critical = channel
    if leaders > 1 and options[FOLD]:
        _join(d, states, owners, spans)
    return critical


@jit
def _run_logged(
    d, states, program, spans, marks, base, start, account, options, totals, ends, moments, log, scratch
):  # fmt: skip
    """Run and log every channel; return the one whose charges count, and the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    charges, counts, fresh, w = scratch.charges, scratch.counts, scratch.fresh, scratch.work
    logged = ZERO
    critical: Any = NONE
    for channel in range(len(states)):
        ends[channel] = start
        copy(fresh[channel], states[channel])
        s = state_of(fresh[channel])
        clear(counts[channel])
        first, last = spans[channel, 0], spans[channel, 1]
        if first == last:
            continue
        begin_program(d, s, w, log, start, account, channel, options, logged)
        normalise(d, s, start)
        execute(d, s, w, log, program, first, last, base, scratch.period, scratch.periods, marks[channel])
        finish_charges(d, w)
        count_commands(d, w, ONE, counts[channel])
        ends[channel] = note_end(d, w, charges[channel], moments)
        logged = w.reg[W_LOGGED]
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
    counts, fresh, w = scratch.counts, scratch.fresh, scratch.work
    logged = ZERO
    for channel in range(len(states)):
        copy(fresh[channel], states[channel])
        s = state_of(fresh[channel])
        clear(counts[channel])
        start_work(w, stop, stop, channel, ONE, logged, options[LOG_LOW], options[LOG_HIGH])
        catch_up(d, s, w, log, stop)
        logged = w.reg[W_LOGGED]
        if s.reg[R_OPEN] > 0:
            w.counts[d.commands] += stop - s.reg[R_SINCE]
            s.reg[R_SINCE] = stop
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
        for k in range(d.commands + 1):
            totals[k] += counts[channel, k]


@jit
def run_program(
    d, states, owners, program, spans, marks, numbers, base, start, account, options, totals, ends, moments, log,
    scratch,
):  # fmt: skip
    """Run a program on all channels, and charge as the one that ends last; return its data end, and the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
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
    for k in range(d.causes):
        totals[d.commands + 1 + k] += scratch.charges[critical, k]
    return ends[critical], logged


@jit
def settle_all(d, states, owners, scratch):
    """Write what replays left for later of every state that is in use."""
    for channel in range(len(owners)):
        if owners[channel] == channel:
            settle(d, state_of(states[channel]), scratch.outcomes)


@jit
def latest_command(states, owners, spans):
    """When the first of the channels that have something to do next issued its latest command."""
    clk = FAR_AWAY
    for channel in range(len(owners)):
        if spans[channel, 0] < spans[channel, 1]:
            clk = min(clk, state_of(states[owners[channel]]).reg[R_CLK])
    return clk
