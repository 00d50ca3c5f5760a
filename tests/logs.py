"""Command logs in tests: from the twin's commands, and changed by hand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from pimsim.dram.program import Program
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Controller, Issued
from pimsim.logs.log import CommandLog


def run_twin(device: Device, workload: Iterable[tuple[Program, int]]) -> Controller:
    """The twin after the workload: programs, each a number of idle clocks after the last one's data end."""
    controller = Controller(device)
    end = 0
    for program, idle in workload:
        end = controller.run(program, end + idle)
    return controller


def as_logged(device: Device, commands: Iterable[Issued]) -> list[Issued]:
    """Commands under the names that logs have for them."""
    return [x._replace(command=device.standard.command(x.command).logged or x.command) for x in commands]


def log_of(device: Device, *channels: Sequence[Issued]) -> CommandLog:
    """The commands of each channel as one log, in order of clk then channel."""
    rows = [
        (
            command.clk,
            channel,
            device.standard.index(command.command),
            command.bank // device.banks_per_group if command.bank >= 0 else -1,
            command.bank % device.banks_per_group if command.bank >= 0 else -1,
            command.row,
            command.column,
        )
        for channel, commands in enumerate(channels)
        for command in commands
    ]
    rows.sort(key=lambda row: row[:2])
    return CommandLog(*np.array(rows, dtype=np.int64).reshape(-1, 7).T)


def with_row(log: CommandLog, row: int, /, **values: int) -> CommandLog:
    """The log with some values of one row changed."""
    columns = {name: column.astype(np.int64) for name, column in vars(log).items()}  # they are as narrow as they can be
    for name, value in values.items():
        columns[name][row] = value
    return CommandLog(**columns)


def without_row(log: CommandLog, row: int) -> CommandLog:
    """The log without one row."""
    return CommandLog(**{name: np.delete(column, row) for name, column in vars(log).items()})
