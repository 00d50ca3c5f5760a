"""Files by name: configurations, sweeps, traces and examples that are shipped, and configurations that are registered.

A name does wherever the file does.  A file that is there wins, a folder of that name is not in the way, and what has
a suffix or a folder in it is a path.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.files import CANNOT_READ
from pimsim.registry import Registry, not_loaded

SUFFIXES = (".yaml", ".yml")
TRACE_SUFFIXES = (".jsonl", ".json", ".gz")
_PACKAGE = Path(__file__).parents[1]


def folder_of(name: str) -> Path:
    """A folder that is shipped: in the package, where a wheel has it, else in the clone around it."""
    places = (_PACKAGE / name, _PACKAGE.parent / name)
    return next((place for place in places if place.is_dir()), places[0])


@dataclass(frozen=True)
class Shelf(Mapping[str, str]):
    """The files of one kind, each by its name, sorted.

    what      the kind, as messages call it
    use       what to do with a NAME of this kind that is given for one of another
    places    the folders that they are in
    suffixes  what no name ends with: the first is that of the files
    """

    what: str
    use: str
    places: tuple[str, ...]
    suffixes: tuple[str, ...]

    @cached_property
    def _files(self) -> dict[str, str]:
        found = [file for place in self.places for file in folder_of(place).glob(f"*{self.suffixes[0]}")]
        return {file.stem: str(file) for file in sorted(found, key=lambda file: file.stem)}

    def __getitem__(self, name: str) -> str:
        return self._files[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)


_CONFIGURATIONS = Shelf("configuration", "pimsim run NAME", ("configs",), SUFFIXES)
SWEEPS = Shelf("sweep", "pimsim sweep NAME", ("configs/sweeps", "configs/studies"), SUFFIXES)
TRACES = Shelf(
    "trace", "pimsim run CONFIG --set workload.trace=NAME", ("traces", "configs/studies/traces"), TRACE_SUFFIXES
)
CONFIGURATIONS: Registry[str] = Registry("configuration", _CONFIGURATIONS)


def find(name: str, folder: str = "", shelf: Shelf = _CONFIGURATIONS) -> str:
    """The file that `name`, relative to `folder`, means: one of that name, else what is so called.

    InputError if it is the name of neither; of a path it is not asked whether it exists.
    """
    path = located(name, folder, shelf)
    if not _is_bare(name, shelf) or os.path.lexists(path):
        return path  # a folder, say: whoever reads it says what it is
    raise InputError(Problem(path, 1, 1, "", f"{CANNOT_READ}: No such file or directory{hint(name, shelf)}"))


def located(name: str, folder: str = "", shelf: Shelf = _CONFIGURATIONS) -> str:
    """As `find`; of what is the name of neither, the path that it would be."""
    path, known = os.path.join(folder, name), _known(shelf)
    return known[name] if _is_bare(name, shelf) and not os.path.isfile(path) and name in known else path


def hint(name: str, shelf: Shelf = _CONFIGURATIONS) -> str:
    """The end of what is said of a name that is neither a file nor known: the nearest, or all that there are."""
    if not _is_bare(name, shelf):
        return ""
    for other in (_CONFIGURATIONS, SWEEPS, TRACES):
        if other is not shelf and name in other:
            return f"; {name} is a shipped {other.what}: `{other.use.replace('NAME', name)}`"
    known = _known(shelf)
    near = did_you_mean(name, known) or f"; shipped {shelf.what}s: {', '.join(known) or 'none'}"
    return near + (not_loaded() if known is CONFIGURATIONS else "")


def written(path: str, shelf: Shelf) -> str:
    """A path as it is on every machine: of a shipped file its name."""
    name = Path(path).stem
    return name if shelf.get(name) == path else path


def _known(shelf: Shelf) -> Mapping[str, str]:
    return CONFIGURATIONS if shelf is _CONFIGURATIONS else shelf


def _is_bare(name: str, shelf: Shelf) -> bool:
    return bool(name) and "\0" not in name and os.path.basename(name) == name and not name.endswith(shelf.suffixes)
