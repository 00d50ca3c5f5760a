"""One browser for all pages."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from tests.browser.browsing import browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="session")
def running() -> Iterator[Browser]:
    """Chromium; each page has a profile of its own."""
    with browser() as found:
        yield found
