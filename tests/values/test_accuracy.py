"""Measures of logits, by hand and from their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pimsim.values.accuracy import distances, perplexity

LN = np.log


def logits_of(*rows: list[float]) -> np.ndarray:  # type: ignore[type-arg]
    """Logits of distributions, each moved by a number of its own, which changes nothing."""
    return np.array([LN(row) + 3 * k for k, row in enumerate(rows, -1)], np.float32)


def test_perplexity_of_a_text_by_hand() -> None:
    logits = logits_of([0.5, 0.25, 0.25], [0.125, 0.75, 0.125], [1 / 3, 1 / 3, 1 / 3])
    assert perplexity(logits, [2, 0, 2]) == pytest.approx(math.sqrt(2 * 8), rel=1e-6)
    assert perplexity(logits, [0, 1, 1]) == pytest.approx(math.sqrt(4 / 0.75), rel=1e-6)
    assert math.isnan(perplexity(logits[:1], [0]))


def test_a_model_that_knows_nothing_has_the_vocabulary_as_perplexity() -> None:
    assert perplexity(np.full((9, 50), 7, np.float32), list(range(9))) == pytest.approx(50)


def test_a_token_without_probability_is_an_infinite_surprise() -> None:
    assert perplexity(np.array([[0, -np.inf], [0, 0]], np.float32), [0, 1]) == math.inf


def test_agreement_takes_the_lowest_of_equal_ones() -> None:
    reference = np.array([[1, 3, 3], [5, 0, 0], [1, 2, 3], [4, 4, 4]], np.float32)
    pim = np.array([[1, 2, 3], [5, 5, 0], [0, 0, 1], [4, 4, 4]], np.float32)
    assert distances(reference, pim).agreement == 0.75


def test_mean_kl_by_hand_and_not_the_other_way_round() -> None:
    reference, pim = logits_of([0.5, 0.5], [0.9, 0.1]), logits_of([0.25, 0.75], [0.9, 0.1])
    expected = (0.5 * LN(0.5 / 0.25) + 0.5 * LN(0.5 / 0.75)) / 2
    assert distances(reference, pim).mean_kl == pytest.approx(expected, rel=1e-5)
    assert distances(pim, reference).mean_kl != pytest.approx(expected, rel=1e-2)
    assert distances(pim, pim).mean_kl == 0


def test_the_largest_error_of_a_logit() -> None:
    reference, pim = np.array([[1, 2], [3, -4]], np.float32), np.array([[1.5, 2], [3, -1.75]], np.float32)
    assert distances(reference, pim).max_abs_logit_error == 2.25


def test_large_logits_lose_nothing() -> None:
    logits = np.array([[3e38, -3e38, 0], [1000, 999, 0]], np.float32)
    found = distances(logits, logits)
    assert (found.agreement, found.mean_kl, found.max_abs_logit_error) == (1, 0, 0)
    assert perplexity(logits[1:].repeat(2, 0), [0, 1]) == pytest.approx(1 + math.e)


def test_nan_is_told() -> None:
    reference = np.zeros((2, 3), np.float32)
    pim = np.array([[0, 0, 0], [0, np.nan, 0]], np.float32)
    found = distances(reference, pim)
    assert math.isnan(found.mean_kl) and math.isnan(found.max_abs_logit_error)
    assert math.isnan(perplexity(pim[::-1], [0, 0]))


def test_a_likeliest_token_that_is_nan_agrees_with_none_but_itself() -> None:
    reference, pim = np.array([[1, 0, 0]], np.float32), np.array([[1, np.nan, 0]], np.float32)
    assert distances(reference, pim).agreement == 0


@pytest.mark.parametrize("sizes", [((2, 3), 1), ((2, 3), 3)])
def test_what_does_not_belong_together_is_refused(sizes: tuple[tuple[int, int], int]) -> None:
    shape, tokens = sizes
    with pytest.raises(ValueError, match="positions for"):
        perplexity(np.zeros(shape, np.float32), [0] * tokens)
    with pytest.raises(ValueError, match="logits of"):
        distances(np.zeros(shape, np.float32), np.zeros((shape[0], shape[1] + 1), np.float32))
