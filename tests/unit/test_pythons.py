"""`make test-pythons` tries the Pythons that the wheel is for, and says which of them are not there."""

from __future__ import annotations

import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
TRY: dict[str, Any] = runpy.run_path(str(ROOT / ".ci" / "try_pythons.py"))
HERE = ".".join(map(str, sys.version_info[:2]))


def test_the_versions_are_those_that_may_install() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    first, last = TRY["VERSIONS"][0], TRY["VERSIONS"][-1]
    assert TRY["VERSIONS"] == [f"3.{minor}" for minor in range(11, 15)] and HERE in TRY["VERSIONS"]
    assert project["requires-python"] == f">={first},<3.{int(last.partition('.')[2]) + 1}"


def test_the_running_python_is_found_and_one_that_nobody_has_is_not() -> None:
    found = TRY["program_of"](HERE)
    asked = subprocess.run(
        [found, "-c", "import sys; print(*sys.version_info[:2], sep='.')"], capture_output=True, text=True
    )
    assert asked.stdout == f"{HERE}\n"
    assert TRY["program_of"]("3.99") == "" and TRY["asked"](sys.executable, "3.99") == ""


def test_a_python_that_is_asked_for_has_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert TRY["main"]("none.whl", str(tmp_path), "/no/python3.99") == 1
    assert capsys.readouterr().out == "/no/python3.99: not on this machine\n"
    monkeypatch.setitem(TRY["main"].__globals__, "VERSIONS", ["3.99"])
    assert TRY["main"]("none.whl", str(tmp_path)) == 0
    assert capsys.readouterr().out == "3.99: not on this machine\n"


def test_what_is_too_large_fails_and_what_is_slow_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = TRY["main"].__globals__
    monkeypatch.setitem(names, "VERSIONS", [HERE])
    monkeypatch.setitem(names, "check", lambda tried: "1 passed")
    for seconds, size, status in ((20, 430, 0), (20, 451, 1), (500, 430, 0)):
        tried = TRY["Tried"](HERE, tmp_path)
        monkeypatch.setitem(names, "install", lambda *_, found=(tried, seconds, size): found)
        assert TRY["main"]("any.whl", str(tmp_path)) == status


def test_the_size_is_what_files_take_on_disk(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "file").write_bytes(bytes(3 << 20))
    assert 3 <= TRY["size_of"](tmp_path) < 3.2
