"""The largest sum that instructions spend in any window of clocks, and notes of what each of them took."""

from __future__ import annotations

from pimsim.dram.compiler import constant, entry, jit, parts_of, view
from pimsim.dram.kernel.numbers import ZERO
from pimsim.dram.records import Record

# What an instruction spends is laid out evenly from its begin to its end, in buckets of 2^G_SHIFT
# clocks; a window is G_FULL of them and G_PART clocks of one more, at its end or at its begin (the
# sum is linear in between).
(
    G_SHIFT,
    G_FULL,  # 0: no window is looked for
    G_PART,
    G_FIRST,  # the oldest bucket that may still grow
    G_LAST,  # the latest that has
    G_SUM,  # of the G_FULL buckets before G_FIRST
    G_MOST,  # the largest sum of a window, in parts of 2^G_SHIFT
    G_NOTED,  # instructions that were noted, or would have been if there were room
    METER_REGISTERS,
) = range(9)

# A note: from when to when, what was said of the instruction (I_SPENDS), and its commands by number.
N_BEGIN, N_END, N_BESIDE, N_COMMANDS = range(4)


class Meter(Record):
    """Where the largest sum of any window of clocks is found."""

    reg = (METER_REGISTERS,)
    costs = ("commands",)  # what each command spends
    took = ("commands",)  # the commands of the instruction under way
    buckets = ("buckets",)  # a power of 2, used round and round
    notes = ("notes", "note")  # room for none of them: instructions are laid out, not noted


meter_of = parts_of(Meter)


@jit
def start_taking(m, totals):
    """An instruction begins; totals: the commands so far."""
    for k in range(len(m.took)):
        m.took[k] = -totals[k]


@jit
def take(m, totals):
    """It has ended: what its commands spend."""
    spent = ZERO
    for k in range(len(m.took)):
        m.took[k] += totals[k]
        spent += m.took[k] * m.costs[k]
    return spent


@jit
def take_none(m):
    """It has no commands."""
    for k in range(len(m.took)):
        m.took[k] = ZERO


@jit
def note(m, beside, begin, end):
    """Note the instruction under way."""
    at = m.reg[G_NOTED]
    m.reg[G_NOTED] = at + 1
    if at >= len(m.notes):
        return
    m.notes[at, N_BEGIN], m.notes[at, N_END], m.notes[at, N_BESIDE] = begin, end, beside
    for k in range(len(m.took)):
        m.notes[at, N_COMMANDS + k] = m.took[k]


@jit
def has_room(m, instructions):
    """Whether there is room for the notes of so many more, if they are noted."""
    return len(m.notes) == 0 or m.reg[G_NOTED] + instructions <= len(m.notes)


@jit
def _pass_buckets(m, until):
    """Nothing more is laid out before bucket `until`: look at the windows that are complete."""
    ring, full, part, shift, mask = m.buckets, m.reg[G_FULL], m.reg[G_PART], m.reg[G_SHIFT], len(m.buckets) - 1
    most, total = m.reg[G_MOST], m.reg[G_SUM]
    for k in range(m.reg[G_FIRST], until):
        gone = (k - full) & mask
        new, old = ring[k & mask], ring[gone]
        most = max(most, (total << shift) + part * new)  # begins where a bucket does
        total += new - old
        most = max(most, (total << shift) + part * old)  # ends where a bucket does
        ring[gone] = 0
    m.reg[G_FIRST], m.reg[G_SUM], m.reg[G_MOST] = max(m.reg[G_FIRST], until), total, most


@jit
def lay_out(m, spent, begin, end):
    """Lay `spent` out evenly from `begin` to `end`; what lies before the oldest bucket goes there."""
    ring, shift, mask = m.buckets, m.reg[G_SHIFT], len(m.buckets) - 1
    begin = max(begin, m.reg[G_FIRST] << shift)
    end = max(end, begin + 1)
    k, last = begin >> shift, (end - 1) >> shift
    m.reg[G_LAST] = max(m.reg[G_LAST], last)
    each, left = ZERO, spent
    if k < last:
        each = spent // (end - begin)
        left = spent - each * (end - begin)
    while True:
        if k - m.reg[G_FIRST] > mask - m.reg[G_FULL]:
            _pass_buckets(m, k - (mask - m.reg[G_FULL]) // 2)
        stop = min((k + 1) << shift, end)
        ring[k & mask] += each * (stop - begin) + left
        if k == last:
            return
        begin, left = stop, ZERO
        k += 1


@jit
def pass_all(m):
    """The run is over: no bucket grows any more."""
    if m.reg[G_FULL] > 0:
        _pass_buckets(m, m.reg[G_LAST] + m.reg[G_FULL] + 2)


@entry
def lay_out_all(meter, begins, ends, spends, over):
    """Lay out instructions in their order, as when they ran; return how many.  Each spends so much.

    over: the run ends with them.
    """
    return _lay_out_all(meter_of(view(meter)), constant(begins), constant(ends), constant(spends), over)


@jit
def _lay_out_all(m, begins, ends, spends, over):
    for i in range(len(begins)):
        if spends[i] > 0:
            lay_out(m, spends[i], begins[i], ends[i])
    if over:
        pass_all(m)
    return len(begins)
