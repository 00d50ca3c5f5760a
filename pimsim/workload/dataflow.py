"""Which elements each operator of a model's graph takes of the results of others.

What an operator makes of one token is a vector of `width` elements, of each of its `copies`: the
experts that are active.  Where one product makes q, k and v, or gate and up, readers take their parts.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, OPS, Operator


class Slice(NamedTuple):
    """`size` elements from `first` on of each copy of what operator `name` (or `INPUT`) makes of a token."""

    name: str
    first: int
    size: int


class Dataflow:
    """Who takes what in a graph.

    slices: what every operator takes, by name, in the order in which it needs them

        attention  queries, keys, values
        rope       queries, keys: all of their heads, also where fewer elements are rotated
        add        both summands; of experts their vectors, and their weights
        mul        both factors
        embedding  nothing: its rows come by token and position
        others     their input

    What a router gives says which experts run, and is no input of their products.  InputError for an operator that
    keeps a state: nobody computes its values.
    """

    def __init__(self, workload: Workload) -> None:
        if kept := [_no_values(workload, operator) for operator in workload.operators if operator.keeps_state]:
            raise InputError(kept)
        self.entering = workload.shape.d_model
        self.known = {operator.name: operator for operator in workload.operators}
        self.slices = {name: tuple(self._taken(operator)) for name, operator in self.known.items()}

    def copies(self, name: str) -> int:
        """Vectors that an operator makes of a token: one for each active expert; their sum is one."""
        operator = self.known.get(name)
        return 1 if operator is None or operator.op == "add" else operator.active

    def width(self, name: str) -> int:
        """Elements of one copy of what an operator (or `INPUT`) makes of a token."""
        if name == INPUT:
            return self.entering
        operator = self.known[name]
        if operator.op == "rope":  # with the elements that it does not rotate
            return sum(size for _, _, size in self._taken(operator))
        return operator.outputs * operator.rows

    def attention_behind(self, rope: Operator) -> Operator:
        """The attention whose queries and keys are rotated."""
        return next(o for o in self.known.values() if o.op == "attention" and rope.name in o.deps)

    def _taken(self, operator: Operator) -> Iterator[Slice]:
        if operator.op in ("attention", "rope"):
            yield from self._heads(operator)
        elif operator.op == "mul" or OPS[operator.op].activation:
            yield from (self._part(operator, whole) for whole in self._inputs(operator))
        elif operator.op != "embedding":
            yield from self._inputs(operator)

    def _inputs(self, operator: Operator) -> Iterator[Slice]:
        stated = {name: Slice(name, first, size) for name, first, size in operator.take}
        for dep in operator.deps:
            routes = dep in self.known and self.known[dep].op == "topk"
            if operator.op == "add" or not routes:
                yield stated.get(dep) or Slice(dep, 0, self.width(dep))

    @staticmethod
    def _part(operator: Operator, whole: Slice) -> Slice:
        """Of a product that makes gate and up: its first half is the gate, whose function is taken, the second up."""
        wanted = operator.outputs * operator.rows
        first = wanted if operator.op == "mul" and whole.size > wanted else 0
        return Slice(whole.name, whole.first + first, wanted)

    def _heads(self, operator: Operator) -> Iterator[Slice]:
        """Queries, keys and values: each from a product of its own, or from one that makes several of them."""
        attention = operator if operator.op == "attention" else self.attention_behind(operator)
        queries, kv = attention.heads * attention.head_dim, attention.kv_width
        parts = [(0, queries), (queries, kv), (queries + kv, kv)][: 3 if operator.op == "attention" else 2]
        for name, first, size in self._inputs(operator):
            makes_several = size > max(queries, kv)
            rotated = name in self.known and self.known[name].op == "rope"
            here = parts[:2] if rotated else parts[:] if makes_several else parts[:1]
            del parts[: len(here)]
            yield from (Slice(name, first + at * makes_several, wanted) for at, wanted in here)


def _no_values(workload: Workload, operator: Operator) -> Problem:
    what = f"the values of {operator.op!r} ({operator.name}), which keeps a state, are not computed: it can only be run"
    key = operator.name if workload.source else "workload"
    return Problem(workload.source, operator.line, 1 if operator.line else 0, key, what)
