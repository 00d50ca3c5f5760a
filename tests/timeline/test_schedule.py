"""Timelines of a schedule: its steps by template and part, and each instruction in the step that it is of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim.results.result import Result
from pimsim.sim.observer import Executed
from tests import schedule_kinds
from tests.timeline.runs import Trace
from tests.timeline.test_vcd import read, sampled

ODD = 'a "b" \\ c\n'


class Noted:
    """Every instruction of a run."""

    window = (0, 0)

    def __init__(self) -> None:
        self.all: list[Executed] = []

    def append(self, *_: object) -> None:
        """Commands are not looked at."""

    def execute(self, executed: Executed) -> None:
        self.all.append(executed)


def traced(folder: Path, path: Path, name: str = "t.json") -> tuple[Result, Path]:
    result = pimsim.run(schedule_kinds.config_of(path), timeline=folder / name)
    return result, folder / name


def by_step(result: Result) -> list[Mapping[str, Any]]:
    assert result.schedule
    stages = result.schedule.stages
    return [
        {"context": step.context, "step": number, "template": stages[step.stage].name, "part": stages[step.stage].part,
         "tokens": stages[step.stage].tokens, "kept": step.kept, "batch": stages[step.stage].batch}
        for number, step in enumerate(result.schedule)
    ]  # fmt: skip


@pytest.mark.parametrize("kind", ["chain", "tree", "reorder", "layers", "encoder"])
def test_steps_are_those_of_the_schedule(tmp_path: Path, kind: str) -> None:
    result, file = traced(tmp_path, schedule_kinds.write(tmp_path, kind))
    steps = Trace(file.read_text(), result.tally.tCK_ps).slices("controller and ASIC", "steps")
    assert [about for *_, about in steps] == by_step(result)
    tokens = result.tally.tokens
    assert [(begin, end) for begin, end, *_ in steps] == [(t.start_cycle, t.start_cycle + t.cycles) for t in tokens]


def test_steps_are_named_by_part_and_template(tmp_path: Path) -> None:
    result, file = traced(tmp_path, schedule_kinds.write(tmp_path, "chain"))
    steps = Trace(file.read_text(), result.tally.tCK_ps).slices("controller and ASIC", "steps")
    assert [name for _, _, name, _ in steps[:3]] == [
        "drafting of guess at context 101",
        "drafting of guess at context 102",
        "verification of verify at context 103",
    ]


def test_steps_of_one_context_that_follow_each_other_stay_apart(tmp_path: Path) -> None:
    """The model verifies up to context 103, and drafts from there on: two steps at 103."""
    result, file = traced(tmp_path, schedule_kinds.write(tmp_path, "chain"))
    steps = Trace(file.read_text(), result.tally.tCK_ps).slices("controller and ASIC", "steps")
    assert [about["context"] for *_, about in steps[2:4]] == [103, 103]


def test_instructions_add_up_to_the_rows_of_each_part(tmp_path: Path) -> None:
    result, file = traced(tmp_path, schedule_kinds.write(tmp_path, "layers"))
    shown: Counter[tuple[str, str, str]] = Counter()
    for begin, end, operator, about in Trace(file.read_text(), result.tally.tCK_ps).slices(
        "controller and ASIC", "instructions"
    ):
        assert about["template"] == "decode"
        shown[about["phase"], about["part"], operator] += end - begin
    assert shown == {(row.phase, row.part, row.operator): row.cycles for row in result.tally.rows if row.cycles}


def _uneven(path: Path) -> Path:
    """The first step keeps what lies in a row already, the second one has K and V to move: they are planned at once."""
    tree = schedule_kinds.line("decode", 2, "decode", "2*step+104", 4, accept={"mean": 2.5}, tree=[-1, 0, 0, 2])
    return schedule_kinds.write_lines(path, [schedule_kinds.header(), *schedule_kinds.template("decode"), tree])


@pytest.mark.parametrize("kind", [*schedule_kinds.KINDS, "uneven"])
def test_each_instruction_is_in_its_own_step(tmp_path: Path, kind: str) -> None:
    """What the instructions of a step add to the latency is what the step takes, copies of K and V included."""
    path = _uneven(tmp_path / "t.jsonl") if kind == "uneven" else schedule_kinds.write(tmp_path, kind)
    noted = Noted()
    result = pimsim.run(schedule_kinds.config_of(path), watching=[noted])
    clocks = Counter[int]()
    for executed in noted.all:
        clocks[executed.step] += executed.charged[1] - executed.charged[0]
    assert [clocks[number] for number in range(len(result.tally.tokens))] == result.tally.tokens.column(
        "cycles"
    ).tolist()
    numbers = [executed.step for executed in noted.all]
    assert numbers == sorted(numbers)
    if kind == "uneven":
        assert result.schedule
        assert list(result.schedule.after) == [1]


def test_a_template_may_have_any_name(tmp_path: Path) -> None:
    lines = [
        schedule_kinds.header(),
        *schedule_kinds.template(ODD),
        schedule_kinds.line("decode", 2, ODD, "step+9", accept=0, cycle="c"),
    ]
    result, file = traced(tmp_path, schedule_kinds.write_lines(tmp_path / "odd.jsonl", lines))
    steps = Trace(file.read_text(), result.tally.tCK_ps).slices("controller and ASIC", "steps")
    assert [name for _, _, name, _ in steps] == [f"drafting of {ODD} at context {context}" for context in (9, 10)]


def test_a_waveform_shows_which_step_it_is(tmp_path: Path) -> None:
    result, file = traced(tmp_path, schedule_kinds.write(tmp_path, "chain"), "t.vcd")
    signals, end = read(file, result.tally.tCK_ps)
    assert end == result.tally.cycles
    shown = np.array(sampled(signals["controller.step"], range(end)))
    for token, known in zip(result.tally.tokens, by_step(result), strict=True):
        span = shown[token.start_cycle : token.start_cycle + token.cycles]
        assert set(span.tolist()) == {f"{known['part']}:{known['template']}"}


def test_a_step_of_a_schedule_is_looked_at_alone(tmp_path: Path) -> None:
    """From rest the first step takes what it takes in the run; the default is the last step of the model itself."""
    result = schedule_kinds.run(tmp_path, "chain", dram__refresh="none")
    ax = result.plot.utilisation(context=101)
    assert ax.get_title(loc="left") == "Utilisation while guess runs: tiny, context 101"
    assert ax.get_xlim()[1] == pytest.approx(result.tally.tokens[0].cycles * result.tally.tCK_ps / 1e6)
    assert result.plot.utilisation().get_title(loc="left").endswith("while verify runs: tiny, context 107")
    with pytest.raises(ValueError, match="no step of the schedule has context 100; they go from 101 to 107"):
        result.plot.utilisation(context=100)
