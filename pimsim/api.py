"""The public functions: load a configuration, check it, run it.

Each imports what it needs, so that a command which only loads a configuration waits for nothing else.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from pimsim.config.loader import Overrides
from pimsim.config.schema import AnyConfig, Config
from pimsim.loading import (
    Loaded,
    change,
    known_names,
    language_model,
    load,
    origins,
    read_energy,
    read_table,
)
from pimsim.running import (
    Keep,
    Prepared,
    PreparedSystem,
    Progress,
    anew,
    comparing,
    prepare,
    run,
    run_keeping,
    settled,
    warnings,
)

if TYPE_CHECKING:
    from pimsim.results.saved import SavedResult

__all__ = [
    "Keep", "Loaded", "Prepared", "PreparedSystem", "Progress", "anew", "change", "known_names", "language_model",
    "load", "load_config", "load_result", "origins", "preflight", "prepare", "read_energy", "read_table", "run",
    "run_keeping", "settled", "warnings",
]  # fmt: skip


def load_config(path: str | os.PathLike[str], overrides: Overrides | None = None) -> AnyConfig:
    """The configuration in a YAML file, or the shipped one of that name (`pimsim.configurations()`).

    It is a `Config`, or a `DeviceConfig` if its DRAM standard runs no language model; `with_` makes changed copies.
    overrides  {"dram.channels": 4}, or strings as after --set: ["dram.channels=4"]
    InputError has every problem in it, each with file, line, column and key.
    """
    return load(path, overrides).config


def preflight(given: AnyConfig | Loaded) -> None:
    """Everything that a simulation would refuse, before anything is simulated: InputError has all of it."""
    config = given.config if isinstance(given, Loaded) else given
    if isinstance(config, Config):
        prepare(given)
    elif config is given:
        from pimsim.config.validate import check_rules

        check_rules(config, known_names())


def load_result(directory: str | os.PathLike[str]) -> SavedResult:
    """The result in the folder that `pimsim run --out` or `Result.save` wrote: its figures, tables and plots.

    InputError with everything that is wrong with its files.  `SavedResult.config` is the configuration where it
    loads again: the traces, machines and tables that it names have to lie beside it.
    """
    from pimsim.plots import Plots
    from pimsim.results import saved

    return saved.load_result(directory, load_config, Plots, comparing)
