"""`pimsim run` on a trace with a schedule: what it writes and says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests import schedule_kinds
from tests.cli.conftest import Pimsim
from tests.values.models import write_model


def config(tmp_path: Path, shipped: Path, kind: str) -> Path:
    """A configuration beside a trace of a kind."""
    trace = schedule_kinds.write(tmp_path, kind)
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {shipped}\nworkload:\n  trace: {trace.name}\nbaselines: []\n")
    return path


def test_a_folder_has_every_file_and_the_terminal_says_the_parts(pimsim: Pimsim, tmp_path: Path, shipped: Path) -> None:
    done = pimsim("run", config(tmp_path, shipped, "chain"), "--out", tmp_path / "out")
    assert done.exit_code == 0, done.stderr
    assert done.stderr == ""
    assert "Decode time: drafting" in done.stdout
    assert max(map(len, done.stdout.splitlines()[:-1])) <= 80  # the last one is a path
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert [stage["template"] for stage in summary["schedule"]["stages"]] == ["guess", "verify"]
    assert {path.suffix for path in (tmp_path / "out").iterdir()} == {".json", ".yaml", ".csv", ".png", ".html"}
    assert (tmp_path / "out" / "parts.png").stat().st_size > 1000


def test_pictures_of_an_earlier_result_are_removed(pimsim: Pimsim, tmp_path: Path, shipped: Path) -> None:
    pimsim("run", config(tmp_path, shipped, "chain"), "--out", tmp_path / "out")
    pimsim("run", config(tmp_path, shipped, "encoder"), "--out", tmp_path / "out")
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {
        "latency_breakdown.png", "energy_breakdown.png", "roofline.png",
    }  # fmt: skip


def test_that_nothing_is_kept_is_a_warning_at_the_trace(pimsim: Pimsim, tmp_path: Path, shipped: Path) -> None:
    path = config(tmp_path, shipped, "encoder")
    done = pimsim("run", path, "--json")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["system"]["tpot_ns"] is None
    text = "no token is kept, so there is no figure per token"
    assert done.stderr == f"{path}:3:3: workload.trace: warning: {text}\n"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ("chain", "runs several templates (guess, verify)"),
        ("fork", "has a `fork`"),
        ("encoder", "is more than plain decoding"),
    ],
)
def test_values_of_a_schedule_are_refused(pimsim: Pimsim, tmp_path: Path, shipped: Path, kind: str, why: str) -> None:
    write_model(tmp_path / "model", "gpt2")
    path = config(tmp_path, shipped, kind)
    asked = ("--prompt-ids", "1,2")
    for command in (
        ("run", path, "--values", tmp_path / "model", *asked, "--out", tmp_path / "out"),
        ("generate", path, "--weights", tmp_path / "model", *asked, "--tokens", 2),
    ):
        done = pimsim(*command)
        assert done.exit_code == 2
        (line,) = [text for text in done.stderr.splitlines() if "schedule" in text]
        assert line.startswith(f"{path}:3:3: workload.trace: the schedule of the trace {why}, and tokens are computed")
        assert not (tmp_path / "out").exists()
