"""Steps that are planned by one before them are those that are planned by themselves."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from pimsim.devices.plan import compile_plan
from pimsim.mapping.instructions import Instruction, Step
from pimsim.mapping.planner import Planner
from tests.configs import config_of, systems
from tests.examples import examples


def told(instruction: Instruction) -> tuple[Any, ...]:
    """Everything that an instruction says, work as plain numbers."""
    work = instruction.work
    numbers: tuple[Any, ...] = ()
    if work is not None:
        arrays = (work.program, work.spans, work.marks)
        numbers = tuple(np.asarray(array).tolist() for array in arrays)
        numbers += tuple(value for name, value in vars(work).items() if name not in ("program", "spans", "marks"))
    return (*instruction._replace(work=None), numbers)


def told_of(step: Step) -> list[list[tuple[Any, ...]]]:
    return [[told(instruction) for instruction in part] for part in step]


@settings(max_examples=examples(40))
@given(systems())
def test_a_step_by_another_is_the_step_itself(overrides: dict[str, Any]) -> None:
    config = config_of({**overrides, "workload.prompt_tokens": 0, "workload.output_tokens": 64})
    plan, tokens = compile_plan(config), config.workload.query_tokens
    for context in (*range(tokens, 40, 3), 3 + tokens, 63, 64):
        for head in (True, False):
            alone = Planner(plan, context, tokens).draft(head).step
            assert told_of(plan.step(context, head, tokens)) == told_of(alone)


def test_only_what_depends_on_the_context_is_planned_again(monkeypatch: pytest.MonkeyPatch) -> None:
    planned: list[str] = []
    operator = Planner._operator

    def counted(self: Planner, of: Any) -> None:
        planned.append(of.op)
        operator(self, of)

    monkeypatch.setattr(Planner, "_operator", counted)
    plan = compile_plan(config_of({"workload.model": "gpt2-small"}))
    plan.step(100, head=False)
    first = len(planned)
    for context in range(101, 111):
        plan.step(context, head=False)
    assert first > 8 and planned[first:] == ["attention"] * 10
