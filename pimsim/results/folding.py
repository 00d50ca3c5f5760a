"""Rows of operators that are of one kind and differ in their layer, folded into one: `q.0` to `q.61` into `q`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from pimsim.sim.tally import OperatorTally

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
