"""Where an axis has to end so that the text behind each bar of it has room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Mark = tuple[float, str]  # where a bar ends, and the text behind it
_MOST = 0.49  # of a plot, that a text may take on one side of it
_ROUNDS = 40


class Type(NamedTuple):
    """How wide a letter is at most, on average, and the plot, in one unit; gap: before and behind a text."""

    letter: float
    plot: float
    gap: float = 8.0

    def share(self, text: str) -> float:
        """Of the plot, that a text takes."""
        return min(_MOST, (self.letter * len(text) + self.gap) / self.plot)


def axis(marks: Sequence[Mark], type_: Type) -> tuple[float, float]:
    """The ends of an axis with 0 in it: marks below 0 have their text to the left of them, others to the right."""
    span = 0.0
    low = high = 0.0
    for _ in range(_ROUNDS):  # room is a share of what it makes wider: it converges, since shares are below a half
        low = max((-end + span * type_.share(text) for end, text in marks if end < 0), default=0.0)
        high = max((end + span * type_.share(text) for end, text in marks if end >= 0), default=0.0)
        span = low + high
    return (-low, high) if span else (0.0, 1.0)
