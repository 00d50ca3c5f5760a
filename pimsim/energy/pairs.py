"""What a pair of formats takes in the MAC units, over the pair whose power is known (BF16 x BF16).

A unit multiplies two numbers and adds the product up.  With M of the multiplication and S of the addition,

    factor = (M + S) / (M + S)[ref]

    M = multiply_int8 a b / (8 x 8)      two integers, of a and b bits
    M = multiply_fp16 a b / (11 x 11)    with a float: a and b bits of significand, the leading one included
    S = add_int32, or add_fp32 with a float

Source: energies of single operations (the rows of the table); the adders of an array multiplier go with the product
of its widths [derived].  Exponents, rounding and shifting go with the rest of a float's multiplication [assumed].
What the array takes to read a column is the same for all formats: 32 bytes are 32 bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from pimsim.energy.rows import FACTOR
from pimsim.energy.table import EnergyTable
from pimsim.formats import NATIVE_PAIR, PAIRS, Format, Pair

# Bits of significand of the floats, the leading one included; an integer has all of its bits.
SIGNIFICANDS: Mapping[str, int] = {"bf16": 8, "fp16": 11, "fp8_e4m3": 4, "fp8_e5m2": 3, "mxfp4": 2}


def pair_factor(pair: Pair, table: EnergyTable, reference: Pair = PAIRS[NATIVE_PAIR]) -> Fraction:
    """What a product of a pair takes in the MAC units, over one of the reference.

    A row `mac_PAIR` of the table stands in the place of the formula; it is over BF16 x BF16.
    """
    return _over_native(pair, table) / _over_native(reference, table)


def column_factor(pair: Pair, column_bytes: int, table: EnergyTable, reference: Pair = PAIRS[NATIVE_PAIR]) -> Fraction:
    """What a column of a pair takes in the MAC units, over one of 16 bits a number that is multiplied as the reference.

    Of shorter numbers a column has more.
    """
    numbers, native = (8 * column_bytes // made.stored.bits for made in (pair, PAIRS[NATIVE_PAIR]))
    return pair_factor(pair, table, reference) * Fraction(numbers, native)


def _over_native(pair: Pair, table: EnergyTable) -> Fraction:
    row = f"{FACTOR}{pair.name}"
    return table.value(row) if row in table.rows else _product_pJ(pair, table) / _product_pJ(PAIRS[NATIVE_PAIR], table)


def _product_pJ(pair: Pair, table: EnergyTable) -> Fraction:
    """A multiplication and an addition, pJ in the process of the table's rows."""
    area = _width(pair.stored) * _width(pair.given)
    if pair.exact:
        return table.value("multiply_int8") * Fraction(area, 8 * 8) + table.value("add_int32")
    return table.value("multiply_fp16") * Fraction(area, 11 * 11) + table.value("add_fp32")


def _width(number: Format) -> int:
    """Bits that a multiplier takes of a number."""
    return SIGNIFICANDS.get(number.name, number.bits)
