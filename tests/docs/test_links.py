"""Every link of every page leads somewhere on a plain checkout: files and headings."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.docs.links import anchors, broken, links, slug

ROOT = Path(__file__).parents[2].resolve()
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


def name(page: Path) -> str:
    return str(page.relative_to(ROOT))


@pytest.mark.parametrize("page", [page for page in PAGES if "_generated" not in page.parts], ids=name)
def test_links_lead_to_files_and_headings(page: Path) -> None:
    assert broken(page, ROOT) == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_no_page_links_to_what_git_ignores(page: Path) -> None:
    targets = [str((page.parent / link.partition("#")[0]).resolve()) for link in links(page) if link[0] != "#"]
    if targets:
        found = subprocess.run(["git", "check-ignore", *targets], cwd=ROOT, capture_output=True, text=True)
        assert found.stdout == ""


def test_every_page_is_in_the_index() -> None:
    index = ROOT / "docs" / "index.md"
    linked = {(index.parent / link).resolve() for link in links(index)}
    pages = {page for page in index.parent.rglob("*.md") if not page.name.endswith(".part.md")}
    assert pages - linked == {index}


def test_a_link_to_no_file_no_heading_and_out_of_the_project_is_found(tmp_path: Path) -> None:
    page, other = tmp_path / "docs" / "page.md", tmp_path / "docs" / "other.md"
    page.parent.mkdir()
    page.write_text("# A\n[1](none.md) [2](other.md#no) [3](#a) [4](other.md#x-1) [5](../..) ![6](no.png) [7](#b)\n")
    other.write_text("# X\n\n```\n# no\n[8](nowhere.md)\n```\n\n## X\n`[9](code.md)`\n")
    assert broken(page, tmp_path) == ["none.md", "other.md#no", "../..", "no.png", "#b"]
    assert broken(other, tmp_path) == []
    assert anchors(other) == {"x", "x-1"}


def test_headings_are_named_as_github_names_them() -> None:
    assert slug("1.1: how steps follow each other") == "11-how-steps-follow-each-other"
    assert slug("`dram.timing`: as for [GDDR6](x.md)") == "dramtiming-as-for-gddr6"
