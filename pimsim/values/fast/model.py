"""A model as a plan has it, on values, many tokens at a time.

It walks the operators of the graph in their order and knows no model: what an operator takes says
`workload.dataflow`, how a sum is cut the layouts of the plan.  The order of rounding is that of the commands, so that
logits are the same to the bit; what decides it beyond a single operator:

- experts of a token run in ascending order of their numbers, and their results are added up in that order, each with
  its own weight;
- with a window, scores, their softmax and the sums over tokens are in the order of the slots of the ring: token t of
  a window of w has slot t % w;
- an embedding's row is added to that of the position, the first to the second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from pimsim.errors import InputError
from pimsim.mapping.plan import Plan
from pimsim.mapping.planner import ARITHMETIC
from pimsim.values.asic import Asic
from pimsim.values.fast.attention import Attention, Cache, Softmax
from pimsim.values.fast.beats import Beats, Ints
from pimsim.values.fast.products import Product
from pimsim.values.lookup import function_table, look_up, tabulated
from pimsim.values.numbers import F32, Words, bf16, numbers, words
from pimsim.values.weights.model import Weights
from pimsim.workload.dataflow import Slice, copies, slices
from pimsim.workload.ops import INPUT, Operator

BLOCK = 64  # tokens that go through the model together

Choice = tuple[int, int, int]  # context, copy of the block, number of the router in its scope, from 1
Made = dict[str, F32]  # of each operator (tokens, copies, elements)


class Fast:
    """A plan's model with its weights, and one sequence that grows.

    chosen: the experts of every token so far, in ascending order, by `Choice`.  Raises InputError for an operator
    that has no values.
    """

    def __init__(self, plan: Plan, weights: Weights) -> None:
        self.plan, self.weights = plan, weights
        self.asic = Asic(plan.config.asic)
        self.beats = Beats.of(plan.config, plan.grid.width)
        self.chosen: dict[Choice, tuple[int, ...]] = {}
        self.contexts = 0
        self._taken = slices(plan.workload)
        self._softmax = Softmax(self.asic)
        self._tables: dict[str, F32] = {}
        self._last: Ints | None = None
        makers = _Makers(self)
        self._before = [makers.node(o, 0) for o in plan.workload.select("once_before")]
        self._blocks = [
            [makers.node(o, copy) for o in plan.workload.select("block")] for copy in range(plan.workload.blocks)
        ]
        self._after = [makers.node(o, 0) for o in plan.workload.select("once_after")]

    def reset(self) -> None:
        ...
