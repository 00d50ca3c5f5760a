"""A configuration as it was written: values, each with the place it came from.

Pydantic sees plain values; this tree answers afterwards where a key was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from pimsim.errors import Problem

Scalar = None | bool | int | float | Decimal | str


@dataclass(frozen=True)
class Position:
    """A position in a file, or in an option such as --set; lines and columns count from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True)
class Entry:
    """A value and where its key stands.

    value   a scalar, a mapping of entries, or a tuple of entries
    label   of the `# source:` comment on the value's line, None without one
    reason  the rest of that comment
    before  the entry of the first layer, where this one replaces it
    beneath it was given in an earlier layer than the trace that is in force
    written what stands there, if it is a file that says what `value` is
    """

    place: Position
    value: Scalar | Mapping[str, Entry] | tuple[Entry, ...]
    label: str | None = None
    reason: str = ""
    before: Entry | None = None
    beneath: bool = False
    written: str = ""


@dataclass
class Tree:
    """The top of a configuration: its entries, where its file begins, and what is wrong with how it is written."""

    place: Position
    entries: dict[str, Entry] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


# At most one of these is in force; one given later replaces an inherited other.
WORKLOAD_SOURCES = ("model", "trace", "model_config")


def merge(
    base: Mapping[str, Entry], over: Mapping[str, Entry], path: str = "", inherited: bool = True
) -> dict[str, Entry]:
    """`base` with the entries of `over`: mappings merge key by key, anything else is replaced.

    inherited: `base` is an earlier layer, and a source of work in `over` replaces its others.
    """
    merged = dict(base)
    if inherited and path == "workload" and any(_given(over, source) for source in WORKLOAD_SOURCES):
        merged = {key: entry for key, entry in base.items() if key not in WORKLOAD_SOURCES or _given(over, key)}
        if _given(over, "trace"):  # a sweep has its trace and its other keys in several layers, but in one file
            file = over["trace"].place.file
            merged = {key: replace(entry, beneath=entry.place.file != file) for key, entry in merged.items()}
    for key, entry in over.items():
        before, inner = merged.get(key), f"{path}.{key}" if path else key
        if before is not None and isinstance(before.value, Mapping) and isinstance(entry.value, Mapping):
            entry = replace(before, value=merge(before.value, entry.value, inner, inherited))
        elif before is not None and inherited:
            entry = replace(entry, before=before.before or before)
        merged[key] = entry
    return merged


def _given(entries: Mapping[str, Entry], key: str) -> bool:
    return key in entries and entries[key].value is not None


def plain(value: Any) -> Any:
    """The values alone: what a schema validates."""
    if isinstance(value, Mapping):
        return {key: plain(entry.value) for key, entry in value.items()}
    if isinstance(value, tuple):
        return tuple(plain(entry.value) for entry in value)
    return value


def locate(tree: Tree, path: str) -> Position:
    """Where `path` was given; a path that was not given is where the mapping that lacks it is."""
    place, value = tree.place, tree.entries
    for part in path.split("."):
        entry = _child(value, part)
        if entry is None:
            break
        place, value = entry.place, entry.value  # type: ignore[assignment]
    return place


def _child(value: Any, part: str) -> Entry | None:
    if isinstance(value, Mapping):
        return value.get(part)
    if isinstance(value, tuple) and part.isdecimal() and int(part) < len(value):
        item: Entry = value[int(part)]
        return item
    return None


def leaves(entries: Mapping[str, Entry], path: str = "") -> Iterator[tuple[str, Entry]]:
    """Every entry that is not a mapping, with its path; a list is one leaf."""
    for key, entry in entries.items():
        inner = f"{path}.{key}" if path else key
        if isinstance(entry.value, Mapping):
            yield from leaves(entry.value, inner)
        else:
            yield inner, entry


def entry_of(value: Any, place: Position) -> Entry:
    """A Python value; floats as the decimal that they print as, arrays and numbers of numpy as Python's."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Mapping):
        return Entry(place, {str(key): entry_of(inner, place) for key, inner in value.items()})
    if isinstance(value, list | tuple | range):
        return Entry(place, tuple(entry_of(inner, place) for inner in value))
    return Entry(place, Decimal(str(value)) if isinstance(value, float) else value)
