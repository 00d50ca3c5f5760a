"""The compiled channel engine: runs request programs, command by command or faster.

Everything it knows about a device comes in one int64 vector (`engine` builds it from the
constraint rows), so that a change of timing never needs a recompile.  From the command up:

    layout    what stands where in the vectors
    timing    when a command may issue, and what it holds back
    charges   which cause each clock is charged to
    log       the commands that are kept
    issue     one command on the bus
    refresh   what falls due
    requests  a command, after whatever it needs
    periods   loops that are moved ahead
    programs  requests one after the other
    work      a program on a channel: before it, and after it
    outcomes  programs that are replayed
    channels  all channels of a device

`traffic` serves a queue of requests instead of programs.  The functions are compiled
(`compiler`, `views`); numba's disk cache sees a change in any of these files.

Shortcuts, all exact and all off in `stepped` mode:
- a run of equal commands inside a row is issued as one step, split where a refresh is due;
- a LOOP whose relative state repeats is moved ahead by whole periods, up to the next refresh;
- channels with equal state and equal program are computed once, and a program that starts
  from an equal state again, as long before the next refresh, is replayed (`fold`).
"""
