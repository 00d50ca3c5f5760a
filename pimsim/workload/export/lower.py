"""From dispatched ATen operators to the operators of a step, by following the values.

A value is data if it comes from the token embedding; everything else (positions, masks,
rotation tables) is overhead of the step.  Views and copies pass data through.  A product
of data with a parameter is a linear; a product of two computed values is allowed in an
attention region only.  What nothing here knows is an error that names the module.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

from pimsim.errors import InputError
from pimsim.workload.attributes import Attributes
from pimsim.workload.export.groups import COPIES, PRODUCTS, Group, groups
from pimsim.workload.export.model import StepRecording
from pimsim.workload.export.node import (
    AFTER,
    BEFORE,
    BLOCK,
    ROUTER_OPS,
    Flow,
    Node,
    flow_of,
    merged,
    share,
)
from pimsim.workload.export.parts import Parts
from pimsim.workload.export.passing import Passing
from pimsim.workload.export.recorder import Call, Event, Region, Value
from pimsim.workload.export.rotations import Rotations
from pimsim.workload.export.shape import POSITION_BIAS
from pimsim.workload.export.states import Mixers, is_mixer
from pimsim.workload.export.written import Written, factors, size_heads
from pimsim.workload.ops import ACTIVATIONS, OPS

# Caches of a model with an encoder, beside those of its decoder: what the decoder attends to, and the encoder's own.
_CROSS, _ENCODER = "cross", "encoder"
_ARITHMETIC = {"add", "sub", "rsub", "mul", "div", "neg", "add_", "mul_", "div_"}
_FUNCTIONS = {name: name for name in (*ACTIVATIONS, "tanh", "topk", "sigmoid")} | {"_softmax": "softmax"}


class Lowering:
    """One recording turned into `nodes`; `owners` and `sources` say for each event where it belongs."""

    def __init__(
        self, recording: StepRecording, shapes: Mapping[str, tuple[int, ...]], token_table: str, written: bool = False
    ) -> None:
        self.tokens = recording.tokens * recording.batch
        self.sequences = recording.batch
        self.shapes = shapes
        self.token_table = token_table
        self.nodes: list[Node] = []
        self.owners: list[Node | None] = []
        self.sources: list[tuple[Node, ...]] = []
        self.flows: dict[Value, Flow] = {}
        self.aux_flops = 0
        self._context, self._source, self._entering = recording.context, recording.source, recording.entering
        self._mask = recording.mask
        self.flows.update((value, Flow((), frozenset())) for value in recording.entering)
        self._written = Written(self.sequences) if written else None
        self._passing = Passing()
        self._groups = groups(recording.events)
        self._made: dict[Call | Region, Node] = {}
        self._rotations = Rotations(self.tokens, self.flows, self._new)
        self.mixers = Mixers(
            recording.states,
            self.tokens,
            frozenset(event.call.module for event in recording.events if is_mixer(event.call.kind)),
            frozenset(call for call, group in self._groups.items() if group.gated),
            self.flows,
            self._new,
            self._absorb,
            self._pass,
            self._linear,
        )
        parts = Parts(self.flows, self.tokens)
        for event in recording.events:
            self.owners.append(self._place(event))
            parts.follow(event, self.owners[-1])
            self.sources.append(merged([self.flows[v] for v in event.inputs if v in self.flows]).sources)
        self.aux_flops += self.mixers.aux_flops
        for node in self.nodes:
            taken = parts.taken(node)
            if node.mixer or any(source.op == "add" for source, _, _ in taken):
                node.take = taken
            if node.op == "ssm_update":
                node.own = sum(math.prod(self.shapes[name]) for name in node.parameters)
                node.sources = tuple(sorted(node.sources, key=self.nodes.index))
        share(self.nodes)

    def _place(self, event: Event) -> Node | None:
        """The node an operator belongs to, None if it is glue; what it made is noted in `flows`."""
        data = [self.flows[value] for value in event.inputs if value in self.flows]
        if event.region is not None:
            return self._in_region(event, event.region)
        if self.mixers.holds(event):
            return self.mixers.place(event, data)
        if self._written is not None and (node := self._writes_attention(event, self._written)):
            return node
        if event.op == "embedding":
            return self._embedding(event)
        if event.op in PRODUCTS:
            return self._product(event, data)
        if not data:
            self._auxiliary(event)
            return None
        if event.call in self._groups:
            return self._grouped(event, data)
        if not event.kernel or event.op in COPIES:
            self._pass(event, data)
            return None
        if event.op in _ARITHMETIC:
            return self._arithmetic(event, data)
        if event.op in _FUNCTIONS:
            return self._elementwise(_FUNCTIONS[event.op], event, data)
        if node := self._routing(data) or self._weighted_sum(event, data):
            return self._absorb(event, node)
        raise InputError(f"module {event.call.where}: aten::{event.op} is not an operator that a trace can hold")

    # ---- what makes no node

    def _auxiliary(self, event: Event) -> None:
        """Positions, masks and rotation tables; rotation tables are remembered."""
        self._rotations.note(event)
        self._passing.copies_parameter(event)

    def _pass(self, event: Event, data: list[Flow]) -> None:
        """A view or a copy: `index` takes from its first value, the others from all values."""
        first = self.flows.get(event.inputs[0])
        flow = first if event.op == "index" and first else merged(data)
        for value in event.outputs:
            self.flows[value] = flow
        self._passing.passes(event, self.flows)
        self._rotations.note(event)

    def _absorb(self, event: Event, node: Node) -> Node:
        for value in event.outputs:
            self.flows[value] = flow_of(node)
        return node

    def _new(self, op: str, event: Event, data: list[Flow], **facts: object) -> Node:
        """A new node that reads `data` and makes the event's outputs."""
        node = Node(op, event.call, self._scope(event.call), merged(data).sources, **facts)  # type: ignore[arg-type]
        node.mixer = self.mixers.inside(event.call)
        self.nodes.append(node)
        return self._absorb(event, node)

    def _scope(self, call: Call) -> str:
        if call.layer >= 0:
            return BLOCK
        return AFTER if any(node.scope == BLOCK for node in self.nodes) else BEFORE

    # ---- tables and products

    def _embedding(self, event: Event) -> Node:
        """The token table makes the node; tables of positions join it, but where an encoder has its own."""
        table = event.inputs[0]
        if table.parameters and event.call.layer >= 0 and event.inputs[1] not in self.flows:
            return self._relative(event, table)
        if not table.parameters or self._scope(event.call) != BEFORE:
            raise InputError(f"module {event.call.where}: an embedding that is neither of tokens nor of positions")
        rows, width = table.shape
        known = next((node for node in self.nodes if node.op == "embedding" and not node.positions), None)
        if known is not None and (self._source or self._mask):
            known = self._new("embedding", event, [], outputs=width, positions="positions")
        elif known is None:
            if self.token_table not in table.parameters:
                raise InputError(f"module {event.call.where}: an embedding before that of the tokens")
            known = self._new("embedding", event, [], outputs=width)
        known.parameters.update(table.parameters)
        known.tables += (rows,)
        own = next(n for n in table.parameters if n.startswith(event.call.module + "."))
        both = known.positions == "" and (self._source or self._mask)  # of an encoder and a decoder: by one name
        known.table_names += (self.token_table if both else own,)
        known.inputs += rows
        return self._absorb(event, known)

    def _relative(self, event: Event, table: Value) -> Node:
        """A table of what is added to scores by distance (T5): read before the layers, one row a token."""
        call = replace(event.call, layer=-1)
        rows, width = table.shape
        node = Node("embedding", call, BEFORE, (), rows, width, tables=(rows,), positions=POSITION_BIAS)
        node.table_names, node.parameters = table.parameters[:1], set(table.parameters)
        self.nodes.insert(0, node)
        return node

    def _product(self, event: Event, data: list[Flow]) -> Node | None:
        operands = tuple(self._passing.parameter(value) for value in factors(event))
        weights = [value for value in operands if value.parameters]
        if not data and not weights:  # positions times frequencies of a rotation table
            self._auxiliary(event)
            self.aux_flops += _product_flops(operands)
            return None
        if len(weights) != 1 or not data or len(operands) != 2 or event.op not in ("mm", "addmm", "bmm", "_grouped_mm"):
            raise InputError(
                f"module {event.call.where}: a matrix product (aten::{event.op}) that is neither of data and one "
                "parameter, nor in an attention function of transformers' attention interface"
            )
        return self._linear(event, data, operands, weights[0])

    def _linear(self, event: Event, data: list[Flow], operands: tuple[Value, ...], weight: Value) -> Node:
        names = weight.parameters
        name = next((n for n in names if n.startswith(event.call.module + ".")), names[0])
        inputs, outputs = weight.shape[-2:]
        experts = weight.shape[0] if event.op == "_grouped_mm" else 1
        if operands[1] is not weight or experts * inputs * outputs != math.prod(self.shapes[name]):
            raise InputError(f"module {event.call.where}: a product with a part of {name}, or from the left")
        node = self._new(
            "linear",
            event,
            data,
            inputs=inputs,
            outputs=outputs,
            weight=name,
            layout="in_out" if weight.stride[-1] == 1 and weight.stride[-2] == outputs else "out_in",
            bias=event.op == "addmm",
            experts=experts,
        )
        node.parameters.update(names, *(value.parameters for value in event.inputs))
        if self.token_table in names:
            node.tied, node.weight = True, self.token_table
        if operands[0] in self._passing.cached and operands[0].shape[-2] == self._context * self.sequences:
            node.vectors = operands[0].shape[-2]
        elif not node.sources and self._entering:
            node.vectors, node.source = operands[0].shape[-2], self._source
        else:
            self._count_rows(node, operands[0].shape[-2], event.call)
        return node

    def _count_rows(self, node: Node, rows: int, call: Call) -> None:
        """Rows of the left operand: all tokens, the last token of each sequence, or tokens times experts."""
        if node.experts > 1 and rows % self.tokens == 0:
            node.routed, node.active = True, rows // self.tokens
            node.copies = node.active
        elif rows == self.sequences and rows != self.tokens:
            node.per = "sequence"
        elif rows != self.tokens:
            raise InputError(f"module {call.where}: a product of {rows} rows in a step of {self.tokens} tokens")

    # ---- attention

    def _in_region(self, event: Event, region: Region) -> Node | None:
        if region.kind == "cache":
            data = [self.flows[value] for value in event.inputs if value in self.flows]
            if data:
                self._pass(event, data)
                self._passing.cached.update(event.outputs)
            if self._written is not None:
                self._written.caches(region)
            return None
        node = self._made.get(region) or self._attention(event, region)
        return self._absorb(event, node)

    def _attention(self, event: Event, region: Region) -> Node:
        facts = region.facts
        flows = [self.flows[value] for value in region.arguments if value in self.flows]
        crosses = bool(self._source) and facts["kv_len"] == self._source and self._is_crossing(flows)
        if len(flows) != 3 and not (crosses and len(flows) == 1):
            raise InputError(f"module {region.call.where}: an attention whose q, k or v does not come from the tokens")
        node = self._new(
            "attention",
            event,
            flows,
            **{name: facts[name] for name in ("heads", "kv_heads", "head_dim", "value_dim", "kv_len")},
            attributes=Attributes(
                window=facts.get("sliding_window") or 0,
                softcap=facts.get("softcap") is not None,
                mask=self._mask,
                cache=_CROSS if crosses else _ENCODER if self._mask else "",
                append=len(flows) == 3,
            ),
            crosses=crosses,
            source=self._source if crosses else 0,
            feeds=tuple(flow.roots for flow in flows),
        )
        size_heads(node)
        self._made[region] = node
        self._rotations.end(node.layer)
        return node

    @staticmethod
    def _is_crossing(flows: list[Flow]) -> bool:
        """True if K and V are not made of the step's tokens: of an encoder's vectors, or they are there already."""
        return len(flows) == 1 or all(root.source for root in flows[1].roots)

    def _writes_attention(self, event: Event, written: Written) -> Node | None:
        """The attention that a model writes out, of which the operator is a part; None if it is of none."""
        node = written.of(event)
        if node is None:
            if not written.begins(event, self.flows):
                return None
            node = self._new("attention", event, [self.flows[value] for value in factors(event)])
            written.begin(event, node, self.flows)
        elif written.ends(event, self.flows):
            written.end(event, node, self.flows)
            self._rotations.end(node.layer)
            return self._absorb(event, node)
        written.follow(event, node)
        return node

    # ---- arithmetic

    def _grouped(self, event: Event, data: list[Flow]) -> Node:
        """A module that is one operator: a normalisation or an activation."""
        group = self._groups[event.call]
        node = self._made.get(event.call)
        if node is None:
            node = self._made[event.call] = self._elementwise(group.op, event, data)
            node.parameters.update(group.parameters)
            node.weight = next((name for name in group.parameters if name.endswith(".weight")), "")
            made = sum(source.outputs * source.rows * source.copies for source in node.sources)
            if node.inputs * node.rows > made and all(source.op != "rope" for source in node.sources):
                raise InputError(f"module {event.call.where}: reads one result twice, which a trace cannot say")
            node.attributes = replace(node.attributes, affine=_affine(group))
        return self._absorb(event, node)

    def _elementwise(self, op: str, event: Event, data: list[Flow]) -> Node:
        """An operator that makes as many elements as it reads; a norm of heads has a row for each."""
        if op == "topk" and (routing := self._routing(data[:1])) and routing.op == "topk":
            return self._chooses_again(event, routing)
        value = event.inputs[0] if event.op not in _ARITHMETIC else max(event.outputs, key=lambda v: v.elements)
        width = value.shape[-1] if op.endswith("norm") else 0
        return self._sized(op, event, data, value, width)

    def _chooses_again(self, event: Event, node: Node) -> Node:
        """A router that chooses groups of experts first: the choice among most of them says its sizes."""
        among = event.inputs[0].elements // self.tokens
        if among >= node.inputs * node.rows:
            node.inputs, node.outputs, node.rows = among, max(v.shape[-1] for v in event.outputs), 1
        return self._absorb(event, node)

    def _sized(self, op: str, event: Event, data: list[Flow], value: Value, width: int = 0) -> Node:
        """A new node for `value`, of vectors of `width` elements (0: one per token)."""
        sources = merged(data).sources
        copies = max((node.copies for node in sources), default=1)
        count = self.sequences if all(node.per == "sequence" for node in sources) else self.tokens
        per = "sequence" if count != self.tokens else "token"
        if value.elements % (count * copies):
            count, per = self.sequences, "sequence" if self.sequences != self.tokens else "token"
        each = value.elements // (count * copies)
        width = width or each
        experts = max((node.experts for node in sources if node.routed), default=1)
        outputs = max(v.shape[-1] for v in event.outputs) if op == "topk" else width
        return self._new(
            op, event, data, inputs=width, outputs=outputs, rows=each // width, per=per, copies=copies,
            experts=experts, active=copies, routed=experts > 1,
        )  # fmt: skip

    def _arithmetic(self, event: Event, data: list[Flow]) -> Node | None:
        others = [value for value in event.inputs if value not in self.flows]
        if node := self._rotations.place(event, data, others):
            return node
        if routing := self._routing(data):
            return self._absorb(event, routing)
        if len(data) == 2 and event.op in ("add", "add_", "mul", "mul_"):
            return self._combine(event, data)
        if len(data) == 1 and not others and event.op == "mul" and event.constants == (1.0,):
            self._pass(event, data)  # a factor that a configuration leaves out
            return None
        if len(data) == 1 and event.op.rstrip("_") in ("mul", "div") and all(value.elements == 1 for value in others):
            return self._elementwise("scale", event, data)
        if event.op in ("add", "add_") and len(data) == 1 and (node := self._bias(data[0], others)):
            return self._absorb(event, node)
        raise InputError(f"module {event.call.where}: aten::{event.op} of data with something that is not data")

    def _bias(self, flow: Flow, others: list[Value]) -> Node | None:
        """A parameter added to what one linear made is its bias."""
        node = flow.sources[0]
        if node.scope == AFTER and node.op == "linear" and len(others) == 1 and others[0].elements == node.outputs:
            return node  # no parameter: zeros that a checkpoint may replace (BART)
        vector = len(others) == 1 and others[0].parameters and others[0].elements == node.outputs * node.experts
        if len(flow.sources) != 1 or node.op != "linear" or not vector:
            return None
        node.bias = True
        node.parameters.update(others[0].parameters)
        return node

    def _combine(self, event: Event, data: list[Flow]) -> Node:
        """A sum or a product of two data values."""
        both = {node for flow in data for node in flow.sources}
        if len(both) == 1 and (node := next(iter(both))).op == "embedding":
            return self._absorb(event, node)
        weighting = [flow for flow in data if self._routing([flow])]
        if weighting and event.op.startswith("mul"):
            return self._elementwise("add", event, data)
        return self._elementwise(event.op.rstrip("_"), event, data)

    def _routing(self, data: list[Flow]) -> Node | None:
        """The last router node that all of `data` come from, None if something else is among them."""
        nodes = merged(data).sources
        chosen = [node for node in nodes if node.op in ROUTER_OPS]
        return chosen[-1] if chosen and len(chosen) == len(nodes) else None

    def _weighted_sum(self, event: Event, data: list[Flow]) -> Node | None:
        """The sum over experts that ends the operator which weights their results."""
        nodes = merged(data).sources
        if event.op != "sum" or len(nodes) != 1 or nodes[0].op != "add" or not nodes[0].routed:
            return None
        nodes[0].copies, nodes[0].routed = 1, False
        return nodes[0]


def _affine(group: Group) -> str:
    """What a norm has of gain and bias; "" if all that its kind has."""
    has, whole = len(group.parameters), OPS[group.op].vectors
    return "" if has == whole else ("gain" if has else "none")


def _product_flops(operands: tuple[Value, ...]) -> int:
    """2 m k n of the product of two matrices, or of two batches of them."""
    return 2 * operands[0].elements * operands[1].shape[-1]
