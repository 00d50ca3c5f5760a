"""Commands for more number formats, beside those of a table: the same but for some of their times.

A MAC unit takes a column of any pair of formats as it takes one of its own: the same row, the same column, other
clocks.  So each further pair is a command like the one that multiplies, which every row that names that one names,
too.  A row whose latency is a time of the pair's own is a row of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pimsim.dram.spec import Command, Standard, TimingConstraint


@dataclass(frozen=True)
class Variant:
    """A command like another one of a table.

    times    timing names that are its own, by those of the other one
    changes  fields of `Command` that are not the other one's
    rows     constraints besides
    """

    name: str
    like: str
    times: Mapping[str, str] = field(default_factory=dict)
    changes: Mapping[str, Any] = field(default_factory=dict)
    rows: tuple[TimingConstraint, ...] = ()


def with_variants(table: Standard, variants: Sequence[Variant]) -> Standard:
    """The table with more commands; what logs call by the name of another one stays last."""
    made = tuple(
        replace(table.command(v.like), name=v.name, **{**_renamed(table.command(v.like), v.times), **v.changes})
        for v in variants
    )
    own = tuple(command for command in table.commands if not command.logged)
    rows = tuple(row for known in table.constraints for row in _rows(known, variants))
    return replace(
        table,
        commands=(*own, *made, *table.commands[len(own) :]),
        constraints=(*rows, *(row for v in variants for row in v.rows)),
        causes=tuple(row for cause in table.causes for row in _causes(cause, variants)),
    )


def _renamed(command: Command, times: Mapping[str, str]) -> dict[str, Any]:
    """The expressions of a command over timing names, by the names of its variant."""
    return {name: _with(getattr(command, name), times) for name in ("completion", "on_pins", "lasts")}


def _with(expression: str, times: Mapping[str, str]) -> str:
    return re.sub(r"[A-Za-z_]\w*", lambda word: times.get(word[0], word[0]), expression)


def _like(names: tuple[str, ...], variants: Sequence[Variant]) -> list[Variant]:
    return [v for v in variants if v.like in names]


def _rows(row: TimingConstraint, variants: Sequence[Variant]) -> Iterator[TimingConstraint]:
    """A row for all commands that have its latency, then one for each that has another one."""
    following = (*row.following, *(v.name for v in _like(row.following, variants)))
    found = [(v, _with(row.latency, v.times)) for v in _like(row.preceding, variants)]
    same = tuple(v.name for v, latency in found if latency == row.latency)
    yield replace(row, preceding=(*row.preceding, *same), following=following)
    for v, latency in found:
        if latency != row.latency:
            yield replace(row, preceding=(v.name,), following=following, latency=latency)


def _causes(cause: tuple[str, str, str], variants: Sequence[Variant]) -> Iterator[tuple[str, str, str]]:
    before, after, name = cause
    for first in (before, *(v.name for v in variants if v.like == before)):
        for then in (after, *(v.name for v in variants if v.like == after)):
            yield first, then, name
