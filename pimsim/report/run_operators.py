"""The operators of a run as its page has them: layers of one kind together, each with a name for its address."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from pimsim.report.values import tips
from pimsim.results.folding import Fold, folded, folds
from pimsim.results.headline import count_text, energy_text, percent, size, time_text
from pimsim.results.metrics import nanoseconds, ratio
from pimsim.results.result import Result
from pimsim.results.within import TooLong, Within, within
from pimsim.sim.tally import OperatorTally

# Columns of `operators.csv` that the page has; what comes between them is made of them.
_FIGURES = ("count", "cycles", "latency_ns", "energy_pJ", "macs", "pin_bytes", "payload_bytes")
_LONGEST = 26  # letters beside a bar
_SHARED = {"latency_ns": "latency", "energy_pJ": "energy"}  # whose share of the run is beside them
_WRITTEN = {"macs": "MACs"}
_TEXTS: Mapping[str, Callable[[Any], str]] = {
    "latency_ns": time_text, "energy_pJ": energy_text, "macs": count_text, "pin_bytes": size, "payload_bytes": size,
}  # fmt: skip


@dataclass(frozen=True)
class Operator:
    """One kind of operator in a phase and part: all its layers.

    key    in the page's address; said: as people read it
    label  beside a bar: without its phase where there is one alone, and not longer than that fits
    energy pJ by component
    """

    key: str
    label: str
    said: str
    row: OperatorTally
    latency_ns: float
    latency: Mapping[str, float]
    energy: Mapping[str, float]

    @cached_property
    def energy_pJ(self) -> float:
        """All of it."""
        return sum(self.energy.values())


class Operators:
    """All of them, in the order in which they come up.

    result  with a row for each of them; folds: which rows of the run each one has
    """

    def __init__(self, result: Result) -> None:
        self.of_run = result
        self.folds = folds(result.tally.rows)
        self.result = replace(result, tally=folded(result.tally), priced_at=result.prices)
        self.all = [self._operator(number, *names) for number, names in enumerate(_names(self.folds))]

    def _operator(self, number: int, said: str, label: str) -> Operator:
        tally, fold = self.result.tally, self.folds[number]
        row, price = tally.rows[number], self.result.energy.rows[number]
        latency = {cause: nanoseconds(clocks, tally.tCK_ps) for cause, clocks in row.causes.items()}
        return Operator(
            " ".join(filter(None, (fold.phase, fold.part, fold.operator))),
            label,
            said,
            row,
            nanoseconds(row.cycles, tally.tCK_ps),
            latency,
            {component: float(value) for component, value in price.components.items()},
        )

    def of_row(self, phase: str, part: str, operator: str) -> Operator:
        """The one that has a row of the run."""
        return self.all[self._places[phase, part, operator]]

    @cached_property
    def within(self) -> Within | TooLong | None:
        """How busy banks and buses are while the last step runs."""
        return within(self.of_run)

    @cached_property
    def _places(self) -> dict[tuple[str, str, str], int]:
        rows = self.of_run.tally.rows
        return {(rows[i].phase, rows[i].part, rows[i].operator): at for at, f in enumerate(self.folds) for i in f.rows}

    def table(self) -> dict[str, Any]:
        """Columns and rows of the page's table; a row that has layers comes before theirs, which are folded away."""
        parts = self.of_run.schedule is not None
        whole, members = self.result.records("operators"), self.of_run.records("operators")
        columns = {name: [record[name] for record in whole] for name in _SHARED}
        of_whole, of_members = tips(self.of_run, whole), tips(self.of_run, members)
        rows = []
        for operator, fold, record, tip in zip(self.all, self.folds, whole, of_whole, strict=True):
            layers = len(fold.rows) if len(fold.rows) > 1 else 0
            rows.append(_row(operator.key, record, columns, tip, parts) | {"layers": layers, "under": ""})
            rows += [
                _row(operator.key, members[i], columns, of_members[i], parts) | {"layers": 0, "under": operator.key}
                for i in (fold.rows if layers else ())
            ]
        return {"columns": _columns(parts), "texts": 3 if parts else 2, "rows": rows}


def _names(folds: Sequence[Fold]) -> list[tuple[str, str]]:
    """What each is called, in full and beside a bar: names that are cut are so only where they stay different."""
    said = [f"{fold.operator} ({fold.part or fold.phase})" for fold in folds]
    labels = said if len({(fold.phase, fold.part) for fold in folds}) > 1 else [fold.operator for fold in folds]
    cut = [text if len(text) <= _LONGEST else f"{text[: _LONGEST // 2]}…{text[-(_LONGEST // 2) :]}" for text in labels]
    return list(zip(said, cut if len(set(cut)) == len(set(labels)) else labels, strict=True))


def _columns(parts: bool) -> list[tuple[str, str]]:
    """(heading, name in a CSV file) of each column."""
    found = [(name, name) for name in (("operator", "phase", "part") if parts else ("operator", "phase"))]
    for name in _FIGURES:
        found.append(((_SHARED | _WRITTEN).get(name, name), name))
        if name in _SHARED:
            found.append(("share", f"{_SHARED[name]}_share"))
    return found


def _row(
    key: str, record: Mapping[str, Any], columns: Mapping[str, Sequence[float]], tip: str, parts: bool
) -> dict[str, Any]:
    """columns: of all operators, what shares are of."""
    cells: list[dict[str, Any]] = [{"text": record[name]} for name in (("phase", "part") if parts else ("phase",))]
    for name in _FIGURES:
        value = record[name]
        cells.append({"value": value, "text": _TEXTS.get(name, "{:,}".format)(value) if value else "0"})
        if name in _SHARED:
            share, longest = ratio(value, sum(columns[name])), ratio(value, max(columns[name]))
            cells.append({"value": share, "text": percent(share), "bar": f"{longest:.3f}"})
    return {"key": key, "operator": record["operator"], "tip": tip, "cells": cells}


def ranked(operators: Sequence[Operator], figure: str, most: int) -> tuple[list[Operator], list[Operator]]:
    """Those that take most, and the others; of a single one that is left over it is not "others"."""
    order = sorted((o for o in operators if getattr(o, figure)), key=lambda o: -getattr(o, figure))
    return (order, []) if len(order) <= most + 1 else (order[:most], order[most:])
