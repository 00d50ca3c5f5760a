"""A text file that appears when it is complete: compressed by suffix, the same bytes for the same text."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from pimsim import files

CANNOT_WRITE = "cannot write"


@contextmanager
def whole_text(path: Path) -> Iterator[IO[str]]:
    """The file to write to; if the body raises, `path` is as it was.  InputError if it cannot be written."""
    with files.whole_file(path, CANNOT_WRITE, compress=path.name.endswith(".gz")) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8", newline="\n")
        try:
            yield text
        finally:
            text.detach()
