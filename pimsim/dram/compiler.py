"""What the kernel's functions are written with; compiled, or interpreted under NUMBA_DISABLE_JIT=1.

`view` and `constant` take an array apart once, where Python calls; `parts_of` a record gives
its parts by their names (`code.views`).  Of float32 and BF16: `octet` to `number` (`code.floats`).
"""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import numpy as np

from pimsim.dram.code.entry import Entry
from pimsim.dram.code.later import Later
from pimsim.dram.records import Record, named

COMPILES = os.environ.get("NUMBA_DISABLE_JIT", "0") in ("", "0")


def _of_views(name: str) -> Any:
    def make() -> Any:
        from pimsim.dram.code import views

        return getattr(views, name)

    return Later(make)


def _of_floats(name: str) -> Any:
    def make() -> Any:
        from pimsim.dram.code import floats

        return getattr(floats, name)

    return Later(make)


if COMPILES:
    view, constant, carve, flat, apart = map(_of_views, ("view", "constant", "carve", "flat", "apart"))
    octet, unpacked, put, spread, rounded, word, number = map(
        _of_floats, ("octet", "unpacked", "put", "spread", "rounded", "word", "number")
    )

    def parts_of(record: type[Record]) -> Any:
        """What gives the parts of a record by their names."""

        def make() -> Any:
            from pimsim.dram.code import views

            return views.parts_of(record)

        return Later(make)

    def jit(function: Callable[..., Any]) -> Any:
        """A compiled function that only compiled functions call."""

        def make() -> Any:
            from pimsim.dram.code.emit import part

            return part(function)

        return Later(make)

    def entry(function: Callable[..., int]) -> Any:
        """A compiled function that Python calls, with all that it calls."""
        return Entry(function)

    def wide_entry(function: Callable[..., int]) -> Any:
        """An entry that wider vectors make faster."""
        return Entry(function, wide=True)

else:

    def view(array: Any) -> Any:
        """Interpreted, an array is its own view."""
        return array

    constant = view

    def parts_of(record: type[Record]) -> Any:
        """What gives the parts of a record by their names."""
        return partial(named, record)

    def carve(array: Any, first: int, shapes: tuple[tuple[int, ...], ...]) -> tuple[Any, ...]:
        """What lies one behind the other in a vector from `first` on: arrays of these shapes."""
        places = pairwise(accumulate(map(prod, shapes), initial=first))
        return tuple(array[start:stop].reshape(shape) for (start, stop), shape in zip(places, shapes, strict=True))

    def apart() -> None:
        """Interpreted, every function stays by itself."""

    def flat(array: Any) -> Any:
        """All of an array, one behind the other."""
        return array.reshape(-1)

    def octet(row: Any) -> Any:
        """The eight numbers that a row of float32 starts with."""
        return row[:8].copy()

    def unpacked(row: Any) -> Any:
        """The eight numbers that a row of words starts with."""
        return (row[:8].astype(np.uint32) << 16).view(np.float32)

    def put(row: Any, value: Any) -> None:
        """Write eight numbers where a row of float32 starts."""
        row[:8] = value

    def spread(value: Any) -> Any:
        """A number, eight times."""
        return np.full(8, value, np.float32)

    def rounded(value: Any) -> Any:
        """The nearest BF16 numbers, ties to even."""
        numbers = np.array(value, np.float32, ndmin=1)  # before numpy 2 the bits of one alone become int64
        bits = numbers.view(np.uint32)
        nearest = (bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) & np.uint32(0xFFFF0000)
        quiet = bits & np.uint32(0x80000000) | np.uint32(0x7FC00000)
        found = np.where(numbers == numbers, nearest, quiet).view(np.float32)
        return found.reshape(np.shape(value))[()]

    def word(value: Any) -> int:
        """The upper half of a float32, an integer."""
        return int(np.float32(value).view(np.uint32)) >> 16

    def number(word: Any) -> Any:
        """The float32 with this upper half."""
        return np.uint32(int(word) << 16).view(np.float32)

    def jit(function: Callable[..., Any]) -> Any:
        """Interpreted, a function is itself."""
        return function

    entry = wide_entry = jit


def bound(function: Any) -> Callable[..., int]:
    """A way to call an entry that is faster where most arguments are those of the call before."""
    found: Callable[..., int] = function.bound() if isinstance(function, Entry) else function
    return found
