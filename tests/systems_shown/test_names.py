"""Figures of several devices by name: tables, sweeps, comparisons, and folders that are read back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.errors import InputError
from pimsim.results import figures
from tests.systems_shown.runs import changes, run


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return run("pipeline").save(tmp_path_factory.mktemp("saved") / "run")


def test_the_frame_of_figures_has_those_of_the_devices() -> None:
    rows = {row["figure"]: (row["value"], row["unit"]) for row in run("pipeline").records("summary")}
    devices = run("pipeline").summary["devices"]
    assert rows["devices.count"] == (8, "devices")
    assert rows["devices.moved_bytes"] == (devices["moved_bytes"], "bytes")
    assert rows["devices.steady_tokens_per_s"] == (devices["steady_tokens_per_s"], "tokens/s")
    assert not any(name.startswith("devices.") for name in (row["figure"] for row in run("alone").records("summary")))


def test_every_figure_of_devices_can_be_an_objective() -> None:
    known = set(figures.known(["gpu-t4"]))
    assert {row["figure"] for row in run("pipeline").records("summary")} <= known
    assert figures.is_part("system.latency_breakdown_ns.bubble") and figures.is_part("system.energy_breakdown_pJ.link")


def test_a_sweep_over_devices_has_them_as_objectives() -> None:
    """One device moves nothing, and has no pipeline that could be full."""
    fixed = {key: value for key, value in changes("alone").items() if key != "baselines"}
    found = pimsim.sweep.run(
        {
            "base": "pim-gpt", "set": {**fixed, "baselines": []},
            "axes": {"zip": {"system.devices": [1, 2], "system.pipeline": [1, 2]}},
            "objectives": ["devices.moved_bytes", {"maximise": "devices.steady_tokens_per_s"}],
        },
        workers=0,
    )  # fmt: skip
    assert [row["status"] for row in found.rows()] == ["ok", "ok"]
    one, two = found.rows()
    assert one.get("devices.steady_tokens_per_s") is None and two["devices.steady_tokens_per_s"] > 0
    assert (
        two["devices.moved_bytes"] > 0
        and pimsim.sweep.pareto(found.rows(), ["devices.moved_bytes"])[0]["system.devices"] == 1
    )


def test_operators_have_columns_for_what_is_on_links() -> None:
    rows = run("pipeline").records("operators")
    assert {"outside_cycles", "moved_bytes", "link_cycles", "bubble_cycles", "link_pJ"} <= set(rows[0])
    assert sum(row["moved_bytes"] for row in rows) == run("pipeline").summary["devices"]["moved_bytes"]
    assert {"outside_cycles", "moved_bytes"}.isdisjoint(run("alone").records("operators")[0])


def test_a_saved_run_is_read_back(folder: Path) -> None:
    read = pimsim.load_result(folder)
    assert read.summary == run("pipeline").summary and str(read) == str(run("pipeline"))
    assert read.records("operators") == run("pipeline").records("operators")
    assert read.config_problem == ""


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"count": "many"}, "devices.count: must be a whole number, not 'many'"),
        ({"shares": []}, "devices.shares: must be a list of mappings, not a list"),
        ({"shares": [{"stages": 1}]}, "devices.shares: first_stage required key is missing"),
        ({"exchanges": [3]}, "devices.exchanges: must be a mapping of keys, not 3"),
        ({"steady_step_ns": -1}, "devices.steady_step_ns: must be at least 0, not -1"),
    ],
)
def test_what_was_edited_is_told(folder: Path, tmp_path: Path, change: dict[str, Any], said: str) -> None:
    for file in folder.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    summary = json.loads((folder / "summary.json").read_text("utf-8"))
    summary["devices"] |= change
    (tmp_path / "summary.json").write_text(json.dumps(summary, indent=2), "utf-8")
    with pytest.raises(InputError) as caught:
        pimsim.load_result(tmp_path)
    assert said in str(caught.value)


def test_systems_are_compared_with_each_other_and_with_one_device() -> None:
    together = run("alone").compare(run("tensor"), run("pipeline"))
    text = str(together)
    assert "system.devices" in text and "link" in text and max(map(len, text.splitlines())) <= 80
