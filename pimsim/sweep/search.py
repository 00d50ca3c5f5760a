"""A search: optuna chooses the points, a batch at a time, from what the batches before gave.

The sequence follows from the seed and the rows alone.  So a search goes on by being
repeated: the sampler is asked again from the start, and what it asks for is taken from
the journal as long as that has it.  How many processes simulate a batch changes nothing.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pimsim.errors import InputError
from pimsim.sweep.constraints import ConstraintError
from pimsim.sweep.designs import random_shares
from pimsim.sweep.domains import Domain, Listed, rounded
from pimsim.sweep.point import Row, refused_row
from pimsim.sweep.rows import with_inputs
from pimsim.sweep.sensitivity import figure
from pimsim.sweep.space import PointRequest

if TYPE_CHECKING:
    from pimsim.sweep.backends import Backend
    from pimsim.sweep.definition import Search
    from pimsim.sweep.folder import Journal
    from pimsim.sweep.job import Job

OPTUNA_JOURNAL = "optuna.journal"  # for optuna's own tools; rebuilt at each start
_TRIES = 10  # points in a row of a sampler that the constraints drop
_IN_VAIN = 10_000  # random ones


class _Searcher:
    """One search in its folder."""

    def __init__(self, job: Job, request: Search, journal: Journal) -> None:
        self.job = job
        self.request = request
        self.journal = journal
        self.sweep = job.sweep
        self.optuna = _optuna()
        self.distributions = {key: self._distribution(domain) for key, domain in request.domains.items()}
        self.study = self._study()
        self.first_of: dict[str, int] = {}  # the number of the first trial of a point

    def _study(self) -> Any:
        path = self.job.directory / OPTUNA_JOURNAL
        path.unlink(missing_ok=True)
        storage = self.optuna.storages
        return self.optuna.create_study(
            storage=storage.JournalStorage(storage.journal.JournalFileBackend(str(path))),
            sampler=self._sampler(),
            study_name=self.sweep.name,
            directions=[objective.direction.replace("ise", "ize") for objective in self.sweep.objectives],
        )

    def _sampler(self) -> Any:
        seed, samplers = self.request.seed, self.optuna.samplers
        if self.request.sampler == "random":
            return samplers.RandomSampler(seed=seed)
        if self.request.sampler == "tpe":
            return samplers.TPESampler(seed=seed)
        population = max(2, self.request.batch, min(50, self.request.trials // 4))
        return samplers.NSGAIISampler(seed=seed, population_size=population)

    def _distribution(self, domain: Domain) -> Any:
        """Numbers in a list have an order, other values have none."""
        distributions = self.optuna.distributions
        if isinstance(domain, Listed):
            ordered = all(not isinstance(value, bool | str | Mapping | tuple | None) for value in domain.values)
            count = len(domain.values)
            return (
                distributions.IntDistribution(0, count - 1)
                if ordered
                else distributions.CategoricalDistribution(tuple(range(count)))
            )
        if domain.whole:
            return distributions.IntDistribution(int(domain.low), int(domain.high), log=domain.log)
        return distributions.FloatDistribution(float(domain.low), float(domain.high), log=domain.log)

    def ask(self, index: int) -> tuple[Any, dict[str, Any], str | None]:
        """The next trial that the constraints keep, its point, and why they have no answer for it, if so.

        A sampler does not learn what is dropped; after a few tries it is given a random point that is not.
        """
        for attempt in range(_TRIES + 1):
            if attempt == _TRIES:
                self.study.enqueue_trial(self._random_parameters(index))
            trial = self.study.ask(self.distributions)
            point = self._point(trial.params)
            try:
                if self.sweep.filter.keeps(point):
                    return trial, point, None
            except ConstraintError as error:
                return trial, point, str(error)
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
            self.job.dropped += 1
        raise AssertionError("a random point that the constraints keep was dropped")

    def _random_parameters(self, index: int) -> dict[str, Any]:
        """The parameters of a random point that the constraints do not drop."""
        for shares in random_shares(_IN_VAIN, len(self.request.domains), self.request.seed + index):
            drawn = zip(self.request.domains.items(), shares.tolist(), strict=True)
            parameters = {key: _parameter(domain, share) for (key, domain), share in drawn}
            try:
                if self.sweep.filter.keeps(self._point(parameters)):
                    return parameters
            except ConstraintError:
                return parameters
            self.job.dropped += 1
        raise InputError(f"the constraints dropped {_IN_VAIN} random points in a row", key="constraints")

    def _point(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        return {key: _value(domain, parameters[key]) for key, domain in self.request.domains.items()}

    def batch(self, start: int, count: int, pool: Backend) -> None:
        """Ask for the trials `start` and on, simulate them, and tell what came out."""
        asked = {start + i: self.ask(start + i) for i in range(count)}
        todo: list[tuple[int, PointRequest]] = []
        for index, (_, point, refused) in asked.items():
            first = self.first_of.setdefault(json.dumps(point, default=str), index)
            if index in self.journal:
                self._check_same(index, point)
            elif refused is not None:
                self._keep(index, point, refused_row(self.sweep.request(point), refused))
            elif first == index:
                todo.append((index, self.sweep.request(point)))
        for index, row in pool.map(todo):
            self._keep(index, asked[index][1], row)
        for index, (trial, point, _) in asked.items():
            if index not in self.journal:
                self._keep(index, point, self.journal.row(self.first_of[json.dumps(point, default=str)]))
            self._tell(trial, self.journal.row(index))

    def _keep(self, index: int, point: Mapping[str, Any], row: Row) -> None:
        self.journal.append(index, with_inputs(point, row))
        self.job.report(self.journal.finished, self.request.trials)

    def _check_same(self, index: int, point: Mapping[str, Any]) -> None:
        """A sampler of another version may ask for other points."""
        row = self.journal.row(index)
        if any(row.get(key) != value for key, value in with_inputs(point, row).items()):
            message = f"the search cannot go on: trial {index} is another point now; was optuna changed?"
            raise InputError(f"{message} Choose another folder", key="--resume")

    def _tell(self, trial: Any, row: Row) -> None:
        figures = [figure(row, objective) for objective in self.sweep.objectives]
        if any(value is None for value in figures):
            self.study.tell(trial, state=self.optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, figures)


def search(job: Job, pool: Backend, journal: Journal) -> None:
    """Run the search of a sweep; the job is told how many points its constraints drop, as they do."""
    request = job.sweep.search
    assert request is not None
    job.report(journal.finished, request.trials)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # optuna's, of what is experimental
        searcher = _Searcher(job, request, journal)
        for start in range(0, request.trials, request.batch):
            searcher.batch(start, min(request.batch, request.trials - start), pool)


def _value(domain: Domain, parameter: Any) -> Any:
    return domain.values[parameter] if isinstance(domain, Listed) else rounded(parameter, domain.whole)


def _parameter(domain: Domain, share: float) -> Any:
    if isinstance(domain, Listed):
        return min(int(share * len(domain.values)), len(domain.values) - 1)
    value = domain.at(share)
    return value if domain.whole else float(value)


def _optuna() -> Any:
    try:
        import optuna
    except ImportError:
        raise InputError("a search needs optuna: pip install 'pimsim[dse]'", key="search") from None
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    return optuna
