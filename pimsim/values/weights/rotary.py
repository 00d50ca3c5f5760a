"""Rotary positions: how fast each pair of elements of a head turns."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.values.numbers import F32

F64 = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Rotary:
    """frequencies: radians by which each pair turns from one position to the next; factor: of cosine and sine."""

    frequencies: tuple[float, ...]
    factor: float = 1.0

    def at(self, positions: Ints) -> tuple[F32, F32]:
        """Cosines and sines, each (positions, pairs).

        Frequencies and angles are rounded to float32 as in the code that models are trained with: at position
        10,000 an angle that is not rounded is another one by a thousandth.
        """
        turns = np.asarray(self.frequencies, np.float32)
        angles = (np.asarray(positions, np.float32)[:, None] * turns).astype(np.float64)
        return (np.cos(angles) * self.factor).astype(np.float32), (np.sin(angles) * self.factor).astype(np.float32)


def _plain(turns: F64, base: float, said: Mapping[str, Any]) -> tuple[F64, float]:
    return turns, 1.0


def _linear(turns: F64, base: float, said: Mapping[str, Any]) -> tuple[F64, float]:
    """Positions are divided by a factor."""
    return turns / said["factor"], 1.0


def _llama3(turns: F64, base: float, said: Mapping[str, Any]) -> tuple[F64, float]:
    """Slow pairs are slowed by a factor, fast ones are not, between them it fades (Llama 3.1)."""
    low, high = said["low_freq_factor"], said["high_freq_factor"]
    in_context = said["original_max_position_embeddings"] * turns / (2 * math.pi)
    kept = np.clip((in_context - low) / (high - low), 0, 1)
    return turns * (kept + (1 - kept) / said["factor"]), 1.0


def _yarn(turns: F64, base: float, said: Mapping[str, Any]) -> tuple[F64, float]:
    """As llama3 with the fading in the number of the pair, and larger scores (Peng et al., "YaRN", 2023)."""
    factor, pairs = said["factor"], len(turns)

    def pair_of(rotations: float) -> float:
        """The number of the pair that turns so often in the original context."""
        turned = said["original_max_position_embeddings"] / (rotations * 2 * math.pi)
        return pairs * math.log(turned) / math.log(base)

    low, high = pair_of(said.get("beta_fast") or 32), pair_of(said.get("beta_slow") or 1)
    if said.get("truncate", True):
        low, high = math.floor(low), math.ceil(high)
    low, high = max(low, 0), min(high, 2 * pairs - 1)
    slowed = np.clip((np.arange(pairs) - low) / ((high - low) or 0.001), 0, 1)

    def grown(by: float) -> float:
        return 0.1 * by * math.log(factor) + 1 if factor > 1 else 1.0

    scale, whole = said.get("mscale"), said.get("mscale_all_dim")
    larger = grown(scale) / grown(whole) if scale and whole else grown(1)
    given = said.get("attention_factor")
    return turns * (slowed / factor + 1 - slowed), larger if given is None else given


# How kinds of scaling change the frequencies, and the numbers that each needs.
_STRETCHED = ("factor", "original_max_position_embeddings")
SCALINGS = {
    "default": (_plain, ()),
    "linear": (_linear, ("factor",)),
    "llama3": (_llama3, (*_STRETCHED, "low_freq_factor", "high_freq_factor")),
    "yarn": (_yarn, _STRETCHED),
}


def rotary_of(elements: int, base: float, kind: str, said: Mapping[str, Any]) -> Rotary:
    """The rotation of a head of which so many elements are rotated; `said` has what a row of SCALINGS needs.

    source: transformers, modeling_rope_utils: base ** (-2 i / elements) for pair i, then as the kind says.
    """
    turns = np.power(float(base), -np.arange(0, elements, 2, dtype=np.float64) / elements)
    scaled, factor = SCALINGS[kind][0](turns, base, said)
    return Rotary(tuple(float(turn) for turn in scaled.astype(np.float32)), float(factor))
