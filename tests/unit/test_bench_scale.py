"""The curves of `bench/scale.py` still run: their smallest sizes."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest

SMALL = {"layers": 1, "context": 64, "tokens": 1, "channels": 1, "batch": 1, "devices": 64, "system-layers": 8}


@pytest.mark.parametrize("name", SMALL)
def test_a_curve_measures_something(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "bench"))
    scale = importlib.import_module("scale")
    figures = scale.CURVES[name].measure(SMALL[name])
    assert min(figures.values()) > 0
