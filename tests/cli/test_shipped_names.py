"""The name of a shipped configuration does for its file, in every command and from any folder."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import pimsim as package
from pimsim import api
from pimsim.config.shipped import CONFIGURATIONS
from tests.cli.conftest import Pimsim

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "configs").glob("*.yaml"), key=lambda file: file.stem)
SMALL = ("--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=2")


def test_every_file_of_the_folder_has_its_name() -> None:
    assert {name: Path(file) for name, file in CONFIGURATIONS.items()} == {file.stem: file for file in FILES}
    assert {"aim", "aim-reference", "gddr6", "pim-gpt"} <= set(CONFIGURATIONS)


def test_the_wheel_has_the_folder() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    include = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    assert include == {"configs": "pimsim/configs"}  # the first place that `CONFIGURATIONS` looks in


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_a_name_loads_what_its_file_does(pimsim: Pimsim, file: Path) -> None:
    by_name, by_file = (pimsim("config", "show", given) for given in (file.stem, file))
    assert by_name.exit_code == 0 and by_name.stdout == by_file.stdout  # each line with its origin
    assert api.load(file.stem) == api.load(file)


def test_every_command_takes_names(pimsim: Pimsim, tmp_path: Path) -> None:
    Path("sweep.yaml").write_text(
        "base: pim-gpt\nset: {workload.model: gpt2-small, workload.output_tokens: 1}\naxes: {dram.channels: [4, 8]}\n"
    )
    program = next((ROOT / "tests" / "golden" / "aim" / "programs").glob("*.aim"))
    trace = ROOT / "traces" / "gpt2-small.jsonl"
    commands = (
        ("run", "pim-gpt", *SMALL, "--commands", "log.csv", "--window", "0:1000"),
        ("run", "pim-gpt", *SMALL, "--commands", "all.parquet"),
        ("check", "all.parquet", "--config", "pim-gpt"),
        ("replay", program, "--config", "aim"),
        ("replay", program, "--config", "aim-reference"),
        ("traffic", "gddr6", "--requests", "100"),
        ("config", "validate", "gddr6"),
        ("config", "schema", "aim"),
        ("config", "gaps", "gddr6"),
        ("trace", "validate", trace, "--config", "pim-gpt"),
        ("sweep", "sweep.yaml", "--workers", "0"),
    )
    for command in commands:
        done = pimsim(*command)
        assert done.exit_code == 0, (command, done.output)


def test_other_processes_and_folders_take_names(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "pimsim", "run", "pim-gpt", *SMALL, "--json"]
    environment = {**os.environ, "PYTHONPATH": str(Path(package.__file__).parents[1])}
    done = subprocess.run(command, cwd=tmp_path, env=environment, check=True, capture_output=True, text=True)
    assert json.loads(done.stdout)["workload"]["model"] == "gpt2-small"
    assert package.load_config("pim-gpt", {"dram.channels": 4}).dram.channels == 4


def test_a_file_of_that_name_wins_and_a_folder_does_not(pimsim: Pimsim, tmp_path: Path) -> None:
    Path("aim").mkdir()  # such as the results of an earlier run
    assert "standard: aim " in pimsim("config", "show", "aim").stdout
    Path("gddr6").write_text("extends: pim-gpt\nname: mine\n")
    assert "name: mine " in pimsim("config", "show", "gddr6").stdout


def test_a_file_may_extend_a_name(pimsim: Pimsim, tmp_path: Path) -> None:
    Path("mine.yaml").write_text("extends: aim\nname: mine\n")
    shown = pimsim("config", "show", "mine.yaml").stdout.splitlines()
    assert shown[0].endswith("[aim-reference.yaml:7]") and shown[1].endswith("[mine.yaml:2]")
    Path("mine.yaml").write_text("extends: aimm\nname: mine\n")
    refused = pimsim("config", "show", "mine.yaml")
    assert (refused.exit_code, refused.stderr) == (
        2, "mine.yaml:1:1: extends: aimm: cannot be read: No such file or directory; did you mean 'aim'?\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("pim-gtp", "No such file or directory; did you mean 'pim-gpt'?"),
        ("zzz", f"No such file or directory; shipped configurations: {', '.join(file.stem for file in FILES)}"),
        ("pim-gpt.yaml", "No such file or directory"),  # a path is a path
        ("./pim-gpt", "No such file or directory"),
        (".", "Is a directory"),
    ],
)
def test_what_is_neither_file_nor_name_is_refused(pimsim: Pimsim, given: str, said: str) -> None:
    for command in (("run", given), ("config", "gaps", given), ("check", "log.csv", "--config", given)):
        refused = pimsim(*command)
        assert (refused.exit_code, refused.stderr) == (2, f"{given}:1:1: cannot be read: {said}\n")


def test_a_sweep_says_where_its_unknown_base_stands(pimsim: Pimsim, tmp_path: Path) -> None:
    Path("sweep.yaml").write_text("base: pim-gptt\naxes: {dram.channels: [4]}\n")
    assert pimsim("sweep", "sweep.yaml").stderr == (
        "sweep.yaml:1:1: base: pim-gptt: cannot be read: No such file or directory; did you mean 'pim-gpt'?\n"
    )
