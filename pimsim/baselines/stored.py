"""What a machine stores and moves: the one place where the bytes of an operator's weights, K and V are said.

A workload may state formats.  What it states, each machine holds as it is stated, scales and zero points of groups
included.  What it leaves at 16 bits (or more) is in the number format of the machine's own program, as a framework
casts it; so are biases, norms and states.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cache

from pimsim.formats import FORMATS, NATIVE, NATIVE_BITS
from pimsim.workload import formats
from pimsim.workload.ops import Operator

_OWN = Fraction(0)  # bits: those of the machine's own format
_FLOAT = "fp8"  # what machines call both formats of 8 bits; they multiply both alike
_FRACTION_BITS = 4  # of an integer that such a number holds exactly: a sign and three of fraction


@dataclass(frozen=True)
class Stored:
    """Elements in the machine's own format, and bits of what has a format that the workload states."""

    elements: Fraction | int = 0
    bits: Fraction | int = 0

    def __add__(self, other: Stored) -> Stored:
        return Stored(self.elements + other.elements, self.bits + other.bits)

    def __mul__(self, times: Fraction | int) -> Stored:
        return Stored(self.elements * times, self.bits * times)

    def bytes(self, element_bytes: float) -> int:
        """Whole bytes, for a machine whose elements have so many each."""
        own = self.elements * (element_bytes if type(element_bytes) is int else Fraction(element_bytes))
        return math.ceil(own + Fraction(self.bits) / 8 if self.bits else own)


def weight_bits(operator: Operator) -> Fraction:
    """Bits of one weight as `workload.formats.weight_bits`; 0: the machine's own format."""
    return _OWN if operator.bits >= NATIVE_BITS else formats.weight_bits(operator)


def parameters(operator: Operator) -> Stored:
    """All that an operator owns: the matrices of every expert, tables, biases and norms."""
    matrices = operator.parameters(biases=False)
    return _split(operator, matrices, operator.parameters() - matrices)


def weights_read(operator: Operator) -> Stored:
    """What one token reads of weights, whoever owns them (an embedding: a row of each table)."""
    matrices = operator.weights_read()
    return _split(operator, matrices, operator.weights_read(biases=True) - matrices)


def _split(operator: Operator, matrices: int, vectors: int) -> Stored:
    bits = weight_bits(operator)
    return Stored(vectors, matrices * bits) if bits else Stored(matrices + vectors)


def kept_bits(operator: Operator) -> int:
    """Bits of an element of K and V; 0: the machine's own format."""
    bits = formats.cached_bits(operator) if operator.op == "attention" else NATIVE_BITS
    return bits if bits < NATIVE_BITS else 0


def kept(operator: Operator, elements: int) -> Stored:
    """So many elements of K and V, or of a state."""
    bits = kept_bits(operator)
    return Stored(0, elements * bits) if bits else Stored(elements)


def product_of(operator: Operator) -> str:
    """The data type of a machine in which an operator's products are; "": that of its program.

    Numbers are unpacked to the format of the activations where that holds them, and else to the program's.
    """
    return _product(operator.stored or NATIVE, operator.given) if operator.given else ""


@cache
def _product(stored: str, given: str) -> str:
    weight, activation = FORMATS[stored], FORMATS[given]
    if max(weight.bits, activation.bits) >= NATIVE_BITS:
        return ""
    if activation.kind == "int":
        return f"int{max(weight.bits, activation.bits)}" if weight.kind == "int" else ""
    exact = weight.kind == activation.kind or weight.bits <= _FRACTION_BITS
    return _FLOAT if exact else ""
