"""Reports of single points: DIR/points/INDEX has what `pimsim run --out` writes of a point, but for the pictures.

A point is simulated again for it, by its own command (`commands.overrides`), where the sweep is run: what it counts
must be what its row says.  What is there already stays, so a sweep that is resumed makes what is missing.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimsim.errors import InputError
from pimsim.sweep.backends import cores
from pimsim.sweep.commands import overrides
from pimsim.sweep.definition import Sweep
from pimsim.sweep.folder import JOURNAL, Journal
from pimsim.sweep.point import OK, describe
from pimsim.sweep.pool import Pool
from pimsim.sweep.rows import cell

if TYPE_CHECKING:
    from pimsim.config.schema import AnyConfig
    from pimsim.workload.shapes import ModelShape

POINTS = "points"
NONE, FRONT, ALL = "none", "front", "all"
MOST = 16  # points of a front that have a report
_OPTION = "--reports"
_SAME = ("config_sha256", "trace_sha256")  # of a row and of the report beside it

Which = str | tuple[int, ...]


@dataclass(frozen=True)
class _Wanted:
    """A report to make: the command's words, where it goes, and what its row says it is."""

    base: str | AnyConfig
    overrides: tuple[str, ...]
    folder: Path
    row: Mapping[str, Any]
    shape: ModelShape | None


def parse_which(text: str) -> Which:
    """`none`, `front`, `all`, or numbers of points between commas; InputError for anything else."""
    if text in (NONE, FRONT, ALL):
        return text
    if re.fullmatch(r"[0-9]{1,9}(,[0-9]{1,9})*", text, re.ASCII):
        return tuple(sorted(set(map(int, text.split(",")))))
    raise InputError(f"must be none, front, all or numbers as 3,17, not {text[:40]!r}", key=_OPTION)


def check_which(which: Which, points: int) -> None:
    """InputError if a number is that of no point."""
    wrong = [number for number in which if not 0 <= int(number) < points] if isinstance(which, tuple) else []
    if wrong:
        raise InputError(f"there is no point {wrong[0]}: the {points} points count from 0", key=_OPTION)


def made(directory: Path, numbers: Iterable[int]) -> set[int]:
    """Those of some points that have a report."""
    return {number for number in numbers if (directory / POINTS / str(number) / "report.html").is_file()}


def make_reports(
    sweep: Sweep, directory: Path, points: int, front: Sequence[int], which: Which, workers: int | None = None
) -> dict[int, str]:
    """Make the reports that are asked for and not there yet; of those that could not be made the reasons.

    points   how many the sweep has; front: those that no other beats
    workers  processes (None: one for each core, 0: this one)
    """
    problems: dict[int, str] = {}
    todo = {}
    with Journal(directory / JOURNAL, points, write=False) as journal:
        for index in _chosen(which, front, journal):
            row = journal.row(index) if index in journal else {"status": "not in this folder"}
            if row["status"] != OK:
                problems[index] = str(row["status"])
            elif not _is_made(folder := directory / POINTS / str(index), row):
                todo[index] = _wanted(sweep, index, row, folder)
    return problems | {index: problem for index, problem in _each(todo, workers) if problem}


def _chosen(which: Which, front: Sequence[int], journal: Journal) -> Sequence[int]:
    """The numbers of the points; of a long front some, evenly spread, both ends among them."""
    if isinstance(which, tuple):
        return which
    if which == ALL:
        return [index for index in journal.indexes() if journal.row(index)["status"] == OK]
    if which == NONE or len(front) <= MOST:
        return () if which == NONE else front
    return [front[round(place * (len(front) - 1) / (MOST - 1))] for place in range(MOST)]


def _is_made(folder: Path, row: Mapping[str, Any]) -> bool:
    """Whether the report of this very point is there."""
    try:
        summary = json.loads((folder / "summary.json").read_bytes())
    except (OSError, ValueError):
        return False
    return isinstance(summary, dict) and all(summary.get(name) == row[name] for name in _SAME)


def _wanted(sweep: Sweep, index: int, row: Mapping[str, Any], folder: Path) -> _Wanted:
    point = _point(sweep, index, row)
    shape = sweep.accuracy.weights.shape if sweep.accuracy else None
    brief = {name: row[name] for name in _SAME}
    return _Wanted(sweep.base.name, tuple(overrides(sweep, point)), folder, brief, shape)


def _point(sweep: Sweep, index: int, row: Mapping[str, Any]) -> dict[str, Any]:
    """The values that make a point; of a search those of its row, whose texts stand for what the search lists."""
    if sweep.search is None:
        return sweep.space.point(index)
    listed = {
        key: {cell(value): value for value in getattr(domain, "values", ())}
        for key, domain in sweep.search.domains.items()
    }
    return {key: values.get(row[key], row[key]) for key, values in listed.items()}


def _each(todo: Mapping[int, _Wanted], workers: int | None) -> Iterator[tuple[int, str]]:
    """(number, what went wrong or "") of each report, as they come."""
    if workers == 0 or len(todo) < 2:
        yield from ((index, _make(wanted)) for index, wanted in todo.items())
        return
    with Pool(_make, min(workers or cores(), len(todo)), _lost) as pool:
        yield from pool.map(todo.items())


def _make(wanted: _Wanted) -> str:
    """Simulate a point and write its folder; what went wrong, or ""."""
    try:
        result = replace(_run(wanted), plots=None)
        if any(result.summary[name] != wanted.row[name] for name in _SAME):
            return "the base or a file that it names has changed since the point was simulated"
        result.save(wanted.folder)
    except InputError as error:
        return "; ".join(problem.message for problem in error.problems)
    except Exception as error:
        return describe(error)
    return ""


def _run(wanted: _Wanted) -> Any:
    from pimsim import api

    base, given = wanted.base, list(wanted.overrides)
    loaded = api.load(base, given) if isinstance(base, str) else api.change(base, given)
    if wanted.shape is None:
        return api.run(api.prepare(loaded), loaded.provenance)
    from pimsim.workload.models import build
    from pimsim.workload.source import with_model

    config = with_model(api.language_model(loaded.config), wanted.shape)
    return api.run(api.prepare(config, checked=True, graph=build(wanted.shape, lm_head=True)), loaded.provenance)


def _lost(wanted: _Wanted) -> str:
    return "the process that made it died each time"
