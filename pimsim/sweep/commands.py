"""The command that simulates one point of a sweep by itself, `pimsim run BASE --set KEY=VALUE ...`, and the one that
goes on with a sweep, `pimsim sweep SWEEP --resume`.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from pimsim.config.loader import BASELINE_SUFFIXES
from pimsim.config.resolved import on_one_line
from pimsim.config.shipped import SUFFIXES, TRACES, located, written
from pimsim.config.tree import WORKLOAD_SOURCES
from pimsim.sweep.definition import Sweep
from pimsim.sweep.rows import cell

_SOURCES = {f"workload.{source}" for source in WORKLOAD_SOURCES}
_FILES = {
    "workload.trace": ("",),
    "dram.standard": SUFFIXES,
    "energy.table": SUFFIXES,
    "baselines": BASELINE_SUFFIXES,
}  # keys whose texts name files, by how those end


def overrides(sweep: Sweep, point: Mapping[str, Any]) -> list[str]:
    """What comes after each `--set`, for `sweep.base.name`: `set` of the sweep, then the point's own values.

    Files are named from where this process stands, as that of the base is.
    """
    return [f"{key}={text_of(sweep, key, value)}" for key, value in {**fixed(sweep), **point}.items()]


def fixed(sweep: Sweep) -> dict[str, Any]:
    """What `set` says of keys that no point gives; of a workload's source nothing where points have their own."""
    varied = set(sweep.keys)
    gone = varied | (_SOURCES if varied & _SOURCES else set())
    return {key: value for key, value in sweep.base.fixed.items() if key not in gone}


def words(sweep: Sweep) -> tuple[str, ...]:
    """The command without its overrides; none where weights replace the model, or the base was made in Python."""
    known = isinstance(sweep.base.name, str) and not sweep.accuracy
    return ("pimsim", "run", from_here(str(sweep.base.name))) if known else ()


def going_on(file: str, options: Mapping[str, str | None]) -> str:
    """The command that goes on with the sweep in a file, as a shell reads it, with the options that are given."""
    given = [word for name, value in options.items() if value is not None for word in (name, value)]
    return shlex.join(["pimsim", "sweep", file, *given, "--resume"])


def from_here(path: str) -> str:
    """A path as it is from where this process stands, however it was written; a name as it is.

    What is shown of a sweep is the same whether its file is named `s.yaml`, `./s.yaml` or from the root.
    """
    if not os.path.dirname(path):
        return path
    folder, name = os.path.split(os.path.abspath(path))
    return os.path.relpath(os.path.join(os.path.realpath(folder), name))


def texts(sweep: Sweep) -> dict[str, dict[str, str]]:
    """What stands behind `KEY=` for each text that a key has in a row, which may stand for a list or a mapping."""
    found: dict[str, dict[str, str]] = {}
    for key, value in _values(sweep):
        if isinstance(shown := cell(value), str):
            found.setdefault(key, {})[shown] = text_of(sweep, key, value)
    return found


def _values(sweep: Sweep) -> Iterator[tuple[str, Any]]:
    """Every value that is listed for a key; those of an interval are numbers."""
    for table in sweep.space.tables:
        yield from (pair for row in table.rows for pair in row.items())
    for key, domain in sweep.search.domains.items() if sweep.search else ():
        yield from ((key, value) for value in getattr(domain, "values", ()))


def text_of(sweep: Sweep, key: str, value: Any) -> str:
    """What stands behind `KEY=` for a value."""
    return on_one_line(_from_here(os.path.dirname(sweep.file), key, value))


def _from_here(folder: str, key: str, value: Any) -> Any:
    """A value in which files are named from here, not from the folder of the sweep file."""
    if isinstance(value, Mapping):
        return {name: _from_here(folder, f"{key}.{name}", inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_from_here(folder, key, inner) for inner in value]
    if isinstance(value, str) and value and value.endswith(_FILES.get(key, ())):
        found = located(value, folder, TRACES) if key == "workload.trace" else os.path.join(folder, value)
        name = written(found, TRACES)
        return os.path.relpath(found) if name == found else name
    return value
