"""The docs say what the code does: their generated tables are up to date, and what they link to exists."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
MAKE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_tables.py"))
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")]


@pytest.mark.parametrize("file", MAKE["TABLES_OF"])
def test_the_generated_tables_are_up_to_date(file: str) -> None:
    assert MAKE["updated"](file) == (ROOT / "docs" / file).read_text(encoding="utf-8"), "run docs/make_tables.py"


def test_a_key_that_nobody_explains_is_refused() -> None:
    with pytest.raises(KeyError, match="dram.colour"):
        MAKE["decides"]("dram.colour")


def test_the_longest_explanation_that_fits_counts() -> None:
    assert MAKE["decides"]("dram.timing.tRFCpb_ns") != MAKE["decides"]("dram.timing.tRFC_ns")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_to_files_of_the_project(page: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", page.read_text(encoding="utf-8"))
    local = [link for link in links if "://" not in link and not link.startswith("_generated/")]  # made by the build
    assert not [link for link in local if not (page.parent / link).exists()]
