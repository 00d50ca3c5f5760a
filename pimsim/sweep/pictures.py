"""Pictures of a sweep: its front, what each key does, and how objectives go with one or two keys."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from pimsim.plots import sweep as plots
from pimsim.plots import systems
from pimsim.plots.looks import Order, owned
from pimsim.plots.pictures import Picture
from pimsim.plots.pictures import save as save_pictures
from pimsim.sweep.folder import cannot_write
from pimsim.sweep.objectives import Objective
from pimsim.sweep.point import OK
from pimsim.sweep.result import SweepResult

FRONT = "pareto_front"  # pareto.csv is the front's rows
SCALING = {"strong_scaling": False, "weak_scaling": True}  # of sweeps over devices
_KINDS = ("scaling", "heatmap", "tornado")
_MOST_LABELS, _MOST_CELLS = 12, 40  # points of a front that have names; values of a key that a heat map has room for
_Rows = Sequence[Mapping[str, Any]]


def save(result: SweepResult, order: Order) -> list[str]:
    """Write the pictures that a sweep has data for into its folder; the names of the files.

    InputError if the folder cannot be written
    """
    drawn = pictures(result)
    names = [FRONT, *SCALING, *(_stem(kind, objective) for kind in _KINDS for objective in result.objectives)]
    try:
        with tempfile.TemporaryDirectory(prefix=".pimsim-", dir=result.directory) as scratch:
            written = save_pictures(drawn, Path(scratch), order)
            for name in {*owned(names)} - {*written}:
                (result.directory / name).unlink(missing_ok=True)
            for name in written:
                os.replace(Path(scratch) / name, result.directory / name)
    except OSError as error:
        raise cannot_write(result.directory, error) from error
    return written


def pictures(result: SweepResult) -> dict[str, Picture]:
    """By the name of their files."""
    rows = [row for row in result.rows() if row["status"] == OK]
    found = _fronts(result, rows) | _over_devices(result, rows)
    effects = result.sensitivity()
    for objective in result.objectives:
        own = [row for row in effects if row["objective"] == objective.name and "base" in row]
        figures = [row for row in rows if isinstance(row.get(objective.name), int | float)]
        if own:
            found[_stem("tornado", objective)] = Picture(partial(plots.tornado, own), partial(plots.table_of_bars, own))
        elif figures and len(result.keys) == 2 and _few(figures, result.keys):
            cells = (figures, *result.keys, objective.name)
            found[_stem("heatmap", objective)] = Picture(
                partial(plots.heatmap, *cells), partial(plots.table_of_cells, *cells)
            )
        elif len(result.keys) == 1 and _scales(figures, result.keys[0], objective):
            better = "higher" if objective.maximise else "lower"
            draw = partial(plots.scaling, figures, result.keys[0], objective.name, better=better)
            table = partial(plots.table_of_scaling, figures, result.keys[0], objective.name, better)
            found[_stem("scaling", objective)] = Picture(draw, table)
    return found


def _stem(kind: str, objective: Objective) -> str:
    return f"{kind}_{objective.name.removeprefix('system.')}"


def _fronts(result: SweepResult, rows: _Rows) -> dict[str, Picture]:
    """The front of the first two objectives."""
    if len(result.objectives) < 2 or not rows:
        return {}
    x, y = result.objectives[:2]
    if not any(row.get(x.name) is not None and row.get(y.name) is not None for row in rows):
        return {}
    maximise = [objective.name for objective in (x, y) if objective.maximise]
    few = len(plots.front_of(rows, x.name, y.name, maximise)) <= _MOST_LABELS
    label = result.keys[0] if len(result.keys) == 1 and few else ""
    draw = partial(plots.pareto, rows, x.name, y.name, maximise=maximise, label=label)
    return {FRONT: Picture(draw, partial(plots.table_of_front, rows, x.name, y.name, maximise, result.keys))}


def _over_devices(result: SweepResult, rows: _Rows) -> dict[str, Picture]:
    """How rates grow with devices, where they vary."""
    found: dict[str, Picture] = {}
    for name, weak in SCALING.items() if systems.DEVICES in result.keys else ():
        try:
            systems.lines(rows, weak)
        except ValueError:
            continue
        found[name] = Picture(partial(systems.scaling, rows, weak=weak), partial(systems.table, rows, weak))
    return found


def _few(rows: _Rows, keys: Sequence[str]) -> bool:
    """Whether a cell for each pair of values has room, and there is more than a line of them."""
    counts = [len({str(row.get(key)) for row in rows}) for key in keys]
    return all(row.get(key) is not None for row in rows for key in keys) and 1 < max(counts) <= _MOST_CELLS


def _scales(rows: _Rows, key: str, objective: Objective) -> bool:
    """Whether both are positive numbers, and there are several of the key."""
    pairs = [(row.get(key), row[objective.name]) for row in rows]
    numbers = [isinstance(a, int | float) and not isinstance(a, bool) and a > 0 and b > 0 for a, b in pairs]
    return all(numbers) and len({a for a, _ in pairs}) > 1
