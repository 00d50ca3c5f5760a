"""Runs a sweep in a folder, from its start or from where it stopped."""

from __future__ import annotations

import os
import tempfile
from array import array
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pimsim
from pimsim.errors import InputError
from pimsim.held import holding
from pimsim.sweep.accuracy import Measured
from pimsim.sweep.backends import Backend, backend
from pimsim.sweep.constraints import ConstraintError
from pimsim.sweep.definition import SCHEMA, Sweep
from pimsim.sweep.folder import JOURNAL, Journal, cannot_write, owned, read_manifest, write_manifest
from pimsim.sweep.job import WHOLE, Job, Progress
from pimsim.sweep.page import REPORT
from pimsim.sweep.point import describe, refused_row
from pimsim.sweep.reports import NONE, Which, check_which
from pimsim.sweep.result import SweepResult, finish, with_reports, write_unfinished_page
from pimsim.sweep.rows import with_inputs
from pimsim.sweep.table import check_format, default_format


class Stopped(KeyboardInterrupt):
    """The user stopped a sweep; everything that is finished is kept in its folder.

    missing    what is not there yet: "points", then "results", then "reports"
    unwritten  why the page of what is finished could not be written, "" if it was
    """

    def __init__(self, directory: Path, done: int, total: int, missing: str = "points", unwritten: str = "") -> None:
        also = "" if missing == "points" else f", {missing} are missing"
        super().__init__(f"{done} of {total} points are finished{also}")
        self.directory = directory
        self.done = done
        self.total = total
        self.missing = missing
        self.unwritten = unwritten


def run_sweep(
    sweep: Sweep,
    out: str | os.PathLike[str] | None = None,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: bool = False,
    shard: tuple[int, int] = WHOLE,
    kind: str | None = None,
    progress: Progress | None = None,
    reports: Which = NONE,
) -> SweepResult:
    """Simulate every point of a sweep that was read; arguments and errors are those of `pimsim.sweep.run`."""
    kind = check_format(kind or default_format())
    _check_shard(sweep, shard)
    check_which(reports, _capacity(sweep))
    temporary = None if out is not None else tempfile.TemporaryDirectory(prefix="pimsim-sweep-")
    directory = Path(out if out is not None else temporary.name)  # type: ignore[union-attr]
    job = Job(sweep, directory, shard, resume, kind, progress)
    with holding(sweep.files), backend(workers, scheduler, sweep.contents) as pool, owned(directory):
        result = _run_in_folder(job, Measured(pool, sweep.accuracy) if sweep.accuracy else pool, temporary)
        return reported(sweep, result, reports, workers)


def reported(sweep: Sweep, result: SweepResult, which: Which, workers: int | None = None) -> SweepResult:
    """As `with_reports`; Stopped, which says that reports are missing, after Ctrl-C."""
    try:
        return with_reports(sweep, result, which, workers)
    except KeyboardInterrupt:
        points = sum(result.statuses.values())
        raise Stopped(result.directory, points, points, "reports") from None


def _run_in_folder(job: Job, pool: Backend, temporary: object) -> SweepResult:
    from pimsim.sweep.search import search

    manifest = _claim(job)
    try:
        with Journal(job.directory / JOURNAL, _capacity(job.sweep)) as journal:
            _try_again(job.sweep, journal)
            try:
                (search if job.sweep.search else _grid)(job, pool, journal)
                result = finish(job.sweep, job.directory, manifest, journal, job.dropped, job.kind, temporary)
            except KeyboardInterrupt:
                unwritten = "" if temporary else _leave_page(job, manifest, journal)
                total = job.total or _most(job)
                missing = "points" if journal.finished < total else "results"
                raise Stopped(job.directory, journal.finished, total, missing, unwritten) from None
            journal.restore()
            return result
    except OSError as error:
        raise cannot_write(job.directory, error) from error


def _leave_page(job: Job, manifest: Mapping[str, Any], journal: Journal) -> str:
    """What is there, as a page, before a sweep stops; why that could not be written, or "".

    Whatever goes wrong, the sweep stops as it was told to. The page of an earlier stop, whose numbers hold no
    longer, is gone first.
    """
    if not job.total:  # nobody knows yet how many points there are: what is in the folder holds
        return ""
    try:
        (job.directory / REPORT).unlink(missing_ok=True)
        if journal.finished < job.total:
            write_unfinished_page(job.sweep, job.directory, manifest, journal, job.dropped, job.total)
    except KeyboardInterrupt:
        return "stopped as well"
    except OSError as error:
        return error.strerror or describe(error)
    except Exception as error:
        return describe(error)
    return ""


def _try_again(sweep: Sweep, journal: Journal) -> None:
    """Forget the points that failed, and of a search all that was asked for once their batch was known."""
    again = set(journal.failed)
    if again and sweep.search:
        batch = sweep.search.batch
        again |= set(range((min(again) // batch + 1) * batch, sweep.search.trials))
    if again:
        journal.forget(again)


def _capacity(sweep: Sweep) -> int:
    return sweep.search.trials if sweep.search else len(sweep.space)


def _most(job: Job) -> int:
    """The points of a job while nobody knows how many of them the constraints drop."""
    part, parts = job.shard
    return len(range(part - 1, _capacity(job.sweep), parts))


# -- the folder -----------------------------------------------------------------------


def _check_shard(sweep: Sweep, shard: tuple[int, int]) -> None:
    part, parts = shard
    if not 1 <= part <= parts:
        raise InputError(f"must be i/n with 1 <= i <= n, not {part}/{parts}", key="--shard")
    if shard != WHOLE and sweep.search:
        raise InputError("a search is one sequence: it has no shards", key="--shard")


def manifest_of(sweep: Sweep, shard: tuple[int, int] = WHOLE) -> dict[str, Any]:
    """What a folder says of the sweep in it."""
    return {
        "schema": SCHEMA,
        "pimsim_version": pimsim.__version__,
        "name": sweep.name,
        "sweep_sha256": sweep.sha256,
        "base_sha256": sweep.base_sha256,
        "points": _capacity(sweep),
        "shard": f"{shard[0]}/{shard[1]}",
        "design": "search" if sweep.search else "x".join(table.kind for table in sweep.space.tables),
        "keys": list(sweep.keys),
        "objectives": [{goal.direction: goal.name} for goal in sweep.objectives],
    }


def _claim(job: Job) -> dict[str, Any]:
    """Make the folder this sweep's; InputError if it holds another, or one that nobody asked to go on with."""
    manifest, found = manifest_of(job.sweep, job.shard), read_manifest(job.directory)
    if found is None:
        try:
            (job.directory / JOURNAL).unlink(missing_ok=True)
            write_manifest(job.directory, manifest)
        except OSError as error:
            raise cannot_write(job.directory, error) from error
    elif not job.resume:
        what = "give --resume to go on with it, or choose another folder"
        raise InputError(f"{job.directory} holds a sweep already; {what}", key="--out")
    else:
        check_same(job.directory, found, manifest, "--resume")
    return manifest


def check_same(directory: Path, found: Mapping[str, Any], wanted: Mapping[str, Any], option: str) -> None:
    """InputError, saying what differs, if a folder holds another sweep than is wanted."""
    for key, what in (
        ("pimsim_version", "pimsim has another version"),
        ("base_sha256", "the base configuration, `set` or a file that they name has changed"),
        ("sweep_sha256", "the sweep file has changed"),
        ("shard", "it holds another shard"),
    ):
        if found.get(key) != wanted[key]:
            change = f": {found.get(key)} there, {wanted[key]} now" if key in ("pimsim_version", "shard") else ""
            message = f"{directory} holds another sweep: {what}{change}; choose another folder"
            raise InputError(message, key=option)


# -- the points -----------------------------------------------------------------------


def _grid(job: Job, pool: Backend, journal: Journal) -> None:
    """Simulate the points that are not in the journal; the job is told how many the constraints drop."""
    kept, refused, job.dropped = select(job.sweep, job.shard)
    job.report(journal.finished, len(kept))
    todo = [index for index in kept if index in refused and index not in journal]
    for index in todo:
        point = job.sweep.space.point(index)
        journal.append(index, with_inputs(point, refused_row(job.sweep.request(point), refused[index])))
    space = job.sweep.space
    items = ((i, job.sweep.request(space.point(i))) for i in space.by_runs(kept) if i not in journal)
    for index, row in pool.map(items, space.run_of):
        journal.append(index, with_inputs(job.sweep.space.point(index), row))
        job.report(journal.finished, len(kept))


def select(sweep: Sweep, shard: tuple[int, int] = WHOLE) -> tuple[Sequence[int], dict[int, str], int]:
    """The numbers of a shard's points, those of them that a constraint has no answer for, and how many it dropped.

    Every n-th point that the constraints keep belongs to a shard.
    """
    part, parts = shard
    if not sweep.filter.expressions:
        return range(part - 1, len(sweep.space), parts), {}, 0
    kept, refused = array("q"), {}
    for index, point in sweep.space.points():
        try:
            if not sweep.filter.keeps(point):
                continue
        except ConstraintError as error:
            refused[index] = str(error)
        kept.append(index)
    mine = kept[part - 1 :: parts]
    return mine, {index: refused[index] for index in sorted(refused.keys() & set(mine))}, len(sweep.space) - len(kept)
