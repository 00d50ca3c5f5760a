"""The public functions: load a configuration, check it, run it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pimsim
from pimsim.baselines import BaselineDevice, devices, evaluate
from pimsim.config import loader
from pimsim.config.loader import Loaded, Origin, Overrides
from pimsim.config.schema import AnyConfig, Config
from pimsim.config.validate import check_rules
from pimsim.devices.plan import compile_plan
from pimsim.energy.model import action_costs
from pimsim.energy.power import spending
from pimsim.energy.reference import reference_warnings
from pimsim.errors import InputError, Problem
from pimsim.mapping.routing import routing_of
from pimsim.plots import Plots
from pimsim.results.result import Result
from pimsim.workload.models import MODELS
from pimsim.workload.positions import check_positions, position_warnings
from pimsim.workload.scheduled import scheduled, trace_warnings
from pimsim.workload.source import requested_workload

if TYPE_CHECKING:
    from pimsim.dram.log_size import Forecast
    from pimsim.sim.observer import Observer

Progress = Callable[[int, int], None]


class _Baselines(Collection[str]):
    """Names of shipped baselines; a path stands for a file, which is checked when it is read."""

    def __contains__(self, name: object) -> bool:
        return name in devices.available() or devices.is_path(str(name))

    def __iter__(self) -> Iterator[str]:
        return iter(devices.available())

    def __len__(self) -> int:
        return len(devices.available())


def known_names() -> dict[str, Collection[str]]:
    """The names that a configuration may use, by key."""
    return {"workload.model": tuple(MODELS), "baselines": _Baselines()}


def load(path: str | os.PathLike[str], overrides: Overrides | None = None) -> Loaded:
    """The configuration in a file, with where each value came from; InputError has every problem in it."""
    return loader.load(path, overrides, known_names(), scheduled)


def load_config(path: str | os.PathLike[str], overrides: Overrides | None = None) -> AnyConfig:
    """The configuration in a YAML file: a `Config`, or a `DeviceConfig` if its DRAM standard runs no language model.

    overrides  {"dram.channels": 4}, or strings as after --set: ["dram.channels=4"]
    InputError has every problem in it, each with file, line, column and key.
    """
    return load(path, overrides).config


# Each says what it finds odd before a simulation; `results.warnings` has those that need its figures.
_WARNERS: tuple[Callable[[Config], Iterable[Problem]], ...] = (trace_warnings, position_warnings, reference_warnings)


def warnings(config: AnyConfig) -> tuple[Problem, ...]:
    """What is odd about a configuration that loads, but no error: all that is known before it is simulated."""
    if not isinstance(config, Config):
        return ()
    return tuple(problem for warner in _WARNERS for problem in warner(config))


def language_model(config: AnyConfig) -> Config:
    """The same configuration; InputError if it has no language model to run."""
    if isinstance(config, Config):
        return config
    what = f"a memory of standard {config.dram.standard} runs no language model; use `{config.COMMAND}` instead"
    raise InputError(what, key="dram.standard")


def preflight(config: AnyConfig) -> None:
    """Everything that a simulation would refuse, before anything is simulated: InputError has all of it."""
    check_rules(config, known_names())
    if isinstance(config, Config):
        _preflight_run(config)


def _preflight_run(config: Config) -> None:
    problems: list[Problem] = []
    checks: tuple[Callable[[Config], object], ...] = (action_costs, compile_plan, check_positions, _evaluate_baselines)
    for check in checks:
        try:
            check(config)
        except InputError as error:
            problems += error.problems
    if problems:
        raise InputError(problems)


def _evaluate_baselines(config: Config) -> dict[str, dict[str, Any]]:
    asked, workload = config.workload, requested_workload(config)
    prompt, tokens, contexts = asked.prompt_tokens, asked.query_tokens, asked.decode_contexts
    routing = routing_of(config, workload)
    return {
        device.name: evaluate(device, workload, contexts, asked.batch, prompt, tokens, routing, asked.context)
        for device in _machines(config)
    }


def _machines(config: Config) -> list[BaselineDevice]:
    """The machines to compare with; InputError if one cannot be read, or two have one name in the results."""
    found: dict[str, BaselineDevice] = {}
    problems: list[Problem] = []
    for i, given in enumerate(config.baselines):
        try:
            device = devices.load(config.baseline_file(given))
        except InputError as error:
            problems += error.problems
            continue
        if device.name in found:
            message = f"{given!r} is named {device.name!r}, as another baseline is: results show them by their `name`"
            problems.append(Problem("", 0, 0, f"baselines.{i}", message))
        found[device.name] = device
    if problems:
        raise InputError(problems)
    return list(found.values())


@contextmanager
def _observers(
    config: Config, path: str | os.PathLike[str] | None, window_ns: tuple[float, float] | None
) -> Iterator[list[Observer]]:
    """Who watches a run: its timeline, if it has one."""
    if path is None:
        yield []
        return
    from pimsim.timeline.files import timeline

    with timeline(Path(path), config, window_ns) as watcher:
        yield [watcher]


def _report(result: Result) -> str:
    from pimsim.report import run_html  # jinja2: not for those who do not save

    return run_html(result)


def run(
    config: AnyConfig,
    provenance: Mapping[str, Origin] | None = None,
    *,
    log: str | os.PathLike[str] | None = None,
    timeline: str | os.PathLike[str] | None = None,
    window_ns: tuple[float, float] | None = None,
    progress: Progress | None = None,
    announce: Callable[[Forecast], object] | None = None,
) -> Result:
    """Simulate a configuration and price what happened.

    provenance  where each value came from, for `config.resolved.yaml`
    log         write every DRAM command to this file (.csv, .csv.gz or .parquet)
    timeline    write what happened when to this file (.json or .json.gz for Perfetto, .vcd for waveforms)
    window_ns   (start, end): limits the log and the timeline to this time
    progress    called with (tokens done, tokens in all)
    announce    called with how large the log will be, before it is written
    InputError if the configuration cannot be simulated, before anything is.
    """
    config = language_model(config)
    preflight(config)
    from pimsim.sim.run import simulate  # numba: not for those who only load or check

    started = time.perf_counter()
    with _observers(config, timeline, window_ns) as observers:
        path = None if log is None else Path(log)
        tally = simulate(config, progress, path, window_ns, observers, announce, spending(config)).validate()
    wall_s = time.perf_counter() - started
    baselines = _evaluate_baselines(config)
    workload, odd = requested_workload(config), warnings(config)
    return Result(config, tally, workload, pimsim.__version__, wall_s, baselines, provenance, Plots, _report, odd)
