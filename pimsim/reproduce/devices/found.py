"""What came out: each mark with its figure, its interval and what decides it, or why there is none."""

from __future__ import annotations

import multiprocessing
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import Any

from pimsim.reproduce import reproduction
from pimsim.reproduce.data import ENDS, Input
from pimsim.reproduce.devices.marks import Mark, marks
from pimsim.reproduce.devices.study import Study

# Modules with studies, in the order of their marks; a line for each device.
MODULES = ("aim", "hbm2_pim", "lpddr5x_pim", "pimnast")
VERDICTS = (*reproduction.VERDICTS, "not simulated")
NOTHING = "the configuration"
_NUMBERS = ("simulated", "low", "high", "deviation")

Progress = Callable[[str], None]
Effects = Sequence[tuple[Input, tuple[float, ...]]]  # the figure with each input at its low and high end


@dataclass(frozen=True)
class Figure:
    """A mark beside what was simulated (None: nothing was, and `because` says why)."""

    mark: Mark
    simulated: reproduction.Figure | None
    because: str

    @property
    def verdict(self) -> str:
        """One of VERDICTS; all but the last as in the reproduction of PIM-GPT."""
        return (self.simulated and self.simulated.verdict) or VERDICTS[-1]

    def record(self) -> dict[str, Any]:
        """The figure as `--json` prints it: the form of `reproduce pim-gpt`, with what a mark has besides."""
        shown = reproduction.Figure(*_of(self.mark), 1.0, 1.0, 1.0, VERDICTS[-1]).record() | dict.fromkeys(_NUMBERS)
        record = self.simulated.record() if self.simulated else shown | {"verdict": self.verdict}
        return record | {"device": self.mark.device, "source": self.mark.source, "because": self.because}


@dataclass(frozen=True)
class Found:
    """Everything that `pimsim reproduce devices` found: a figure for each mark."""

    figures: tuple[Figure, ...]

    @property
    def count(self) -> dict[str, int]:
        """Marks by verdict."""
        found = Counter(figure.verdict for figure in self.figures)
        return {verdict: found[verdict] for verdict in VERDICTS}

    def record(self) -> dict[str, Any]:
        """The content of `--json`."""
        return {
            "schema": "pimsim.reproduction/1",
            "count": self.count,
            "figures": [figure.record() for figure in self.figures],
        }


def reproduce(workers: int = 2, progress: Progress = lambda _: None, intervals: bool = True) -> Found:
    """Simulate every mark that has a study; intervals: with the inputs at the ends of their ranges as well."""
    progress(f"{len(studies())} of {len(marks())} marks")
    tasks = [(name, intervals) for name in marks()]
    if workers == 1:
        return Found(tuple(map(_figure, tasks)))
    with ProcessPoolExecutor(workers, mp_context=multiprocessing.get_context("spawn")) as pool:
        return Found(tuple(pool.map(_figure, tasks)))


@cache
def studies() -> Mapping[str, Study]:
    """The studies by the mark that they are of."""
    found = [study for name in MODULES for study in import_module(f"pimsim.reproduce.devices.{name}").STUDIES]
    return {study.mark: study for study in found}


def _figure(task: tuple[str, bool]) -> Figure:
    name, intervals = task
    mark, study = marks()[name], studies().get(name)
    if study is None:
        return Figure(mark, None, mark.missing)
    value = study.value({})
    effects = [(put, tuple(study.value(put.at(end)) for end in ENDS)) for put in study.inputs] if intervals else []
    corners = [study.value(_corner(effects, value, up)) for up in (False, True)] if effects else []
    reached = [value, *corners, *(end for _, ends in effects for end in ends)]
    decided = _decided_by(effects, value)
    simulated = reproduction.Figure(*_of(mark), value, min(reached), max(reached), decided, study.inferred)
    return Figure(mark, simulated, study.because)


def _corner(effects: Effects, value: float, up: bool) -> dict[str, Any]:
    """Every input at the end that raises (or lowers) the figure; those that do neither stay."""
    chosen: dict[str, Any] = {}
    for put, ends in effects:
        best = max(ends) if up else min(ends)
        if (best > value) if up else (best < value):
            chosen |= put.at(ENDS[ends.index(best)])
    return chosen


def _decided_by(effects: Effects, value: float) -> str:
    """The input that moves the figure most."""
    spans = {put.described: max(abs(end - value) for end in ends) for put, ends in effects}
    most = max(spans, key=lambda name: spans[name], default="")
    return most if most and spans[most] else NOTHING


def _of(mark: Mark) -> tuple[str, str, str, Mark]:
    return mark.name, mark.of, mark.unit, mark
