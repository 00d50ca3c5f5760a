"""Contexts beyond the positions that a model has: an error where a table of them is read, a warning elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.schedule import Schedule

# Keys of the workload whose sum is the last context, in the order of their tokens.
_TOKENS = ("context", "prompt_tokens", "output_tokens")


def check_positions(config: Config, workload: Workload, schedule: Schedule | None = None) -> None:
    """InputError if a step would read a row of the table of positions that is not there."""
    problems = [told for told, reads in _of_stages(schedule) if reads]
    if problems:
        raise InputError(problems)
    if schedule is None and (problem := _beyond(config, workload)) and _reads_positions(workload):
        told = f"{problem.message}, and its table of positions is read (workload.lm_head: true)"
        raise InputError(told, key=problem.key)


def position_warnings(config: Config, workload: Workload, schedule: Schedule | None = None) -> Iterator[Problem]:
    """That contexts are beyond the model's positions, where nothing reads a table of them."""
    yield from (told for told, reads in _of_stages(schedule) if not reads)
    if schedule is None and (problem := _beyond(config, workload)) and not _reads_positions(workload):
        message = f"{problem.message}: beyond them no such model exists"
        yield Problem("", 0, 0, problem.key, message)


def _of_stages(schedule: Schedule | None) -> Iterator[tuple[Problem, bool]]:
    """Of every line that goes beyond its model's positions: what is told, and whether it reads a table of them."""
    for number, stage in enumerate(schedule.stages if schedule else ()):
        assert schedule is not None
        last, shape = int(schedule.context[schedule.stage == number].max(initial=0)), stage.workload.shape
        if last > shape.max_positions:
            reads = _reads_positions(stage.workload)
            why = "a table of them is read (workload.lm_head: true)" if reads else "beyond them no such model exists"
            what = f"contexts go to {last:,}, but {shape.name} has {shape.max_positions:,} positions: {why}"
            yield Problem(stage.workload.source, stage.line, 1 if stage.line else 0, "bindings.T", what), reads


def _reads_positions(workload: Workload) -> bool:
    """True if a table other than the tokens' is read."""
    return any(len(operator.tables) > 1 for operator in workload.operators)


def _beyond(config: Config, workload: Workload) -> Problem | None:
    """The first key whose tokens go beyond the model's positions, if there is one."""
    work, shape, tokens = config.workload, workload.shape, 0
    for key in _TOKENS:
        tokens += getattr(work, key)
        if tokens > shape.max_positions:
            message = f"contexts go to {work.last_context:,}, but {shape.name} has {shape.max_positions:,} positions"
            return Problem("", 0, 0, f"workload.{key}", message)
    return None
