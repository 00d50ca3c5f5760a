"""The docs say what the code does: their generated tables are up to date."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MAKE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_tables.py"))


@pytest.mark.parametrize("file", MAKE["TABLES_OF"])
def test_the_generated_tables_are_up_to_date(file: str) -> None:
    assert MAKE["updated"](file) == (ROOT / "docs" / file).read_text(encoding="utf-8"), "run docs/make_tables.py"


def test_a_key_that_nobody_explains_is_refused() -> None:
    with pytest.raises(KeyError, match="dram.colour"):
        MAKE["decides"]("dram.colour")


def test_the_longest_explanation_that_fits_counts() -> None:
    assert MAKE["decides"]("dram.timing.tRFCpb_ns") != MAKE["decides"]("dram.timing.tRFC_ns")
