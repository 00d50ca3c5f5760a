"""A page in a real browser: what it shows, what it answers, and that it says nothing on its console."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ASKED = "PIMSIM_BROWSER" in os.environ  # by `make test-browser`
WIDE, PHONE = 1400, 390
_OWN = ("file:", "data:", "blob:")  # what a page may ask for
_FLAGS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync", "--disable-background-networking",
          "--disable-component-update", "--enable-unsafe-swiftshader", "--font-render-hinting=none"]  # fmt: skip

SMALL = """() => [...document.querySelectorAll("body *")].filter((node) =>
    [...node.childNodes].some((child) => child.nodeType === 3 && child.textContent.trim())
    && !["SCRIPT", "STYLE"].includes(node.tagName) && node.getClientRects().length
    && parseFloat(getComputedStyle(node).fontSize) < 12).map((node) => `${node.tagName} ${node.textContent.trim()}`)"""
OVERFLOW = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@contextmanager
def browser() -> Iterator[Browser]:
    """Chromium, for several pages; the test is skipped unless it is asked for, and then fails without it."""
    if not ASKED:
        pytest.skip("`make test-browser` opens pages in a browser")
    assert BROWSER, "no Chromium on this machine"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        running = play.chromium.launch(executable_path=BROWSER, args=_FLAGS)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(running: Browser, file: Path, fragment: str = "", width: int = WIDE, **options: Any) -> Iterator[Page]:
    """A page of a file, once its charts are drawn.  Whatever its console says, or asks the network for, fails the test.

    options  of the browser's context: color_scheme="dark", reduced_motion="reduce", ...
    """
    context = running.new_context(viewport={"width": width, "height": 900}, accept_downloads=True, **options)
    page = context.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on(
        "request",
        lambda request: said.extend([request.url] * (not request.url.startswith(("file:", "data:", "blob:")))),
    )
    page.goto(f"file://{file}{fragment}")
    page.locator("html[data-ready=yes]").wait_for(state="attached")
    try:
        yield page
    finally:
        context.close()
    assert said == []


def until(page: Page, expression: str, seconds: float = 10) -> None:
    """Wait until an expression of the page's is true; the page's policy forbids what playwright waits with."""
    end = time.monotonic() + seconds
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(30)


def downloaded(page: Page, selector: str) -> tuple[str, str]:
    """The name and the text of the file that a click on `selector` saves."""
    with page.expect_download() as waiting:
        page.click(selector)
    found = waiting.value
    return found.suggested_filename, Path(found.path()).read_text(encoding="utf-8")


def small_texts(page: Page) -> list[str]:
    """Every element whose own text is shown in less than 12 px."""
    return list(page.evaluate(SMALL))


def overflow(page: Page) -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate(OVERFLOW))
