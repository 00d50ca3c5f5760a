"""What the values of a run were, and what was said, for those who show it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pimsim.results.headline import percent

if TYPE_CHECKING:
    from pimsim.values.moments import Moments, Where


@dataclass(frozen=True)
class Speech:
    """Tokens that one of the two said; text: what each is, if there is a tokenizer, and what they are together."""

    ids: Sequence[int]
    pieces: Sequence[str] | None = None
    text: str | None = None


@dataclass(frozen=True)
class Values:
    """Values beside those of the same model in float32.

    moments    of every operator, by phase and layer, in the order in which they were first computed
    weights    the file; prompt_ids: what it was asked
    said, reference  by the hardware, and by the reference on its own
    agreement, mean_kl, max_abs_logit_error  over the positions of the reference's tokens, which both were fed
    """

    moments: Mapping[Where, Moments]
    weights: str
    prompt_ids: Sequence[int]
    said: Speech
    reference: Speech
    agreement: float
    mean_kl: float
    max_abs_logit_error: float

    @property
    def prompt(self) -> int:
        """How many tokens the prompt had."""
        return len(self.prompt_ids)

    def records(self) -> list[dict[str, Any]]:
        """The rows of `values.csv`: range and error of each operator, by phase and layer."""
        return [
            {**where._asdict(), "layer": "" if where.layer is None else where.layer, "elements": found.elements}
            | found.as_dict()
            for where, found in self.moments.items()
        ]

    def layers(self) -> dict[tuple[str, str], dict[int | None, Moments]]:
        """By phase and operator, then by layer."""
        made: dict[tuple[str, str], dict[int | None, Moments]] = {}
        for where, found in self.moments.items():
            made.setdefault((where.phase, where.operator), {})[where.layer] = found
        return made

    def lines(self) -> tuple[str, str]:
        """Two lines: how near what was said is, and which operator is farthest off."""
        near = (
            f"Values: agreement {percent(self.agreement)} with float32, mean KL {self.mean_kl:.2e} nats, "
            f"largest logit error {self.max_abs_logit_error:.3g}"
        )
        (phase, operator), layers = max(self.layers().items(), key=lambda part: badness(folded(part[1])))
        layer, worst = max(layers.items(), key=lambda part: badness(part[1]))
        where = "" if layer is None else f" ({relative(worst)} in layer {layer})"
        return near, f"Largest relative error: {operator} in {phase}, {relative(folded(layers))}{where}"


def folded(layers: Mapping[int | None, Moments]) -> Moments:
    """All layers together."""
    first, *others = layers.values()
    for other in others:
        first = first + other
    return first


def badness(moments: Moments) -> float:
    """The relative error, a NaN the worst of all."""
    return math.inf if math.isnan(moments.relative_error) else moments.relative_error


def relative(moments: Moments) -> str:
    """The relative error as a person reads it."""
    error = moments.relative_error
    if not math.isfinite(error):
        return str(error)
    return f"{error:.2g}" if error >= 1 else f"{100 * error:.2g} %"
