"""Shards of one sweep, made into the whole."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from pimsim.errors import InputError
from pimsim.held import holding
from pimsim.sweep.definition import Sweep
from pimsim.sweep.folder import JOURNAL, Journal, cannot_write, owned, read_manifest, write_manifest
from pimsim.sweep.reports import NONE, Which, check_which
from pimsim.sweep.result import SweepResult, finish
from pimsim.sweep.runner import check_same, manifest_of, reported, select
from pimsim.sweep.table import check_format, default_format

_OPTION = "--merge"


def merge(
    sweep: Sweep,
    shards: Sequence[str | os.PathLike[str]],
    out: str | os.PathLike[str],
    kind: str | None = None,
    reports: Which = NONE,
) -> SweepResult:
    """Write the results of the whole sweep, from the folders of its shards, to the byte those of one run.

    reports: as of `run_sweep`; those that shards have are made anew

    InputError if a folder holds another sweep, or if points are missing; Stopped after Ctrl-C among reports.
    """
    kind = check_format(kind or default_format())
    check_which(reports, len(sweep.space))
    directory, folders = Path(out), [Path(shard) for shard in shards]
    manifest = manifest_of(sweep)
    for folder in folders:
        _check(folder, manifest)
    if read_manifest(directory) is not None:
        raise InputError(f"{directory} holds a sweep already; choose another folder", key="--out")
    with holding(sweep.files):
        kept, _, dropped = select(sweep)
    with ExitStack() as stack:
        sources = [stack.enter_context(_journal(folder / JOURNAL, len(sweep.space))) for folder in folders]
        _check_complete(kept, sources)
        stack.enter_context(owned(directory))
        try:
            (directory / JOURNAL).unlink(missing_ok=True)
            write_manifest(directory, manifest)
            journal = stack.enter_context(Journal(directory / JOURNAL, len(sweep.space)))
            for source in sources:
                _copy(source, journal)
            result = finish(sweep, directory, manifest, journal, dropped, kind, None)
            return reported(sweep, result, reports)
        except OSError as error:
            raise cannot_write(directory, error) from error


def _journal(path: Path, points: int) -> Journal:
    try:
        return Journal(path, points, write=False)
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}", key=_OPTION) from error


def _check(folder: Path, manifest: dict[str, Any]) -> None:
    found = read_manifest(folder)
    if found is None or not (folder / JOURNAL).exists():
        raise InputError(f"{folder} holds no sweep", key=_OPTION)
    check_same(folder, found, {**manifest, "shard": found.get("shard")}, _OPTION)


def _check_complete(kept: Iterable[int], sources: Sequence[Journal]) -> None:
    missing = [index for index in kept if not any(index in source for source in sources)]
    if missing:
        message = f"{len(missing)} points are in none of the folders, the first is {missing[0]}; finish every shard"
        raise InputError(f"{message} with --resume", key=_OPTION)


def _copy(source: Journal, journal: Journal) -> None:
    for index in source.indexes():
        if index not in journal:
            row = source.row(index)
            journal.append(index, {key: value for key, value in row.items() if key != "index"})
