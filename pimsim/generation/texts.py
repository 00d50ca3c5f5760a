"""Texts that accuracy is measured on, as tokens."""

from __future__ import annotations

import os

from pimsim.errors import InputError, Problem
from pimsim.files import read_text
from pimsim.values.tokens.load import load_tokenizer
from pimsim.values.weights.model import Weights

LARGEST = 1 << 26  # bytes of a text


def ids_of(
    path: str | os.PathLike[str],
    weights: Weights,
    tokenizer: str | os.PathLike[str] | None = None,
    tokens: int | None = None,
) -> list[int]:
    """The first `tokens` ids of a text file (all of them by default); InputError.

    InputError for a file that cannot be read, is no UTF-8 or has fewer than two tokens, and for a tokenizer that
    cannot be found or is of another model.
    """
    name = os.fspath(path)
    text = read_text(name, LARGEST)
    made = load_tokenizer(tokenizer, weights)
    try:
        ids = made.encode(text)
    except InputError as error:
        raise InputError([Problem(name, 1, 1, "", problem.message) for problem in error.problems]) from None
    if len(ids) < 2:
        raise InputError(Problem(name, 1, 1, "", "is one token: nothing is predicted; give a longer text"))
    return ids[:tokens]
