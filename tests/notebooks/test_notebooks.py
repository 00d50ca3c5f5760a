"""Every notebook runs from top to bottom, as a plain script and in Jupyter, and its rendered form is up to date."""

from __future__ import annotations

import base64
import json
import re
import runpy
import shutil
import struct
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "notebooks"
RENDER: dict[str, Any] = runpy.run_path(str(FOLDER / "render.py"))
NOTEBOOKS: list[Path] = RENDER["scripts"]()
PICTURES = {
    "comparing": 3, "design_space": 4, "does_it_still_speak": 4, "first_run": 2, "how_far_to_trust_it": 2,
    "time_and_energy": 3, "what_helps": 5, "your_own_model": 2,
}  # fmt: skip


def test_all_notebooks_are_there() -> None:
    assert {notebook.stem for notebook in NOTEBOOKS} == set(PICTURES)


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(
    notebook: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wherever it lies and from any folder: what is needed is in the package; nothing is left behind."""
    monkeypatch.setenv("MPLBACKEND", "Agg")
    elsewhere, here = tmp_path / "elsewhere", tmp_path / "here"
    for folder in (elsewhere, here):
        folder.mkdir()
    monkeypatch.chdir(here)
    runpy.run_path(str(shutil.copy(notebook, elsewhere)), run_name="__main__")
    assert capsys.readouterr().out
    assert not list(here.iterdir())


def cells(notebook: Any, kind: str) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == kind]


def pictures(notebook: Any) -> list[dict[str, Any]]:
    """The outputs that are pictures."""
    outputs = [output for cell in cells(notebook, "code") for output in cell["outputs"]]
    return [output for output in outputs if "image/png" in output.get("data", {})]


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
    assert len(pictures(notebook)) == PICTURES[script.stem]
    assert not [output for output in outputs if output["output_type"] == "error" or output.get("name") == "stderr"]
    for cell in cells(notebook, "code"):  # what is printed is in one piece, or it would be in others next time
        kinds = [output.get("name") for output in cell["outputs"]]
        assert not [kind for kind, following in zip(kinds, kinds[1:], strict=False) if kind and kind == following]
    assert len(text) < 300_000
    assert not re.search(r"/(home|root|tmp|Users|work)/", text)


@pytest.mark.parametrize("script", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_picture_has_two_dots_for_each_of_a_screen(script: Path) -> None:
    """As rendered, and in whatever Jupyter runs it again."""
    notebook = json.loads(script.with_suffix(".ipynb").read_text(encoding="utf-8"))
    for output in pictures(notebook):
        picture = base64.b64decode("".join(output["data"]["image/png"]))
        width, height = struct.unpack(">II", picture[16:24])
        assert output["metadata"]["image/png"] == {"width": width // 2, "height": height // 2}
        assert width > 900
    assert '%config InlineBackend.figure_format = "retina"' in "".join(cells(notebook, "code")[0]["source"])


def test_jupyter_shows_every_picture_and_renders_the_same_each_time(tmp_path: Path) -> None:
    for package in ("jupytext", "nbclient", "ipykernel"):
        pytest.importorskip(package)
    script = Path(shutil.copy(FOLDER / "first_run.py", tmp_path))
    one, other = (RENDER["render"](script).read_text(encoding="utf-8") for _ in range(2))
    assert one == other
    assert len(pictures(json.loads(one))) == PICTURES["first_run"]


def test_a_notebook_crops_no_legend(monkeypatch: pytest.MonkeyPatch) -> None:
    """It saves what takes part in the layout of a figure; a legend below the axes does not, and was cut off."""
    import matplotlib
    from matplotlib import pyplot

    from pimsim.plots import style

    monkeypatch.setattr(style, "_in_notebook", lambda: True)
    monkeypatch.setattr(matplotlib, "is_interactive", lambda: False)
    pyplot.switch_backend("Agg")
    with style.drawing():
        ax = style.axes_or_new(None)
        (line,) = ax.plot([1, 2], [1, 2], label="a line")
        style.key_below(ax, [line])
    figure, legend = style.figure_of(ax), ax.get_legend()
    figure.canvas.draw()
    shown, key = figure.get_tightbbox(), legend.get_window_extent()
    pyplot.close(figure)
    assert shown.y0 * figure.dpi <= key.y0 and key.y1 <= shown.y1 * figure.dpi
