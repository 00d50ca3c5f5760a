"""The machine of a plan, with its weights in their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pimsim.config.schema import Config
from pimsim.errors import InputError
from pimsim.mapping.plan import Plan
from pimsim.values.asic import Asic
from pimsim.values.lookup import function_table
from pimsim.values.machine.bits import filled as filled_bits
from pimsim.values.machine.functions import Functions
from pimsim.values.machine.image import filled
from pimsim.values.machine.machine import Machine
from pimsim.values.machine.plain import PlainMachine
from pimsim.values.machine.scaling import Scaling
from pimsim.values.machine.tasks import StepTasks, Task, steps_of
from pimsim.values.numbers import F32, WORDS, Words, words
from pimsim.values.weights.model import Weights


def machine_of(
    plan: Plan,
    config: Config,
    weights: Weights,
    ended: Callable[[StepTasks, Mapping[str, F32]], object],
    made: Callable[[StepTasks, Task, F32], object] | None = None,
) -> Machine | PlainMachine:
    """What carries out the run of a plan; ended: called with each step that is done, and what it has made.

    made: called with each value, as of `Machine`.

    InputError if the plan's device has commands that have no values, or its operators functions that have none.
    """
    _check_chunks(config)
    steps = steps_of(plan, steps_in(config))
    rounds = config.values.accumulate == "bf16"
    if in_formats(plan):
        if why := no_commands(plan, config, weights):
            raise InputError(f"{why}; the level fast needs no commands", key="pim.formats")
        scaling = Scaling(plan, weights)
        functions = Functions(Asic(config.asic), plan.workload, weights, scaling)
        cells = filled_bits(plan, weights, scaling)
        return PlainMachine(plan, cells, functions, steps, ended, config.pim.lanes, rounds, made)
    functions = Functions(Asic(config.asic), plan.workload, weights)
    image = filled(plan, weights, config.pim.lanes)
    return Machine(plan, image, functions, steps, ended, tables_of(plan, weights), rounds, made)


LARGEST_IN_FORMATS = 4_000_000  # parameters whose commands are carried out in formats, which is done in plain Python


def in_formats(plan: Plan) -> bool:
    """Whether a plan multiplies anything in other formats than BF16."""
    memory = plan.memory
    grids = [matrix.grid for matrix in memory.matrices.values()] + [keys.grid for keys in memory.keys.values()]
    return any(grid.packing is not None for grid in grids)


def no_commands(plan: Plan, config: Config, weights: Weights) -> str:
    """Why the commands of a plan in formats are not carried out one by one; "" if they are, or all is BF16."""
    if not in_formats(plan):
        return ""
    if weights.parameters > LARGEST_IN_FORMATS:
        most = f"{weights.parameters:,} parameters are more than the {LARGEST_IN_FORMATS:,}"
        return f"{most} whose commands are carried out one by one in other formats than BF16"
    if any(matrix.takes_addend for matrix in plan.memory.matrices.values()) or not _has_columns(plan):
        return "the commands of this memory are carried out one by one in BF16 alone"
    if config.mapping.attention != "whole" or config.mapping.verify != "repeat":
        return "attention by heads, and rows that are opened once, are carried out one by one in BF16 alone"
    if plan.memory.products is not None:
        return "a softmax that the banks scale is carried out in BF16 alone"
    return ""


def _has_columns(plan: Plan) -> bool:
    """Whether layouts say which numbers their commands multiply."""
    packed = [matrix for matrix in plan.memory.matrices.values() if matrix.grid.packing is not None]
    return all(matrix.wires().columns for matrix in packed[:1])


def _check_chunks(config: Config) -> None:
    """InputError for a prompt that ends in a chunk of several tokens: its LM head runs for the last of them alone."""
    work = config.workload
    ends = [tokens for phase, context, tokens in work.steps() if phase == "prefill" and context == work.start]
    if ends and ends[0] > 1:
        what = f"the last {ends[0]} tokens of the prompt go at once, and commands are carried out where the last one "
        raise InputError(what + "goes alone: another size of chunks, or the level fast", key="workload.prefill_chunk")


def steps_in(config: Config) -> list[tuple[int, int, bool]]:
    """The steps of a run: the context of the last token, tokens, whether it has an LM head."""
    work = config.workload
    return [(context, tokens, context >= work.start) for _, context, tokens in work.steps()]


def tables_of(plan: Plan, weights: Weights) -> Words:
    """The look-up tables of the banks, (functions, 65536), in the order of their rows."""
    tables = [words(function_table(name, weights.constants.gelu)) for name in plan.device.standard.functions]
    return np.stack(tables) if tables else np.zeros((0, WORDS), np.uint16)
