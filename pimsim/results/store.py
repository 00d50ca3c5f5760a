"""Writing a result to a folder, so that an error leaves no half result."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from pimsim.errors import InputError
from pimsim.files import reason

LAST = "summary.json"  # its presence says that the rest is there
RESOLVED, OPERATORS, TOKENS = "config.resolved.yaml", "operators.csv", "tokens.csv"


def write_files(directory: Path, texts: Mapping[str, str | Iterable[str]]) -> None:
    """Write `texts` by file name, whole or in parts, UTF-8, `\\n` line ends on every system."""
    for name, text in texts.items():
        with open(directory / name, "w", encoding="utf-8", newline="\n") as file:
            file.writelines([text] if isinstance(text, str) else text)


@contextmanager
def staged(directory: Path, owned: Iterable[str]) -> Iterator[Path]:
    """A scratch folder whose files move into `directory` once the body has succeeded.

    Files named in `owned` that an earlier result left and this one does not write are
    removed.  If the body fails, `directory` is as it was, or gone if it is new and
    empty.  InputError if `directory` or a file in it cannot be written.
    """
    created = _make(directory)
    scratch = _scratch(directory)
    try:
        yield scratch
        _publish(scratch, directory, owned)
    except BaseException as error:
        shutil.rmtree(scratch, ignore_errors=True)
        for folder in created:
            _remove_if_empty(folder)
        if isinstance(error, OSError):
            raise _cannot_write(directory, error.strerror) from error
        raise
    shutil.rmtree(scratch)


def _make(directory: Path) -> list[Path]:
    """The folders that had to be made, innermost first."""
    missing = [folder for folder in (directory, *directory.parents) if not folder.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:  # a NUL in its name
        raise InputError(f"cannot make the folder {directory}: {reason(error)}", key="--out") from error
    return missing


def _scratch(directory: Path) -> Path:
    try:
        return Path(tempfile.mkdtemp(prefix=".pimsim-", dir=directory))
    except OSError as error:
        raise _cannot_write(directory, error.strerror) from error


def _cannot_write(path: Path, reason: str | None) -> InputError:
    return InputError(f"cannot write into {path}: {reason}", key="--out")


def _publish(scratch: Path, directory: Path, owned: Iterable[str]) -> None:
    """Move every file, the summary last; until then an older summary is out of the way."""
    names = [path.name for path in scratch.iterdir()]
    ours = sorted({*names, *owned, LAST}, key=lambda name: (name != LAST, name))
    for name in ours:
        if (directory / name).is_dir():
            raise InputError(f"{directory / name} is a folder, not a file", key="--out")
    for name in ours:
        (directory / name).unlink(missing_ok=True)
    for name in sorted(names, key=lambda name: (name == LAST, name)):
        os.replace(scratch / name, directory / name)


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        return
