"""Blocks of a command log as CSV text: bytes to columns and back.

Whole columns are converted at once with numpy; only a block that does not fit the
format is read line by line, to say what is wrong where.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pimsim.errors import Problem, did_you_mean

Ints = NDArray[np.int64]
Bytes = NDArray[np.uint8]

COLUMNS = ("clk", "channel", "command", "bank_group", "bank", "row", "column")
HEADER = ",".join(COLUMNS).encode()
HEADER_LINES = 1
MAX_PROBLEMS = 100
_SHOWN = 60  # characters of a wrong value
MAX_DIGITS = 18  # of a number that fits int64 for certain
LINE_FEED, COMMA, MINUS, ZERO = b"\n,-0"


def compact(values: Ints) -> Ints:
    """The same numbers in a quarter or half of the room where they are small: sums and products of few still fit."""
    for kind in (np.int16, np.int32):
        most = np.iinfo(kind).max >> 3
        if -most <= values.min(initial=0) and values.max(initial=0) <= most:
            return values.astype(kind)
    return values


# ---- bytes to columns -----------------------------------------------------------------


def parse_block(block: bytes, names: list[str]) -> list[Ints] | None:
    """The columns of whole lines; None if any line does not fit the format."""
    data = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero((data == COMMA) | (data == LINE_FEED))
    lines = block.count(b"\n")
    if ends.size != lines * len(COLUMNS):
        return None
    if not (data[ends[len(COLUMNS) - 1 :: len(COLUMNS)]] == LINE_FEED).all():
        return None
    starts = np.roll(ends + 1, 1)
    starts[:1] = 0
    columns = []
    for k, name in enumerate(COLUMNS):
        convert = _to_commands if name == "command" else _to_integers
        column = convert(data, starts[k :: len(COLUMNS)], ends[k :: len(COLUMNS)], names)
        if column is None:
            return None
        columns.append(column)
    return columns


def _to_integers(data: Bytes, starts: Ints, ends: Ints, _: list[str]) -> Ints | None:
    """Decimal integers between `starts` and `ends`; None if one is not."""
    negative = data[starts] == MINUS
    first = starts + negative
    digits = ends - first
    if digits.size and not 1 <= digits.min() <= digits.max() <= MAX_DIGITS:
        return None
    value = np.zeros(starts.size, dtype=np.int64)
    for place in range(int(digits.max(initial=0))):
        active = digits > place
        digit = data[np.where(active, first + place, 0)].astype(np.int64) - ZERO
        if ((digit < 0) | (digit > 9))[active].any():
            return None
        value = np.where(active, value * 10 + digit, value)
    return np.where(negative, -value, value)


def _to_commands(data: Bytes, starts: Ints, ends: Ints, names: list[str]) -> Ints | None:
    """Command numbers of the names between `starts` and `ends`; None if one is unknown."""
    width = max(map(len, names))
    place = np.arange(width)
    inside = place < (ends - starts)[:, np.newaxis]
    text = np.where(inside, data[np.minimum(starts[:, np.newaxis] + place, data.size - 1)], 0)
    words = np.ascontiguousarray(text, dtype=np.uint8).view(f"S{width}").ravel()
    number = np.full(starts.size, -1, dtype=np.int64)
    for k, name in enumerate(names):  # numpy compares words without the zeros at their end
        number[(words == name.encode()) & (ends - starts == len(name))] = k
    return number if (number >= 0).all() else None


def locate_problems(file: str, block: bytes, first_line: int, names: list[str]) -> list[Problem]:
    """What is wrong in a block that does not fit the format, line by line."""
    problems: list[Problem] = []
    for line, raw in enumerate(block.split(b"\n")[:-1], first_line):
        if line == 1:
            if raw != HEADER:
                problems.append(Problem(file, 1, 1, "", f"line 1 must be {HEADER.decode()}"))
            continue
        problems += _line_problems(file, line, raw.decode(errors="replace"), names)
        if len(problems) >= MAX_PROBLEMS:
            break
    return problems


def _line_problems(file: str, line: int, text: str, names: list[str]) -> list[Problem]:
    values = text.split(",")
    if len(values) != len(COLUMNS):
        return [Problem(file, line, 1, "", f"needs {len(COLUMNS)} values, has {len(values)}")]
    problems = []
    at = 1
    for name, value in zip(COLUMNS, values, strict=True):
        if message := value_problem(name, value, names):
            problems.append(Problem(file, line, at, name, message))
        at += len(value) + 1
    return problems


def too_many(file: str, line: int, most: int) -> Problem:
    """A log of more commands than `most`."""
    return Problem(file, line, 1, "", f"more than {most:,} commands, too many to hold; check a shorter run")


def value_problem(column: str, value: str, names: list[str]) -> str:
    if column == "command":
        return "" if value in names else f"no command {_short(value)!r}{did_you_mean(_short(value), names)}"
    digits = value.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return f"{_short(value)!r} is not an integer"
    return "" if len(digits) <= MAX_DIGITS else f"{_short(value)!r} is too large"


def _short(value: str) -> str:
    """A value as messages repeat it."""
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."


# ---- columns to bytes -----------------------------------------------------------------


def format_block(columns: list[Ints], names: list[str]) -> bytes:
    """The lines of a block of rows; columns in the order of COLUMNS."""
    cells: list[Bytes] = []
    for name, values in zip(COLUMNS, columns, strict=True):
        cells.append(_padded(names)[values] if name == "command" else _to_digits(values))
        cells.append(np.full((values.size, 1), COMMA, dtype=np.uint8))
    cells[-1][:] = LINE_FEED
    text = np.concatenate(cells, axis=1)
    return bytes(text[text != 0])


def _padded(words: list[str]) -> Bytes:
    """The words as rows of bytes, 0 where a word has ended."""
    width = max(map(len, words))
    return np.frombuffer("".join(word.ljust(width, "\0") for word in words).encode(), dtype=np.uint8).reshape(-1, width)


def _to_digits(values: Ints) -> Bytes:
    """Integers in decimal as rows of bytes, 0 in front."""
    rest = np.abs(values)
    width = len(str(int(rest.max(initial=0))))
    text = np.zeros((values.size, width + 1), dtype=np.uint8)
    text[:, -1] = rest % 10 + ZERO
    text[values < 0, 0] = MINUS
    for place in range(width - 1, 0, -1):
        rest = rest // 10
        text[:, place] = np.where(rest > 0, rest % 10 + ZERO, 0)
    return text
