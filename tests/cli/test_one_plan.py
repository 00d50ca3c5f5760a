"""What a run needs is made once: what `preflight` checked is what is simulated, priced, compared and drawn."""

from __future__ import annotations

import shutil
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from numpy.testing import assert_array_equal

from pimsim.baselines import evaluate
from pimsim.config import rules
from pimsim.config.validate import check_rules
from pimsim.devices.plan import compile_plan
from pimsim.devices.registry import resolve
from pimsim.energy.model import action_costs, command_costs
from pimsim.energy.power import spending
from pimsim.energy.reference import reference_warnings
from pimsim.mapping.memory import place
from pimsim.mapping.operands import operands
from pimsim.workload.positions import check_positions, position_warnings
from pimsim.workload.scheduled import scheduled, trace_warnings
from pimsim.workload.source import requested_workload
from pimsim.workload.trace.bind import workload_of
from pimsim.workload.trace.reader import load_trace
from tests.cli.conftest import Pimsim
from tests.configs import SHIPPED, config_of

ROOT = Path(__file__).parents[2]
BASELINES = ("gpu-t4", "cpu-xeon-6154")
ONCE: tuple[Callable[..., Any], ...] = (
    action_costs, check_positions, command_costs, compile_plan, load_trace, operands, place, position_warnings,
    reference_warnings, requested_workload, resolve, rules.broken, scheduled, trace_warnings, workload_of,
)  # fmt: skip
ONLY_TO_RUN = (spending,)
NEVER = (check_rules,)  # the values were checked as the file was read, by `rules.broken`


def calls(work: Callable[[], object]) -> Counter[str]:
    """How often each of the functions above is called in `work`, by whichever name."""
    names = {function.__code__: function.__name__ for function in (*ONCE, *ONLY_TO_RUN, *NEVER, evaluate)}
    frames: set[FrameType] = set()  # a generator that goes on has the frame that it had before

    def see(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code in names:
            frames.add(frame)

    sys.setprofile(see)
    try:
        work()
    finally:
        sys.setprofile(None)
    return Counter(names[frame.f_code] for frame in frames)


def times(count: int, *functions: Callable[..., Any]) -> dict[str, int]:
    return dict.fromkeys((function.__name__ for function in functions), count)


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """A configuration of a trace whose keys win over its schedule, with two baselines."""
    shutil.copy(ROOT / "traces" / "gpt2-small.jsonl", tmp_path / "mine.jsonl")
    path = tmp_path / "recorded.yaml"
    path.write_text(
        f"extends: {SHIPPED}\nname: recorded\nschedule: overlap\nbaselines: [{', '.join(BASELINES)}]\n"
        "workload: {model: null, trace: mine.jsonl, output_tokens: 1}\n"
    )
    return path


def test_a_run_with_everything_makes_each_part_once(
    recorded: Path, pimsim: Pimsim, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All files are written, both schedules are tried, and the timeline looks ahead: all from one plan."""
    monkeypatch.setattr("pimsim.plots.drawers.possible", lambda: False)  # what another process calls is not seen
    options = ("--out", "out", "--commands", "log.csv", "--timeline", "t.json", "--window", "0:20000")
    counts = calls(lambda: pimsim("run", recorded, *options))
    assert all(Path(name).exists() for name in ("out/report.html", "out/roofline.png", "log.csv", "t.json"))
    beside = 2  # what the report shows beside a T4
    assert counts == times(1, *ONCE, *ONLY_TO_RUN) | times(len(BASELINES) + beside, evaluate)


def test_a_refused_configuration_is_compiled_once(recorded: Path, pimsim: Pimsim) -> None:
    """What does not fit is tried with other values of its keys, but with the same operands; parts of it on systems."""
    result = []
    counts = calls(lambda: result.append(pimsim("run", recorded, "--set", "dram.rows=16")))
    assert result[0].exit_code == 2 and "it would fit with" in result[0].stderr
    tried = {name: counts.pop(name) for name in ("broken", "check_rules", "operands", "place", "resolve")}
    assert min(tried.values()) > 1
    once = [function for function in ONCE if function.__name__ not in tried]
    assert counts == times(1, *once) | times(len(BASELINES), evaluate)


@pytest.mark.parametrize("streaming", [True, False])
def test_a_plan_does_not_depend_on_the_schedule_or_the_engine(streaming: bool) -> None:
    small = {"workload.model": "gpt2-small", "workload.lm_head": True, "asic.streaming": streaming}
    paper, overlap = (compile_plan(config_of({**small, "schedule": name})) for name in ("paper", "overlap"))
    assert paper.memory == overlap.memory and paper.operands == overlap.operands
    for one, other in zip(paper.step(700, head=True), overlap.step(700, head=True), strict=True):
        assert len(one) == len(other)
        for mine, yours in zip(one, other, strict=True):
            assert mine._replace(work=None) == yours._replace(work=None)
            if mine.work is None or yours.work is None:
                assert mine.work is yours.work
                continue
            assert_array_equal(mine.work.program, yours.work.program)
            assert_array_equal(mine.work.spans, yours.work.spans)
            assert_array_equal(mine.work.marks, yours.work.marks)
    under = overlap.under(schedule="paper", engine=paper.config.engine)
    assert under.config == paper.config and under.memory is overlap.memory
    assert (
        under.step(701, head=True).block[0] is overlap.step(702, head=True).block[0]
    )  # it knows what the other planned
