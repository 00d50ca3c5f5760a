"""The instructions of a run in their order, and the values that flow along them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from pimsim.mapping.instructions import Instruction, Operands, Part
from pimsim.mapping.plan import Plan
from pimsim.values.numbers import F32
from pimsim.workload.ops import IN_ORDER, INPUT


class EarlyError(Exception):
    """A value is used before it is there; says what is missing."""


@dataclass(eq=False)
class Task:
    """One instruction in one copy of the block.

    takes  of each operand the part, and who makes the value, as far as was known when the instruction came
    value  what it has made, once that was asked for (None: it was not)
    slot   of PIM work, its number among those that the channels are at (-1: it is not)
    """

    instruction: Instruction
    operands: Operands
    copy: int
    takes: tuple[tuple[Part, tuple[Task, ...]], ...]
    value: F32 | None = None
    slot: int = -1

    @property
    def name(self) -> str:
        """For messages."""
        return self.instruction.key


@dataclass
class StepTasks:
    """The instructions of one step: their tasks, as they come, and the values of its end by name.

    context  of the last token; head: whether the step has an LM head
    """

    context: int
    head: bool
    tokens: int
    tasks: Iterator[Task]
    made: dict[str, list[Task]] = field(default_factory=dict)


def steps_of(plan: Plan, steps: Sequence[tuple[int, int, bool]]) -> Iterator[StepTasks]:
    """The tasks of each step (context, tokens, whether it has an LM head)."""
    for context, tokens, head in steps:
        made: dict[str, list[Task]] = {}
        yield StepTasks(context, head, tokens, _tasks(plan, context, tokens, head, made), made)


def _tasks(plan: Plan, context: int, tokens: int, head: bool, made: dict[str, list[Task]]) -> Iterator[Task]:
    step, workload = plan.named_step(context, head, tokens), plan.workload
    entering: list[Task] = []
    for scope, part in zip(IN_ORDER, step, strict=True):
        operators = workload.select(scope)
        for copy in range(workload.blocks if scope == "block" else 1):
            if not part:
                continue
            made.clear()
            made[INPUT] = entering
            for instruction in part:
                yield _task(instruction, copy, made)
            entering = made[operators[-1].name]


def _task(instruction: Instruction, copy: int, made: dict[str, list[Task]]) -> Task:
    operands = instruction.operands
    assert operands is not None, instruction.key
    takes = tuple((part, tuple(made[part.value])) for part in operands.takes)
    task = Task(instruction, operands, copy, takes)
    if operands.makes.size:
        if operands.makes.size == operands.makes.every:  # all of it: what was there is no more
            made[operands.makes.value] = [task]
        else:
            made.setdefault(operands.makes.value, []).append(task)
    return task


def operand(part: Part, makers: Sequence[Task], value: Callable[[Task], F32]) -> F32:
    """A part of a value, whose parts `value` gives: those alone that it meets, and NaN where none is."""
    makes = makers[0].operands.makes
    if len(makers) == 1 and makes.size == makes.every:
        whole = value(makers[0])
    else:
        whole = np.full(makes.every, np.nan, np.float32)
        for maker in makers:
            made = maker.operands.makes
            if _meets(part, made):
                put(whole, made, value(maker))
    if part.runs:
        return np.concatenate([whole[first : first + size] for first, size in part.stands])
    found: F32 = whole.reshape(-1, part.every)[:, part.first : part.first + part.size].reshape(-1)
    return found


def put(whole: F32, made: Part, value: F32) -> None:
    """Put what was made where it stands in the whole value."""
    at = 0
    for first, size in made.stands:
        whole[first : first + size] = value[at : at + size]
        at += size


def _meets(part: Part, made: Part) -> bool:
    """Whether a part has elements of those that were made."""
    if part.runs:
        return any(_meets(part._replace(first=first, size=size, runs=()), made) for first, size in part.stands)
    return any(_meets_run(part, first, size) for first, size in made.stands)


def _meets_run(part: Part, first: int, size: int) -> bool:
    runs = (first // part.every, (first + size - 1) // part.every)
    return size >= part.every or any(
        first < run * part.every + part.first + part.size and run * part.every + part.first < first + size
        for run in runs
    )
