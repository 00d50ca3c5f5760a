"""What every test may use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.examples import TIMES

# The same examples on every run and machine, unless bench/agreement.py asks for new ones; no
# deadline, machines differ and the first call compiles.
settings.register_profile("repeatable", derandomize=not TIMES, deadline=None, max_examples=50)
settings.load_profile("repeatable")

SHIPPED = Path(__file__).parents[1] / "configs" / "pim-gpt.yaml"
Write = Callable[..., Path]


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
