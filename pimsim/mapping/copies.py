"""Columns that are read as they were written: how K and V get out of a cache that they have to leave."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.dram.program import RUN, Request, close, open_row, run
from pimsim.dram.spec import Does
from pimsim.mapping.grid import Grid, interleaved_banks
from pimsim.mapping.work import NOTHING, Requests, Work, assemble

_WRITES = (Does.WRITE, Does.WRITE_ALL)


def read_back(grid: Grid, written: Work) -> Work:
    """Work that reads every column that `written` writes, in the same order."""
    channels = [
        Requests(tuple(_reads(grid, written.program[first:last].tolist()))) if first < last else NOTHING
        for first, last in written.spans.tolist()
    ]
    return assemble(channels, payload=written.payload, results=written.sent)


def by_element(grid: Grid, written: Work) -> bool:
    """Whether a command of `written` writes one element of every bank: a column takes as many as it has tokens."""
    commands = grid.device.standard.commands
    return any(command >= 0 and commands[command].does is Does.WRITE_ALL for command in written.program[:, 1].tolist())


def _reads(grid: Grid, rows: list[list[int]]) -> Iterator[Request]:
    """The requests of a channel with reads in the place of writes; no single command reads a column of every bank."""
    read, commands = grid.command(grid.device.standard.roles.read), grid.device.standard.commands
    for row in rows:
        op, command, bank, lin, n, *rest = row
        does = commands[command].does if command >= 0 else Does.NOTHING
        if does is Does.WRITE_ALL and op == RUN:
            yield open_row(lin)
            yield from (run(read, each, lin, n) for each in interleaved_banks(grid.device))
            yield close()
        else:
            a, b, c = rest
            yield (op, read if does in _WRITES else command, bank, lin, n, a, b, c)
