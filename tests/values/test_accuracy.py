"""Measures of logits, by hand and from their definitions."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pytest

from pimsim.values.accuracy import Measuring, measure
from pimsim.values.numbers import F32

LN = np.log


def logits_of(*rows: list[float]) -> F32:
    """Logits of distributions, each moved by a number of its own, which changes nothing."""
    return np.array([LN(row) + 3 * k for k, row in enumerate(rows, -1)], np.float32)


def perplexity(logits: F32, following: Sequence[int]) -> float:
    """As of the hardware; that of the reference is measured the same way."""
    found = measure(logits, logits, following)
    assert found.perplexity == found.reference_perplexity or math.isnan(found.perplexity)
    return found.perplexity


def test_perplexity_of_a_text_by_hand() -> None:
    logits = logits_of([0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [1 / 3, 1 / 3, 1 / 3])
    assert perplexity(logits, [0, 2]) == pytest.approx(math.sqrt(2 * 8), rel=1e-6)
    assert perplexity(logits, [1, 1]) == pytest.approx(math.sqrt(4 / 0.75), rel=1e-6)
    assert math.isnan(perplexity(logits, []))


def test_each_has_its_own_perplexity() -> None:
    found = measure(logits_of([0.5, 0.5]), logits_of([0.25, 0.75]), [0])
    assert (found.reference_perplexity, found.perplexity) == (pytest.approx(2), pytest.approx(4))


def test_a_model_that_knows_nothing_has_the_vocabulary_as_perplexity() -> None:
    assert perplexity(np.full((9, 50), 7, np.float32), list(range(8))) == pytest.approx(50)


def test_agreement_takes_the_lowest_of_equal_ones() -> None:
    reference = np.array([[1, 3, 3], [5, 0, 0], [1, 2, 3], [4, 4, 4]], np.float32)
    pim = np.array([[1, 2, 3], [5, 5, 0], [0, 0, 1], [4, 4, 4]], np.float32)
    assert measure(reference, pim).agreement == 0.75


def test_mean_kl_by_hand_and_not_the_other_way_round() -> None:
    reference, pim = logits_of([0.5, 0.5], [0.9, 0.1]), logits_of([0.25, 0.75], [0.9, 0.1])
    expected = (0.5 * LN(0.5 / 0.25) + 0.5 * LN(0.5 / 0.75)) / 2
    assert measure(reference, pim).mean_kl == pytest.approx(expected, rel=1e-5)
    assert measure(pim, reference).mean_kl != pytest.approx(expected, rel=1e-2)
    assert measure(pim, pim).mean_kl == 0


def test_the_largest_error_of_a_logit() -> None:
    reference, pim = np.array([[1, 2], [3, -4]], np.float32), np.array([[1.5, 2], [3, -1.75]], np.float32)
    assert measure(reference, pim).max_abs_logit_error == 2.25


def test_large_logits_lose_nothing() -> None:
    logits = np.array([[3e38, -3e38, 0], [1000, 999, 0]], np.float32)
    found = measure(logits, logits)
    assert (found.agreement, found.mean_kl, found.max_abs_logit_error) == (1, 0, 0)
    assert perplexity(logits[1:].repeat(2, 0), [1]) == pytest.approx(1 + math.e)


def test_nan_is_told() -> None:
    reference = np.zeros((3, 3), np.float32)
    pim = np.array([[0, 0, 0], [0, np.nan, 0], [0, 0, 0]], np.float32)
    found = measure(reference, pim, [0, 0])
    assert math.isnan(found.mean_kl) and math.isnan(found.max_abs_logit_error) and math.isnan(found.perplexity)
    assert (found.agreement, found.reference_perplexity) == (pytest.approx(2 / 3), pytest.approx(3))


def test_some_at_a_time_is_all_at_once() -> None:
    rng = np.random.default_rng(0)
    reference, pim = rng.standard_normal((2, 9, 20)).astype(np.float32)
    following = rng.integers(0, 20, 8).tolist()
    parts = Measuring()
    for first in range(0, 9, 4):
        some = slice(first, first + 4)
        parts.add(reference[some], pim[some], following[some])
    assert parts.measures == measure(reference, pim, following)
    assert (parts.measures.positions, parts.measures.predicted) == (9, 8)


def test_the_hardwares_own_tokens_count_for_agreement() -> None:
    """It takes them before a soft cap, which may make two logits one."""
    reference = np.array([[1.0, 2.0], [2.0, 1.0]], np.float32)
    capped = np.array([[2.0, 2.0], [2.0, 2.0]], np.float32)
    assert measure(reference, capped).agreement == 0.5
    assert measure(reference, capped, picked=[1, 0]).agreement == 1
    assert measure(reference, capped, picked=[0, 1]).agreement == 0
