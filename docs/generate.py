"""What a build of the docs runs: it makes the tables of the validation page, and checks those of the results."""

from __future__ import annotations

from pathlib import Path

import make_readme
import validation


def write(folder: Path) -> None:
    """Write the part of a page that each build makes, only where its text changed, so that Sphinx reads no more."""
    folder.mkdir(exist_ok=True)
    text, file = validation.report(), folder / "validation.part.md"
    if not file.exists() or file.read_text(encoding="utf-8") != text:
        file.write_text(text, encoding="utf-8", newline="\n")


def check() -> None:
    """ValueError if a page with results differs from what the commands give now."""
    stale = [page.name for page, text in make_readme.updated().items() if page.read_text(encoding="utf-8") != text]
    if stale:
        raise ValueError(f"{', '.join(stale)}: the figures have changed; run docs/make_readme.py")
