"""The adders and multipliers of the ASIC, and the ports of its SRAM: BF16 arithmetic that counts what it does.

An array is float32 and holds BF16 numbers (`pimsim.values.numbers`), as does every result: an operation is carried
out in float32 and rounded to the nearest BF16 number, ties to even.  There is no fused multiply-add.  Infinities and
NaN go through as IEEE 754 has it; which NaN comes out is not told.  Subnormal numbers are numbers.

Each element of a result is one operation of an adder or of a multiplier.  An adder also compares, rounds to an
integer as it aligns and rounds a sum, and adds and subtracts integers: each is an addition, as `pimsim.asic.units`
prices it.  To flip a sign or to drop it, or to tell a NaN, takes no operation.

A vector is added up as by `pimsim.asic.units.TREE`: pieces of 256 elements go through a tree, neighbours in pairs,
and then one after another into an accumulator, which has its first value for nothing: n additions for n elements.
Fewer adders are the same tree in several rounds, more of them are several vectors: the values stay the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.asic.units import TREE
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.formats import Format
from pimsim.values.formats import rounded
from pimsim.values.numbers import F32, bf16

Ids = NDArray[np.int64]

# First guesses: words of 16 bits that a word is subtracted from.  Searched for, among 0x7D00 to 0x7FFF and 0x5E00 to
# 0x607F: the largest error after two Newton steps in BF16 (as shipped) is the smallest, 1.375/256 and 1.442/256,
# and of equals the mean square is.  (The first 16 bits of the constants that are well known for float32, 0x7EF3 and
# 0x5F37, end at 1.43/256 and 1.55/256.)
RECIPROCAL = 0x7EF1
INVERSE_ROOT = 0x5F34

_SIGN, _MAGNITUDE = 0x8000, 0x7FFF
_EXPONENTS, _SIGNIFICAND = 0xFF, 0x7FFFFF  # of a float32, whose exponent BF16 has
_LARGEST = 0x7F7F0000  # as a float32
_FAR = 512.0  # further than any exponent can be moved


def constant(x: float) -> np.float32:
    """A number that is known beforehand: rounded to float32, then to BF16."""
    return np.float32(bf16(x))


@dataclass
class Counts:
    """What was carried out: additions, multiplications, and bytes through the SRAM's read port and write port."""

    adds: int = 0
    multiplies: int = 0
    read: int = 0
    written: int = 0


class Arithmetic:
    """Operations on arrays of any shape; where a vector is meant, it lies along the last axis."""

    def __init__(self) -> None:
        self.counts = Counts()

    def read(self, *operands: F32, like: F32) -> None:
        """Each operand comes through the read port, an element of it for each element of `like`."""
        self.counts.read += len(operands) * like.size * ELEMENT_BYTES

    def write(self, result: F32) -> F32:
        """A result goes through the write port."""
        self.counts.written += result.size * ELEMENT_BYTES
        return result

    def add(self, a: F32 | np.float32, b: F32 | np.float32) -> F32:
        """a + b."""
        return self._added(bf16(a + b))

    def subtract(self, a: F32 | np.float32, b: F32 | np.float32) -> F32:
        """a - b."""
        return self._added(bf16(a - b))

    def multiply(self, a: F32 | np.float32, b: F32 | np.float32) -> F32:
        """a b."""
        product = bf16(a * b)
        self.counts.multiplies += product.size
        return product

    def positive(self, x: F32) -> F32:
        """x where it is above zero, or NaN; else +0."""
        return self._added(np.where(x <= 0, np.float32(0), x))

    def whole(self, x: F32) -> F32:
        """The nearest integer, ties to even.  A BF16 number of 128 or more is one already."""
        return self._added(np.rint(x))

    def rounded(self, x: F32, made: Format) -> F32:
        """The nearest number of a format, whose largest one is the largest: rounding is a sum's own, as in `whole`."""
        return self._added(rounded(made, x))

    def power(self, p: F32, n: F32) -> F32:
        """2^n p of a positive p and an integer n: n is added to the exponent of p, an integer.

        The adder stops at its ends: 0 where the sum is 0 or less (there are no subnormal results), the largest number
        where it is 255 or more, whatever p is.  NaN where n is.
        """
        missing = np.isnan(n)
        bits = p.view(np.int32)
        shift = np.clip(np.where(missing, 0, n), -_FAR, _FAR).astype(np.int32)
        exponent = ((bits >> 23) & _EXPONENTS) + shift
        moved = (bits & _SIGNIFICAND) | (exponent << 23)
        held = np.where(exponent <= 0, 0, np.where(exponent >= _EXPONENTS, _LARGEST, moved))
        return self._added(np.where(missing, np.float32(np.nan), held.astype(np.int32).view(np.float32)))

    def polynomial(self, coefficients: Sequence[np.float32], x: F32) -> F32:
        """Horner's rule: k - 1 multiplications and additions for k coefficients, of the constant first.

        p = c[k - 1], then p = (p x) + c[i] for i = k - 2 ... 0.
        """
        p = np.full(x.shape, coefficients[-1], np.float32)
        for c in coefficients[-2::-1]:
            p = self.add(self.multiply(p, x), c)
        return p

    def reciprocal(self, d: F32, steps: int) -> F32:
        """1 / d: a guess, then `steps` times y = y (2 - (d y)).

        The guess is RECIPROCAL less the word of |d|, an integer that stops at 0, with the sign of d.  NaN gives NaN,
        and an infinity does from one step on.
        """
        word = (d.view(np.uint32) >> 16).astype(np.int32)
        guess = np.maximum(RECIPROCAL - (word & _MAGNITUDE), 0) | (word & _SIGN)
        y = self._added(_from_words(guess, d))
        for _ in range(steps):
            y = self.multiply(y, self.subtract(np.float32(2), self.multiply(d, y)))
        return y

    def inverse_root(self, v: F32, steps: int) -> F32:
        """1 / sqrt(v) of a v that is not negative: a guess, h = v / 2, then `steps` times y = y (1.5 - ((h y) y)).

        The guess is INVERSE_ROOT less half the word of v, rounded down.  NaN gives NaN; an infinity does not give 0,
        since its half is one, too.
        """
        word = (v.view(np.uint32) >> 16).astype(np.int32) & _MAGNITUDE
        y = self._added(_from_words(INVERSE_ROOT - (word >> 1), v))
        half = self.multiply(v, np.float32(0.5))
        for _ in range(steps):
            y = self.multiply(y, self.subtract(np.float32(1.5), self.multiply(self.multiply(half, y), y)))
        return y

    def total(self, x: F32, start: float = 0.0) -> F32:
        """The sum of each vector of (..., n), and of `start`, the accumulator's first value: (..., 1).

        Each piece of 256 elements goes through the tree: neighbours (0 and 1, 2 and 3 ...) are added, then neighbours
        of those, until one is left; what the last piece lacks is 0.  Then acc = acc + piece, first to last.
        """
        self.counts.adds += x.size
        pieces = _pieces(x)
        while pieces.shape[-1] > 1:
            pieces = bf16(pieces[..., 0::2] + pieces[..., 1::2])
        sums = np.full((*x.shape[:-1], 1), constant(start), np.float32)
        for i in range(pieces.shape[-2]):
            sums = bf16(sums + pieces[..., i, :])
        return sums

    def largest(self, x: F32) -> F32:
        """The maximum of each vector of (..., n), NaN if there is one in it: (..., 1)."""
        self.counts.adds += x.size
        most: F32 = x.max(axis=-1, keepdims=True)
        return most

    def where_largest(self, x: F32) -> Ids:
        """The element of the maximum of each vector of (..., n), the first of several; NaN is the largest: (...)."""
        self.counts.adds += x.size
        ids: Ids = x.argmax(axis=-1)
        return ids

    def best(self, x: F32, chosen: int) -> Ids:
        """So many times `where_largest` of those elements that are left, each over all of (..., n): (..., chosen)."""
        self.counts.adds += chosen * x.size
        order: Ids = np.argsort(np.where(np.isnan(x), -np.inf, -x), axis=-1, kind="stable")
        return order[..., :chosen]

    def _added(self, result: F32) -> F32:
        self.counts.adds += result.size
        return result


def _pieces(x: F32) -> F32:
    """(..., n) as (..., pieces, width), zeros at the end; the width is a power of two, of one piece it is no wider."""
    n = x.shape[-1]
    width = TREE if n > TREE else 1 << (n - 1).bit_length()
    pieces = -(-n // width)
    if pieces * width > n:
        padded = np.zeros((*x.shape[:-1], pieces * width), np.float32)
        padded[..., :n] = x
        x = padded
    return x.reshape(*x.shape[:-1], pieces, width)


def _from_words(word: NDArray[np.int32], of: F32) -> F32:
    """The BF16 numbers of words of 16 bits; NaN where `of` is."""
    found = (word.astype(np.uint32) << 16).view(np.float32)
    return np.where(np.isnan(of), of, found)
