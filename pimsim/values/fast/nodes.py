"""What each operator of a graph does to values: a function that is made once, with its weights.

A node takes tokens on their way (`Passing`) and gives what its operator makes of them.  What decides a rounding beyond
a single operator:

- the experts of a token run in ascending order, and their results are added up in that order, each with its weight;
- an embedding's row is added to that of the position, the first to the second.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from pimsim.errors import InputError
from pimsim.mapping.memory import tied_matrix
from pimsim.mapping.placed import Placed
from pimsim.values.asic import Asic
from pimsim.values.fast.attention import Attention, Cache, Softmax
from pimsim.values.fast.beats import Beats, Ints
from pimsim.values.fast.formatted import FormatAttention, FormatCache, FormatProduct
from pimsim.values.fast.products import Product, Sums
from pimsim.values.layers import in_layer
from pimsim.values.lookup import function_table
from pimsim.values.numbers import F32, bf16, numbers, words
from pimsim.values.static import scales_of
from pimsim.values.weights.model import Weights
from pimsim.workload.dataflow import Dataflow, Slice
from pimsim.workload.ops import NORMS, Operator


class Passing:
    """Tokens on their way through one scope.

    ids, contexts (tokens,): which they are, and how many there are with them.  made: of each operator (ways, tokens,
    elements), a way for each active expert, else one; chosen: of each router the experts (tokens, active), ascending.
    """

    def __init__(self, ids: Ints, contexts: Ints) -> None:
        self.ids, self.contexts = ids, contexts
        self.made: dict[str, F32] = {}
        self.chosen: dict[str, Ints] = {}

    def take(self, part: Slice) -> F32:
        """What an operator takes of another."""
        made = self.made[part.name]
        if part.size == made.shape[-1]:
            return made
        return np.ascontiguousarray(made[..., part.first : part.first + part.size])


Node = Callable[[Passing], F32]


class Nodes:
    """Makes the nodes of a plan's graph."""

    def __init__(self, plan: Placed, weights: Weights, asic: Asic) -> None:
        self._plan, self._weights, self._asic = plan, weights, asic
        self._sums, self._softmax = Sums(Beats.of(plan.config, plan.grid.width)), Softmax(plan.config.asic)
        self._known = {operator.name: operator for operator in plan.workload.operators}
        self._taken = Dataflow(plan.workload).slices
        self._tied: dict[str, Product | FormatProduct] = {}
        self._rounds = plan.config.values.accumulate == "bf16"
        self.caches: list[Cache | FormatCache] = []  # of all attentions

    def of(self, operator: Operator, copy: int) -> Node:
        """The node of an operator in a copy of its block; InputError if its values cannot be computed."""
        name, layer = in_layer(self._plan.workload, operator.name, copy)
        match operator.op:
            case "linear":
                return self._linear(operator, name, layer)
            case "attention":
                return self._attention(operator, layer)
            case "embedding":
                return self._embedding(operator)
            case "rope":
                return self._rope(operator, layer)
            case "topk":
                return self._topk(operator)
            case "add":
                return self._add(operator)
            case op if op in NORMS:
                return self._norm(operator, name, layer)
        if self._plan.functions.get(operator.deps[0]) == operator.op:
            return self._each(operator, lambda x: x)  # the banks have done it
        return self._each(operator, self._function(operator))

    # -- element by element ----------------------------------------------------------------

    def _function(self, operator: Operator) -> Callable[..., F32]:
        """The ASIC's function of an operator that takes whole vectors and nothing else."""
        constants = self._weights.constants
        match operator.scope, operator.op:
            case "once_before", "scale":
                return partial(self._asic.scale, factor=constants.embed_scale)
            case "once_after", "tanh":
                return partial(self._asic.tanh, cap=constants.logit_softcap)
            case _, "gelu" | "mul" | "relu" | "silu" | "softmax":
                function: Callable[..., F32] = self._asic.of(operator.op)
                return function
        self._asic.of(operator.op)  # what is registered says whose it is
        raise InputError(f"the values of {operator.op!r} ({operator.name}) cannot be computed", key="workload")

    def _each(self, operator: Operator, function: Callable[..., F32]) -> Node:
        taken = self._taken[operator.name]
        return lambda tokens: function(*map(tokens.take, taken))

    def _norm(self, operator: Operator, name: str, layer: int) -> Node:
        (taken,), eps = self._taken[operator.name], self._weights.constants.norm_eps
        vectors = [bf16(self._weights.gain(name, layer, folded=True))]
        if operator.op == "layernorm":
            bias = self._weights.bias(name, layer)
            assert bias is not None
            vectors.append(bf16(bias))
        function = self._asic.of(operator.op)

        def node(tokens: Passing) -> F32:
            x = tokens.take(taken)
            made: F32 = function(x.reshape(*x.shape[:-1], operator.rows, operator.inputs), *vectors, eps)
            return made.reshape(x.shape)

        return node

    def _rope(self, operator: Operator, layer: int) -> Node:
        taken = self._taken[operator.name]
        size = next(o.head_dim for o in self._known.values() if o.op == "attention" and operator.name in o.deps)

        def node(tokens: Passing) -> F32:
            cos, sin = (bf16(x)[:, None] for x in self._weights.rotations(layer, tokens.contexts - 1))
            x = np.concatenate([tokens.take(part) for part in taken], axis=-1)
            heads, half = x.reshape(*x.shape[:2], -1, size).copy(), cos.shape[-1]
            turned = self._asic.rope(heads[..., :half], heads[..., half : 2 * half], cos, sin)
            heads[..., :half], heads[..., half : 2 * half] = turned
            return heads.reshape(x.shape)

        return node

    # -- products --------------------------------------------------------------------------

    def _linear(self, operator: Operator, name: str, layer: int) -> Node:
        (taken,) = self._taken[operator.name]
        if operator.experts == 1:
            product = self._tied.get(operator.name) or self._product(operator, name, layer, 0)
            return lambda tokens: product(tokens.take(taken)[0])[None]
        products = [self._product(operator, name, layer, expert) for expert in range(operator.experts)]
        scope = self._plan.workload.select(operator.scope)
        router = [other.name for other in scope[: scope.index(operator)] if other.op == "topk"][-1]

        def node(tokens: Passing) -> F32:
            x, chosen = tokens.take(taken), tokens.chosen[router]
            made = np.empty((operator.active, len(chosen), operator.outputs), np.float32)
            for expert in np.unique(chosen):
                token, way = np.nonzero(chosen == expert)
                made[way, token] = products[expert](x[way if len(x) > 1 else 0, token])
            return made

        return node

    def _product(self, operator: Operator, name: str, layer: int, expert: int) -> Product | FormatProduct:
        weights, layout = self._weights, self._plan.memory.matrices[operator.name]
        if layout.grid.packing is not None:
            matrix = weights.matrix(name, layer, expert, folded=True)
            bias = weights.bias(name, layer, expert, folded=True) if operator.bias else None
            return FormatProduct(operator, layout, matrix, bias, self._rounds, self._asic)
        function = self._plan.functions.get(operator.name)
        return Product(
            self._sums,
            layout.sums,
            weights.matrix(name, layer, expert, folded=True),
            weights.bias(name, layer, expert, folded=True) if operator.bias else None,
            layout.takes_addend,
            function_table(function, weights.constants.gelu) if function else None,
            self._asic,
        )

    def _embedding(self, operator: Operator) -> Node:
        tied = tied_matrix(self._plan.workload, operator)
        if tied is not None:
            product = self._tied[tied] = self._product(self._known[tied], tied, 0, 0)
            rows: list[Callable[[Ints], F32]] = [product.rows]
        else:
            rows = [_rows_of(self._weights.table(0))]
        rows += [_rows_of(self._weights.table(i)) for i in range(1, len(operator.tables))]

        def node(tokens: Passing) -> F32:
            made = rows[0](tokens.ids)
            for table in rows[1:]:
                made = self._asic.sum(made, table(tokens.contexts - 1))
            return made[None]

        return node

    # -- attention -------------------------------------------------------------------------

    def _attention(self, operator: Operator, layer: int) -> Node:
        memory, taken = self._plan.memory, self._taken[operator.name]
        keys, values = memory.keys[operator.name], memory.values[operator.name]
        cap = self._weights.constants.attention_softcap
        attention: Attention | FormatAttention
        if keys.grid.packing is None:
            attention = Attention(operator, keys, values, self._sums, self._asic, self._softmax, cap)
        else:
            scales = scales_of(self._weights, layer, keys.grid.packing.pair.stored)
            attention = FormatAttention(operator, keys, values, scales, self._rounds, self._asic, cap)
        cache: Any = attention.cache()
        self.caches.append(cache)

        def node(tokens: Passing) -> F32:
            queries, keys, values = (tokens.take(part)[0] for part in taken)
            return attention(queries, keys, values, tokens.contexts, cache)[None]

        return node

    # -- experts ---------------------------------------------------------------------------

    def _topk(self, operator: Operator) -> Node:
        (taken,) = self._taken[operator.name]

        def node(tokens: Passing) -> F32:
            ids, shares = self._asic.topk(tokens.take(taken)[0], operator.outputs)
            order = np.argsort(ids, axis=-1)
            tokens.chosen[operator.name] = np.take_along_axis(ids, order, axis=-1)
            return np.take_along_axis(shares, order, axis=-1)[None]

        return node

    def _add(self, operator: Operator) -> Node:
        taken = self._taken[operator.name]
        if operator.experts == 1:
            return self._each(operator, self._asic.residual)
        shares = next(part for part in taken if self._known[part.name].op == "topk")
        (vectors,) = (part for part in taken if part is not shares)
        return lambda tokens: self._asic.weighted(tokens.take(vectors), tokens.take(shares)[0])[None]


def _rows_of(table: F32) -> Callable[[Ints], F32]:
    """What gives rows of a table, which is kept as BF16 words."""
    kept = words(table)
    return lambda rows: numbers(kept[rows])
