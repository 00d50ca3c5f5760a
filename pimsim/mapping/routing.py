"""Which experts a token goes to, and how many a step of several tokens reads.

A router's choice depends on data that a simulation does not have, so a workload states how
often each expert is chosen.  `expected` takes the most frequent ones every time, since the time of
a product does not depend on which expert's it is; how many *different* experts several tokens
choose it takes in expectation.  `sampled` draws without replacement, from a hash, so that a draw
depends on the seed and on what is drawn for alone: the same on every machine, and whatever else
is simulated.  There the experts that a step reads are those that were drawn.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pimsim.config.schema import Config
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator

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


def routing_of(config: Config, workload: Workload) -> Routing:
    """How a configuration chooses the experts of its workload."""
    return Routing(workload.routing, config.workload.routing == "sampled", config.workload.routing_seed)


def experts_read(
    workload: Workload, operator: Operator, contexts: Iterable[int], tokens: int, batch: int, routing: Routing
) -> Iterator[float]:
    """Experts of `operator` that each step reads, summed over its copies in the blocks.

    contexts: of each step, whose `tokens` tokens end there; batch: sequences of the step.
    """
    blocks, router = workload.repeats(operator), _routers_before(workload, operator)
    if not routing.sampled:
        one = blocks * expected_experts(operator.experts, operator.active, tokens * batch, routing.weights)
        yield from (one for _ in contexts)
        return
    for last in contexts:
        step = tuple(range(last - tokens + 1, last + 1))
        yield _drawn(routing, operator.experts, operator.active, step, batch, blocks, router)


def _routers_before(workload: Workload, operator: Operator) -> int:
    """Routers that stand before an operator in its scope: a number that the products behind one router share."""
    scope = workload.select(operator.scope)
    return sum(other.op == "topk" for other in scope[: scope.index(operator)])


@lru_cache(maxsize=1 << 14)  # the products behind one router, the bus and the baselines all ask
def _drawn(
    routing: Routing, experts: int, active: int, contexts: tuple[int, ...], batch: int, blocks: int, router: int
) -> int:
    """Experts that at least one token of a step has drawn, summed over the blocks."""

    def chosen(block: int) -> set[int]:
        return {
            expert
            for context in contexts
            for sequence in range(batch)
            for expert in routing.choose(experts, active, context, sequence, block, router)
        }

    return sum(len(chosen(block)) for block in range(blocks))


def expected_experts(experts: int, active: int, vectors: int, weights: tuple[float, ...] = ()) -> float:
    """How many experts at least one of `vectors` chooses: the sum of 1 - (1 - p)^vectors, p = active / experts.

    weights: of the experts, p in proportion to them instead, where that is not above 1.
    Each vector chooses on its own, and `active` different experts.
    """
    return math.fsum(1 - (1 - p) ** vectors for p in _probabilities(active, weights or (1.0,) * experts))


def _probabilities(active: int, weights: tuple[float, ...]) -> list[float]:
    """The probability that one vector chooses each expert; they add up to `active`."""
    certain: set[int] = set()  # in proportion they would be chosen more than once
    while True:
        whole = math.fsum(weight for e, weight in enumerate(weights) if e not in certain)
        left = active - len(certain)
        above = {e for e, weight in enumerate(weights) if e not in certain and left * weight > whole}
        if not above:
            return [1.0 if e in certain else left * weight / whole if left else 0.0 for e, weight in enumerate(weights)]
        certain |= above


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
