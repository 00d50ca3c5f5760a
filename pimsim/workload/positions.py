"""Contexts beyond the positions that a model has: an error where a table of them is read, a warning elsewhere."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.config.schema import Config
from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload

# Keys of the workload whose sum is the last context, in the order of their tokens.
_TOKENS = ("context", "prompt_tokens", "output_tokens")


def check_positions(config: Config, workload: Workload) -> None:
    """InputError if a step would read a row of the table of positions that is not there."""
    if (problem := _beyond(config, workload)) and _reads_positions(workload):
        told = f"{problem.message}, and its table of positions is read (workload.lm_head: true)"
        raise InputError(told, key=problem.key)


def position_warnings(config: Config, workload: Workload) -> Iterator[Problem]:
    """That contexts are beyond the model's positions, where nothing reads a table of them."""
    if (problem := _beyond(config, workload)) and not _reads_positions(workload):
        message = f"{problem.message}: beyond them no such model exists"
        yield Problem("", 0, 0, problem.key, message)


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
