"""The timeline of several devices: passes and messages are those of the schedule, and one device's that of its run."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim.api import prepare
from pimsim.errors import InputError
from pimsim.sim.run import simulate
from pimsim.systems.passes import processes, sent
from pimsim.systems.together import Run, Together, together
from tests.systems_shown.runs import changes


@cache
def whole(kind: str) -> Together:
    """The system of a kind, with its schedule."""
    config = pimsim.load_config("pim-gpt", changes(kind))
    prepared: Any = prepare(config)
    runs = [
        Run(share, member and simulate(member.plan), member and member.plan)
        for share, member in zip(prepared.layout.shares, prepared.members, strict=True)
    ]
    return together(prepared.layout, runs, prepared.wiring, prepared.config.system.devices, runs[0].tCK_ps)


def written(folder: Path, kind: str, window_ns: tuple[float, float] | None = None) -> dict[str, Any]:
    file = folder / "trace.json"
    pimsim.run(pimsim.load_config("pim-gpt", changes(kind)), timeline=file, window_ns=window_ns)
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def slices(trace: dict[str, Any], track: str) -> dict[int, list[dict[str, Any]]]:
    """Those of the tracks with a name, by process."""
    tracks = {
        e["tid"]: e["pid"] for e in trace["traceEvents"] if e["name"] == "thread_name" and e["args"]["name"] == track
    }
    found: dict[int, list[dict[str, Any]]] = {process: [] for process in tracks.values()}
    for event in trace["traceEvents"]:
        if event["ph"] == "X" and event["tid"] in tracks:
            found[event["pid"]].append(event)
    return found


def test_a_process_says_how_many_devices_it_stands_for(tmp_path: Path) -> None:
    events = written(tmp_path, "pipeline")["traceEvents"]
    names = [event["args"]["name"] for event in events if event["name"] == "process_name"]
    assert names == [f"stage {stage}: 2 devices that do the same" for stage in (1, 2, 3, 4)]


def test_experts_of_others_and_devices_without_work_are_processes_of_their_own() -> None:
    names = [process.name for process in processes(whole("experts"))]
    assert len(names) == 6 and names[:3] == [
        "stage 1: 1 device",
        "stage 1: 1 device, with experts for others",
        "stage 1: 2 devices that do the same, without work",
    ]


@pytest.mark.parametrize("kind", ["pipeline", "experts"])
def test_a_stage_works_for_as_long_as_the_schedule_says_and_does_one_thing_at_a_time(kind: str) -> None:
    schedule = whole(kind).schedule
    assert schedule is not None
    leading = [process for process in processes(whole(kind)) if len(process.tracks) == 2]
    for stage, process in enumerate(leading):
        passes = sorted(process.tracks["passes"])
        assert sum(each.end - each.begin for each in passes) == schedule.busy[stage]
        assert all(one.end <= other.begin for one, other in zip(passes, passes[1:], strict=False))


@pytest.mark.parametrize("kind", ["pipeline", "experts"])
def test_messages_arrive_before_what_they_are_for(kind: str) -> None:
    """A link is taken for as long as the schedule says; the next stage begins no sooner, and a step is done by then."""
    schedule = whole(kind).schedule
    assert schedule is not None
    stages = len(schedule.start)
    for stage in range(stages):
        messages = list(sent(schedule, stage))
        assert sum(end - begin for *_, begin, end in messages) == schedule.link_busy[stage]
        arrives = np.broadcast_to(schedule.pipeline.links[stage].arrives, schedule.pipeline.steps)
        for part, step, begin, _ in messages:
            there = begin + int(arrives[step])
            if stage < stages - 1:
                assert there <= schedule.start[stage + 1, part, step]
            else:
                assert there == schedule.done[part, step]


def test_the_file_has_the_passes_in_microseconds(tmp_path: Path) -> None:
    found = slices(written(tmp_path, "pipeline"), "passes")
    tCK_us = whole("pipeline").tally.tCK_ps / 1e6
    for process, made in zip(found.values(), processes(whole("pipeline")), strict=True):
        assert [event["name"] for event in process] == [each.name for each in made.tracks["passes"]]
        ends = [event["ts"] + event["dur"] for event in process]
        assert ends == pytest.approx([each.end * tCK_us for each in made.tracks["passes"]], abs=1e-6)


def test_a_window_cuts(tmp_path: Path) -> None:
    events = [event for event in written(tmp_path, "pipeline", (10_000, 20_000))["traceEvents"] if event["ph"] == "X"]
    assert min(event["ts"] for event in events) == 10 and max(e["ts"] + e["dur"] for e in events) <= 20 + 1e-6


def test_devices_that_share_matrices_show_the_first_of_them(tmp_path: Path) -> None:
    """Its instructions take the whole run, exchanges included."""
    result = pimsim.run(pimsim.load_config("pim-gpt", changes("tensor")), timeline=tmp_path / "trace.json")
    trace = json.loads((tmp_path / "trace.json").read_text("utf-8"))
    [instructions] = slices(trace, "instructions").values()
    assert sum(event["dur"] for event in instructions) * 1000 == pytest.approx(result.summary["system"]["latency_ns"])
    exchanges = [event for event in instructions if event["name"].endswith("all_reduce")]
    spent = result.summary["system"]["latency_breakdown_ns"]["link"]
    assert sum(event["dur"] for event in exchanges) * 1000 == pytest.approx(spent, rel=0.1) and exchanges


def test_a_timeline_changes_nothing(tmp_path: Path) -> None:
    config = pimsim.load_config("pim-gpt", changes("pipeline"))
    one, other = pimsim.run(config).summary, pimsim.run(config, timeline=tmp_path / "trace.json").summary
    assert {**one, "simulation": None} == {**other, "simulation": None}


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"timeline": "trace.vcd"}, "a timeline of several devices ends in .json or .json.gz"),
        ({"timeline": "trace.json", "window_ns": (1e9, 2e9)}, "nothing of the run is in it"),
        ({"log": "commands.csv"}, "(log): for one device alone"),
    ],
)
def test_what_is_not_written_is_told_and_leaves_no_file(tmp_path: Path, how: dict[str, Any], said: str) -> None:
    asked = {name: tmp_path / value if isinstance(value, str) else value for name, value in how.items()}
    with pytest.raises(InputError) as caught:
        pimsim.run(pimsim.load_config("pim-gpt", changes("pipeline")), **asked)
    assert said in str(caught.value) and not list(tmp_path.iterdir())
