"""What every test may use."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from pimsim import registry
from tests.examples import TIMES

# The same examples on every run and machine, unless bench/agreement.py asks for new ones; no
# deadline, machines differ and the first call compiles.
settings.register_profile("repeatable", derandomize=not TIMES, deadline=None, max_examples=50)
settings.load_profile("repeatable")

SHIPPED = Path(__file__).parents[1] / "configs" / "pim-gpt.yaml"
Write = Callable[..., Path]


def pytest_sessionstart(session: pytest.Session) -> None:
    """Before xdist's processes start: compile the kernel once, so that they need not do it side by side."""
    if getattr(session.config.option, "numprocesses", None):  # None in the processes, and without xdist
        program = Path(__file__).parent / "compiled.py"
        subprocess.run([sys.executable, str(program)], check=False)  # if it fails, tests say why


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """In one of xdist's processes: tests that share what their file prepares stay together, and start first.

    They are the long ones (the site, sweeps that are killed, a cluster), and started last
    they would keep one process busy when the others are done.
    """
    if not hasattr(config, "workerinput"):
        return
    for item in items:
        if _shares(item):
            item.add_marker(pytest.mark.xdist_group(item.path.stem))
    items.sort(key=lambda item: (not _shares(item), "docs" not in item.path.parts))


def _shares(item: pytest.Item) -> bool:
    """True if a fixture of the test is made once for its whole file."""
    known = item._fixtureinfo.name2fixturedefs if isinstance(item, pytest.Function) else {}
    return any(each.scope == "module" for definitions in known.values() for each in definitions)


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """What a test registers, such as the table that a configuration names, is forgotten after it."""
    before = [(each, dict(each._added)) for each in registry._REGISTRIES]
    yield
    if any(each._added != added for each, added in before):
        for each, added in before:
            each._added = added
        registry._forget()


@pytest.fixture
def shipped() -> Path:
    """The configuration of the main job."""
    return SHIPPED


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """write(text, name="config.yaml"): a file in the test's own folder."""

    def _write(text: str | bytes, name: str = "config.yaml") -> Path:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return _write


@pytest.fixture
def extend(write: Write) -> Write:
    """extend(text): a file whose first line extends the shipped configuration, `text` from line 2 on."""

    def _extend(text: str, name: str = "config.yaml") -> Path:
        return write(f"extends: {SHIPPED}\n{text}", name)

    return _extend
