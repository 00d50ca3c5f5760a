"""Trees of drafts: how many nodes a depth has is published, which one follows which is a rule.

The nodes stand depth by depth.  Of n nodes at a depth, under m above them, node j follows node floor(j m / n): they are
dealt evenly and in order, so that the first path has the first node of each depth.  The root is the known token.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise


def parents(levels: Sequence[int]) -> tuple[int, ...]:
    """The node that each follows, the known token (0) first; -1: none of the step.

    levels: nodes at each depth below the known token, all at least 1.
    """
    found, first = [-1], 0
    for above, here in pairwise((1, *levels)):
        found += [first + j * above // here for j in range(here)]
        first += above
    return tuple(found)


def expanded(levels: Sequence[int]) -> tuple[int, ...]:
    """Nodes at each depth that others follow, the known token first: those that a draft has to run for."""
    return tuple(min(above, here) for above, here in pairwise((1, *levels)))
