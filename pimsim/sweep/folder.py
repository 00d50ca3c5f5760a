"""The folder of a sweep: one owner at a time, a manifest that says which sweep it is, a journal of finished points.

Nothing here is lost when a process is killed: the manifest is replaced as a whole, and
each finished point is one line at the end of the journal, `CRC32 {"index": ..., ...}`.
A line that a crash tore is cut off; its point is simulated again.
"""

from __future__ import annotations

import json
import os
import socket
import time
import zlib
from array import array
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from pimsim.errors import InputError

MANIFEST = "sweep.json"
JOURNAL = "journal.jsonl"
_LOCK = ".lock"
_SYNC_S = 1.0  # what a power cut may cost; a killed process loses nothing


def cannot_write(path: Path, error: OSError) -> InputError:
    """What is said of a folder that cannot be written."""
    return InputError(f"cannot write into {path}: {error.strerror}", key="--out")


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
    with open(scratch, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(scratch, path)


def write_manifest(directory: Path, manifest: Mapping[str, Any]) -> None:
    """Say which sweep this folder holds."""
    replace_file(directory / MANIFEST, (json.dumps(manifest, indent=2) + "\n").encode())


def read_manifest(directory: Path) -> dict[str, Any] | None:
    """Which sweep a folder holds; None if it holds none. InputError if it cannot be read."""
    try:
        manifest = json.loads((directory / MANIFEST).read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise InputError(f"{directory / MANIFEST} cannot be read: {error}", key="--out") from None
    if not isinstance(manifest, dict) or "sweep_sha256" not in manifest:
        raise InputError(f"{directory / MANIFEST} is no manifest of a sweep", key="--out")
    return manifest


class Journal:
    """The finished points of a sweep of `total`; lines are appended, and read by the number of their point."""

    def __init__(self, path: Path, total: int, write: bool = True) -> None:
        self._starts = array("q", [-1]) * total  # of each point's line in the file; -1: not finished
        self._file: IO[bytes] = open(path, "r+b" if path.exists() and write else "w+b" if write else "rb")  # noqa: SIM115
        self._synced = time.monotonic()
        self._write = write
        self.finished = 0
        self._scan()

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
        self._note(index, start)
        if time.monotonic() - self._synced > _SYNC_S:
            self._sync()

    def row(self, index: int) -> dict[str, Any]:
        """The row of a finished point, "index" first."""
        self._file.seek(self._starts[index])
        row = _parse(self._file.readline())
        assert row is not None
        return row

    def indexes(self) -> Iterator[int]:
        """The finished points, in order."""
        return (index for index, start in enumerate(self._starts) if start >= 0)

    def _scan(self) -> None:
        """Find the lines that are whole, and cut off what a crash left of the last one."""
        end = 0
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            row = _parse(line)
            if row is not None and 0 <= row["index"] < len(self._starts):
                self._note(row["index"], end)
            end += len(line)
        if self._write:
            self._file.seek(end)
            self._file.truncate()

    def _note(self, index: int, start: int) -> None:
        self.finished += index not in self
        self._starts[index] = start

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
    row: dict[str, Any] = json.loads(text)
    return row
