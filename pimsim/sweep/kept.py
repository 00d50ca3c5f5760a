"""What a process keeps from point to point: the latest parts of runs, by what they were made of.

A key says all that a part depends on (`api.prepare`), so a kept part is the one that would have
been made.  Of runs, which grow with their instructions, as many are kept as there is room for.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Lock
from typing import Any, TypeVar

T = TypeVar("T")

_MOST = 64  # of a kind
_ROOM = 64 << 20  # bytes of the runs


class Kept:
    """The latest `most` parts of each kind, of runs at most `room` bytes; with `most` 0 nothing is kept.

    In another process it begins empty.
    """

    def __init__(self, most: int = _MOST, room: int = _ROOM) -> None:
        self._most, self._room = most, room
        self._kinds: dict[str, OrderedDict[Hashable, Any]] = {}
        self._lock = Lock()  # a worker of a cluster may have several threads

    def __reduce__(self) -> tuple[type[Kept], tuple[int, int]]:
        return Kept, (self._most, self._room)

    def __call__(self, kind: str, key: Hashable | None, make: Callable[[], T]) -> T:
        """As `api.Keep`."""
        if key is None:
            return make()
        with self._lock:
            parts = self._kinds.setdefault(kind, OrderedDict())
            if key in parts:
                parts.move_to_end(key)
                found: T = parts[key]
                return found
        made = make()
        with self._lock:
            parts[key] = made
            while len(parts) > self._most or (kind == "run" and _bytes(parts) > self._room):
                parts.popitem(last=False)
        return made


def _bytes(runs: OrderedDict[Hashable, Any]) -> int:
    return sum(ledger.nbytes + 40 * len(tally.tokens) for tally, ledger in runs.values())
