"""Who simulates the points: this process, processes on this machine, or a Dask cluster.

Each is a context with `map`, which takes (number, configuration) and gives (number, row) as
they come; the rows are the same from all of them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Protocol

from pimsim.errors import InputError
from pimsim.held import Held, holding
from pimsim.sweep.kept import Kept
from pimsim.sweep.point import Row, evaluate_request, lost_row
from pimsim.sweep.pool import Pool
from pimsim.sweep.space import PointRequest

Item = tuple[int, PointRequest]


class Backend(Protocol):
    """Simulates points."""

    def map(self, items: Iterable[Item], run_of: Callable[[int], int] | None = None) -> Iterator[tuple[int, Row]]:
        """(number, row) of each item, in any order; run_of: equal for numbers of items that one simulation serves."""


@dataclass(frozen=True)
class Evaluate:
    """What a process does with a request: its files have the contents that they had when the sweep was loaded.

    contents  by SHA-256
    kept      what it has of the points before
    """

    contents: Mapping[str, bytes]
    kept: Kept = field(default_factory=Kept, compare=False)

    def __call__(self, request: PointRequest) -> Row:
        """The row of a request."""
        with holding(held_files(request, self.contents)):
            return evaluate_request(request, self.kept)


def held_files(request: PointRequest, contents: Mapping[str, bytes]) -> Held:
    """The contents of a request's files, by path."""
    return {path: None if digest is None else contents[digest] for path, digest in request.files.items()}


@dataclass(frozen=True)
class _Here:
    """This process."""

    evaluate: Evaluate

    def map(self, items: Iterable[Item], run_of: Callable[[int], int] | None = None) -> Iterator[tuple[int, Row]]:
        return ((index, self.evaluate(request)) for index, request in items)


def backend(
    workers: int | None = None, scheduler: str | None = None, contents: Mapping[str, bytes] | None = None
) -> AbstractContextManager[Backend]:
    """The backend that is asked for.

    workers    processes; None: one for each core that this process may use; 0: this process
    scheduler  the address of a Dask scheduler; workers then does not matter
    contents   of the files that requests name, by SHA-256
    """
    contents = contents or {}
    if scheduler is not None:
        from pimsim.sweep.cluster import Cluster

        return Cluster(scheduler, contents)
    if workers == 0:
        return nullcontext(_Here(Evaluate(contents)))
    if workers is not None and workers < 0:
        raise InputError(f"must be 0 or more, not {workers}", key="--workers")
    return Pool(Evaluate(contents), workers or cores(), lost_row)


def cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
