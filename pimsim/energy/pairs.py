"""What a pair of formats takes in the MAC units, in products of BF16 x BF16.

A unit multiplies two numbers and adds the product up.  With M of the multiplication and S of the addition,

    factor = (M(stored, given) + S(stored, given)) / (M(BF16, BF16) + S(BF16, BF16))

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


def pair_factor(pair: Pair, table: EnergyTable) -> Fraction:
    """What a product of a pair takes in the MAC units, over one of BF16 x BF16.

    A row `mac_PAIR` of the table stands in the place of the formula.
    """
    row = f"{FACTOR}{pair.name}"
    return table.value(row) if row in table.rows else _product_pJ(pair, table) / _product_pJ(PAIRS[NATIVE_PAIR], table)


def column_factor(pair: Pair, column_bytes: int, table: EnergyTable) -> Fraction:
    """What a column of a pair takes in the MAC units, over one of BF16 x BF16: of shorter numbers it has more."""
    numbers, native = (8 * column_bytes // made.stored.bits for made in (pair, PAIRS[NATIVE_PAIR]))
    return pair_factor(pair, table) * Fraction(numbers, native)


def _product_pJ(pair: Pair, table: EnergyTable) -> Fraction:
    """A multiplication and an addition, pJ in the process of the table's rows."""
    area = _width(pair.stored) * _width(pair.given)
    if pair.exact:
        return table.value("multiply_int8") * Fraction(area, 8 * 8) + table.value("add_int32")
    return table.value("multiply_fp16") * Fraction(area, 11 * 11) + table.value("add_fp32")


def _width(number: Format) -> int:
    """Bits that a multiplier takes of a number."""
    return SIGNIFICANDS.get(number.name, number.bits)
