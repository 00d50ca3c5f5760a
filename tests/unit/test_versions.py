"""Every library has a range with two ends, and CI runs both."""

from __future__ import annotations

import re
import runpy
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
VERSIONS: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "versions.py"))
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_every_requirement_has_a_floor_and_an_end() -> None:
    extras = PROJECT["optional-dependencies"]
    every = [r for requirements in extras.values() for r in requirements if not r.startswith("pimsim[")]
    assert len(VERSIONS["ranges"](*(e for e in extras if e not in ("dev", "test")))) >= 20
    for requirement in [*PROJECT["dependencies"], *every]:
        VERSIONS["_read"](requirement)
    with pytest.raises(ValueError, match="'numpy>=1.26' is not NAME>=FLOOR,<END"):
        VERSIONS["_read"]("numpy>=1.26")


def test_the_oldest_versions_that_ci_installs_are_the_floors(capsys: pytest.CaptureFixture[str]) -> None:
    assert VERSIONS["main"]("floors") == 0
    lines = capsys.readouterr().out.split()
    for requirement in PROJECT["dependencies"]:
        name, floor = requirement.split(",")[0].split(">=")
        assert f"{name}=={floor}" in lines


@pytest.mark.parametrize(
    ("end", "here", "wrong"),
    [
        ("oldest", "2.1.0", False),
        ("oldest", "2.10.0", True),
        ("oldest", "2.2", True),
        ("newest", "3.1.1", False),
        ("newest", "2.9", True),
        ("newest", "4.0", True),
    ],
)
def test_a_library_that_is_not_at_its_end_is_named(
    end: str, here: str, wrong: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(VERSIONS["wrong"].__globals__, "version", lambda name: here)
    assert bool(list(VERSIONS["wrong"](end, {"pandas": ("2.1", "4")}))) is wrong
    assert list(VERSIONS["wrong"]("newest", {"torch": ("2.13", "2.14")})) != []


def test_ci_runs_every_gate() -> None:
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8").splitlines()
    gates = ["make test", "make test-browser", "make test-trace", "make test-values", "make test-versions test-pythons"]
    assert [line for line in script if re.fullmatch("make [a-z -]+", line)] == gates
