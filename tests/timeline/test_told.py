"""What a timeline says of instructions that is known only when the run is over."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pimsim import api
from pimsim.sim.observer import Executed
from pimsim.timeline.files import timeline
from tests.configs import config_of
from tests.timeline.runs import CASES, SMALL, WINDOW, Trace


def traced(path: Path, case: Mapping[str, Any], told: Any, window: tuple[float, float] | None = None) -> str:
    prepared = api.prepare(config_of({**SMALL, **case}))
    with timeline(path, prepared.plan, prepared.prices, window, told=told) as watcher:
        api.run(prepared, watching=[watcher])
    return path.read_text()


@pytest.mark.parametrize("window", [None, WINDOW])
@pytest.mark.parametrize("case", CASES)
def test_nothing_else_differs(tmp_path: Path, case: dict[str, Any], window: tuple[float, float] | None) -> None:
    plain = json.loads(traced(tmp_path / "plain.json", case, None, window))
    more = json.loads(traced(tmp_path / "more.json", case, lambda executed: {"min": 1.0}, window))
    found = 0
    for event in more["traceEvents"]:
        if event["ph"] == "X":
            found += event["args"].pop("min", 0)
    assert found > 0
    ordered = (sorted(map(json.dumps, each["traceEvents"])) for each in (plain, more))
    assert next(ordered) == next(ordered)
    assert plain["otherData"] == more["otherData"]


def test_each_instruction_has_what_was_told_of_it_and_nothing_is_asked_before_the_end(tmp_path: Path) -> None:
    done = False

    def told(executed: Executed) -> Mapping[str, float]:
        assert done
        return {"mine": executed.context * 1000 + executed.block} if executed.key == "attn_norm" else {}

    path = tmp_path / "told.json"
    prepared = api.prepare(config_of(SMALL))
    with timeline(path, prepared.plan, prepared.prices, told=told) as watcher:
        api.run(prepared, watching=[watcher])
        done = True
    slices = Trace(path.read_text(), prepared.plan.device.tCK_ps).slices("controller and ASIC", "instructions")
    for *_, about in slices:
        if about["key"] == "attn_norm":
            assert about["mine"] == about["context"] * 1000 + about["block"]
        else:
            assert "mine" not in about
    assert any("mine" in about for *_, about in slices)


def test_numbers_have_six_digits_and_what_is_none_is_text(tmp_path: Path) -> None:
    numbers = {"a": 1 / 3, "b": float("nan"), "c": float("-inf"), "d": 1e-30}
    text = traced(tmp_path / "t.json", {}, lambda executed: numbers)
    args = [each["args"] for each in json.loads(text, parse_constant=pytest.fail)["traceEvents"] if "a" in each["args"]]
    assert {json.dumps({key: each[key] for key in numbers}) for each in args} == {
        '{"a": 0.333333, "b": "nan", "c": "-inf", "d": 1e-30}'
    }


def test_waveforms_show_no_numbers_and_are_as_they_were(tmp_path: Path) -> None:
    plain = traced(tmp_path / "plain.vcd", {}, None)
    assert traced(tmp_path / "told.vcd", {}, lambda executed: {"min": 1.0}) == plain
