"""The lines of a trace file as bytes, decompressed if its name ends in .gz, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO

LONGEST_LINE = 1 << 20  # bytes; an operator has a few hundred
_CHUNK = 1 << 16
_GZIP = 31  # zlib's window bits for a gzip header and trailer


class FileDamage(Exception):
    """A file that ends or breaks inside a line, `column` characters into it."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def lines_of_file(path: Path) -> Iterator[bytes]:
    """Every line with its end; OSError if the file cannot be read, FileDamage for what cannot be decompressed."""
    number, rest = 0, b""
    with open(path, "rb") as stream:
        chunks = _inflated(stream) if path.suffix == ".gz" else iter(lambda: stream.read(_CHUNK), b"")
        try:
            for chunk in chunks:
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    number += 1
                    yield line + b"\n"
                if len(rest) > LONGEST_LINE:
                    raise FileDamage(f"a line of more than {LONGEST_LINE} bytes", number + 1, 1)
        except (EOFError, zlib.error) as error:
            message = f"truncated or damaged gzip: {error}"
            raise FileDamage(message, number + 1, len(rest.decode("utf-8", "replace")) + 1) from None
    if rest:
        yield rest


def _inflated(stream: IO[bytes]) -> Iterator[bytes]:
    """The decompressed bytes, all that there are before an error: EOFError if the end is missing."""
    inflater, complete = zlib.decompressobj(_GZIP), False
    while data := inflater.unconsumed_tail or inflater.unused_data or stream.read(_CHUNK):
        if inflater.eof:  # gzip files may be put behind each other
            inflater = zlib.decompressobj(_GZIP)
        yield inflater.decompress(data, _CHUNK)
        complete = inflater.eof
    if not complete:
        raise EOFError("the file is cut off")
