"""What instructions read and make: the names of values, and where in them the operands of each one stand.

The value of an operator has its name; values on the way to it have the operator's name and what they are.
Vectors of a step stand token by token, and sequence by sequence; those of a token's rows or experts follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from pimsim.mapping.functions import carried
from pimsim.mapping.heads import parts_of, query_heads
from pimsim.mapping.instructions import Operands, Part
from pimsim.mapping.memory import table_name, vector_name
from pimsim.mapping.placed import Placed
from pimsim.mapping.reuse import wires as wires_of
from pimsim.mapping.wires import Wires, of_heads
from pimsim.workload.dataflow import Dataflow, Slice
from pimsim.workload.ops import Operator

NOTHING = Part("", 0, 0, 1)


@final
class Naming:
    """Names the operands of the instructions of a step of so many vectors (sequences times tokens)."""

    def __init__(self, plan: Placed, contexts: range) -> None:
        self.plan, self.contexts = plan, contexts
        self.batch = plan.batch
        self.vectors = self.batch * len(contexts)
        self.flow = Dataflow(plan.workload)
        self._made_by = carried(plan.workload, plan.functions)

    # -- parts ----------------------------------------------------------------------

    def _whole(self, taken: Slice) -> Part:
        """A slice of every vector of an operator's value."""
        return Part(self._value(taken), taken.first, taken.size, self.flow.width(taken.name))

    def _value(self, taken: Slice) -> str:
        return self._made_by.get(taken.name, taken.name)

    def _one(self, taken: Slice, vector: int, way: int = 0, first: int = 0, size: int = 0) -> Part:
        """A slice of one vector of an operator's value, or `size` elements from `first` on of that."""
        width, copies = self.flow.width(taken.name), self.flow.copies(taken.name)
        at = (vector * copies + (way if copies > 1 else 0)) * width + taken.first + first
        return Part(self._value(taken), at, size or taken.size, self.vectors * copies * width)

    @staticmethod
    def _all(value: str, elements: int) -> Part:
        return Part(value, 0, elements, elements)

    # -- products --------------------------------------------------------------------

    def product(self, operator: Operator, vector: int, way: int, summed: int, together: int = 1) -> Operands:
        """A product of one vector (counting a token's rows) with one of its experts; summed: the ASIC completes it.

        together: vectors from this one on, of an operator without experts, that share an open row.
        """
        layout, addend = self.plan.memory.matrices[operator.name], operator.name in self.plan.memory.vectors
        (taken,) = self.flow.slices[operator.name]
        ways, taking = operator.active * operator.blocks, operator.inputs // operator.blocks
        takes = []
        for each in range(vector, vector + together):
            token, row = divmod(each, operator.rows)
            first = row * operator.inputs + (way * taking if operator.blocks > 1 else 0)
            takes.append(self._one(taken, token, way if operator.blocks == 1 else 0, first, taking))
        count, number = self.vectors * operator.rows * ways, vector * ways + way
        if addend and layout.takes_addend:
            takes.append(self._bias(operator, number))
        size = operator.outputs // operator.blocks * layout.partial_sums
        makes = Part(_parts(operator) if summed else operator.name, number * size, size * together, count * size)
        moved, key = partial(wires_of, layout, addend, together), (operator.name, "product", together)
        return Operands(operator.name, tuple(takes), makes, (), moved, key)

    def product_sum(self, operator: Operator) -> Operands:
        """Partial sums of a product, and its bias."""
        layout = self.plan.memory.matrices[operator.name]
        count = self.vectors * operator.rows * operator.active * operator.blocks
        made = operator.outputs // operator.blocks
        takes = [self._all(_parts(operator), count * layout.partial_sums * made)]
        if operator.name in self.plan.memory.vectors and not layout.takes_addend:
            takes.append(self._all(vector_name(operator), self._fetched(operator) * operator.vectors()))
        makes = self._all(operator.name, count * made)
        return Operands(operator.name, tuple(takes), makes, (count, layout.partial_sums, made))

    def vectors_of(self, operator: Operator, number: int) -> Operands:
        """Biases or gains of an operator, or of the `number`-th expert that is run."""
        layout, size = self.plan.memory.vectors[operator.name], operator.vectors()
        makes = Part(vector_name(operator), number * size, size, self._fetched(operator) * size)
        return Operands(operator.name, (), makes, (), partial(layout.wires, True), (operator.name, "vectors"))

    def _fetched(self, operator: Operator) -> int:
        """How often an operator's vectors are fetched in a step: for each expert that is run."""
        return self.vectors * operator.rows * operator.active if operator.experts > 1 else 1

    def _bias(self, operator: Operator, number: int) -> Part:
        size, fetched = operator.vectors(), self._fetched(operator)
        return Part(vector_name(operator), number % fetched * size, size, fetched * size)

    def argmax(self, operator: Operator) -> Operands:
        """The largest of an operator's results."""
        makes = self._all(f"{operator.name}.argmax", self.vectors)
        takes = self._all(operator.name, self.vectors * operator.outputs)
        return Operands(operator.name, (takes,), makes, (operator.outputs,))

    # -- what the ASIC does alone -----------------------------------------------------

    def arithmetic(self, operator: Operator, chosen: Callable[[int], Sequence[tuple[int, ...]]]) -> Operands:
        """An operator; its vectors of gain and bias come behind what it takes of others."""
        takes = [self._whole(taken) for taken in self.flow.slices[operator.name]]
        if operator.name in self.plan.memory.vectors:
            takes.append(self._all(vector_name(operator), operator.vectors()))
        size = self.vectors * self.flow.copies(operator.name) * self.flow.width(operator.name)
        shape: tuple[int, ...] = (operator.outputs,)
        if operator.op == "rope":
            attention = self.flow.attention_behind(operator)
            heads = attention.heads + attention.kv_heads
            shape = (self.contexts.start, len(self.contexts), self.batch, attention.head_dim, operator.outputs // heads)
        elif operator.op == "topk":
            shape = (operator.inputs, operator.outputs)
        elif operator.op == "add" and operator.experts > 1:
            shape = (operator.outputs, operator.active)
        routes = operator.op == "topk"
        return Operands(
            operator.name, tuple(takes), self._all(operator.name, size), shape, told=chosen if routes else None
        )

    # -- attention, of one token of the step -------------------------------------------

    def appended(self, what: str, operator: Operator, token: int, sequence: int, slot: int) -> Operands:
        """K ("keys") or V ("values") of a token goes into a slot."""
        memory, place = self.plan.memory, ("keys", "values").index(what)
        takes = self._one(self.flow.slices[operator.name][1 + place], token * self.batch + sequence)
        wires = (memory.keys, memory.values)[place][operator.name].append_wires
        return Operands(operator.name, (takes,), NOTHING, (), partial(wires, slot), (operator.name, what, slot))

    def scores(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """q K^T over the tokens that are seen."""
        layout = self.plan.memory.keys[operator.name]
        takes = self._one(self.flow.slices[operator.name][0], token * self.batch + sequence)
        size = operator.heads * layout.partial_sums * seen
        name = f"{operator.name}.{token}.scores"
        makes = Part(_parts(name) if layout.partial_sums > 1 else name, sequence * size, size, self.batch * size)
        wires = partial(layout.score_wires, seen)
        return Operands(operator.name, (takes,), makes, (), wires, (operator.name, "scores", seen))

    def score_sum(self, operator: Operator, token: int, seen: int) -> Operands:
        """Partial sums of scores."""
        name, n = f"{operator.name}.{token}.scores", self.batch * operator.heads
        pieces = self.plan.memory.keys[operator.name].partial_sums
        takes = self._all(_parts(name), n * pieces * seen)
        return Operands(operator.name, (takes,), self._all(name, n * seen), (n, pieces, seen))

    def softcap(self, operator: Operator, token: int, seen: int) -> Operands:
        """Scores pass through their cap; they keep their name."""
        scores = self._scores(operator, token, seen)
        return Operands(operator.name, (scores,), scores, (seen,))

    def _scores(self, operator: Operator, token: int, seen: int) -> Part:
        return self._all(f"{operator.name}.{token}.scores", self.batch * operator.heads * seen)

    def softmax(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """The softmax of one sequence's scores."""
        size = operator.heads * seen
        takes = Part(f"{operator.name}.{token}.scores", sequence * size, size, self.batch * size)
        makes = Part(f"{operator.name}.{token}.softmax", sequence * size, size, self.batch * size)
        return Operands(operator.name, (takes,), makes, (seen,))

    def exponentials(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """The same without its scale: the exponentials, and behind them a number for each head."""
        takes, size = self.softmax(operator, token, sequence, seen).takes, operator.heads * (seen + 1)
        makes = Part(f"{operator.name}.{token}.exponentials", sequence * size, size, self.batch * size)
        return Operands(operator.name, takes, makes, (seen,))

    def scale(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """The scale of a softmax, in the banks."""
        products = self.plan.memory.products
        assert products is not None
        takes, makes = (each(operator, token, sequence, seen).makes for each in (self.exponentials, self.softmax))
        wires = partial(products.scale_wires, operator.heads, seen)
        return Operands(operator.name, (takes,), makes, (), wires, (operator.name, "scale", seen))

    def weigh(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """p V over the tokens that are seen."""
        layout = self.plan.memory.values[operator.name]
        pieces, wires = layout.partial_sums(seen), partial(layout.weigh_wires, seen)
        takes, key = self.softmax(operator, token, sequence, seen).makes, (operator.name, "weigh", seen)
        if pieces == 1:
            makes = self._one(Slice(operator.name, 0, operator.outputs), token * self.batch + sequence)
        else:
            size = pieces * operator.outputs
            makes = Part(_parts(f"{operator.name}.{token}"), sequence * size, size, self.batch * size)
        return Operands(operator.name, (takes,), makes, (), wires, key)

    # -- the same of some query heads ----------------------------------------------------

    def scores_of(self, operator: Operator, token: int, sequence: int, seen: int, number: int) -> Operands:
        """q K^T of a part of K, by its number among the parts."""
        layout = parts_of(self.plan.memory.keys[operator.name])[number]
        heads, whole = query_heads(layout, operator.heads), self.scores(operator, token, sequence, seen)
        each = layout.partial_sums * seen
        wires = partial(_wires, layout.score_wires, seen, heads, (operator.heads, operator.head_dim, each))
        return whole._replace(
            takes=(_some(whole.takes[0], heads, operator.head_dim),),
            makes=_some(whole.makes, heads, each),
            wires=wires,
            key=(*whole.key, number),
        )

    def score_sum_of(self, operator: Operator, token: int, sequence: int, seen: int, number: int) -> Operands:
        """Partial sums of the scores of a part of K."""
        layout = parts_of(self.plan.memory.keys[operator.name])[number]
        heads, parts = query_heads(layout, operator.heads), self.scores(operator, token, sequence, seen).makes
        takes = _some(parts, heads, layout.partial_sums * seen)
        makes = _some(self.softmax(operator, token, sequence, seen).takes[0], heads, seen)
        return Operands(operator.name, (takes,), makes, (len(heads), layout.partial_sums, seen))

    def softcap_of(self, operator: Operator, token: int, sequence: int, seen: int, heads: Sequence[int]) -> Operands:
        """Scores of some heads pass through their cap."""
        (scores,) = self.softmax(operator, token, sequence, seen).takes
        some = _some(scores, heads, seen)
        return Operands(operator.name, (some,), some, (seen,))

    def softmax_of(self, operator: Operator, token: int, sequence: int, seen: int, heads: Sequence[int]) -> Operands:
        """The softmax of some heads of one sequence."""
        whole = self.softmax(operator, token, sequence, seen)
        return whole._replace(takes=(_some(whole.takes[0], heads, seen),), makes=_some(whole.makes, heads, seen))

    def weigh_of(self, operator: Operator, token: int, sequence: int, seen: int, number: int) -> Operands:
        """p V of a part of V."""
        layout, whole = (
            parts_of(self.plan.memory.values[operator.name])[number],
            self.weigh(operator, token, sequence, seen),
        )
        heads, each = query_heads(layout, operator.heads), operator.v_head_dim
        makes = _some(whole.makes, heads, each, layout.partial_sums(seen))
        wires = partial(_wires, layout.weigh_wires, seen, heads, (operator.heads, seen, each))
        takes = _some(whole.takes[0], heads, seen)
        return whole._replace(takes=(takes,), makes=makes, wires=wires, key=(*whole.key, number))

    def weigh_sum(self, operator: Operator, token: int, seen: int) -> Operands:
        """Partial sums of an attention's results."""
        pieces, n = self.plan.memory.values[operator.name].partial_sums(seen), operator.outputs
        takes = self._all(_parts(f"{operator.name}.{token}"), self.batch * pieces * n)
        makes = Part(operator.name, token * self.batch * n, self.batch * n, self.vectors * n)
        return Operands(operator.name, (takes,), makes, (self.batch, pieces, n))

    # -- rows of tables, and what the SRAM cannot hold -----------------------------------

    def row(self, operator: Operator, table: int, number: int, row: int, wires: Callable[[], Wires]) -> Operands:
        """A row of a table: of each vector's token, or of each token's position."""
        name = table_name(operator, table) if len(operator.tables) > 1 else operator.name
        size, rows = operator.outputs, len(self.contexts) if table else self.vectors
        makes = Part(name, number * size, size, rows * size)
        return Operands(operator.name, (), makes, (), wires, (operator.name, table, row))

    def row_sum(self, operator: Operator) -> Operands:
        """The sum of the rows of all tables."""
        d, tokens = operator.outputs, len(self.contexts)
        rows = [tokens if table else self.vectors for table in range(len(operator.tables))]
        takes = [self._all(table_name(operator, table), count * d) for table, count in enumerate(rows)]
        return Operands(operator.name, tuple(takes), self._all(operator.name, self.vectors * d), (self.vectors, 1, d))

    def spill(self, operator: Operator, elements: int, reads: bool, token: int, seen: int) -> Operands:
        """The first elements of a result, or of scores, are written to the memory, or read back."""
        scratch = self.plan.memory.scratch
        assert scratch is not None
        if operator.op == "attention":
            whole = self._scores(operator, token, seen)
        else:
            size = self.flow.copies(operator.name) * self.flow.width(operator.name)
            whole = self._all(operator.name, self.vectors * size)
        some = whole._replace(size=min(elements, whole.size))
        takes, makes = ((), some) if reads else ((some,), NOTHING)
        wires = partial(scratch.wires, reads, 0, elements, some.size)
        return Operands(operator.name, takes, makes, (), wires, ("spill", reads, elements, some.size))


def _some(whole: Part, heads: Sequence[int], each: int, times: int = 1) -> Part:
    """Some heads of a part in which all of them stand one behind the other, so many times over."""
    of_all = whole.size // times
    runs = tuple(whole.first + time * of_all + head * each for time in range(times) for head in heads)
    return whole._replace(first=runs[0], size=each * len(runs), runs=runs)


def _wires(make: Callable[[int], Wires], seen: int, heads: Sequence[int], sizes: tuple[int, int, int]) -> Wires:
    """The wires of a part, its own operands and results counted alone; sizes: as of `wires.of_heads`."""
    return of_heads(make(seen), heads, *sizes)


def _parts(value: Operator | str) -> str:
    """The name of a value's partial sums."""
    return f"{value if isinstance(value, str) else value.name}.parts"
