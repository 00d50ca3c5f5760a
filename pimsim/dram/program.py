"""Request programs: what the controller asks of one channel, a row per request.

A program says which data commands to issue, in order; opening, closing and refreshing
rows follows from the state of the banks and is the channel controller's business
(`twin.controller` in plain Python, `kernel` compiled).  Rows are int64, so that one
array is both the notation and what the kernel reads:

  RUN      op cmd bank  lin n gap    hold  0       n commands at consecutive columns
  LOOP     op cmd -1    lin n stride used  res     n times: `used` commands from lin, then one `res`
  OPEN     op -1  bank  lin 0 0      0     0       open the row of lin (bank -1: in all banks)
  CLOSE    op -1  bank  0   0 0      0     0       close the bank (-1: all, if any is open)
  SCATTER  op cmd -1    lin n stride ahead behind  one command in each bank, n times over

`lin` is a linear column of a bank: row * columns + column.  After a RUN with `hold`, later
requests arrive no earlier than `hold` clocks after its last command (the host waits for
what it reads; 0: they are there already).  LOOP closes all banks before a
`res` if the next turn starts in another row, so that the row is closed while the sums
drain.  Bank order inside SCATTER
alternates bank groups, so that consecutive activations and writes meet the short
timings (tRRDS, tCCDS).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.kernel.numbers import CLOSE as CLOSE
from pimsim.dram.kernel.numbers import LOOP as LOOP
from pimsim.dram.kernel.numbers import OPEN as OPEN
from pimsim.dram.kernel.numbers import REQUEST_WIDTH
from pimsim.dram.kernel.numbers import RUN as RUN
from pimsim.dram.kernel.numbers import SCATTER as SCATTER

WIDTH = REQUEST_WIDTH

N = TypeVar("N", int, NDArray[np.int64])  # one number, or one of each of many
Program = NDArray[np.int64]
Request = tuple[int, int, int, int, int, int, int, int]


def run(cmd: int, bank: int, lin: int, n: int, gap: int = 0, hold: int = 0) -> Request:
    """`n` commands at consecutive linear columns from `lin`, at least `gap` clocks apart.

    With `hold` (and n >= 1), nothing after them issues sooner than `hold` clocks after the last one.
    """
    return (RUN, cmd, bank, lin, n, gap, hold, 0)


def loop(cmd: int, lin: int, n: int, stride: int, used: int, res: int) -> Request:
    """`n` times: `used` commands from lin + i * stride, then one `res`."""
    return (LOOP, cmd, -1, lin, n, stride, used, res)


def open_row(lin: int, bank: int = -1) -> Request:
    """Open the row that holds linear column `lin`, in one bank or in all."""
    return (OPEN, -1, bank, lin, 0, 0, 0, 0)


def close(bank: int = -1) -> Request:
    """Close one bank, or all if any is open."""
    return (CLOSE, -1, bank, 0, 0, 0, 0, 0)


def scatter(cmd: int, lin: int, n: int, stride: int, ahead: int, behind: int) -> Request:
    """One command in every bank at lin, then at lin + stride, ... n times.

    A row opens `ahead` elements before its command and closes `behind - ahead` after.
    """
    return (SCATTER, cmd, -1, lin, n, stride, ahead, behind)


def program(requests: Iterable[Request]) -> Program:
    """The requests as the array that controllers run."""
    return np.array(list(requests), dtype=np.int64).reshape(-1, WIDTH)


def bank_order(k: N, bank_groups: int, banks_per_group: int) -> N:
    """The k-th bank of SCATTER, or those of many k: bank groups alternate."""
    return (k % bank_groups) * banks_per_group + k // bank_groups
