"""The course of a run: what each operator takes in each leg, exactly, whatever a run is."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pimsim.config.schema import Config
from pimsim.sim import course
from pimsim.sim.run import simulate
from pimsim.sim.tally import Tally
from tests import schedule_kinds
from tests.configs import config_of

STEPS = 5


def config(steps: int = STEPS, **more: object) -> Config:
    keys = {key.replace("__", "."): value for key, value in more.items()}
    return config_of({"workload.model": "gpt2-small", "workload.output_tokens": steps, **keys})


def clocks(tally: Tally) -> dict[tuple[str, str], int]:
    return {(row.phase, row.operator): row.cycles for row in tally.rows}


def legs(tally: Tally, phase: str = "decode") -> dict[str, list[int]]:
    """Of each operator of a phase the clocks in each leg."""
    assert tally.course is not None
    count = len(tally.course.edges(phase, tally.tokens.steps_of(phase))) - 1
    rows = [(i, row) for i, row in enumerate(tally.rows) if row.phase == phase]
    return {row.operator: tally.course.of_row(i, count).tolist() for i, row in rows}


def test_a_step_takes_what_a_run_with_it_takes_longer() -> None:
    """With few steps each is a leg; a run of one more step differs in this step alone."""
    by_step = legs(simulate(config(), course=True))
    runs = [clocks(simulate(config(steps))) for steps in range(1, STEPS + 1)]
    for name, each in by_step.items():
        totals = [run["decode", name] for run in runs]
        assert each == np.diff([0, *totals]).tolist()


@pytest.mark.parametrize("most", [1, 3, 8])
def test_legs_of_any_width_are_the_same_steps(monkeypatch: pytest.MonkeyPatch, most: int) -> None:
    keys = {"workload__prompt_tokens": 7, "workload__prefill_chunk": 2}
    by_step = simulate(config(23, **keys), course=True)
    monkeypatch.setattr(course, "MOST", most)
    wide = simulate(config(23, **keys), course=True)
    for phase, steps in (("prefill", 4), ("decode", 23)):
        width = -(-steps // most) if steps > most else 1
        for name, each in legs(wide, phase).items():
            own = legs(by_step, phase)[name]
            assert each == [sum(own[at : at + width]) for at in range(0, steps, width)]


@pytest.mark.parametrize("kind", schedule_kinds.KINDS)
def test_steps_of_a_schedule_are_followed_where_kinds_alternate(tmp_path: Path, kind: str) -> None:
    """The tally checks the sums of each leg; here, that legs of several steps are sums of single ones."""
    tally = schedule_kinds.run(tmp_path, kind).tally
    assert tally.course is not None and tally.validate() is tally
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(course, "MOST", 2)
        coarse = schedule_kinds.run(tmp_path, kind).tally
    assert coarse.course is not None
    for fine, wide in zip(tally.course.clocks, coarse.course.clocks, strict=True):
        assert sum(fine.values()) == sum(wide.values())


def test_a_log_changes_nothing(tmp_path: Path) -> None:
    logged = simulate(config(3), log=tmp_path / "log.csv.gz", course=True)
    assert logged.course is not None and logged == simulate(config(3), course=True)


def test_who_does_not_ask_has_none() -> None:
    assert simulate(config(2)).course is None
