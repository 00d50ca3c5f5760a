"""Steps that are planned by one before them are those that are planned by themselves."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import load_config
from pimsim.devices.plan import compile_plan
from pimsim.dram.kernel.numbers import A_COMMAND, A_LINEAR, A_REQUEST
from pimsim.dram.program import LOOP, OPEN, RUN, SCATTER
from pimsim.dram.spec import Needs
from pimsim.dram.timing import Device
from pimsim.mapping.instructions import Instruction, Step
from pimsim.mapping.planner import Planner
from pimsim.mapping.stretch import Stretch, numbers_of
from pimsim.mapping.work import Work
from tests.configs import config_of, systems
from tests.conftest import SHIPPED
from tests.examples import examples

AIM = SHIPPED.parent / "aim.yaml"


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
            alone = Planner(plan, context, tokens, head).draft().step
            assert told_of(plan.step(context, head, tokens)) == told_of(alone)


def said_of(instruction: Instruction, work: Work | None, numbers: list[int], bases: tuple[int, ...]) -> tuple[Any, ...]:
    """What a simulation reads of an instruction, its work and numbers given."""
    names = (instruction.operator, instruction.key, instruction.after, instruction.cause, *instruction.feed[:2])
    arrays = () if work is None else (work.program, work.spans, work.marks)
    return (*names, numbers, bases, *(array.tolist() for array in arrays))


def moved(work: Work, shift: int, device: Device) -> Work:
    """The same work, `shift` linear columns further on."""
    program, standard = work.program.copy(), device.standard
    rows = (standard.function_rows[0] or 1 << 60) * device.columns
    for row in program:
        array = standard.commands[row[A_COMMAND]].needs is Needs.OPEN and row[A_LINEAR] < rows
        if row[A_REQUEST] in (LOOP, OPEN, SCATTER) or (row[A_REQUEST] == RUN and array):
            row[A_LINEAR] += shift
    return replace(work, program=program)


def said_of_stretch(stretch: Stretch, k: int, device: Device) -> list[tuple[Any, ...]]:
    """What a stretch says of each instruction of its k-th step."""
    said = []
    for i, first in enumerate(stretch.instructions):
        series, work, bases = stretch.series.get(i), first.work, first.bases
        numbers = list(numbers_of(first)) if series is None else series.numbers[k].tolist()
        if series is not None and series.works is not None:
            shift = 0 if series.shifts is None else int(series.shifts[k])
            work = moved(series.works.those[series.works.at[k]], shift, device)
            bases = series.bases[k] if series.bases else bases
        said.append(said_of(first, work, numbers, bases))
    return said


@st.composite
def wide_systems(draw: st.DrawFn) -> tuple[dict[str, Any], Path]:
    """Systems of both devices, and of AiM with everything that its banks may do or not."""
    overrides = draw(systems())
    if not draw(st.booleans(), label="AiM"):
        return overrides, SHIPPED
    sections = ("workload.", "schedule", "asic.", "mapping.", "dram.channels", "dram.rows")
    own = {key: value for key, value in overrides.items() if key.startswith(sections)}
    sums, softmax = (draw(st.sampled_from(["banks", "asic"]), label=what) for what in ("sums", "softmax"))
    buffer = 32 * draw(st.sampled_from([1, 3, 64]), label="columns of the buffer")
    units = {"sums": sums, "activation": sums, "softmax": softmax, "global_buffer_bytes": buffer}
    return own | {f"pim.{key}": value for key, value in units.items()}, AIM


@settings(max_examples=examples(60))
@given(wide_systems(), st.data())
def test_steps_planned_together_are_those_planned_one_by_one(
    system: tuple[dict[str, Any], Path], data: st.DataObject
) -> None:
    """From anywhere on: where groups, columns, chunks, windows, spills and rows change, too."""
    overrides, path = system
    tokens = overrides["workload.query_tokens"]
    config = load_config(path, {
        "baselines": [], **overrides, "workload.prompt_tokens": 0, "workload.output_tokens": 400 * tokens,
    })  # fmt: skip
    plan = compile_plan(config)
    first = data.draw(st.integers(tokens, 200), label="first")
    contexts = [*range(first, first + tokens * data.draw(st.integers(1, 40), label="steps"), tokens)]
    head, done = data.draw(st.booleans(), label="head"), 0
    while done < len(contexts):
        stretch = plan.stretch(contexts[done:], head, tokens)
        for k, context in enumerate(stretch.contexts.tolist()):
            assert context == contexts[done]
            alone = [i for part in Planner(plan, context, tokens, head).draft().step for i in part]
            wanted = [said_of(i, i.work, list(numbers_of(i)), i.bases) for i in alone]
            assert said_of_stretch(stretch, k, plan.device) == wanted
            done += 1


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
