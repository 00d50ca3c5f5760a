"""The public functions: load a configuration, check it, run it.

Each imports what it needs, so that a command which only loads a configuration waits for nothing else.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING

from pimsim.config.loader import Origin, Overrides
from pimsim.config.schema import AnyConfig, Config
from pimsim.errors import InputError, Problem
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
from pimsim.running import alone
from pimsim.running.alone import Progress, settled
from pimsim.running.asked import ask, trace_of, warnings
from pimsim.running.keep import Keep, anew
from pimsim.running.prepared import Prepared, PreparedSystem

if TYPE_CHECKING:
    from pimsim.logs.log_size import Forecast
    from pimsim.results.result import Result
    from pimsim.results.saved import SavedResult
    from pimsim.sim.observer import Observer
    from pimsim.workload.graph import Workload

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
    if not isinstance(path, str | os.PathLike):
        kind = type(path).__name__
        raise TypeError(f"load_config takes a name or a file, then changes by dotted key, not {kind!r} first")
    return load(path, overrides).config


def preflight(given: AnyConfig | Loaded) -> None:
    """Everything that a simulation would refuse, before anything is simulated: InputError has all of it."""
    config = given.config if isinstance(given, Loaded) else given
    if isinstance(config, Config):
        prepare(given)
    elif config is given:
        from pimsim.config.validate import check_rules

        check_rules(config, known_names())


def prepare(
    given: AnyConfig | Loaded,
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
    keep: Keep = anew,
    checked: bool = False,
    graph: Workload | None = None,
    advise: bool = True,
) -> Prepared:
    """Make what a simulation needs; InputError has everything that it would refuse.

    given    a configuration, or what `load` gave, whose rules it has checked and whose trace it has read
    tell     called with what is odd about the input, also where it is refused
    keep     who has parts of runs before
    checked  the rules of a configuration are known to hold
    graph    a model to run in the place of the one that the configuration names
    advise   where the memory is too small, look for the smallest system that is not
    """
    from pimsim.config.validate import check_rules

    config = language_model(given.config if isinstance(given, Loaded) else given)
    if not (checked or isinstance(given, Loaded)):
        check_rules(config, known_names())
    asked = ask(config, lambda: given.trace if isinstance(given, Loaded) else trace_of(config, keep), keep, graph, tell)
    if config.system.several:
        from pimsim.running import several

        return several.prepare(asked, keep, advise)
    return alone.prepare(asked, keep, advise=advise and graph is None)


def run(
    config: AnyConfig | Prepared,
    provenance: Mapping[str, Origin] | None = None,
    *,
    log: str | os.PathLike[str] | None = None,
    timeline: str | os.PathLike[str] | None = None,
    window_ns: tuple[float, float] | None = None,
    progress: Progress | None = None,
    announce: Callable[[Forecast], object] | None = None,
    watching: Sequence[Observer] = (),
) -> Result:
    """Simulate a configuration, or what was prepared of it, and price what happened.

    provenance  where each value came from, for `config.resolved.yaml` (default: as it was loaded)
    log         write every DRAM command to this file (.csv, .csv.gz or .parquet)
    timeline    write what happened when to this file (.json or .json.gz for Perfetto, .vcd for waveforms)
    window_ns   (start, end): limits the log and the timeline to this time
    progress    called with (tokens done, tokens in all)
    announce    called with how large the log will be, before it is written
    watching    who else sees every command and every instruction (`sim.observer`)
    InputError if the configuration cannot be simulated, before anything is; TypeError if it is none.
    """
    _check_window(window_ns)
    prepared = config if isinstance(config, Prepared) else prepare(config)
    if provenance is not None and not isinstance(provenance, Mapping):
        raise TypeError(f"provenance is a mapping of keys, not {provenance!r}; a file for the commands is log=FILE")
    shown = None if timeline is None else (timeline, window_ns)
    if isinstance(prepared, PreparedSystem):
        from pimsim.running import several

        unasked = {"--commands (log)": log, "watching": watching}
        return several.run(prepared, anew, provenance, unasked, progress, shown)
    path = None if log is None else Path(log)
    return alone.run(prepared, provenance, path, shown, window_ns, progress, announce, watching)


def _check_window(window_ns: object) -> None:
    """InputError for what is no time from a start to an end."""
    if window_ns is None:
        return
    try:
        start, end = map(float, window_ns)  # type: ignore[call-overload]
    except (TypeError, ValueError):
        start = end = 0.0
    if not 0 <= start < end < inf:
        raise InputError(f"must be (start, end) in ns with 0 <= start < end, not {window_ns}", key="window_ns")


def run_keeping(config: AnyConfig, keep: Keep, checked: bool = False, graph: Workload | None = None) -> Result:
    """As `run`, with the parts that `keep` has from runs before; checked, graph: as of `prepare`.

    What was counted is priced anew, and laid out anew for its busiest window.
    """
    # a sweep has many points that do not fit
    prepared = prepare(config, keep=keep, checked=checked, graph=graph, advise=False)
    if isinstance(prepared, PreparedSystem):
        from pimsim.running import several

        return several.run(prepared, keep)
    return alone.run_keeping(prepared, keep)


def load_result(directory: str | os.PathLike[str]) -> SavedResult:
    """The result in the folder that `pimsim run --out` or `Result.save` wrote: its figures, tables and plots.

    InputError with everything that is wrong with its files.  `SavedResult.config` is the configuration where it
    loads again: the traces, machines and tables that it names have to lie beside it.
    """
    from pimsim.plots import Plots
    from pimsim.results import saved
    from pimsim.running.outcome import comparing

    return saved.load_result(directory, load_config, Plots, comparing)
