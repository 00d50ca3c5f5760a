"""The schedules: when an instruction may start.  The configuration offers what stands here, and a run follows it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple


class Schedule(NamedTuple):
    """One schedule.

    instructions: how they follow each other, as the configuration describes it.
    serial: an instruction starts when all before it are done, not only those that it waits for.
    or_else: the schedule that a run takes instead wherever refresh makes that the faster one ("": none).
    """

    instructions: str
    serial: bool
    or_else: str = ""


SCHEDULES: Mapping[str, Schedule] = {
    # source: paper: no overlap between instructions
    "paper": Schedule("one instruction at a time", serial=True),
    # Overlap only removes waiting, but what starts earlier may meet a refresh that the serial order
    # hides in a pause.  A compiler that may overlap may also not, so it is never slower than `paper`.
    "overlap": Schedule("with overlap", serial=False, or_else="paper"),
}
DESCRIPTION = ", or ".join(schedule.instructions for schedule in SCHEDULES.values()).capitalize() + "."
