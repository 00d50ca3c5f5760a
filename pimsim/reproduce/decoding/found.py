"""What came out: figures with intervals, answers, and the table of mechanisms."""

from __future__ import annotations

import multiprocessing
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from typing import Any

from pimsim.reproduce import data
from pimsim.reproduce.decoding.jobs import GPUS, PIM, Job, Point, evaluate
from pimsim.reproduce.decoding.studies import LEFT_OUT, STUDIES, Measure, Points, Study
from pimsim.reproduce.decoding.table import ROWS, Row
from pimsim.reproduce.runs import Changes
from pimsim.workload.decoding.data import mechanisms

# Inputs that the paper does not give and that decide clocks; each is tried at both ends of its range, one at a time.
INPUTS = ("row size", "tRCD", "tRP", "tRFC", "MAC pipeline")
SHIPPED: Changes = ()
ROUGH = "prototype"  # label of what a figure is beside: rough figures of a prototype on the shipped device

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Figure:
    """One figure beside the prototype's rough one, with what the inputs allow."""

    measure: Measure
    study: str
    simulated: float
    low: float
    high: float
    decided_by: str

    def record(self) -> dict[str, Any]:
        """The figure as `--json` prints it."""
        rough = self.measure.rough
        return {
            "name": self.measure.name,
            "paper": rough,
            "simulated": self.simulated,
            "low": self.low,
            "high": self.high,
            "deviation": None if rough is None else self.simulated / rough - 1,
            "decided_by": self.decided_by,
            "unit": self.measure.unit,
            "of": self.measure.of,
            "study": self.study,
            "label": None if rough is None else ROUGH,
        }


@dataclass(frozen=True)
class Answer:
    """A study with its runs, and its sentence."""

    study: Study
    points: Points
    sentence: str


@dataclass(frozen=True)
class Gain:
    """A mechanism beside what it is compared with: how many times as fast each machine is with it."""

    row: Row
    gains: Mapping[str, float]
    energy: float

    def record(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        mechanism = mechanisms()[self.row.mechanism]
        return {
            "name": mechanism.name,
            "paper": mechanism.paper,
            "command": self.row.command,
            "against": self.row.against,
            "gain": dict(self.gains),
            "energy_gain": self.energy,
            "left_out": list(mechanism.left_out),
        }


@dataclass(frozen=True)
class Found:
    """Everything that `pimsim reproduce decode` found."""

    figures: tuple[Figure, ...]
    answers: tuple[Answer, ...]
    gains: tuple[Gain, ...]

    @property
    def values(self) -> Mapping[str, float]:
        """Each figure by name."""
        return {figure.measure.name: figure.simulated for figure in self.figures}

    def record(self) -> dict[str, Any]:
        """The content of `--json`."""
        return {
            "schema": "pimsim.reproduction/1",
            "figures": [figure.record() for figure in self.figures],
            "studies": [{"name": a.study.name, "title": a.study.title, "sentence": a.sentence} for a in self.answers],
            "mechanisms": [gain.record() for gain in self.gains],
            "left_out": list(LEFT_OUT),
        }


def reproduce(workers: int = 2, progress: Progress = lambda _: None, intervals: bool = True) -> Found:
    """Run every study and every mechanism; intervals: with the inputs at the ends of their ranges as well."""
    ends = _ends() if intervals else {}
    studied = [job for study in STUDIES for job in study.jobs.values()]
    jobs = [*studied, *(job for row in ROWS for job in (row.job, row.beside))]
    varied = [job.changed(changes) for changes in ends.values() for job in studied]
    progress(f"{len(jobs) + len(varied)} runs")
    known = _evaluated([*jobs, *varied], workers)
    figures = tuple(_figure(study, measure, known, ends) for study in STUDIES for measure in study.measures)
    values = {figure.measure.name: figure.simulated for figure in figures}
    answers = []
    for study in STUDIES:
        points = _points(study, known, SHIPPED)
        answers.append(Answer(study, points, study.sentence(values, points)))
    gains = [Gain(row, {m: row.gain(known, m) for m in (PIM, *GPUS)}, row.energy_gain(known)) for row in ROWS]
    return Found(figures, tuple(answers), tuple(gains))


def _ends() -> dict[tuple[str, str], Changes]:
    """What is set, by the input and the end of its range."""
    return {(name, end): tuple(data.inputs()[name].at(end).items()) for name in INPUTS for end in data.ENDS}


def _evaluated(jobs: Iterable[Job], workers: int) -> dict[Job, Point]:
    """Every job's point; no job is run twice."""
    new = list(dict.fromkeys(jobs))
    if workers == 1:
        return dict(zip(new, map(evaluate, new), strict=True))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return dict(zip(new, pool.map(evaluate, new, chunksize=8), strict=True))


def _points(study: Study, known: Mapping[Job, Point], changes: Changes) -> Points:
    return {key: known[job.changed(changes)] for key, job in study.jobs.items()}


def _figure(
    study: Study, measure: Measure, known: Mapping[Job, Point], ends: Mapping[tuple[str, str], Changes]
) -> Figure:
    simulated = measure.value(_points(study, known, SHIPPED))
    varied = {end: measure.value(_points(study, known, changes)) for end, changes in ends.items()}
    all_ = [simulated, *varied.values()]
    most = max(varied, key=lambda end: abs(varied[end] - simulated), default=None)
    decided = data.inputs()[most[0]].described if most and varied[most] != simulated else "nothing that was tried"
    return Figure(measure, study.name, simulated, min(all_), max(all_), decided)
