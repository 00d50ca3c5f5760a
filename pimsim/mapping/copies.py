"""Whole columns that are read, and written, where others are written: how K and V get from one cache to another."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pimsim.dram.program import RUN, Request, close, open_row, run
from pimsim.dram.spec import Does
from pimsim.mapping.grid import Grid, interleaved_banks
from pimsim.mapping.work import NOTHING, Requests, Work, assemble

_WRITES = (Does.WRITE, Does.WRITE_ALL)


def read_back(grid: Grid, written: Work) -> Work:
    """Work that reads every column that `written` writes, in the same order."""
    return replace(_moved(grid, written, grid.device.standard.roles.read), sent=0, results=written.sent)


def written_whole(grid: Grid, written: Work) -> Work:
    """Work that writes all elements of every column of which `written` writes some."""
    return _moved(grid, written, grid.device.standard.roles.write)


def _moved(grid: Grid, written: Work, name: str) -> Work:
    """The work with another command in the place of writes."""
    channels = [
        Requests(tuple(_columns(grid, written.program[first:last].tolist(), grid.command(name))))
        if first < last
        else NOTHING
        for first, last in written.spans.tolist()
    ]
    return assemble(channels, payload=written.payload, sent=written.sent)


def _columns(grid: Grid, rows: list[list[int]], wanted: int) -> Iterator[Request]:
    """The requests of a channel with other commands in the place of writes; none moves a column of every bank."""
    commands = grid.device.standard.commands
    for row in rows:
        op, command, bank, lin, n, *rest = row
        does = commands[command].does if command >= 0 else Does.NOTHING
        if does is Does.WRITE_ALL and op == RUN:
            yield open_row(lin)
            yield from (run(wanted, each, lin, n) for each in interleaved_banks(grid.device))
            yield close()
        else:
            a, b, c = rest
            yield (op, wanted if does in _WRITES else command, bank, lin, n, a, b, c)
