"""Records: vectors of int64 whose parts have names, in Python and in compiled code.

A record begins with a header: each of its numbers, and of each array where it starts and how
far it extends.  So it says itself where its parts are, one pointer is all that a compiled
function is given of it, and a whole one is copied or compared as the vector that it is.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache
from itertools import accumulate
from math import prod
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int | str, ...]


class Record:
    """A subclass names its parts: `rows = ("banks",)`.

    An extent is a number, or the name of one that is given when a record is made; a part of
    shape () is a number.
    """

    @classmethod
    @cache
    def parts(cls) -> dict[str, Shape]:
        """The shape of each part."""
        return {name: shape for name, shape in vars(cls).items() if not name.startswith("_")}

    @classmethod
    @cache
    def slots(cls) -> dict[str, int]:
        """Where in the header each part is: its number, or where it starts, and its extents."""
        sizes = [1 + len(shape) for shape in cls.parts().values()]
        return dict(zip(cls.parts(), accumulate(sizes, initial=0), strict=False))

    @classmethod
    @cache
    def header(cls) -> int:
        """Numbers in the header."""
        return sum(1 + len(shape) for shape in cls.parts().values())

    @classmethod
    @cache
    def fixed(cls) -> dict[str, int]:
        """Where the parts start that start at the same place in all records."""
        found: dict[str, int] = {}
        end = cls.header()
        for name, shape in cls.parts().items():
            if shape:
                found[name] = end
            if not all(isinstance(extent, int) for extent in shape):
                break
            end += prod(map(int, shape)) if shape else 0
        return found

    @classmethod
    def new(cls, sizes: Mapping[str, int], **numbers: int) -> NDArray[np.int64]:
        """A record of these sizes; what is no header is 0."""
        head: list[int] = []
        end = cls.header()
        for name, shape in cls.parts().items():
            extents = [sizes[extent] if isinstance(extent, str) else extent for extent in shape]
            head += [end, *extents] if shape else [numbers[name]]
            end += prod(extents) if shape else 0
        return np.array(head + [0] * (end - len(head)), np.int64)


def named(record: type[Record], vector: NDArray[np.int64]) -> Any:
    """The parts of a record, or of an array of equal ones, as attributes; its arrays are views."""
    return SimpleNamespace(**dict(_named(record, vector)))


def _named(record: type[Record], vector: NDArray[np.int64]) -> Iterator[tuple[str, Any]]:
    head = vector[(0,) * (vector.ndim - 1)][: record.header()].tolist()
    for name, slot in record.slots().items():
        start, *extents = head[slot : slot + 1 + len(record.parts()[name])]
        part = vector[..., start : start + prod(extents)].reshape(*vector.shape[:-1], *extents) if extents else start
        yield name, part
