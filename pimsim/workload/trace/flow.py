"""What flows between the operators of one template: how many elements each gives, and who reads them.

    op                                 takes of its dependencies         gives
    linear                             all elements, one after another   `out` x rows
    layernorm, rmsnorm, softmax,       the same; heads of a merged q, k  `out` x rows
      rope, scale, topk, tanh            and v may be a part of it
    gelu, silu, relu, registered ones  the same; half of a product that  `out` x rows
                                         makes gate and up
    mul                                as many of each; of gate and up   `out` x rows
                                         the half; 1 or one a head
    add                                as many of each                   `out` x rows
    conv                               all elements, or channels of what `out`
                                         a state update reads as well
    attention                          queries, keys and values of its   `out`
                                         heads, or queries alone
    embedding, ssm_update              not checked: numbers, and a state `out`

An operator of several experts gives as many vectors as experts are active, but for the
sum of them.  What a router gives says which experts run, and is no input of others.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache

from pimsim.registry import derived
from pimsim.workload.ops import INPUT, OPS, TRANSPARENT
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import OpRecord

ROUTER = "router"
_MOST_PASSED = 64  # results that one is followed back to; more are no attention of any model


def size_of(op: OpRecord, taken: bool = False) -> Expr | None:
    """Elements of a token that an operator makes (or takes in) for each expert; None if it is no affine number."""
    one = op.inputs if taken else op.outputs
    if one.terms and op.rows.terms:
        return None
    return op.rows.scaled(one.constant) if op.rows.terms else one.scaled(op.rows.constant)


def is_activation(op: OpRecord) -> bool:
    """True if it maps elements one by one."""
    return _maps_elements(op.op)


@derived
@cache
def _maps_elements(op: str) -> bool:
    return op in OPS and OPS[op].activation


def is_router(op: OpRecord) -> bool:
    """True if its result says which experts run."""
    return op.role == ROUTER or op.op == "topk"


@dataclass(frozen=True)
class Part:
    """What an operator takes of one dependency; `stated`: of a slice that the trace states."""

    name: str
    elements: Expr
    stated: bool = False


@dataclass
class Flow:
    """The operators of a template so far.

    entering  elements of the vector that enters the blocks, and what follows them
    passed    of a transparent operator, the results that it passes on
    unknown   operators whose result has a size that is not known, or that is wrong already
    """

    ops: Mapping[str, OpRecord]
    entering: Expr | None = None
    passed: dict[str, frozenset[str]] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)

    def add(self, op: OpRecord) -> None:
        """Remember what a transparent operator passes on."""
        if op.op in TRANSPARENT:
            passed = {name for dep in self.inputs(op) for name in (dep, *self.passed.get(dep, ()))}
            if len(passed) <= _MOST_PASSED:
                self.passed[op.id] = frozenset(passed)

    def roots(self, op: OpRecord) -> frozenset[str]:
        """The products, or other operators that mix elements, which an operator reads, if through transparent ones."""
        return frozenset(
            name for dep in self.inputs(op) for name in (dep, *self.passed.get(dep, ())) if name not in self.passed
        )

    def inputs(self, op: OpRecord) -> list[str]:
        """The dependencies of an operator that give it elements: all but the choices of routers."""
        return [name for name in op.deps or (INPUT,) if not self._chooses(op, name)]

    def _chooses(self, op: OpRecord, dep: str) -> bool:
        """True if the dependency is a router's choice, which is no input."""
        before = self.ops.get(dep)
        return before is not None and is_router(before) and not is_router(op)

    def gives(self, name: str, reader: OpRecord) -> Expr | None:
        """Elements that a dependency gives to `reader`; None if that is not known."""
        if name == INPUT:
            return None if reader.scope == "once_before" else self.entering
        op = self.ops.get(name)
        if op is None or name in self.unknown or op.scope != reader.scope:
            return None
        size = size_of(op)
        several = op.experts > 1 and reader.experts == 1 and op.op != "add"
        return size.scaled(op.active) if size is not None and several else size

    def parts(self, op: OpRecord) -> list[Part] | None:
        """What an operator takes of each of its dependencies, choices of routers left out; None if one is not known."""
        found = []
        for name in self.inputs(op):
            stated = op.take.get(name)
            elements = self.gives(name, op) if stated is None else Expr(stated[1])
            if elements is None:
                return None
            found.append(Part(name, elements, stated is not None))
        return found

    def not_passed_on(self, parts: list[Part]) -> list[Part]:
        """Without what only replaces a part of another: a rotation of some elements whose product is read as well."""
        names = {part.name for part in parts}
        return [part for part in parts if not self.passed.get(part.name, frozenset()) & names]


def total(parts: Iterable[Part]) -> Expr:
    """Elements of all parts together."""
    result = Expr(0)
    for part in parts:
        result = result.plus(part.elements)
    return result


def givers(parts: Iterable[Part]) -> str:
    """What gives the parts, with the verb."""
    names = [repr(part.name) if part.name != INPUT else "what enters" for part in parts]
    names = [*names[:4], "others"] if len(names) > 5 else names
    return f"{names[0]} gives" if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]} give"


def wrong_vectors(op: OpRecord, given: Mapping[str, Expr]) -> Iterator[tuple[str, str]]:
    """Vectors of different numbers: only an attention reads both, of which one kind makes its K and V.

    given: vectors that each dependency gives in a step, as far as they are known.
    """
    kinds = {vectors: name for name, vectors in given.items() if op.op != "attention" or name != INPUT}
    others = [vectors for vectors in kinds if vectors != op.vectors]
    apart = " and ".join(f"{name!r} gives {vectors}" for vectors, name in list(kinds.items())[:4])
    if op.op == "attention" and len(others) > 1:
        yield "deps", f"{apart} vectors: what is no query makes K and V, as many of each"
    elif op.op == "attention" and others and len(others) == len(kinds):
        what = "is missing" if op.tokens is None else f"is {op.tokens}"
        yield "tokens", f"{what}: {apart} vectors, and none makes its queries; say how many queries it has"
    elif op.op != "attention" and len(kinds) > 1:
        yield "deps", f"{apart} vectors: only an attention reads both, of which one makes K and V"
    elif op.op != "attention" and others and op.tokens is None:
        yield "tokens", f"is missing: {apart} vectors; say how many it takes, {others[0]} or Q of them"
