"""A run of several devices that share a model."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pimsim.config.loader import Origin
from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem, collected
from pimsim.loading import origins
from pimsim.running import alone
from pimsim.running.alone import Progress, Shown
from pimsim.running.asked import Asked, ask, evaluate_baselines
from pimsim.running.keep import Keep, anew
from pimsim.running.outcome import result_of
from pimsim.running.prepared import Prepared, PreparedSystem

if TYPE_CHECKING:
    from pimsim.results.result import Result
    from pimsim.systems.shares import Share
    from pimsim.systems.together import Together
    from pimsim.systems.wiring import Wiring
    from pimsim.workload.graph import Workload
    from pimsim.workload.schedule import Schedule


def prepare(asked: Asked, keep: Keep = anew, advise: bool = True) -> PreparedSystem:
    """Make what a simulation of several devices needs.

    InputError has everything that is wrong with any device, and the smallest system that would do.
    """
    problems = [*asked.problems]
    if asked.workload is not None and asked.odd is not None:
        with collected(problems):
            return _prepared(asked.config, asked.workload, keep, asked.odd, asked.schedule, advise)
    raise InputError(problems)


def _prepared(
    config: Config,
    workload: Workload,
    keep: Keep,
    odd: tuple[Problem, ...],
    schedule: Schedule | None,
    advise: bool,
) -> PreparedSystem:
    from pimsim.systems.capacity import told_what_fits
    from pimsim.systems.shares import check_system, layout_of, system_warnings
    from pimsim.systems.wiring import Wiring

    check_system(config, schedule)
    layout, problems = layout_of(config, workload), list[Problem]()
    wiring = Wiring(config, layout.groups)
    members: list[Prepared | None] = []
    for share in layout.shares:
        with collected(problems):
            members.append(None if share.idle else _member(share, config, keep, wiring, layout.in_flight))
    if problems:
        told = list(dict.fromkeys(problems))
        raise InputError(told_what_fits(config, workload, told) if advise else told)
    first = members[0]
    assert first is not None
    odd = (*odd, *system_warnings(config, layout))
    baselines = evaluate_baselines(config, workload, keep, schedule)
    prices = replace(first.prices, config=config)
    return PreparedSystem(config, first.plan, None, prices, baselines, odd, layout, tuple(members), wiring, workload)


def _member(share: Share, config: Config, keep: Keep, wiring: Wiring, parts: int) -> Prepared:
    """What one of equal devices runs of the model."""
    asked = ask(share.config(config), lambda: None, keep, share.workload)
    return alone.prepare(asked, keep, wiring, parts, advise=False)  # of the system as a whole that is told


def run(
    prepared: PreparedSystem,
    keep: Keep,
    provenance: Mapping[str, Origin] | None = None,
    unasked: Mapping[str, Any] = MappingProxyType({}),
    progress: Progress | None = None,
    timeline: Shown | None = None,
) -> Result:
    """As `pimsim.run`, of what was prepared for several devices.

    keep     who has parts of runs before; unasked: what only a device by itself can be asked for
    """
    from pimsim.systems.figures import summarise_devices
    from pimsim.systems.together import Run, together

    pipelined = prepared.config.system.pipeline > 1

    if asked := [name for name, value in unasked.items() if value]:
        what = f"{' and '.join(asked)}: for one device alone; set system.devices=1, or leave it out"
        raise InputError(what, key="system.devices")
    if timeline and pipelined:
        from pimsim.timeline.devices import check

        check(os.fspath(timeline[0]))
    started, runs = time.perf_counter(), list[Run]()
    first: Prepared = prepared  # with what it chose for itself
    members = list(zip(prepared.layout.shares, prepared.members, strict=True))
    for share, member in members:
        if member is None:
            runs.append(Run(share, None, None))
            continue
        member = alone.settled(member, keep)
        first = first if runs else member
        watched = None if runs or pipelined else timeline  # the first device shows what it does
        runs.append(Run(share, alone.counted(member, keep, watched), member.plan))
        if progress:
            progress(len(runs), len(members))
    whole = together(prepared.layout, runs, prepared.wiring, prepared.config.system.devices, runs[0].tCK_ps)
    if timeline and pipelined:
        _write_passes(whole, *timeline)
    known = origins(prepared.config) if provenance is None else provenance
    devices = summarise_devices(prepared.config, whole)
    result = result_of(replace(prepared, plan=first.plan), whole.tally, time.perf_counter() - started, known)
    return replace(result, workload=prepared.graph, devices=devices)


def _write_passes(whole: Together, path: str | os.PathLike[str], window_ns: tuple[float, float] | None) -> None:
    """The timeline of a pipeline: a process for the devices of each stage that do the same."""
    from pimsim.sim.run import window_clocks
    from pimsim.systems.passes import processes
    from pimsim.timeline.devices import write

    tCK_ps = whole.tally.tCK_ps
    write(os.fspath(path), list(processes(whole)), tCK_ps, window_clocks(window_ns, tCK_ps))
