"""Layouts that are not shipped, tried at a few elements: each has a place of its own, in a row that is reserved."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.mapping.grid import Grid, Place
from pimsim.mapping.layouts import Layouts

HEADS, SHOWN = 2, 3


def check_layouts(layouts: Layouts, grid: Grid) -> None:
    """InputError, at `dram.standard`: elements that lie nowhere, or where another one does; commands that are not.

    A matrix of more than one buffer and more than one output for each bank; K and V of two heads, of more elements than
    a column holds and more tokens than banks.  Elements are those at both ends of columns, banks and buffers.
    """
    found = [f"its layouts: {what}: {wrong}" for what, wrong in _wrong(layouts, grid)]
    if found:
        raise InputError(Problem("", 0, 0, "dram.standard", message) for message in found)


def _wrong(layouts: Layouts, grid: Grid) -> Iterator[tuple[str, str]]:
    outputs, inputs = grid.banks * grid.channels + 1, grid.buffer_elements + grid.width + 1
    head, tokens = grid.width + 1, grid.banks + grid.width + 1
    matrix = layouts.matrix(grid, inputs, outputs)
    cached = (grid, HEADS, HEADS, head, tokens)
    keys, values = layouts.keys(*cached), layouts.values(*cached)
    try:
        matrix.multiply()
        keys.append(0), keys.score_groups(1)
        values.append(0), values.weigh_columns(1)
    except KeyError as error:  # of `Standard.index`
        yield "commands", str(error.args[0])
        return
    some = product(range(outputs), _ends(inputs, grid.width, grid.buffer_elements))
    yield from _of(grid, "W[output, input]", matrix, some)
    every = list(product(_ends(tokens, grid.width, grid.banks), range(HEADS), _ends(head, grid.width, grid.banks)))
    yield from _of(grid, "K[token, head, element]", keys, every)
    yield from _of(grid, "V[token, head, element]", values, every)


def _ends(n: int, *sizes: int) -> list[int]:
    """Of 0 .. n - 1 the first, the last, and those at the ends of parts of these sizes."""
    at = {0, n, *sizes, *(2 * size for size in sizes)}
    return sorted({x + by for x in at for by in (-1, 0, 1) if 0 <= x + by < n})


def _of(grid: Grid, what: str, layout: Any, elements: Any) -> Iterator[tuple[str, str]]:
    """The first elements of one layout that are wrong."""
    taken: dict[Place[int], tuple[int, ...]] = {}
    wrong = 0
    for element in elements:
        place, name = layout.locate(*element), list(element)
        if not _is_there(grid, place, layout.rows):
            yield what, f"{name} is not in the {layout.rows} rows that it reserves: {place}"
        elif place in taken:
            yield what, f"{list(taken[place])} and {name} are both at {place}"
        else:
            taken[place] = element
            continue
        wrong += 1
        if wrong == SHOWN:
            return


def _is_there(grid: Grid, place: Place[int], rows: int) -> bool:
    sizes = (grid.channels, grid.banks, rows, grid.device.columns, grid.width)
    at = (place.channel, place.bank, place.row, place.column, place.lane)
    return all(0 <= index < size for index, size in zip(at, sizes, strict=True))
