"""The machine of a plan, with its weights in their places."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from pimsim.config.schema import Config
from pimsim.mapping.plan import Plan
from pimsim.values.asic import Asic
from pimsim.values.lookup import function_table
from pimsim.values.machine.functions import Functions
from pimsim.values.machine.image import filled
from pimsim.values.machine.machine import Machine
from pimsim.values.machine.tasks import StepTasks, Task, steps_of
from pimsim.values.numbers import F32, WORDS, Words, words
from pimsim.values.weights.model import Weights


def machine_of(
    plan: Plan,
    config: Config,
    weights: Weights,
    ended: Callable[[StepTasks, Mapping[str, F32]], object],
    made: Callable[[StepTasks, Task, F32], object] | None = None,
) -> Machine:
    """What carries out the run of a plan; ended: called with each step that is done, and what it has made.

    made: called with each value, as of `Machine`.

    InputError if the plan's device has commands that have no values, or its operators functions that have none.
    """
    functions = Functions(Asic(config.asic), plan.workload, weights)
    steps = steps_of(plan, steps_in(config))
    rounds = config.values.accumulate == "bf16"
    image = filled(plan, weights, config.pim.lanes)
    return Machine(plan, image, functions, steps, ended, tables_of(plan, weights), rounds, made)


def steps_in(config: Config) -> list[tuple[int, int, bool]]:
    """The steps of a run: the context of the last token, tokens, whether it has an LM head."""
    work = config.workload
    return [(context, tokens, context >= work.start) for _, context, tokens in work.steps()]


def tables_of(plan: Plan, weights: Weights) -> Words:
    """The look-up tables of the banks, (functions, 65536), in the order of their rows."""
    tables = [words(function_table(name, weights.constants.gelu)) for name in plan.device.standard.functions]
    return np.stack(tables) if tables else np.zeros((0, WORDS), np.uint16)
