"""What views and copies pass on that the flow of single values does not show."""

from __future__ import annotations

from dataclasses import dataclass, field

from pimsim.workload.export.node import Flow, merged
from pimsim.workload.export.recorder import Event, Value


@dataclass
class Passing:
    """Of one recording.

    cached: values that come out of a cache, with what it held before.
    """

    cached: set[Value] = field(default_factory=set)
    _bases: dict[Value, Value] = field(default_factory=dict)
    _copied: dict[Value, Value] = field(default_factory=dict)

    def copies_parameter(self, event: Event) -> None:
        """A copy of a parameter alone (in another data type) or a view of one is that parameter."""
        source = self.parameter(event.inputs[0]) if event.inputs else None
        if source is None or not source.parameters or not (event.op == "_to_copy" or not event.kernel):
            return
        for value in event.outputs:
            if not value.parameters:
                self._copied[value] = Value(value.shape, value.stride, source.parameters)

    def parameter(self, value: Value) -> Value:
        """The parameter that a value is a copy of, in the value's shape; else the value."""
        return self._copied.get(value, value)

    def passes(self, event: Event, flows: dict[Value, Flow]) -> None:
        """A view is of its base; what is copied into it, its base has."""
        first = event.inputs[0]
        if any(value in self.cached for value in event.inputs):
            self.cached.update(event.outputs)
        if event.op == "copy_":
            base = self._bases.get(first)
            if base is not None:
                known = [flows[value] for value in (base, event.inputs[-1]) if value in flows]
                flows[base] = merged(known)
        elif not event.kernel and not event.op.startswith(("new_", "empty")):
            for value in event.outputs:
                self._bases[value] = self._bases.get(first, first)
