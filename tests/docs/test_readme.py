"""The README fits three screens, and names what is tested and how."""

from __future__ import annotations

import re
import runpy
import textwrap
from pathlib import Path

import validation

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
WIDTH, LINES = 100, 130


def shown(text: str) -> list[str]:
    """The lines of a page as they are read: no targets of links, no comments, no rules of tables; long ones wrapped."""
    text = re.sub(r"\]\([^)]*\)", "", re.sub(r"<!--.*?-->\n|\|( -+:? \|)+\n", "", text)).replace("[", "")
    text = re.sub(r"\n{3,}", "\n\n", text)
    return [part for line in text.splitlines() for part in textwrap.wrap(line, WIDTH) or [""]]


def test_it_fits_three_screens() -> None:
    assert shown("a [b](c.md)\n<!-- d -->\n\n" + "e " * 100) == ["a b", "", ("e " * 50).strip(), ("e " * 50).strip()]
    assert len(shown(README)) <= LINES


def test_it_names_the_checks_that_ci_runs() -> None:
    lines = re.findall(r"^make ([a-z -]+)$", (ROOT / ".ci" / "run").read_text(encoding="utf-8"), re.MULTILINE)
    checks = " ".join(lines).split()
    assert len(checks) >= 6
    assert [check for check in checks if f"`make {check}`" not in README] == []


def test_its_table_of_questions_leads_to_the_pages() -> None:
    rows = [line for line in README.partition("## Where to read on")[2].splitlines() if line.startswith("| ")]
    assert len(rows) > 10 and all(re.search(r"\]\([\w/.-]+\) \|$", row) for row in rows[2:])


def test_its_figures_of_tests_are_those_of_the_tests() -> None:
    mutations = runpy.run_path(str(ROOT / "bench" / "mutations.py"))
    mutants = sum(1 for _ in mutations["mutants"](list(mutations["TABLES"])))
    assert re.findall(r"each of (\d+) changes that make a rule", README) == [str(mutants)]
    cases = validation.cases()
    assert re.findall(r"about ([\d,]+) random cases", README) == [f"{round(cases, -2):,}"]
