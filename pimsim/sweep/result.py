"""What a finished sweep gives back, and its files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pimsim.errors import InputError
from pimsim.results.base import data_frame
from pimsim.sweep.definition import Sweep
from pimsim.sweep.folder import JOURNAL, Journal, cannot_read, cannot_write, read_manifest, replace_file, write_manifest
from pimsim.sweep.objectives import Objective
from pimsim.sweep.page import REPORT, page_of
from pimsim.sweep.pareto import as_objective, costs_of, front
from pimsim.sweep.point import OK, STATUSES
from pimsim.sweep.reports import NONE, Which, make_reports
from pimsim.sweep.sensitivity import DESIGNS, figure, sensitivity
from pimsim.sweep.table import FORMATS, csv_text, write_table

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes

PARETO = "pareto.csv"
SENSITIVITY = "sensitivity.csv"


@dataclass(frozen=True)
class SweepResult:
    """A finished sweep, or a shard of one.

    directory  its files; manifest: which sweep it is
    dropped    points that constraints dropped
    statuses   rows by status: ok, infeasible, failed
    unreported points whose reports were asked for and could not be made, with the reason
    """

    directory: Path
    manifest: Mapping[str, Any]
    dropped: int
    statuses: Mapping[str, int]
    temporary: object = field(default=None, repr=False, compare=False)  # removes `directory` with this object
    unreported: Mapping[int, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        counts = ", ".join(f"{count:,} {status}" for status, count in self.statuses.items() if count)
        dropped = f", {self.dropped:,} dropped by constraints" if self.dropped else ""
        return f"<SweepResult {self.manifest['name']}: {counts or 'no points'}{dropped}>"

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What the sweep file asks to make small or large."""
        return tuple(as_objective(goal) for goal in self.manifest["objectives"])

    @property
    def keys(self) -> tuple[str, ...]:
        """The configuration keys that vary, in the order of the file."""
        return tuple(self.manifest["keys"])

    def rows(self) -> Iterator[dict[str, Any]]:
        """Every row in order; each is a dict with the columns that it has."""
        with self._journal() as journal:
            yield from (journal.row(index) for index in journal.indexes())

    @contextmanager
    def _journal(self) -> Iterator[Journal]:
        try:
            with Journal(self.directory / JOURNAL, self.manifest["points"], write=False) as journal:
                yield journal
        except OSError as error:
            raise cannot_read(self.directory / JOURNAL, error) from error

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas data frame; ImportError, saying what to install, without pandas."""
        return data_frame(list(self.rows()))

    @property
    def plot(self) -> SweepPlots:
        """Plots of a sweep over devices: `result.plot.scaling()`."""
        return SweepPlots(self)

    def pareto(self) -> list[dict[str, Any]]:
        """The rows that no other row beats in every objective, by the first objective."""
        if not self.objectives:
            return []
        with self._journal() as journal:
            return [journal.row(index) for index in _front(journal, self.objectives)]

    def warnings(self) -> dict[str, int]:
        """What points warn of, each text with how many points, the most frequent first."""
        return dict(Counter(row["warnings"] for row in self.rows() if row.get("warnings")).most_common())

    def undecided(self) -> dict[str, float | None]:
        """Objectives that are the same at every point of several, None: those that no point has a figure for."""
        seen: dict[str, set[float | None]] = {objective.name: set() for objective in self.objectives}
        good = 0
        for row in self.rows() if seen else ():
            good += row["status"] == OK
            for objective in self.objectives if row["status"] == OK else ():
                if len(seen[objective.name]) < 2:
                    seen[objective.name].add(figure(row, objective))
        return {name: next(iter(values)) for name, values in seen.items() if good > 1 and len(values) == 1}

    def sensitivity(self) -> list[dict[str, Any]]:
        """What each key does to each objective, if the sweep is one_at_a_time or sobol and has every figure."""
        return _sensitivity(self, self.rows())

    def summary(self) -> dict[str, Any]:
        """What `pimsim sweep --json` prints."""
        return {
            **{key: self.manifest[key] for key in ("schema", "pimsim_version", "name", "sweep_sha256", "shard")},
            "points": self.manifest["points"],
            "dropped": self.dropped,
            "rows": sum(self.statuses.values()),
            "statuses": dict(self.statuses),
            "objectives": self.manifest["objectives"],
            "pareto": [row["index"] for row in self.pareto()],
        }


@dataclass(frozen=True)
class SweepPlots:
    """Pictures of the rows of a sweep."""

    result: SweepResult

    def scaling(self, ax: Axes | None = None, *, weak: bool = False) -> Axes:
        """Tokens a second over `system.devices`, of the best split each, beside what would be ideal.

        weak  lines of as many sequences for each device, in the place of those of one batch
        ValueError if no two rows make a line.
        """
        from pimsim.plots import systems  # not for those who draw nothing

        return systems.scaling(self.result.rows(), ax, weak=weak)


def load_result(directory: str | Path) -> SweepResult:
    """The sweep in a folder, finished or not; what is finished is in it. InputError if there is none."""
    path = Path(directory)
    manifest = read_manifest(path)
    if manifest is None or not (path / JOURNAL).exists():
        raise InputError(f"{path} holds no sweep", key="--out")
    try:
        with Journal(path / JOURNAL, manifest["points"], write=False) as journal:
            return SweepResult(path, manifest, manifest.get("dropped", 0), _statuses(journal))
    except OSError as error:
        raise cannot_read(path / JOURNAL, error) from error


def finish(
    sweep: Sweep,
    directory: Path,
    manifest: Mapping[str, Any],
    journal: Journal,
    dropped: int,
    kind: str,
    temporary: object,
) -> SweepResult:
    """Write the results of a journal that is complete."""
    result = SweepResult(directory, manifest, dropped, _statuses(journal), temporary)

    def rows() -> Iterator[Mapping[str, Any]]:
        return (journal.row(index) for index in journal.indexes())

    write_table(directory / f"results.{kind}", rows, kind)
    for other in FORMATS:
        if other != kind:
            (directory / f"results.{other}").unlink(missing_ok=True)
    best = _front(journal, result.objectives)
    if result.objectives:
        _write_rows(directory / PARETO, [journal.row(index) for index in best])
    if effects := _sensitivity(result, rows()):
        _write_rows(directory / SENSITIVITY, effects)
    page = page_of(sweep, directory, journal, best, effects, {**manifest, "dropped": dropped})
    replace_file(directory / REPORT, page)
    write_manifest(directory, {**manifest, "dropped": dropped, "statuses": result.statuses})
    return result


def write_unfinished_page(
    sweep: Sweep, directory: Path, manifest: Mapping[str, Any], journal: Journal, dropped: int, total: int
) -> None:
    """Write the page of a sweep that was stopped: the points of `total` that are finished, and how many are not."""
    best = _front(journal, SweepResult(directory, manifest, dropped, {}).objectives)
    page = page_of(sweep, directory, journal, best, (), {**manifest, "dropped": dropped}, total)
    replace_file(directory / REPORT, page)


def with_reports(sweep: Sweep, result: SweepResult, which: Which, workers: int | None = None) -> SweepResult:
    """The same result once the reports of some points are there, and its page knows them; as `make_reports`."""
    if which == NONE:
        return result
    with result._journal() as journal:
        best = _front(journal, result.objectives)
    try:
        with result._journal():
            unreported = make_reports(sweep, result.directory, result.manifest["points"], best, which, workers)
    except KeyboardInterrupt:  # the page knows those that are made, and keeps nobody from stopping
        with suppress(Exception):
            _write_page_again(sweep, result, best)
        raise
    _write_page_again(sweep, result, best)
    return replace(result, unreported=unreported)


def _write_page_again(sweep: Sweep, result: SweepResult, best: Sequence[int]) -> None:
    """Write the page of a finished sweep with links to the reports that are there by now."""
    facts = {**result.manifest, "dropped": result.dropped}
    with result._journal() as journal:
        page = page_of(sweep, result.directory, journal, best, result.sensitivity(), facts)
    try:
        replace_file(result.directory / REPORT, page)
    except OSError as error:  # what is read and what is written fail for causes of their own
        raise cannot_write(result.directory, error) from error


def _front(journal: Journal, objectives: Sequence[Objective]) -> list[int]:
    """The numbers of the points that no other beats; none of a sweep without objectives."""
    if not objectives:
        return []
    return front({i: c for i in journal.indexes() if (c := costs_of(journal.row(i), objectives)) is not None})


def _sensitivity(result: SweepResult, rows: Iterator[Mapping[str, Any]]) -> list[dict[str, Any]]:
    if result.manifest["design"] not in DESIGNS or result.manifest["shard"] != "1/1":
        return []
    names = ("status", *result.keys, *(objective.name for objective in result.objectives))
    brief = [{name: row[name] for name in names if name in row} for row in rows]
    return sensitivity(result.manifest["design"], result.keys, brief, result.objectives)


def _write_rows(path: Path, rows: list[dict[str, Any]]) -> None:
    replace_file(path, csv_text(rows).encode())


def _statuses(journal: Journal) -> dict[str, int]:
    counts = Counter(journal.row(index)["status"] for index in journal.indexes())
    return {status: counts[status] for status in STATUSES}
