"""Sweeps over traces that decode in several ways: what is null is empty, and takes a point out of the front."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests import schedule_kinds
from tests.conftest import SHIPPED
from tests.sweep.conftest import Pimsim

SWEPT = ("chain", "one kept", "encoder", "fork")


@pytest.fixture
def swept(pimsim: Pimsim, tmp_path: Path) -> Path:
    """The folder of a sweep over four traces."""
    for kind in SWEPT:
        schedule_kinds.write(tmp_path, kind)
    names = ", ".join(f"{kind.replace(' ', '-')}.jsonl" for kind in SWEPT)
    (tmp_path / "base.yaml").write_text(f"extends: {SHIPPED}\nworkload: {{trace: chain.jsonl}}\nbaselines: []\n")
    (tmp_path / "s.yaml").write_text(
        f"base: base.yaml\naxes:\n  workload.trace: [{names}]\n"
        "objectives: [system.tpot_ns, system.parts.rejected.latency_ns]\n"
    )
    done = pimsim("sweep", "s.yaml", "--out", "out", "--format", "csv", "--workers", "0")
    assert done.exit_code == 0, done.output
    return tmp_path / "out"


def test_what_is_null_is_an_empty_cell(swept: Path, tmp_path: Path) -> None:
    with open(swept / "results.csv", encoding="utf-8") as file:
        rows = {row["workload.trace"]: row for row in csv.DictReader(file)}
    assert {row["status"] for row in rows.values()} == {"ok"}
    encoder, chain = rows["encoder.jsonl"], rows["chain.jsonl"]
    for name in ("tpot_ns", "tokens_per_s", "energy_per_token_pJ", "latency_per_step_ns", "acceptance"):
        assert encoder[f"system.{name}"] == ""
    assert encoder["warnings"] == "no token is kept, so there is no figure per token"
    summary = schedule_kinds.run(tmp_path, "chain").summary["system"]
    for name, part in summary["parts"].items():
        for figure, value in part.items():
            assert float(chain[f"system.parts.{name}.{figure}"]) == value
    assert float(chain["system.acceptance"]) == summary["acceptance"]
    assert rows["fork.jsonl"]["system.parts.rejected.latency_ns"] == "0.0"


def test_a_point_without_a_figure_is_not_of_the_front(swept: Path) -> None:
    with open(swept / "pareto.csv", encoding="utf-8") as file:
        front = [row["workload.trace"] for row in csv.DictReader(file)]
    assert front  # what keeps no token has no time per token, and is no best one for that
    assert "encoder.jsonl" not in front
    assert "one-kept.jsonl" not in front
    assert (swept / "report.html").exists()


def test_an_objective_that_is_null_everywhere_is_pointed_out(pimsim: Pimsim, tmp_path: Path) -> None:
    schedule_kinds.write(tmp_path, "encoder")
    (tmp_path / "s.yaml").write_text(
        f"base: {SHIPPED}\nset: {{workload.trace: {tmp_path}/encoder.jsonl, baselines: []}}\n"
        "axes:\n  dram.channels: [4, 8]\nobjectives: [system.tpot_ns]\n"
    )
    done = pimsim("sweep", "s.yaml", "--out", "out", "--workers", "0")
    assert done.exit_code == 0, done.output
    assert "no point has a figure for system.tpot_ns: the front is empty" in done.output


def test_a_constraint_over_a_figure_is_refused(pimsim: Pimsim, tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text(
        f"base: {SHIPPED}\naxes:\n  dram.channels: [4, 8]\nconstraints: [system.acceptance > 0.5]\n"
    )
    done = pimsim("sweep", "s.yaml", "--out", "out")
    assert done.exit_code == 2
    assert "system.acceptance is of a result" in done.output
