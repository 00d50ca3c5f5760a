"""What numbers of each format are worth, and how weights become them: by a second reading over all codes."""

from __future__ import annotations

from fractions import Fraction
from math import floor, isfinite, log2

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.errors import InputError
from pimsim.formats import FORMATS, Format
from pimsim.values.formats import (
    EXPONENT_SCALE,
    RANGE,
    Shared,
    decode,
    encode,
    largest,
    least,
    quantised,
    rounded,
    static_scale,
    sum_read,
)  # fmt: skip
from pimsim.values.numbers import F32, bf16
from tests.examples import examples

ALL = list(FORMATS.values())
NARROW = [made for made in ALL if made.bits < 16]
INTEGERS = [made for made in ALL if made.kind == "int"]
# Bits of exponent and fraction, and the bias, from the standards.
FIELDS = {"fp8_e4m3": (4, 3, 7), "fp8_e5m2": (5, 2, 15), "mxfp4": (2, 1, 1), "fp16": (5, 10, 15), "bf16": (8, 7, 127)}
NOT_FINITE = {"fp8_e4m3": {0x7F}, "fp8_e5m2": set(range(0x7C, 0x80)), "mxfp4": set[int]()}


def worth(made: Format, code: int) -> Fraction:
    """What a code says, by the definition of its format."""
    if made.kind == "int":
        return Fraction(code - (code >> made.bits - 1 << made.bits))
    exponent_bits, fraction_bits, bias = FIELDS[made.name]
    sign, exponent = code >> made.bits - 1, code >> fraction_bits & (1 << exponent_bits) - 1
    fraction = Fraction(code & (1 << fraction_bits) - 1, 1 << fraction_bits)
    size = (fraction + (exponent > 0)) * Fraction(2) ** (max(exponent, 1) - bias)
    return -size if sign else size


def finite(made: Format, code: int) -> bool:
    return code & ~(1 << made.bits - 1) not in NOT_FINITE.get(made.name, ())


@pytest.mark.parametrize("made", NARROW, ids=lambda made: made.name)
def test_every_code_is_what_its_standard_says(made: Format) -> None:
    codes = [code for code in range(1 << made.bits) if finite(made, code)]
    assert [Fraction(float(x)) for x in decode(made, codes)] == [worth(made, code) for code in codes]


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
def test_a_code_that_is_read_and_written_is_itself(made: Format) -> None:
    codes = np.arange(1 << made.bits)
    there = np.isfinite(decode(made, codes))
    assert there.sum() > 1 and encode(made, decode(made, codes[there])).tolist() == codes[there].tolist()


@settings(max_examples=examples(200))
@given(st.sampled_from(NARROW), st.floats(-1e5, 1e5, width=32), st.integers(-20, 3))
def test_the_nearest_number_is_taken_and_of_two_the_even_one(made: Format, x: float, power: int) -> None:
    x = float(np.float32(x * 2.0**power))
    codes = [code for code in range(1 << made.bits) if finite(made, code)]
    far = {code: abs(worth(made, code) - Fraction(x)) for code in codes}
    best = [code for code in codes if far[code] == min(far.values())]
    evens = [code for code in best if code % 2 == 0] or best
    assert Fraction(float(rounded(made, x))) in {worth(made, code) for code in evens}


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
def test_what_is_too_large_becomes_the_largest(made: Format) -> None:
    if made.name == "bf16":
        return  # it has infinities, and they go through
    assert rounded(made, [1e30, np.inf, -1e30, -np.inf]).tolist() == [largest(made)] * 2 + [least(made)] * 2


@pytest.mark.parametrize("made", ALL, ids=lambda made: made.name)
def test_nan_is_a_zero_where_there_is_none(made: Format) -> None:
    has = made.kind == "float" and made.name != "mxfp4"
    assert bool(np.isnan(rounded(made, np.nan))) == has


# -- weights -----------------------------------------------------------------------------------


def matrix(outputs: int, inputs: int, seed: int, by: float = 1.0) -> F32:
    return (np.random.default_rng(seed).normal(size=(outputs, inputs)) * by).astype(np.float32)


@settings(max_examples=examples(60))
@given(
    st.sampled_from(INTEGERS), st.integers(1, 5), st.integers(1, 70), st.sampled_from([0, 1, 8, 32]), st.booleans(),
    st.integers(0, 1000), st.sampled_from([1e-6, 0.02, 1.0, 3e4]),
)  # fmt: skip
def test_an_integer_is_half_a_step_away_at_most(
    made: Format, outputs: int, inputs: int, group: int, zero: bool, seed: int, by: float
) -> None:
    x, shared = matrix(outputs, inputs, seed, by), Shared(group, 16, made.bits if zero and group else 0)
    found = quantised(made, x, shared)
    steps = found.scales if not group else np.repeat(found.scales, group, axis=1)[:, :inputs]
    slack = 1 if shared.zero_bits else 0  # a zero point is rounded, too
    assert (np.abs(found.worth() - x) <= steps * (0.5 + 0.5 * slack) * 1.001).all()
    assert np.array_equal(bf16(found.scales), found.scales)
    assert found.numbers.max() <= -least(made) - 1 and found.numbers.min() >= least(made)
    if not shared.zero_bits:
        assert np.abs(found.numbers).max() <= largest(made)


def test_a_zero_point_has_the_range_of_weights_that_are_not_about_zero() -> None:
    x = np.abs(matrix(3, 64, 1)) + np.float32(1)
    errors = [np.abs(quantised(FORMATS["int4"], x, Shared(32, 16, bits)).worth() - x).max() for bits in (0, 4)]
    assert errors[1] < 0.6 * errors[0]


@pytest.mark.parametrize("name", ["fp8_e4m3", "fp8_e5m2", "mxfp4"])
@pytest.mark.parametrize("group", [0, 32])
def test_a_float_is_half_of_its_last_place_away(name: str, group: int) -> None:
    made, x = FORMATS[name], matrix(4, 64, 3)
    found = quantised(made, x, Shared(group))
    of_size = np.abs(x) * 2.0 ** -(FIELDS[name][1] + 1)
    smallest = float(worth(made, 1)) / 2 * found.scales.max()
    assert (np.abs(found.worth() - x) <= np.maximum(of_size, smallest) * 1.01).all()


def test_mxfp4_has_the_scale_that_the_standard_says() -> None:
    """The exponent of the largest magnitude, less that of the format's largest number, which is 6."""
    x = matrix(4, 96, 5)
    found = quantised(FORMATS["mxfp4"], x, Shared(32, EXPONENT_SCALE))
    most = np.abs(x.reshape(4, 3, 32)).max(axis=-1)
    assert found.scales.tolist() == [[2.0 ** (floor(log2(each)) - 2) for each in row] for row in most.tolist()]


@pytest.mark.parametrize("made", NARROW, ids=lambda made: made.name)
def test_weights_of_zero_are_zero(made: Format) -> None:
    assert not quantised(made, np.zeros((2, 8), np.float32), Shared(4)).worth().any()


@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_formats_of_16_bits_have_no_scale(name: str) -> None:
    x = matrix(3, 9, 2)
    found = quantised(FORMATS[name], x, Shared(4))
    assert found.scales.tolist() == [[1.0]] and np.array_equal(found.worth(), rounded(FORMATS[name], x))


def test_a_scale_of_another_width_is_refused() -> None:
    with pytest.raises(InputError, match="scales of 12 bits"):
        quantised(FORMATS["int4"], matrix(1, 8, 0), Shared(4, 12))


def test_rows_are_worth_what_they_are_among_all() -> None:
    found = quantised(FORMATS["int4"], matrix(7, 40, 4), Shared(16))
    assert np.array_equal(found.worth(np.array([5, 2])), found.worth()[[5, 2]])


# -- sums, K and V -----------------------------------------------------------------------------


@settings(max_examples=examples(200))
@given(st.integers(-(1 << 40), 1 << 40))
def test_an_integer_is_rounded_once(total: int) -> None:
    found = Fraction(float(sum_read(np.float64(total))))
    size = max(1, abs(total)).bit_length()
    step = Fraction(1 << max(0, size - 8))
    assert found == round(Fraction(total) / step) * step


def test_an_integer_that_rounding_twice_would_change() -> None:
    """Half a step and one more: float32 would drop the one, and the tie would go down."""
    assert float(sum_read(np.float64((1 << 30) + (1 << 22) + 1))) == (1 << 30) + (1 << 23)


def test_a_static_scale_is_a_power_of_two_with_room() -> None:
    sizes = np.float32([0.0, 0.01, 1.0, 3.0])
    found = static_scale(FORMATS["int8"], sizes)
    assert all(log2(each) == round(log2(each)) for each in found.tolist()) and isfinite(float(found.sum()))
    room = found[1:] * 127 / sizes[1:]
    assert (room >= RANGE).all() and (room < 2 * RANGE).all()
    assert static_scale(FORMATS["fp8_e4m3"], sizes).tolist() == [1.0] * 4
