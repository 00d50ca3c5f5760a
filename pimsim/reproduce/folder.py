"""The reproduction as a folder: tables, JSON and pictures, all or nothing."""

from __future__ import annotations

import json
from pathlib import Path

from pimsim.reproduce.pictures import PICTURES
from pimsim.reproduce.pictures import save as save_pictures
from pimsim.reproduce.reproduction import Reproduction
from pimsim.reproduce.sheets import markdown
from pimsim.results.store import staged, write_files

NAME = "reproduction"


def save(found: Reproduction, directory: str | Path) -> Path:
    """Write reproduction.json, reproduction.md and the pictures; InputError if the folder cannot be written."""
    target = Path(directory)
    owned = [f"{NAME}.json", f"{NAME}.md", *(f"{name}.png" for name in PICTURES)]
    with staged(target, owned) as scratch:
        text = json.dumps(found.record(), indent=2, allow_nan=False) + "\n"
        write_files(scratch, {f"{NAME}.json": text, f"{NAME}.md": markdown(found)})
        save_pictures(found, scratch)
    return target
