"""A valid sweep: a base configuration, the points around it, and what it is identified by."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pimsim
from pimsim.config.tree import plain
from pimsim.sweep.constraints import Filter
from pimsim.sweep.domains import Domain
from pimsim.sweep.objectives import Objective
from pimsim.sweep.space import Base, Request, Space

SCHEMA = "pimsim.sweep/1"
SAMPLERS = ("nsga2", "tpe", "random")


@dataclass(frozen=True)
class Search:
    """What `search:` asks for.

    trials  points to simulate; batch: how many are chosen before the results of any are known
    """

    trials: int
    seed: int
    batch: int
    sampler: str
    domains: Mapping[str, Domain]


@dataclass(frozen=True)
class Sweep:
    """A valid sweep: the base configuration with `set` on top, and the points around it."""

    name: str
    file: str
    base: Base
    space: Space
    filter: Filter
    objectives: tuple[Objective, ...]
    search: Search | None

    def request(self, point: Mapping[str, Any]) -> Request:
        """The configuration of a point."""
        return self.base.request(point)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary."""
        return tuple(self.search.domains) if self.search else self.space.keys

    @cached_property
    def base_sha256(self) -> str:
        """Hash of the base configuration, `set` included, and of the files that any point names."""
        return _sha256([plain(self.base.tree.entries), {path: _file_sha256(path) for path in sorted(self._files())}])

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides which points there are, in which order, and what they give."""
        tables = [[table.kind, table.keys, table.rows] for table in self.space.tables]
        expressions = [expression.text for expression in self.filter.expressions]
        goals = [[objective.name, objective.maximise] for objective in self.objectives]
        search = None if self.search is None else repr(_without_places(self.search))
        return _sha256([self.base_sha256, tables, expressions, goals, search, pimsim.__version__])

    def _files(self) -> Iterator[str]:
        """Files beside the configuration: traces, and baselines that are no names."""
        points = [row for table in self.space.tables for row in table.rows]
        traces = (self.request(row).trace for row in ({}, *points) if not row or "workload.trace" in row)
        yield from filter(os.path.isfile, traces)
        for values in (self.filter.defaults, *points):
            yield from (name for name in values.get("baselines", ()) if os.path.isfile(name))


def _without_places(search: Search) -> list[Any]:
    domains = [
        [key, *(getattr(domain, name, None) for name in ("values", "low", "high", "log", "whole"))]
        for key, domain in search.domains.items()
    ]
    return [search.trials, search.seed, search.batch, search.sampler, domains]


def _sha256(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_sha256(path: str) -> str:
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
