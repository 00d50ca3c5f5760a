"""The compiled channel engine: runs request programs, command by command or faster.

It works on records (`dram.records`), vectors of int64 whose parts have names:

    table     a device (`d`), which `dram.build` makes of the constraint rows
    state     what a channel remembers (`s`)
    work      what is counted while a program runs on it (`w`)

From the command up:

    timing    when a command may issue, and what it holds back
    charges   which cause each clock is charged to
    log       the commands that are kept
    issue     one command on the bus
    refresh   what falls due
    requests  a command, after whatever it needs
    periods   loops that are moved ahead
    programs  requests one after the other
    bounds    where a program begins and ends
    outcomes  programs that are replayed
    channels  all channels of a device
    entries   what Python calls
    queue     requests of a host that wait
    arbiter   which of them comes next
    traffic   requests of a host instead of programs

The functions are compiled (`compiler`, `code`); a change in any of these files makes the code anew.

Shortcuts, all exact and all off in `stepped` mode:
- a run of equal commands inside a row is issued as one step, split where a refresh is due;
- a LOOP whose relative state repeats is moved ahead by whole periods, up to the next refresh;
- channels with equal state and equal program are computed once, and a program that starts
  from an equal state again, as long before the next refresh, is replayed (`fold`).
"""
