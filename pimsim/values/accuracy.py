"""How far the hardware's logits are from the reference's: measures over the positions of a text.

All are worked out in float64 from logits (positions, vocabulary), position by position, so that a long text takes no
more memory than its logits.  With p the softmax of a position's logits:

    perplexity           exp of the mean of -ln p(next token), over all positions but the last
    agreement            share of positions at which both have the same likeliest token, of equal ones the lowest
    mean_kl              mean of KL(reference || pim) = sum p_r (ln p_r - ln p_p), in nats
    max_abs_logit_error  the largest distance of two logits
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.values.numbers import F32

F64 = NDArray[np.float64]


@dataclass(frozen=True)
class Distances:
    """Measures of two sets of logits; NaN where a logit is."""

    agreement: float
    mean_kl: float
    max_abs_logit_error: float


def perplexity(logits: F32, ids: Sequence[int]) -> float:
    """Of a text: logits (positions, vocabulary) after each of its `ids`, of which there are as many.

    NaN if the text has one token, so that none comes next; infinite where a token that comes has no probability.
    """
    if len(logits) != len(ids):
        raise ValueError(f"logits of {len(logits)} positions for {len(ids)} tokens")
    losses = [-float(_log_softmax(row)[token]) for row, token in zip(logits[:-1], ids[1:], strict=True)]
    if not losses:
        return float("nan")
    with np.errstate(over="ignore"):
        return float(np.exp(np.mean(losses)))


def distances(reference: F32, pim: F32) -> Distances:
    """Of logits of the same positions, both (positions, vocabulary), at least one of them."""
    if reference.shape != pim.shape:
        raise ValueError(f"logits of {reference.shape} and of {pim.shape}")
    same, kl, error = [], [], []
    for ours, theirs in zip(pim, reference, strict=True):
        same.append(bool(ours.argmax() == theirs.argmax()))
        kl.append(_kl(_log_softmax(theirs), _log_softmax(ours)))
        error.append(float(np.abs(ours.astype(np.float64) - theirs).max()))
    return Distances(float(np.mean(same)), float(np.mean(kl)), float(np.max(error)))


def _kl(p: F64, q: F64) -> float:
    """KL(p || q) of the logarithms of two distributions: what has no probability in p counts nothing."""
    with np.errstate(invalid="ignore"):
        terms = np.exp(p) * (p - q)
    return float(np.where(np.isneginf(p), 0.0, terms).sum())


def _log_softmax(logits: F32) -> F64:
    """ln of the softmax of one position's logits, in float64."""
    x = logits.astype(np.float64)
    with np.errstate(invalid="ignore"):
        x -= x.max()
        found: F64 = x - np.log(np.exp(x).sum())
    return found
