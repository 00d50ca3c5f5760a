"""What a channel remembers."""

from __future__ import annotations

from pimsim.dram.compiler import parts_of
from pimsim.dram.records import Record

# The registers.
(
    R_DUE,  # when the next refresh is
    R_TURN,  # whose turn it is then
    R_CLK,  # of the latest command
    R_OPEN,  # banks that are open
    R_SINCE,  # the clock since which at least one is
    R_LEVEL,  # the row that all banks are known to have open, or -1
    R_MODE,
    R_FAR,  # no clock of a node below the channel binds from here on
    R_TRAIL,  # the outcome whose replay or first execution led here, 0 if something else did
    R_ORIGIN,  # from which clock it did
    R_BASE,  # and in the rows of which base
    R_LATE,  # whether what follows the registers is still as it was before that
    REGISTERS,
) = range(13)
# A node has next-allowed clocks of its own: the channel, then its banks, its bank groups, the nodes of other levels.
CHANNEL_NODE = 0


class State(Record):
    """Of one channel."""

    reg = (REGISTERS,)
    rows = ("banks",)  # the open one, or -1
    clocks = ("nodes", "commands")  # before which a command may not issue
    recent = ("windows", "depth")  # clocks of the latest commands of each window, oldest first


state_of = parts_of(State)
