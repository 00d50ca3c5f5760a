"""Links and another machine have tracks of their own: at work for as long as the summary says, beside the ASIC."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pimsim import api
from tests.configs import config_of
from tests.timeline.runs import SMALL, Run, Trace, watched
from tests.timeline.test_vcd import busy, read

BESIDE: dict[str, Any] = {"placement.linear": "gpu-t4", "system.link.bandwidth_GBps": 1}
CASES: list[dict[str, Any]] = [
    BESIDE,
    {**BESIDE, "schedule": "overlap", "workload.batch": 2, "placement.sub_batches": 2},
    {"placement.prefill": "gpu-t4", "workload.prompt_tokens": 4},
]


def _expected(run: Run) -> dict[str, int]:
    """Clocks of the machine and of the link, from the fractions of the summary."""
    placement, cycles = run.result.summary["placement"], run.result.tally.cycles
    found = {name: placement[f"{name}_busy_fraction"] * cycles for name in ("machine", "link")}
    assert all(value > 0 for value in found.values())
    return {name: round(value) for name, value in found.items()}


@pytest.mark.parametrize("case", CASES)
def test_a_chrome_trace_has_a_track_for_the_link_and_one_for_the_machine(tmp_path: Path, case: dict[str, Any]) -> None:
    path = tmp_path / "trace.json"
    run = watched(path, case)
    trace = Trace(path.read_text(encoding="utf-8"), run.device.tCK_ps)
    for name, clocks in _expected(run).items():
        slices = trace.slices("controller and ASIC", name)
        assert sum(end - begin for begin, end, *_ in slices) == clocks
        assert all(a[1] <= b[0] for a, b in zip(slices, slices[1:], strict=False)), "one thing at a time"
    assert not {"ASIC link", "ASIC machine"} & set(trace.threads.values())


@pytest.mark.parametrize("case", CASES)
def test_a_vcd_has_a_signal_for_the_link_and_one_for_the_machine(tmp_path: Path, case: dict[str, Any]) -> None:
    """Work of the ASIC, the link and the machine at the same time shows in each of them."""
    path = tmp_path / "trace.vcd"
    run = watched(path, case)
    signals, end = read(path, run.device.tCK_ps)
    shown = {name: busy(signals[f"controller.{name}"], range(end), "0") for name in ("machine", "link")}
    assert shown == _expected(run)
    assert not {"link", "machine"} & set(signals["controller.asic_unit"].values())


def test_devices_that_share_a_layer_have_a_link_and_no_machine(tmp_path: Path) -> None:
    model = {**SMALL["workload.model_config"], "d_ff": 99}
    config = config_of({**SMALL, "workload.model_config": model, "system.devices": 3, "system.tensor": 3})
    result = api.run(config, timeline=tmp_path / "trace.vcd")
    signals, end = read(tmp_path / "trace.vcd", config.dram.tCK_ps)
    assert busy(signals["controller.link"], range(end), "0") > 0
    assert "controller.machine" not in signals
    api.run(config, timeline=tmp_path / "trace.json")
    trace = Trace((tmp_path / "trace.json").read_text(encoding="utf-8"), config.dram.tCK_ps)
    exchanges = trace.slices("controller and ASIC", "link")
    assert sum(e - b for b, e, *_ in exchanges) == busy(signals["controller.link"], range(end), "0")
    assert result.summary["system"]["latency_breakdown_ns"]["link"] > 0


def test_one_device_alone_has_neither(tmp_path: Path) -> None:
    run = watched(tmp_path / "trace.vcd", {})
    signals, _ = read(tmp_path / "trace.vcd", run.device.tCK_ps)
    assert not {"controller.link", "controller.machine"} & set(signals)
