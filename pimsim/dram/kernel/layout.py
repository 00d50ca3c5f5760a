"""What stands where in the vectors that the kernel works on; all are int64."""

from __future__ import annotations

import numpy as np

# typed, so that numba compiles each function once and not once per literal
NONE = np.int64(-1)
NEVER = np.int64(-(1 << 60))
ZERO, ONE = np.int64(0), np.int64(1)
FOREVER = 1 << 60
FAR_AWAY = np.int64(1 << 60)
HASH = np.int64((1 << 40) - 1)  # bits of a hash: no product overflows

# scopes
CHANNEL, BANK, ALL = 0, 1, 2
# roles
OPEN_BANK, OPEN_ALL, CLOSE_BANK, CLOSE_ALL, REFRESH_ALL, REFRESH_BANK, SWITCH_MODE, OPEN_REST = range(8)
# requests (program.py)
RUN, LOOP, OPEN, CLOSE, SCATTER = range(5)
# refresh modes
NO_REFRESH, ALL_BANK, PER_BANK = 0, 1, 2
# The device table `d`: numbers, then where each table of it starts, then the tables.
# Shapes in commands (c), windows (x): gaps (c, c), cause (c + 1, c) by previous command
# (0: none), flags (c), windows (x) and (x, c).
(
    H_CMDS, H_GROUPS, H_PER_GROUP, H_BANKS, H_COLUMNS, H_MODE, H_INTERVAL, H_CAUSES, H_WINDOWS, H_DEPTH, H_TIMES,
    H_LOGS_REQUEST,
) = range(12)  # fmt: skip
(
    O_CHANNEL, O_GROUP_GAP, O_BANK_GAP, O_SCOPE, O_NEEDS_OPEN, O_OPENS, O_CLOSES, O_SHOWS, O_COMPLETION, O_ROLE,
    O_CAUSE, O_DEPTH, O_LATENCY, O_BEFORE, O_AFTER, O_REACH, O_MODE,
) = range(16, 33)  # fmt: skip
# where the parts of a channel's state `s` and of the scratch `w` start
(O_ROW, O_TIMES, O_BANK, O_GROUP, O_RECENT, O_CHARGED, O_PENDING) = range(33, 40)
HEADER = 40
# A channel's state `s`: registers (R_LEVEL: the row that all banks are known to have open,
# or -1; R_FAR: no clock of a single bank or bank group binds from here on; R_TRAIL: the
# outcome whose replay or first execution led here, 0 if something else did; R_ORIGIN and
# R_BASE: from which clock and in the rows of which base; R_LATE: whether what follows the
# registers is still as it was before that); open row or -1 (banks); next-allowed clocks of
# the channel (c), of each bank (banks, c), of each bank group (groups, c); clocks of the
# latest commands of each window (x, depth), oldest first.
(R_DUE, R_TURN, R_CLK, R_OPEN, R_SINCE, R_LEVEL, R_MODE, R_FAR, R_TRAIL, R_ORIGIN, R_BASE, R_LATE) = range(12)
REGISTERS = 12
# The scratch `w` of one program on one channel: registers; commands counted (c) and clocks
# with a bank open (1); clocks charged to each cause up to the data end; clocks past it,
# kept only if a later command moves data.
# (W_FLOOR: nothing issues before; W_BANK: what the log shows instead of the command's own
# address, unless it is NEVER; W_WATCHED: the next data to cross the pins is that of a marked
# row, W_ARRIVED: when it has; W_PARTIAL, W_COMPLETE, W_LAST: the same of each mark)
(
    W_START, W_PREV, W_CURSOR, W_END, W_TAIL, W_LOGGED, W_REFRESHES, W_STEPPED, W_CHANNEL, W_LOW, W_HIGH, W_FLOOR,
    W_BANK, W_ROW, W_COLUMN, W_WATCHED, W_ARRIVED, W_PARTIAL, W_COMPLETE, W_LAST,
) = range(20)  # fmt: skip
W_COUNTS = 20
MARKS = 3  # of a program: see `run_block`
# What a period of a loop is recognised by (`memory`, and rows of the Engine's table of
# known periods): the request, then the state at its start, and how far it moves.
(
    M_CMD, M_STRIDE, M_USED, M_RES, M_COLUMN, M_CLK, M_REFRESHES, M_LOGGED, M_SINCE, M_END, M_CURSOR, M_PREV, M_OPEN,
    M_LEVEL, M_MODE, M_FAR, M_LENGTH, M_MOVES, M_FIRST,
) = range(19)  # fmt: skip
M_KEYS = 5
# An outcome: what a program did from a state, in the Engine's `outcomes`, one behind the
# other (the first word says where the next one goes).  Numbers, then commands counted (c)
# and clocks with a bank open (1), clocks charged to each cause, then what is behind the
# registers of the state afterwards: latest commands of windows, clocks and, unless all banks
# are alike, rows; then, from Y_START on, the description of the state that it started from.
# Clocks are relative to the start, rows to the base.  Y_WHOLE: the program left nothing as
# it was of what is behind the registers.
(
    Y_START, Y_CLK, Y_END, Y_OPEN, Y_SINCE, Y_CLOSED, Y_LEVEL, Y_FAR, Y_MODE, Y_REFRESHES, Y_WIDE, Y_WHOLE, Y_DUE,
    Y_PARTIAL, Y_COMPLETE, Y_LAST, Y_FIRST,
) = range(17)  # fmt: skip
# The description of a start `x`; X_DUE: clocks until the next refresh is due, or FAR_AWAY.
(X_PROGRAM, X_COLUMN, X_CURSOR, X_DUE, X_OPEN, X_MODE, X_LEVEL, X_FAR, X_FIRST) = range(9)
# The same by the outcome that led to it: that, clocks since its start, the program, ..., how
# far the base moved, if a row is open.
(L_TRAIL, L_AFTER, L_PROGRAM, L_COLUMN, L_CURSOR, L_DUE, L_MOVE, L_OUTCOME, LINK_WIDTH) = range(9)
# A program that may be met again: its number, and its longest time until the last command.
(P_NUMBER, P_REACH, PROGRAM_WIDTH) = range(3)
# the log's columns
LOG_WIDTH = 6
# The moments of a program: its start, its marks, its end.
(T_BEGIN, T_PARTIAL, T_COMPLETE, T_LAST, T_END, MOMENTS) = range(6)
