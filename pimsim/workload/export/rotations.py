"""Rotary embeddings: q and k times tables of cosines and sines, however a model writes it."""

from __future__ import annotations

from collections.abc import Callable

from pimsim.workload.export.node import Flow, Node, merged
from pimsim.workload.export.recorder import Event, Value


class Rotations:
    """The rotations of one recording, one node for each attention.

    tokens: of the step, of all sequences.  flows: where values come from.  new: makes a node.
    """

    def __init__(self, tokens: int, flows: dict[Value, Flow], new: Callable[..., Node]) -> None:
        self.tokens = tokens
        self.flows = flows
        self._new = new
        self._tables: set[Value] = set()
        self._complex: set[Value] = set()
        self._nodes: dict[int, Node] = {}
        self._rotated: dict[Node, int] = {}

    def note(self, event: Event) -> None:
        """Remember what is made of cosines and sines, and pairs of elements as complex numbers."""
        if event.op in ("cos", "sin", "polar") or any(value in self._tables for value in event.inputs):
            self._tables.update(event.outputs)
        if event.op == "view_as_complex":
            self._complex.update(event.outputs)

    def end(self, layer: int) -> None:
        """The attention of a layer has been met: another rotation would be of another one."""
        self._nodes.pop(layer, None)

    def place(self, event: Event, data: list[Flow], others: list[Value]) -> Node | None:
        """The rotation that an arithmetic operator is a part of; None if it is of none."""
        if event.call.layer < 0:
            return None
        turns = any(value in self._tables for value in others) or _is_table(event, others)
        known = self._nodes.get(event.call.layer)
        inside = known is not None and all(flow.sources == (known,) for flow in data)
        if not (turns or inside or event.op == "neg"):
            return None
        node = known or self._new("rope", event, data)
        self._nodes[event.call.layer] = node
        node.sources = tuple(s for s in merged([Flow(node.sources, frozenset()), *data]).sources if s is not node)
        roots = merged(data).roots - {node}
        for value in event.outputs:
            self.flows[value] = Flow((node,), roots)
        if turns:
            self._measure(node, event)
        return node

    def _measure(self, node: Node, event: Event) -> None:
        """Each rotated element is multiplied twice, by a cosine and by a sine; a complex number at once."""
        products = 4 if any(value in self._complex for value in event.inputs) else 1
        self._rotated[node] = self._rotated.get(node, 0) + products * event.outputs[0].elements
        node.inputs = node.outputs = self._rotated[node] // (2 * self.tokens)


def _is_table(event: Event, others: list[Value]) -> bool:
    """True for a product with what is neither data nor a parameter nor one number: a table of cosines or sines."""
    tables = [value for value in others if value.elements > 1 and not value.parameters]
    return event.op == "mul" and bool(tables)
