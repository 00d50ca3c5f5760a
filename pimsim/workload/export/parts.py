"""Which elements of a result are read, where a model splits it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pimsim.workload.export.node import Flow, Node
from pimsim.workload.export.recorder import Event, Value

_SPLITS = ("split", "split_with_sizes")
_Part = tuple[int, int]  # first element and one behind the last


@dataclass
class Parts:
    """Follows the parts of what nodes make; `taken` says what each node reads of each other.

    Only `split` makes a part of a whole; every other operator that makes no node passes its part on.
    """

    flows: Mapping[Value, Flow]
    tokens: int
    _parts: dict[Value, _Part] = field(default_factory=dict)
    _read: dict[Node, dict[Node, set[_Part]]] = field(default_factory=dict)

    def follow(self, event: Event, owner: Node | None) -> None:
        """Note what an operator reads, or passes on."""
        data = [(value, self.flows[value].sources) for value in event.inputs if value in self.flows]
        if owner is not None:
            for value, sources in data:
                for source in sources:
                    if source is not owner:
                        whole = (0, source.outputs * source.rows)
                        self._read.setdefault(owner, {}).setdefault(source, set()).add(self._parts.get(value, whole))
        elif len(data) == 1 and len(data[0][1]) == 1:
            self._pass(event, *data[0])

    def _pass(self, event: Event, value: Value, sources: tuple[Node, ...]) -> None:
        first, end = self._parts.get(value, (0, sources[0].outputs * sources[0].rows))
        if event.op not in _SPLITS:
            self._parts.update(dict.fromkeys(event.outputs, (first, end)))
            return
        for out in event.outputs:
            size = (end - first) * out.elements // max(1, value.elements)
            at = sum(
                (end - first) * o.elements // max(1, value.elements) for o in event.outputs[: event.outputs.index(out)]
            )
            self._parts[out] = (first + at, first + at + size)

    def taken(self, node: Node) -> tuple[tuple[Node, int, int], ...]:
        """(source, first element, elements) of every source that is read in part, and in one piece."""
        found = []
        for source, parts in self._read.get(node, {}).items():
            first, end = min(part[0] for part in parts), max(part[1] for part in parts)
            if end - first < source.outputs * source.rows:
                found.append((source, first, end - first))
        return tuple(found)
