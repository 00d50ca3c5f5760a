"""Roofline and utilisation: points and shares worked out by hand, or from the summary."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pimsim import api
from pimsim.devices.registry import device_of
from pimsim.logs.log import read_log
from pimsim.plots.style import drawing
from pimsim.plots.utilisation import utilisation
from pimsim.results.drawn import rates
from pimsim.results.result import Result
from pimsim.timeline.recorder import activity_of
from pimsim.timeline.shares import busy_shares
from tests.configs import config_of
from tests.texts import wrong_texts
from tests.timeline.runs import SMALL


def test_the_device_s_roof_is_its_banks_and_lanes() -> None:
    device = device_of(config_of({}))
    bandwidth, peak = rates.device_roof(device, 16, 1.0)
    assert bandwidth == 8 * 16 * 32  # channels, banks, bytes each ns
    assert peak == 2 * 8 * 16 * 16


def test_operators_lie_below_the_roof_and_use_what_the_summary_says() -> None:
    config = config_of({**SMALL, "workload.prompt_tokens": 0, "baselines": ["gpu-t4"]})
    result = api.run(config)
    device = device_of(config)
    bandwidth, peak = rates.device_roof(device, config.pim.lanes, float(config.pim.clock_GHz))
    points = rates.operator_points(result, device)
    assert {point.name for point in points} >= {"qkv", "scores", "values", "ffn_up"}
    assert all(0 < point.rate < min(peak, point.intensity * bandwidth) for point in points)
    used = sum(point.rate * row_ns(result, point.name) for point in points)
    assert used / (peak * result.summary["system"]["latency_ns"]) == pytest.approx(
        result.summary["system"]["mac_utilization"]
    )


def row_ns(result: Result, operator: str) -> float:
    (record,) = [r for r in result.records("operators") if r["operator"] == operator]
    return float(record["latency_ns"])


def test_a_roofline_has_the_device_and_each_baseline() -> None:
    ax = api.run(config_of({**SMALL, "baselines": ["gpu-t4", "cpu-xeon-6154"]})).plot.roofline()
    labels = [str(line.get_label()) for line in ax.lines]
    assert [label for label in labels if "GB/s" in label][1:] == ["gpu-t4: 240 GB/s", "cpu-xeon-6154: 128 GB/s"]
    assert ax.get_xlabel().endswith("(operations/byte)") and ax.get_ylabel().endswith("operations/s)")


def test_utilisation_of_a_log_is_the_share_of_its_clocks(tmp_path: Path) -> None:
    config = config_of(SMALL)
    api.run(config, log=tmp_path / "log.csv")
    device = device_of(config)
    log = read_log(tmp_path / "log.csv", device.standard)
    activity = activity_of(log, device)
    edges, shares = busy_shares(activity, "command bus")
    span = edges[-1] - edges[0]
    assert (shares * np.diff(edges)).sum() / span == pytest.approx(len(log) / (device.channels * span))
    macs = int((log.command == device.standard.index("MACAB")).sum()) * device.cycles["nMAC"]
    edges, shares = busy_shares(activity, "MAC units")
    assert (shares * np.diff(edges)).sum() == pytest.approx(macs / device.channels)
    assert utilisation(activity).get_xlabel() == "time (µs)"


def test_utilisation_of_a_result_is_of_the_step_that_is_asked_for() -> None:
    result = api.run(config_of(SMALL))
    ax = result.plot.utilisation(context=2)
    assert ax.get_title(loc="left").endswith("tiny, context 2") and ax.get_ylabel() == "busy (%)"
    assert 0 < ax.get_xlim()[1] < result.summary["system"]["latency_ns"] / 1000
    with pytest.raises(ValueError, match="from 1 to 4, not 5"):
        result.plot.utilisation(context=5)


@pytest.mark.parametrize("look", ["", "single-column", "double-column"])
@pytest.mark.parametrize(("runs", "name"), [(1, "a-model-with-a-name-that-takes-two-lines"), (3, "tiny")])
def test_means_of_utilisation_are_on_no_other_text(look: str, runs: int, name: str) -> None:
    """Neither on each other, of several runs, nor on a title that is as wide as the figure."""
    model = {**SMALL["workload.model_config"], "name": name}
    result = api.run(config_of({**SMALL, "workload.model_config": model}))
    with drawing(look):
        ax = None
        for _ in range(runs):
            ax = result.plot.utilisation(ax)
        assert ax is not None and wrong_texts(ax) == []
