"""What the logits of the hardware are worth beside those of the reference.

Of every position: p is the reference's distribution (the softmax of its logits, in float64), q that of the hardware.

    perplexity            exp of the mean of -ln of the probability of the token that follows
    mean_kl               the mean of sum p ln(p / q), in nats
    agreement             the share of positions where both have the same likeliest token, the lowest id of equal ones
    max_abs_logit_error   the largest difference of two logits
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.values.numbers import F32


@dataclass(frozen=True)
class Measures:
    """Over `positions` positions; NaN where there is nothing to measure.  predicted: those with a token behind them."""

    positions: int
    predicted: int
    agreement: float
    mean_kl: float
    max_abs_logit_error: float
    perplexity: float
    reference_perplexity: float


class Measuring:
    """Collects positions, some at a time."""

    def __init__(self) -> None:
        self._positions = self._predicted = self._agreed = 0
        self._kl: list[float] = []
        self._own: list[float] = []
        self._reference: list[float] = []
        self._error = 0.0

    def add(self, reference: F32, own: F32, following: Sequence[int] = (), picked: Sequence[int] | None = None) -> None:
        """Logits (positions, vocabulary) of both, and the tokens that follow the first of these positions.

        picked: the hardware's tokens, which it takes before a last soft cap (default: the likeliest).
        """
        p, q = _log_softmax(reference), _log_softmax(own)
        self._positions += len(p)
        likeliest = np.argmax(own, axis=1) if picked is None else np.asarray(picked, np.int64)
        self._agreed += int(np.sum(np.argmax(reference, axis=1) == likeliest))
        with np.errstate(invalid="ignore"):
            terms = np.exp(p) * (p - q)
        self._kl += np.where(np.exp(p) > 0, terms, 0.0).sum(axis=1).tolist()
        self._error = float(np.maximum(self._error, np.max(np.abs(reference - own), initial=0)))  # NaN is the largest
        at = np.arange(len(following))
        self._predicted += len(following)
        for found, kept in ((p, self._reference), (q, self._own)):
            kept += (-found[at, np.asarray(following, np.int64)]).tolist()

    @property
    def measures(self) -> Measures:
        """Over all so far."""
        return Measures(
            self._positions,
            self._predicted,
            self._agreed / self._positions if self._positions else math.nan,
            _mean(self._kl),
            self._error,
            _exp(_mean(self._own)),
            _exp(_mean(self._reference)),
        )


def measure(reference: F32, own: F32, following: Sequence[int] = (), picked: Sequence[int] | None = None) -> Measures:
    """As `Measuring`, at once."""
    measuring = Measuring()
    measuring.add(reference, own, following, picked)
    return measuring.measures


def _log_softmax(logits: F32) -> NDArray[np.float64]:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=1, keepdims=True)
    found: NDArray[np.float64] = wide - np.log(np.exp(wide).sum(axis=1, keepdims=True))
    return found


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values) if values and not any(map(math.isnan, values)) else math.nan


def _exp(value: float) -> float:
    return math.inf if value > 700 else math.exp(value)


def finite(value: float) -> float | None:
    """A number as JSON has it: None where logits that are NaN have left none."""
    return value if math.isfinite(value) else None
