"""What mixes tokens: attentions and state updates of a template, their heads, and how many layers they make.

Attentions that share a producer are one of the model's attentions, written apart: together they
have its heads.  So are attentions of one layer whose own products read the same vector, if
none has the heads of the model alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import TypeVar

from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.flow import Flow, Part, givers, total
from pimsim.workload.trace.records import HeadGroup, Line, ModelInfo, OpRecord

Wrong = tuple[str, str]  # key and message
_T = TypeVar("_T")


@dataclass(frozen=True)
class _Attention:
    """One attention: elements that it takes, and the parts that it takes them of (None: not known).

    queries: elements of them; made: of keys and values, where both are made for it.
    """

    op: OpRecord
    line: Line
    queries: int
    made: int
    parts: tuple[Part, ...] | None
    roots: frozenset[str]

    @property
    def crosses(self) -> bool:
        """True if K and V are there already, or made of other vectors than the queries: those of an encoder."""
        return self.op.queries_alone or self.op.appended is not None

    @property
    def heads(self) -> int:
        return sum(group.heads for group in self.op.head_groups)

    @property
    def kv_heads(self) -> int:
        return sum(group.kv_heads for group in self.op.head_groups)


Group = list[_Attention]


@dataclass
class Mixers:
    """The attentions and state updates of a template so far."""

    flow: Flow
    model: ModelInfo
    whose: str  # line says what the model is
    attentions: dict[str, _Attention] = field(default_factory=dict)
    states: dict[str, frozenset[str]] = field(default_factory=dict)
    convolutions: int = 0

    def attention(self, op: OpRecord, line: Line, parts: list[Part] | None) -> Iterator[Wrong]:
        """Take in an attention; whether it takes what its heads need, and no more than there is."""
        if not op.head_groups:
            return
        queries, keys, values = op.queries, *_made(op)
        parts = parts and [self._of_each_head(part, op.head_groups[0]) for part in parts]
        # A V that is the first elements of K comes with it, if it says that it is smaller.
        taken = [queries + keys + values, queries] + [queries + keys] * (values < keys)
        if op.inputs not in map(Expr, taken):
            both = f"{taken[0]} elements (queries, keys and values), or the {queries} of queries alone"
            yield "in", f"is {op.inputs}, but its heads take {both}" + _LATENT.format(taken[-1]) * (values < keys)
            parts = None
        elif parts is not None and not any(part.elements.terms for part in parts):
            given = total(self.flow.not_passed_on(parts)).constant
            if op.inputs.constant > max(given, 0):
                yield "in", f"is {op.inputs}, but {givers(parts)} {given} elements"
                parts = None
        if op.scope == "block":
            kept = None if parts is None else tuple(parts)
            made = 0 if op.queries_alone or op.inputs.terms else op.inputs.constant - queries
            self.attentions[op.id] = _Attention(op, line, queries, made, kept, self.flow.roots(op))

    def _of_each_head(self, part: Part, group: HeadGroup) -> Part:
        """A rotation of fewer elements than a head of K has is a part of each of its heads (latent attention)."""
        op = self.flow.ops.get(part.name)
        less = not part.elements.terms and part.elements.constant < group.head_dim
        if op is None or op.op != "rope" or not less:
            return part
        return replace(part, elements=part.elements.scaled(group.kv_heads))

    def state(self, op: OpRecord) -> Iterator[Wrong]:
        """Take in a state update: each element of the result has as many of the state."""
        if not op.inputs.terms and not op.outputs.terms and op.inputs.constant % op.outputs.constant:
            yield "in", f"is {op.inputs}: a state has the same number of elements for each of `out`, {op.outputs}"
        if op.scope == "block":
            self.states[op.id] = self.flow.roots(op)

    def convolution(self, op: OpRecord) -> None:
        """Take in a convolution over tokens: it goes with a state update, or is all that mixes tokens in its layer."""
        self.convolutions += op.scope == "block"

    def wrong(self, layers: int | None) -> Iterator[tuple[str, str, Line | None]]:
        """What the whole template shows: (key, message, line), without a line that of the template.

        layers: that the block spans (None: no block).
        """
        attentions = list(self.attentions.values())
        groups = _joined(attentions, [attention.roots for attention in attentions])
        for group in groups:
            yield from self._wrong_shares(group)
        groups = self._by_layer(groups)
        yield from self._wrong_heads(groups)
        if layers is not None:
            yield from self._wrong_layers(groups, layers)

    def _wrong_shares(self, group: Group) -> Iterator[tuple[str, str, Line | None]]:
        """All that the producers of some attentions give is read, by one alone or by all together."""
        parts = {part.name: part for one in group for part in one.parts or ()}
        if any(one.parts is None for one in group) or any(part.elements.terms for part in parts.values()):
            return
        stated = any(part.stated for part in parts.values())
        given = total(self.flow.not_passed_on(list(parts.values()))).constant
        if len(group) == 1 or stated:
            for one in group:
                alone = total(self.flow.not_passed_on(list(one.parts or ()))).constant
                if (len(group) == 1 or any(part.stated for part in one.parts or ())) and one.op.inputs != Expr(alone):
                    what = f"is {one.op.inputs}, but {givers(one.parts or ())} {alone} elements; a reader takes all, or"
                    yield "in", f"{what} the slice that its `take` states", one.line
            return
        queries, own = sum(one.queries for one in group), [one.made for one in group]
        if not max(own) <= given - queries <= sum(own):
            taken = sum(one.op.inputs.constant for one in group)
            names = ", ".join(one.op.id for one in group[:4])
            what = f"{names} take {taken} elements together, but {givers(list(parts.values()))} {given}"
            yield "in", what, group[0].line

    def _by_layer(self, groups: list[Group]) -> list[Group]:
        """Groups that only together have the heads of the model, joined where their products read the same."""
        whole = [group for group in groups if self._has_heads(group)]
        rest = [group for group in groups if not self._has_heads(group)]
        sources = [frozenset(self._sources(one.roots for one in group)) for group in rest]
        joined = [[one for group in some for one in group] for some in _joined(rest, sources)]
        return whole + joined

    def _sources(self, roots: Iterable[frozenset[str]]) -> Iterator[str]:
        """What the products read from which attentions take."""
        for root in (name for some in roots for name in some):
            op = self.flow.ops.get(root)
            yield from self.flow.inputs(op) if op is not None and op.op == "linear" else (root,)

    @staticmethod
    def _heads(group: Group) -> int:
        return sum(one.heads for one in group)

    def _wrong_heads(self, groups: list[Group]) -> Iterator[tuple[str, str, Line | None]]:
        """Heads as the model says; of K and V, and in their size, at least those of one attention."""
        model = self.model
        right = {"heads": self._has_heads, "kv_heads": self._has_kv_heads, "head_dim": self._has_head_dim}
        for group in groups:
            found = {
                "heads": self._heads(group),
                "kv_heads": sum(one.kv_heads for one in group),
                "head_dim": group[0].op.head_groups[0].head_dim,
            }
            for key, holds in right.items():
                if holds(group) or (key != "heads" and any(map(holds, groups))):
                    continue
                who = "" if len(group) == 1 else f" of {', '.join(one.op.id for one in group[:4])} together"
                path = f"head_groups.0.{key}" if len(group[0].op.head_groups) == 1 else "head_groups"
                yield path, f"{found[key]}{who}, but the {self.whose}'s model has {getattr(model, key)}", group[0].line

    def _has_heads(self, group: Group) -> bool:
        return self._heads(group) == self.model.heads

    def _has_head_dim(self, group: Group) -> bool:
        return all(heads.head_dim == self.model.head_dim for one in group for heads in one.op.head_groups)

    def _has_kv_heads(self, group: Group) -> bool:
        """True if the heads of K and V are the model's; attentions written apart may each have the same."""
        counts = [one.kv_heads for one in group]
        return max(counts) <= self.model.kv_heads <= sum(counts)

    def _wrong_layers(self, groups: list[Group], layers: int) -> Iterator[tuple[str, str, Line | None]]:
        """n layers have n mixers: an attention and a state may stand side by side, and a cross attention adds none."""
        crosses = sum(all(one.crosses for one in group) for group in groups)
        own, states = len(groups) - crosses, len(_joined(list(self.states), list(self.states.values())))
        if not max(own, states) <= layers <= own + states + crosses + self.convolutions:
            has = f"the block has {own + states or crosses} of what mixes tokens (attention or state update)"
            yield "repeat.layers", f"is {layers}, but {has}, and each layer has one", None


_LATENT = ", or {} where V is the first elements of K"


def _made(op: OpRecord) -> tuple[int, int]:
    """Elements of the keys and of the values of a token."""
    keys = sum(group.kv_heads * group.head_dim for group in op.head_groups)
    return keys, sum(group.kv_heads * (group.value_dim or group.head_dim) for group in op.head_groups)


def _joined(items: list[_T], keys: list[frozenset[str]]) -> list[list[_T]]:
    """Items in groups: those that have a key in common, directly or through others; in order."""
    owner: dict[str, int] = {}
    parent = list(range(len(items)))

    def find(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    for i, names in enumerate(keys):
        for name in names:
            first = find(owner.setdefault(name, i))
            if first != find(i):
                a, b = sorted((first, find(i)))
                parent[b] = a
    groups: dict[int, list[_T]] = {}
    for i, item in enumerate(items):
        groups.setdefault(find(i), []).append(item)
    return list(groups.values())
