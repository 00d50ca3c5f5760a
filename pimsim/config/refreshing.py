"""Refresh of bank after bank in a memory that multiplies with all banks at once: what it leaves them.

A product takes a column of every bank, so all are open at a row.  A refresh closes one of them, and for as long as
that bank is not open again nothing is multiplied.  One refresh is due every tREFI / turns.  Where that is too short, a
controller puts refreshes off, as JEDEC's tables allow (eight of all banks), and issues several together: they overlap.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

GAPS = ("nRREFD", "npbR2pbR", "nRRDS", "nRRDL", "nRRD", "nPPD")  # from one refresh to the next, and what goes with it
ROWS = ("nRRDS", "nRRDL", "nRRD")  # from one activation to the next


def turns_of(scheme: str, bank_groups: int, banks_per_group: int, parts: int, at_once: int) -> int:
    """Refreshes until every bank of a channel has had one; 1 without refreshes.

    parts: of a channel, that refresh by themselves; at_once: banks that one per-bank refresh takes.
    """
    counts = {"all_bank": parts, "per_bank": bank_groups * banks_per_group // at_once, "same_bank": banks_per_group}
    return max(1, counts.get(scheme, 1))


def spent(clocks: Mapping[str, int], together: int) -> int:
    """Clocks from the first to the last of refreshes that go together; each bank closes behind the one before."""
    return _rows(clocks, together, max(clocks["nRP"] + 1, _longest(clocks, GAPS)))


def blocked(clocks: Mapping[str, int], turns: int, together: int) -> int:
    """Clocks from when refreshes are due until a column of all banks may be read again.

    The first bank closes, the refreshes follow each other, and the last bank opens when its own is done; or when those
    before it are open, one after the other, as many again from last time among them.  Banks that were all refreshed
    open at once.
    """
    first = max(clocks["nRP"], _longest(clocks, ROWS))
    last = max(clocks["nRFCpb"], reopening(clocks, turns, together))
    return first + spent(clocks, together) + last + opening(clocks)


def reopening(clocks: Mapping[str, int], turns: int, together: int) -> int:
    """Clocks from the last of the refreshes until all banks are open, as if they themselves took no time."""
    alone = _longest(clocks, ("nRREFD", "npbR2act", "nFAW"))  # to an activation of any bank
    return alone + (_rows(clocks, 2 * together, _longest(clocks, ROWS)) if together < turns else 0)


def _rows(clocks: Mapping[str, int], n: int, each: int) -> int:
    """Clocks from the first to the last of n commands that open rows; the fifth ends a window after the first."""
    return max((n - 1) * each, (n - 1) // 4 * clocks.get("nFAW", 0) + (n - 1) % 4 * each)


def _longest(clocks: Mapping[str, int], names: Iterable[str]) -> int:
    return max(clocks.get(name, 0) for name in names)


def opening(clocks: Mapping[str, int]) -> int:
    """Clocks from an activation to a column of its row."""
    return max(clocks["nRCDRD"], clocks["nRCDWR"])


def leaves_time(clocks: Mapping[str, int], turns: int, together: int) -> bool:
    """Whether a column is read before the next refreshes are due."""
    return blocked(clocks, turns, together) < together * (clocks["nREFI"] // turns)


def fewest(clocks: Mapping[str, int], turns: int) -> int | None:
    """The fewest refreshes that leave time if they go together, a divisor of the turns; None if none does."""
    parts = [n for n in range(1, turns + 1) if turns % n == 0]
    return next((n for n in parts if leaves_time(clocks, turns, n)), None)
