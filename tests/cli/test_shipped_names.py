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
from pimsim.cli.init import EXAMPLES
from pimsim.config.shipped import CONFIGURATIONS, SWEEPS, TRACES
from pimsim.sweep import load_sweep
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
    folders = ("configs", "traces", "notebooks", "examples")
    assert include == {folder: f"pimsim/{folder}" for folder in folders}  # the first place that `folder_of` looks in


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
        ("trace", "validate", "qwen2.5-0.5b", "speculative"),
        ("trace", "show", "llama-3-8b"),
        ("trace", "chakra", "gpt2-small", "--out", "gpt2.et"),
        ("trace", "early-exit", "--target", "llama-3.2-1b", "--out", "early.jsonl"),
        ("run", "pim-gpt", "--set", "workload.trace=medusa"),
        ("sweep", "sweep.yaml", "--workers", "0"),
        ("sweep", "channels", "--workers", "0", "--shard", "1/10"),
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


# -- sweeps and traces ----------------------------------------------------------------------


def test_sweeps_and_traces_are_those_of_the_folders() -> None:
    for shelf, files in (
        (SWEEPS, [*ROOT.glob("configs/sweeps/*"), *ROOT.glob("configs/studies/*.yaml")]),
        (TRACES, [*ROOT.glob("traces/*"), *ROOT.glob("configs/studies/traces/*")]),
    ):
        assert sorted(map(Path, shelf.values())) == sorted(files)  # so no two have the same name
        assert list(shelf) == sorted(shelf) and len(shelf) == len(files)


def test_a_trace_of_that_name_that_is_there_wins(pimsim: Pimsim, tmp_path: Path) -> None:
    Path("gpt2-small").write_text((ROOT / "traces" / "qwen2.5-0.5b.jsonl").read_text())
    Path("mine.yaml").write_text("extends: pim-gpt\nworkload: {trace: gpt2-small}\n")
    assert "qwen2.5-0.5b (qwen2)" in pimsim("trace", "show", "gpt2-small").stdout
    assert _model(pimsim, "mine.yaml") == "qwen2.5-0.5b"
    Path("gpt2-small").unlink()
    assert _model(pimsim, "mine.yaml") == "gpt2-small"


def _model(pimsim: Pimsim, config: str) -> object:
    return json.loads(pimsim("run", config, "--json").stdout)["workload"]["model"]


def test_a_run_of_a_named_trace_writes_its_name(pimsim: Pimsim, tmp_path: Path) -> None:
    """So that what is written is the same on every machine, and runs again anywhere."""
    pimsim("run", "pim-gpt", "--set", "workload.trace=gpt2-small", "--set", "baselines=[]", "--out", "by-name")
    shown = Path("by-name", "config.resolved.yaml").read_text()
    assert "trace: gpt2-small " in shown and str(ROOT) not in shown
    assert _model(pimsim, "by-name/config.resolved.yaml") == "gpt2-small"


def test_a_sweep_over_named_traces_is_the_same_wherever_they_lie(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"base": "pim-gpt", "set": {"baselines": []}, "axes": {"workload.trace": ["gpt2-small", "gpt3-small"]}}
    here = load_sweep(given).sha256
    elsewhere = {name: str(tmp_path / f"{name}.jsonl") for name in ("gpt2-small", "gpt3-small")}
    for name, file in elsewhere.items():
        Path(file).write_bytes(Path(TRACES[name]).read_bytes())
    monkeypatch.setitem(vars(TRACES), "_files", elsewhere)
    assert load_sweep(given).sha256 == here
    Path(elsewhere["gpt2-small"]).write_bytes(Path(elsewhere["gpt3-small"]).read_bytes())
    assert load_sweep(given).sha256 != here


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (("sweep", "chanels"), "No such file or directory; did you mean 'channels'?"),
        (("sweep", "pim-gpt"), "pim-gpt is a shipped configuration: `pimsim run pim-gpt`"),
        (("run", "channels"), "channels is a shipped sweep: `pimsim sweep channels`"),
        (("run", "medusa"), "medusa is a shipped trace: `pimsim run CONFIG --set workload.trace=medusa`"),
        (("trace", "show", "medussa"), "did you mean 'medusa'?"),
        (("trace", "validate", "zzz"), f"shipped traces: {', '.join(TRACES)}"),
        (("run", "pim-gpt", "--set", "workload.trace=medussa"), "medussa; did you mean 'medusa'?"),
        (("trace", "medusa", "--target", "llama-3-8", "--out", "t.jsonl"), "did you mean 'llama-3-8b'?"),
    ],
)
def test_a_wrong_name_is_told_the_right_one(pimsim: Pimsim, command: tuple[str, ...], said: str) -> None:
    refused = pimsim(*command)
    assert refused.exit_code == 2 and refused.stderr.endswith(f"{said}\n"), refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    assert not list(Path().iterdir())


# -- the list -------------------------------------------------------------------------------


def test_the_list_has_every_name_within_80_columns(pimsim: Pimsim) -> None:
    shown = pimsim("list")
    assert shown.exit_code == 0 and max(map(len, shown.stdout.splitlines())) <= 80
    found = json.loads(pimsim("list", "--json").stdout)
    assert found.pop("schema") == "pimsim.list/1"
    assert {kind: [*names] for kind, names in found.items()} == {
        "configurations": [*CONFIGURATIONS], "sweeps": [*SWEEPS], "traces": [*TRACES], "examples": [*EXAMPLES]
    }  # fmt: skip
    words = shown.stdout.replace(",", "").split()
    for kind in ("configurations", "sweeps", "examples"):
        for name, about in found[kind].items():
            assert name in words and about and " ".join(about.split()) in " ".join(shown.stdout.split())
    assert set(found["traces"]) <= set(words)
