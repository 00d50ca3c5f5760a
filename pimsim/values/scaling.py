"""What comes into other formats than BF16, for both levels: weights, vectors, probabilities."""

from __future__ import annotations

import numpy as np

from pimsim.mapping.packing import Packing
from pimsim.values.asic import Asic
from pimsim.values.formats import Quantised, Shared, largest, quantised, rounded
from pimsim.values.numbers import F32, bf16
from pimsim.workload.ops import Operator


def in_format(operator: Operator, packing: Packing, matrix: F32) -> Quantised:
    """The weights of an operator as the memory holds them."""
    shared = Shared(packing.group, operator.scale_bits, operator.zero_bits) if packing.group else Shared()
    return quantised(packing.pair.stored, matrix, shared)


def given(asic: Asic, packing: Packing, x: F32) -> tuple[F32, F32]:
    """What is multiplied, of vectors (vectors, n): numbers of its format, and a scale for each (1: it needs none)."""
    if packing.quantises:
        return asic.quantise(x, packing.pair.given)
    return rounded(packing.pair.given, x), np.ones(len(x), np.float32)


def shares_of(asic: Asic, packing: Packing, scores: F32) -> tuple[F32, F32]:
    """Probabilities (heads, tokens) as they are multiplied, and what results (heads,) are multiplied with after."""
    if not packing.quantises:
        return rounded(packing.pair.given, asic.softmax(scores)), np.ones(len(scores), np.float32)
    numbers, reciprocals = asic.shares(scores, packing.pair.given)
    return numbers, bf16(reciprocals * np.float32(1 / largest(packing.pair.given)))
