"""Whole numbers of one step, or of each of many."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
N = TypeVar("N", int, Ints)


def ceil_div(a: N, b: int) -> N:
    """a / b rounded up, for whole numbers."""
    return -(-a // b)


def at_most(most: int, n: N) -> N:
    """The smaller of two whole numbers."""
    return min(most, n) if isinstance(n, int) else np.minimum(most, n)


def pieces_of(total: int, most: int) -> tuple[int, ...]:
    """`total` cut into pieces of `most`; the last has what is left."""
    full, rest = divmod(total, most)
    return (most,) * full + ((rest,) if rest else ())
