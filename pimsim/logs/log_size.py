"""How large a command log will be, before it is written.

A run without a log counts its commands exactly and takes a moment; what a row takes is
measured on the first rows.  In CSV that grows with the digits of clocks and rows.
"""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pimsim.dram.engine import FOREVER, Ints
from pimsim.dram.timing import Device
from pimsim.errors import InputError, Problem
from pimsim.files import size
from pimsim.logs.log import log_target, open_sink

SAMPLE_ROWS = 1 << 16
_ERROR = 0.1  # of an estimate; a disk is refused only if it is smaller than that


@dataclass(frozen=True)
class Forecast:
    """What a log will hold: commands, exact without a window, and bytes, about."""

    path: Path
    commands: int
    size: int

    def __str__(self) -> str:
        return f"{self.path}: about {self.commands:,} commands, {size(self.size)}"

    def check_disk(self) -> None:
        """InputError if the disk cannot take it."""
        folder = os.path.dirname(os.path.realpath(self.path))
        try:
            free = shutil.disk_usage(folder).free
        except OSError:  # what is wrong with the folder is said when the log is opened
            return
        if self.size * (1 - _ERROR) > free:
            what = f"needs about {size(self.size)} for {self.commands:,} commands, and the disk has {size(free)} left"
            advice = "take a part (--window), fewer tokens, or .csv.gz or .parquet"
            raise InputError(Problem(str(self.path), 1, 1, "", f"{what}; {advice}"))


class Sample:
    """An observer that takes the first rows of a log and measures them."""

    window = (0, FOREVER)

    def __init__(self, path: Path, device: Device) -> None:
        self.path, self.device = path, device
        self._columns: list[Ints] = []

    def append(self, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Take commands; EnoughError once there are some."""
        if clk.size:
            group, in_group = np.where(bank >= 0, np.divmod(bank, self.device.banks_per_group), -1)
            columns = (clk, channel, command, group, in_group, row, column)
            self._columns = [values[:SAMPLE_ROWS].copy() for values in columns]
            raise EnoughError

    def execute(self, executed: object) -> None:
        """Instructions take no room."""

    def forecast(self, commands: int, clocks: tuple[int, int], rows: int) -> Forecast:
        """A log of `commands` issued in (first, end) `clocks`, on the first `rows` rows of the banks."""
        if not self._columns:
            return Forecast(self.path, 0, 0)
        suffix, file = log_target(self.path), io.BytesIO()
        sink = open_sink(file, ".csv" if suffix == ".csv.gz" else suffix, str(self.path), self.device)
        sink.write(self._columns)
        if suffix == ".parquet":
            sink.close()
            each = len(file.getvalue()) / self._columns[0].size
        elif suffix == ".csv.gz":
            each = len(_packed(file.getvalue())) / self._columns[0].size
        else:
            each = len(file.getvalue()) / self._columns[0].size + self._growth(clocks, rows)
        return Forecast(self.path, commands, int(each * commands))

    def _growth(self, clocks: tuple[int, int], rows: int) -> float:
        """Digits by which clocks and rows are longer later on, a command."""
        clk, row = self._columns[0], self._columns[5]
        has_row = row >= 0
        growth = _mean_digits(*clocks) - _digits(clk).mean()
        if has_row.any():
            growth += has_row.mean() * max(0.0, _mean_digits(0, rows) - _digits(row[has_row]).mean())
        return float(growth)


class EnoughError(Exception):
    """An observer has seen what it wanted."""


def _packed(data: bytes) -> bytes:
    import gzip

    from pimsim.files import GZIP_LEVEL

    return gzip.compress(data, GZIP_LEVEL)


def _digits(values: Ints) -> Ints:
    digits: Ints = np.searchsorted(10 ** np.arange(1, 19), values, side="right") + 1
    return digits


def _mean_digits(first: int, end: int) -> float:
    """Of the numbers from `first` to before `end`."""
    total = 0
    for digits in range(1, 20):
        low, high = (0 if digits == 1 else 10 ** (digits - 1)), 10**digits
        total += digits * max(0, min(end, high) - max(first, low))
    return total / (end - first) if end > first else 1.0


def check_room(
    log: Path, device: Device, clk: Ints, channel: Ints, command: Ints, bank: Ints, row: Ints, column: Ints
) -> None:
    """InputError if the disk cannot take a log of these commands, in order of clk."""
    columns = (clk, channel, command, bank, row, column)
    if clk.size == 0:
        return  # a line of names
    check_room_for(log, device, columns, clk.size, int(clk[-1]) + 1, int(row.max()) + 1)


def check_room_for(log: Path, device: Device, first: Sequence[Ints], commands: int, clocks: int, rows: int) -> None:
    """InputError if the disk cannot take a log of so many commands in so many clocks, the `first` of which these are.

    first: clk, channel, command, bank, row, column; rows: of the banks, as far as they are used.
    """
    sample = Sample(log, device)
    with suppress(EnoughError):
        sample.append(*first)
        return
    sample.forecast(commands, (0, clocks), rows).check_disk()
