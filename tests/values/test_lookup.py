"""Tables of the banks' functions: the nearest BF16 number to the exact result, for every number that there is."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from pimsim.devices.aim.table import FUNCTIONS
from pimsim.errors import InputError
from pimsim.values.lookup import function_table, look_up, nearest
from pimsim.values.numbers import WORDS, bf16, numbers

EVERY = numbers(np.arange(WORDS, dtype=np.uint16))
FINITE = np.isfinite(EVERY)


def exact_sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x)) if x > -700 else 0.0


EXACT: dict[tuple[str, str], Callable[[float], float]] = {
    ("relu", "tanh"): lambda x: max(x, 0.0),
    ("silu", "tanh"): lambda x: x * exact_sigmoid(x),
    ("tanh", "tanh"): math.tanh,
    ("gelu", "tanh"): lambda x: x * exact_sigmoid(2 * math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)),
    ("gelu", "erf"): lambda x: x * math.erfc(-x / math.sqrt(2)) / 2,
}


@pytest.mark.parametrize(("op", "gelu"), EXACT)
def test_every_entry_is_the_nearest_number(op: str, gelu: str) -> None:
    table = function_table(op, gelu)
    assert table.shape == (WORDS,) and (bf16(table) == table)[~np.isnan(table)].all()
    gap = np.spacing(np.abs(table.astype(np.float64)).astype(np.float32)).astype(np.float64) * 2**16  # of BF16 there
    for x, found, step in zip(EVERY[FINITE][::7], table[FINITE][::7], gap[FINITE][::7], strict=True):
        assert abs(float(found) - EXACT[op, gelu](float(x))) <= step * (0.5 + 1e-9)


def test_all_functions_of_the_banks_have_a_table() -> None:
    for function in FUNCTIONS:
        table = function_table(function)
        assert np.isnan(table[np.isnan(EVERY)]).all() and not np.isnan(table[~np.isnan(EVERY)]).any()


def test_ends() -> None:
    x = np.array([np.inf, -np.inf, 0, -0.0], np.float32)
    assert look_up(function_table("tanh"), x).tolist() == [1, -1, 0, 0]
    for op, gelu in (("silu", "tanh"), ("gelu", "tanh"), ("gelu", "erf"), ("relu", "tanh")):
        assert look_up(function_table(op, gelu), x).tolist() == [np.inf, 0, 0, 0]


def test_the_two_gelus_differ() -> None:
    assert (function_table("gelu", "tanh") != function_table("gelu", "erf"))[FINITE].any()


def test_a_number_is_rounded_once() -> None:
    """Not to float32 first, which makes a tie of what is just beside one."""
    tie = Fraction(1) + Fraction(1, 256)
    for beside, expected in ((Fraction(1, 1 << 40), 1 + 2**-7), (-Fraction(1, 1 << 40), 1.0), (Fraction(0), 1.0)):
        assert nearest(np.array([float(tie + beside)]))[0] == expected
    small = 2.0**-133
    ends = np.array([small * 0.5, small * 0.51, small * 1.5, 3.4e38, 3.39e38, np.inf, -np.inf])
    assert nearest(ends).tolist() == [0, small, 2 * small, np.inf, float(bf16(3.39e38)), np.inf, -np.inf]


def test_any_shape_is_looked_up() -> None:
    x = EVERY.reshape(2, 4, -1)
    assert look_up(function_table("relu"), x).shape == x.shape


def test_an_unknown_function_is_refused() -> None:
    with pytest.raises(InputError, match="no table of 'gelo'; there are gelu, relu, silu, tanh; did you mean 'gelu'"):
        function_table("gelo")
