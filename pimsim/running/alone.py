"""A run of one device."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from pimsim.config.loader import Origin
from pimsim.config.schema import Config
from pimsim.errors import InputError, collected
from pimsim.loading import origins
from pimsim.running.asked import Asked, evaluate_baselines
from pimsim.running.keep import Keep, anew
from pimsim.running.outcome import result_of
from pimsim.running.prepared import Prepared

if TYPE_CHECKING:
    from pimsim.baselines.arrangement import Arrangement
    from pimsim.logs.log_size import Forecast
    from pimsim.mapping.fabric import Fabric
    from pimsim.results.result import Result
    from pimsim.sim.ledger import Ledger
    from pimsim.sim.observer import Observer
    from pimsim.sim.tally import Tally
    from pimsim.workload.graph import Workload
    from pimsim.workload.schedule import Schedule

Progress = Callable[[int, int], None]
Shown = tuple[str | os.PathLike[str], tuple[float, float] | None]  # a file, and the window that it shows


def prepare(
    asked: Asked, keep: Keep = anew, fabric: Fabric | None = None, parts: int = 1, advise: bool = True
) -> Prepared:
    """Make what a simulation of one device needs; InputError has everything that it would refuse.

    fabric  the links to the devices with which the graph is shared
    parts   of a batch that are in a pipeline at once, of which the configuration runs one
    advise  where the memory is too small, look for the smallest system that is not
    """
    from pimsim.devices.plan import compile_plan
    from pimsim.energy.model import MachinePower
    from pimsim.sim.inputs import Same, key_of, simulated
    from pimsim.workload.positions import check_positions

    config, workload, schedule = asked.config, asked.workload, asked.schedule
    problems = [*asked.problems]
    if workload is None or asked.odd is None:
        raise InputError(problems)
    part = simulated(config, workload)
    key, beside = key_of(part, workload, asked.device, schedule), None
    with collected(problems):
        beside = _arranged(config, workload, schedule)
        key = key if beside is None or key is None else (key, Same(beside.device))
        key = key if parts == 1 or key is None else (key, parts)
        how = beside.beside if beside else None
        make = partial(compile_plan, part, workload, asked.device, config, schedule, fabric, how, parts)
        plan = keep("plan", key, make)
    with collected(problems):
        check_positions(config, workload, schedule)
    with collected(problems):
        baselines = evaluate_baselines(config, workload, keep, schedule)
    alone = not config.system.several and not config.placement.key
    if problems and schedule is None and advise and alone:
        from pimsim.systems.capacity import told_what_fits

        raise InputError(told_what_fits(config, workload, problems))
    if problems or asked.prices is None:
        raise InputError(problems)
    prices = asked.prices.beside(MachinePower(*beside.device.watts, beside.loads)) if beside else asked.prices
    return Prepared(config, plan, key, prices, baselines, asked.odd, arranged=beside)


def _arranged(config: Config, workload: Workload, schedule: Schedule | None) -> Arrangement | None:
    """What another machine beside the memory does, if there is one."""
    if not config.placement.key:
        return None
    from pimsim.baselines.arrangement import arranged  # not for those who have none

    return arranged(config, workload, schedule)


def settled(prepared: Prepared, keep: Keep = anew) -> Prepared:
    """The same run with what it chooses for itself by simulating: whether its attentions go by heads."""
    if prepared.plan.config.mapping.attention != "auto":
        return prepared
    from pimsim.sim import run as runs

    plan = prepared.plan
    chosen = keep("attention", prepared.key, lambda: runs.settled(plan).attentions[0])
    return replace(prepared, plan=plan.attending(chosen))


def run(
    prepared: Prepared,
    provenance: Mapping[str, Origin] | None = None,
    log: Path | None = None,
    timeline: Shown | None = None,
    window_ns: tuple[float, float] | None = None,
    progress: Progress | None = None,
    announce: Callable[[Forecast], object] | None = None,
    watching: Sequence[Observer] = (),
) -> Result:
    """As `pimsim.run`, of what was prepared for one device."""
    from pimsim.energy.power import spending
    from pimsim.sim.run import simulate  # simpy: not for those who only load or check

    started = time.perf_counter()
    prepared = settled(prepared)
    plan, prices = prepared.plan, prepared.prices
    with _observers(prepared, timeline) as observers:
        watched = [*observers, *watching]
        tally = simulate(plan, progress, log, window_ns, watched, announce, spending(prices), course=True).validate()
    known = origins(prepared.config) if provenance is None else provenance
    return result_of(prepared, tally, time.perf_counter() - started, known)


def run_keeping(prepared: Prepared, keep: Keep) -> Result:
    """As `run`, with the parts that `keep` has from runs before."""
    prepared = settled(prepared, keep)
    started = time.perf_counter()
    return result_of(prepared, _noted(prepared, keep), time.perf_counter() - started)


@contextmanager
def _observers(prepared: Prepared, shown: Shown | None) -> Iterator[list[Observer]]:
    """Who watches a run: its timeline, if it has one."""
    if shown is None:
        yield []
        return
    from pimsim.timeline.files import timeline

    path, window_ns = shown
    with timeline(Path(path), prepared.plan, prepared.prices, window_ns) as watcher:
        yield [watcher]


def counted(prepared: Prepared, keep: Keep = anew, timeline: Shown | None = None) -> Tally:
    """The counts of a run, which may be kept; its busiest window at its own prices; timeline: where it is written."""
    from pimsim.energy.power import spending
    from pimsim.sim.run import simulate

    if keep is anew:
        with _observers(prepared, timeline) as watched:
            tally = simulate(prepared.plan, observers=watched, spending=spending(prepared.prices), course=True)
        return tally.validate()
    return _noted(prepared, keep)


def _noted(prepared: Prepared, keep: Keep) -> Tally:
    """What was counted, now or in a run before, laid out anew for its busiest window."""
    from pimsim.energy.power import spending
    from pimsim.sim.run import simulate_noting

    def noting() -> tuple[Tally, Ledger]:
        found = simulate_noting(prepared.plan)
        prepared.plan.forget()  # it may be kept, for points that simulate nothing
        return found

    tally, ledger = keep("run", prepared.key, noting)
    return replace(tally, busiest_window=ledger.busiest(spending(prepared.prices)))
