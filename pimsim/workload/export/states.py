"""State-space mixers: what a module that keeps a state in place of K and V dispatches, as operators.

A mixer of `MIXERS` makes, as eager transformers write it,

    ssm_in        a product with all that the mixer needs: x, the gate, in Mamba-2 also B, C and dt
    ssm_conv      a depthwise convolution over the last tokens, and ssm_conv_act, its activation
    ssm_x, ssm_dt products that make B, C and dt of it (Mamba)
    ssm_update    h = exp(dt A) h + dt B x, y = C h + D x, with dt = softplus(dt + bias): the state h is kept, and
                  A, D and that bias are its own, also where the bias is stored with ssm_dt
    ssm_gate      y times ssm_gate_act, the SiLU of the gate; Mamba-2 normalises it: ssm_gate_norm
    ssm_out       a product

Products, convolution, activations and the gate are found as they are dispatched; everything else that a mixer
does to data is the update, whether it runs token by token or in chunks, and so are the parameters that it reads.
The size of the state is that of the cache which the model itself fills.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pimsim.errors import InputError
from pimsim.workload.attributes import Attributes
from pimsim.workload.export.groups import COPIES, PRODUCTS
from pimsim.workload.export.node import Flow, Node
from pimsim.workload.export.recorder import Call, Event, Value
from pimsim.workload.ops import ACTIVATIONS

# Classes of transformers whose forward pass is the above.
MIXERS = (
    "MambaMixer",
    "FalconMambaMixer",
    "JambaMambaMixer",
    "Mamba2Mixer",
    "BambaMixer",
    "GraniteMoeHybridMambaLayer",
    "Zamba2MambaMixer",
)
# Cache layers that hold a state, with K and V beside it or not.
KEEPS_STATE = ("LinearAttentionLayer", "LinearAttentionAndFullAttentionLayer")

Make = Callable[..., Node]


def is_mixer(kind: str) -> bool:
    """True for the name of a class that keeps a state from token to token."""
    return kind in MIXERS


@dataclass
class Mixers:
    """The mixers of one recording.

    states: shape of the state of each layer, of one sequence.  tokens: of the step, of all sequences.
    modules: names of the mixers.  gated: calls of norms that first multiply with the activation of a gate.
    new, absorb, passing, linear: the lowering's own.
    """

    states: Mapping[int, tuple[int, ...]]
    tokens: int
    modules: frozenset[str]
    gated: frozenset[Call]
    flows: Mapping[Value, Flow]
    new: Make
    absorb: Make
    passing: Callable[[Event, list[Flow]], None]
    linear: Callable[[Event, list[Flow], tuple[Value, ...], Value], Node]
    aux_flops: int = 0
    _updates: dict[int, Node] = field(default_factory=dict)
    _gates: set[Call] = field(default_factory=set)
    _origins: dict[Value, frozenset[str]] = field(default_factory=dict)

    def holds(self, event: Event) -> bool:
        """True for what a mixer itself dispatches, and for what a gated norm does up to its gate."""
        return is_mixer(event.call.kind) or (event.call in self.gated and event.call not in self._gates)

    def inside(self, call: Call) -> bool:
        """True for a mixer and its modules."""
        name = call.module
        while name and name not in self.modules:
            name = name.rpartition(".")[0]
        return bool(name)

    def place(self, event: Event, data: list[Flow]) -> Node | None:
        """The node that an operator of a mixer belongs to, None if it is glue."""
        if not data:
            self._derive(event)
            return None
        if event.op == "convolution":
            return self._convolution(event, data)
        if event.op in PRODUCTS:
            return self._product(event, data)
        if not event.kernel or event.op in COPIES:
            self.passing(event, data)
            return None
        if event.op in ACTIVATIONS:
            return self._activation(event, data)
        if node := self._gate(event, data):
            return node
        return self._update(event, data)

    def _derive(self, event: Event) -> None:
        """What is made of parameters alone: -exp(A), a bias in another type."""
        names = frozenset[str]().union(*(self._parameters(value) for value in event.inputs))
        self._origins.update(dict.fromkeys(event.outputs, names))

    def _parameters(self, value: Value) -> frozenset[str]:
        return self._origins.get(value, frozenset(value.parameters))

    def _convolution(self, event: Event, data: list[Flow]) -> Node:
        """Depthwise, over tokens: torch computes columns that nobody reads as well."""
        weight = event.inputs[1]
        channels, each, kernel = weight.shape
        if each != 1 or not weight.parameters:
            raise InputError(f"module {event.call.where}: a convolution that is not depthwise, or without a weight")
        self.aux_flops += 2 * event.outputs[0].elements * kernel
        node = self.new(
            "conv",
            event,
            data,
            inputs=channels,
            outputs=channels,
            weight=weight.parameters[0],
            bias=len(event.inputs) > 2,
            attributes=Attributes(kernel=kernel),
        )
        node.parameters.update(*(value.parameters for value in event.inputs))
        return node

    def _product(self, event: Event, data: list[Flow]) -> Node:
        """With a parameter it is a linear; C h and products over tokens of a chunk are the update's."""
        operands = event.inputs[1:3] if event.op in ("addmm", "baddbmm") else event.inputs[:2]
        weights = [value for value in operands if value.parameters]
        if weights:
            return self.linear(event, data, operands, weights[0])
        self.aux_flops += 2 * operands[0].elements * operands[1].shape[-1]
        return self._update(event, data)

    def _activation(self, event: Event, data: list[Flow]) -> Node:
        """Of the convolution, of all its columns; of the gate."""
        before = data[0].sources[0]
        each = before.outputs if before.op == "conv" else event.outputs[0].elements // self.tokens
        return self.new(event.op, event, data, inputs=each, outputs=each)

    def _gate(self, event: Event, data: list[Flow]) -> Node | None:
        """The product of the result with the activation of the gate."""
        if event.op not in ("mul", "mul_") or len(data) != 2:
            return None
        sources = [flow.sources for flow in data]
        if sorted(each[0].op for each in sources if len(each) == 1) != ["silu", "ssm_update"]:
            return None
        if any(node.op == "conv" for each in sources for one in each for node in one.sources if one.op == "silu"):
            return None
        self._gates.add(event.call)
        each = event.outputs[0].elements // self.tokens
        return self.new("mul", event, data, inputs=each, outputs=each)

    def _update(self, event: Event, data: list[Flow]) -> Node:
        layer = event.call.layer
        node = self._updates.get(layer)
        if node is None:
            shape = self.states.get(layer, ())
            if not shape:
                raise InputError(f"module {event.call.where}: its cache keeps no state")
            node = self._updates[layer] = self.new(
                "ssm_update", event, [], inputs=math.prod(shape), outputs=math.prod(shape[:-1])
            )
        for value in event.inputs:
            node.parameters |= self._parameters(value) if value not in self.flows else frozenset()
        found = {source: None for flow in data for source in flow.sources if source is not node}
        if any(node in source.sources for source in found):
            raise InputError(f"module {event.call.where}: its state needs what is made of its own result")
        if any(source.op == "conv" for source in found):
            raise InputError(f"module {event.call.where}: aten::{event.op} of a convolution is no activation")
        node.sources = tuple(dict.fromkeys((*node.sources, *found)))
        return self.absorb(event, node)
