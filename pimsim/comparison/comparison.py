"""Runs side by side, as numbers: what differs in the inputs, then in the results, and what that is made of."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pimsim.comparison import figures, inputs, parts, warn
from pimsim.comparison.names import check, named
from pimsim.comparison.operators import operators
from pimsim.comparison.runs import Run
from pimsim.comparison.scope import Scope, same_size
from pimsim.errors import InputError, did_you_mean
from pimsim.results.base import AnyResult, data_frame
from pimsim.results.summary import to_json

if TYPE_CHECKING:
    import pandas

    from pimsim.comparison.draw import ComparisonPlots

SCHEMA = "pimsim.comparison/1"
TABLES = ("inputs", "results", "causes", "components", "operators", "commands", "baselines")
SUFFIXES = (".html", ".png", ".pdf", ".svg")


class Comparison:
    """Runs beside the one that they are compared with.

    runs  at least two; base: which of them is the one that differences and ratios are to
    """

    def __init__(self, runs: Sequence[Run], base: int = 0) -> None:
        check(len(runs), base)
        self.runs, self.base = tuple(runs), base % len(runs)

    @classmethod
    def of(
        cls,
        results: Sequence[AnyResult],
        names: Sequence[str] | None = None,
        base: int = 0,
        made: Sequence[str] = (),
    ) -> Comparison:
        """A comparison of results.  ValueError where there are fewer than two, or names that do not tell them apart.

        names  of the runs; by default those of their configurations, with what differs where these are equal
        made   how to get each run: a command, or the folder that it was read from
        """
        if wrong := [each for each in results if not isinstance(each, AnyResult)]:
            raise TypeError(f"results are compared, as run and load_result give them, not {wrong[0]!r}")
        runs = [Run("", result, made[at] if made else "") for at, result in enumerate(results)]
        return cls(named(runs, names), base)

    @property
    def names(self) -> list[str]:
        """Those of the runs, in their order."""
        return [run.name for run in self.runs]

    @cached_property
    def scope(self) -> Scope:
        """What figures of parts are taken over."""
        return Scope.of(self.runs)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The comparison in JSON's types, as `pimsim compare --json` prints it: the same text on every run."""
        runs, base, scope, size = self.runs, self.base, self.scope, same_size(self.runs)
        differing = inputs.differences(runs)
        found: dict[str, Any] = {
            "schema": SCHEMA,
            "base": base,
            "runs": [_said(run) for run in runs],
            "warnings": warn.warnings(runs, differing, scope),
            "work": warn.work(runs),
            "inputs": [each.record() for each in differing],
            "known_differently": [each.record() for each in inputs.known_differently(runs)],
            "scope": asdict(scope) | {"words": scope.words, "tokens": list(scope.tokens)},
            "results": figures.results(runs, base, scope),
            "causes": parts.causes(runs, base, scope),
            "components": parts.components(runs, base, scope),
            "operators": operators(runs, base, scope),
            "commands": figures.commands(runs, base, size),
            "baselines": figures.baselines(runs, base),
        }
        return found | {"equal": not differing and not found["work"] and not any(_unequal(found))}

    def to_json(self) -> str:
        """The summary as text, in the form of `summary.json`."""
        return to_json(self.summary)

    def records(self, table: str) -> list[dict[str, Any]]:
        """The rows of a table with a column per run, named after it; ValueError for a table that there is not.

        Where a run is named as another column is, the columns of all runs are `run NAME`.
        """
        if table not in TABLES:
            hint = did_you_mean(table, TABLES) or f"; there are {', '.join(map(repr, TABLES))}"
            raise ValueError(f"no table {table!r}{hint}")
        rows = self.summary[table]
        if table in ("causes", "components"):
            rows = [*rows["rows"], {table[:-1]: "total", **rows["total"]}]
        clash = any(_has_twice(key for key, _ in _flat(row, self.names)) for row in rows)
        names = [f"run {name}" for name in self.names] if clash else self.names
        return [dict(_flat(row, names)) for row in rows]

    def to_frame(self, table: str = "results") -> pandas.DataFrame:
        """A table as a pandas data frame; ImportError, saying what to install, without pandas."""
        return data_frame(self.records(table))

    @property
    def plot(self) -> ComparisonPlots:
        """The figures: `comparison.plot.latency()`, `.energy()`, `.operators()`."""
        from pimsim.comparison.draw import ComparisonPlots

        return ComparisonPlots(self.summary)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the comparison as a page (.html) or as a figure (.png, .pdf, .svg); InputError for another suffix."""
        from pimsim import files

        if wrong := wrong_suffix(path):
            raise InputError(wrong, key="--out")
        suffix = os.path.splitext(os.fspath(path))[1].lower()
        if suffix == ".html":
            from pimsim.comparison.page import page

            content = page(self.summary).encode()
        else:
            content = self.plot.written(suffix[1:])
        files.write_bytes(path, content)

    def __str__(self) -> str:
        """As `pimsim compare` prints it, in 80 columns."""
        from pimsim.comparison.terminal import lines

        return "\n".join("".join(text for text, _ in line).rstrip() for line in lines(self.summary))

    def __repr__(self) -> str:
        return f"<Comparison of {', '.join(self.names)}>"

    def _repr_html_(self) -> str:
        """Small tables for notebooks; plain HTML, nothing from the network."""
        from pimsim.comparison.notebook import html

        return html(self.summary)


def wrong_suffix(path: str | os.PathLike[str]) -> str:
    """What is said of a file that is neither page nor figure, "" of one that is."""
    suffix = os.path.splitext(os.fspath(path))[1]
    if suffix.lower() in SUFFIXES:
        return ""
    *others, last = SUFFIXES
    return f"must end in {', '.join(others)} or {last}, not {os.fspath(path)!r}{did_you_mean(suffix, SUFFIXES)}"


def _said(run: Run) -> dict[str, Any]:
    """What a run is."""
    summary = run.summary
    return {
        "name": run.name,
        "config": run.config_name,
        "made": run.made,
        "ran": run.ran,
        "pimsim_version": summary["pimsim_version"],
        "config_sha256": summary["config_sha256"],
        "trace_sha256": summary["trace_sha256"],
        "workload": dict(summary["workload"]),
        "tCK_ps": run.tCK_ps,
        "warnings": list(run.warnings),
    }


def _unequal(found: Mapping[str, Any]) -> Iterator[bool]:
    """Whether the values of each row differ."""
    for table in ("results", "commands", "baselines"):
        yield from (len(set(row["values"])) > 1 for row in found[table])
    for row in found["operators"]:
        yield from (len(set(row[figure]["values"])) > 1 for figure in ("latency", "energy"))


def _has_twice(keys: Iterable[str]) -> bool:
    found = list(keys)
    return len(set(found)) < len(found)


def _flat(row: Mapping[str, Any], names: Sequence[str], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """A row with a column for each run in the place of each list."""
    for key, value in row.items():
        if key in ("causes", "components"):
            continue
        if isinstance(value, Mapping):
            yield from _flat(value, names, f"{prefix}{key} ")
        elif key == "of":
            yield key, ", ".join(value)
        elif isinstance(value, list):
            said = _COLUMNS.get(key, f"{key} ")
            yield from ((f"{prefix}{said}{name}", each) for name, each in zip(names, value, strict=True))
        else:
            yield f"{prefix}{key}", value


_COLUMNS = {"values": "", "differences": "difference ", "ratios": "ratio ", "exact_differences": "exact difference "}
