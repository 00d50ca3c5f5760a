"""A second reading of the ASIC's functions: one number at a time, in plain Python on scalars of `ml_dtypes`.

Written from the docstrings of `pimsim.values`; it shares no code with it.  A list of numbers is one vector.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import ml_dtypes
import numpy as np

B = ml_dtypes.bfloat16
Vector = list[B]


def to_word(x: B) -> int:
    return int(np.asarray(x, B).view(np.uint16))


def from_word(word: int) -> B:
    return np.uint16(word).view(B)


def is_nan(x: B) -> bool:
    return math.isnan(float(x))


@dataclass(frozen=True)
class ScalarAsic:
    """The functions with so many Taylor terms and Newton steps, with exp as it is or on a reduced range."""

    terms: int
    steps: int
    reduced: bool

    # ---- one number ----------------------------------------------------------------------

    def reciprocal(self, d: B) -> B:
        word = to_word(d)
        guess = 0x7EF1 - word % 0x8000
        y = d if is_nan(d) else from_word(max(guess, 0) + word // 0x8000 * 0x8000)
        for _ in range(self.steps):
            y = y * (B(2) - d * y)
        return y

    def inverse_root(self, v: B) -> B:
        y = v if is_nan(v) else from_word(0x5F34 - to_word(v) % 0x8000 // 2)
        half = v * B(0.5)
        for _ in range(self.steps):
            y = y * (B(1.5) - (half * y) * y)
        return y

    @staticmethod
    def horner(coefficients: list[float], x: B) -> B:
        p = B(coefficients[-1])
        for c in reversed(coefficients[:-1]):
            p = p * x + B(c)
        return p

    def exp(self, x: B) -> B:
        coefficients = [1 / math.factorial(i) for i in range(self.terms)]
        if not self.reduced:
            return self.horner(coefficients, x)
        t = x * B(math.log2(math.e))
        n = t if math.isinf(t) or is_nan(t) else B(float(round(float(t))))
        r = (x - n * B(0.6875)) - n * B(math.log(2) - 0.6875)
        p = self.horner(coefficients, r)
        if is_nan(n):
            return n
        if abs(float(n)) > 300:
            return B(0) if n < 0 else from_word(0x7F7F)
        exponent = to_word(p) // 128 % 256 + int(n)
        if exponent <= 0:
            return B(0)
        return from_word(0x7F7F if exponent >= 255 else exponent * 128 + to_word(p) % 128)

    def share(self, x: B) -> B:
        return self.reciprocal(self.exp(x) + B(1))

    def silu_of(self, x: B) -> B:
        return x * self.share(-x)

    def tanh_of(self, x: B, cap: float) -> B:
        negative = to_word(x) >= 0x8000
        size = B(cap) - B(2 * cap) * self.share((-x if negative else x) * B(2 / cap))
        return -size if negative else size

    def gelu_of(self, x: B) -> B:
        z = x * x
        if self.reduced:
            a = math.sqrt(8 / math.pi)
            return x * self.share(-((z * B(0.044715 * a) + B(a)) * x))
        coefficients = [
            (-1) ** i / (math.sqrt(2 * math.pi) * 2**i * math.factorial(i) * (2 * i + 1)) for i in range(self.terms)
        ]
        return x * B(0.5) + self.horner(coefficients, z) * z

    # ---- a vector ------------------------------------------------------------------------

    @staticmethod
    def total(x: Vector, start: float = 0.0) -> B:
        acc = B(start)
        for first in range(0, len(x), 256):
            level = [*x[first : first + 256], *[B(0)] * (first + 256 - len(x))]
            while len(level) > 1:
                level = [one + other for one, other in zip(level[::2], level[1::2], strict=True)]
            acc = acc + level[0]
        return acc

    @staticmethod
    def largest(x: Vector) -> int:
        """The first of the largest numbers; NaN is the largest."""
        best = 0
        for i, number in enumerate(x):
            if not is_nan(x[best]) and (is_nan(number) or number > x[best]):
                best = i
        return best

    def layernorm(self, x: Vector, gain: Vector, bias: Vector, eps: float) -> Vector:
        share = B(1 / len(x))
        mean = self.total(x) * share
        d = [number - mean for number in x]
        scale = self.inverse_root(self.total([number * number for number in d], len(x) * eps) * share)
        return [number * scale * g + b for number, g, b in zip(d, gain, bias, strict=True)]

    def rmsnorm(self, x: Vector, gain: Vector, eps: float) -> Vector:
        scale = self.inverse_root(self.total([number * number for number in x], len(x) * eps) * B(1 / len(x)))
        return [number * scale * g for number, g in zip(x, gain, strict=True)]

    def exponentials(self, x: Vector) -> tuple[Vector, B]:
        most = x[self.largest(x)]
        exps = [self.exp(number - most) for number in x]
        return exps, self.reciprocal(self.total(exps))

    def softmax(self, x: Vector) -> Vector:
        exps, reciprocal = self.exponentials(x)
        return [number * reciprocal for number in exps]

    def gelu(self, x: Vector) -> Vector:
        return list(map(self.gelu_of, x))

    def silu(self, x: Vector) -> Vector:
        return list(map(self.silu_of, x))

    def relu(self, x: Vector) -> Vector:
        return [number if number > 0 or is_nan(number) else B(0) for number in x]

    def tanh(self, x: Vector, cap: float) -> Vector:
        return list(map(partial(self.tanh_of, cap=cap), x))

    def mul(self, a: Vector, b: Vector) -> Vector:
        return [one * other for one, other in zip(a, b, strict=True)]

    def scale(self, x: Vector, factor: float) -> Vector:
        return [number * B(factor) for number in x]

    def rope(self, x1: Vector, x2: Vector, cos: Vector, sin: Vector) -> tuple[Vector, Vector]:
        each = list(zip(x1, x2, cos, sin, strict=True))
        return [a * c - b * s for a, b, c, s in each], [b * c + a * s for a, b, c, s in each]

    def residual(self, a: Vector, b: Vector) -> Vector:
        return [one + other for one, other in zip(a, b, strict=True)]

    sum = residual
    argmax = largest

    def topk(self, x: Vector, chosen: int) -> tuple[list[int], Vector]:
        ids: list[int] = []
        for _ in range(chosen):
            left = [i for i in range(len(x)) if i not in ids]
            ids.append(left[self.largest([x[i] for i in left])])
        total = x[ids[0]]
        for i in ids[1:]:
            total = total + x[i]
        return ids, [x[i] * self.reciprocal(total) for i in ids]

    def weighted(self, xs: list[Vector], weights: Vector) -> Vector:
        total = [number * weights[0] for number in xs[0]]
        for x, w in zip(xs[1:], weights[1:], strict=True):
            total = [one + number * w for one, number in zip(total, x, strict=True)]
        return total

    def quantise(self, x: Vector) -> tuple[Vector, B]:
        """Of INT8."""
        sizes = [from_word(to_word(number) % 0x8000) for number in x]
        scale = sizes[self.largest(sizes)] * B(1 / 127)
        each = B(0) if scale == 0 else self.reciprocal(scale)
        return [self.code(number * each) for number in x], scale

    @staticmethod
    def code(x: B) -> B:
        if is_nan(x):
            return B(0)
        return B(float(round(min(127.0, max(-128.0, float(x))))))
