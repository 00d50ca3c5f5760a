"""What a configuration asks for: a model and its steps, and machines to compare with."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from pimsim.config.schema import AnyConfig, Config
from pimsim.errors import InputError, Problem, collected
from pimsim.held import held
from pimsim.loading import models_by_name
from pimsim.running.keep import Keep, anew

if TYPE_CHECKING:
    from pimsim.baselines.devices import BaselineDevice
    from pimsim.dram.timing import Device
    from pimsim.energy.model import Prices
    from pimsim.workload.graph import Workload
    from pimsim.workload.schedule import Schedule
    from pimsim.workload.trace.records import Trace


@dataclass(frozen=True)
class Asked:
    """What a configuration asks for, read and looked through; where something is refused, as much as there is.

    prices    what its actions cost, None where that is refused
    workload  the graph that runs; schedule: its steps, where they are more than plain decoding
    odd       what is odd about the input, but no error; None where the workload is refused
    problems  what is refused so far
    """

    config: Config
    device: Device
    prices: Prices | None
    workload: Workload | None
    schedule: Schedule | None
    odd: tuple[Problem, ...] | None
    problems: tuple[Problem, ...]


def ask(
    config: Config,
    trace: Callable[[], Trace | None],
    keep: Keep = anew,
    graph: Workload | None = None,
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
) -> Asked:
    """What a configuration asks for, whose rules are known to hold.

    trace  reads the one that it names
    graph  a model to run in the place of the one that it names, whose trace then says nothing
    tell   called with what is odd about the input, also where it is refused
    """
    from pimsim.devices.registry import resolve
    from pimsim.energy.model import Prices
    from pimsim.workload.source import requested_workload

    problems: list[Problem] = []
    prices: Prices | None = None
    schedule: Schedule | None = None
    odd: tuple[Problem, ...] | None = None
    workload = graph  # where a trace is refused there is no other
    device = resolve(config.dram, config.pim)
    with collected(problems):
        prices = Prices.of(config, device)
    with collected(problems):
        read = trace() if graph is None else None
        schedule = _requested_schedule(config, read)
        workload = graph or (schedule.main.workload if schedule else None)
        workload = workload or keep("workload", _source_of(config, read), lambda: requested_workload(config, read))
        found = _odd(config, read, workload, schedule)
        if tell:
            tell(found)
        odd = found
    return Asked(config, device, prices, workload, schedule, odd, tuple(problems))


def trace_of(config: Config, keep: Keep) -> Trace | None:
    """The trace of a configuration; of a file that is held, its content says which it is."""
    from pimsim.workload.source import requested_trace

    content = None if config.workload.trace is None else held(config.workload.trace_file)
    key = None if content is None else (config.workload.trace_file, content)
    return keep("trace", key, lambda: requested_trace(config))


def _requested_schedule(config: Config, trace: Trace | None) -> Schedule | None:
    """The steps of a trace, where they are more than plain decoding."""
    if trace is None:
        return None
    from pimsim.workload.scheduled import requested_schedule

    return requested_schedule(config, trace)


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


def evaluate_baselines(
    config: Config, workload: Workload, keep: Keep, schedule: Schedule | None
) -> dict[str, dict[str, Any]]:
    """The machines that the configuration names, by name, doing the same work."""
    from pimsim.baselines import asked
    from pimsim.sim.inputs import Same

    work = asked.Asked(config, workload, schedule)
    return {
        device.name: keep("baseline", (Same(device), work.key), partial(work.of, device))
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
