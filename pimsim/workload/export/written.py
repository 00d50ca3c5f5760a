"""Attention that a model writes out itself: scores, what is done to them, and their product with the values.

    bmm(q, k)           two values of the tokens: the scores begin, an attention node is made
    add, div, softmax   of scores: positions (ALiBi), scale and mask; they belong to the node
    bmm(scores, v)      the result, with which the scores end

Positions that are added to scores are no operator: a slope times a distance joins the scale of
a score, which a trace counts already.  A mask may hide a window, which no recording shows; so
only families of `WRITTEN` are read this way, whose masks are known.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pimsim.workload.export.groups import PRODUCTS
from pimsim.workload.export.node import Flow, Node, merged
from pimsim.workload.export.recorder import Event, Region, Value

# Families whose attention is in code of their own and hides nothing but later tokens.
# source: their modelling code in transformers 5.18 and 5.24
WRITTEN = ("bloom", "codegen", "falcon", "gptj", "mpt")


@dataclass
class Written:
    """The attentions of one recording that are written out.

    scores: the values that are scores, or made of them, and the attention that they are of.
    kept: of each layer the heads of K that its cache takes.
    """

    sequences: int
    scores: dict[Value, Node] = field(default_factory=dict)
    kept: dict[int, int] = field(default_factory=dict)

    def caches(self, region: Region) -> None:
        """Remember what a cache takes: (batch, heads, tokens, elements) of K and V."""
        if len(region.arguments) == 2:
            self.kept[region.call.layer] = region.arguments[0].shape[1]

    def begins(self, event: Event, flows: Mapping[Value, Flow]) -> bool:
        """True for a product of two values of the tokens in a layer, none of them scores."""
        operands = factors(event)
        both = len(operands) == 2 and all(v in flows and not v.parameters for v in operands)
        known = event.call.layer in self.kept and not any(v in self.scores for v in event.inputs)
        return event.op in PRODUCTS and both and known

    def of(self, event: Event) -> Node | None:
        """The attention whose scores an operator reads."""
        return next((self.scores[v] for v in event.inputs if v in self.scores), None)

    def begin(self, event: Event, node: Node, flows: Mapping[Value, Flow]) -> None:
        """Sizes of the attention from q (batch x heads, tokens, elements) and k (batch x heads, elements, context)."""
        queries, keys = factors(event)
        node.heads, node.head_dim = queries.shape[0] // self.sequences, queries.shape[-1]
        node.kv_len = keys.shape[-1]
        node.kv_heads = self.kept[node.layer]
        node.feeds = (flows[queries].roots, flows[keys].roots)
        self.follow(event, node)

    def follow(self, event: Event, node: Node) -> None:
        """What is made of scores are scores."""
        self.scores.update(dict.fromkeys(event.outputs, node))

    def ends(self, event: Event, flows: Mapping[Value, Flow]) -> bool:
        """True for the product of scores with values of the tokens."""
        operands = factors(event)
        return event.op in PRODUCTS and len(operands) == 2 and operands[0] in self.scores and operands[1] in flows

    def end(self, event: Event, node: Node, flows: Mapping[Value, Flow]) -> None:
        """V is known: with it what the attention reads and makes."""
        values = flows[factors(event)[1]]
        node.value_dim = factors(event)[1].shape[-1]
        node.sources = merged([Flow(node.sources, frozenset()), values]).sources
        node.feeds = (*node.feeds, values.roots)
        if heads := _of_one_product(node):
            _rotate_fewer(node, heads)
            node.kv_heads = heads
        size_heads(node)


def factors(event: Event) -> tuple[Value, ...]:
    """The two factors of a product; what is added to it is left out."""
    return event.inputs[1:3] if event.op in ("addmm", "baddbmm") else event.inputs[:2]


def size_heads(node: Node) -> None:
    """Elements that an attention reads, and makes, of a token; queries alone if K and V are there already."""
    kept = node.kv_heads if node.attributes.append else 0
    node.inputs = (node.heads + kept) * node.head_dim + kept * node.value_dim
    node.outputs = node.heads * node.value_dim


def _rotate_fewer(node: Node, kv_heads: int) -> None:
    """A rotation of K's heads that were repeated before rotates each once."""
    for rope in (source for source in node.sources if source.op == "rope"):
        each = rope.inputs // (node.heads + node.kv_heads)
        rope.inputs = rope.outputs = each * (node.heads + kv_heads)


def _of_one_product(node: Node) -> int:
    """Heads of K that one product makes with those of q and v; 0 if it does not.

    Where a model repeats K and V before it keeps them (Falcon-40B), the cache has as many heads as q.
    """
    roots = frozenset[Node]().union(*node.feeds)
    if len(roots) != 1 or node.head_dim != node.value_dim:
        return 0
    return (next(iter(roots)).outputs // node.head_dim - node.heads) // 2
