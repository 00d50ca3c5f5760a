"""What instructions read and make: the names of values, and where in them the operands of each one stand.

The value of an operator has its name; values on the way to it have the operator's name and what they are.
Vectors of a step stand token by token, and sequence by sequence; those of a token's rows or experts follow each other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import final

from pimsim.mapping.functions import carried
from pimsim.mapping.grid import WORD_BITS as WORD
from pimsim.mapping.heads import parts_of, query_heads
from pimsim.mapping.instructions import Operands, Part
from pimsim.mapping.memory import scales_name, table_name, tied_matrix, vector_name
from pimsim.mapping.placed import Placed
from pimsim.mapping.reuse import wires as wires_of
from pimsim.mapping.wires import Wires, of_heads
from pimsim.workload.dataflow import Dataflow, Slice
from pimsim.workload.ops import Operator

Told = Callable[[int], Sequence[tuple[int, ...]]]
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
        self._quantised: dict[str, str] = {}  # what an operator takes in a format of fewer bits, by its name

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
            if operator.name in self._quantised:
                takes.append(self._numbers(operator, token, way))
            else:
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

    # -- number formats: a vector of numbers has its scale behind it ---------------------

    def quantised(self, operator: Operator) -> Operands:
        """What an operator takes, in a format of fewer bits."""
        (taken,) = self.flow.slices[operator.name]
        makes = self._all(f"{operator.name}.quantise", self._copies(taken) * (taken.size + 1))
        return Operands(operator.name, (self._whole(taken),), makes, (taken.size,))

    def takes_quantised(self, operator: Operator, value: str) -> None:
        """An operator takes what was made for it, or for another one, in a format of fewer bits."""
        self._quantised[operator.name] = value

    def _copies(self, taken: Slice) -> int:
        return self.vectors * self.flow.copies(taken.name)

    def _numbers(self, operator: Operator, vector: int, way: int) -> Part:
        (taken,), value = self.flow.slices[operator.name], self._quantised[operator.name]
        copies, each = self.flow.copies(taken.name), taken.size + 1
        at = vector * copies + (way if copies > 1 else 0)
        return Part(value, at * each, taken.size, self.vectors * copies * each)

    def finished(self, operator: Operator, last: Sequence[str], step: int, chosen: Told) -> Operands:
        """One of the last steps that make results of a product's sums: scaled, sum, scale, bias.

        chosen: the experts of each vector, in each copy of the block.
        """
        layout, name = self.plan.memory.matrices[operator.name], operator.name
        count, made = (
            self.vectors * operator.rows * operator.active * operator.blocks,
            operator.outputs // operator.blocks,
        )
        sums = count * layout.partial_sums * made
        takes = [self._all(f"{name}.{last[step - 1]}", count * made) if step else self._all(_parts(operator), sums)]
        shape = (count, layout.partial_sums, made)
        match last[step]:
            case "scaled":
                elements = self._fetched(operator) * self.plan.memory.scales[name].elements
                takes.append(self._all(scales_name(operator), elements))
            case "scale" if name in self._quantised:
                (taken,) = self.flow.slices[name]
                takes.append(self._all(self._quantised[name], self._copies(taken) * (taken.size + 1)))
            case "bias":
                takes.append(self._all(vector_name(operator), self._fetched(operator) * operator.vectors()))
                shape = (count, 1, made)
        makes = self._all(name if step == len(last) - 1 else f"{name}.{last[step]}", count * made)
        told = chosen if operator.experts > 1 and last[step] == "scale" else None
        return Operands(name, tuple(takes), makes, shape, told=told)

    def scales_of(self, operator: Operator, number: int) -> Operands:
        """The scales of an operator's groups, or of those of the `number`-th expert that is run."""
        layout = self.plan.memory.scales[operator.name]
        size = layout.elements
        makes = Part(scales_name(operator), number * size, size, self._fetched(operator) * size)
        return Operands(operator.name, (), makes, (), partial(layout.wires, True), (operator.name, "scales"))

    def quantised_attended(self, operator: Operator) -> Operands:
        """Queries with their scale, K and V of each token, those that are brought into other formats."""
        takes = [self._whole(taken) for taken in self.flow.slices[operator.name]]
        size = sum(taken.size for taken in self.flow.slices[operator.name]) + 1
        makes, sizes = self._all(f"{operator.name}.quantise", self.vectors * size), [part.size for part in takes]
        return Operands(operator.name, tuple(takes), makes, tuple(sizes))

    def _attended(self, operator: Operator, which: int, vector: int) -> Part:
        """Queries (0), K (1) or V (2) of a vector, in their format; 3: the scale of the queries."""
        packing, slices = self.plan.memory.keys[operator.name].grid.packing, self.flow.slices[operator.name]
        narrow = (
            packing is not None and (packing.pair.stored.bits if which in (1, 2) else packing.pair.given.bits) < WORD
        )
        if not narrow:
            return self._one(slices[which], vector)
        q, k, v = (taken.size for taken in slices)
        first, size = ((0, q), (q + 1, k), (q + 1 + k, v), (q, 1))[which]
        each = q + 1 + k + v
        return Part(f"{operator.name}.quantise", vector * each + first, size, self.vectors * each)

    def _quantises(self, operator: Operator) -> bool:
        packing = self.plan.memory.keys[operator.name].grid.packing
        return packing is not None and packing.quantises

    def attended(self, operator: Operator, seen: Sequence[int]) -> Operands:
        """The results of an attention, scaled; seen: by each token of the step."""
        takes = [self._all(f"{operator.name}.weighed", self.vectors * operator.outputs)]
        if self._quantises(operator):
            for token, of_token in enumerate(seen):
                shares = [self._softmax_made(operator, token, s, of_token) for s in range(self.batch)]
                takes += [p._replace(first=p.first + p.size - operator.heads, size=operator.heads) for p in shares]
        return Operands(operator.name, tuple(takes), self._all(operator.name, self.vectors * operator.outputs))

    def row_scale(self, operator: Operator) -> Operands:
        """Rows of a matrix of numbers that share scales, each of them scaled; shape: an element more, their numbers."""
        size, several = operator.outputs, len(operator.tables) > 1
        name = table_name(operator, 0) if several else operator.name
        takes = self._all(f"{name}.numbers", self.vectors * size)
        rows = [self.plan.tokens(context, s) for context in self.contexts for s in range(self.batch)]
        return Operands(operator.name, (takes,), self._all(name, self.vectors * size), (size, *rows))

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
        takes = self._attended(operator, 1 + place, token * self.batch + sequence)
        wires = (memory.keys, memory.values)[place][operator.name].append_wires
        return Operands(operator.name, (takes,), NOTHING, (), partial(wires, slot), (operator.name, what, slot))

    def scores(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """q K^T over the tokens that are seen."""
        layout = self.plan.memory.keys[operator.name]
        takes = self._attended(operator, 0, token * self.batch + sequence)
        size = operator.heads * layout.partial_sums * seen
        name = self._products(operator, token)
        makes = Part(_parts(name) if layout.partial_sums > 1 else name, sequence * size, size, self.batch * size)
        wires = partial(layout.score_wires, seen)
        return Operands(operator.name, (takes,), makes, (), wires, (operator.name, "scores", seen))

    def score_sum(self, operator: Operator, token: int, seen: int) -> Operands:
        """Partial sums of scores."""
        name, n = self._products(operator, token), self.batch * operator.heads
        pieces = self.plan.memory.keys[operator.name].partial_sums
        takes = self._all(_parts(name), n * pieces * seen)
        return Operands(operator.name, (takes,), self._all(name, n * seen), (n, pieces, seen))

    def softcap(self, operator: Operator, token: int, seen: int) -> Operands:
        """Scores pass through their cap; they keep their name, but for those that had to be scaled."""
        scores = self._scores(operator, token, seen)
        takes = scores._replace(value=self._products(operator, token))
        scales = self._scales(operator, token, range(self.batch)) if self._packed(operator) else ()
        return Operands(operator.name, (takes, *scales), scores, (seen,))

    def _packed(self, operator: Operator) -> bool:
        """Whether scores are to be scaled, before their cap or in the softmax."""
        return self.plan.memory.keys[operator.name].grid.packing is not None

    def _products(self, operator: Operator, token: int) -> str:
        """The name of scores before they are scaled."""
        return f"{operator.name}.{token}.{'products' if self._packed(operator) else 'scores'}"

    def _scales(self, operator: Operator, token: int, sequences: Sequence[int]) -> tuple[Part, ...]:
        """The scales of the queries of a token, if they have one."""
        if not self._quantises(operator):
            return ()
        return tuple(self._attended(operator, 3, token * self.batch + s) for s in sequences)

    def _softmax_made(self, operator: Operator, token: int, sequence: int, seen: int) -> Part:
        """Probabilities of a sequence; in a format of fewer bits, and what results are multiplied with behind them."""
        quantises = self._quantises(operator)
        size = operator.heads * (seen + quantises)
        name = f"{operator.name}.{token}.{'shares' if quantises else 'softmax'}"
        return Part(name, sequence * size, size, self.batch * size)

    def _scores(self, operator: Operator, token: int, seen: int) -> Part:
        return self._all(f"{operator.name}.{token}.scores", self.batch * operator.heads * seen)

    def softmax(self, operator: Operator, token: int, sequence: int, seen: int) -> Operands:
        """The softmax of one sequence's scores."""
        size = operator.heads * seen
        is_scaled = self._packed(operator) and not operator.softcap
        name = self._products(operator, token) if is_scaled else f"{operator.name}.{token}.scores"
        takes = Part(name, sequence * size, size, self.batch * size)
        scales = self._scales(operator, token, (sequence,)) if is_scaled else ()
        makes, shape = self._softmax_made(operator, token, sequence, seen), (seen, 1) if is_scaled else (seen,)
        return Operands(operator.name, (takes, *scales), makes, shape)

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
        takes, key = self._softmax_made(operator, token, sequence, seen), (operator.name, "weigh", seen)
        takes = takes._replace(size=operator.heads * seen)
        if pieces == 1:
            makes = self._one(Slice(operator.name, 0, operator.outputs), token * self.batch + sequence)
            makes = makes._replace(value=self._weighed(operator))
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
        makes = Part(self._weighed(operator), token * self.batch * n, self.batch * n, self.vectors * n)
        return Operands(operator.name, (takes,), makes, (self.batch, pieces, n))

    def _weighed(self, operator: Operator) -> str:
        """The name of an attention's results, as long as they are not scaled."""
        packing = self.plan.memory.values[operator.name].grid.packing
        return f"{operator.name}.weighed" if packing is not None and packing.scales_results else operator.name

    # -- rows of tables, and what the SRAM cannot hold -----------------------------------

    def row(self, operator: Operator, table: int, number: int, row: int, wires: Callable[[], Wires]) -> Operands:
        """A row of a table: of each vector's token, or of each token's position."""
        name = table_name(operator, table) if len(operator.tables) > 1 else operator.name
        size, rows = operator.outputs, len(self.contexts) if table else self.vectors
        name = name if table or not scaled_row(self.plan, operator) else f"{name}.numbers"
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
            if not operator.softcap:
                whole = whole._replace(value=self._products(operator, token))
        else:
            size = self.flow.copies(operator.name) * self.flow.width(operator.name)
            whole = self._all(operator.name, self.vectors * size)
        some = whole._replace(size=min(elements, whole.size))
        takes, makes = ((), some) if reads else ((some,), NOTHING)
        wires = partial(scratch.wires, reads, 0, elements, some.size)
        return Operands(operator.name, takes, makes, (), wires, ("spill", reads, elements, some.size))


def scaled_row(plan: Placed, operator: Operator) -> bool:
    """Whether rows of an embedding are those of a matrix whose numbers share scales: the ASIC multiplies them."""
    tied = tied_matrix(plan.workload, operator)
    packing = plan.memory.matrices[tied].grid.packing if tied else None
    return packing is not None and packing.pair.stored.bits < WORD


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
