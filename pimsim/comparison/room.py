"""Where an axis has to end so that the text behind each bar of it has room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Mark = tuple[float, str]  # where a bar ends, and the text behind it
_MOST = 0.49  # of a plot, that a text may take on one side of it
_ROUNDS = 40


def axis(marks: Sequence[Mark], share: Callable[[str], float]) -> tuple[float, float]:
    """The ends of an axis with 0 in it: marks below 0 have their text to the left of them, others to the right.

    share  of the plot, that a text takes with the gaps around it
    """
    span = low = high = 0.0
    known = [(end, min(_MOST, share(text))) for end, text in marks]
    for _ in range(_ROUNDS):  # room is a share of what it makes wider: it converges, since shares are below a half
        low = max((-end + span * part for end, part in known if end < 0), default=0.0)
        high = max((end + span * part for end, part in known if end >= 0), default=0.0)
        span = low + high
    return (-low, high) if span else (0.0, 1.0)
