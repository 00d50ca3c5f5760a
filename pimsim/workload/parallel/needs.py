"""Who reads a result of a graph, and whether they can do with the part of it that one device has."""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, NORMS, OPS, Operator

ELEMENTWISE = ("mul", "scale", "tanh")
# What makes a value that all devices have, beside which a part has to be gathered.
_WHOLE = ("add", "embedding", *NORMS)


def elementwise(operator: Operator) -> bool:
    """Whether each element of the result comes of the same one of what is read."""
    return operator.op in ELEMENTWISE or OPS[operator.op].activation


def chooses(producer: Operator | None, reader: Operator) -> bool:
    """Whether a dependency is a router's choice, which is no input of what reads it."""
    if producer is None or reader.role == "router":
        return False
    return producer.op == "topk" or producer.role == "router"


class Needs:
    """What the readers of every result need, of a graph that is cut over `devices`.

    known    the operators by name
    readers  who reads elements of a result, routers' choices left out
    parts    results that it pays to leave cut: all readers can work on a part, and a product, an attention or a
             state update that does is reached
    local    elements of products of K and V whose heads several devices have, as there are fewer than devices
    unclear  attentions whose products of K and V are not known to be such
    """

    def __init__(self, workload: Workload, devices: int) -> None:
        self.devices = devices
        self.known = {operator.name: operator for operator in workload.operators}
        self.readers: dict[str, list[Operator]] = {operator.name: [] for operator in workload.operators}
        for operator in workload.operators:
            for dep in self.inputs(operator):
                if dep != INPUT:
                    self.readers[dep].append(operator)
        self.states_cut = {o.name: self._state_divides(o) for o in workload.operators if o.keeps_state}
        self.parts: set[str] = set()
        for operator in reversed(workload.operators):  # readers stand behind what they read
            readers = self.readers[operator.name]
            can = all(self._can(reader, operator) for reader in readers)
            if can and any(self._gains(reader, operator) for reader in readers):
                self.parts.add(operator.name)
        self.local: dict[str, int] = {}
        self.unclear: set[str] = set()
        for operator in workload.operators:
            if operator.op == "attention" and self.repeated(operator):
                self._share_heads(operator)

    def inputs(self, operator: Operator) -> tuple[str, ...]:
        """The dependencies that give elements, each once."""
        return tuple(dict.fromkeys(dep for dep in operator.deps if not chooses(self.known.get(dep), operator)))

    def repeated(self, attention: Operator) -> bool:
        """Whether heads of K and V are on several devices, one on each."""
        return attention.kv_heads < self.devices and self.devices % attention.kv_heads == 0

    def behind(self, name: str, op: str) -> Operator | None:
        """The next operator of a kind that what a result is passed on to reaches."""
        for reader in self.readers[name]:
            if reader.op == op:
                return reader
            if (self._passes_on(reader) or reader.op == "conv") and (found := self.behind(reader.name, op)):
                return found
        return None

    def _passes_on(self, operator: Operator) -> bool:
        heads = operator.op in NORMS and operator.rows > 1
        return heads or elementwise(operator) or operator.op == "rope"

    def _can(self, reader: Operator, made: Operator) -> bool:
        """Whether a reader can work on a part of what is made."""
        if reader.op == "linear":  # of two products with nothing between them the first, small one is whole
            return made.op != "linear" or made.outputs >= made.inputs
        if reader.op == "add":
            return reader.experts > 1 or not any(map(self._is_whole, self.inputs(reader)))
        if reader.keeps_state:
            return self.states_cut[reader.name]
        return self._passes_on(reader) or reader.op == "attention"

    def _gains(self, reader: Operator, made: Operator) -> bool:
        """Whether a reader has less to do on a part, or somebody behind it."""
        if self._passes_on(reader) or (reader.op == "add" and reader.experts == 1):
            return reader.name in self.parts
        return self._can(reader, made)

    def _is_whole(self, name: str) -> bool:
        return name == INPUT or self.known[name].op in _WHOLE

    def _state_divides(self, operator: Operator) -> bool:
        """Whether a state can be cut by channels: those of the groups that share B and C as well."""
        update = operator if operator.op == "ssm_update" else self.behind(operator.name, "ssm_update")
        if update is None:
            return operator.inputs % self.devices == 0
        sizes = [update.inputs, update.outputs, update.own_parameters, *self._groups(update)]
        sizes += [size for _, _, size in update.take if self._is_narrow(update, size)]
        return all(size % self.devices == 0 for size in sizes)

    def _groups(self, update: Operator) -> Iterator[int]:
        """Groups of B and C that come with the channels, as in Mamba 2: a group is two vectors of a channel's state."""
        for dep in self.inputs(update):
            made = self.known.get(dep)
            while made is not None and made.op != "conv" and elementwise(made):
                made = self.known.get(made.deps[0])
            if made is not None and made.op == "conv" and made.outputs > update.outputs:
                groups, rest = divmod(made.outputs - update.outputs, 2 * (update.inputs // update.outputs))
                yield 1 if rest else groups

    def _is_narrow(self, update: Operator, size: int) -> bool:
        """Whether a slice is one number a head, and not B and C of all channels."""
        return size < update.outputs and update.outputs % size == 0 and not self._separate(update)

    def _separate(self, update: Operator) -> bool:
        """Whether the step of every channel comes by itself, as in Mamba 1: what is taken else is B and C."""
        return sum(self.known[dep].outputs == update.outputs for dep in self.inputs(update) if dep != INPUT) > 1

    def _share_heads(self, attention: Operator) -> None:
        """The products that make K and V: by their widths, which differ from those of what makes queries alone."""
        queries, key, value = attention.heads * attention.head_dim, attention.head_dim, attention.v_head_dim
        kept = {
            attention.kv_heads * key: key,
            attention.kv_heads * value: value,
            attention.kv_token: key + value,
            queries + attention.kv_token: queries // self.devices + key + value,
        }
        products = {product.name: product.outputs * product.rows for product in self._products(attention)}
        if attention.kv_token == queries and list(products.values()).count(queries) > 1:
            self.unclear.add(attention.name)  # one of them may make K and V
        for name, width in products.items():
            if width in kept and width != queries:
                self.local[name] = kept[width]
            elif name in self.parts and width != queries and (width <= attention.kv_token or width - queries in kept):
                self.unclear.add(attention.name)

    def _products(self, reader: Operator) -> Iterator[Operator]:
        for dep in self.inputs(reader):
            made = self.known.get(dep)
            if made is not None and made.op == "linear":
                yield made
            elif made is not None and (self._passes_on(made) or made.op == "add"):
                yield from self._products(made)
