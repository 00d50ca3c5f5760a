"""Every notebook runs from top to bottom, as a plain script and in Jupyter, and its rendered form is up to date."""

from __future__ import annotations

import json
import re
import runpy
import shutil
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
RENDER: dict[str, Any] = runpy.run_path(str(FOLDER / "render.py"))
NOTEBOOKS: list[Path] = RENDER["scripts"]()
PICTURES = {
    "design_space": 4, "does_it_still_speak": 4, "first_run": 2, "how_far_to_trust_it": 2, "time_and_energy": 3,
    "what_helps": 5, "your_own_model": 2,
}  # fmt: skip


def test_all_notebooks_are_there() -> None:
    assert {notebook.stem for notebook in NOTEBOOKS} == set(PICTURES)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.chdir(tmp_path)  # from any folder, and nothing is left in the clone
    runpy.run_path(str(notebook), run_name="__main__")
    assert capsys.readouterr().out
    assert not list(tmp_path.iterdir())


def cells(notebook: Any, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def pictures(notebook: Any) -> int:
    outputs = [output for cell in cells(notebook, "code") for output in cell["outputs"]]
    return sum("image/png" in output.get("data", {}) for output in outputs)


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_rendered_notebook_is_that_of_the_script(script: Path) -> None:
    """If this fails: make notebooks"""
    jupytext = pytest.importorskip("jupytext")
    rendered = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    sources = [(cell["cell_type"], "".join(cell["source"])) for cell in rendered["cells"]]
    assert sources == [(cell.cell_type, cell.source) for cell in jupytext.read(script).cells]


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_the_rendered_notebook_is_small_and_has_its_pictures_and_no_error(script: Path) -> None:
    text = script.with_suffix(".ipynb").read_text(encoding="utf-8")
    notebook = json.loads(text)
    outputs = [output for cell in cells(notebook, "code") for output in cell["outputs"]]
    assert pictures(notebook) == PICTURES[script.stem]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    assert len(text) < 300_000
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)


def test_jupyter_shows_every_picture(tmp_path: Path) -> None:
    for package in ("jupytext", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    script = shutil.copy(FOLDER / "first_run.py", tmp_path)
    rendered = RENDER["render"](Path(script))
    assert pictures(json.loads(rendered.read_text(encoding="utf-8"))) == PICTURES["first_run"]
