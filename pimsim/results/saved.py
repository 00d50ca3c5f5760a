"""A result read back from the folder that it was written to."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.config.readback import Given, nested
from pimsim.config.resolved import config_sha256
from pimsim.config.schema import AnyConfig, Config
from pimsim.energy.model import table_of
from pimsim.errors import InputError
from pimsim.results.base import AnyResult, Comparing, PlotFactory
from pimsim.results.folder import Folder, read_folder
from pimsim.results.lines import Line, lines_of_groups
from pimsim.results.parts import Group
from pimsim.results.store import RESOLVED
from pimsim.results.tables import STEP, TEXTS

CHANGED = "what loads is not what ran: a file that it names, or the file itself, was changed"
Load = Callable[[Path], AnyConfig]


class SavedResult(AnyResult):
    """What `Result.save` wrote, to look at and to compare; it holds no simulation, so some plots are not there.

    directory  where it was read
    """

    def __init__(
        self, folder: Folder, load: Load, plots: PlotFactory | None = None, comparing: Comparing | None = None
    ) -> None:
        self.directory = folder.path
        self._folder, self._load = folder, load
        self.plots, self.comparing = plots, comparing

    @property
    def name(self) -> str:
        """That of the configuration."""
        return str(self._folder.inputs["name"].value)

    @property
    def summary(self) -> dict[str, Any]:
        """The content of `summary.json`."""
        return self._folder.summary

    @property
    def inputs(self) -> Mapping[str, Given]:
        """Every value of `config.resolved.yaml` by dotted key, with where it came from."""
        return self._folder.inputs

    @property
    def config(self) -> AnyConfig | dict[str, Any]:
        """The configuration; where it does not load again (`config_problem`), its values in a dict."""
        loaded, _ = self._config
        return nested(self.inputs) if loaded is None else loaded

    @property
    def config_problem(self) -> str:
        """Why the configuration does not load as it was, "" if it does.

        It names traces, machines and tables without their folders, so those have to lie beside it.
        """
        return self._config[1]

    @cached_property
    def _config(self) -> tuple[AnyConfig | None, str]:
        try:
            config = self._load(self.directory / RESOLVED)
            digest = table_of(config).digest if isinstance(config, Config) else ""
        except InputError as error:
            return None, str(error)
        if config_sha256(config, digest) != self.summary["config_sha256"]:
            return None, CHANGED
        return config, ""

    def _records(self, table: str) -> list[dict[str, Any]]:
        return [dict(row) for row in (self._folder.operators if table == "operators" else self._folder.tokens)]

    @cached_property
    def _columns(self) -> dict[str, NDArray[Any]]:
        rows = self._folder.tokens
        names = rows[0] if rows else STEP
        return {name: _column(name, [row[name] for row in rows]) for name in names}

    def token_columns(self) -> dict[str, NDArray[Any]]:
        """(steps,): a value per decode step in each column of `tokens.csv`."""
        return dict(self._columns)

    def lines(self) -> list[Line]:
        """Of a schedule, which decode steps make a line over the context.

        How many blocks a step runs is not in the table; steps that differ in nothing else are one line.
        """
        if "schedule" not in self.summary or not self._folder.tokens:
            return []
        numbers: dict[Group, int] = {}
        of_step = [numbers.setdefault(_group(row), len(numbers)) for row in self._folder.tokens]
        return lines_of_groups(list(numbers), np.array(of_step, np.int64), self._columns["context"])


def _column(name: str, values: list[Any]) -> NDArray[Any]:
    kind: Any = object if name in TEXTS else np.float64 if name.endswith("_ns") else np.int64
    return np.array(values, kind)


def _group(row: Mapping[str, Any]) -> Group:
    return Group(row["template"], "", "decode", row["part"], row["batch"], row["tokens"], 0)


def load_result(
    directory: str | os.PathLike[str],
    load: Load,
    plots: PlotFactory | None = None,
    comparing: Comparing | None = None,
) -> SavedResult:
    """The result in a folder; InputError has everything that is wrong with its files.

    load  reads a configuration; it is asked when somebody asks for the configuration
    """
    return SavedResult(read_folder(directory), load, plots, comparing)
