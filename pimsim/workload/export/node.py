"""What lowering makes of a recording: one node per operator of the step."""

from __future__ import annotations

from dataclasses import dataclass, field

from pimsim.errors import InputError
from pimsim.workload.attributes import Attributes
from pimsim.workload.export.recorder import Call
from pimsim.workload.ops import NORMS

# What a router does with its scores.  A trace has no sigmoid: it costs what a silu costs (`fold`).
ROUTER_OPS = ("softmax", "topk", "sigmoid")
BEFORE, BLOCK, AFTER = "once_before", "block", "once_after"


@dataclass(eq=False)
class Node:
    """One operator of a step; sizes in elements per token, as in `pimsim.workload.ops.Operator`.

    layer: the decoder layer, -1 outside.  sources: the nodes whose results it reads.
    copies: results per token.  routed: made by routed experts, whose results are not yet added up.
    feeds: of an attention, the nodes that q, k and v come from, rotation aside.
    vectors: that a product takes in the recorded step, if not one for each of its tokens (0): those of an
    encoder, or of all tokens of the cache again.
    source: tokens of an encoder whose vectors it takes, or whose K and V it reads (0: it reads the step's own).
    crosses: an attention to what an encoder made.
    positions: the name of an embedding of positions alone.
    shares: the node before whose weights these are.  own: elements of the vectors of a state update.
    mixer: it is a part of a mixer that keeps a state.  take: of a source the first element and how many, where it
    reads a part.
    """

    op: str
    call: Call
    scope: str
    sources: tuple[Node, ...] = ()
    inputs: int = 0
    outputs: int = 0
    rows: int = 1
    per: str = "token"
    copies: int = 1
    routed: bool = False
    weight: str = ""
    layout: str = "in_out"
    bias: bool = False
    tables: tuple[int, ...] = ()
    table_names: tuple[str, ...] = ()
    tied: bool = False
    experts: int = 1
    active: int = 1
    heads: int = 0
    kv_heads: int = 0
    head_dim: int = 0
    kv_len: int = 0
    value_dim: int = 0
    vectors: int = 0
    source: int = 0
    crosses: bool = False
    positions: str = ""
    attributes: Attributes = Attributes()
    feeds: tuple[frozenset[Node], ...] = ()
    parameters: set[str] = field(default_factory=set)
    shares: Node | None = None
    own: int = 0
    mixer: bool = False
    take: tuple[tuple[Node, int, int], ...] = ()
    aten: int = 0
    kernels: int = 0
    role: str = ""
    name: str = ""

    @property
    def layer(self) -> int:
        """The decoder layer it belongs to, -1 outside."""
        return self.call.layer


def share(nodes: list[Node]) -> None:
    """Note which products and norms read the very parameters of one before them; InputError for a shared bias."""
    owners: dict[tuple[str, frozenset[str]], Node] = {}
    for node in nodes:
        if node.op not in ("linear", *NORMS) or not node.parameters:
            continue
        owner = owners.setdefault((node.op, frozenset(node.parameters)), node)
        if owner is node:
            continue
        if node.bias:
            raise InputError(f"module {node.call.where}: shares its bias with {owner.call.where}, not its matrix alone")
        node.shares = owner


@dataclass(frozen=True)
class Flow:
    """Where a value comes from.

    sources: nodes that made it, copies and views aside.  roots: the same, rotation aside.
    """

    sources: tuple[Node, ...]
    roots: frozenset[Node]


def merged(flows: list[Flow]) -> Flow:
    """The sources of a value made of several; in order, each once."""
    sources = tuple(dict.fromkeys(node for flow in flows for node in flow.sources))
    return Flow(sources, frozenset[Node]().union(*(flow.roots for flow in flows)))


def flow_of(node: Node) -> Flow:
    """The flow of what a node made."""
    return Flow((node,), frozenset((node,)))
