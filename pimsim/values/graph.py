"""The graph of a model in float32: what every operator makes of every token, without the hardware's rounding.

It goes by the operators of the graph, so that each of their values can be set beside the hardware's: the scale of the
scores is part of the queries, as there, and K and V have the slots that they have there.  What an operator takes says
`workload.dataflow`.  The reference knows the families instead; the logits of both agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from pimsim.values.layers import in_layer
from pimsim.values.numbers import F32
from pimsim.values.reference import ACTIVATIONS, GELUS, capped, rotated, softmax
from pimsim.values.weights.model import Weights
from pimsim.workload.dataflow import Dataflow, Slice
from pimsim.workload.graph import Workload
from pimsim.workload.ops import IN_ORDER, INPUT, Operator

Made = Mapping[tuple[int, str], F32]
SCORES, SOFTCAP, SOFTMAX = "scores", "softcap", "softmax"  # of an attention, on the way to its value


class Graph:
    """A graph with its weights, and one sequence that grows; the matrices are held as they come, once."""

    def __init__(self, workload: Workload, weights: Weights) -> None:
        self.workload, self.weights = workload, weights
        self.flow = Dataflow(workload)
        self.caches: dict[tuple[int, str], list[F32]] = {}  # K and V of each slot, by copy and attention
        self.tokens = 0
        self._held: dict[tuple[object, ...], F32 | None] = {}

    def feed(self, token: int) -> Made:
        """What the operators make of the next token, by copy of the block (-1: outside of it) and name.

        Arrays (copies, elements): a copy for each active expert, in ascending order of the experts.  An attention also
        has `NAME.scores`, `NAME.softcap` if there is one, and `NAME.softmax`: (heads, slots of K that are seen).
        """
        self.tokens += 1
        made: dict[tuple[int, str], F32] = {}
        entering = np.zeros((1, 0), np.float32)
        for scope in IN_ORDER:
            operators = self.workload.select(scope)
            for copy in range(self.workload.blocks) if scope == "block" else (-1,):
                step = _Step(self, copy, token, entering)
                for operator in operators:
                    entering = step.made[operator.name] = step.run(operator)
                made |= {(copy, name): value for name, value in step.made.items() if name != INPUT}
        return made

    def array(self, kind: str, operator: Operator, copy: int, expert: int = 0) -> F32 | None:
        """A matrix, bias or gain of an operator, as the hardware has it but for its rounding."""
        key = (kind, operator.name, copy, expert)
        if key not in self._held:
            name, layer = in_layer(self.workload, operator.name, max(copy, 0))
            which = (name, layer) if kind == "gain" else (name, layer, expert)
            self._held[key] = getattr(self.weights, kind)(*which, folded=True)
        return self._held[key]

    def table(self, i: int) -> F32:
        """Rows of the embedding."""
        found = self._held.get(("table", i))
        if found is None:
            found = self._held["table", i] = self.weights.table(i)
        return found


class _Step:
    """One copy of one part of the graph, at one token."""

    def __init__(self, graph: Graph, copy: int, token: int, entering: F32) -> None:
        self._graph, self._copy, self._token = graph, copy, token
        self._constants, self._flow = graph.weights.constants, graph.flow
        self._position = graph.tokens - 1
        self._experts: NDArray[np.int64] = np.zeros(1, np.int64)  # of the latest router, ascending
        self.made: dict[str, F32] = {INPUT: entering}

    def run(self, operator: Operator) -> F32:
        """What an operator makes: (copies, elements)."""
        method: Callable[..., F32] = getattr(self, f"_{operator.op}", self._activation)
        return method(operator, *map(self._take, self._flow.slices[operator.name]))

    def _take(self, taken: Slice) -> F32:
        found: F32 = self.made[taken.name][:, taken.first : taken.first + taken.size]
        return found

    # -- rows, products, norms ---------------------------------------------------------------

    def _embedding(self, operator: Operator) -> F32:
        rows = [self._token, *[self._position] * (len(operator.tables) - 1)]
        total: F32 = sum(self._graph.table(i)[row] for i, row in enumerate(rows))
        return total[None]

    def _linear(self, operator: Operator, x: F32) -> F32:
        experts = self._experts if operator.experts > 1 else [0]
        vectors = [x[way if len(x) > 1 else 0].reshape(-1, operator.inputs) for way in range(len(experts))]
        return np.stack([self._product(operator, int(e), v) for e, v in zip(experts, vectors, strict=True)])

    def _product(self, operator: Operator, expert: int, x: F32) -> F32:
        matrix = self._graph.array("matrix", operator, self._copy, expert)
        bias = self._graph.array("bias", operator, self._copy, expert)
        assert matrix is not None
        made: F32 = x @ matrix.T
        return (made if bias is None else made + bias).reshape(-1)

    def _rmsnorm(self, operator: Operator, x: F32, bias: F32 | None = None) -> F32:
        rows = x.reshape(-1, operator.inputs)
        mean = np.mean(rows * rows, axis=1, keepdims=True)
        made = rows / np.sqrt(mean + np.float32(self._constants.norm_eps)) * self._vector("gain", operator)
        found: F32 = (made if bias is None else made + bias).reshape(x.shape)
        return found

    def _layernorm(self, operator: Operator, x: F32) -> F32:
        rows = x.reshape(-1, operator.inputs)
        centred = (rows - rows.mean(axis=1, keepdims=True)).reshape(x.shape)
        return self._rmsnorm(operator, centred, self._vector("bias", operator))

    def _vector(self, kind: str, operator: Operator) -> F32:
        found = self._graph.array(kind, operator, self._copy)
        assert found is not None
        return found

    # -- element by element ------------------------------------------------------------------

    def _activation(self, operator: Operator, x: F32) -> F32:
        function = GELUS[self._constants.gelu] if operator.op == "gelu" else ACTIVATIONS[operator.op]
        made: F32 = function(x)
        return made

    def _mul(self, operator: Operator, a: F32, b: F32) -> F32:
        return a * b

    def _scale(self, operator: Operator, x: F32) -> F32:
        return x * np.float32(self._constants.embed_scale)

    def _tanh(self, operator: Operator, x: F32) -> F32:
        return capped(x, self._constants.logit_softcap)

    def _softmax(self, operator: Operator, x: F32) -> F32:
        return softmax(x)

    def _add(self, operator: Operator, a: F32, b: F32) -> F32:
        if operator.experts == 1:
            return a + b
        vectors, shares = (a, b) if a.shape[1] == operator.outputs and len(a) == operator.active else (b, a)
        total: F32 = shares.reshape(1, -1) @ vectors
        return total

    def _topk(self, operator: Operator, x: F32) -> F32:
        likeliest = np.argsort(-x[0], kind="stable")[: operator.outputs]  # of equal ones the lowest
        self._experts = np.sort(likeliest)
        shares = x[:, self._experts]
        made: F32 = shares / shares.sum()
        return made

    # -- attention ---------------------------------------------------------------------------

    def _rope(self, operator: Operator, queries: F32, keys: F32) -> F32:
        size = self._flow.attention_behind(operator).head_dim
        _, layer = in_layer(self._graph.workload, operator.name, max(self._copy, 0))
        cos, sin = self._graph.weights.rotations(layer, np.array([self._position], np.int64))
        heads = np.concatenate([queries, keys], axis=1).reshape(1, -1, size)
        return rotated(heads, cos, sin).reshape(1, -1)

    def _attention(self, operator: Operator, queries: F32, keys: F32, values: F32) -> F32:
        window, heads = operator.window, operator.kv_heads
        slot = self._position % window if window else self._position
        cache = self._graph.caches.setdefault((self._copy, operator.name), [])
        row = np.stack([keys.reshape(heads, -1), values.reshape(heads, -1)])
        cache[slot : slot + 1] = [row]
        k, v = np.stack(cache, axis=2)  # (heads, slots, head_dim) each
        scores = queries.reshape(heads, -1, operator.head_dim) @ k.transpose(0, 2, 1)
        self._note(operator, SCORES, scores)
        if operator.softcap:
            scores = capped(scores, self._constants.attention_softcap)
            self._note(operator, SOFTCAP, scores)
        shares = softmax(scores)
        self._note(operator, SOFTMAX, shares)
        mixed: F32 = (shares @ v).reshape(1, -1)
        return mixed

    def _note(self, operator: Operator, what: str, value: F32) -> None:
        self.made[f"{operator.name}.{what}"] = value.reshape(operator.heads, -1)
