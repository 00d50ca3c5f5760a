"""The command line, run inside the test's process."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pimsim.cli import cli

Pimsim = Callable[..., Result]


@pytest.fixture
def pimsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pimsim:
    """pimsim("run", path, ...): the finished command; it runs in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIMSIM_DEBUG", raising=False)
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def tiny(shipped: Path, tmp_path: Path) -> Path:
    """A configuration that takes milliseconds: two layers, two tokens, one baseline."""
    path = tmp_path / "tiny.yaml"
    path.write_text(
        f"extends: {shipped}\n"
        "name: tiny\n"
        "workload:\n"
        "  model_config: {name: tiny, layers: 2, d_model: 64, heads: 4}\n"
        "  output_tokens: 2\n"
        "baselines: [gpu-t4]\n"
    )
    return path
