"""Runs that take milliseconds, and their folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.results.result import Result
from tests.conftest import SHIPPED

TINY = {
    "workload.model_config": {"name": "tiny", "layers": 2, "d_model": 64, "heads": 4},
    "workload.output_tokens": 2,
    "baselines": ["gpu-t4"],
}

Run = Callable[..., Result]
Saved = Callable[..., Path]


def run_of(shipped: str | Path = SHIPPED, /, **overrides: Any) -> Result:
    """A run of a tiny model; overrides by key with __ for the dot."""
    from pimsim import api

    tiny = {} if overrides.get("workload__model_config", ...) is None else TINY
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    loaded = api.load(shipped, tiny | changes)
    return plain(pimsim.run(loaded.config, loaded.provenance))


def plain(result: Result) -> Result:
    """The same run, which writes no picture and no page."""
    return replace(result, plots=None, report=None)


@pytest.fixture
def saved(tmp_path: Path) -> Saved:
    """saved("a", dram__channels=4): the folder `a` with that run."""

    def _saved(name: str = "a", shipped: str | Path = SHIPPED, /, **overrides: Any) -> Path:
        return run_of(shipped, **overrides).save(tmp_path / name)

    return _saved
