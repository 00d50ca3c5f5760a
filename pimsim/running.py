"""Runs: what a simulation needs, made once; the simulation; what comes out of it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import pimsim
from pimsim.config.loader import Origin
from pimsim.config.schema import AnyConfig, Config
from pimsim.errors import InputError, Problem, collected
from pimsim.held import held
from pimsim.loading import Loaded, known_names, language_model, models_by_name, origins

if TYPE_CHECKING:
    from pimsim.baselines.arrangement import Arrangement
    from pimsim.baselines.devices import BaselineDevice
    from pimsim.comparison import Comparison
    from pimsim.energy.model import Prices
    from pimsim.logs.log_size import Forecast
    from pimsim.mapping.fabric import Fabric
    from pimsim.mapping.plan import Plan
    from pimsim.results.base import AnyResult
    from pimsim.results.result import Result
    from pimsim.sim.ledger import Ledger
    from pimsim.sim.observer import Observer
    from pimsim.sim.tally import Tally
    from pimsim.systems.shares import Layout
    from pimsim.systems.together import Together
    from pimsim.systems.wiring import Wiring
    from pimsim.workload.graph import Workload
    from pimsim.workload.schedule import Schedule
    from pimsim.workload.trace.records import Trace

T = TypeVar("T")
Progress = Callable[[int, int], None]
_Shown = tuple[str | os.PathLike[str], tuple[float, float] | None]  # a file, and the window that it shows


class Keep(Protocol):
    """Who makes the parts of a run, or has them from a run before."""

    def __call__(self, kind: str, key: Hashable | None, make: Callable[[], T]) -> T:
        """A part of some kind: what `make` gives, or gave for an equal key; without a key nothing is equal."""


def anew(kind: str, key: Hashable | None, make: Callable[[], T]) -> T:
    """Make every part."""
    return make()


def warnings(config: AnyConfig) -> tuple[Problem, ...]:
    """What is odd about a configuration that loads, but no error: all that is known before it is simulated."""
    if not isinstance(config, Config):
        return ()
    from pimsim.workload.source import requested_trace, requested_workload

    trace = requested_trace(config)
    schedule = _requested_schedule(config, trace)
    workload = schedule.main.workload if schedule else requested_workload(config, trace)
    return _odd(config, trace, workload, schedule)


def _odd(config: Config, trace: Trace | None, workload: Workload, schedule: Schedule | None) -> tuple[Problem, ...]:
    """As `warnings`; `results.warnings` has those that need the figures of a simulation."""
    from pimsim.config import placing
    from pimsim.energy.reference import reference_warnings
    from pimsim.workload.formats import format_warnings
    from pimsim.workload.keeping import state_warnings
    from pimsim.workload.positions import position_warnings

    of_trace: Iterator[Problem] = iter(())
    if trace:
        from pimsim.workload.scheduled import trace_warnings

        of_trace = trace_warnings(config, trace)
    told = (Problem("", 0, 0, "workload.trace", text) for text in (schedule.warnings if schedule else ()))
    of_graphs = (warn(config, workload, schedule) for warn in (position_warnings, state_warnings))
    formats = format_warnings(config, workload)
    of_config = (*placing.idle(config), *reference_warnings(config))
    return (*of_trace, *told, *(odd for each in of_graphs for odd in each), *formats, *of_config)


@dataclass(frozen=True)
class Prepared:
    """A run that nothing refuses, with all that is known of it before it is simulated; each part is made once.

    plan       with the part of the configuration that a simulation reads (`sim.inputs`)
    key        equal for runs that count the same, None if that cannot be told
    prices     what its actions cost
    baselines  by name, as `pimsim.baselines` evaluates them
    odd        what is odd about the input, but no error
    arranged   what another machine beside the memory does, if there is one
    """

    config: Config
    plan: Plan
    key: Hashable | None
    prices: Prices
    baselines: Mapping[str, Mapping[str, Any]]
    odd: tuple[Problem, ...]
    arranged: Arrangement | None = field(default=None, kw_only=True)


def prepare(
    given: AnyConfig | Loaded,
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
    keep: Keep = anew,
    checked: bool = False,
    graph: Workload | None = None,
    fabric: Fabric | None = None,
    parts: int = 1,
    advise: bool = True,
) -> Prepared:
    """Make what a simulation needs; InputError has everything that it would refuse.

    given    a configuration, or what `load` gave, whose rules it has checked and whose trace it has read
    tell     called with what is odd about the input, also where it is refused
    keep     who has parts of runs before
    checked  the rules of a configuration are known to hold
    graph    a model to run in the place of the one that the configuration names
    fabric   the links to the devices with which the graph is shared
    parts    of a batch that are in a pipeline at once, of which the configuration runs one
    advise   where the memory is too small, look for the smallest system that is not
    """
    from pimsim.config.validate import check_rules
    from pimsim.devices.plan import compile_plan
    from pimsim.devices.registry import resolve
    from pimsim.energy.model import MachinePower, Prices
    from pimsim.sim.inputs import Same, key_of, simulated
    from pimsim.workload.positions import check_positions
    from pimsim.workload.source import requested_workload

    config = language_model(given.config if isinstance(given, Loaded) else given)
    if not (checked or isinstance(given, Loaded)):
        check_rules(config, known_names())
    problems: list[Problem] = []
    schedule, workload = None, graph  # where a trace is refused there is no other
    device = resolve(config.dram, config.pim)
    with collected(problems):
        prices = Prices.of(config, device)
    with collected(problems):
        trace = None
        if graph is None:
            trace = given.trace if isinstance(given, Loaded) else _requested_trace(config, keep)
        schedule = None if graph else _requested_schedule(config, trace)
        workload = graph or (schedule.main.workload if schedule else None)
        workload = workload or keep("workload", _source_of(config, trace), lambda: requested_workload(config, trace))
        odd = _odd(config, trace, workload, schedule)
        if tell:
            tell(odd)
        if config.system.several and fabric is None:
            return _prepare_system(config, workload, keep, odd, schedule, advise)
        part = simulated(config, workload)
        key, beside = key_of(part, workload, device, schedule), None
        with collected(problems):
            beside = _arranged(config, workload, schedule)
            key = key if beside is None or key is None else (key, Same(beside.device))
            key = key if parts == 1 or key is None else (key, parts)
            how = beside.beside if beside else None
            plan = keep("plan", key, lambda: compile_plan(part, workload, device, config, schedule, fabric, how, parts))
        with collected(problems):
            check_positions(config, workload, schedule)
        with collected(problems):
            baselines = _evaluate_baselines(config, workload, keep, schedule)
    alone = not config.system.several and not config.placement.key
    if problems and graph is None and workload and schedule is None and advise and alone:
        from pimsim.systems.capacity import told_what_fits

        raise InputError(told_what_fits(config, workload, problems))
    if problems:
        raise InputError(problems)
    prices = prices.beside(MachinePower(*beside.device.watts, beside.loads)) if beside else prices
    return Prepared(config, plan, key, prices, baselines, odd, arranged=beside)


def _arranged(config: Config, workload: Workload, schedule: Schedule | None) -> Arrangement | None:
    """What another machine beside the memory does, if there is one."""
    if not config.placement.key:
        return None
    from pimsim.baselines.arrangement import arranged  # not for those who have none

    return arranged(config, workload, schedule)


@dataclass(frozen=True)
class PreparedSystem(Prepared):
    """The same of several devices that share the model; plan: of the first.

    layout   what each of them runs; members: the runs of its shares, in their order (None: it only waits)
    graph    the whole model
    """

    layout: Layout
    members: tuple[Prepared | None, ...]
    wiring: Wiring
    graph: Workload


def _prepare_system(
    config: Config,
    workload: Workload,
    keep: Keep,
    odd: tuple[Problem, ...],
    schedule: Schedule | None,
    advise: bool,
) -> PreparedSystem:
    """InputError with everything that is wrong with any device, and with the smallest system that would do."""
    from pimsim.systems.capacity import told_what_fits
    from pimsim.systems.shares import check_system, layout_of, system_warnings
    from pimsim.systems.wiring import Wiring

    check_system(config, schedule)
    layout, problems = layout_of(config, workload), list[Problem]()
    wiring = Wiring(config, layout.groups)
    members: list[Prepared | None] = []
    for share in layout.shares:
        with collected(problems):
            own = share.config(config)
            made = partial(prepare, own, None, keep, True, share.workload, wiring, layout.in_flight)
            members.append(None if share.idle else made())
    if problems:
        told = list(dict.fromkeys(problems))
        raise InputError(told_what_fits(config, workload, told) if advise else told)
    first = members[0]
    assert first is not None
    odd = (*odd, *system_warnings(config, layout))
    baselines = _evaluate_baselines(config, workload, keep, schedule)
    prices = replace(first.prices, config=config)
    return PreparedSystem(config, first.plan, None, prices, baselines, odd, layout, tuple(members), wiring, workload)


def _requested_schedule(config: Config, trace: Trace | None) -> Schedule | None:
    """The steps of a trace, where they are more than plain decoding."""
    if trace is None:
        return None
    from pimsim.workload.scheduled import requested_schedule

    return requested_schedule(config, trace)


def _requested_trace(config: Config, keep: Keep) -> Trace | None:
    """The trace of a configuration; of a file that is held, its content says which it is."""
    from pimsim.workload.source import requested_trace

    content = None if config.workload.trace is None else held(config.workload.trace_file)
    key = None if content is None else (config.workload.trace_file, content)
    return keep("trace", key, lambda: requested_trace(config))


def _source_of(config: Config, trace: Trace | None) -> Hashable | None:
    """What `requested_workload` makes a graph of; None if it is not known."""
    from pimsim.sim.inputs import Same

    work = config.workload
    formats = work.weight_format, work.weight_group, work.kv_format, work.activation_format, config.pim.native
    if work.model_config_ is not None:
        return work.model_config_, work.lm_head, formats
    if trace is not None:
        return Same(trace), work.lm_head, formats
    return None if work.model is None else (models_by_name()[work.model], work.lm_head, formats)


def _evaluate_baselines(
    config: Config, workload: Workload, keep: Keep, schedule: Schedule | None
) -> dict[str, dict[str, Any]]:
    from pimsim.baselines.asked import Asked
    from pimsim.sim.inputs import Same

    asked = Asked(config, workload, schedule)
    return {
        device.name: keep("baseline", (Same(device), asked.key), partial(asked.of, device))
        for device in _machines(config)
    }


def _machines(config: Config) -> list[BaselineDevice]:
    """The machines to compare with; InputError if one cannot be read, or two have one name in the results."""
    from pimsim.baselines import devices

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


def settled(prepared: Prepared, keep: Keep = anew) -> Prepared:
    """The same run with what it chooses for itself by simulating: whether its attentions go by heads."""
    if prepared.plan.config.mapping.attention != "auto":
        return prepared
    from pimsim.sim import run as runs

    plan = prepared.plan
    chosen = keep("attention", prepared.key, lambda: runs.settled(plan).attentions[0])
    return replace(prepared, plan=plan.attending(chosen))


@contextmanager
def _observers(
    prepared: Prepared, path: str | os.PathLike[str] | None, window_ns: tuple[float, float] | None
) -> Iterator[list[Observer]]:
    """Who watches a run: its timeline, if it has one."""
    if path is None:
        yield []
        return
    from pimsim.timeline.files import timeline

    with timeline(Path(path), prepared.plan, prepared.prices, window_ns) as watcher:
        yield [watcher]


def _report(result: Result) -> str:
    from pimsim.report import run_html  # jinja2: not for those who do not save

    return run_html(result)


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
    InputError if the configuration cannot be simulated, before anything is.
    """
    prepared = config if isinstance(config, Prepared) else prepare(config)
    if isinstance(prepared, PreparedSystem):
        shown = None if timeline is None else (timeline, window_ns)
        return _run_system(prepared, anew, provenance, {"--commands (log)": log, "watching": watching}, progress, shown)
    from pimsim.energy.power import spending
    from pimsim.sim.run import simulate  # simpy: not for those who only load or check

    started = time.perf_counter()
    prepared = settled(prepared)
    plan, prices = prepared.plan, prepared.prices
    with _observers(prepared, timeline, window_ns) as observers:
        path = None if log is None else Path(log)
        watched = [*observers, *watching]
        tally = simulate(plan, progress, path, window_ns, watched, announce, spending(prices), course=True).validate()
    known = origins(prepared.config) if provenance is None else provenance
    return _result(prepared, tally, time.perf_counter() - started, known)


def run_keeping(config: AnyConfig, keep: Keep, checked: bool = False, graph: Workload | None = None) -> Result:
    """As `run`, with the parts that `keep` has from runs before; checked, graph: as of `prepare`.

    What was counted is priced anew, and laid out anew for its busiest window.
    """
    # a sweep has many points that do not fit
    prepared = prepare(config, keep=keep, checked=checked, graph=graph, advise=False)
    if isinstance(prepared, PreparedSystem):
        return _run_system(prepared, keep)
    prepared = settled(prepared, keep)
    from pimsim.energy.power import spending
    from pimsim.sim.run import simulate_noting

    def simulate() -> tuple[Tally, Ledger]:
        found = simulate_noting(prepared.plan)
        prepared.plan.forget()  # it may be kept, for points that simulate nothing
        return found

    started = time.perf_counter()
    tally, ledger = keep("run", prepared.key, simulate)
    spent = ledger.busiest(spending(prepared.prices))
    return _result(prepared, replace(tally, busiest_window=spent), time.perf_counter() - started)


def _run_system(
    prepared: PreparedSystem,
    keep: Keep,
    provenance: Mapping[str, Origin] | None = None,
    alone: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress | None = None,
    timeline: _Shown | None = None,
) -> Result:
    """The run of several devices; alone: what only a device by itself can be asked for."""
    from pimsim.systems.figures import summarise_devices
    from pimsim.systems.together import Run, together

    pipelined = prepared.config.system.pipeline > 1

    if asked := [name for name, value in alone.items() if value]:
        what = f"{' and '.join(asked)}: for one device alone; set system.devices=1, or leave it out"
        raise InputError(what, key="system.devices")
    if timeline and pipelined:
        from pimsim.timeline.devices import check

        check(os.fspath(timeline[0]))
    started, runs = time.perf_counter(), list[Run]()
    members = list(zip(prepared.layout.shares, prepared.members, strict=True))
    for share, member in members:
        if member is None:
            runs.append(Run(share, None, None))
            continue
        member = settled(member, keep)
        watched = None if runs or pipelined else timeline  # the first device shows what it does
        runs.append(Run(share, _counted(member, keep, watched), member.plan))
        if progress:
            progress(len(runs), len(members))
    whole = together(prepared.layout, runs, prepared.wiring, prepared.config.system.devices, runs[0].tCK_ps)
    if timeline and pipelined:
        _write_passes(whole, *timeline)
    known = origins(prepared.config) if provenance is None else provenance
    devices = summarise_devices(prepared.config, whole)
    result = _result(prepared, whole.tally, time.perf_counter() - started, known)
    return replace(result, workload=prepared.graph, devices=devices)


def _write_passes(whole: Together, path: str | os.PathLike[str], window_ns: tuple[float, float] | None) -> None:
    """The timeline of a pipeline: a process for the devices of each stage that do the same."""
    from pimsim.sim.run import window_clocks
    from pimsim.systems.passes import processes
    from pimsim.timeline.devices import write

    tCK_ps = whole.tally.tCK_ps
    write(os.fspath(path), list(processes(whole)), tCK_ps, window_clocks(window_ns, tCK_ps))


def _counted(prepared: Prepared, keep: Keep, timeline: _Shown | None = None) -> Tally:
    """The counts of a run, which may be kept; its busiest window at its own prices; timeline: where it is written."""
    from pimsim.energy.power import spending
    from pimsim.sim.run import simulate, simulate_noting

    if keep is anew:
        with _observers(prepared, *(timeline or (None, None))) as watched:
            tally = simulate(prepared.plan, observers=watched, spending=spending(prepared.prices), course=True)
        return tally.validate()

    def noting() -> tuple[Tally, Ledger]:
        found = simulate_noting(prepared.plan)
        prepared.plan.forget()
        return found

    tally, ledger = keep("run", prepared.key, noting)
    return replace(tally, busiest_window=ledger.busiest(spending(prepared.prices)))


def comparing(results: Sequence[AnyResult]) -> Comparison:
    from pimsim.comparison import Comparison  # not for those who compare nothing

    return Comparison.of(results)


def _result(prepared: Prepared, tally: Tally, wall_s: float, provenance: Mapping[str, Origin] | None = None) -> Result:
    from pimsim.plots import Plots
    from pimsim.results.result import Result

    return Result(
        prepared.config,
        tally,
        prepared.arranged.workload if prepared.arranged else prepared.plan.workload,
        pimsim.__version__,
        wall_s,
        prepared.baselines,
        provenance,
        Plots,
        _report,
        prepared.odd,
        prepared.plan,
        prepared.prices,
        comparing=comparing,
        arranged=prepared.arranged,
    )
