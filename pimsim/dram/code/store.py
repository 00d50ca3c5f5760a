"""Code on disk: what was written is what is run.

A file begins with the SHA-256 of the rest, because a bit that flipped in machine code is a wrong
figure or a crash, and with a stamp over the source that the code was made of.  What cannot be read
is set aside under another name, with a warning, and made anew; what cannot be written is made in
each run.  A file appears whole: it is written under another name first.

Looked for in this order:

    objects/      of this folder: what a wheel brings, for one platform, whatever made it
    folders()     what this installation made: named by the versions of Python, numba and llvmlite too
"""

from __future__ import annotations

import hashlib
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from pimsim.dram.code.load import PLATFORM

FOLDER = "NUMBA_CACHE_DIR"  # as numba's own cache has it
UNKEPT = f"no folder for compiled code, so each run compiles it again; set {FOLDER} to one that can be written to"
SUFFIX = ".code"
SET_ASIDE = ".damaged"  # at the end of the new name
SHIPPED = Path(__file__).parent / "objects"

_DIGEST = hashlib.sha256().digest_size
_DRAM = Path(__file__).parents[1]
# what makes code of a source: all of this folder that does, and the language of the kernel
MADE_BY = (
    *("compiler.py", "records.py"),
    *(f"code/{name}.py" for name in ("emit", "entry", "floats", "frame", "later", "load", "target", "views")),
)


class DamagedError(Exception):
    """A file that is not as it was written."""


def find(function: Callable[..., int], kinds: str, target: str = PLATFORM) -> bytes | None:
    """The code of a function for arguments of these kinds and a target, None if there is none that can be read."""
    stamp = _stamp(function, kinds, target)
    for path in _paths(function, kinds, target):
        try:
            code = _read(path, stamp)
        except DamagedError as error:
            _set_aside(path, error)
            continue
        if code is not None:
            return code
    return None


def keep(function: Callable[..., int], kinds: str, target: str, code: bytes) -> None:
    """Write code where the next process finds it, if that can be."""
    refused = ""
    for folder in folders(function):
        try:
            _write(folder / file_name(function, kinds, target), _stamp(function, kinds, target) + code)
            return
        except OSError as error:
            refused = refused or f"compiled code cannot be kept in {folder} ({error.strerror or error}); "
    _warn(refused + UNKEPT)


def ship(function: Callable[..., int], kinds: str, target: str, code: bytes, folder: Path) -> None:
    """Write code as a wheel brings it; OSError."""
    _write(folder / file_name(function, kinds, target, shipped=True), _stamp(function, kinds, target) + code)


def folders(function: Callable[..., int]) -> Iterator[Path]:
    """Where code may be kept: FOLDER alone, or beside the source, or where the user has such files."""
    if given := os.environ.get(FOLDER):
        yield Path(given)
        return
    yield Path(function.__code__.co_filename).parent / "__pycache__"
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    if base and os.path.isabs(base):
        yield Path(base, "pimsim")


def file_name(function: Callable[..., int], kinds: str, target: str = PLATFORM, shipped: bool = False) -> str:
    """The name of the file with the code of a function for arguments of these kinds and a target."""
    form = hashlib.sha256(kinds.encode()).hexdigest()[:8]
    whose = target if shipped else f"{target}.{sys.implementation.cache_tag}.{_versions()}"
    return f"{function.__module__}.{function.__name__}.{form}.{whose}{SUFFIX}"


def sources(function: Callable[..., int]) -> list[Path]:
    """All that a function may be compiled of: the files of its own folder and of the kernel, and what compiles them."""
    own = dict.fromkeys([Path(function.__code__.co_filename).parent, _DRAM / "kernel"])
    return [_DRAM / name for name in MADE_BY] + [path for each in own for path in sorted(each.glob("*.py"))]


def _paths(function: Callable[..., int], kinds: str, target: str) -> Iterator[Path]:
    yield SHIPPED / file_name(function, kinds, target, shipped=True)
    name = file_name(function, kinds, target)
    for folder in folders(function):
        yield folder / name


def _stamp(function: Callable[..., int], kinds: str, target: str) -> bytes:
    """(32 bytes) over the source, by content, of the code of a function."""
    digest = hashlib.sha256(f"{function.__module__}.{function.__qualname__} {kinds} {target}".encode())
    digest.update(_source(tuple(sources(function))))
    return digest.digest()


@cache
def _source(paths: tuple[Path, ...]) -> bytes:
    digest = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.digest()


@cache
def _versions() -> str:
    """Of what compiles, without importing it: the names of the folders beside it that say its version."""
    found = []
    for package in ("numba", "llvmlite"):
        spec = find_spec(package)
        for root in (spec and spec.submodule_search_locations) or ():
            found += [path.stem for path in Path(root).parent.glob(f"{package}-*.dist-info")][:1]
    return ".".join(found)


def _read(path: Path, stamp: bytes) -> bytes | None:
    """The code of a file, None if there is none of this stamp; DamagedError."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise DamagedError(error.strerror or str(error)) from error
    content = data[_DIGEST:]
    if hashlib.sha256(content).digest() != data[:_DIGEST]:
        raise DamagedError("its contents have changed since they were written")
    return content[_DIGEST:] if content[:_DIGEST] == stamp else None


def _write(path: Path, content: bytes) -> None:
    beside = path.with_name(f"{path.name}.{os.getpid()}.new")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        beside.write_bytes(hashlib.sha256(content).digest() + content)
        beside.replace(path)
    except OSError:
        with suppress(OSError):
            beside.unlink()
        raise


def _set_aside(path: Path, why: DamagedError) -> None:
    aside = path.with_name(path.name + SET_ASIDE)
    try:
        path.replace(aside)
        where = f"is set aside as {aside}"
    except OSError as error:  # another process was faster, or the folder cannot be written to
        where = f"stays where it is ({error.strerror or error})"
    _warn(f"compiled code in {path} cannot be read ({why}); it {where} and is compiled anew")


def _warn(text: str) -> None:
    warnings.warn(text, RuntimeWarning, stacklevel=2)
