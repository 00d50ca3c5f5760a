"""Numbers that stand for something."""

import numpy as np

# typed, so that numba compiles each function once and not once per literal
NONE = np.int64(-1)
NEVER = np.int64(-(1 << 60))
ZERO, ONE = np.int64(0), np.int64(1)
FOREVER = 1 << 60
FAR_AWAY = np.int64(1 << 60)
HASH = np.int64((1 << 40) - 1)  # bits of a hash: no product overflows

# which banks a command addresses: none, one, all, one or some where there are more levels
CHANNEL, BANK, ALL, BANKS = range(4)
# requests of a program (`dram.program`)
RUN, LOOP, OPEN, CLOSE, SCATTER = range(5)
# the columns of one
A_REQUEST, A_COMMAND, A_BANK, A_LINEAR, A_COUNT = range(5)
A_GAP, A_HOLD = 5, 6  # of a RUN
A_STRIDE = 5  # of a LOOP and a SCATTER
A_USED, A_RESULT = 6, 7  # of a LOOP
A_AHEAD, A_BEHIND = 6, 7  # of a SCATTER
REQUEST_WIDTH = 8
# when refreshes are due
NO_REFRESH, ALL_BANK, IN_TURN = 0, 1, 2
# the options of a call
STEPPED, FOLD, LOG_LOW, LOG_HIGH = range(4)
