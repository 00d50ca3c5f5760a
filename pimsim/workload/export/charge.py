"""Every dispatched ATen operator is counted once: with an operator of the step, or as overhead of the step."""

from __future__ import annotations

from collections.abc import Sequence

from pimsim.workload.export.node import Node
from pimsim.workload.export.recorder import Call, Event


def charge(
    events: Sequence[Event], owners: Sequence[Node | None], sources: Sequence[tuple[Node, ...]]
) -> tuple[int, int]:
    """Count launches into the nodes; what is left over is returned: ATen operators, kernels.

    owners: the node of each event, None for glue.  sources: where the data of glue
    comes from.  Glue in a module that is one operator belongs to it; a cache update
    to the attention after it; other glue of a layer to the last node whose result it
    passes on, or else to the node after it.  What belongs to no layer and passes on
    no result (positions, masks, rotation tables) is overhead.
    """
    single = _single_nodes(events, owners)
    overhead = [0, 0]
    following: dict[int, Node] = {}
    last = {node.layer: node for node in owners if node is not None}
    for event, owner, source in reversed(list(zip(events, owners, sources, strict=True))):
        layer = event.call.layer
        node = owner or single.get(event.call) or _glue(event, source, following.get(layer), last.get(layer))
        if owner is not None:
            following[layer] = owner
        if node is None:
            overhead[0] += 1
            overhead[1] += event.kernel
        else:
            node.aten += 1
            node.kernels += event.kernel
    return overhead[0], overhead[1]


def _single_nodes(events: Sequence[Event], owners: Sequence[Node | None]) -> dict[Call, Node]:
    """The calls of modules without modules that hold exactly one node."""
    found: dict[Call, set[Node]] = {}
    for event, owner in zip(events, owners, strict=True):
        if event.call.leaf and owner is not None:
            found.setdefault(event.call, set()).add(owner)
    return {call: next(iter(nodes)) for call, nodes in found.items() if len(nodes) == 1}


def _glue(event: Event, sources: tuple[Node, ...], following: Node | None, last: Node | None) -> Node | None:
    own = [node for node in sources if node.layer == event.call.layer]
    if event.region is None and own:
        return own[-1]
    return (following or last) if event.call.layer >= 0 else None
