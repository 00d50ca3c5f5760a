"""Watches a machine: the range and the error of what every operator makes, and of what every instruction makes.

The error is the difference to the same operator's value in float32 (`values.graph`), fed the same tokens: what the
hardware's arithmetic has added up so far.  Where a router has chosen other experts than in float32, their values are
those of other experts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from pimsim.mapping.functions import carried
from pimsim.mapping.plan import Plan
from pimsim.values.graph import SCORES, SOFTCAP, SOFTMAX, Graph, Made
from pimsim.values.layers import in_layer
from pimsim.values.machine.tasks import StepTasks, Task
from pimsim.values.moments import Moments, Where
from pimsim.values.numbers import F32
from pimsim.values.weights.model import Weights

ENDED = "values"  # as the results call the last of an attention


class Did(NamedTuple):
    """An instruction of a run: the context of its step, the copy of the block (-1: outside) and its key there."""

    context: int
    block: int
    key: str


class Watch:
    """What a machine's values were; `made` is for the machine.

    plan  with whose rows of the embedding are read
    first  context of the first decode step
    each  keep `by_instruction`, too: the range of what each made, and the error if its part of a value has one
    """

    def __init__(self, plan: Plan, weights: Weights, first: int, each: bool = False) -> None:
        self._plan, self._first, self._each = plan, first, each
        self._graph = Graph(plan.workload, weights)
        self._scopes = {operator.name: operator.scope for operator in plan.workload.operators}
        self._attentions = {operator.name for operator in plan.workload.operators if operator.op == "attention"}
        self._behind = {linear: name for name, linear in carried(plan.workload, plan.functions).items()}
        self._expected: Made = {}
        self.by_operator: dict[Where, Moments] = {}
        self.by_instruction: dict[Did, Mapping[str, float]] = {}

    def made(self, step: StepTasks, task: Task, value: F32) -> None:
        """Take a value of a step that is under way; steps have one token and come in order."""
        while self._graph.tokens < step.context:
            self._expected = self._graph.feed(self._plan.tokens(self._graph.tokens + 1, 0))
        block = task.copy if self._scopes[task.operands.of] == "block" else -1
        moments = self._moments(step, task, block, value)
        if self._each:
            did = Did(step.context, block, task.instruction.key)
            self.by_instruction[did] = moments.as_dict() if moments else _range(value)

    def _moments(self, step: StepTasks, task: Task, block: int, value: F32) -> Moments | None:
        """Of a value that an operator ends with, or an attention has on the way; they are counted."""
        known = self._name(task)
        if known is None:
            return None
        name, shown = known
        makes = task.operands.makes
        expected = self._expected[block, name].reshape(-1)
        assert len(expected) == makes.every, name
        moments = Moments.of(value, np.concatenate([expected[first : first + size] for first, size in makes.stands]))
        operator, layer = in_layer(self._plan.workload, task.operands.of, task.copy)
        phase = "decode" if step.context >= self._first else "prefill"
        where = Where(phase, shown or operator, layer if block >= 0 else None)
        self.by_operator[where] = self.by_operator[where] + moments if where in self.by_operator else moments
        return moments

    def _name(self, task: Task) -> tuple[str, str] | None:
        """What the graph calls a task's value, and what the results do ("": by its operator); None if they do not."""
        of, value = task.operands.of, task.operands.makes.value
        if task.operands.key[:1] == ("spill",):
            return None  # it was made before, and comes back
        if value == f"{of}.0.{SCORES}":
            what = SOFTCAP if task.instruction.cause == "tanh" else SCORES
        elif value == f"{of}.0.{SOFTMAX}":
            what = SOFTMAX
        elif value == of:
            return self._behind.get(of, of), ENDED if of in self._attentions else ""
        else:
            return None
        return f"{of}.{what}", what


def _range(value: F32) -> Mapping[str, float]:
    return {"min": float(value.min()), "max": float(value.max())} if value.size else {}
