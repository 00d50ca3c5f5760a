"""The points of a sweep: a product of tables, counted without making them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.config.loader import entry_of, put
from pimsim.config.tree import Place, Tree, merge, plain

Values = Mapping[str, Any]  # by dotted key


@dataclass(frozen=True)
class Table:
    """Keys that vary together: a row has a value for some or all of them.

    kind  "grid", "zip", "random", "latin_hypercube", "one_at_a_time" or "sobol"
    """

    kind: str
    keys: tuple[str, ...]
    rows: tuple[Values, ...]


@dataclass(frozen=True)
class Space:
    """Every combination of a row of each table; the last table varies fastest."""

    tables: tuple[Table, ...]

    def __len__(self) -> int:
        return math.prod(len(table.rows) for table in self.tables)

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys that vary, in the order of the file."""
        return tuple(key for table in self.tables for key in table.keys)

    def point(self, index: int) -> dict[str, Any]:
        """The values of the point number `index`, by dotted key."""
        parts: list[Values] = []
        for table in reversed(self.tables):
            index, row = divmod(index, len(table.rows))
            parts.append(table.rows[row])
        return {key: value for part in reversed(parts) for key, value in part.items()}

    def points(self) -> Iterator[tuple[int, dict[str, Any]]]:
        """Every point with its number."""
        return ((index, self.point(index)) for index in range(len(self)))


_HERE = Place("", 0, 0)


def with_values(base: Tree, values: Values) -> dict[str, Any]:
    """The plain values of `base` with `values` on top, as a file that extends it would have them."""
    over = Tree(_HERE)
    for key, value in values.items():
        put(over, key, entry_of(value, _HERE))
    return plain(merge(base.entries, over.entries))  # type: ignore[no-any-return]
