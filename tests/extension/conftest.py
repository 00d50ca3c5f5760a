"""Packages that are installed for a test, and forgotten after it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from pimsim import registry


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """outside(site): packages in the folder `site` are installed for this process."""
    sites: list[str] = []
    monkeypatch.setattr(registry, "_PLUGINS", registry._Plugins())

    def use(site: Path) -> None:
        sites.append(str(site))
        monkeypatch.syspath_prepend(str(site))

    yield use
    for name, module in list(sys.modules.items()):
        if any(str(getattr(module, "__file__", None)).startswith(site) for site in sites):
            del sys.modules[name]
