"""What may watch a simulation: command logs, timelines, counters over time.

An observer sees every DRAM command in order and every instruction as it is carried out.
Watching changes no result.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from pimsim.dram.engine import Ints


@dataclass(frozen=True)
class Executed:
    """One instruction in one block, as it was carried out; DRAM clocks.

    phase     "prefill" or "decode"; context: that of its step
    operator  row of the results it counts in; key: its own name in the step
    unit      the kind of work that is not the channels', "" for theirs
    block     the block's number from 0, -1 outside of the blocks
    charged   (from, to): what it added to the latency; charges follow each other without a gap
    busy      ((from, to), ...): when it ran; of ASIC work, the stretches in which the units worked for it
    settled   nothing that comes later in the program does anything before this clock
    operations  additions, multiplications and bytes of the SRAM on the ASIC
    step      the number of its step in the run, from 0
    place     where it is done, if neither by the channels nor by the ASIC: "link" or "machine"
    """

    phase: str
    context: int
    operator: str
    key: str
    unit: str
    block: int
    charged: tuple[int, int]
    busy: tuple[tuple[int, int], ...]
    settled: int
    operations: tuple[int, int, int] = (0, 0, 0)
    step: int = 0
    place: str = ""


class Observer(Protocol):
    """Watches the clocks of `window` = (first, end); `logs.log.LogWriter` is one."""

    @property
    def window(self) -> tuple[int, int]: ...

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Take commands in order of clk, then channel, none before an earlier call's; bank -1: all or none.

        There may be commands outside of the window, if another observer asked for them.
        """

    def execute(self, executed: Executed) -> None:
        """Take an instruction; they come in the order of the program, its commands before or after it."""
