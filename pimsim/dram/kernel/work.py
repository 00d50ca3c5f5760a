"""What is counted and charged while a program runs on a channel."""

from __future__ import annotations

from pimsim.dram.compiler import parts_of
from pimsim.dram.records import Record

# The registers of a program on a channel.
(
    W_START,
    W_FLOOR,  # nothing issues before
    W_PREV,  # the latest command, or -1
    W_CURSOR,  # up to where clocks are charged
    W_END,  # of the data
    W_TAIL,  # the command whose data that is, or -1
    W_REFRESHES,
    W_STEPPED,  # whether no shortcut is taken
    W_CHANNEL,
    W_LOGGED,  # rows
    W_LOW,  # the log has clocks from here
    W_HIGH,  # to before here
    W_BANK,  # what the log shows instead of the command's own address, unless this is NEVER
    W_ROW,
    W_COLUMN,
    W_WATCHED,  # whether the next data to cross the pins is that of a marked row
    W_ARRIVED,  # when it has
    # of the loop under way: refreshes before it, periods skipped last before its first one and after its latest one
    W_MET,
    W_BEFORE,
    W_AFTER,
    W_LENGTH,  # clocks of such a period
    # of all loops that met a refresh among periods that are equal: clocks of a period, by how many of them the
    # refreshes could all have come earlier and later, and how many refreshes there were
    W_PERIOD,
    W_EARLIER,
    W_LATER,
    W_SPREAD,
    WORK_REGISTERS,
) = range(26)
MARKS = 3  # of a program: see `entries.run_programs`
# The moments of a program: its start, its marks, its end.
(T_BEGIN, T_PARTIAL, T_COMPLETE, T_LAST, T_END, MOMENTS) = range(6)


class Work(Record):
    """Of one program on one channel."""

    reg = (WORK_REGISTERS,)
    marks = (MARKS,)  # when the data of each was there
    counts = ("counts",)  # commands, and clocks with a bank open
    charged = ("causes",)  # clocks up to the data end
    pending = ("causes",)  # clocks past it, which are charged only if a later command moves data
    period_counts = ("counts",)  # what the period did that was skipped last before the first refresh of a loop
    period_charged = ("causes",)


work_of = parts_of(Work)
