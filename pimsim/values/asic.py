"""The functions of the ASIC on values: each carries out, pass by pass, what `pimsim.asic.units` prices.

What an operation is, how it rounds and what it counts is in `pimsim.values.arithmetic`; functions of one number are in
`pimsim.values.elementary`.  A product or a sum of three is written with brackets; each bracket is rounded.  Numbers
that are known beforehand (1/n, n eps) are rounded once (`arithmetic.constant`).

What comes in and all that comes out is BF16 in float32 arrays: vectors (..., n), any number of them, each on its own.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pimsim.asic.units import KINDS, KINDS_OF_FORMATS, KINDS_OF_WAYS
from pimsim.config.schema import AsicConfig
from pimsim.errors import InputError
from pimsim.formats import FORMATS, Format
from pimsim.values.arithmetic import Arithmetic, Counts, Ids, constant
from pimsim.values.elementary import Elementary
from pimsim.values.formats import largest, rounded
from pimsim.values.numbers import F32, bf16

INT8 = FORMATS["int8"]
_quietly = np.errstate(all="ignore")  # infinities and NaN are numbers here


class Asic:
    """The arithmetic of one ASIC; `counts` says what it has done since the last `reset`."""

    def __init__(self, config: AsicConfig) -> None:
        self._do = Arithmetic()
        self._each = Elementary(config, self._do)

    @property
    def counts(self) -> Counts:
        """Additions, multiplications and bytes so far."""
        return self._do.counts

    def reset(self) -> None:
        """Count from zero; what `counts` gave before stays as it is."""
        self._do.counts = Counts()

    def of(self, kind: str) -> Callable[..., Any]:
        """The method that computes a kind of `pimsim.asic.units`; InputError for a registered one, which has none."""
        if kind in KINDS.shipped or kind in KINDS_OF_WAYS or kind in KINDS_OF_FORMATS:
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
        scale = self._each.inverse_root(do.multiply(squares, constant(1 / n)))
        do.read(deviations, gain, bias, like=x)
        return do.write(do.add(do.multiply(do.multiply(deviations, scale), gain), bias))

    @_quietly
    def rmsnorm(self, x: F32, gain: F32, eps: float) -> F32:
        """((x / rms) gain), gain (n,): v = total(x x, from n eps) (1/n), x times 1/sqrt(v)."""
        do, n = self._do, x.shape[-1]
        do.read(x, like=x)
        squares = do.total(do.multiply(x, x), n * eps)
        scale = self._each.inverse_root(do.multiply(squares, constant(1 / n)))
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
        exps = do.write(self._each.exp(do.subtract(x, most)))
        return exps, self._each.reciprocal(do.total(exps))[..., 0]

    # ---- element by element --------------------------------------------------------------

    @_quietly
    def gelu(self, x: F32) -> F32:
        """x Phi(x), see `elementary`."""
        self._do.read(x, like=x)
        return self._do.write(self._each.gelu(x))

    @_quietly
    def silu(self, x: F32) -> F32:
        """x / (1 + exp(-x)), see `elementary`."""
        self._do.read(x, like=x)
        return self._do.write(self._each.silu(x))

    @_quietly
    def tanh(self, x: F32, cap: float) -> F32:
        """cap tanh(x / cap), see `elementary`."""
        self._do.read(x, like=x)
        return self._do.write(self._each.tanh(x, cap))

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
    def scale(self, x: F32, factor: float | F32) -> F32:
        """x times a number, which is rounded to BF16 first; or times numbers that broadcast to it, one of a vector."""
        self._do.read(x, like=x)
        return self._do.write(self._do.multiply(x, bf16(factor)))

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

    # ---- number formats ------------------------------------------------------------------

    @_quietly
    def quantise(self, x: F32, made: Format = INT8) -> tuple[F32, F32]:
        """Numbers of a format (..., n), and of each vector the scale (...) with which they are worth x.

        scale = the largest |x| times 1/largest number; x times 1/scale, rounded to a number of the format, at which
        the adder that rounds stops.  Of zeros the scale is 0.
        """
        do = self._do
        do.read(x, like=x)
        scale = do.multiply(do.largest(np.abs(x)), constant(1 / largest(made)))
        each = np.where(scale == 0, np.float32(0), self._each.reciprocal(scale))
        do.read(x, like=x)
        return do.write(do.rounded(do.multiply(x, each), made)), scale[..., 0]

    @_quietly
    def shares(self, x: F32, made: Format) -> tuple[F32, F32]:
        """The exponentials of (..., n), times the largest number of a format and rounded to one, and the reciprocals
        (...) of their sums before that: the largest exponential is 1.
        """
        exps, reciprocals = self.exponentials(x)
        self._do.read(exps, like=x)
        return self._do.write(rounded(made, self._do.multiply(exps, constant(largest(made))))), reciprocals

    @_quietly
    def scaled(self, parts: F32, scales: F32) -> F32:
        """(((p0 s0) + (p1 s1)) + (p2 s2)) ... of parts and scales (ways, ..., n), which may broadcast: (..., n)."""
        do = self._do
        do.read(*parts, *parts, like=parts[0])
        total = do.multiply(parts[0], scales[0])
        for i in range(1, len(parts)):
            total = do.add(total, do.multiply(parts[i], scales[i]))
        return do.write(total)

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
        do.read(*[x] * chosen, like=x)
        ids = do.best(x, chosen)
        found = np.take_along_axis(x, ids, axis=-1)
        do.read(found, like=found)
        total = found[..., :1]
        for i in range(1, chosen):
            total = do.add(total, found[..., i : i + 1])
        return ids, do.write(do.multiply(found, self._each.reciprocal(total)))

    @_quietly
    def weighted(self, xs: F32, weights: F32) -> F32:
        """(((x0 w0) + (x1 w1)) + (x2 w2)) ... of xs (ways, ..., n) and weights (..., ways): (..., n)."""
        do = self._do
        do.read(*xs, like=xs[0])
        total = do.multiply(xs[0], weights[..., :1])
        for i in range(1, len(xs)):
            total = do.add(total, do.multiply(xs[i], weights[..., i : i + 1]))
        return do.write(total)
