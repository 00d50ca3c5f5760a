"""`pimsim traffic` on every memory of host traffic alone, and `pimsim check` of its commands."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.cli.conftest import Pimsim
from tests.conftest import SHIPPED


@pytest.mark.parametrize("name", ["gddr6", "lpddr5x", "hbm3"])
@pytest.mark.parametrize("refresh", ["all_bank", "per_bank"])
def test_traffic_logs_what_the_checker_accepts(pimsim: Pimsim, name: str, refresh: str, tmp_path: Path) -> None:
    config, log = SHIPPED.parent / f"{name}.yaml", tmp_path / "commands.csv.gz"
    options = ("--set", f"dram.refresh={refresh}")
    args = ("--requests", "30000", "--pattern", "random", "--read-fraction", "0.6", "--commands", log, "--json")
    result = pimsim("traffic", config, *options, *args)
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    checked = pimsim("check", log, "--config", config, *options)
    total = sum(summary["commands"].values())
    assert (checked.exit_code, checked.stdout) == (0, f"{total:,} commands checked, no violations\n")
    other = "per_bank" if refresh == "all_bank" else "all_bank"
    assert pimsim("check", log, "--config", config, "--set", f"dram.refresh={other}").exit_code == 1
