"""Numbers of every format: what they are worth, and how weights, activations, K and V become them.

A number of a format is a *code* of so many bits; times the scale that it shares with others it is worth something.
To round is to take the nearest number of the format, of two the even one; what is too large becomes the largest.

    int8 ... int2  two's complement.  The scale makes the largest magnitude 2^(bits-1) - 1
    fp16           IEEE 754 binary16, without infinities
    fp8_e4m3       OCP: no infinity, up to 448.  fp8_e5m2: up to 57344, and infinities are not made
    mxfp4          E2M1 (0, 0.5, 1, 1.5, 2, 3, 4, 6), with a power of two for 32 of them (E8M0)

source: OCP 8-bit Floating Point and OCP Microscaling Formats for the floats; ml_dtypes has their bits.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np
from numpy.typing import NDArray

from pimsim.errors import InputError
from pimsim.formats import NATIVE, NATIVE_BITS, Format
from pimsim.values.numbers import F32, bf16, numbers, words

Codes = NDArray[np.uint16]
F64 = NDArray[np.float64]

_FLOATS: dict[str, Any] = {
    "bf16": ml_dtypes.bfloat16,
    "fp16": np.float16,
    "fp8_e4m3": ml_dtypes.float8_e4m3fn,
    "fp8_e5m2": ml_dtypes.float8_e5m2,
    "mxfp4": ml_dtypes.float4_e2m1fn,
}
_LARGEST = {"bf16": 2.0**127 * (2 - 2.0**-7), "fp16": 65504.0, "fp8_e4m3": 448.0, "fp8_e5m2": 57344.0, "mxfp4": 6.0}
# Bits of a scale: a BF16, or the exponent of a power of two.
BF16_SCALE, EXPONENT_SCALE = 16, 8
_EXPONENTS = (-127, 127)  # of E8M0


# -- one number ------------------------------------------------------------------------------


def largest(made: Format) -> float:
    """The largest magnitude that a scale is made for."""
    if made.kind == "int":
        return float((1 << made.bits - 1) - 1)
    return _LARGEST[made.name]


def least(made: Format) -> float:
    """The smallest number."""
    return -float(1 << made.bits - 1) if made.kind == "int" else -largest(made)


def rounded(made: Format, x: Any) -> F32:
    """The nearest numbers of a format; of integers a NaN becomes 0, of floats it stays one."""
    values = np.asarray(x, np.float32)
    if made.name == NATIVE:
        return bf16(values)
    held = np.clip(values, least(made), largest(made))
    if made.kind == "int":
        whole: F32 = np.rint(np.where(np.isnan(held), np.float32(0), held)) + np.float32(0)  # there is no -0
        return whole
    found: F32 = held.astype(_FLOATS[made.name]).astype(np.float32)
    if made.name == "mxfp4":  # E2M1 has no NaN
        found = np.where(np.isnan(values), np.float32(0), found)
    return found


def encode(made: Format, x: Any) -> Codes:
    """The codes of the nearest numbers of a format."""
    values = rounded(made, x)
    if made.kind == "int":
        return (values.astype(np.int32) & ((1 << made.bits) - 1)).astype(np.uint16)
    stored = np.ascontiguousarray(values.astype(_FLOATS[made.name]))
    return stored.view(np.uint16 if made.bits == 16 else np.uint8).astype(np.uint16)


def decode(made: Format, codes: Any) -> F32:
    """The numbers of codes."""
    given = np.asarray(codes)
    if made.name == NATIVE:
        return numbers(given.astype(np.uint16))
    if made.kind == "int":
        half = 1 << made.bits - 1
        return (((given.astype(np.int32) + half) & (2 * half - 1)) - half).astype(np.float32)
    bits = np.ascontiguousarray(given.astype(np.uint16 if made.bits == 16 else np.uint8))
    found: F32 = bits.view(_FLOATS[made.name]).astype(np.float32)
    return found


def sum_read(total: F64) -> F32:
    """Exact integers as the ASIC takes them: each rounded once, to the nearest BF16, ties to even."""
    part, exponent = np.frexp(total)
    found: F32 = np.ldexp(np.rint(part * 256) / 256, exponent).astype(np.float32)
    return found


# -- weights ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Shared:
    """How weights share scales: the bits of a scale and of a zero point (0: symmetric), and weights of a group.

    group: 0 is one scale for the whole matrix, a BF16.
    """

    group: int = 0
    scale_bits: int = BF16_SCALE
    zero_bits: int = 0


class Quantised(NamedTuple):
    """A matrix in a format: numbers (outputs, inputs), scales and zero points (outputs, groups), or (1, 1) for all.

    A weight is worth (number - zero) scale.  group: weights that share a scale, 0: all of the matrix.
    """

    numbers: F32
    scales: F32
    zeros: F32
    group: int

    def worth(self, rows: Any = slice(None)) -> F32:
        """What weights are worth, in float32: of all outputs, or of some."""
        scales, zeros = (self._spread(each, rows) for each in (self.scales, self.zeros))
        found: F32 = (self.numbers[rows] - zeros) * scales
        return found

    def _spread(self, each: F32, rows: Any) -> F32:
        if not self.group:
            return each
        spread: F32 = np.repeat(each[rows], self.group, axis=1)[:, : self.numbers.shape[1]]
        return spread


def quantised(made: Format, matrix: F32, shared: Shared) -> Quantised:
    """Weights (outputs, inputs) in a format; a format of 16 bits has no scales.

    Each scale is made for the largest magnitude of its weights (with a zero point: for their range), and rounded
    up itself before weights are divided by it.  InputError for scales of a width that none here has.
    """
    if made.bits == NATIVE_BITS:
        one = np.ones((1, 1), np.float32)
        return Quantised(rounded(made, matrix), one, np.zeros_like(one), 0)
    outputs, inputs = matrix.shape
    group = shared.group or matrix.size
    if shared.group:
        padded = np.pad(matrix, ((0, 0), (0, -inputs % group))).reshape(outputs, -1, group)
    else:
        padded = matrix.reshape(1, 1, -1)
    scales, zeros = _ranges(made, padded, shared)
    divisor = np.where(scales == 0, np.float32(1), scales)[..., np.newaxis]
    found = rounded(made, padded / divisor + zeros[..., np.newaxis])
    whole = found.reshape(outputs, -1)[:, :inputs]
    return Quantised(np.ascontiguousarray(whole), scales, zeros, shared.group)


def _ranges(made: Format, groups: F32, shared: Shared) -> tuple[F32, F32]:
    """Scales and zero points of groups (outputs, groups, weights)."""
    if not shared.zero_bits:
        most = np.abs(groups).max(axis=-1)
        return _scale(made, most, shared), np.zeros_like(most)
    low, high = np.minimum(groups.min(axis=-1), 0), np.maximum(groups.max(axis=-1), 0)
    scales = _at_least((high - low) / np.float32((1 << made.bits) - 1))
    divisor = np.where(scales == 0, np.float32(1), scales)
    half = float(1 << min(shared.zero_bits, made.bits) - 1)
    zeros = np.clip(np.rint(least(made) - low / divisor), -half, half - 1)
    return scales, zeros.astype(np.float32)


def _scale(made: Format, most: F32, shared: Shared) -> F32:
    if shared.scale_bits == EXPONENT_SCALE:
        exponent = np.frexp(most)[1] - np.frexp(np.float32(largest(made)))[1]  # that of the format's largest power
        power: F32 = np.ldexp(np.float32(1), np.clip(exponent, *_EXPONENTS)).astype(np.float32)
        return power
    if shared.scale_bits == BF16_SCALE:
        return _at_least(most / np.float32(largest(made)))
    raise InputError(
        f"scales of {shared.scale_bits} bits have no values here: {BF16_SCALE} is a BF16, {EXPONENT_SCALE} the "
        "exponent of a power of two",
        key="workload.weight_group",
    )


def scale_codes(scales: F32, bits: int) -> Codes:
    """Scales as they stand in the memory: words of BF16, or exponents."""
    if bits == BF16_SCALE:
        return words(scales)
    return (np.frexp(scales)[1] - 1 - _EXPONENTS[0]).astype(np.uint16)


def scales_at(codes: Codes, bits: int) -> F32:
    """The scales that stand in the memory."""
    if bits == BF16_SCALE:
        return numbers(codes)
    power: F32 = np.ldexp(np.float32(1), codes.astype(np.int32) + _EXPONENTS[0]).astype(np.float32)
    return power


def _at_least(x: F32) -> F32:
    """The smallest BF16 numbers that are no smaller than these, which are not negative: nothing saturates."""
    near = bf16(x)
    return numbers(words(near) + (near < x).astype(np.uint16))


# -- K and V ---------------------------------------------------------------------------------

# source: assumed: K and V have one static scale a head, so that it has to be known before any token is.  The elements
# of a vector that was normalised are about 1, so that those of K and V are about as large as a row of their weights,
# squares added up; as many times that is the range.
RANGE = 8.0


def static_scale(made: Format, typical: F32) -> F32:
    """The scale of K or V of which `typical` is the size: a power of two, 1 for formats with exponents of their own."""
    if made.kind == "float":
        return np.ones_like(typical)
    most = np.maximum(np.float32(RANGE) * typical, np.float32(2.0**-60)) / np.float32(largest(made))
    found: F32 = np.exp2(np.ceil(np.log2(most))).astype(np.float32)
    return found
