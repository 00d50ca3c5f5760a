"""`pimsim.sweep({...})`: the content of a sweep file, with the same rows, and the same errors by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim.errors import InputError
from tests.conftest import SHIPPED
from tests.sweep.conftest import TINY

AXES = {"dram.channels": [1, 2], "asic.clock_GHz": [0.5, 1]}
SECTIONS = {
    "axes": AXES,
    "constraints": ["dram.channels * asic.clock_GHz < 2"],
    "objectives": ["system.latency_per_token_ns", {"maximise": "system.row_hit_rate"}],
}
FROM_A_BASE = {"set": TINY, **SECTIONS}


def files(folder: Path) -> dict[str, bytes]:
    """What a sweep writes, without the manifest, which has the name."""
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.suffix in (".csv", ".parquet")}


@pytest.fixture
def of_a_file(tmp_path: Path) -> Path:
    """The folder of a sweep file's results; JSON is YAML."""
    (tmp_path / "tiny.yaml").write_text(json.dumps({"base": str(SHIPPED), **FROM_A_BASE}), encoding="utf-8")
    return pimsim.sweep(tmp_path / "tiny.yaml", out=tmp_path / "file", workers=0, kind="csv").directory


@pytest.mark.parametrize(
    "sweep",
    [
        {"base": "pim-gpt", **FROM_A_BASE},
        {"base": str(SHIPPED), **FROM_A_BASE},
        {"base": pimsim.load_config("pim-gpt"), **FROM_A_BASE},
        {"base": pimsim.load_config("pim-gpt").with_(TINY), **SECTIONS},
        {"base": pimsim.load_config("pim-gpt", TINY).with_({"dram.channels": 4}), **SECTIONS},
    ],
    ids=["a name", "a path", "a configuration", "a changed one", "a value that an axis varies"],
)
def test_its_rows_are_those_of_the_file(sweep: dict[str, Any], of_a_file: Path, tmp_path: Path) -> None:
    result = pimsim.sweep(sweep, out=tmp_path / "dict", workers=0, kind="csv")
    assert files(result.directory) == files(of_a_file)
    assert len(list(result.rows())) == 3 and result.pareto() and len(result.to_frame()) == 3


def test_without_a_folder_its_files_go_with_the_result() -> None:
    result = pimsim.sweep({"base": "pim-gpt", **FROM_A_BASE}, workers=0)
    folder = result.directory
    assert (folder / "sweep.json").exists()
    del result
    assert not folder.exists()


def test_a_sweep_that_was_finished_is_gone_on_with(tmp_path: Path) -> None:
    sweep = {"base": "pim-gpt", **FROM_A_BASE}
    first = files(pimsim.sweep(sweep, out=tmp_path, workers=0).directory)
    with pytest.raises(InputError, match="holds a sweep already"):
        pimsim.sweep(sweep, out=tmp_path, workers=0)
    assert files(pimsim.sweep(sweep, out=tmp_path, workers=0, resume=True).directory) == first


def test_a_shell_shows_how_many_points_there_are() -> None:
    sweep = {"base": "pim-gpt", **FROM_A_BASE, "axes": {**AXES, "dram.rows": [16384, 1]}}
    found = repr(pimsim.sweep(sweep, workers=0))
    assert found == "<SweepResult sweep: 3 ok, 3 infeasible, 2 dropped by constraints>"


def test_axes_may_be_ranges_and_arrays() -> None:
    counts = {
        tuple(row["dram.channels"] for row in pimsim.sweep(sweep, workers=0).rows())
        for values in ([1, 2], range(1, 3), np.array([1, 2]), (np.int64(1), np.int64(2)))
        for sweep in [{"base": "pim-gpt", "set": TINY, "axes": {"dram.channels": values}}]
    }
    assert counts == {(1, 2)}


def test_errors_name_the_key_and_come_all_at_once(tmp_path: Path) -> None:
    wrong = {
        "base": "pim-gp",
        "axs": {},
        "set": {"dram.chanels": 3},
        "objectives": ["system.latncy_ns"],
        "constraints": ["dram.rows <"],
    }
    with pytest.raises(InputError) as caught:
        pimsim.sweep(wrong, out=tmp_path / "out")
    problems = caught.value.problems
    assert {problem.file for problem in problems} == {"<sweep>"}
    assert {problem.key for problem in problems} == {
        "base", "axs", "axes", "dram.chanels", "objectives.0", "constraints.0"
    }  # fmt: skip
    for hint in ("pim-gpt", "axes", "system.latency_ns"):
        assert f"did you mean '{hint}'?" in str(caught.value)
    assert not (tmp_path / "out").exists()


def test_what_is_no_configuration_is_no_base() -> None:
    for base in (4, None, ["pim-gpt"], pimsim):
        with pytest.raises(InputError, match=r"^<sweep>:1:1: base: is needed: a configuration"):
            pimsim.sweep({"base": base, "axes": {"dram.channels": [1]}})


def test_a_base_keeps_where_its_files_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are relative to the file that names them, not to the folder in which the sweep runs."""
    (tmp_path / "t.jsonl").write_bytes((SHIPPED.parents[1] / "traces" / "gpt2-small.jsonl").read_bytes())
    text = f"extends: {SHIPPED}\nworkload:\n  trace: t.jsonl\n  output_tokens: 1\nbaselines: []\n"
    (tmp_path / "c.yaml").write_text(text, encoding="utf-8")
    config = pimsim.load_config(tmp_path / "c.yaml")
    monkeypatch.chdir("/")
    result = pimsim.sweep({"base": config, "axes": {"dram.channels": [8]}}, workers=0)
    assert [row["status"] for row in result.rows()] == ["ok"]
