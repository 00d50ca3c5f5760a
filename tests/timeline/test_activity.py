"""Clocks in buckets: against sums over the command log, of any window, in any batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pimsim.devices.registry import device_of
from pimsim.logs.log import read_log
from pimsim.sim.run import simulate, simulate_step
from pimsim.timeline.activity import TRACKS, Activity
from pimsim.timeline.recorder import Recorder, activity_of
from tests.configs import config_of
from tests.timeline.runs import CASES, SMALL, WINDOW, Open, Run, clipped, open_rows, watched, window_of


def busy_by_clock(run: Run, track: str, channel: int, low: int, high: int) -> list[int]:
    """What a track should count at each clock, the slow way."""
    n = run.device.cycles
    counted = np.zeros(high - low, np.int64)
    length = {"command bus": dict.fromkeys(run.device.command_names, (0, 1)), "MAC units": {"MACAB": (0, n["nMAC"])}}
    length["refresh"] = {"REFAB": (0, n["nRFC"]), "REFPB": (0, n["nRFCpb"])}
    pins = {"RD": ("nCL", "nBL"), "RDMAC": ("nCL", "nBLRES"), "WR": ("nCWL", "nBL"), "WRGB": ("nCWL", "nBL")}
    length["data bus"] = {name: (n[wait], n[wait] + n[on]) for name, (wait, on) in pins.items()}
    if track == "banks open":
        spans = [(row.begin, row.end) for row in open_rows(run, run.result.tally.cycles) if row.channel == channel]
    else:
        mine = [row for row in run.rows if row.channel == channel and row.command in length[track]]
        spans = [(row.clk + length[track][row.command][0], row.clk + length[track][row.command][1]) for row in mine]
    for _, _, _, begin, end in clipped([Open(0, 0, 0, *span) for span in spans], low, high):
        counted[begin - low : end - low] += 1
    return counted.tolist()


def in_buckets(values: list[int], width: int) -> list[int]:
    return [sum(values[at : at + width]) for at in range(0, len(values), width)]


@pytest.mark.parametrize("case", CASES)
def test_every_bucket_has_the_clocks_of_the_log(tmp_path: Path, case: dict[str, Any]) -> None:
    run = watched(tmp_path / "a.json", case, WINDOW)
    low, high = window_of(run, WINDOW)
    recorder = Recorder(run.device, (low, high))
    simulate(run.config, observers=[recorder])
    recorder.close()
    activity = recorder.activity
    assert (activity.edges[0], activity.edges[-1]) == (low, high)
    for track in ("command bus", "data bus", "MAC units", "refresh", "banks open"):
        for channel in range(run.device.channels):
            wanted = in_buckets(busy_by_clock(run, track, channel, low, high), activity.width)
            assert activity.clocks(channel, track).tolist() == wanted, (track, channel)


@pytest.mark.parametrize("case", CASES)
def test_a_log_read_back_has_the_row_hits_and_the_open_clocks_of_the_summary(
    tmp_path: Path, case: dict[str, Any]
) -> None:
    run = watched(tmp_path / "a.json", case)
    activity = activity_of(read_log(tmp_path / "log.csv", run.device.standard), run.device)
    assert total(activity, "any bank open") == pytest.approx(run.result.tally.total("open_cycles"), rel=0.02)
    assert (total(activity, "accesses"), total(activity, "misses")) == accesses_and_misses(run)
    hits = 1 - total(activity, "misses") / total(activity, "accesses")
    # a refresh may close a row that nothing has accessed yet, which the summary counts as a miss
    assert 0 <= hits - run.result.summary["system"]["row_hit_rate"] < (0.01 if run.device.refresh != "none" else 1e-9)


def accesses_and_misses(run: Run) -> tuple[int, int]:
    """Bank accesses of the log, and those that are the first since their bank's activation."""
    fresh: set[tuple[int, int]] = set()
    accesses = misses = 0
    for row in run.rows:
        bank = row.bank_group * run.device.banks_per_group + row.bank
        for b in range(run.device.banks) if row.command.endswith("AB") else (bank,):
            if row.command.startswith("ACT"):
                fresh.add((row.channel, b))
            elif row.command.startswith("PRE"):
                fresh.discard((row.channel, b))
            elif row.command in ("RD", "WR", "MACAB"):
                accesses += 1
                misses += (row.channel, b) in fresh
                fresh.discard((row.channel, b))
    return accesses, misses


def total(activity: Activity, track: str) -> int:
    return sum(int(activity.clocks(c, track).sum()) for c in range(activity.device.channels))


def test_batches_make_no_difference(tmp_path: Path) -> None:
    run = watched(tmp_path / "a.json", {})
    log = read_log(tmp_path / "log.csv", run.device.standard)
    bank = np.where(log.bank >= 0, log.bank_group * run.device.banks_per_group + log.bank, -1)
    parts = []
    for batch in (len(log), 37, 1):
        recorder = Recorder(run.device)
        recorder.ended = run.result.tally.cycles
        for at in range(0, len(log), batch):
            some = slice(at, at + batch)
            columns = (log.clk, log.channel, log.command, bank, log.row, log.column)
            recorder.append(*(column[some] for column in columns))
        recorder.close()
        channels = range(run.device.channels)
        parts.append([recorder.activity.clocks(c, track).tolist() for c in channels for track in TRACKS])
    assert parts[0] == parts[1] == parts[2]


def test_one_step_from_rest_is_the_first_of_a_run() -> None:
    config = config_of({**SMALL, "workload.prompt_tokens": 0, "workload.output_tokens": 1})
    recorder = Recorder(device_of(config))
    assert simulate_step(config, 1, [recorder]) == simulate(config).cycles == recorder.ended


def simulate_device(config: Any) -> Any:
    from pimsim.devices.registry import device_of

    return device_of(config)
