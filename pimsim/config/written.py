"""How a configuration was written: what a changed copy of it starts from, and where its values came from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pimsim.config.tree import Entry, Position, Tree, entry_of

_HERE = Position("Python", 1, 1)  # where values stand that were set in Python


def _nothing() -> Tree:
    return Tree(_HERE)


@dataclass(frozen=True)
class Written:
    """What a file and its overrides say; of a configuration that was made in Python, nothing.

    It is no part of what a configuration is: any two are equal.

    given   as it was written; tree: with what a trace says and the name of a table
    values  the values that came of it, by dotted key
    """

    given: Tree = field(default_factory=_nothing, compare=False)
    tree: Tree = field(default_factory=_nothing, compare=False)
    values: Mapping[str, Any] = field(default_factory=dict, compare=False)

    def with_values(self, values: Mapping[str, Any]) -> Written:
        """The same with what the values of a copy, by dotted key, have in the place of its own."""
        found = self
        for key, value in values.items():
            if key not in self.values or self.values[key] != value:
                found = replace(found, given=_set(found.given, key, value), tree=_set(found.tree, key, value))
        return found


def _set(tree: Tree, key: str, value: Any) -> Tree:
    return replace(tree, entries=_replaced(tree.entries, key.split("."), entry_of(value, _HERE)))


def _replaced(entries: Mapping[str, Entry], path: list[str], entry: Entry) -> dict[str, Entry]:
    """The entries with another one at a path; a mapping that is there is replaced, not merged with."""
    first, *rest = path
    before = entries.get(first)
    if rest:
        inner = before.value if before and isinstance(before.value, Mapping) else {}
        entry = replace(before or Entry(entry.place, {}), value=_replaced(inner, rest, entry))
    return {**entries, first: entry if rest else replace(entry, before=before)}
