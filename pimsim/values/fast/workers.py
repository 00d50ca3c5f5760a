"""The cores of this machine, as threads: compiled code runs on all of them at once."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache


@cache
def cores() -> int:
    """How many this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def shares(total: int, least: int, most: int) -> Iterator[tuple[int, int]]:
    """(first, end) of up to `most` parts of a range, each of `least` or more, the last one apart."""
    parts = max(1, min(most, total // least))
    yield from ((total * part // parts, total * (part + 1) // parts) for part in range(parts))


def together(work: Callable[[int, int, int], object], total: int, least: int = 1) -> None:
    """Call `work(part, first, end)` for parts of a range, 0 and on, on all cores; part 0 on this thread.

    What it does in one part must not depend on another.
    """
    own, *others = shares(total, least, cores())
    waiting: list[Future[object]] = [_pool().submit(work, part, *share) for part, share in enumerate(others, 1)]
    work(0, *own)
    for each in waiting:
        each.result()


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(max(1, cores() - 1), thread_name_prefix="values")
