"""Functions that a table carries out: for each BF16 number that comes in the one that comes out.

A BF16 number has 16 bits, so that a table of 65,536 numbers is all of a function of one element.  Those of the look-up
tables in the banks are the nearest BF16 numbers to the exact ones, which are computed in float64: in a form that
cancels nothing, so that the error is far below what decides a rounding.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray

from pimsim.errors import InputError, did_you_mean
from pimsim.values.numbers import EVERY, F32

F64 = NDArray[np.float64]

_DIGITS, _LOWEST = 8, -133  # of a BF16 number: significant bits, and the exponent of the smallest one above 0


def look_up(table: F32, x: F32) -> F32:
    """A table's results for BF16 numbers in an array of any shape."""
    found: F32 = table[x.view(np.uint32) >> 16]
    return found


def function_table(op: str, gelu: str = "tanh") -> F32:
    """The table of an activation function: of each BF16 number the nearest one to its exact result.

    gelu: which one is meant, with the tanh or the exact one (`erf`).  InputError for a function that has no table.
    """
    name = f"{op} {gelu}" if op == "gelu" else op
    if name not in _EXACT:
        known = sorted({each.partition(" ")[0] for each in _EXACT})
        raise InputError(f"no table of {op!r}; there are {', '.join(known)}{did_you_mean(op, known)}", key="workload")
    return _table(name)


@cache
def _table(name: str) -> F32:
    with np.errstate(all="ignore"):  # infinities and NaN are numbers here
        table = nearest(_EXACT[name](EVERY.astype(np.float64)))
    table.flags.writeable = False
    return table


def nearest(x: F64) -> F32:
    """The BF16 numbers nearest to float64 ones, ties to even, rounded once."""
    exponents = np.maximum(np.frexp(x)[1] - _DIGITS, _LOWEST)
    steps = np.where(np.isfinite(x), np.rint(np.ldexp(x, -exponents)), x)
    with np.errstate(over="ignore"):
        found: F32 = np.ldexp(steps, exponents).astype(np.float32)
    return found


def _silu(x: F64) -> F64:
    """x / (1 + exp(-x)), also where exp(-x) is infinite."""
    return _weighed(x, 1 / (1 + np.exp(-x)))


def _gelu_tanh(x: F64) -> F64:
    """x (1 + tanh u) / 2 = x / (1 + exp(-2 u))."""
    u = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
    return _weighed(x, 1 / (1 + np.exp(-2 * u)))


def _gelu_erf(x: F64) -> F64:
    """x (1 + erf(x / sqrt 2)) / 2 = x erfc(-x / sqrt 2) / 2."""
    return _weighed(x, np.array([math.erfc(-each / math.sqrt(2)) / 2 for each in x]))


def _weighed(x: F64, share: F64) -> F64:
    """The product, whose limit at minus infinity is 0 from below."""
    return np.where(np.isneginf(x), -0.0, x * share)


_EXACT: dict[str, Callable[[F64], F64]] = {
    "gelu erf": _gelu_erf,
    "gelu tanh": _gelu_tanh,
    "relu": lambda x: np.where(x <= 0, 0.0, x),
    "silu": _silu,
    "tanh": np.tanh,
}
