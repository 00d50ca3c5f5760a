"""Refresh in turn, bank after bank, of a memory that multiplies with all banks at once: what it leaves them.

A product takes a column of every bank, so all are open at a row.  A refresh closes one of them, or some, and for as
long as these are not open again nothing is multiplied.  One refresh is due every tREFI / turns.  Where that is too
short, a controller puts refreshes off, as JEDEC's tables allow (eight of all banks), and issues several together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

# from one refresh to the next, and what goes with it; from one to an activation; from one activation to the next
GAPS = ("nRREFD", "npbR2pbR", "nREFSBRD", "nRRDS", "nRRDL", "nRRD", "nPPD")
HELD = ("nRREFD", "npbR2act", "nREFSBRD", "nFAW")
ROWS = ("nRRDS", "nRRDL", "nRRD")


class Turns(NamedTuple):
    """number: refreshes until every bank has had one; banks: that one of them takes; lasts: its time, in clocks."""

    number: int
    banks: int = 0
    lasts: str = ""


def turns_of(scheme: str, bank_groups: int, banks_per_group: int, parts: int, at_once: int) -> Turns:
    """Of a channel and a refresh scheme.

    parts: of a channel, that refresh by themselves; at_once: banks that one per-bank refresh takes.
    """
    banks = bank_groups * banks_per_group
    if scheme == "per_bank":
        return Turns(max(1, banks // at_once), at_once, "nRFCpb")
    if scheme == "same_bank":
        return Turns(banks_per_group, bank_groups, "nRFCsb")
    return Turns(parts if scheme == "all_bank" else 1)


def spent(clocks: Mapping[str, int], turns: Turns, together: int) -> int:
    """Clocks from the first to the last of refreshes that go together; banks close behind the refresh before."""
    return _rows(clocks, together, max(_closing(clocks, turns) + 1, _longest(clocks, GAPS)))


def blocked(clocks: Mapping[str, int], turns: Turns, together: int) -> int:
    """Clocks from when refreshes are due until a column of all banks may be read again.

    The first banks close, the refreshes follow each other, and the last banks open when their own is done; or when
    those before are open, one after the other, as many again from last time among them.  Banks that were all
    refreshed open at once.
    """
    first = max(_closing(clocks, turns), _longest(clocks, ROWS))
    last = max(clocks[turns.lasts], reopening(clocks, turns, together))
    return first + spent(clocks, turns, together) + last + opening(clocks)


def reopening(clocks: Mapping[str, int], turns: Turns, together: int) -> int:
    """Clocks from the last of the refreshes until all banks are open, as if they themselves took no time."""
    banks = 2 * together * turns.banks if together < turns.number else 1
    return _longest(clocks, HELD) + _rows(clocks, banks, _longest(clocks, ROWS))


def opening(clocks: Mapping[str, int]) -> int:
    """Clocks from an activation to a column of its row."""
    return _longest(clocks, ("nRCDRD", "nRCDWR"))


def leaves_time(clocks: Mapping[str, int], turns: Turns, together: int) -> bool:
    """Whether a column is read before the next refreshes are due."""
    return blocked(clocks, turns, together) < together * (clocks["nREFI"] // turns.number)


def fewest(clocks: Mapping[str, int], turns: Turns) -> int | None:
    """The fewest refreshes that leave time if they go together, a divisor of the turns; None if none does."""
    parts = [n for n in range(1, turns.number + 1) if turns.number % n == 0]
    return next((n for n in parts if leaves_time(clocks, turns, n)), None)


def _closing(clocks: Mapping[str, int], turns: Turns) -> int:
    """Clocks from the first precharge of a refresh's banks to the refresh."""
    return clocks["nRP"] + (turns.banks - 1) * max(1, clocks.get("nPPD", 0))


def _rows(clocks: Mapping[str, int], n: int, each: int) -> int:
    """Clocks from the first to the last of n commands that open rows; the fifth ends a window after the first."""
    return max((n - 1) * each, (n - 1) // 4 * clocks.get("nFAW", 0) + (n - 1) % 4 * each)


def _longest(clocks: Mapping[str, int], names: Iterable[str]) -> int:
    return max(clocks.get(name, 0) for name in names)
