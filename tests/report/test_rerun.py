"""The command that a report gives: typed again, it makes the same configuration."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import pytest

from pimsim import api
from pimsim.config.resolved import config_sha256
from pimsim.results.rerun import command
from tests import schedule_kinds

CONFIGS = Path(__file__).parents[2] / "configs"


def again(line: str) -> api.Loaded:
    """What the command of a report loads."""
    program, run, name, *rest = shlex.split(line)
    assert (program, run, rest[-2]) == ("pimsim", "run", "--out")
    assert rest[:-2:2] == ["--set"] * (len(rest[:-2]) // 2)
    return api.load(name, rest[1:-2:2])


def command_of(loaded: api.Loaded) -> str:
    return command(loaded.config, loaded.provenance)


@pytest.mark.parametrize(
    ("name", "overrides"),
    [
        ("pim-gpt", []),
        ("pim-gpt", ["workload.model=gpt2-small", "dram.channels=16"]),
        ("pim-gpt", ["dram.timing.tRP_ns=11.25", "asic.clock_GHz=0.5", "baselines=[gpu-t4, gpu-h100]"]),
        ("pim-gpt", ['name=it\'s "mine" # really: $HOME', "dram.power.budget_W=50"]),
        ("pim-gpt", ["workload.model_config={name: tiny, layers: 2, d_model: 64, heads: 4, vocabulary: 9}"]),
        ("pim-gpt", ["baselines=[]", "workload.weight_format=int8", "pim.formats={int8xint8: 32}"]),
        ("pim-gpt-int4", ["workload.context=1000"]),
        ("pim-gpt", ["pim.formats={}"]),
        ("pim-gpt-int8", []),
        ("aim", []),
        ("lpddr5x-pim", ["workload.output_tokens=2"]),
        (str(CONFIGS / "pim-gpt.yaml"), ["engine.mode=stepped", "schedule=paper"]),
    ],
)
def test_the_command_makes_the_same_configuration(name: str, overrides: list[str]) -> None:
    loaded = api.load(name, overrides)
    made = again(command_of(loaded))
    assert config_sha256(made.config) == config_sha256(loaded.config)
    assert {**vars(made.config), "engine": None} == {**vars(loaded.config), "engine": None}
    assert str(CONFIGS) not in command_of(loaded) and "engine" not in command_of(loaded)


def test_what_an_extending_file_changes_is_set(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: pim-gpt\nname: mine\ndram: {channels: 16}\nworkload: {output_tokens: 3}\n")
    loaded = api.load(mine, ["workload.model=gpt2-small"])
    line = command_of(loaded)
    assert config_sha256(again(line).config) == config_sha256(loaded.config)
    assert line == (
        "pimsim run pim-gpt --set name=mine --set dram.channels=16 --set workload.model=gpt2-small"
        " --set workload.output_tokens=3 --out results/mine"
    )


def test_a_shipped_configuration_that_extends_another_is_named() -> None:
    assert command_of(api.load("pim-gpt-int4")) == "pimsim run pim-gpt-int4 --out results/pim-gpt-int4"


def test_a_file_that_extends_nothing_is_named_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "in").mkdir()
    shutil.copy(CONFIGS / "pim-gpt.yaml", tmp_path / "in" / "own.yaml")
    monkeypatch.chdir(tmp_path)
    loaded = api.load("in/own.yaml", ["dram.channels=4"])
    line = command_of(loaded)
    assert line.startswith("pimsim run in/own.yaml --set dram.channels=4 --out ")
    assert config_sha256(again(line).config) == config_sha256(loaded.config)
    line = command_of(api.load(tmp_path / "in" / "own.yaml"))
    assert line == "pimsim run own.yaml --out results/pim-gpt"  # no folder of this machine


@pytest.mark.parametrize("where", [".", "sub", "a folder"])
def test_a_trace_is_named_from_where_the_command_is_typed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    monkeypatch.chdir(tmp_path)
    os.makedirs(where, exist_ok=True)
    schedule_kinds.write_lines(Path(where) / "trace.jsonl", schedule_kinds.KINDS["chain"]())
    Path(where, "mine.yaml").write_text("extends: pim-gpt\nbaselines: [gpu-t4]\nworkload: {trace: trace.jsonl}\n")
    loaded = api.load(os.path.join(where, "mine.yaml"))
    line = command_of(loaded)
    made = again(line)
    assert config_sha256(made.config) == config_sha256(loaded.config) or where != "."
    assert made.config.workload.trace_file == loaded.config.workload.trace_file
    assert made.config.workload.output_tokens == loaded.config.workload.output_tokens
    assert "output_tokens" not in line  # the trace says it


def test_a_shipped_trace_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "mine.yaml").write_text("extends: pim-gpt\nworkload: {trace: gpt2-small}\n")
    monkeypatch.chdir(tmp_path)
    loaded = api.load("sub/mine.yaml")
    line = command_of(loaded)
    assert line == "pimsim run pim-gpt --set workload.trace=gpt2-small --out results/pim-gpt"
    assert config_sha256(again(line).config) == config_sha256(loaded.config)


def test_it_is_not_known_where_values_of_python_came_from() -> None:
    assert command(api.load_config("pim-gpt"), {}) == ""
