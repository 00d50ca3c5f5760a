"""Functions of one BF16 number, as the ASIC works them out.

A product or a sum of three is written with brackets; each bracket is rounded.  Numbers that are known beforehand are
rounded once (`arithmetic.constant`).  k is `taylor_terms`, N is `newton_steps`.

  1/d      `Arithmetic.reciprocal`, 1/sqrt(v): `Arithmetic.inverse_root`, both with N steps.
  exp(x)   range_reduction none: the polynomial of 1/i!, i < k, by Horner's rule (`Arithmetic.polynomial`).
           ln2: n = whole(x L), r = ((x - (n H)) - (n l)), 2^n exp(r) (`Arithmetic.power`), exp(r) by that polynomial.
           L = log2 e, H = 0.6875 = 11/16, l = ln 2 - H.  The product n H is exact for |n| of at most 23, where exp is
           between 1e-7 and 1e7, and x - n H is exact then, too.
  s(x)     (1 / (1 + exp(x))).
  silu(x)  (x s(-x)); the sign stands in the constants, or is flipped: the numbers are the same.
  tanh     cap tanh(x / cap) = c - ((2 c) s(|x| (2 / c))), c = cap, and its sign flipped where x has one: of |x| the
           share is at most 1/2, and its error half as large.
  gelu(x)  range_reduction none: (x 0.5) + (P(z) z), z = x x; P is the polynomial of
           (-1)^i / (sqrt(2 pi) 2^i i! (2 i + 1)), i < k.
           ln2: (x s(-u)), u = (((z b) + a) x), a = sqrt(8 / pi), b = 0.044715 a.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, log, pi, sqrt
from typing import NamedTuple

import numpy as np

from pimsim.config.schema import AsicConfig
from pimsim.values.arithmetic import Arithmetic, constant
from pimsim.values.lookup import look_up
from pimsim.values.numbers import EVERY, F32

_LOG2_E = constant(1 / log(2))
_LN2_HIGH = constant(0.6875)
_LN2_LOW = constant(log(2) - 0.6875)
_GELU_A = constant(sqrt(8 / pi))
_GELU_B = constant(0.044715 * sqrt(8 / pi))


class _Table(NamedTuple):
    """A function at every BF16 number, by its word, and the operations that one number takes."""

    values: F32
    adds: int
    multiplies: int


class Elementary:
    """The functions as one ASIC computes them, counted in the `Arithmetic` that is given.

    There are 65,536 numbers: a function is worked out once for all of them, and then looked up.  What is counted is
    what the working out took for one.
    """

    def __init__(self, config: AsicConfig, do: Arithmetic) -> None:
        self._do = do
        self._worked_out = _Functions(config)
        self._tables: dict[tuple[str, float], _Table] = {}

    def reciprocal(self, d: F32) -> F32:
        """1 / d."""
        return self._look_up(("reciprocal", 0.0), self._worked_out.reciprocal, d)

    def inverse_root(self, v: F32) -> F32:
        """1 / sqrt(v)."""
        return self._look_up(("inverse_root", 0.0), self._worked_out.inverse_root, v)

    def exp(self, x: F32) -> F32:
        """exp(x)."""
        return self._look_up(("exp", 0.0), self._worked_out.exp, x)

    def gelu(self, x: F32) -> F32:
        """x Phi(x)."""
        return self._look_up(("gelu", 0.0), self._worked_out.gelu, x)

    def silu(self, x: F32) -> F32:
        """x / (1 + exp(-x))."""
        return self._look_up(("silu", 0.0), self._worked_out.silu, x)

    def tanh(self, x: F32, cap: float) -> F32:
        """cap tanh(x / cap)."""
        return self._look_up(("tanh", cap), lambda x: self._worked_out.tanh(x, cap), x)

    def _look_up(self, key: tuple[str, float], function: Callable[[F32], F32], x: F32) -> F32:
        if (table := self._tables.get(key)) is None:
            table = self._tables[key] = self._make(function)
        self._do.counts.adds += table.adds * x.size
        self._do.counts.multiplies += table.multiplies * x.size
        return look_up(table.values, x)

    def _make(self, function: Callable[[F32], F32]) -> _Table:
        did = self._worked_out.do.counts
        adds, multiplies = did.adds, did.multiplies
        with np.errstate(all="ignore"):  # of infinities and NaN, too
            values = function(EVERY)
        return _Table(values, (did.adds - adds) // EVERY.size, (did.multiplies - multiplies) // EVERY.size)


class _Functions:
    """The same, operation by operation, on arrays of any shape."""

    def __init__(self, config: AsicConfig) -> None:
        terms = range(config.taylor_terms)
        self.do = Arithmetic()
        self._reduced = config.range_reduction != "none"
        self._steps = config.newton_steps
        self._exp_terms = [constant(1 / factorial(i)) for i in terms]
        self._gelu_terms = [constant((-1) ** i / (sqrt(2 * pi) * 2**i * factorial(i) * (2 * i + 1))) for i in terms]

    def reciprocal(self, d: F32) -> F32:
        return self.do.reciprocal(d, self._steps)

    def inverse_root(self, v: F32) -> F32:
        return self.do.inverse_root(v, self._steps)

    def exp(self, x: F32) -> F32:
        do = self.do
        if not self._reduced:
            return do.polynomial(self._exp_terms, x)
        n = do.whole(do.multiply(x, _LOG2_E))
        r = do.subtract(do.subtract(x, do.multiply(n, _LN2_HIGH)), do.multiply(n, _LN2_LOW))
        return do.power(do.polynomial(self._exp_terms, r), n)

    def gelu(self, x: F32) -> F32:
        do = self.do
        square = do.multiply(x, x)
        if not self._reduced:
            tail = do.multiply(do.polynomial(self._gelu_terms, square), square)
            return do.add(do.multiply(x, np.float32(0.5)), tail)
        inner = do.multiply(do.add(do.multiply(square, _GELU_B), _GELU_A), x)
        return do.multiply(x, self._share(-inner))

    def silu(self, x: F32) -> F32:
        return self.do.multiply(x, self._share(-x))

    def tanh(self, x: F32, cap: float) -> F32:
        do = self.do
        share = self._share(do.multiply(np.abs(x), constant(2 / cap)))
        size = do.subtract(constant(cap), do.multiply(share, constant(2 * cap)))
        return np.where(np.signbit(x), -size, size)

    def _share(self, x: F32) -> F32:
        return self.reciprocal(self.do.add(self.exp(x), np.float32(1)))
