"""Schedules of every kind: the same on every engine and however steps are cut into windows, with a legal log."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim import api
from pimsim.logs.checker import check
from pimsim.logs.log import CommandLog, read_log
from pimsim.results.result import Result
from pimsim.sim import system
from pimsim.sim.run import simulate
from tests.conftest import SHIPPED
from tests.schedules.traces import AIM, KINDS, ONE, loaded

# Either device under either schedule: one of both for one sequence, the others for two.
RUNS = [
    pytest.param(kind, path, schedule, id=f"{kind}-{path.stem}-{schedule}")
    for kind in KINDS
    for path, schedule in (
        ((SHIPPED, "paper"), (AIM, "overlap")) if kind in ONE else ((SHIPPED, "overlap"), (AIM, "paper"))
    )
]
FEW = {"dram.channels": 4}


def prepared(kind: str, path: Path = SHIPPED, **keys: Any) -> api.Prepared:
    """What runs a kind of schedule on few channels."""
    lines, own = KINDS[kind]
    return api.prepare(loaded(lines, {**FEW, **own, **{k.replace("__", "."): v for k, v in keys.items()}}, path))


def comparable(result: Result) -> str:
    """What a run writes, less how long it took and on which engine."""
    summary = {key: value for key, value in result.summary.items() if key not in ("simulation", "config_sha256")}
    return json.dumps(summary)


@pytest.mark.parametrize(("kind", "path", "schedule"), RUNS)
def test_every_engine_gives_the_same(kind: str, path: Path, schedule: str) -> None:
    engines = [(mode, fold) for mode in ("fast", "stepped") for fold in (True, False)]
    keys = {"schedule": schedule, "workload__lm_head": False}
    first, *others = [
        api.run(prepared(kind, path, engine__mode=mode, engine__fold=fold, **keys)) for mode, fold in engines
    ]
    for other in others:
        assert other.tally == first.tally
        assert list(other.tally.tokens) == list(first.tally.tokens)
        assert comparable(other) == comparable(first)
    assert sum(row.cycles for row in first.tally.rows) == first.tally.cycles
    assert first.tally.cycles == sum(token.cycles for token in first.tally.tokens)


@pytest.mark.parametrize("schedule", ["paper", "overlap"])
@pytest.mark.parametrize("kind", KINDS)
def test_windows_of_any_size_give_the_same(kind: str, schedule: str, monkeypatch: pytest.MonkeyPatch) -> None:
    plan, found = prepared(kind, schedule=schedule).plan, []
    for steps in (1, 3, 1000):
        monkeypatch.setattr(system.Pace, "__init__", lambda self, steps=steps: setattr(self, "steps", steps))
        monkeypatch.setattr(system.Pace, "done", lambda self, instructions: None)
        found.append(simulate(plan))
        plan.forget()
    assert found[0] == found[1] == found[2]


def logged(kind: str, folder: Path, **keys: Any) -> tuple[api.Prepared, Result, CommandLog]:
    """A run and its log."""
    made = prepared(kind, **keys)
    result = api.run(made, log=folder / "log.csv")
    return made, result, read_log(folder / "log.csv", made.plan.device.standard)


@pytest.mark.parametrize(("kind", "path", "schedule"), RUNS)
def test_the_log_is_legal_and_has_every_command(kind: str, path: Path, schedule: str, tmp_path: Path) -> None:
    made, result, log = logged(kind, tmp_path, path=path, schedule=schedule)
    device = made.plan.device
    assert check(log, device) == []
    names = device.standard.log_names
    counted = np.bincount(log.command, minlength=len(names)).tolist()
    assert dict(zip(names, counted, strict=True)) == result.tally.commands
    assert {name: n for name, n in result.summary["system"]["commands"].items() if n} == {
        name: n for name, n in result.tally.commands.items() if n
    }
    assert log.row[log.row < device.rows].max() < made.plan.memory.rows  # AiM has a row for a change of mode


@pytest.mark.parametrize("kind", ONE)
def test_the_stepped_engine_logs_the_same(kind: str, tmp_path: Path) -> None:
    _, _, fast = logged(kind, tmp_path, engine__mode="fast", engine__fold=True)
    _, _, stepped = logged(kind, tmp_path, engine__mode="stepped", engine__fold=False)
    for name, column in vars(fast).items():
        assert np.array_equal(column, getattr(stepped, name)), name
