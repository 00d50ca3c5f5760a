"""Sweeps that take milliseconds a point."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pimsim.cli import cli
from pimsim.sweep import backends
from tests.conftest import SHIPPED

Pimsim = Callable[..., Result]

TINY = {
    "workload.model_config": {"name": "tiny", "layers": 2, "d_model": 64, "heads": 4},
    "workload.output_tokens": 1,
    "baselines": [],
}


def sweep_of(axes: dict[str, Any], **sections: Any) -> dict[str, Any]:
    """A sweep of a tiny model, as a dict."""
    return {"base": str(SHIPPED), "set": TINY, "axes": axes, **sections}


@pytest.fixture
def pimsim(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pimsim:
    """pimsim("sweep", path, ...): the finished command; it runs in the test's own folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("PIMSIM_DEBUG", raising=False)
    return lambda *arguments: CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The requests that are evaluated in this process, as they come."""
    requests: list[Any] = []
    evaluate = backends.evaluate_request

    def evaluated(request: Any, *keep: Any) -> Any:
        requests.append(request)
        return evaluate(request, *keep)

    monkeypatch.setattr(backends, "evaluate_request", evaluated)
    return requests


@pytest.fixture
def sweep_file(tmp_path: Path) -> Callable[[str], Path]:
    """sweep_file(text): a sweep of a tiny model; `text` starts on line 6."""

    def write(text: str) -> Path:
        path = tmp_path / "tiny.yaml"
        path.write_text(
            f"base: {SHIPPED}\n"
            "set:\n"
            "  workload.model_config: {name: tiny, layers: 2, d_model: 64, heads: 4}\n"
            "  workload.output_tokens: 1\n"
            "  baselines: [gpu-t4]\n"
            f"{text}"
        )
        return path

    return write
