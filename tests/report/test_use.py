"""How busy what is, from counts: what the log of every command says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pimsim import api
from pimsim.results.use import uses
from pimsim.timeline.recorder import Recorder
from tests.configs import config_of
from tests.timeline.runs import CASES, SMALL

TRACKS = {
    "MAC units": "MAC units",
    "open rows": "any bank open",
    "command bus": "command bus",
    "data bus": "data bus",
    "refresh": "refresh",
}
HBM = {"workload.model": "gpt2-small", "workload.output_tokens": 1}


@pytest.mark.parametrize("case", CASES)
def test_shares_are_those_of_the_log(case: dict[str, Any]) -> None:
    config = config_of({**SMALL, **case})
    prepared = api.prepare(config)
    recorder = Recorder(prepared.prices.device)
    result = api.run(prepared, watching=[recorder])
    recorder.close()
    tally, device, activity = result.tally, result.prices.device, recorder.activity
    found = {use.name: use for use in uses(tally, device)}
    for name, track in TRACKS.items():
        clocks = sum(int(np.sum(activity.clocks(channel, track))) for channel in range(device.channels))
        most = device.channels * (max(1, len(device.turns)) if name == "refresh" else 1)
        if not clocks:
            assert name not in found
            continue
        late = name == "refresh"  # the last ones go on behind the end of the run
        assert float(found[name].share) == pytest.approx(clocks / (most * tally.cycles), rel=0.02 if late else 1e-12)
        assert 0 < found[name].share <= 1
        assert len(found[name].shares) == len(tally.rows)
    assert found["ASIC"].share * tally.cycles == tally.total("asic_busy_cycles")


def test_two_command_buses_are_twice_as_much() -> None:
    result = api.run(api.load("hbm2-pim", HBM).config)
    (bus,) = (use for use in uses(result.tally, result.prices.device) if use.name == "command bus")
    buses = {command.bus for command in result.prices.device.standard.commands}
    channels = result.prices.device.channels
    assert bus.share * result.tally.cycles * channels * len(buses) == sum(result.tally.commands.values())
