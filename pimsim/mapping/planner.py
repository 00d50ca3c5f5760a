"""From the operators of one step to its instructions.

An instruction is either PIM work (a program per channel) or ASIC work (a cost in
clocks).  The instructions of a block are the same in every copy but for the rows they
touch, so a step is planned once and its blocks differ only in `bases`.  An operator waits for
the operators it depends on; the channels and the ASIC keep the order of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from typing import NamedTuple

from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.grid import ceil_div
from pimsim.mapping.instructions import NO_FEED, START, Feed, Instruction, Operands, Step
from pimsim.mapping.layouts import Matrix
from pimsim.mapping.memory import cache_name, table_name, tied_matrix, vector_name
from pimsim.mapping.naming import Naming
from pimsim.mapping.placed import Placed
from pimsim.mapping.states import sram_room, state_name, update_of
from pimsim.mapping.supported import ARITHMETIC
from pimsim.mapping.wires import Wires
from pimsim.mapping.work import Work
from pimsim.workload.ops import IN_ORDER, INPUT, Operator


class Flow(NamedTuple):
    """How the results of an instruction arrive: of which PIM instructions they are, by place.

    sums, turns: see `work.Work`; summed: an addition has completed them.
    """

    places: tuple[int, ...]
    sums: int = 1
    turns: int = 1
    summed: bool = False


class Known(NamedTuple):
    """`Planner.done`, `flowing` and `routers` at one time."""

    done: dict[str, tuple[str, ...]]
    flowing: dict[str, Flow]
    routers: int


class Cut(NamedTuple):
    """An operator whose instructions depend on the context, in a part of a step (by number) that was planned.

    begin, end     places of its instructions in the part
    before, after  what the planner knew of the operators of the part (`Planner.known`) before and after it
    """

    part: int
    operator: Operator
    begin: int
    end: int
    before: Known
    after: Known


class Draft(NamedTuple):
    """A step that was planned, and what another context changes in it."""

    step: Step
    cuts: tuple[Cut, ...]


class Planner:
    """Plans one step.

    last: the keys that the next instruction waits for; done: those of each finished operator.
    flowing: instructions whose results arrive piece by piece, by key.  routers: those of the scope so far.
    naming: names what instructions read and make, if that is asked for (`named`).
    """

    PORTIONS = 8  # most that the results of one program are taken in

    def __init__(self, plan: Placed, context: int, tokens: int, named: bool = False) -> None:
        self.plan = plan
        self.contexts = range(context - tokens + 1, context + 1)
        self.batch = plan.config.workload.batch
        self.piece = plan.device.channels * plan.device.banks  # results that arrive together
        self.room = sram_room(plan.config, plan.workload)
        self.operands = {operand.name: operand for operand in plan.operands}
        self.out: list[Instruction] = []
        self.last: tuple[str, ...] = (START,)
        self.done: dict[str, tuple[str, ...]] = {}
        self.flowing: dict[str, Flow] = {}
        self.routers = 0
        self.naming = Naming(plan, self.contexts) if named else None

    def cut(self, draft: Draft, cut: Cut) -> list[Instruction] | None:
        """The instructions of the operator of a cut; None if they are not so alike that no other changes with them.

        Nothing else may tell the two apart: what comes after an operator has to find the same as it did there.
        """
        part, operator, begin, end, before, after = cut
        self.out = list(draft.step[part][:begin])
        self.done, self.flowing, self.routers = before.done.copy(), before.flowing.copy(), before.routers
        self._operator(operator)
        made = self.out[begin:]
        return made if self.known() == after and _alike(made, draft.step[part][begin:end]) else None

    def draft(self, head: bool) -> Draft:
        """Plan every operator of the step."""
        workload = self.plan.workload
        parts, cuts = [], []
        for part, scope in enumerate(IN_ORDER):
            self.out, self.done, self.flowing, self.routers = [], {INPUT: (START,)}, {}, 0
            if scope != "once_after" or head:
                for operator in workload.select(scope):
                    if not self._varies(operator):
                        self._operator(operator)
                        continue
                    begin, before = len(self.out), self.known()
                    self._operator(operator)
                    cuts.append(Cut(part, operator, begin, len(self.out), before, self.known()))
            parts.append(tuple(self.out))
        return Draft(Step(*parts), tuple(cuts))

    def step_like(self, draft: Draft) -> Step | None:
        """The step by that of another context, planning anew only what depends on it; None if it is not so alike."""
        parts = [list(part) for part in draft.step]
        for cut in draft.cuts:
            if (made := self.cut(draft, cut)) is None:
                return None
            parts[cut.part][cut.begin : cut.end] = made
        return Step(*map(tuple, parts))

    def known(self) -> Known:
        """What operators that come later may ask for."""
        return Known(self.done.copy(), self.flowing.copy(), self.routers)

    def _varies(self, operator: Operator) -> bool:
        """Whether the instructions of an operator depend on the context: of attention, positions, experts, spills."""
        if operator.op in ("attention", "embedding") or (operator.experts > 1 and self.plan.routing.sampled):
            return True
        operand = self.operands.get(operator.name)
        return operand is not None and not all(n is None or n.constant_only for n in (operand.alive, operand.before))

    def _operator(self, operator: Operator) -> None:
        waits = [key for dep in operator.deps or (INPUT,) for key in self.done[dep]]
        self.last = tuple(dict.fromkeys(waits))
        match operator.op:
            case "linear":
                self._linear(operator)
            case "attention":
                self._attention(operator)
            case "embedding":
                self._embed(operator)
            case _ if operator.keeps_state:
                self._state(operator)
            case _:
                self._arithmetic(operator)
        self.done[operator.name] = self.last

    def _vectors(self, operator: Operator) -> int:
        """Vectors of an operator in this step, without those of several experts."""
        tokens = len(self.contexts) if operator.per == "token" else 1
        return self.batch * tokens * operator.rows

    # -- instructions -------------------------------------------------------------

    def _pim(
        self,
        operator: str,
        work: Work,
        bases: tuple[int, ...],
        after: tuple[str, ...] = (),
        key: str = "",
        operands: Operands | None = None,
    ) -> None:
        """Append PIM work that waits for `after` (default: the instruction before)."""
        if len(bases) == 1:  # one copy for all blocks
            bases *= self.plan.workload.blocks
        tCK = self.plan.device.tCK_ps
        ports = self.plan.units.port_clocks(work.sent * ELEMENT_BYTES, work.results * ELEMENT_BYTES, tCK)
        key = key or operator
        self.flowing[key] = Flow((len(self.out),), work.sums, work.turns)
        self.out.append(Instruction(operator, key, after or self.last, work, bases, ports, operands=operands))
        self.last = (key,)

    def _gather(self, keys: Set[str], begin: int) -> None:
        """What streams with the latest instruction streams with all since place `begin` that have one of the keys."""
        flow = self.flowing.get(self.last[0])
        if flow is None or len(self.out) - begin < 2:
            return
        places = tuple(i for i in range(begin, len(self.out)) if self.out[i].key in keys)
        self.flowing[self.last[0]] = flow._replace(places=places)

    def _asic(
        self,
        operator: str,
        kind: str,
        n: int,
        vectors: int,
        streams: bool = False,
        key: str = "",
        ways: int = 1,
        operands: Operands | None = None,
    ) -> None:
        """Append ASIC work on `vectors` vectors of `n` elements that waits for the instruction before."""
        units, tCK = self.plan.units, self.plan.device.tCK_ps
        cost, clocks, ports = units.timed(kind, n, vectors, ways, tCK)
        key = key or operator
        tail, feed, portions = None, NO_FEED, 1
        flow = self._arriving() if streams and self.plan.config.asic.streaming else None
        if flow is not None:
            tail = units.timed(kind, min(n * vectors, self.piece), 1, ways, tCK).clocks
            complete = kind != "sum" or flow.summed
            feed = Feed(flow.places, complete, flow.turns if complete else flow.sums)
            portions = self._portions(n * vectors, feed)
            self.flowing[key] = Flow(flow.places, flow.sums, flow.turns, summed=True)
        self.out.append(
            Instruction(operator, key, self.last, None, (), ports, kind, cost, clocks, tail, feed, portions, operands)
        )
        self.last = (key,)

    def _portions(self, elements: int, feed: Feed) -> int:
        """Portions in which the results of a part are taken: as many as arrive together, up to a limit."""
        arrivals = ceil_div(elements, len(feed.places) * feed.parts * self.piece)
        return max(1, min(arrivals, self.PORTIONS // feed.parts))

    def _arriving(self) -> Flow | None:
        """How the latest of what the next instruction waits for arrives, if it does so piece by piece."""
        latest = max(self.last, key=self._when) if len(self.last) > 1 else self.last[0]
        return self.flowing.get(latest)

    def _when(self, key: str) -> int:
        return next((i for i in reversed(range(len(self.out))) if self.out[i].key == key), -1)

    def _bases(self, region: str) -> tuple[int, ...]:
        return self.plan.memory.regions[region].bases

    # -- operators ----------------------------------------------------------------

    def _arithmetic(self, operator: Operator) -> None:
        """What the ASIC does alone; a weighted sum of experts is an addition with several ways."""
        if operator.deps[:1] and self.plan.functions.get(operator.deps[0]) == operator.op:
            return  # the banks have done it
        kind, streams = ARITHMETIC[operator.op]
        n, vectors, ways = operator.outputs, self._vectors(operator), 1
        if operator.op == "add" and operator.experts > 1:
            kind, ways = "weighted", operator.active
        elif operator.op == "topk":
            self.routers += 1
            n, ways = operator.inputs, operator.outputs
        else:
            vectors *= operator.active
        if operator.vectors():
            self._fetch_vectors(operator, self._bases)
        said = self.naming and self.naming.arithmetic(operator, partial(self._all_chosen, operator, self.routers))
        self._asic(operator.name, kind, n, vectors, streams, ways=ways, operands=said)

    def _linear(self, operator: Operator) -> None:
        layout = self.plan.memory.matrices[operator.name]
        bias, function = operator.name in self.plan.memory.vectors, self.plan.functions.get(operator.name, "")
        work = self.plan.cached(operator.name, 0, partial(layout.multiply, bias, function))
        vectors, begin = self._vectors(operator), len(self.out)
        if operator.experts > 1:
            has_bias = self._multiply_experts(operator, work, vectors)
        elif operator.blocks > 1:
            has_bias = self._multiply_blocks(operator, work, vectors)
        else:
            has_bias = self._fetch_vectors(operator, self._bases)
            for vector in range(vectors):
                said = self.naming and self.naming.product(operator, vector, 0, _summed(layout, has_bias))
                self._pim(operator.name, work, self._bases(operator.name), operands=said)
        self._gather({operator.name}, begin)
        sums = operator.outputs // operator.blocks * _summed(layout, has_bias)
        if sums:
            count, key = vectors * operator.active * operator.blocks, f"{operator.name}.sum"
            said = self.naming and self.naming.product_sum(operator)
            self._asic("sum", "sum", sums, count, streams=True, key=key, operands=said)
        self._spill(operator)
        if operator.role == "lm_head":
            said = self.naming and self.naming.argmax(operator)
            self._asic("argmax", "argmax", operator.outputs, vectors, streams=True, operands=said)

    def _multiply_experts(self, operator: Operator, work: Work, vectors: int) -> bool:
        """Each vector goes through its own experts, one after another."""
        has_bias = False
        for vector in range(vectors):
            chosen = self._chosen(operator, vector)
            for way in range(operator.active):
                experts = [block * operator.experts + one[way] for block, one in enumerate(chosen)]

                def bases(region: str, experts: list[int] = experts) -> tuple[int, ...]:
                    copies = self._bases(region)
                    return tuple(copies[expert] for expert in experts)

                has_bias = self._fetch_vectors(operator, bases, vector * operator.active + way)
                summed = _summed(self.plan.memory.matrices[operator.name], has_bias)
                said = self.naming and self.naming.product(operator, vector, way, summed)
                self._pim(operator.name, work, bases(operator.name), operands=said)
        return has_bias

    def _multiply_blocks(self, operator: Operator, work: Work, vectors: int) -> bool:
        """Each part of a vector goes through the matrix of its own place on the diagonal; there are no biases."""
        summed, places = _summed(self.plan.memory.matrices[operator.name], False), self._bases(operator.name)
        for vector in range(vectors):
            for way in range(operator.blocks):
                said = self.naming and self.naming.product(operator, vector, way, summed)
                self._pim(operator.name, work, places[way :: operator.blocks], operands=said)
        return False

    def _chosen(self, operator: Operator, vector: int) -> list[tuple[int, ...]]:
        """The experts of a vector in each block; all linears between two routers, and all rows of a token, agree."""
        blocks = range(self.plan.workload.repeats(operator))
        experts, active = operator.experts, operator.active
        return [self._choose(operator, vector, experts, active, block, self.routers) for block in blocks]

    def _choose(
        self, operator: Operator, vector: int, experts: int, active: int, block: int, routers: int
    ) -> tuple[int, ...]:
        token, row = divmod(vector, self.batch * operator.rows)
        context = self.contexts[token] if operator.per == "token" else self.contexts[-1]
        return self.plan.routing.choose(experts, active, context, row // operator.rows, block, routers)

    def _all_chosen(self, operator: Operator, routers: int, block: int) -> list[tuple[int, ...]]:
        """The experts of every vector in one block behind a router that has so many before it, itself among them."""
        experts, active = operator.inputs, operator.outputs
        vectors = range(self._vectors(operator))
        return [self._choose(operator, vector, experts, active, block, routers) for vector in vectors]

    def _attention(self, operator: Operator) -> None:
        """Each token of the step, with its own context: K and V appended, then attended to."""
        begin = len(self.out)
        for token in range(len(self.contexts)):
            self._attend(operator, token)
        self._gather({f"values.{s}" for s in range(self.batch)}, begin)

    def _attend(self, operator: Operator, token: int) -> None:
        """One token of every sequence; with a window, K and V are a ring of as many tokens."""
        memory, made, grid, name = self.plan.memory, self.last, self.plan.grid, operator.name
        keys, values, window, heads = memory.keys[name], memory.values[name], operator.window, operator.heads
        context = self.contexts[token]
        slot, seen = (context - 1) % window if window else context - 1, min(context, window or context)
        groups, columns = ceil_div(seen, grid.banks), grid.columns_of(seen)

        def cached(kind: str, key: int, make: Callable[[], Work]) -> Work:
            return self.plan.cached(f"{name}.{token}.{kind}", key, make)

        append_key = cached("key_append", slot, lambda: keys.append(slot))
        append_value = cached("value_append", slot // grid.width, lambda: values.append(slot))
        score = cached("scores", groups, lambda: keys.score_groups(groups)).moving(keys.score_moves(seen))
        weigh = cached("values", columns, lambda: values.weigh_columns(columns)).moving(values.weigh_moves(seen))
        begin, naming = len(self.out), self.naming
        for s in range(self.batch):
            k, v = self._bases(cache_name("keys", operator, s)), self._bases(cache_name("values", operator, s))
            said = naming and naming.key_append(operator, token, s, slot)
            self._pim("key_append", append_key, k, after=made, operands=said)
            said = naming and naming.scores(operator, token, s, seen)
            self._pim("scores", score, k, after=made, key=f"scores.{s}", operands=said)
            said = naming and naming.value_append(operator, token, s, slot)
            self._pim("value_append", append_value, v, after=made, operands=said)
            self.last = (f"scores.{s}",)
        self._gather({f"scores.{s}" for s in range(self.batch)}, begin)
        if keys.partial_sums > 1:
            n = heads * seen * (keys.partial_sums - 1)
            said = naming and naming.score_sum(operator, token, seen)
            self._asic("sum", "sum", n, self.batch, streams=True, key="scores.sum", operands=said)
        if operator.softcap:
            said = naming and naming.softcap(operator, token, seen)
            self._asic("softcap", "tanh", heads * seen, self.batch, streams=True, operands=said)
        self._spill(operator, context, token, seen)
        gate = self.last
        for s in range(self.batch):
            self.last = (f"scores.{s}",) if gate == (f"scores.{self.batch - 1}",) else gate
            self._softmax(operator, token, s, seen, f"softmax.{s}")
            said = naming and naming.weigh(operator, token, s, seen)
            v = self._bases(cache_name("values", operator, s))
            self._pim("values", weigh, v, key=f"values.{s}", operands=said)
        if values.partial_sums(seen) > 1:
            self._gather({f"values.{s}" for s in range(self.batch)}, begin)
            n = operator.outputs * (values.partial_sums(seen) - 1)
            said = naming and naming.weigh_sum(operator, token, seen)
            self._asic("sum", "sum", n, self.batch, streams=True, key="values.sum", operands=said)

    def _softmax(self, operator: Operator, token: int, sequence: int, seen: int, key: str) -> None:
        """The softmax of one token's scores: on the ASIC, but for the scale if the banks carry it out."""
        products, heads, naming = self.plan.memory.products, operator.heads, self.naming
        where = (operator, token, sequence, seen)
        if products is None:
            self._asic("softmax", "softmax", seen, heads, key=key, operands=naming and naming.softmax(*where))
            return
        said = naming and naming.exponentials(*where)
        self._asic("softmax", "exponentials", seen, heads, key=f"{key}.exponentials", operands=said)
        columns = self.plan.grid.columns_of(seen)
        make = partial(products.scale_columns, heads, columns)
        program = self.plan.cached(f"{operator.name}.softmax", columns, make)
        program, said = program.moving(products.scale_moves(heads, seen)), naming and naming.scale(*where)
        self._pim("softmax", program, self._bases("products"), key=key, operands=said)

    def _state(self, operator: Operator) -> None:
        """Each token of the step, one after another, updates the states of every sequence."""
        name, begin, tokens = operator.name, len(self.out), operator.tokens or len(self.contexts)
        has_vectors, in_dram = self._fetch_vectors(operator, self._bases), name in self.plan.memory.states
        for _ in range(tokens):
            if in_dram:
                self._update(operator, tokens)
            else:
                kind, n, vectors, ways = update_of(operator, operator.outputs * self.batch)
                self._asic(kind, kind, n, vectors, streams=tokens == 1, key=name, ways=ways)
        if in_dram:
            self._gather({f"{name}.read"}, begin)
        if has_vectors and operator.bias:
            self._asic("sum", "sum", operator.outputs, self.batch * tokens, streams=True, key=f"{name}.sum")

    def _update(self, operator: Operator, tokens: int) -> None:
        """A token reads the states of every sequence, piece by piece, and writes what the ASIC makes of them."""
        name, state, made = operator.name, self.plan.memory.states[operator.name], self.last
        for s in range(self.batch):
            bases = self._bases(state_name(operator, s))
            for piece in state.pieces(self.batch * tokens, self.room):
                read = self.plan.cached(f"{name}.read.{piece.first}", piece.elements, partial(state.read, piece))
                write = self.plan.cached(f"{name}.write.{piece.first}", piece.elements, partial(state.write, piece))
                self._pim("state_read", read, bases, after=made, key=f"{name}.read")
                kind, n, vectors, ways = piece.update
                self._asic(kind, kind, n, vectors, streams=True, key=name, ways=ways)
                self._pim("state_write", write, bases, key=f"{name}.write")
                self.last = (name,)

    def _embed(self, operator: Operator) -> None:
        """A row of each table: the token's for every sequence, the position's for every token of the step."""
        d, naming = operator.outputs, self.naming
        begin = len(self.out)
        for table, rows in enumerate(operator.tables):
            begin = len(self.out) if table < 2 else begin  # the first sums are of a row of the second table
            number = 0
            for token, context in enumerate(self.contexts):
                for sequence in range(1 if table else self.batch):
                    row = (context - 1) % rows if table else self.plan.tokens(context, sequence)
                    work, bases, wires = self._row(operator, table, token, row)
                    said = naming and naming.row(operator, table, number, row, wires)
                    self._pim(operator.name, work, bases, operands=said)
                    number += 1
        self._gather({operator.name}, begin)
        if len(operator.tables) > 1:
            vectors = self._vectors(operator) * (len(operator.tables) - 1)
            said = naming and naming.row_sum(operator)
            self._asic(operator.name, "sum", d, vectors, streams=True, key=f"{operator.name}.sum", operands=said)

    def _row(
        self, operator: Operator, table: int, token: int, row: int
    ) -> tuple[Work, tuple[int, ...], Callable[[], Wires]]:
        """What reads a row of a table, where the table lies, and what that moves."""
        plan, d = self.plan, operator.outputs
        layout = plan.memory.tables.get(table_name(operator, table))
        if layout is not None:
            work = plan.cached(f"{operator.name}.{table}.{token}", row, partial(layout.read, row * d, d))
            return work, self._bases(table_name(operator, table)), partial(layout.wires, True, row * d, d)
        tied = tied_matrix(plan.workload, operator)
        assert tied is not None
        matrix = plan.memory.matrices[tied]
        work = plan.cached(f"{operator.name}.{token}", row, partial(matrix.read, row))
        return work, self._bases(tied), partial(matrix.read_wires, row)

    def _fetch_vectors(self, operator: Operator, bases: Callable[[str], tuple[int, ...]], number: int = 0) -> bool:
        """Read an operator's biases or gains, if they are simulated; number: of the experts that are run."""
        layout = self.plan.memory.vectors.get(operator.name)
        if layout is None:
            return False
        name = vector_name(operator)
        work = self.plan.cached(name, 0, layout.read)
        said = self.naming and self.naming.vectors_of(operator, number)
        self._pim("vectors", work, bases(name), key=name, operands=said)
        return True

    def _spill(self, operator: Operator, context: int = 0, token: int = 0, seen: int = 0) -> None:
        """Write what the SRAM cannot hold of the operator's result (at `context`) to DRAM and read it back."""
        operand = self.operands.get(operator.name)
        if operand is None or operator.scope != "block":
            return
        elements = operand.spilled(context or self.contexts[-1], self.batch, len(self.contexts), self.room)
        if not elements:
            return
        scratch = self.plan.memory.scratch
        assert scratch is not None
        roles = self.plan.device.standard.roles
        for command, move in ((roles.write, scratch.write), (roles.read, scratch.read)):
            what = f"{operator.name}.{command}"
            work = self.plan.cached(f"spill.{what}", elements, partial(move, 0, elements))
            said = self.naming and self.naming.spill(operator, elements, command == roles.read, token, seen)
            self._pim("spill", work, self._bases("scratch"), key=what, operands=said)


def _summed(layout: Matrix, has_bias: bool) -> int:
    """Additions that the ASIC has for each output of a product."""
    return layout.partial_sums - 1 + (has_bias and not layout.takes_addend)


def _alike(made: Sequence[Instruction], known: Sequence[Instruction]) -> bool:
    """Whether instructions have the same names and wait for the same, so that others find no difference."""
    return [(i.operator, i.key, i.after, i.work is None) for i in made] == [
        (i.operator, i.key, i.after, i.work is None) for i in known
    ]
