"""A text file that appears when it is complete: compressed by suffix, the same bytes for the same text."""

from __future__ import annotations

import gzip
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

from pimsim.errors import InputError, Problem

GZIP_LEVEL = 3  # timelines repeat themselves: higher levels cost much and gain little


@contextmanager
def whole_file(path: Path) -> Iterator[IO[str]]:
    """The file to write to; if the body raises, `path` is as it was.  InputError if it cannot be written."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        raw = temporary.open("wb")
    except OSError as error:
        raise InputError(Problem(str(path), 1, 1, "", f"cannot write: {error.strerror or error}")) from error
    try:
        with raw:
            packed = gzip.GzipFile("", "wb", GZIP_LEVEL, raw, mtime=0) if path.name.endswith(".gz") else None
            with io.TextIOWrapper(cast(IO[bytes], packed or raw), encoding="utf-8", newline="\n") as text:
                yield text
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
