"""The lines of a trace file as bytes, decompressed if its name ends in .gz, in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path

from pimsim.files import open_input, pieces_of

LONGEST_LINE = 1 << 20  # bytes; an operator has a few hundred
MOST_LINES = 500_000  # a record has about 2 kB in memory


class FileDamage(Exception):
    """A file that ends or breaks inside a line, `column` characters into it."""

    def __init__(self, message: str, line: int, column: int) -> None:
        super().__init__(message)
        self.line = line
        self.column = column


def lines_of_file(path: Path) -> Iterator[bytes]:
    """Every line with its end.

    OSError or InputError if the file cannot be read, FileDamage for what cannot be decompressed or held.
    """
    number, rest = 0, b""
    with open_input(path) as stream:
        try:
            for chunk in pieces_of(stream, path.suffix == ".gz"):
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    number += 1
                    if number > MOST_LINES:
                        raise FileDamage(f"more than {MOST_LINES:,} lines", number, 1)
                    yield line + b"\n"
                if len(rest) > LONGEST_LINE:
                    raise FileDamage(f"a line of more than {LONGEST_LINE} bytes", number + 1, 1)
        except (EOFError, zlib.error) as error:
            message = f"truncated or damaged gzip: {error}"
            raise FileDamage(message, number + 1, len(rest.decode("utf-8", "replace")) + 1) from None
    if rest:
        yield rest
