"""What Python calls: programs one after the other, and rest."""

from __future__ import annotations

from pimsim.dram.compiler import constant, entry, jit, view
from pimsim.dram.kernel.channels import rest_channels, run_program, scratch_of, settle_all
from pimsim.dram.kernel.numbers import ZERO
from pimsim.dram.kernel.table import table_of
from pimsim.dram.kernel.work import T_BEGIN, T_END


@entry
def run_programs(
    d, states, owners, program, spans, marks, numbers, bases, moments, account, options, totals, ends, log, scratch,
    first, last,
):  # fmt: skip
    """Run programs first..last on all channels, one after the other; return the log rows.

    states (channels, n) is updated in place; channel c has the state of owners[c] <= c.
    Program i has each channel run the rows spans[i, channel] of `program` (empty: it rests),
    which are known by numbers[i, channel] (0: they are not remembered), every linear column
    of the array shifted by bases[i], nothing before moments[i, T_BEGIN].
    marks[i, channel] are the rows, counted from the first, whose first data is looked for
    (-1: none); moments (n, 5) receives when it was there, and when all data was.
    options = (stepped, fold, log low, log high).  totals (n, ...) collects the commands and
    open clocks of all channels and the charges, of clocks from `account` on that none before
    it was charged for, of the channel that ends last; ends (channels,) receives the data end
    of each channel in the last program.  With a log there must be one program: if its rows do
    not fit, nothing is changed and their number comes back negative.
    """
    return _run_programs(
        table_of(constant(d)), view(states), view(owners), constant(program), constant(spans), constant(marks),
        constant(numbers), constant(bases), view(moments), account, constant(options), view(totals), view(ends),
        view(log), view(scratch), first, last,
    )  # fmt: skip


@jit
def _run_programs(
    d, states, owners, program, spans, marks, numbers, bases, moments, account, options, totals, ends, log, room,
    first, last,
):  # fmt: skip
    logged, scratch = ZERO, scratch_of(room)
    for i in range(first, last):
        start = moments[i, T_BEGIN]
        end, logged = run_program(
            d, states, owners, program, spans[i], marks[i], numbers[i], bases[i], start, max(start, account), options,
            totals[i], ends, moments[i], log, scratch,
        )  # fmt: skip
        if logged < 0:
            return logged
        moments[i, T_END] = end
        account = max(account, end)
    settle_all(d, states, owners, scratch)
    return logged


@entry
def rest(d, states, stop, options, totals, log, scratch):
    """Refresh all channels, none of them folded, up to clock `stop`; return the log rows.

    If the log would overflow the rows come back negative, and nothing is changed.
    """
    return _rest(table_of(constant(d)), view(states), stop, constant(options), view(totals), view(log), view(scratch))


@jit
def _rest(d, states, stop, options, totals, log, room):
    return rest_channels(d, states, stop, options, totals, log, scratch_of(room))
