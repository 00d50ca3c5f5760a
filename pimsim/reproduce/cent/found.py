"""Rows of the table, simulated; beside the published ones where they are those."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from pimsim.errors import Problem
from pimsim.reproduce.cent.cycles import Job, Progress, carry_out
from pimsim.reproduce.cent.energy import Run, Standby, token_mJ
from pimsim.reproduce.cent.published import FIGURES, Published, published
from pimsim.reproduce.cent.rows import Asked, warnings_of
from pimsim.reproduce.cent.times import CLOCKS_PER_MS, times

SCHEMA = "pimsim.cent/1"
EQUAL = 1e-9  # relative: figures that differ by less are the same


@dataclass(frozen=True)
class Row:
    """What was asked, its figures by name, and what was published of it (None: nothing that is shipped)."""

    asked: Asked
    values: Mapping[str, float]
    published: Mapping[str, float] | None = None

    @property
    def deviations(self) -> dict[str, float]:
        """How far each figure is from the published one, as a share of it."""
        return self._from_published(self.values)

    @property
    def given_cycles(self) -> dict[str, float]:
        """The same of the times that follow from the published cycles: what only formulas make of them."""
        if self.published is None:
            return {}
        cycles = (round(self.published[name] * CLOCKS_PER_MS) for name in ("pim_ms", "embedding_ms"))
        return self._from_published(vars(times(self.asked.split, self.asked.context, *cycles)))

    def _from_published(self, values: Mapping[str, float]) -> dict[str, float]:
        beside = self.published or {}
        return {name: value / beside[name] - 1 for name, value in values.items() if name in beside}

    def record(self) -> dict[str, Any]:
        """The row as `--json` prints it."""
        more = {} if self.published is None else {"published": self.published, "deviation": self.deviations}
        return {**self.asked.record(), **self.values, **more}


@dataclass(frozen=True)
class Found:
    """Everything that `pimsim reproduce cent` found: a row for each that was asked."""

    rows: tuple[Row, ...]

    @property
    def warnings(self) -> list[Problem]:
        """What a careful reader should know before he quotes a figure."""
        return warnings_of(row.asked for row in self.rows)

    @property
    def deviations(self) -> dict[str, dict[str, float]]:
        """Of each figure that was published: rows that are equal, of how many; the mean, least and most deviation."""
        return _summaries([row.deviations for row in self.rows])

    @property
    def given_cycles(self) -> dict[str, dict[str, float]]:
        """The same of the times that follow from the published cycles."""
        return _summaries([row.given_cycles for row in self.rows])

    def record(self) -> dict[str, Any]:
        """The content of `--json`."""
        more = {"deviations": self.deviations, "given_cycles": self.given_cycles} if self.deviations else {}
        rows = [row.record() for row in self.rows]
        return {"schema": SCHEMA, "warnings": [warning.message for warning in self.warnings], **more, "rows": rows}


def _summaries(rows: Sequence[Mapping[str, float]]) -> dict[str, dict[str, float]]:
    beside = [row for row in rows if row]
    names = beside[0] if beside else ()
    return {name: _summary([row[name] for row in beside]) for name in names}


def _summary(deviations: Sequence[float]) -> dict[str, float]:
    equal = sum(abs(value) <= EQUAL for value in deviations)
    ends = {"mean": fmean(deviations), "low": min(deviations), "high": max(deviations)}
    return {"equal": equal, "rows": len(deviations), **ends}


def reproduce(rows: Sequence[Asked] | None = None, workers: int = 1, progress: Progress = lambda _: None) -> Found:
    """Simulate these rows, in their order; by default those of the published table, and compare."""
    table: Iterable[Published | None] = [None] * len(rows) if rows is not None else published()
    asked = rows if rows is not None else [Asked(row.split, row.context) for row in published()]
    runs = carry_out((job for row in asked for job in _jobs(row).values()), workers, progress)
    return Found(tuple(_row(row, runs, beside) for row, beside in zip(asked, table, strict=True)))


def _jobs(row: Asked) -> dict[str, Job]:
    """The programs of a row; a device alone in its stage has no other one that runs weights."""
    split = row.split
    where = (split.model, split.channels, split.tensor)
    found = {"block": Job(*where, "block", row.context), "embedding": Job(*where, "embedding")}
    return found | ({"weights_only": Job(*where, "weights_only")} if split.tensor > 1 else {})


def _row(row: Asked, runs: Mapping[Job, Run], beside: Published | None) -> Row:
    did = {program: runs[job] for program, job in _jobs(row).items()}
    block, split = did["block"], row.split
    others = did.get("weights_only")
    energies = {name: token_mJ(split, row.context, block, others, standby) for name, standby in _ENERGIES.items()}
    took = vars(times(split, row.context, block.cycles, did["embedding"].cycles))
    values = {"pim_cycles": block.cycles, **took, **energies}
    return Row(row, values, dict(_named(beside)) if beside else None)


_ENERGIES = {
    "token_energy_mJ": Standby.CORRECTED,
    "token_energy_as_published_mJ": Standby.AS_PUBLISHED,
}


def _named(beside: Published) -> Iterator[tuple[str, float]]:
    """The published figures by the names of those that count as they do."""
    for name in FIGURES:
        value = beside.values[name]
        yield ("token_energy_as_published_mJ", value) if name == "token_energy_mJ" else (name, value)
