"""Rows of operators that are of one kind and differ in their layer, folded into one: `q.0` to `q.61` into `q`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from pimsim.sim.course import Course
from pimsim.sim.tally import COUNTS, OperatorTally, Tally, total_of

_OF_LAYER = re.compile(r"(.+)\.(\d+)")


class Fold(NamedTuple):
    """Rows of a tally that are shown as one.

    operator  their name without the layer; rows: their places in the tally, one of an operator that has no layers
    """

    phase: str
    part: str
    operator: str
    rows: tuple[int, ...]


def folds(rows: Sequence[OperatorTally]) -> list[Fold]:
    """All rows, in the order in which they come up; those whose name is one and a number are folded, if there are
    several of that name.
    """
    of_kind: dict[tuple[str, str, str], list[int]] = {}
    for number, row in enumerate(rows):
        of_kind.setdefault((row.phase, row.part, kind(row.operator)), []).append(number)
    return [
        Fold(phase, part, name if len(members) > 1 else rows[members[0]].operator, tuple(members))
        for (phase, part, name), members in of_kind.items()
    ]


def kind(operator: str) -> str:
    """The name of an operator without its layer."""
    found = _OF_LAYER.fullmatch(operator)
    return found[1] if found else operator


def folded(tally: Tally) -> Tally:
    """The same run with a row for each of its `folds`: every sum is exact."""
    found, course = folds(tally.rows), tally.course
    rows = [_together(fold, [tally.rows[i] for i in fold.rows]) for fold in found]
    if course is not None:
        clocks = [total_of(course.clocks[i] for i in fold.rows) for fold in found]
        course = Course(course.widths, clocks)
    return replace(tally, rows=rows, course=course)


def _together(fold: Fold, rows: Sequence[OperatorTally]) -> OperatorTally:
    counts = {name: sum(getattr(row, name) for row in rows) for name in COUNTS}
    causes, commands = total_of(row.causes for row in rows), total_of(row.commands for row in rows)
    return replace(rows[0], operator=fold.operator, causes=causes, commands=commands, **counts)
