"""Every notebook runs from top to bottom as a plain script."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

NOTEBOOKS = sorted((Path(__file__).parents[2] / "notebooks").glob("*.py"))


def test_there_is_a_notebook() -> None:
    assert [notebook.name for notebook in NOTEBOOKS if notebook.name == "first_run.py"]


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)  # from any folder, and nothing is left in the clone
    runpy.run_path(str(notebook), run_name="__main__")
    assert "us per token" in capsys.readouterr().out
    assert not list(tmp_path.iterdir())
