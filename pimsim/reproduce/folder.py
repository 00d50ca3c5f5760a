"""A reproduction as a folder: tables, JSON and pictures, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pimsim.plots.looks import Order, owned
from pimsim.plots.pictures import Picture
from pimsim.plots.pictures import save as save_pictures
from pimsim.reproduce.pictures import pictures
from pimsim.reproduce.reproduction import Reproduction
from pimsim.reproduce.sheets import markdown
from pimsim.results.store import staged, write_files

NAME = "reproduction"


def save(found: Reproduction, directory: str | Path, order: Order | None = None) -> Path:
    """Write reproduction.json, reproduction.md and the pictures; InputError if the folder cannot be written."""
    return write(directory, found.record(), markdown(found), pictures(found), order)


def write(
    directory: str | Path,
    record: Mapping[str, Any],
    text: str,
    drawn: Mapping[str, Picture],
    order: Order | None,
) -> Path:
    """The same of any reproduction."""
    target, names = Path(directory), (f"{NAME}.json", f"{NAME}.md")
    with staged(target, (*names, *owned(drawn))) as scratch:
        figures = json.dumps(record, indent=2, allow_nan=False) + "\n"
        write_files(scratch, dict(zip(names, (figures, text), strict=True)))
        save_pictures(drawn, scratch, order or Order())
    return target
