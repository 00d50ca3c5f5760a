"""How well a model speaks on the simulated hardware: over a text, beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from pimsim import api
from pimsim.config.schema import AnyConfig
from pimsim.errors import Problem
from pimsim.generation.rounding import Rounding
from pimsim.generation.speaking import speaking
from pimsim.values.accuracy import Measures, Measuring, finite
from pimsim.values.numbers import F32
from pimsim.values.reference import Decoder, Reference
from pimsim.values.weights.kept import kept
from pimsim.values.weights.model import Weights

AT_ONCE = 128  # tokens whose logits are held at a time


@dataclass(frozen=True)
class Accuracy:
    """Over a text of so many tokens, each but the first of a part predicted from those before it."""

    tokens: int
    measures: Measures

    def as_dict(self) -> dict[str, Any]:
        """The content of `--json`."""
        found = self.measures
        perplexity = {"reference": finite(found.reference_perplexity), "pim": finite(found.perplexity)}
        return {
            "tokens": self.tokens,
            "perplexity": perplexity,
            "agreement": finite(found.agreement),
            "mean_kl": finite(found.mean_kl),
        }


def accuracy(
    given: AnyConfig | api.Loaded,
    weights: Weights,
    ids: Sequence[int],
    tell: Callable[[tuple[Problem, ...]], object] | None = None,
    reference: Reference | None = None,
) -> Accuracy:
    """Feed a text to the hardware and to the reference; at level fast, which is equal to the commands to the bit.

    A text beyond the positions of the model is cut into parts of as many tokens, each a sequence of its own.
    reference: that of the weights, if it has been made.  InputError as `speaking`.
    """
    text = Text(weights, ids)
    spoken = speaking(given, weights, 0, text.length, tell)
    expected = text.expected(reference or Reference(text.weights))
    return text.measured(Rounding.of(spoken.whole, text.length), expected)


class Text:
    """Tokens that a model reads, some at a time; those beyond its positions are sequences of their own.

    length: tokens of the longest sequence.
    """

    def __init__(self, weights: Weights, ids: Sequence[int]) -> None:
        self.weights, self.ids = kept(weights), list(ids)
        self.length = min(len(ids), weights.shape.max_positions)

    def expected(self, reference: Reference) -> Iterator[F32]:
        """The reference's logits of each of `pieces`."""
        decoder = Decoder(reference)
        for piece in self._pieces():
            if piece.begins:
                decoder = Decoder(reference)
            yield decoder.feed(piece.ids)

    def measured(self, rounding: Rounding, expected: Iterable[F32]) -> Accuracy:
        """What the hardware makes of the text, beside what was expected."""
        measuring = Measuring()
        with np.errstate(all="ignore"):  # infinities and NaN are numbers here
            fast = rounding.fast(self.weights)
            for piece, logits in zip(self._pieces(), expected, strict=True):
                if piece.begins:
                    fast.reset()
                own = fast.feed(piece.ids)
                measuring.add(logits, own, piece.following, fast.next_ids.tolist())
        return Accuracy(len(self.ids), measuring.measures)

    def _pieces(self) -> Iterator[_Piece]:
        for first in range(0, len(self.ids), self.length):
            part = self.ids[first : first + self.length]
            for begin in range(0, len(part), AT_ONCE):
                some = part[begin : begin + AT_ONCE]
                yield _Piece(begin == 0, some, part[begin + 1 : begin + 1 + len(some)])


class _Piece(NamedTuple):
    """Tokens that are fed together: whether a sequence begins, and the tokens that follow each of them."""

    begins: bool
    ids: list[int]
    following: list[int]


class Ruler:
    """Measures designs on one text, each that rounds alike once; what the reference says is computed once.

    It needs 4 bytes for each token of the text and each of the vocabulary.
    """

    def __init__(self, weights: Weights, ids: Sequence[int]) -> None:
        self._text = Text(weights, ids)
        self._found: dict[Hashable, Accuracy] = {}

    def __call__(self, config: AnyConfig, keep: api.Keep = api.anew) -> Accuracy:
        """As `accuracy`; keep: who has plans of before."""
        text = self._text
        spoken = speaking(config, text.weights, 0, text.length, keep=keep)
        rounding = Rounding.of(spoken.whole, text.length)
        key = rounding.key
        if key not in self._found:
            self._found[key] = text.measured(rounding, self._expected)
        return self._found[key]

    @cached_property
    def _expected(self) -> list[F32]:
        return list(self._text.expected(Reference(self._text.weights)))
