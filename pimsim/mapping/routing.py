"""Which experts a token goes to.

A router's choice depends on data that a simulation does not have, so a workload states how
often each expert is chosen.  `expected` takes the most frequent ones every time; `sampled` draws
without replacement, from a hash, so that a draw depends on the seed and on what is drawn for
alone: the same on every machine, and whatever else is simulated.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

_UNIT = 1 << 64


@dataclass(frozen=True)
class Routing:
    """How experts are chosen: `weights` relative to each other (empty: all alike), by draws of `seed` if `sampled`."""

    weights: tuple[float, ...] = ()
    sampled: bool = False
    seed: int = 0

    def choose(self, experts: int, active: int, *where: int) -> tuple[int, ...]:
        """`active` of `experts` for the token, sequence, block ... `where`, in ascending order."""
        weights = list(self.weights) or [1.0] * experts
        if not self.sampled:
            return tuple(sorted(sorted(range(experts), key=lambda expert: -weights[expert])[:active]))
        chosen = []
        for draw in range(active):
            expert = _pick(weights, _uniform(self.seed, *where, draw))
            weights[expert] = 0.0
            chosen.append(expert)
        return tuple(sorted(chosen))


def _uniform(*key: int) -> float:
    """A number in [0, 1) that depends on `key` alone."""
    digest = hashlib.blake2b(",".join(map(str, key)).encode("ascii"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / _UNIT


def _pick(weights: Sequence[float], share: float) -> int:
    """The index at `share` of the sum of the weights; never one of weight 0."""
    left = share * sum(weights)
    last = -1
    for index, weight in enumerate(weights):
        if weight > 0:
            last = index
            left -= weight
            if left < 0:
                break
    return last
