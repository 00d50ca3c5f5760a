"""Numbers as the hardware has them: BF16, kept in float32 arrays of which every entry is a BF16 number.

A sum or a product of two BF16 numbers in float32, rounded to nearest even, is the correctly rounded BF16 result:
float32 has more than twice the digits and two more, so that rounding twice changes nothing.
"""

from __future__ import annotations

from typing import Any

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]
Words = NDArray[np.uint16]


def bf16(x: Any) -> F32:
    """The nearest BF16 numbers, ties to even, of an array of any shape; float32."""
    rounded: F32 = np.asarray(x, np.float32).astype(ml_dtypes.bfloat16).astype(np.float32)
    return rounded


def words(x: Any) -> Words:
    """The same as the 16 bits that stand in the memory."""
    bits: Words = np.ascontiguousarray(x, np.float32).astype(ml_dtypes.bfloat16).view(np.uint16)
    return bits


def numbers(bits: Words) -> F32:
    """What 16 bits of the memory stand for; float32."""
    found: F32 = (bits.astype(np.uint32) << 16).view(np.float32)
    return found


WORDS = 1 << 16  # that there are
EVERY = numbers(np.arange(WORDS, dtype=np.uint16))  # the BF16 numbers, by their words
EVERY.flags.writeable = False
