"""Simulate a config."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from pimsim.config.schema import Config
from pimsim.dram.engine import FOREVER, Engine, Ints
from pimsim.dram.log import LogWriter
from pimsim.mapping.plan import Plan, compile_plan
from pimsim.sim.observer import Executed, Observer
from pimsim.sim.system import Progress, System
from pimsim.sim.tally import Tally


def simulate(
    config: Config,
    progress: Progress | None = None,
    log: str | Path | None = None,
    window_ns: tuple[float, float] | None = None,
    observers: Sequence[Observer] = (),
) -> Tally:
    """Run a config's workload and count everything.

    progress(done, total) is called after each token; log: write every DRAM command to this
    file, those issued in window_ns = (start, end) if given; observers: who else watches.
    Raises InputError if the workload does not fit the device.
    """
    candidates = _candidates(config)
    if log is None and not observers:
        return min((_run(candidate, progress) for candidate in candidates), key=lambda tally: tally.cycles)
    if len(candidates) > 1:
        candidates.sort(key=lambda candidate: _run(candidate, progress).cycles)
    plan = compile_plan(candidates[0])
    if log is None:
        return _watched(plan, progress, observers)
    with LogWriter(log, plan.device, window_clocks(window_ns, plan.device.tCK_ps)) as writer:
        return _watched(plan, progress, [writer, *observers])


def simulate_step(config: Config, context: int, observers: Sequence[Observer]) -> int:
    """Decode one token at a context, from rest, for those who watch; the clocks it took."""
    plan = compile_plan(config)
    system, buffer = _watch(plan, observers)
    clocks = system.decode(context)
    buffer.flush(FOREVER)
    return clocks


def _watched(plan: Plan, progress: Progress | None, observers: Sequence[Observer]) -> Tally:
    system, buffer = _watch(plan, observers)
    tally = system.run(progress)
    buffer.flush(FOREVER)
    return tally


def _watch(plan: Plan, observers: Sequence[Observer]) -> tuple[System, LogBuffer]:
    engine = _engine(plan)
    buffer = LogBuffer(engine, observers)
    engine.log_to(buffer.add, min(o.window[0] for o in observers), max(o.window[1] for o in observers))
    return System(plan, engine, observer=buffer.execute), buffer


def simulate_contexts(config: Config, contexts: Sequence[int]) -> Tally:
    """Decode one token at each of `contexts`, one after another, and nothing in between; the counts of that.

    The workload's own tokens still say how much room K and V have.  InputError as `simulate`.
    """

    def run(candidate: Config) -> Tally:
        plan = compile_plan(candidate)
        return System(plan, _engine(plan), [("decode", context, 1) for context in contexts]).run()

    return min((run(candidate) for candidate in _candidates(config)), key=lambda tally: tally.cycles)


def _run(config: Config, progress: Progress | None) -> Tally:
    plan = compile_plan(config)
    return System(plan, _engine(plan)).run(progress)


def _engine(plan: Plan) -> Engine:
    engine = plan.config.engine
    return Engine(plan.device, stepped=engine.mode == "stepped", fold=engine.fold)


def _candidates(config: Config) -> list[Config]:
    """The schedules to choose the fastest from, the configured one first.

    Overlap only removes waiting, but what starts earlier may meet a refresh that the serial
    order hides in a pause.  A compiler that may overlap may also not, so `overlap` is never
    slower than `paper`.
    """
    if config.schedule != "overlap" or config.dram.refresh == "none":
        return [config]
    return [config, config.model_copy(update={"schedule": "paper"})]


def window_clocks(window_ns: tuple[float, float] | None, tCK_ps: int) -> tuple[int, int]:
    """The window in clocks: from the first clock not before its start to before its end."""
    if window_ns is None:
        return 0, FOREVER
    low, high = (-int(-ns * 1000 // tCK_ps) for ns in window_ns)
    return low, high


class LogBuffer:
    """Sorts commands of all channels by clock, and hands on what can no longer be preceded."""

    ROWS = 1 << 18

    def __init__(self, engine: Engine, observers: Sequence[Observer]) -> None:
        self.engine = engine
        self.observers = observers
        self.parts: list[Ints] = []
        self.held = 0

    def execute(self, executed: Executed) -> None:
        """Tell the observers of an instruction."""
        for observer in self.observers:
            observer.execute(executed)

    def add(self, rows: Ints) -> None:
        """Take the rows of one engine call."""
        self.parts.append(rows)
        self.held += len(rows)
        if self.held >= self.ROWS:
            self.flush(self.engine.watermark)

    def flush(self, before: int) -> None:
        """Hand on every row with clk < before, in order of clk then channel."""
        if not self.parts:
            return
        rows = np.concatenate(self.parts)
        rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
        cut = int(np.searchsorted(rows[:, 0], before))
        for observer in self.observers:
            observer.append(*rows[:cut].T)
        self.parts = [rows[cut:]]
        self.held = len(rows) - cut
