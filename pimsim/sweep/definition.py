"""A valid sweep: a base configuration, the points around it, and what it is identified by."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from os.path import normpath
from typing import Any

import pimsim
from pimsim.config.shipped import TRACES, written
from pimsim.config.tree import plain
from pimsim.held import Held, holding
from pimsim.sweep.accuracy import Accuracy
from pimsim.sweep.constraints import Filter
from pimsim.sweep.domains import Domain
from pimsim.sweep.objectives import Objective
from pimsim.sweep.space import Base, PointRequest, Space

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
    """A valid sweep: the base configuration with `set` on top, and the points around it.

    files  contents of the traces and baseline files that points name, read when the sweep was loaded
    accuracy  a model's weights, which run at every point, and the text that it is measured on
    """

    name: str
    file: str
    base: Base
    space: Space
    filter: Filter
    objectives: tuple[Objective, ...]
    search: Search | None
    files: Held = field(default_factory=dict, repr=False)
    accuracy: Accuracy | None = None

    def request(self, point: Mapping[str, Any]) -> PointRequest:
        """The configuration of a point, with the hashes of the files that it reads."""
        with holding(self.files):
            request = self.base.request(point)
        files = {name: self._digests.get(name) for name in map(normpath, request.named_files())}
        return replace(request, files=files, shape=self.accuracy.weights.shape if self.accuracy else None)

    @cached_property
    def contents(self) -> dict[str, bytes]:
        """What the files held when the sweep was loaded, by SHA-256."""
        return {_file_sha256(content): content for content in self.files.values() if content is not None}

    @cached_property
    def _digests(self) -> dict[str, str | None]:
        return {path: None if content is None else _file_sha256(content) for path, content in self.files.items()}

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary."""
        return tuple(self.search.domains) if self.search else self.space.keys

    @cached_property
    def base_sha256(self) -> str:
        """Hash of the base configuration, `set` included, and of the files that any point names."""
        measured = [self.accuracy.sha256] if self.accuracy else []
        named = {written(path, TRACES): digest for path, digest in self._digests.items()}
        return _sha256([plain(self.base.tree.entries), dict(sorted(named.items())), *measured])

    @cached_property
    def sha256(self) -> str:
        """Hash of everything that decides which points there are, in which order, and what they give."""
        tables = [[table.kind, table.keys, table.rows] for table in self.space.tables]
        expressions = [expression.text for expression in self.filter.expressions]
        goals = [[objective.name, objective.maximise] for objective in self.objectives]
        search = None if self.search is None else repr(_without_places(self.search))
        return _sha256([self.base_sha256, tables, expressions, goals, search, pimsim.__version__])


def named_files(base: Base, space: Space, search: Search | None) -> Iterator[str]:
    """Every file that a point may read, some of them several times."""
    rows: list[Mapping[str, Any]] = [{}, *(row for table in space.tables for row in table.rows)]
    for key, domain in search.domains.items() if search else ():
        rows += ({key: value} for value in getattr(domain, "values", ()))
    naming = ({key: value for key, value in row.items() if _names_files(key)} for row in rows)
    for row in {repr(row): row for row in naming}.values():
        yield from base.request(row).named_files()


def _names_files(key: str) -> bool:
    """Whether a key, or a section, can name a file."""
    sections = ("baselines", "workload", "dram", "dram.standard", "energy", "energy.table")
    return key in sections or key.startswith("workload.trace")


def _without_places(search: Search) -> list[Any]:
    domains = [
        [key, *(getattr(domain, name, None) for name in ("values", "low", "high", "log", "whole"))]
        for key, domain in search.domains.items()
    ]
    return [search.trials, search.seed, search.batch, search.sampler, domains]


def _sha256(content: Any) -> str:
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def _file_sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
