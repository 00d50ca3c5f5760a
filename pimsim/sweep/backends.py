"""Who simulates the points: this process, processes on this machine, or a Dask cluster.

Each is a context with `map`, which takes (number, configuration) and gives (number, row) as
they come; the rows are the same from all of them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from pimsim.errors import InputError
from pimsim.sweep.point import Row, evaluate_request, lost_row
from pimsim.sweep.pool import Pool
from pimsim.sweep.space import Request

Item = tuple[int, Request]


class Backend(Protocol):
    """Simulates points."""

    def map(self, items: Iterable[Item]) -> Iterator[tuple[int, Row]]:
        """(number, row) of each item, in any order."""


class _Here:
    """This process."""

    def map(self, items: Iterable[Item]) -> Iterator[tuple[int, Row]]:
        return ((index, evaluate_request(request)) for index, request in items)


def backend(workers: int | None = None, scheduler: str | None = None) -> AbstractContextManager[Backend]:
    """The backend that is asked for.

    workers    processes; None: one for each core that this process may use; 0: this process
    scheduler  the address of a Dask scheduler; workers then does not matter
    """
    if scheduler is not None:
        from pimsim.sweep.cluster import Cluster

        return Cluster(scheduler)
    if workers == 0:
        return nullcontext(_Here())
    if workers is not None and workers < 0:
        raise InputError(f"must be 0 or more, not {workers}", key="--workers")
    return Pool(evaluate_request, workers or cores(), lost_row)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
