"""Host accesses with queues of their own, as the open AiM simulator has them: the compiled reading of `devices.aim.queued`.

A channel is followed from one command to the next, not from clock to clock: between two commands nothing changes,
so the next one is the first that any of those that are wanted may issue.  What the host does later changes nothing
about requests that were taken, so these are carried out at once; accesses wait until the host comes to the channel again.
"""

from __future__ import annotations

from typing import Any

from pimsim.devices.aim.compiled.layout import (
    A_BANK,
    A_BEGUN,
    A_CLEAR,
    A_COUNT,
    A_LEFT,
    A_NOW,
    A_PLACE,
    A_ROW,
    A_WRITING,
    A_WRITTEN,
    BEGUN,
    C_BANK,
    C_ROW,
    FEW_WRITES,
    MANY_WRITES,
    MOST_BEGUN,
    QUEUE_ENTRIES,
    READS,
    WRITES,
)
from pimsim.dram.compiler import jit
from pimsim.dram.kernel.issue import issue
from pimsim.dram.kernel.numbers import FAR_AWAY, NEVER, NONE, ZERO
from pimsim.dram.kernel.requests import on_the_way, prepare
from pimsim.dram.kernel.state import R_MODE
from pimsim.dram.kernel.timing import earliest
