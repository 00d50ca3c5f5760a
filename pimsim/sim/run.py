"""Simulate a config."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

from pimsim.config.schema import Config
from pimsim.devices.plan import compiled
from pimsim.dram.engine import FOREVER, Engine, Ints
from pimsim.logs.log import LogWriter, log_target, take_before
from pimsim.logs.log_size import SAMPLE_ROWS, EnoughError, Forecast, Sample
from pimsim.mapping.plan import Plan
from pimsim.schedules import SCHEDULES
from pimsim.sim.ledger import Ledger
from pimsim.sim.observer import Executed, Observer
from pimsim.sim.spending import Spender, Spending
from pimsim.sim.steps import decoded, step_of
from pimsim.sim.system import Progress, System
from pimsim.sim.tally import Tally


def simulate(
    config: Config | Plan,
    progress: Progress | None = None,
    log: str | Path | None = None,
    window_ns: tuple[float, float] | None = None,
    observers: Sequence[Observer] = (),
    announce: Callable[[Forecast], object] | None = None,
    spending: Spending | None = None,
    course: bool = False,
) -> Tally:
    """Run the workload of a config, or of its plan, and count everything.

    progress(done, total) is called after each token; log: write every DRAM command to this
    file, those issued in window_ns = (start, end) if given; observers: who else watches;
    announce: told how large the log will be before it is written; spending: find the window that
    spends most; course: find how the clocks of each operator go on.
    Raises InputError if the workload does not fit the device, or the log the disk.
    """
    candidates = _candidates(compiled(config))
    if log is None and not observers:
        return min((_run(plan, progress, spending, course) for plan in candidates), key=lambda tally: tally.cycles)
    if log is None:
        plan = candidates[0] if len(candidates) == 1 else _fastest(candidates)[0]
        return _watched(plan, progress, observers, spending, course)
    log_target(Path(log))
    plan, tally = _fastest(candidates)
    span = window_clocks(window_ns, plan.device.tCK_ps)
    with LogWriter(log, plan.device, span) as writer:
        expected = forecast_of(plan, tally, Path(log), span)
        if announce is not None:
            announce(expected)
        expected.check_disk()
        return _watched(plan, progress, [writer, *observers], spending, course)


def simulate_noting(plan: Plan) -> tuple[Tally, Ledger]:
    """As `simulate`, with notes of what each instruction took: so the busiest window is found at any prices."""
    noted = [(plan, Ledger()) for plan in _candidates(plan)]
    runs = ((_run(plan, None, ledger), ledger) for plan, ledger in noted)
    return min(runs, key=lambda run: run[0].cycles)


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


def _fastest(candidates: Sequence[Plan]) -> tuple[Plan, Tally]:
    """The first of those that take the fewest clocks, and its counts: found in the fast mode, which counts the same."""

    def counts(plan: Plan) -> Tally:
        fast = plan.config.engine.model_copy(update={"mode": "fast", "fold": True})
        return _run(plan.under(engine=fast), None)

    return min(((plan, counts(plan)) for plan in candidates), key=lambda pair: pair[1].cycles)


def simulate_step(config: Config | Plan, context: int, observers: Sequence[Observer], number: int | None = None) -> int:
    """Decode one token at a context, or do step `number` of the run, from rest, for those who watch; the clocks."""
    plan = settled(compiled(config))
    system, buffer = _watch(plan, observers)
    step = decoded([("decode", context, 1)])[0] if number is None else step_of(plan, number)
    clocks = system.alone(step)
    buffer.flush(FOREVER)
    return clocks


def _watched(
    plan: Plan,
    progress: Progress | None,
    observers: Sequence[Observer],
    spending: Spending | None = None,
    course: bool = False,
) -> Tally:
    system, buffer = _watch(plan, observers, spending, course)
    tally = system.run(progress)
    buffer.flush(FOREVER)
    return tally


def _watch(
    plan: Plan, observers: Sequence[Observer], spending: Spending | None = None, course: bool = False
) -> tuple[System, LogBuffer]:
    engine = _engine(plan)
    buffer = LogBuffer(engine, observers)
    engine.log_to(buffer.add, min(o.window[0] for o in observers), max(o.window[1] for o in observers))
    return System(plan, engine, observer=buffer.execute, spending=spending, course=course), buffer


def simulate_contexts(config: Config | Plan, contexts: Sequence[int]) -> Tally:
    """Decode one token at each of `contexts`, one after another, and nothing in between; the counts of that.

    The workload's own tokens still say how much room K and V have.  InputError as `simulate`.
    """
    steps = decoded([("decode", context, 1) for context in contexts])
    runs = (System(plan, _engine(plan), steps).run() for plan in _candidates(compiled(config)))
    return min(runs, key=lambda tally: tally.cycles)


def _run(plan: Plan, progress: Progress | None, spending: Spender | None = None, course: bool = False) -> Tally:
    return System(plan, _engine(plan), spending=spending, course=course).run(progress)


def _engine(plan: Plan) -> Engine:
    engine = plan.config.engine
    return Engine(plan.device, stepped=engine.mode == "stepped", fold=engine.fold)


def settled(plan: Plan) -> Plan:
    """The plan with the `mapping.attention` and the schedule of the fastest run, where there is a choice: the runs are
    simulated.
    """
    candidates = _candidates(plan)
    return candidates[0] if len(candidates) == 1 else _fastest(candidates)[0]


def _candidates(plan: Plan) -> list[Plan]:
    """What to choose the fastest from: each way of attention, and for each the schedules, the configured one first."""
    if plan.config.mapping.attention == "auto":
        return [each for attention in plan.attentions for each in _candidates(plan.attending(attention))]
    other = SCHEDULES[plan.config.schedule].or_else
    if not other or plan.config.dram.refresh == "none":
        return [plan]
    return [plan, plan.under(schedule=other)]


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
        waiting = [*self.parts]  # who has seen enough raises, and nothing counts as handed on
        rows = take_before(waiting, before)
        for observer in self.observers:
            observer.append(*rows.T)
        self.parts, self.held = waiting, len(waiting[0])
