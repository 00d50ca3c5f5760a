"""Configurations by name: files that are shipped, or registered, which need no path to be named."""

from __future__ import annotations

import os
from pathlib import Path

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import CANNOT_READ
from pimsim.registry import Registry, not_loaded

SUFFIXES = (".yaml", ".yml")
_PACKAGE = Path(__file__).parents[1]


def _files() -> dict[str, str]:
    """The file of each shipped configuration by its name, sorted: in the package, else in the clone around it."""
    places = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
    folder = next((place for place in places if place.is_dir()), places[0])
    return {file.stem: str(file) for file in sorted(folder.glob("*.yaml"), key=lambda file: file.stem)}


CONFIGURATIONS: Registry[str] = Registry("configuration", _files())


def find(name: str, folder: str = "") -> str:
    """The file that `name`, relative to `folder`, means: one of that name, else the configuration so called.

    InputError if it is the name of neither; of a path it is not asked whether it exists.
    """
    path = os.path.join(folder, name)
    if not _is_bare(name) or os.path.isfile(path):
        return path
    if name in CONFIGURATIONS:
        return CONFIGURATIONS[name]
    if os.path.lexists(path):
        return path  # a folder, say: whoever reads it says what it is
    hint = did_you_mean(name, CONFIGURATIONS) or f"; shipped configurations: {', '.join(CONFIGURATIONS) or 'none'}"
    raise InputError(Problem(path, 1, 1, "", f"{CANNOT_READ}: No such file or directory{hint}{not_loaded()}"))


def _is_bare(name: str) -> bool:
    return bool(name) and "\0" not in name and os.path.basename(name) == name and not name.endswith(SUFFIXES)
