"""Work of the channels: the requests of each, and what they move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from pimsim.dram.program import Program, Request, program
from pimsim.dram.timing import ELEMENT_BYTES

Ints = NDArray[np.int64]
Spans = Ints
N = TypeVar("N", int, Ints)  # a number of one step, or one of each of many


class Moved(NamedTuple, Generic[N]):
    """What a piece of work moves and multiplies, as `Work` counts it."""

    payload: N
    macs: N
    sent: N
    results: N


@dataclass(frozen=True, eq=False)
class Work:
    """One PIM instruction: a program, the rows of it that each channel runs, and what it moves.

    payload counts words of 16 bits that cross the pins and mean something (a BF16, or as many bits of
    smaller numbers); macs the multiply-accumulates that mean something; sent the words that the ASIC reads
    from its SRAM for it (what goes to many channels at once, once), results the words that come back.
    marks (channels, 3): the rows of a channel's program, from 0, whose first data are the
    first partial sums that there is something to add to, the first complete results, and the
    first of the last part of the results (-1: there are none).  Partial sums arrive in `sums`
    equal parts, complete results in `turns`, all but the last one evenly before the third mark.
    """

    program: Program
    spans: Spans
    marks: Spans
    payload: int = 0
    macs: int = 0
    sent: int = 0
    results: int = 0
    sums: int = 1
    turns: int = 1

    def moving(self, moved: Moved[int]) -> Work:
        """The same programs, which move something else."""
        return replace(self, **moved._asdict())

    @property
    def buffered(self) -> int:
        """Words that the ASIC's SRAM gives or takes."""
        return self.sent + self.results

    @property
    def operations(self) -> tuple[int, int, int]:
        """On the ASIC, as `Cost.operations`: its SRAM gives what is sent and takes what comes back."""
        return 0, 0, self.buffered * ELEMENT_BYTES


@dataclass(frozen=True)
class Requests:
    """What one channel is asked for, and which of the requests are marked (see `Work.marks`)."""

    rows: tuple[Request, ...] = ()
    marks: tuple[int, int, int] = (-1, -1, -1)


NOTHING = Requests()


def assemble(requests: Sequence[Requests], **moved: int) -> Work:
    """Work from the requests of each channel; channels with equal ones share rows."""
    rows: list[Request] = []
    known: dict[Requests, tuple[int, int]] = {}
    of: dict[int, tuple[int, int]] = {}  # of each one that is there, by its identity: they may be long
    for wanted in requests:
        if id(wanted) in of:
            continue
        if wanted not in known:
            known[wanted] = (len(rows), len(rows) + len(wanted.rows))
            rows.extend(wanted.rows)
        of[id(wanted)] = known[wanted]
    spans = [of[id(wanted)] for wanted in requests]
    marks = np.array([wanted.marks for wanted in requests], np.int64)
    return Work(program(rows), np.array(spans, np.int64), marks, **moved)
