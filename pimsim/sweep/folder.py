"""The folder of a sweep: one owner at a time, a manifest that says which sweep it is, a journal of finished points.

Nothing here is lost when a process is killed: the manifest is replaced as a whole, and
each finished point is one line at the end of the journal, `CRC32 {"index": ..., ...}`.
A line that a crash tore is cut off; its point is simulated again.
"""

from __future__ import annotations

import errno
import json
import os
import socket
import time
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pimsim.errors import InputError
from pimsim.files import open_input, read_bytes
from pimsim.sweep.point import FAILED, STATUSES, describe

MANIFEST = "sweep.json"
JOURNAL = "journal.jsonl"
_LOCK = ".lock"
MOST_POINTS = 10_000_000
_LONGEST_LINE = 1 << 24  # bytes of a row
_SYNC_S = 1.0  # what a power cut may cost; a killed process loses nothing


def cannot_write(path: Path, error: OSError) -> InputError:
    """What is said of a folder that cannot be written."""
    return InputError(f"cannot write into {path}: {error.strerror}", key="--out")


def cannot_read(path: Path, error: OSError) -> InputError:
    """What is said of a file of a sweep that cannot be read."""
    return InputError(f"{path} cannot be read: {error.strerror}", key="--out")


@contextmanager
def owned(directory: Path) -> Iterator[None]:
    """Make the folder and keep it to this process; InputError if another sweep runs in it.

    The lock is the kernel's and ends with the process, however that ends: none is ever stale.
    """
    import fcntl  # not on Windows

    try:
        directory.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK, 0o666
        )
        lock = os.fdopen(descriptor, "a+")
    except OSError as error:
        raise cannot_write(directory, error) from error
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            owner = lock.read().strip() or "another process"
            raise InputError(f"{directory}: a sweep runs in this folder already ({owner})", key="--out") from None
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {socket.gethostname()}")
        lock.flush()
        yield
        lock.truncate(0)


def replace_file(path: Path, data: bytes) -> None:
    """Write a file as a whole: it has the old content or the new, never a part."""
    scratch = path.with_name(f".{path.name}.new")
    try:
        with open(scratch, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)
    except BaseException:  # of a full disk a part takes what is left
        with suppress(OSError):
            scratch.unlink(missing_ok=True)
        raise


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Say which sweep this folder holds."""
    replace_file(directory / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Which sweep a folder holds; None if it holds none. InputError if it cannot be read."""
    if not (directory / MANIFEST).exists():
        return None
    try:
        manifest = json.loads(read_bytes(directory / MANIFEST, _LONGEST_LINE))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{directory / MANIFEST} cannot be read: {describe(error)}", key="--out") from None
    wrong = _not_a_manifest(manifest)
    if wrong:
        raise InputError(f"{directory / MANIFEST} is no manifest of a sweep: {wrong}", key="--out")
    return dict(manifest)


def _not_a_manifest(found: Any) -> str:
    """What a manifest lacks, "" if nothing."""
    if not isinstance(found, dict):
        return "it is no mapping"
    for key, holds in _MANIFEST.items():
        if key not in found or not holds(found[key]):
            return f"{key} is {'wrong' if key in found else 'missing'}"
    return ""


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_goal(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and all(map(_is_text, (*value, *value.values())))


_MANIFEST: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("schema", "pimsim_version", "name", "sweep_sha256", "base_sha256", "shard", "design"), _is_text),
    "points": lambda value: type(value) is int and 0 <= value <= MOST_POINTS,
    "keys": lambda value: isinstance(value, list) and all(map(_is_text, value)),
    "objectives": lambda value: isinstance(value, list) and all(map(_is_goal, value)),
}


class Journal:
    """The finished points of a sweep of `total`; lines are appended, and read by the number of their point.

    failed  those of them whose status is that of a point that may be tried again
    """

    def __init__(self, path: Path, total: int, write: bool = True) -> None:
        self._path = path
        self._starts = array("q", [-1]) * total  # of each point's line in the file; -1: not finished
        self._file: IO[bytes] = open(path, "r+b" if path.exists() else "w+b") if write else open_input(path)  # noqa: SIM115
        self._synced = time.monotonic()
        self._write = write
        self.finished = 0
        self.failed: set[int] = set()
        try:
            self._scan()
        except BaseException:
            self._file.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._file, suppress(OSError):
            if self._write:
                self._sync()

    def __contains__(self, index: int) -> bool:
        return self._starts[index] >= 0

    def append(self, index: int, row: Mapping[str, Any]) -> None:
        """Keep the row of a point."""
        line = _line({"index": index, **row})
        start = self._file.seek(0, os.SEEK_END)
        self._file.write(line)
        self._file.flush()
        self._note(index, start, row)
        if time.monotonic() - self._synced > _SYNC_S:
            self._sync()

    def row(self, index: int) -> dict[str, Any]:
        """The row of a finished point, "index" first; OSError if somebody has changed the file meanwhile."""
        row = _parse(self._line_at(self._starts[index]))
        if row is None or row["index"] != index:
            raise OSError(errno.EIO, "the journal was changed while it is read", os.fspath(self._path))
        return row

    def forget(self, indexes: Collection[int]) -> None:
        """Take these points out, so that they are simulated again; the file is replaced as a whole."""
        kept = [index for index in self.indexes() if index not in indexes]
        scratch = self._path.with_name(f".{self._path.name}.new")
        with open(scratch, "wb") as file:
            file.writelines(self._line_at(self._starts[index]) for index in kept)
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, self._path)
        self._file.close()
        self._file = open(self._path, "r+b")  # noqa: SIM115
        self._starts, self.finished, self.failed = array("q", [-1]) * len(self._starts), 0, set()
        self._scan()

    def restore(self) -> None:
        """Write the file again if somebody has deleted or replaced it meanwhile."""
        with suppress(FileNotFoundError):
            if os.path.samestat(os.stat(self._path), os.fstat(self._file.fileno())):
                return
        self._file.seek(0)
        replace_file(self._path, self._file.read())

    def _line_at(self, start: int) -> bytes:
        self._file.seek(start)
        return self._file.readline(_LONGEST_LINE)

    def indexes(self) -> Iterator[int]:
        """The finished points, in order."""
        return (index for index, start in enumerate(self._starts) if start >= 0)

    def _scan(self) -> None:
        """Find the lines that are whole, and cut off what a crash left of the last one."""
        end = at = 0
        part = False  # of a line that is too long to be one of ours
        while line := self._file.readline(_LONGEST_LINE):
            at += len(line)
            if line.endswith(b"\n"):
                row = None if part else _parse(line)
                if row is not None and 0 <= row["index"] < len(self._starts):
                    self._note(row["index"], end, row)
                end, part = at, False
            else:
                part = True
        if self._write:
            self._file.seek(end)
            self._file.truncate()

    def _note(self, index: int, start: int, row: Mapping[str, Any]) -> None:
        self.finished += index not in self
        self._starts[index] = start
        (self.failed.add if row["status"] == FAILED else self.failed.discard)(index)

    def _sync(self) -> None:
        self._file.flush()
        os.fsync(self._file.fileno())
        self._synced = time.monotonic()


def _line(row: Mapping[str, Any]) -> bytes:
    text = json.dumps(row, separators=(",", ":")).encode()
    return b"%08x %s\n" % (zlib.crc32(text), text)


def _parse(line: bytes) -> dict[str, Any] | None:
    """The row in a line; None if it is not what was written."""
    checksum, _, text = line.rstrip(b"\n").partition(b" ")
    if checksum != b"%08x" % zlib.crc32(text):
        return None
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if _is_row(row) else None


def _is_row(row: Any) -> bool:
    """Whether this is a row as `append` writes it: single values, among them a number and a known status."""
    return (
        isinstance(row, dict)
        and type(row.get("index")) is int
        and row.get("status") in STATUSES
        and isinstance(row.get("error", ""), str | None)
        and {dict, list}.isdisjoint(map(type, row.values()))
    )
