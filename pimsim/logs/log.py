"""Command logs: every command on the bus, as CSV, CSV.gz or Parquet.

One row per command, in order of clk then channel; clk counts DRAM clocks from 0; -1
stands for all banks or not applicable.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, BinaryIO, Protocol, Self

import numpy as np

from pimsim.dram.spec import Standard
from pimsim.errors import InputError, Problem
from pimsim.files import check_output, open_input, pieces_of, reason, whole_file
from pimsim.logs.log_csv import (
    HEADER,
    HEADER_LINES,
    MAX_PROBLEMS,
    Ints,
    compact,
    format_block,
    locate_problems,
    parse_block,
    too_many,
)
from pimsim.logs.log_parquet import ParquetSink, read_parquet

if TYPE_CHECKING:
    from pimsim.dram.timing import Device

SUFFIXES = (".csv", ".csv.gz", ".parquet")
FOREVER = 1 << 60  # no end of a window
BLOCK_BYTES = 1 << 22
BLOCK_ROWS = 1 << 16
MOST_ROWS = 30_000_000  # of a log that is read: about 0.7 GB, and as much again to check it
SHORTEST_ROW = 12  # bytes
LONGEST_LINE = 1000  # bytes; seven numbers of 18 digits have 140
_UNREADABLE, _UNWRITABLE = "cannot read the command log", "cannot write the command log"


@dataclass
class CommandLog:
    """A command log by column, each an array of integers; command counts into the standard's table.

    Bank groups count within the channel and banks within their group.
    """

    clk: Ints
    channel: Ints
    command: Ints
    bank_group: Ints
    bank: Ints
    row: Ints
    column: Ints

    def __len__(self) -> int:
        return self.clk.size


def log_suffix(path: Path) -> str:
    """The format by the file's name; InputError if it is none of SUFFIXES."""
    for suffix in SUFFIXES:
        if path.name.lower().endswith(suffix):
            return suffix
    raise InputError(Problem(str(path), 1, 1, "", f"a command log's name ends in {', '.join(SUFFIXES)}"))


def log_target(path: Path) -> str:
    """The format of a log that is to be written there; InputError if it cannot."""
    suffix = log_suffix(path)
    check_output(path, _UNWRITABLE)
    return suffix


# ---- reading --------------------------------------------------------------------------


def read_log(path: str | Path, standard: Standard) -> CommandLog:
    """Read a command log; InputError has a problem with line and column for each wrong line (at most 100)."""
    path = Path(path)
    suffix, names = log_suffix(path), list(standard.log_names)
    with open_input(path, _UNREADABLE) as file:
        if suffix == ".parquet":
            return CommandLog(*read_parquet(file, str(path), names, MOST_ROWS))
        try:
            if _may_be_too_long(file, suffix) and _lines(_pieces(file, suffix)) > MOST_ROWS + HEADER_LINES:
                raise InputError(_too_many(str(path)))
            file.seek(0)
            return CommandLog(*_read_csv(_pieces(file, suffix), str(path), names))
        except OSError as error:
            raise InputError(Problem(str(path), 1, 1, "", f"{_UNREADABLE}: {reason(error)}")) from error


def _pieces(file: BinaryIO, suffix: str) -> Iterator[bytes]:
    return pieces_of(file, suffix == ".csv.gz", BLOCK_BYTES)


def _may_be_too_long(file: BinaryIO, suffix: str) -> bool:
    """Whether a file of this size can hold too many rows: gzip packs a thousand bytes into one at most."""
    return os.fstat(file.fileno()).st_size * (1032 if suffix == ".csv.gz" else 1) > MOST_ROWS * SHORTEST_ROW


def _lines(pieces: Iterable[bytes]) -> int:
    """Line feeds, as far as they can be read: a hundredth of the work of reading what is in them."""
    count = 0
    with suppress(EOFError, zlib.error):  # said by those who read the rows
        for piece in pieces:
            count += piece.count(b"\n")
    return count


def _too_many(name: str) -> Problem:
    return too_many(name, MOST_ROWS + HEADER_LINES + 1, MOST_ROWS)


def _read_csv(pieces: Iterable[bytes], name: str, names: list[str]) -> list[Ints]:
    problems: list[Problem] = []
    parts: list[list[Ints]] = []
    line = 1
    try:
        for block in _blocks(pieces):
            if block.count(b"\n") + line - 1 > MOST_ROWS + HEADER_LINES:
                problems.append(_too_many(name))
                break
            columns = _parse_from(line, block, names)
            if columns is None:
                problems += locate_problems(name, block, line, names)
            else:
                parts.append([compact(values) for values in columns])
            line += block.count(b"\n")
            if len(problems) >= MAX_PROBLEMS:
                break
    except _LongLineError as error:
        problems.append(Problem(name, line + error.before, 1, "", f"a line of more than {LONGEST_LINE} bytes"))
    except (EOFError, zlib.error) as error:
        problems.append(Problem(name, line, 1, "", f"the compressed data is damaged or cut off: {error}"))
    if line == 1 and not problems:
        problems.append(Problem(name, 1, 1, "", f"the file is empty; line 1 must be {HEADER.decode()}"))
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
    return joined(parts)


def take_before(parts: list[Ints], clk: int) -> Ints:
    """Take the commands before a clock out of parts (n, ...), whose first columns are clock and channel: in that order.

    What is left stays in `parts`, as one part.
    """
    rows = np.concatenate(parts)
    rows = rows[np.lexsort((rows[:, 1], rows[:, 0]))]
    ready = int(np.searchsorted(rows[:, 0], clk))
    parts[:] = [rows[ready:]]
    taken: Ints = rows[:ready]
    return taken


def joined(parts: list[list[Ints]]) -> list[Ints]:
    """The columns of parts one behind the other; the parts are given up on the way, or all would be there twice."""
    columns = []
    while parts and parts[0]:
        columns.append(np.concatenate([part.pop(0) for part in parts]))
    return columns


def _parse_from(line: int, block: bytes, names: list[str]) -> list[Ints] | None:
    """The columns of a block that starts at `line`; None if something in it is wrong."""
    if line > HEADER_LINES:
        return parse_block(block, names)
    header = HEADER + b"\n"
    return parse_block(block[len(header) :], names) if block.startswith(header) else None


class _LongLineError(Exception):
    """A line that no log has, `before` lines after the blocks that were handed on."""

    def __init__(self, before: int) -> None:
        super().__init__(before)
        self.before = before


def _blocks(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """A file that comes in pieces, in blocks of whole lines, each line ended by a line feed alone."""
    held: list[bytes] = []
    size = tail = 0  # bytes that are held; those of the line that is not whole
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        end = piece.rfind(b"\n")
        tail = tail + len(piece) if end < 0 else len(piece) - end - 1
        if tail > LONGEST_LINE:
            raise _LongLineError(b"".join(held).count(b"\n"))
        if size >= BLOCK_BYTES and size > tail:
            data = b"".join(held)
            yield data[: size - tail].replace(b"\r\n", b"\n")
            held, size = [data[size - tail :]], tail
    rest = b"".join(held)
    if rest:
        yield (rest if rest.endswith(b"\n") else rest + b"\n").replace(b"\r\n", b"\n")


# ---- writing --------------------------------------------------------------------------


class _Sink(Protocol):
    """Where a log's columns go."""

    def write(self, columns: list[Ints]) -> None: ...
    def close(self) -> None: ...


def open_sink(file: BinaryIO, suffix: str, name: str, device: Device) -> _Sink:
    """Where the columns of a log called `name` go; InputError if Parquet is not installed."""
    names = list(device.standard.log_names)
    return ParquetSink(file, name, names) if suffix == ".parquet" else _CsvSink(file, names)


class LogWriter:
    """Writes a command log; a context manager.

    The file appears when the `with` block ends, complete; if the block raises, nothing
    is left.  window = (start, end) keeps commands with start <= clk < end only.
    InputError if the name's suffix is unknown, it is a folder, its folder cannot be written
    or Parquet is not installed: all before anything is simulated.  InputError also if the
    disk is full or the file cannot be put in its place: nothing is left then.
    """

    def __init__(self, path: str | Path, device: Device, window: tuple[int, int] | None = None) -> None:
        self.rows = 0
        self.path = Path(path)
        self._per_group = device.banks_per_group
        self.window = window or (0, FOREVER)
        self._last = (-1, -1)
        suffix = log_target(self.path)
        with ExitStack() as stack:
            file = stack.enter_context(whole_file(self.path, _UNWRITABLE, compress=suffix == ".csv.gz"))
            self._sink = open_sink(file, suffix, str(self.path), device)
            self._file = stack.pop_all()

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What the system refuses is an InputError."""
        try:
            yield
        except OSError as error:
            raise InputError(Problem(str(self.path), 1, 1, "", f"{_UNWRITABLE}: {reason(error)}")) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            with self._file, self._writing():
                self._sink.close()
            return
        with suppress(Exception):  # it is about to be thrown away
            self._sink.close()
        self._file.__exit__(kind, error, trace)

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Add commands in order of clk, then channel, none before an earlier call's.

        bank counts within the channel (-1: none or all).  ValueError if out of order.
        """
        self._check_order(clk, channel)
        group, in_group = np.where(bank >= 0, np.divmod(bank, self._per_group), -1)
        columns = [clk, channel, command, group, in_group, row, column]
        if self.window != (0, FOREVER):
            keep = (clk >= self.window[0]) & (clk < self.window[1])
            columns = [values[keep] for values in columns]
        self.rows += columns[0].size
        with self._writing():
            for start in range(0, columns[0].size, BLOCK_ROWS):
                self._sink.write([values[start : start + BLOCK_ROWS] for values in columns])

    def execute(self, executed: object) -> None:
        """Nothing: a log has commands only."""

    def _check_order(self, clk: Ints, channel: Ints) -> None:
        if not clk.size:
            return
        back = (clk[1:] < clk[:-1]) | ((clk[1:] == clk[:-1]) & (channel[1:] < channel[:-1]))
        if back.any() or (int(clk[0]), int(channel[0])) < self._last:
            raise ValueError("commands must come in order of clk, then channel")
        self._last = (int(clk[-1]), int(channel[-1]))


class _CsvSink:
    """A CSV file that grows by blocks of columns."""

    def __init__(self, file: BinaryIO, names: list[str]) -> None:
        self._names = names
        self._file = file
        self._file.write(HEADER + b"\n")

    def write(self, columns: list[Ints]) -> None:
        self._file.write(format_block(columns, self._names))

    def close(self) -> None:
        """Nothing follows the last row."""
