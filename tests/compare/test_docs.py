"""docs/compare.md says what there is, and its programs run as they stand."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import pimsim
from pimsim.comparison.comparison import SCHEMA, TABLES
from tests.compare.conftest import Saved, run_of
from tests.conftest import SHIPPED

PAGE = (Path(__file__).parents[2] / "docs" / "compare.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_runs(program: str, saved: Saved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saved("out")
    saved("other", dram__channels=4)
    monkeypatch.chdir(tmp_path)
    exec(program, {"pimsim": pimsim})


def test_every_key_and_table_is_told() -> None:
    summary = run_of().compare(run_of(SHIPPED.with_name("aim.yaml"))).summary
    told = set(re.findall(r"`(\w+)`", PAGE))
    assert SCHEMA in PAGE and set(summary) - told == {"schema"} and set(TABLES) <= told
    for part in ("runs", "inputs", "results", "operators", "commands"):
        assert {key for key in summary[part][0] if key not in told} <= {"command"}
