"""Command logs: every command on the bus, as CSV, CSV.gz or Parquet.

One row per command, in order of clk then channel; clk counts DRAM clocks from 0; -1
stands for all banks or not applicable.
"""

from __future__ import annotations

import errno
import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, TYPE_CHECKING, Protocol, Self, cast

import numpy as np

from pimsim.dram.log_csv import (
    HEADER,
    HEADER_LINES,
    MAX_PROBLEMS,
    Ints,
    format_block,
    locate_problems,
    parse_block,
)
from pimsim.dram.log_parquet import ParquetSink, read_parquet
from pimsim.dram.spec import Standard
from pimsim.errors import InputError, Problem

if TYPE_CHECKING:
    from pimsim.dram.timing import Device

SUFFIXES = (".csv", ".csv.gz", ".parquet")
FOREVER = 1 << 60  # no end of a window
BLOCK_BYTES = 1 << 22
BLOCK_ROWS = 1 << 16
GZIP_LEVEL = 3  # logs repeat themselves: higher levels cost much and gain little


@dataclass
class CommandLog:
    """A command log by column, each an int64 array; command counts into the standard's table.

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
    if os.path.isdir(path):  # Path.is_dir raises if it may not look
        raise _unwritable(path, os.strerror(errno.EISDIR))
    return suffix


def _unwritable(path: Path, why: str) -> InputError:
    return InputError(Problem(str(path), 1, 1, "", f"cannot write the command log: {why}"))


# ---- reading --------------------------------------------------------------------------


def read_log(path: str | Path, standard: Standard) -> CommandLog:
    """Read a command log; InputError has a problem with line and column for each wrong line (at most 100)."""
    path = Path(path)
    names = [command.name for command in standard.commands]
    try:
        if log_suffix(path) == ".parquet":
            return CommandLog(*read_parquet(path, names))
        with _open_csv(path) as file:
            return CommandLog(*_read_csv(file, str(path), names))
    except OSError as error:
        why = f"cannot read the command log: {error.strerror or error}"
        raise InputError(Problem(str(path), 1, 1, "", why)) from error


def _open_csv(path: Path) -> IO[bytes]:
    return cast(IO[bytes], gzip.open(path)) if log_suffix(path) == ".csv.gz" else path.open("rb")


def _read_csv(file: IO[bytes], name: str, names: list[str]) -> list[Ints]:
    problems: list[Problem] = []
    parts: list[list[Ints]] = []
    line = 1
    try:
        for block in _blocks(file):
            columns = _parse_from(line, block, names)
            if columns is None:
                problems += locate_problems(name, block, line, names)
            else:
                parts.append(columns)
            line += block.count(b"\n")
            if len(problems) >= MAX_PROBLEMS:
                break
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        problems.append(Problem(name, line, 1, "", f"the compressed data is damaged or cut off: {error}"))
    if line == 1 and not problems:
        problems.append(Problem(name, 1, 1, "", f"the file is empty; line 1 must be {HEADER.decode()}"))
    if problems:
        raise InputError(problems[:MAX_PROBLEMS])
    return [np.concatenate(column) for column in zip(*parts, strict=True)]


def _parse_from(line: int, block: bytes, names: list[str]) -> list[Ints] | None:
    """The columns of a block that starts at `line`; None if something in it is wrong."""
    if line > HEADER_LINES:
        return parse_block(block, names)
    header = HEADER + b"\n"
    return parse_block(block[len(header) :], names) if block.startswith(header) else None


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    """The file in blocks of whole lines, each line ended by a line feed alone."""
    rest = b""
    while chunk := file.read(BLOCK_BYTES):
        whole, separator, tail = chunk.rpartition(b"\n")
        if separator:
            yield (rest + whole + separator).replace(b"\r\n", b"\n")
            rest = tail
        else:
            rest += chunk
    if rest:
        yield (rest + b"\n").replace(b"\r\n", b"\n")


# ---- writing --------------------------------------------------------------------------


class _Sink(Protocol):
    """Where a log's columns go."""

    def write(self, columns: list[Ints]) -> None: ...
    def close(self) -> None: ...


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
        self._path = Path(path)
        self._per_group = device.banks_per_group
        self.window = window or (0, FOREVER)
        self._last = (-1, -1)
        self._temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}.tmp")
        self._sink = self._open_sink([command.name for command in device.standard.commands])

    def _open_sink(self, names: list[str]) -> _Sink:
        suffix = log_target(self._path)
        with self._writing():
            if suffix == ".parquet":
                return ParquetSink(self._temporary, self._path, names)
            return _CsvSink(self._temporary, names, compress=suffix == ".csv.gz")

    @contextmanager
    def _writing(self) -> Iterator[None]:
        """What the system refuses is an InputError."""
        try:
            yield
        except OSError as error:
            raise _unwritable(self._path, error.strerror or str(error)) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with self._writing():
                self._sink.close()
                if kind is None:
                    os.replace(self._temporary, self._path)
        finally:
            self._temporary.unlink(missing_ok=True)

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
    """A CSV file, compressed or not, that grows by blocks of columns."""

    def __init__(self, path: Path, names: list[str], compress: bool) -> None:
        self._names = names
        self._raw = path.open("wb")
        self._file: IO[bytes] = self._raw
        if compress:  # no name and no time in the gzip header: equal logs are equal files
            packed = gzip.GzipFile("", "wb", GZIP_LEVEL, self._raw, mtime=0)
            self._file = cast(IO[bytes], packed)
        self._file.write(HEADER + b"\n")

    def write(self, columns: list[Ints]) -> None:
        self._file.write(format_block(columns, self._names))

    def close(self) -> None:
        try:
            self._file.close()
        finally:
            self._raw.close()
