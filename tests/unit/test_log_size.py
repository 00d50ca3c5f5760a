"""A log says how large it will be before it is written, and a disk that cannot take it is refused."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import namedtuple
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pimsim
from pimsim import files
from pimsim.cli import cli
from pimsim.errors import InputError
from pimsim.logs.log_size import Forecast

Usage = namedtuple("Usage", ["total", "used", "free"])
SMALL = {
    "workload.model_config": {"name": "small", "layers": 2, "d_model": 256, "heads": 4},
    "workload.output_tokens": 40,
    "dram.channels": 2,
    "baselines": [],
}


def options() -> list[str]:
    model = "workload.model_config={name: small, layers: 2, d_model: 256, heads: 4}"
    return [f"--set={text}" for text in (model, "workload.output_tokens=40", "dram.channels=2", "baselines=[]")]


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Says how many bytes every disk has left."""

    def set_free(number: int) -> None:
        monkeypatch.setattr("pimsim.logs.log_size.shutil.disk_usage", lambda _: Usage(number, 0, number))

    return set_free


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
@pytest.mark.parametrize("window", [None, (0.0, 1e308), (100_000.0, 150_000.0)])
def test_the_forecast_is_near(shipped: Path, tmp_path: Path, suffix: str, window: Any) -> None:
    path, said = tmp_path / f"log{suffix}", list[Forecast]()
    config = pimsim.load_config(shipped, SMALL)
    result = pimsim.run(config, log=path, window_ns=window, announce=said.append)
    (forecast,) = said
    assert forecast.path == path
    assert forecast.size == pytest.approx(path.stat().st_size, rel=0.1 if suffix == ".csv" else 0.3)
    if window is None:
        assert forecast.commands == sum(result.summary["system"]["commands"].values())


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".parquet"])
def test_a_disk_that_cannot_take_it_is_refused_before_anything_is_written(
    shipped: Path, tmp_path: Path, free: Any, suffix: str
) -> None:
    path = tmp_path / f"log{suffix}"
    config, said, done = pimsim.load_config(shipped, SMALL), list[Forecast](), list[int]()
    free(1000)
    with pytest.raises(InputError, match=r"log.*:1:1: needs about .* the disk has 1\.0 kB left; take a part"):
        pimsim.run(config, log=path, announce=said.append, progress=lambda *_: done.append(1))
    assert said and not done
    assert os.listdir(tmp_path) == []
    free(said[0].size)
    pimsim.run(config, log=path)
    assert path.exists()


def test_the_command_says_it_on_standard_error(shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(import_module("pimsim.cli.options"), "WORTH_SAYING", 1)
    path = tmp_path / "log.csv"
    result = CliRunner().invoke(cli, ["run", str(shipped), *options(), "--commands", str(path)])
    rows = path.read_bytes().count(b"\n") - 1
    assert result.exit_code == 0
    assert f"{path}: about {rows:,} commands, " in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--commands", ""], "--commands:1:1: commands: needs the name of a file, but it is empty"),
        (["--timeline", ""], "--timeline:1:1: timeline: needs the name of a file, but it is empty"),
        (["--out", ""], "--out:1:1: out: needs the name of a folder, but it is empty"),
        (["--commands", "/"], "/:1:1: a command log's name ends in .csv, .csv.gz, .parquet"),
        (["--timeline", "/"], "/:1:1: a timeline's name ends in .json, .json.gz, .vcd, .vcd.gz"),
        (["--commands", "no/such/folder/log.csv"], "cannot write the command log: No such file or directory"),
        (["--timeline", "no/such/folder/t.json"], "cannot write: No such file or directory"),
        (["--commands", "a.csv", "--window", "1e300:1e308"], None),
        (["--timeline", "a.json", "--window", "1e300:1e308"], "starts at or after the end of the run"),
    ],
)
def test_names_and_windows_that_no_log_has(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str | None
) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(cli, ["run", str(shipped), *options(), *arguments])
    assert result.exit_code == (0 if message is None else 2), result.output
    assert message is None or message in result.stderr
    assert os.listdir(tmp_path) == ([] if message else ["a.csv"])


def test_a_timeline_with_too_many_commands_is_refused_before_the_run(shipped: Path, tmp_path: Path) -> None:
    done: list[int] = []
    config = pimsim.load_config(shipped, {"workload.output_tokens": 1, "baselines": []})
    with pytest.raises(InputError, match=r"more than 2,000,000 commands, .* such as --window 0:\d+"):
        pimsim.run(config, timeline=tmp_path / "t.json", progress=lambda *_: done.append(1))
    assert not done and os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["t.json", "t.json.gz", "t.vcd"])
def test_a_disk_that_is_full_under_a_timeline(
    shipped: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    class Full(files._Guarded):
        def __init__(self, descriptor: int, *about: Any) -> None:
            os.close(descriptor)
            super().__init__(os.open("/dev/full", os.O_WRONLY), *about)

    monkeypatch.setattr(files, "_Guarded", Full)
    config = pimsim.load_config(shipped, SMALL)
    with pytest.raises(InputError, match=f"{name}:1:1: cannot write: No space left on device"):
        pimsim.run(config, timeline=tmp_path / name, window_ns=(0, 20_000))
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("number", "option"),
    [
        (signal.SIGTERM, "--commands=log.csv"),
        (signal.SIGHUP, "--commands=log.csv"),
        (signal.SIGTERM, "--timeline=t.json"),
    ],
)
def test_a_run_that_is_ended_leaves_nothing(shipped: Path, tmp_path: Path, number: signal.Signals, option: str) -> None:
    which = ["--set=workload.model=gpt2-medium", "--set=workload.output_tokens=100"]  # a minute, and 5 GB of disk
    command = [sys.executable, "-m", "pimsim", "run", str(shipped), *which, option]
    window = ["--window=0:200000"] if "timeline" in option else []
    with subprocess.Popen([*command, *window], cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 100
        while not writing(process.pid, tmp_path) and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(number)
        assert process.wait(timeout=60) == -number
    assert os.listdir(tmp_path) == []


def writing(pid: int, folder: Path) -> bool:
    """Whether a process has a file in a folder open."""
    try:
        return any(os.readlink(f"/proc/{pid}/fd/{fd}").startswith(str(folder)) for fd in os.listdir(f"/proc/{pid}/fd"))
    except FileNotFoundError:
        return False
