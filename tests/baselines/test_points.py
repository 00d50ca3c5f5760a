"""The table of measured points in the docs is what its script prints."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
SCRIPT: dict[str, Any] = runpy.run_path(str(ROOT / "bench" / "baseline_points.py"))


def test_table_in_the_docs_is_up_to_date() -> None:
    text = (ROOT / "docs" / "baselines.md").read_text(encoding="utf-8")
    shown = text.split(SCRIPT["BEGIN"])[1].split(SCRIPT["END"])[0].strip()
    assert shown == SCRIPT["table"](), "run bench/baseline_points.py --write"


def test_points_that_a_constant_rests_on_are_within_10_percent() -> None:
    rows = [row.split(" | ") for row in SCRIPT["table"]().splitlines()[2:] if "not used" not in row]
    assert len(rows) == 3
    assert all(abs(float(row[6].rstrip("%"))) < 10 for row in rows)
    assert len({(row[0], row[3]) for row in rows}) == 2  # two sources, two constants
