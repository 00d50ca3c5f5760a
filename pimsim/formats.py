"""Number formats of weights, K, V and activations, and the pairs of them that a MAC unit multiplies.

A format here is its size and its kind; what its numbers are worth is in `values`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, NamedTuple

from pimsim.errors import did_you_mean

Kind = Literal["float", "int"]


@dataclass(frozen=True)
class Format:
    """One number format.

    bits        of a number
    kind        float, or int: then products and sums are exact integers
    block       numbers that share a scale of the format's own (0: none)
    scale_bits  of that scale
    """

    name: str
    bits: int
    kind: Kind
    block: int = 0
    scale_bits: int = 0


FORMATS: Mapping[str, Format] = {
    made.name: made
    for made in (
        Format("bf16", 16, "float"),
        Format("fp16", 16, "float"),  # IEEE 754 binary16
        Format("fp8_e4m3", 8, "float"),  # OCP 8-bit floating point: four bits of exponent, three of fraction
        Format("fp8_e5m2", 8, "float"),
        Format("int8", 8, "int"),
        Format("int4", 4, "int"),
        Format("int3", 3, "int"),
        Format("int2", 2, "int"),
        Format("mxfp4", 4, "float", block=32, scale_bits=8),  # OCP microscaling: E2M1, a power of two for 32 numbers
    )
}
NATIVE = "bf16"  # what the MAC units of the paper multiply, and every ASIC computes with
NATIVE_BITS = FORMATS[NATIVE].bits
CACHED = ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "int8")  # of K and V: whole bytes, which are written one by one
COMPUTED = ("bf16", "fp16", "fp8_e4m3", "fp8_e5m2", "int8", "int4")  # of activations
SUM_BITS, INTEGER_SUM_BITS = 16, 32  # of a sum that is read from a MAC unit: rounded, or an exact integer


class Pair(NamedTuple):
    """What a MAC unit multiplies: a format of what is in its bank, and one of what comes to it."""

    stored: Format
    given: Format

    @property
    def name(self) -> str:
        """As in a configuration: weights, x, activations."""
        return f"{self.stored.name}x{self.given.name}"

    @property
    def exact(self) -> bool:
        """Whether products and sums are integers."""
        return self.stored.kind == self.given.kind == "int"


def pair_of(stored: str, given: str) -> Pair:
    """The pair of two formats by name."""
    return Pair(FORMATS[stored], FORMATS[given])


PAIRS: Mapping[str, Pair] = {
    pair.name: pair for pair in (pair_of(stored, given) for stored in FORMATS for given in COMPUTED)
}
NATIVE_PAIR = pair_of(NATIVE, NATIVE).name


def wrong_pair(name: str) -> str | None:
    """What is wrong with the name of a pair; None if there is such a pair."""
    if name in PAIRS:
        return None
    given = next((given for stored in FORMATS for given in FORMATS if f"{stored}x{given}" == name), None)
    if given is not None:
        return f"activations of {given}: must be {', '.join(COMPUTED)}"
    return (
        f"unknown pair {name!r}{did_you_mean(name, PAIRS)}; it is FORMATxFORMAT, weights and activations, of "
        f"{', '.join(FORMATS)}"
    )
