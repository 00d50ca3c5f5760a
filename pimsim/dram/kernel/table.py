"""A device as compiled code reads it."""

from __future__ import annotations

from pimsim.dram.compiler import parts_of
from pimsim.dram.records import Record


class Table(Record):
    """Numbers and tables.  A change of timing is a change of data, which needs no recompile."""

    commands = ()
    windows = ()
    depth = ()  # of the longest window
    causes = ()
    levels = ()  # that rows name besides channel, bank group and bank
    nodes = ()  # of all levels
    turns = ()  # refreshes until every bank has had one
    groups = ()
    per_group = ()  # banks of a group
    banks = ()
    columns = ()
    functions = ()  # the first row beyond the array, of a function: a program's base does not move it
    refresh = ()  # NO_REFRESH, ALL_BANK or IN_TURN
    interval = ()  # clocks between two refreshes
    together = ()  # refreshes that are put off until the last of them is due
    logs_request = ()  # whether the log shows a request's address for what it needs first
    # what each role is played by, or -1
    open_bank = ()
    open_all = ()
    close_bank = ()
    close_all = ()
    refresh_next = ()  # the command of the refresh scheme
    refresh_close = ()  # what closes the banks that it addresses
    switch_mode = ()
    open_rest = ()
    # clocks from one command to another: what is there for all of the channel, in a bank group, in a bank
    channel_gap = ("commands", "commands")
    group_gap = ("commands", "commands")
    bank_gap = ("commands", "commands")
    level_gap = ("levels", "commands", "commands")  # and in a node of another level
    node = ("levels", "banks")  # which a bank is in
    turn_of = ("banks",)  # the turn in which it is refreshed
    turn_bank = ("turns",)  # the bank that is named for a refresh
    scope = ("commands",)  # CHANNEL, BANK, ALL or BANKS
    lowest = ("commands", "banks")  # of the banks that it addresses if one of them is a bank
    next_bank = ("commands", "banks")  # and which comes after it, or -1
    needs_open = ("commands",)
    opens = ("commands",)
    closes = ("commands",)
    shows = ("commands",)  # whether the log shows its column
    completion = ("commands",)  # clocks until its data has crossed the pins, 0 if it has none
    cause = ("previous", "commands")  # by previous command + 1 (0: none) and command
    length = ("windows",)  # commands of a window
    latency = ("windows",)  # clocks of it
    whole = ("windows",)  # whether it counts all commands of the channel
    within = ("windows", "banks")  # else, whether a bank is in its node
    before = ("windows", "commands")  # whether it is of those that a window counts
    after = ("windows", "commands")  # whether it is of those that wait
    reach = ("commands",)  # the longest time for which it holds anything back that is not all of the channel
    mode = ("commands",)  # the mode that it needs, or -1


table_of = parts_of(Table)
