"""`pimsim run` on a trace: what is odd is said on standard error, what is wrong is refused, torch is never needed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from pimsim.workload.models import build
from pimsim.workload.shapes import llama
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.writer import write_trace
from tests.cli.conftest import Pimsim

SHAPE = llama("mine", 2, 64, 4, 2, 96, 100, 64)


@pytest.fixture
def config(shipped: Path, tmp_path: Path) -> Path:
    """A configuration beside a trace of a tiny model."""
    write_trace(trace_of(build(SHAPE, lm_head=True), steps=2), tmp_path / "mine.jsonl")
    path = tmp_path / "mine.yaml"
    path.write_text(f"extends: {shipped}\nworkload: {{trace: mine.jsonl, output_tokens: 2}}\nbaselines: [gpu-t4]\n")
    return path


def edit(tmp_path: Path, old: str, new: str) -> None:
    path = tmp_path / "mine.jsonl"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_trace_runs_with_its_baseline(pimsim: Pimsim, config: Path) -> None:
    result = pimsim("run", config, "--json")
    assert result.exit_code == 0 and result.stderr == ""
    summary = json.loads(result.stdout)
    assert summary["workload"]["model"] == "mine" and summary["baselines"]["gpu-t4"]["latency_ns"] > 0


def test_unknown_keys_are_kept_and_warned_about(pimsim: Pimsim, config: Path, tmp_path: Path) -> None:
    before = json.loads(pimsim("run", config, "--json").stdout)
    edit(tmp_path, '"op":"rope"', '"op":"rope","theta":10000')
    result = pimsim("run", config, "--json")
    assert result.exit_code == 0
    (warning,) = result.stderr.splitlines()
    assert warning.startswith(f"{tmp_path}/mine.jsonl:") and "theta: warning: unknown key, kept" in warning
    assert json.loads(result.stdout)["trace_sha256"] == before["trace_sha256"]


def test_what_the_trace_lacks_is_refused_where_it_is_asked_for(pimsim: Pimsim, config: Path, tmp_path: Path) -> None:
    write_trace(trace_of(build(SHAPE, lm_head=False), steps=2), tmp_path / "mine.jsonl")
    for command in (("run",), ("config", "validate")):
        result = pimsim(*command, config, "--set", "workload.lm_head=true")
        assert result.exit_code == 2
        assert result.stderr == f"--set:1:1: workload.lm_head: {tmp_path}/mine.jsonl has no LM head\n"


def test_all_that_is_wrong_is_refused_and_nothing_written(pimsim: Pimsim, config: Path, tmp_path: Path) -> None:
    edit(tmp_path, '"op":"rope"', '"op":"rop"')
    result = pimsim("run", config, "--out", "results", "--set", "dram.channels=0")
    assert result.exit_code == 2 and not (tmp_path / "results").exists()
    lines = result.stderr.splitlines()
    assert any("mine.jsonl:" in line and "'rop'" in line for line in lines)
    assert "--set:1:1: dram.channels: must be at least 1, not 0" in lines


def test_torch_is_not_imported(config: Path) -> None:
    code = "import sys, pimsim; pimsim.run(pimsim.load_config(sys.argv[1])); print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, str(config)], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
