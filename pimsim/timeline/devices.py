"""A timeline of several devices as Chrome trace JSON: a process for those that do the same, what each does and sends.

Times in it are us, exact to the ps, as in the timeline of one device (`timeline.chrome`).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

from pimsim.errors import InputError, Problem
from pimsim.files import check_output
from pimsim.timeline.chrome import THREADS, microseconds
from pimsim.timeline.output import CANNOT_WRITE, whole_text
from pimsim.timeline.watcher import MOST_COMMANDS

SUFFIXES = (".json", ".json.gz")


class Slice(NamedTuple):
    """What takes some clocks; about: its arguments."""

    begin: int
    end: int
    name: str
    about: Mapping[str, Any]


class Process(NamedTuple):
    """Devices that do the same, and their tracks by name."""

    name: str
    tracks: Mapping[str, Sequence[Slice]]


def check(path: str | Path) -> None:
    """InputError for a file that can be no timeline of several devices."""
    if not str(path).endswith(SUFFIXES):
        what = f"a timeline of several devices ends in {' or '.join(SUFFIXES)}; waveforms are of one device"
        raise InputError(Problem(str(path), 1, 1, "--timeline", what))
    check_output(Path(path), CANNOT_WRITE)


def write(
    path: str | Path, processes: Sequence[Process], tCK_ps: int, span: tuple[int, int], most: int = MOST_COMMANDS
) -> None:
    """Write what is in a window of clocks; InputError where that is more than `most` slices, or nothing."""
    shown = list(_shown(processes, span))
    if len(shown) > most:
        raise InputError(f"more than {most:,} passes, too many to view; choose a part by --window", key="--timeline")
    if not shown:
        raise InputError("nothing of the run is in it", key="--window")
    about = {"tCK_ps": tCK_ps, "passes": "what a stage does for a part of the batch in a step"}
    events = chain(_names(processes), (_event(process, track, each, tCK_ps) for process, track, each in shown))
    with whole_text(Path(path)) as file:
        file.write(f'{{"displayTimeUnit":"ns","otherData":{json.dumps(about)},"traceEvents":[\n')
        file.write(",\n".join(map(json.dumps, events)))
        file.write("\n]}\n")


def _shown(processes: Sequence[Process], span: tuple[int, int]) -> Iterator[tuple[int, int, Slice]]:
    """Process, track and slice, of those that take time in the window, cut at its edges."""
    for process, (_, tracks) in enumerate(processes, 1):
        for track, slices in enumerate(tracks.values(), 1):
            for each in slices:
                begin, end = max(each.begin, span[0]), min(each.end, span[1])
                if begin < end:
                    yield process, track, each._replace(begin=begin, end=end)


def _names(processes: Iterable[Process]) -> Iterator[dict[str, Any]]:
    for process, (name, tracks) in enumerate(processes, 1):
        yield {"ph": "M", "pid": process, "name": "process_name", "args": {"name": name}}
        yield {"ph": "M", "pid": process, "name": "process_sort_index", "args": {"sort_index": process}}
        for track, title in enumerate(tracks, 1):
            named = {"ph": "M", "pid": process, "tid": process * THREADS + track}
            yield {**named, "name": "thread_name", "args": {"name": title}}
            yield {**named, "name": "thread_sort_index", "args": {"sort_index": track}}


def _event(process: int, track: int, each: Slice, tCK_ps: int) -> dict[str, Any]:
    begin, lasts = (float(microseconds(clocks, tCK_ps)) for clocks in (each.begin, each.end - each.begin))
    where = {"ph": "X", "pid": process, "tid": process * THREADS + track}
    return {**where, "ts": begin, "dur": lasts, "name": each.name, "args": dict(each.about)}
