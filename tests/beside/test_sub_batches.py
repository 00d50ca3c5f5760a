"""Parts of the batch whose operators alternate, so that the memory and the machine work at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

import pimsim
from pimsim.api import prepare
from pimsim.results.result import Result
from pimsim.sim.run import simulate
from tests.agreement.test_schedule import Recorder
from tests.configs import config_of

H100 = "gpu-h100"
MODEL = {"name": "tiny", "layers": 3, "d_model": 64, "heads": 4, "vocabulary": 100}
TINY = {
    "workload.model_config": MODEL, "workload.output_tokens": 3, "workload.context": 70, "workload.batch": 4,
    "schedule": "overlap", "dram.refresh": "none", "baselines": [],
}  # fmt: skip
LINEAR, ATTENTION = {"placement.linear": H100}, {"placement.attention": H100}
# attention takes about as long as the rest
LARGE = {"workload.model_config": None, "workload.model": "gpt3-xl", "workload.batch": 64, "workload.context": 511,
         "workload.output_tokens": 1, "dram.rows": 1 << 20}  # fmt: skip


def run(*more: Mapping[str, Any]) -> Result:
    changes = dict(TINY)
    for each in more:
        changes |= each
    return pimsim.run(config_of(changes))


def parts(count: int) -> dict[str, Any]:
    return {"placement.sub_batches": count}


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
@pytest.mark.parametrize("head", [True, False])
@pytest.mark.parametrize("mode", [LINEAR, ATTENTION, {"workload.prompt_tokens": 3, **LINEAR}])
@pytest.mark.parametrize("count", [2, 4])
def test_the_readable_schedule_says_the_same(mode: Mapping[str, Any], count: int, head: bool, schedule: str) -> None:
    config = config_of({**TINY, **mode, **parts(count), "workload.lm_head": head, "schedule": schedule})
    plan = prepare(config).plan
    recorder = Recorder(plan)
    recorder.run()
    assert recorder.accounted == recorder.twin.accounted == simulate(plan).cycles
    machine = recorder.twin.asic.outside["machine"].taken
    assert len(machine) == sum(r.outside_cycles for r in simulate(plan).rows if not r.moved_bytes)


@pytest.mark.parametrize("mode", [LINEAR, ATTENTION])
def test_steps_planned_at_once_are_those_planned_one_by_one(mode: Mapping[str, Any]) -> None:
    config = config_of({**TINY, **mode, **parts(2), "workload.output_tokens": 70})
    plan = prepare(config).plan
    stretch = plan.stretch(range(71, 141), 1)
    assert len(stretch.contexts) > 1
    for at, context in enumerate(stretch.contexts.tolist()):
        alone = prepare(config).plan.step(context, 1)
        instructions = (*alone.before, *alone.block, *alone.after)
        for place, series in stretch.series.items():
            assert series.numbers[at, 0] == instructions[place].clocks
            assert series.works is None or series.works.those[series.works.at[at]].payload >= 0


def test_each_sequence_is_attended_to_once() -> None:
    whole, halves = run(LINEAR), run(LINEAR, parts(2))
    for name in ("scores", "values", "softmax", "key_append", "value_append"):
        one, other = (next(r for r in result.tally.rows if r.operator == name) for result in (whole, halves))
        assert (one.count, one.macs, one.commands["MACAB"]) == (other.count, other.macs, other.commands["MACAB"])


@pytest.mark.parametrize("count", [1, 2, 4])
@pytest.mark.parametrize("mode", [LINEAR, ATTENTION])
def test_overlap_is_never_slower_than_one_after_the_other(mode: Mapping[str, Any], count: int) -> None:
    serial = {"schedule": "paper"}
    assert run(mode, parts(count)).tally.cycles <= run(mode, parts(count), serial).tally.cycles


def test_both_work_at_once_and_that_is_faster() -> None:
    whole, halves = run(LARGE, LINEAR), run(LARGE, LINEAR, parts(2))
    assert halves.tally.cycles < 0.9 * whole.tally.cycles
    exposed = halves.tally.causes()["machine"]
    busy = sum(row.outside_cycles for row in halves.tally.rows if not row.moved_bytes)
    assert exposed < 0.7 * busy  # the rest is behind attention


def test_no_run_is_shorter_than_what_either_side_works() -> None:
    found = run(LARGE, LINEAR, parts(8))
    busy = sum(row.outside_cycles for row in found.tally.rows if not row.moved_bytes)
    assert busy <= found.tally.cycles
    assert found.summary["placement"]["machine_busy_fraction"] <= 1


def test_the_result_does_not_depend_on_what_is_planned_together() -> None:
    changes = {**TINY, **LINEAR, **parts(2), "workload.output_tokens": 40}
    cycles = {pimsim.run(config_of({**changes, "engine.mode": mode, "engine.fold": fold})).tally.cycles
              for mode in ("fast", "stepped") for fold in (True, False)}  # fmt: skip
    assert len(cycles) == 1


def test_a_timeline_of_sub_batches_is_written(tmp_path: Any) -> None:
    path = tmp_path / "t.json"
    pimsim.run(config_of({**TINY, **LINEAR, **parts(2)}), timeline=path)
    assert path.stat().st_size > 1000
