"""How well a model speaks on the simulated hardware: over a text, beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pimsim import api
from pimsim.config.schema import AnyConfig
from pimsim.errors import Problem
from pimsim.generation.speaking import speaking
from pimsim.values.accuracy import Measures, Measuring, finite
from pimsim.values.fast.model import Fast
from pimsim.values.reference import Decoder, Reference
from pimsim.values.weights.kept import kept
from pimsim.values.weights.model import Weights

AT_ONCE = 64  # tokens whose logits are held at a time


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
    weights = kept(weights)
    length = min(len(ids), weights.shape.max_positions)
    spoken = speaking(given, weights, 0, length, tell)
    fast, reference = Fast(spoken.whole, weights), reference or Reference(weights)
    measuring = Measuring()
    for first in range(0, len(ids), length):
        part = list(ids[first : first + length])
        fast.reset()
        decoder = Decoder(reference)
        for begin in range(0, len(part), AT_ONCE):
            some = part[begin : begin + AT_ONCE]
            measuring.add(decoder.feed(some), fast.feed(some), part[begin + 1 : begin + 1 + len(some)])
    return Accuracy(len(ids), measuring.measures)
