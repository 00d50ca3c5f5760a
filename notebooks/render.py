"""Runs every notebook and writes its .ipynb beside it: .venv/bin/python notebooks/render.py [NAME]..."""

from __future__ import annotations

import base64
import io
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).resolve().parent
PNG = "image/png"
DPI = 80  # of a figure as it is shown; its picture has twice as many dots, for screens that show them
COLOURS = 256  # of a picture: flat areas and their edges, at a third of the size


def render(script: Path) -> Path:
    """The notebook of a percent script, run from top to bottom, with its outputs and nothing of this machine."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(script)
    first = nbformat.v4.new_code_cell(
        f"%config InlineBackend.rc = {{'figure.dpi': {DPI}}}\n"
        f"%config InlineBackend.print_figure_kwargs = {{'dpi': {2 * DPI}}}"
    )
    notebook.cells.insert(0, first)
    where = {"metadata": {"path": str(FOLDER)}}
    # What a cell prints is one output: in how many pieces it comes depends on the moment.
    NotebookClient(notebook, kernel_name="python3", timeout=300, coalesce_streams=True, resources=where).execute()
    del notebook.cells[0]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
        if cell.cell_type == "code":
            cell["execution_count"] = None
            for output in cell.outputs:
                output.pop("execution_count", None)
                output["metadata"] = _shown_at_half(output)
                if output.output_type == "execute_result":
                    output["execution_count"] = None
    notebook["metadata"] = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    target = script.with_suffix(".ipynb")
    nbformat.write(notebook, target)
    return target


def _shown_at_half(output: Any) -> dict[str, Any]:
    """The metadata of an output; its picture, if it has one, gets a palette, and is shown at half its size."""
    data = output.get("data", {})
    if PNG not in data:
        return {}
    data[PNG], (width, height) = _with_palette(data[PNG])
    return {PNG: {"width": width // 2, "height": height // 2}}


def _with_palette(picture: str) -> tuple[str, tuple[int, int]]:
    from PIL import Image

    image = Image.open(io.BytesIO(base64.b64decode(picture))).convert("RGB")
    written = io.BytesIO()
    image.quantize(COLOURS, dither=Image.Dither.NONE).save(written, "PNG", optimize=True)
    return base64.b64encode(written.getvalue()).decode("ascii"), image.size


def scripts() -> list[Path]:
    """Every notebook's script."""
    return sorted(path for path in FOLDER.glob("*.py") if path != Path(__file__).resolve())


if __name__ == "__main__":
    for path in scripts():
        if not sys.argv[1:] or path.stem in sys.argv[1:]:
            print(render(path))
