"""Mutated sweep files and damaged folders never crash; `bench/fuzz_sweeps.py` tries thousands."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "bench" / "fuzz_sweeps.py"))


def test_mutated_sweep_files_are_read_or_refused(tmp_path: Path) -> None:
    counts, crashes = SCRIPT["fuzz_files"](120, 3, tmp_path)
    assert not crashes, crashes[0]
    assert counts["accepted"] and counts["refused"] > 50


def test_damaged_folders_are_gone_on_with_or_refused(tmp_path: Path) -> None:
    counts, crashes = SCRIPT["fuzz_folders"](25, 3, tmp_path)
    assert not crashes, crashes[0]
    assert counts["gone on with"] and counts["refused"]


@pytest.mark.parametrize(
    "text",
    [
        "axes: {dram.channels: {range: [1, 1e999999]}}",
        "axes: {dram.channels: {range: [1, 1e9999999999]}}",
        "axes: {dram.rows: {log_range: [1, 1e999], points: 3}}",
        f"axes: {{dram.channels: [1]}}\nset: {{workload.output_tokens: {'9' * 40}}}",
        f"axes: {{dram.channels: [1]}}\nset: {{workload.output_tokens: {'9' * 5000}}}",
        f"axes: {{dram.channels: [{'9' * 40}]}}",
        f"axes: {{dram.channels: [1]}}\nconstraints: [dram.channels < {'9' * 5000}]",
        "axes: {dram.channels: [1]}\nconstraints: [dram.channels < 1e99999]",
    ],
)
def test_numbers_beyond_all_use_are_refused_at_once(text: str, tmp_path: Path) -> None:
    path = tmp_path / "huge.yaml"
    path.write_text(f"base: {ROOT / 'configs' / 'pim-gpt.yaml'}\n{text}\n")
    assert SCRIPT["outcome"](path) == "refused"


def test_constraints_on_large_numbers_have_answers(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    product = " * ".join(["1e999"] * 20)
    path.write_text(
        f"base: {ROOT / 'configs' / 'pim-gpt.yaml'}\naxes: {{dram.channels: [1, 2]}}\n"
        f"constraints: ['dram.channels < {product}', '({product}) ** 0.5 > 1 or true', '{'9' * 90} > 1']\n"
    )
    assert SCRIPT["outcome"](path) == "accepted"
