"""Simulate a config."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np

from pimsim.config.schema import Config
from pimsim.devices.plan import compile_plan
from pimsim.dram.engine import FOREVER, Engine, Ints
from pimsim.dram.log import LogWriter, log_target
from pimsim.dram.log_size import SAMPLE_ROWS, EnoughError, Forecast, Sample
from pimsim.mapping.plan import Plan
from pimsim.sim.observer import Executed, Observer
from pimsim.sim.spending import Spending
from pimsim.sim.system import Progress, System
from pimsim.sim.tally import Tally


def simulate(
    config: Config,
    progress: Progress | None = None,
    log: str | Path | None = None,
    window_ns: tuple[float, float] | None = None,
    observers: Sequence[Observer] = (),
    announce: Callable[[Forecast], object] | None = None,
    spending: Spending | None = None,
) -> Tally:
    """Run a config's workload and count everything.

    progress(done, total) is called after each token; log: write every DRAM command to this
    file, those issued in window_ns = (start, end) if given; observers: who else watches;
    announce: told how large the log will be before it is written; spending: find the window that
    spends most.
    Raises InputError if the workload does not fit the device, or the log the disk.
    """
    candidates = _candidates(config)
    if log is None and not observers:
        return min((_run(candidate, progress, spending) for candidate in candidates), key=lambda tally: tally.cycles)
    if log is None:
        if len(candidates) > 1:
            candidates.sort(key=lambda candidate: _run(candidate, progress).cycles)
        return _watched(compile_plan(candidates[0]), progress, observers, spending)
    log_target(Path(log))
    counted = [(_run(_fast(candidate), None), candidate) for candidate in candidates]
    tally, chosen = min(counted, key=lambda pair: pair[0].cycles)
    plan = compile_plan(chosen)
    span = window_clocks(window_ns, plan.device.tCK_ps)
    with LogWriter(log, plan.device, span) as writer:
        expected = forecast_of(plan, tally, Path(log), span)
        if announce is not None:
            announce(expected)
        expected.check_disk()
        return _watched(plan, progress, [writer, *observers], spending)


def forecast_of(plan: Plan, tally: Tally, log: Path, span: tuple[int, int]) -> Forecast:
    """How large the log of a run that was counted will be; commands are taken to be spread evenly over time."""
    sample = Sample(log, plan.device)
    peek(plan, sample, rows=SAMPLE_ROWS)
    first, end = min(span[0], tally.cycles), min(span[1], tally.cycles)
    commands = sum(tally.commands.values()) * (end - first) // max(tally.cycles, 1)
    return sample.forecast(commands, (first, end), plan.memory.rows)


def peek(plan: Plan, observer: Observer, until: int = FOREVER, rows: int = 1 << 18) -> None:
    """Show an observer the beginning of a run: up to clock `until`, or until it raises EnoughError.

    rows: that it is shown at once.
    """
    system, buffer = _watch(plan, [observer, _Until(observer.window, until)])
    buffer.ROWS = rows
    with suppress(EnoughError):
        system.run()
    with suppress(EnoughError):
        buffer.flush(FOREVER)


class _Until:
    """An observer that has seen enough at a clock."""

    def __init__(self, window: tuple[int, int], until: int) -> None:
        self.window, self._until = window, until

    def append(self, *_: object) -> None:
        """Commands come in later than the instructions that they belong to."""

    def execute(self, executed: Executed) -> None:
        """EnoughError once an instruction begins at or after the clock."""
        if executed.charged[0] >= self._until:
            raise EnoughError


def _fast(config: Config) -> Config:
    """The same run in the fast mode, which counts the same."""
    return config.model_copy(update={"engine": config.engine.model_copy(update={"mode": "fast", "fold": True})})


def simulate_step(config: Config, context: int, observers: Sequence[Observer]) -> int:
    """Decode one token at a context, from rest, for those who watch; the clocks it took."""
    plan = compile_plan(config)
    system, buffer = _watch(plan, observers)
    clocks = system.decode(context)
    buffer.flush(FOREVER)
    return clocks


def _watched(plan: Plan, progress: Progress | None, observers: Sequence[Observer], spending: Spending | None) -> Tally:
    system, buffer = _watch(plan, observers, spending)
    tally = system.run(progress)
    buffer.flush(FOREVER)
    return tally


def _watch(plan: Plan, observers: Sequence[Observer], spending: Spending | None = None) -> tuple[System, LogBuffer]:
    engine = _engine(plan)
    buffer = LogBuffer(engine, observers)
    engine.log_to(buffer.add, min(o.window[0] for o in observers), max(o.window[1] for o in observers))
    return System(plan, engine, observer=buffer.execute, spending=spending), buffer


def simulate_contexts(config: Config, contexts: Sequence[int]) -> Tally:
    """Decode one token at each of `contexts`, one after another, and nothing in between; the counts of that.

    The workload's own tokens still say how much room K and V have.  InputError as `simulate`.
    """

    def run(candidate: Config) -> Tally:
        plan = compile_plan(candidate)
        return System(plan, _engine(plan), [("decode", context, 1) for context in contexts]).run()

    return min((run(candidate) for candidate in _candidates(config)), key=lambda tally: tally.cycles)


def _run(config: Config, progress: Progress | None, spending: Spending | None = None) -> Tally:
    plan = compile_plan(config)
    return System(plan, _engine(plan), spending=spending).run(progress)


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
    # as the number is written: 992.37 ns is 1,741 clocks of 570 ps, and the nearest float is a bit more
    low, high = (min(-int(-Fraction(str(ns)) * 1000 // tCK_ps), FOREVER) for ns in window_ns)
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
