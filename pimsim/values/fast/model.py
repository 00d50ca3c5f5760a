"""A plan's model on values, many tokens at a time, in the order of rounding that its commands have.

It walks the operators of the graph and knows no model: what an operator takes says `workload.dataflow`, how sums are
cut the layouts of the plan.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pimsim.errors import InputError
from pimsim.mapping.placed import Placed
from pimsim.values.asic import Asic
from pimsim.values.fast.beats import Ints
from pimsim.values.fast.nodes import Node, Nodes, Passing
from pimsim.values.numbers import F32
from pimsim.values.weights.model import Weights
from pimsim.workload.ops import INPUT, Operator

BLOCK = 128  # tokens that go through the model together
_ENDLESS = 1 << 62  # positions that are no rows of a table

Choice = tuple[int, int, int]  # context, copy of the block, number of the router in its scope, from 1
Scope = list[tuple[Operator, Node]]


class Fast:
    """A plan's model with its weights, and one sequence that grows.

    contexts: tokens that were fed; chosen: the experts of each of them, in ascending order; next_ids: the likeliest
    token after each that the latest `feed` was of, the lowest of several.  Raises InputError for an operator that has
    no values, and for a plan without the LM head.
    """

    def __init__(self, plan: Placed, weights: Weights) -> None:
        if not plan.workload.lm_head:
            raise InputError("logits are those of a model with its LM head: set it to true", key="workload.lm_head")
        self._asic = Asic(plan.config.asic)
        tables = [operator.tables for operator in plan.workload.operators if operator.tables]
        if not tables:
            raise InputError("logits are of tokens, and the graph has no embedding for them", key="workload")
        self._vocabulary = min(rows[0] for rows in tables)
        self._positions = min((rows for _, *others in tables for rows in others), default=_ENDLESS)
        nodes = Nodes(plan, weights, self._asic)

        def scope(name: str, copy: int = 0) -> Scope:
            return [(operator, nodes.of(operator, copy)) for operator in plan.workload.select(name)]

        self._before = scope("once_before")
        self._blocks = [scope("block", copy) for copy in range(plan.workload.blocks)]
        self._after = scope("once_after")
        self._caches = nodes.caches
        self.reset()

    def reset(self) -> None:
        """Forget the sequence."""
        self.contexts = 0
        self.chosen: dict[Choice, tuple[int, ...]] = {}
        self.next_ids: Ints = np.zeros(0, np.int64)
        for cache in self._caches:
            cache.clear()

    def feed(self, ids: Sequence[int]) -> F32:
        """The logits after each of the next tokens: (tokens, vocabulary).

        InputError, before anything is computed, for an id that the vocabulary has not, or a position that has no row
        in its table.
        """
        tokens = self._checked(ids)
        logits = np.empty((len(tokens), self._vocabulary), np.float32)
        self.next_ids = np.empty(len(tokens), np.int64)
        for first in range(0, len(tokens), BLOCK):
            some = slice(first, first + BLOCK)
            logits[some], self.next_ids[some] = self._step(tokens[some])
        return logits

    def _checked(self, ids: Sequence[int]) -> Ints:
        tokens = np.asarray(ids, np.int64)
        if not len(tokens):
            raise InputError("there are no tokens; give at least one", key="prompt")
        wrong = tokens[(tokens < 0) | (tokens >= self._vocabulary)]
        if len(wrong):
            last = self._vocabulary - 1
            raise InputError(f"{wrong[0]} is no token: the vocabulary has ids from 0 to {last}", key="prompt")
        asked = self.contexts + len(tokens)
        if asked > self._positions:
            what = f"the model has positions for {self._positions} tokens, and {asked} are asked for; take fewer"
            raise InputError(what, key="prompt")
        return tokens

    def _step(self, ids: Ints) -> tuple[F32, Ints]:
        """Logits and the likeliest tokens after each of a few."""
        contexts = self.contexts + 1 + np.arange(len(ids), dtype=np.int64)
        tokens = Passing(ids, contexts)
        x = self._through(self._before, tokens, np.zeros((1, len(ids), 0), np.float32))
        for copy, block in enumerate(self._blocks):
            tokens = Passing(ids, contexts)
            x = self._through(block, tokens, x)
            self._note(copy, tokens)
        tokens = Passing(ids, contexts)
        x = self._through(self._after, tokens, x)
        head = next(operator.name for operator, _ in self._after if operator.role == "lm_head")
        self.contexts += len(ids)
        return x[0], self._asic.argmax(tokens.made[head][0])

    @staticmethod
    def _through(scope: Scope, tokens: Passing, entering: F32) -> F32:
        """What the last operator of a scope makes."""
        tokens.made[INPUT] = made = entering
        for operator, node in scope:
            made = tokens.made[operator.name] = node(tokens)
        return made

    def _note(self, copy: int, tokens: Passing) -> None:
        for router, chosen in enumerate(tokens.chosen.values(), 1):
            for context, experts in zip(tokens.contexts.tolist(), chosen.tolist(), strict=True):
                self.chosen[context, copy, router] = tuple(experts)
