"""Runs every notebook and writes its .ipynb beside it: .venv/bin/python notebooks/render.py [NAME]..."""

from __future__ import annotations

import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
DPI = 80


def render(script: Path) -> Path:
    """The notebook of a percent script, run from top to bottom, with its outputs and nothing of this machine."""
    import jupytext
    import nbformat
    from nbclient import NotebookClient

    notebook = jupytext.read(script)
    first = nbformat.v4.new_code_cell(
        f"%config InlineBackend.rc = {{'figure.dpi': {DPI}}}\n"
        f"%config InlineBackend.print_figure_kwargs = {{'dpi': {DPI}}}"
    )
    notebook.cells.insert(0, first)
    NotebookClient(
        notebook, kernel_name="python3", timeout=300, resources={"metadata": {"path": str(FOLDER)}}
    ).execute()
    del notebook.cells[0]
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        cell["metadata"] = {}
        if cell.cell_type == "code":
            cell["execution_count"] = None
            for output in cell.outputs:
                output.pop("execution_count", None)
                output["metadata"] = {}
                if output.output_type == "execute_result":
                    output["execution_count"] = None
    notebook["metadata"] = {"kernelspec": notebook.metadata["kernelspec"], "language_info": {"name": "python"}}
    target = script.with_suffix(".ipynb")
    nbformat.write(notebook, target)
    return target


def scripts() -> list[Path]:
    """Every notebook's script."""
    return sorted(path for path in FOLDER.glob("*.py") if path != Path(__file__).resolve())


if __name__ == "__main__":
    for path in scripts():
        if not sys.argv[1:] or path.stem in sys.argv[1:]:
            print(render(path))
