"""The functions of the ASIC on values: each carries out, pass by pass, what `pimsim.asic.units` prices.

An operation stands here once for each that is priced there, in the order in which it is carried out: its name, its
rounding and its count are in `pimsim.values.arithmetic`.  A product or a sum of three is written with brackets; each
bracket is rounded.  Numbers that are known beforehand (1/n, n eps, 2/cap, coefficients) are rounded once, to float32
and then to BF16.  `k` is `taylor_terms`, N is `newton_steps`.

  exp(x)  range_reduction none: the polynomial of 1/i!, i < k, by Horner's rule.
          ln2: n = whole(x L), r = ((x - (n H)) - (n l)), 2^n exp(r) with exp(r) the same polynomial.  L = log2 e,
          H = 0.6875 = 11/16: a product n H is exact for |n| of at most 23, where exp is above 1e-7 (and below 1e7),
          and x - n H is exact then, too.  l = ln 2 - H.
  1/d     `Arithmetic.reciprocal`, 1/sqrt(v): `Arithmetic.inverse_root`, both with N steps.

What comes in and all that comes out is BF16 in float32 arrays: vectors (..., n), any number of them, each on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from math import factorial, log, pi, sqrt
from typing import Any

import numpy as np

from pimsim.asic.units import KINDS, KINDS_OF_WAYS
from pimsim.config.schema import AsicConfig
from pimsim.errors import InputError
from pimsim.values.arithmetic import Arithmetic, Counts, Ids, constant
from pimsim.values.numbers import F32

_LOG2_E = constant(1 / log(2))
_LN2_HIGH = constant(0.6875)
_LN2_LOW = constant(log(2) - 0.6875)
_ONE = np.float32(1)
# GELU by a tanh: x / (1 + exp(-x (a + b x^2))).
_GELU_A = constant(sqrt(8 / pi))
_GELU_B = constant(0.044715 * sqrt(8 / pi))

_quietly = np.errstate(all="ignore")  # infinities and NaN are numbers here


class Asic:
    """The arithmetic of one ASIC; `counts` says what it has done since the last `reset`."""

    def __init__(self, config: AsicConfig) -> None:
        terms = range(config.taylor_terms)
        self.config = config
        self._do = Arithmetic()
        self._steps = config.newton_steps
        self._exp_terms = [constant(1 / factorial(i)) for i in terms]
        self._gelu_terms = [constant((-1) ** i / (sqrt(2 * pi) * 2**i * factorial(i) * (2 * i + 1))) for i in terms]

    @property
    def counts(self) -> Counts:
        """Additions, multiplications and bytes so far."""
        return self._do.counts

    def reset(self) -> None:
        """Count from zero; what `counts` gave before stays as it is."""
        self._do.counts = Counts()

    def of(self, kind: str) -> Callable[..., Any]:
        """The method that computes a kind of `pimsim.asic.units`; InputError for a registered one, which has none."""
        if kind in KINDS.shipped or kind in KINDS_OF_WAYS:
            method: Callable[..., Any] = getattr(self, kind)
            return method
        origin = KINDS.origin(kind)
        where = f" of {origin.name}" if origin else ""
        raise InputError(
            f"the values of {kind!r}{where} cannot be computed: of a function that is registered, what it costs is "
            "known, not what it does; take a model of the functions that pimsim has",
            key="workload",
        )

    # ---- norms ---------------------------------------------------------------------------

    @_quietly
    def layernorm(self, x: F32, gain: F32, bias: F32, eps: float) -> F32:
        """((((x - mean) / sigma) gain) + bias); gain and bias (n,).

        mean = total(x) (1/n); d = x - mean; v = total(d d, from n eps) (1/n), so that eps takes no operation and is
        there where all else is 0; d times 1/sqrt(v).
        """
        do, n = self._do, x.shape[-1]
        do.read(x, like=x)
        mean = do.multiply(do.total(x), constant(1 / n))
        do.read(x, like=x)
        deviations = do.write(do.subtract(x, mean))
        squares = do.total(do.multiply(deviations, deviations), n * eps)
        scale = do.inverse_root(do.multiply(squares, constant(1 / n)), self._steps)
        do.read(deviations, gain, bias, like=x)
        return do.write(do.add(do.multiply(do.multiply(deviations, scale), gain), bias))

    @_quietly
    def rmsnorm(self, x: F32, gain: F32, eps: float) -> F32:
        """((x / rms) gain), gain (n,): v = total(x x, from n eps) (1/n), x times 1/sqrt(v)."""
        do, n = self._do, x.shape[-1]
        do.read(x, like=x)
        squares = do.total(do.multiply(x, x), n * eps)
        scale = do.inverse_root(do.multiply(squares, constant(1 / n)), self._steps)
        do.read(x, gain, like=x)
        return do.write(do.multiply(do.multiply(x, scale), gain))

    # ---- softmax -------------------------------------------------------------------------

    @_quietly
    def softmax(self, x: F32) -> F32:
        """The exponentials, each times the reciprocal of their sum."""
        exps, reciprocals = self.exponentials(x)
        self._do.read(exps, like=x)
        return self._do.write(self._do.multiply(exps, reciprocals[..., None]))

    @_quietly
    def exponentials(self, x: F32) -> tuple[F32, F32]:
        """exp(x - max) as (..., n), and of each vector 1 / total(exp), as (...)."""
        do = self._do
        do.read(x, like=x)
        most = do.largest(x)
        do.read(x, like=x)
        exps = do.write(self._exp(do.subtract(x, most)))
        return exps, do.reciprocal(do.total(exps), self._steps)[..., 0]

    # ---- element by element --------------------------------------------------------------

    @_quietly
    def gelu(self, x: F32) -> F32:
        """Range_reduction none: (x 0.5) + (P(z) z), z = x x, P the first k terms of GELU's Taylor series.

        P(z) has (-1)^i / (sqrt(2 pi) 2^i i! (2 i + 1)), i < k.
        ln2: x (1 / (1 + exp(-u))), u = ((z b) + a) x, a = sqrt(8 / pi), b = 0.044715 a.
        """
        do = self._do
        do.read(x, like=x)
        square = do.multiply(x, x)
        if self.config.range_reduction == "none":
            tail = do.multiply(do.polynomial(self._gelu_terms, square), square)
            return do.write(do.add(do.multiply(x, np.float32(0.5)), tail))
        inner = do.multiply(do.add(do.multiply(square, _GELU_B), _GELU_A), x)
        return do.write(do.multiply(x, self._reciprocal_of_exp(-inner)))

    @_quietly
    def silu(self, x: F32) -> F32:
        """x (1 / (1 + exp(-x)))."""
        do = self._do
        do.read(x, like=x)
        return do.write(do.multiply(x, self._reciprocal_of_exp(-x)))

    @_quietly
    def tanh(self, x: F32, cap: float) -> F32:
        """cap tanh(x / cap) as c - ((2 c) (1 / (1 + exp(x (2 / c))))), c = cap."""
        do = self._do
        do.read(x, like=x)
        share = self._reciprocal_of_exp(do.multiply(x, constant(2 / cap)))
        return do.write(do.subtract(constant(cap), do.multiply(share, constant(2 * cap))))

    def relu(self, x: F32) -> F32:
        """x where it is above zero, else +0."""
        self._do.read(x, like=x)
        return self._do.write(self._do.positive(x))

    @_quietly
    def mul(self, a: F32, b: F32) -> F32:
        """a b."""
        self._do.read(a, b, like=a)
        return self._do.write(self._do.multiply(a, b))

    @_quietly
    def scale(self, x: F32, factor: float) -> F32:
        """x times a number, which is rounded to BF16 first."""
        self._do.read(x, like=x)
        return self._do.write(self._do.multiply(x, constant(factor)))

    @_quietly
    def rope(self, x1: F32, x2: F32, cos: F32, sin: F32) -> tuple[F32, F32]:
        """Both halves of what is rotated: ((x1 cos) - (x2 sin)) and ((x2 cos) + (x1 sin)).

        x1 and x2 are of one shape, cos and sin of that or of one that broadcasts to it.
        """
        do = self._do
        do.read(x1, cos, sin, like=x1)
        do.read(x2, cos, sin, like=x2)
        first = do.subtract(do.multiply(x1, cos), do.multiply(x2, sin))
        second = do.add(do.multiply(x2, cos), do.multiply(x1, sin))
        return do.write(first), do.write(second)

    @_quietly
    def residual(self, a: F32, b: F32) -> F32:
        """a + b."""
        self._do.read(a, b, like=a)
        return self._do.write(self._do.add(a, b))

    @_quietly
    def sum(self, a: F32, b: F32) -> F32:
        """a + b: partial sums of two chunks, a result and its bias, two embeddings."""
        return self.residual(a, b)

    # ---- choices -------------------------------------------------------------------------

    def argmax(self, x: F32) -> Ids:
        """The element of the maximum, the first of several: (...)."""
        self._do.read(x, like=x)
        return self._do.where_largest(x)

    @_quietly
    def topk(self, x: F32, chosen: int) -> tuple[Ids, F32]:
        """The `chosen` largest elements of (..., n) as ids and weights, both (..., chosen), the largest first.

        A maximum over all for each, without those that are chosen already; of equal ones the first.  The weights are
        what was chosen, each times 1 / ((first + second) + third ...).
        """
        do = self._do
        order = np.argsort(np.where(np.isnan(x), -np.inf, -x), axis=-1, kind="stable")
        ids: Ids = order[..., :chosen]
        for _ in range(chosen):
            do.read(x, like=x)
            do.largest(x)
        found = np.take_along_axis(x, ids, axis=-1)
        do.read(found, like=found)
        total = found[..., :1]
        for i in range(1, chosen):
            total = do.add(total, found[..., i : i + 1])
        return ids, do.write(do.multiply(found, do.reciprocal(total, self._steps)))

    @_quietly
    def weighted(self, xs: F32, weights: F32) -> F32:
        """(((x0 w0) + (x1 w1)) + (x2 w2)) ... of xs (ways, ..., n) and weights (..., ways): (..., n)."""
        do = self._do
        do.read(*xs, like=xs[0])
        total = do.multiply(xs[0], weights[..., :1])
        for i in range(1, len(xs)):
            total = do.add(total, do.multiply(xs[i], weights[..., i : i + 1]))
        return do.write(total)

    # ---- of one element ------------------------------------------------------------------

    def _exp(self, x: F32) -> F32:
        do = self._do
        if self.config.range_reduction == "none":
            return do.polynomial(self._exp_terms, x)
        n = do.whole(do.multiply(x, _LOG2_E))
        r = do.subtract(do.subtract(x, do.multiply(n, _LN2_HIGH)), do.multiply(n, _LN2_LOW))
        return do.power(do.polynomial(self._exp_terms, r), n)

    def _reciprocal_of_exp(self, x: F32) -> F32:
        """(1 / (1 + exp(x))); the sign of an x = -u stands in the constants, or is flipped: the same numbers."""
        return self._do.reciprocal(self._do.add(self._exp(x), _ONE), self._steps)
