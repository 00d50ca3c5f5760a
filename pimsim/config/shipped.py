"""Configurations by name: the files that are shipped, which need no path to be named."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import CANNOT_READ

SUFFIXES = (".yaml", ".yml")
_PACKAGE = Path(__file__).parents[1]


@cache
def available() -> Mapping[str, str]:
    """The file of each shipped configuration by its name, sorted: in the package, else in the clone around it."""
    places = (_PACKAGE / "configs", _PACKAGE.parent / "configs")
    folder = next((place for place in places if place.is_dir()), places[0])
    return {file.stem: str(file) for file in sorted(folder.glob("*.yaml"))}


def find(name: str, folder: str = "") -> str:
    """The file that `name`, relative to `folder`, means: one of that name, else the shipped configuration so called.

    InputError if it is the name of neither; of a path it is not asked whether it exists.
    """
    path = os.path.join(folder, name)
    if not _is_bare(name) or os.path.isfile(path):
        return path
    if name in available():
        return available()[name]
    if os.path.lexists(path):
        return path  # a folder, say: whoever reads it says what it is
    hint = did_you_mean(name, available()) or f"; shipped configurations: {', '.join(available()) or 'none'}"
    raise InputError(Problem(path, 1, 1, "", f"{CANNOT_READ}: No such file or directory{hint}"))


def _is_bare(name: str) -> bool:
    return bool(name) and "\0" not in name and os.path.basename(name) == name and not name.endswith(SUFFIXES)
