"""The documentation builds without a warning, and shows what the build found."""

from __future__ import annotations

import re
import subprocess
import sys
from html import unescape
from pathlib import Path

import pytest

pytest.importorskip("sphinx")
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-E", "-d", str(folder / "doctrees")]
    done = subprocess.run([*command, "docs", str(folder / "html")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder / "html"


def words(page: Path) -> str:
    """The text of a page, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page.read_text(encoding="utf-8"))).split())


def test_every_page_is_in_the_site(site: Path) -> None:
    pages = [page.relative_to(ROOT / "docs").with_suffix(".html") for page in (ROOT / "docs").rglob("*.md")]
    missing = [str(page) for page in pages if ".part" not in page.name and not (site / page).exists()]
    assert missing == []


def test_every_link_of_the_site_leads_somewhere(site: Path) -> None:
    texts = {page: page.read_text(encoding="utf-8") for page in site.rglob("*.html")}
    names = {page: set(re.findall(r'\sid="([^"]+)"', text)) for page, text in texts.items()}
    broken = []
    for page, text in texts.items():
        for link in re.findall(r'<a\s[^>]*href="([^"]+)"', text):
            file, _, anchor = unescape(link).partition("#")
            found = (page.parent / file).resolve() if file else page
            if "://" not in link and (not found.exists() or (anchor and anchor not in names.get(found, {anchor}))):
                broken.append(f"{page.relative_to(site)}: {link}")
    assert len(texts) > 30 and broken == []


def test_the_golden_identities_hold_in_the_build(site: Path) -> None:
    text = words(site / "validation.html")
    rows = re.findall(
        r"(instruction programs: cycles|matrix-vector products: cycles|distances of command pairs) (\d+) (\d+)", text
    )
    assert [row[1:] for row in rows] == [("34", "34"), ("42", "42"), ("16", "16")]


def test_the_build_tried_random_cases(site: Path) -> None:
    found = re.search(r"This build tried ([\d,]+) random cases", words(site / "validation.html"))
    assert found
    assert int(found[1].replace(",", "")) > 100


def test_options_of_commands_are_shown_as_such(site: Path) -> None:
    page = (site / "reference" / "cli.html").read_text(encoding="utf-8")
    assert ".. option" not in page and 'id="cmdoption-pimsim-run-out"' in page
    assert "Override a key, e.g. --set dram.channels=4." in words(site / "reference" / "cli.html")


def test_every_configuration_key_is_in_the_reference(site: Path) -> None:
    text = words(site / "reference" / "config.html")
    for key in ("tRCDRD_ns", "global_buffer_bytes", "output_tokens", "taylor_terms", "data_rate_Gbps"):
        assert key in text
