"""From the operators of one step to its instructions.

An instruction is either PIM work (a program per channel) or ASIC work (a cost in
clocks).  The instructions of a block are the same in every copy but for the rows they
touch, so a step is planned once and its blocks differ only in `bases`.  An operator waits for
the operators it depends on; the channels and the ASIC keep the order of the graph.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from functools import partial
from itertools import product as product_of
from typing import NamedTuple

from pimsim.asic.units import Cost
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.beside import message
from pimsim.mapping.caches import Segment, begins, cache_name, segments
from pimsim.mapping.copies import read_back, written_whole
from pimsim.mapping.fabric import sizes
from pimsim.mapping.grid import WORD_BITS, Grid, ceil_div
from pimsim.mapping.heads import Heads, heads_of, parts_of, query_heads
from pimsim.mapping.instructions import LANE, NO_FEED, START, Feed, Instruction, Operands, Step
from pimsim.mapping.layouts import Keys, Matrix, Values
from pimsim.mapping.memory import scales_name, table_name, tied_matrix, vector_name
from pimsim.mapping.naming import Naming, scaled_row
from pimsim.mapping.placed import Placed
from pimsim.mapping.reuse import Size, product, sizes_of
from pimsim.mapping.states import state_name, update_of
from pimsim.mapping.supported import ARITHMETIC
from pimsim.mapping.wires import Wires
from pimsim.mapping.work import Moved, N, Work
from pimsim.workload.beside import ELSEWHERE, FROM, TO
from pimsim.workload.ops import IN_ORDER, INPUT, LINK, Operator
from pimsim.workload.schedule import EVERY, Copied, Forked


class Flow(NamedTuple):
    """How the results of an instruction arrive: of which PIM instructions they are, by place.

    sums, turns: see `work.Work`; summed: an addition has completed them.
    """

    places: tuple[int, ...]
    sums: int = 1
    turns: int = 1
    summed: bool = False


Taken = tuple[object, ...]  # what an operator takes of its dependencies


class Known(NamedTuple):
    """`Planner.done`, `flowing`, `routers` and `quantised` at one time."""

    done: dict[str, tuple[str, ...]]
    flowing: dict[str, Flow]
    routers: int
    quantised: dict[Taken, tuple[str, ...]]


class Cut(NamedTuple):
    """An operator whose instructions depend on the context, in a part of a step (by number) that was planned.

    begin, end     places of its instructions in the part
    before, after  what the planner knew of the operators of the part (`Planner.known`) before and after it
    lane           number of the sub-batch, if the batch has some
    """

    part: int
    operator: Operator
    begin: int
    end: int
    before: Known
    after: Known
    lane: int = 0


class Draft(NamedTuple):
    """A step that was planned, and what another context changes in it."""

    step: Step
    cuts: tuple[Cut, ...]


class Planner:
    """Plans one step.

    head: tokens for which the operators after the blocks run, the last ones (True: all).
    last: the keys that the next instruction waits for; done: those of each finished operator.
    flowing: instructions whose results arrive piece by piece, by key.  routers: those of the scope so far.
    quantised: what has been brought into a format of fewer bits, with the keys that made it.
    naming: names what instructions read and make, if that is asked for (`named`).
    lanes: who plans each of the sub-batches, whose operators alternate; this one alone, if there are none.  All of them
    append to one list, and what they know is their own; suffix: of the keys of one.
    """

    PORTIONS = 8  # most that the results of one program are taken in

    def __init__(
        self, plan: Placed, context: int, tokens: int, head: int = True, named: bool = False, suffix: str = ""
    ) -> None:
        self.plan = plan
        self.contexts = range(context - tokens + 1, context + 1)
        self.head = tokens if head is True else int(head)
        self.batch = plan.batch
        self.piece = plan.device.channels * plan.device.banks  # results that arrive together
        self.room = plan.memory.room
        self.operands = {operand.name: operand for operand in plan.operands}
        self.out: list[Instruction] = []
        self.last: tuple[str, ...] = (START,)
        self.done: dict[str, tuple[str, ...]] = {}
        self.flowing: dict[str, Flow] = {}
        self.routers = 0
        self.quantised: dict[Taken, tuple[str, ...]] = {}
        self.naming = Naming(plan, self.contexts) if named else None
        self.suffix = suffix
        self.lanes = [self]
        if plan.sub_batches > 1:
            self.lanes = [
                Planner(lane, context, tokens, head, suffix=f"{LANE}{n}") for n, lane in enumerate(plan.lanes)
            ]

    def cut(self, draft: Draft, cut: Cut) -> list[Instruction] | None:
        """The instructions of the operator of a cut; None if they are not so alike that no other changes with them.

        Nothing else may tell the two apart: what comes after an operator has to find the same as it did there.
        """
        if self.lanes[cut.lane] is not self:
            return self.lanes[cut.lane].cut(draft, cut._replace(lane=0))
        part, operator, begin, end, before, after, _ = cut
        self.out = list(draft.step[part][:begin])
        self.done, self.flowing, self.routers = before.done.copy(), before.flowing.copy(), before.routers
        self.quantised = before.quantised.copy()
        self._operator(operator)
        made = self.out[begin:]
        return made if self.known() == after and _alike(made, draft.step[part][begin:end]) else None

    def draft(self) -> Draft:
        """Plan every operator of the step."""
        workload = self.plan.workload
        parts: list[tuple[Instruction, ...]] = []
        cuts = []
        for part, scope in enumerate(IN_ORDER):
            out: list[Instruction] = []
            for lane in self.lanes:
                lane._start(out)
            operators = workload.select(scope) if scope != "once_after" or self.head else ()
            for operator, (number, lane) in product_of(operators, enumerate(self.lanes)):
                if not lane._varies(operator):
                    lane._operator(operator)
                    continue
                begin, before = len(out), lane.known()
                lane._operator(operator)
                cuts.append(Cut(part, operator, begin, len(out), before, lane.known(), number))
            if self.plan.sub_batches > 1 and not (parts or out):
                out.append(_BEGIN)
            parts.append(tuple(out))
        return Draft(Step(*parts), tuple(cuts))

    def _start(self, out: list[Instruction]) -> None:
        """Begin with a scope, whose instructions are appended to `out`."""
        self.out, self.done, self.flowing, self.routers, self.quantised = (
            out,
            {INPUT: (START + self.suffix,)},
            {},
            0,
            {},
        )

    def operators_of_instructions(self) -> dict[str, list[str]]:
        """The operator of each instruction, by the scope that they are in."""
        found: dict[str, list[str]] = {}
        for scope in IN_ORDER:
            self._start([])
            found[scope] = []
            for operator in self.plan.workload.select(scope) if scope != "once_after" or self.head else ():
                self._operator(operator)
                found[scope] += [operator.name] * (len(self.out) - len(found[scope]))
        return found

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
        return Known(self.done.copy(), self.flowing.copy(), self.routers, self.quantised.copy())

    def _varies(self, operator: Operator) -> bool:
        """Whether the instructions of an operator depend on the context: of attention, positions, experts, spills."""
        if operator.op in ("attention", "embedding") or (operator.experts > 1 and self.plan.routing.sampled):
            return True
        if operator.op == ELSEWHERE and self.plan.machine is not None and self.plan.machine.varies(operator.name):
            return True
        operand = self.operands.get(operator.name)
        return operand is not None and not all(n is None or n.constant_only for n in (operand.alive, operand.before))

    def _operator(self, operator: Operator) -> None:
        begin, waits = len(self.out), [key for dep in operator.deps or (INPUT,) for key in self.done[dep]]
        self.last = tuple(dict.fromkeys(waits))
        match operator.op:
            case "linear":
                self._linear(operator)
            case "attention":
                self._attention(operator)
            case "embedding":
                self._embed(operator)
            case _ if operator.op == ELSEWHERE:
                self._elsewhere(operator)
            case _ if operator.op in (TO, FROM):
                self._cross(operator)
            case _ if operator.role == LINK:
                self._exchange(operator)
            case _ if operator.keeps_state:
                self._state(operator)
            case _:
                self._arithmetic(operator)
        if self.suffix:
            self._tell_apart(begin)
        self.done[operator.name] = self.last

    def _tell_apart(self, begin: int) -> None:
        """The keys of the instructions since place `begin` become those of the sub-batch."""
        made = {instruction.key: instruction.key + self.suffix for instruction in self.out[begin:]}

        def told(keys: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(made.get(key, key) for key in keys)

        for place in range(begin, len(self.out)):
            one = self.out[place]
            self.out[place] = one._replace(key=made[one.key], after=told(one.after))
        self.last = told(self.last)
        self.flowing = {made.get(key, key): flow for key, flow in self.flowing.items()}
        self.quantised = {taken: told(keys) for taken, keys in self.quantised.items()}

    def _vectors(self, operator: Operator) -> int:
        """Vectors of an operator in this step, without those of several experts."""
        tokens = operator.tokens or (len(self.contexts) if operator.per == "token" else 1)
        if operator.scope == "once_after":
            tokens = min(tokens, self.head)
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

    # -- copies of K and V -----------------------------------------------------------

    def copies(self, copied: Sequence[Copied | Forked]) -> Step:
        """K and V that come to lie elsewhere: each column is read, and written where it belongs."""
        parts = []
        for scope in IN_ORDER:
            self.out, self.last = [], (START,)
            for operator in self.plan.workload.select(scope):
                if operator.op == "attention" and operator.append:
                    for each in copied:
                        self._copy(operator, each)
                elif operator.name in self.plan.memory.states:
                    self._copy_state(operator, copied)
            parts.append(tuple(self.out))
        return Step(*parts)

    def _copy(self, operator: Operator, copied: Copied | Forked) -> None:
        if isinstance(copied, Forked):
            slots = operator.slot(copied.at) + 1
            if filled := slots % self._width(operator):
                self._move(operator, "values", copied.source, copied.target, slots - 1, slots - 1, filled)
            return
        pairs = [(copied.source, copied.target)]
        if copied.source == EVERY:
            pairs = [(sequence, sequence) for sequence in range(self.batch)]
        slots_of = [
            (operator.slot(copied.first + n + 1), operator.slot(copied.to + n + 1)) for n in range(copied.tokens)
        ]
        for source, target in pairs:
            for first, to in slots_of:
                self._move(operator, "keys", source, target, first, to)
            for first, to, tokens in _columns(slots_of, self._width(operator)):
                self._move(operator, "values", source, target, first, to, tokens)

    def _copy_state(self, operator: Operator, copied: Sequence[Copied | Forked]) -> None:
        """The whole state goes with a sequence that goes on from another one."""
        name, layout = operator.name, self.plan.memory.states[operator.name].layout
        for source, target in dict.fromkeys((each.source, each.target) for each in copied):
            if source != target:
                read, write = (
                    self.plan.kept(f"{name}.read", 0, layout.read),
                    self.plan.kept(f"{name}.write", 0, layout.write),
                )
                self._pim("copy_read", read, self._bases(state_name(operator, source)), key=f"{name}.read")
                self._pim("copy_write", write, self._bases(state_name(operator, target)), key=f"{name}.write")

    def _move(
        self, operator: Operator, what: str, source: int, target: int, first: int, to: int, tokens: int = 1
    ) -> None:
        """A column of K or V, with so many tokens, is read from one cache and written to another."""
        of = self._keys if what == "keys" else self._values
        here: Keys | Values = of(operator, source)
        there: Keys | Values = of(operator, target)
        first, to = first - self._begin(operator, source), to - self._begin(operator, target)
        key = f"{operator.name}.{what}"
        fetch, grid = f"{key}.fetch.{self._branch(source)}", self.plan.grid
        fetched = self.plan.kept(fetch, first, lambda: read_back(grid, here.append(first)))
        store = f"{key}.store.{self._branch(target)}.{tokens > 1}"
        stored = self.plan.kept(store, to, lambda: _stored(grid, there.append(to), tokens))
        for work, name, sequence in ((fetched, "read", source), (stored, "write", target)):
            moved = Moved(work.payload * tokens, 0, work.sent * tokens, work.results * tokens)
            self._pim(f"copy_{name}", work.moving(moved), self._cache(what, operator, sequence), key=f"{key}.{name}")

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
        said = self.naming and self.naming.arithmetic(operator, partial(self._experts_of, operator, self.routers))
        self._asic(operator.name, kind, n, vectors, streams, ways=ways, operands=said)

    def _exchange(self, operator: Operator) -> None:
        """What the devices that share the model send each other: none goes on before all is there."""
        plan, vectors = self.plan, self._vectors(operator)
        assert plan.fabric is not None  # a graph that was cut has links
        elements, given, taken = sizes(operator, vectors)
        ps, moved, adds = plan.fabric.exchange(operator.op, elements)
        clocks, ports = ceil_div(ps, plan.device.tCK_ps), plan.units.port_clocks(given, taken, plan.device.tCK_ps)
        cost = Cost(0, adds, 0, given + taken, taken)
        done = Instruction(
            operator.name, operator.name, self.last, ports=ports, cause="link", cost=cost, clocks=clocks,
            place="link", moved=moved,
        )  # fmt: skip
        self.out.append(done)
        self.last = (operator.name,)

    def _elsewhere(self, operator: Operator) -> None:
        """What another machine does, or how long it waits to be told."""
        plan, name = self.plan, operator.name
        assert plan.machine is not None  # a graph that was divided has one
        ps = plan.machine.takes_ps(name, self.contexts[-1], len(self.contexts), self.head)
        clocks = ceil_div(ps, plan.device.tCK_ps)
        self.out.append(Instruction(name, name, self.last, cause="machine", clocks=clocks, place="machine"))
        self.last = (name,)

    def _cross(self, operator: Operator) -> None:
        """What goes to another machine, out of the SRAM, or comes from there into it."""
        plan, name, elements = self.plan, operator.name, operator.outputs * self._vectors(operator)
        ps, moved, _ = message(plan.config.system.link, elements)
        clocks, size = ceil_div(ps, plan.device.tCK_ps), elements * ELEMENT_BYTES
        given, taken = (size, 0) if operator.op == TO else (0, size)
        ports = plan.units.port_clocks(given, taken, plan.device.tCK_ps)
        done = Instruction(
            name, name, self.last, ports=ports, cause="link", cost=Cost(0, 0, 0, size, taken), clocks=clocks,
            place="link", moved=moved,
        )  # fmt: skip
        self.out.append(done)
        self.last = (name,)

    def _linear(self, operator: Operator) -> None:
        layout = self.plan.memory.matrices[operator.name]
        bias, function = operator.name in self.plan.memory.vectors, self.plan.functions.get(operator.name, "")
        work = self.plan.cached(operator.name, 0, partial(layout.multiply, bias, function))
        packing = layout.grid.packing
        if packing is not None and packing.quantises:
            self._quantise(operator)
        vectors, begin = self._vectors(operator), len(self.out)
        if operator.experts > 1:
            has_bias = self._multiply_experts(operator, work, vectors)
        elif operator.blocks > 1:
            has_bias = self._multiply_blocks(operator, work, vectors)
        else:
            has_bias = self._fetch_vectors(operator, self._bases)
            self._multiply_groups(operator, work, vectors, _completed(layout, has_bias))
        self._gather({operator.name}, begin)
        self._add_up(operator, layout, vectors * operator.active * operator.blocks, has_bias)
        self._spill(operator)
        if operator.role == "lm_head":
            said = self.naming and self.naming.argmax(operator)
            self._asic("argmax", "argmax", operator.outputs, vectors, streams=True, operands=said)

    def _add_up(self, operator: Operator, layout: Matrix, vectors: int, has_bias: bool) -> None:
        """Partial sums and the bias of so many products; a bias is added to what has been scaled."""
        name, outputs, last = operator.name, operator.outputs // operator.blocks, _finished(layout, has_bias)
        if not last:
            if summed := _summed(layout, has_bias):
                said = self.naming and self.naming.product_sum(operator)
                self._asic("sum", "sum", outputs * summed, vectors, streams=True, key=f"{name}.sum", operands=said)
            return
        for step, what in enumerate(last):
            said = self.naming and self.naming.finished(
                operator, last, step, partial(self._experts_of, operator, self.routers)
            )
            n = outputs * (layout.partial_sums - 1 if what == "sum" else 1)
            kind, ways = ("sum" if what == "bias" else what), layout.partial_sums if what == "scaled" else 1
            self._asic(kind, kind, n, vectors, True, f"{name}.{what}", ways, operands=said)

    def _quantise(self, operator: Operator) -> None:
        """Bring what an operator takes into the format that it is multiplied in: once for all that take the same."""
        taken = (operator.deps or (INPUT,), operator.take)
        if taken not in self.quantised:
            experts = {o.name for o in self.plan.workload.operators if o.experts > 1 and o.op != "topk"}
            copies = operator.active if experts.intersection(operator.deps) else 1
            key = f"{operator.name}.quantise"
            said = self.naming and self.naming.quantised(operator)
            self._asic(
                "quantise", "quantise", operator.inputs, self._vectors(operator) * copies, key=key, operands=said
            )
            self.quantised[taken] = self.last
        self.last = self.quantised[taken]
        if self.naming:
            self.naming.takes_quantised(operator, self.last[0])

    def _quantise_attended(self, operator: Operator, tokens: int) -> None:
        """The same of queries, and of the K and V that are appended."""
        if elements := quantised(operator, self.plan.memory.keys[operator.name]):
            key, said = f"{operator.name}.quantise", self.naming and self.naming.quantised_attended(operator)
            self._asic("quantise", "quantise", elements, self.batch * tokens, key=key, operands=said)

    def _multiply_groups(self, operator: Operator, one: Work, vectors: int, summed: int) -> None:
        """Vectors that share an open row go together; else one goes after another."""
        layout, vector = self.plan.memory.matrices[operator.name], 0
        bias, function = operator.name in self.plan.memory.vectors, self.plan.functions.get(operator.name, "")
        for count in self._groups(operator, layout, bias, vectors):
            make = partial(product, layout, bias, function, count)
            work = one if count == 1 else self.plan.cached(f"{operator.name}.{count}", 0, make)
            said = self.naming and self.naming.product(operator, vector, 0, summed, count)
            self._pim(operator.name, work, self._bases(operator.name), operands=said)
            vector += count

    def _groups(self, operator: Operator, layout: Matrix, bias: bool, vectors: int) -> Sequence[int]:
        """How many vectors go together, in their order."""
        if self.plan.config.mapping.verify == "repeat":
            return (1,) * vectors
        known, key = self.plan.groups, (operator.name, vectors)
        if key not in known:
            size = Size(layout.grid, operator.inputs, operator.outputs, bias)
            known[key] = sizes_of(self.plan.config, layout, size, vectors)
        return known[key]

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
                summed = _completed(self.plan.memory.matrices[operator.name], has_bias)
                said = self.naming and self.naming.product(operator, vector, way, summed)
                self._pim(operator.name, work, bases(operator.name), operands=said)
        return has_bias

    def _multiply_blocks(self, operator: Operator, work: Work, vectors: int) -> bool:
        """Each part of a vector goes through the matrix of its own place on the diagonal; there are no biases."""
        self._fetch_scales(operator, self._bases)
        summed, places = _completed(self.plan.memory.matrices[operator.name], False), self._bases(operator.name)
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

    def _experts_of(self, operator: Operator, routers: int, block: int) -> list[tuple[int, ...]]:
        """The experts of every vector in one block, behind a router that has so many before it, itself among them."""
        experts, active = operator.experts, operator.active
        if operator.op == "topk":
            experts, active = operator.inputs, operator.outputs
        vectors = range(self._vectors(operator))
        return [self._choose(operator, vector, experts, active, block, routers) for vector in vectors]

    def _choose(
        self, operator: Operator, vector: int, experts: int, active: int, block: int, routers: int
    ) -> tuple[int, ...]:
        token, row = divmod(vector, self.batch * operator.rows)
        context = self.contexts[token] if operator.per == "token" else self.contexts[-1]
        return self.plan.routing.choose(experts, active, context, row // operator.rows, block, routers)

    def _attention(self, operator: Operator) -> None:
        """Each token of the step, with its own context: K and V appended, then attended to."""
        tokens = operator.tokens or len(self.contexts)
        if self.plan.fills:
            self._append_all(operator)
            return
        self._quantise_attended(operator, tokens)
        begin = len(self.out)
        if operator.append and operator.sees_all:
            self._append_all(operator)
        for token in range(tokens):
            self._attend(operator, token)
        self._gather(self._values_since(begin), begin)
        if scaled(self.plan.memory.values[operator.name]):
            said = self.naming and self.naming.attended(operator, [self._seen(operator, t)[0] for t in range(tokens)])
            key = f"{operator.name}.scale"
            self._asic("scale", "scale", operator.outputs, self.batch * tokens, key=key, operands=said)

    def _values_since(self, begin: int) -> set[str]:
        """Keys of all p V since a place."""
        return {instruction.key for instruction in self.out[begin:] if instruction.operator == "values"}

    def _append_all(self, operator: Operator) -> None:
        """K and V of all that a step adds, before any of its tokens attends to them."""
        made, seen = self.last, operator.attended().at(self.contexts[-1])
        count = operator.appended or len(self.contexts)
        slots = range(seen - operator.appended, seen) if operator.appended else map(operator.slot, self.contexts)
        for token, slot in zip(range(count), slots, strict=True):
            for s in range(self.batch):
                self._append(operator, "keys", token, s, slot, made)
                self._append(operator, "values", token, s, slot, made)
        self.last = made

    def _append(
        self, operator: Operator, what: str, token: int, sequence: int, slot: int, after: tuple[str, ...]
    ) -> None:
        """K or V of one token of one sequence."""
        layout: Keys | Values = self._keys(operator, sequence) if what == "keys" else self._values(operator, sequence)
        at = slot - self._begin(operator, sequence)
        key = at // self._width(operator) if what == "values" else at
        kind = f"{operator.name}.{token}.{what}_append.{self._branch(sequence)}"
        work = self.plan.cached(kind, key, partial(layout.append, at))
        said = self.naming and self.naming.appended(what, operator, token, sequence, slot)
        bases = self._cache(what, operator, sequence)
        self._pim(f"{what.removesuffix('s')}_append", work, bases, after=after, operands=said)

    def _branch(self, sequence: int) -> bool:
        """Whether the cache of a sequence begins behind a prefix."""
        return bool(self.plan.branches and self.plan.branches[sequence])

    def _width(self, operator: Operator) -> int:
        """Tokens of a column of V."""
        return self.plan.memory.values[operator.name].grid.width

    def _begin(self, operator: Operator, sequence: int) -> int:
        """The slot with which the cache of a sequence begins."""
        return begins(self.plan.branches, sequence, operator, self._width(operator))

    def _keys(self, operator: Operator, sequence: int) -> Keys:
        """The layout of a sequence's K."""
        memory = self.plan.memory
        return (memory.branch_keys if self._branch(sequence) else memory.keys)[operator.name]

    def _values(self, operator: Operator, sequence: int) -> Values:
        """The layout of a sequence's V."""
        memory = self.plan.memory
        return (memory.branch_values if self._branch(sequence) else memory.values)[operator.name]

    def _cache(self, what: str, operator: Operator, sequence: int) -> tuple[int, ...]:
        """Where the K or V of a sequence lies."""
        return self._bases(cache_name(what, operator, self.plan.first + sequence, self._branch(sequence)))

    def _context(self, token: int) -> int:
        """That of a token; an operator may have more of them than the step, or others."""
        return self.contexts[min(token, len(self.contexts) - 1)]

    def _seen(self, operator: Operator, token: int) -> tuple[int, int]:
        """Slots that a token of the step goes through, and how many of them it attends to: in a tree by its depth."""
        context = self.contexts[-1] if operator.sees_all else self._context(token)
        seen = operator.attended().at(context)
        if self.plan.depths is None or operator.sees_all:
            return seen, seen
        return seen, operator.attended().at(self.contexts[0] + self.plan.depths[token])

    def _attend(self, operator: Operator, token: int) -> None:
        """One token of every sequence; with a window, K and V are a ring of as many tokens."""
        made, name, heads, width = self.last, operator.name, operator.heads, self._width(operator)
        keys, naming = self.plan.memory.keys[name], self.naming
        seen, attended = self._seen(operator, token)
        appends = operator.append and not operator.sees_all
        slot = operator.slot(self._context(token)) if appends else 0
        parts = [list(segments(self.plan.branches, s, operator, seen, attended, width)) for s in range(self.batch)]
        begin, spills_at = len(self.out), self.contexts[-1] if operator.sees_all else self._context(token)
        by = heads_of(self.plan.config.mapping.attention, self.plan.memory, operator)
        if by is not None and not self._spilled(operator, spills_at):  # else nothing goes on before all is back
            self._attend_by_heads(operator, token, by, parts, slot if appends else None)
            return
        for s in range(self.batch):
            if appends:
                self._append(operator, "keys", token, s, slot, made)
            said = naming and naming.scores(operator, token, s, seen)
            for part in parts[s]:
                self._score(operator, token, s, part, made, said)
            if appends:
                self._append(operator, "values", token, s, slot, made)
            self.last = (f"scores.{s}",)
        self._gather({f"scores.{s}" for s in range(self.batch)}, begin)
        if keys.partial_sums > 1:
            n = heads * attended * (keys.partial_sums - 1)
            said = naming and naming.score_sum(operator, token, seen)
            self._asic("sum", "sum", n, self.batch, streams=True, key="scores.sum", operands=said)
        if operator.softcap:
            said = naming and naming.softcap(operator, token, seen)
            self._asic("softcap", "tanh", heads * attended, self.batch, streams=True, operands=said)
        self._spill(operator, spills_at, token, seen)
        gate = self.last
        for s in range(self.batch):
            self.last = (f"scores.{s}",) if gate == (f"scores.{self.batch - 1}",) else gate
            self._softmax(operator, token, s, attended, f"softmax.{s}")
            said = naming and naming.weigh(operator, token, s, seen)
            gate_of_values = self.last
            for part in parts[s]:
                self._weigh(operator, token, s, part, gate_of_values, said)
        self._merge(operator, token, seen, parts, begin)

    def _attend_by_heads(
        self, operator: Operator, token: int, by: Heads, parts: Sequence[Sequence[Segment]], slot: int | None
    ) -> None:
        """As `_attend`, part by part of K and of V; slot: where K and V are appended, if they are.

        A softmax stands behind the p V of the part before: there it is charged what it takes longer than that.
        """
        made, naming, (seen, attended) = self.last, self.naming, self._seen(operator, token)
        before = len(self.out)
        for s in range(self.batch):
            if slot is not None:
                self._append(operator, "keys", token, s, slot, made)
            for k in range(len(by.keys)):
                begin = len(self.out)
                said = naming and naming.scores_of(operator, token, s, seen, k)
                for part in parts[s]:
                    self._score(operator, token, s, part, made, said, k)
                self._gather({f"scores.{s}.{k}"}, begin)
            if slot is not None:
                self._append(operator, "values", token, s, slot, made)
        numbers = [(s, k) for s in range(self.batch) for k in range(len(by.keys))]
        there = {(s, k): self._complete(operator, token, s, k, by.keys[k]) for s, k in numbers}
        for s in range(self.batch):
            for v, pieces in enumerate(by.pieces):
                waits: tuple[str, ...] = ()
                for n, piece in enumerate(pieces):
                    self.last = tuple(name for k in piece.scored for name in there[s, k])
                    key = f"softmax.{s}.{v}.{n}"
                    said = naming and naming.softmax_of(operator, token, s, seen, piece.heads)
                    self._asic("softmax", "softmax", attended, len(piece.heads), key=key, operands=said)
                    waits += self.last
                said = naming and naming.weigh_of(operator, token, s, seen, v)
                for part in parts[s]:
                    self._weigh(operator, token, s, part, waits, said, v)
        # on a channel the last sequence comes last; the latest instruction stands first
        self.last = tuple(f"values.{self.batch - 1}.{v}" for v in reversed(range(len(by.pieces))))
        self._merge(operator, token, seen, parts, before)

    def _complete(self, operator: Operator, token: int, sequence: int, number: int, layout: Keys) -> tuple[str, ...]:
        """Scores of a part of K are added up, and capped; the key of the last of it."""
        heads, naming, (seen, attended) = query_heads(layout, operator.heads), self.naming, self._seen(operator, token)
        which = f"{sequence}.{number}"
        self.last = (f"scores.{which}",)
        if layout.partial_sums > 1:
            said = naming and naming.score_sum_of(operator, token, sequence, seen, number)
            n = len(heads) * attended * (layout.partial_sums - 1)
            self._asic("sum", "sum", n, 1, streams=True, key=f"scores.sum.{which}", operands=said)
        if operator.softcap:
            said, key = naming and naming.softcap_of(operator, token, sequence, seen, heads), f"softcap.{which}"
            self._asic("softcap", "tanh", len(heads) * attended, 1, streams=True, key=key, operands=said)
        return self.last

    def _score(
        self, operator: Operator, token: int, sequence: int, part: Segment, after: tuple[str, ...],
        said: Operands | None, number: int | None = None,
    ) -> None:  # fmt: skip
        """q K^T over the tokens of one cache, of all heads or of one part of them."""
        layout, groups = self._keys(operator, part.owner), ceil_div(part.keys, self.plan.grid.banks)
        kind = f"{operator.name}.{token}.scores.{self._branch(part.owner)}.{part.owner != sequence}"
        key = f"scores.{sequence}"
        if number is not None:
            layout, kind, key = parts_of(layout)[number], f"{kind}.{number}", f"{key}.{number}"
        work = self.plan.cached(kind, groups, partial(layout.score_groups, groups))
        moved, bases = layout.score_moves(part.scored), self._cache("keys", operator, part.owner)
        self._pim("scores", work.moving(moved), bases, after, key, operands=said)

    def _weigh(
        self, operator: Operator, token: int, sequence: int, part: Segment, after: tuple[str, ...],
        said: Operands | None, number: int | None = None,
    ) -> None:  # fmt: skip
        """p V over the tokens of one cache, of all heads or of one part of them."""
        if not part.values:
            return
        layout = self._values(operator, part.owner)
        columns = layout.grid.columns_of(part.values)
        kind = f"{operator.name}.{token}.values.{self._branch(part.owner)}.{part.owner != sequence}"
        key = f"values.{sequence}"
        if number is not None:
            layout, kind, key = parts_of(layout)[number], f"{kind}.{number}", f"{key}.{number}"
        work = self.plan.cached(kind, columns, partial(layout.weigh_columns, columns))
        moved, bases = weighed(layout, part.values, part.weighed), self._cache("values", operator, part.owner)
        self._pim("values", work.moving(moved), bases, after, key, operands=said)

    def _merge(self, operator: Operator, token: int, seen: int, parts: Sequence[Sequence[Segment]], begin: int) -> None:
        """Partial sums of p V, of the chunks of every cache."""
        sums = [self._partial_sums(operator, each) for each in parts]
        if max(sums) == 1:
            return
        self._gather(self._values_since(begin), begin)
        said = self.naming and self.naming.weigh_sum(operator, token, seen)
        alike = len(set(sums)) == 1
        n = operator.outputs * (sums[0] - 1 if alike else sum(sums) - len(sums))
        vectors = self.batch if alike else 1
        self._asic("sum", "sum", n, vectors, streams=True, key="values.sum", operands=said)

    def _partial_sums(self, operator: Operator, parts: Sequence[Segment]) -> int:
        """Partial sums of one result of a sequence that come back."""
        return sum(self._values(operator, part.owner).partial_sums(part.values) for part in parts if part.values)

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
        if scaled_row(self.plan, operator):
            said, key = naming and naming.row_scale(operator), f"{operator.name}.scale"
            self._asic("scale", "scale", d, self._vectors(operator), streams=True, key=key, operands=said)
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

    def _fetch_scales(self, operator: Operator, bases: Callable[[str], tuple[int, ...]], number: int = 0) -> None:
        """Read the scales of an operator's groups of weights, if the ASIC applies them."""
        layout = self.plan.memory.scales.get(operator.name)
        if layout is not None:
            name = scales_name(operator)
            said = self.naming and self.naming.scales_of(operator, number)
            self._pim("scales", self.plan.cached(name, 0, layout.read), bases(name), key=name, operands=said)

    def _fetch_vectors(self, operator: Operator, bases: Callable[[str], tuple[int, ...]], number: int = 0) -> bool:
        """Read an operator's scales, and its biases or gains, if they are simulated; number: of the experts that are
        run.
        """
        self._fetch_scales(operator, bases, number)
        layout = self.plan.memory.vectors.get(operator.name)
        if layout is None:
            return False
        name = vector_name(operator)
        work = self.plan.cached(name, 0, layout.read)
        said = self.naming and self.naming.vectors_of(operator, number)
        self._pim("vectors", work, bases(name), key=name, operands=said)
        return True

    def _spilled(self, operator: Operator, context: int = 0) -> int:
        """Elements of an operator's result that the SRAM cannot hold."""
        operand = self.operands.get(operator.name)
        if operand is None or operator.scope != "block":
            return 0
        return operand.spilled(context or self.contexts[-1], self.batch, len(self.contexts), self.room)

    def _spill(self, operator: Operator, context: int = 0, token: int = 0, seen: int = 0) -> None:
        """Write what the SRAM cannot hold of the operator's result (at `context`) to DRAM and read it back."""
        elements = self._spilled(operator, context)
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


# What comes before the blocks where nothing does, so that each sub-batch has something to wait for.
_BEGIN = Instruction("begin", "begin", (START,), cause="link", place="link")


def _columns(slots: Sequence[tuple[int, int]], width: int) -> list[tuple[int, int, int]]:
    """A pair of slots for each column of V that is moved, and tokens: those that share one before and after go
    together; width: tokens of a column.
    """
    found: dict[tuple[int, int, int], list[tuple[int, int]]] = {}
    for first, to in slots:
        alone = (first - to) % width and first  # in another lane: nothing else goes with it
        found.setdefault((first // width, to // width, alone), []).append((first, to))
    return [(*pairs[0], len(pairs)) for pairs in found.values()]


def _stored(grid: Grid, written: Work, tokens: int) -> Work:
    """What writes a column that comes from another cache: whole, if it brings more than one token."""
    return written_whole(grid, written) if tokens > 1 else written


def weighed(layout: Values, seen: N, attended: N) -> Moved[N]:
    """What p V moves that goes through `seen` slots, of which so many are attended to: all partial sums come back."""
    here, all_sums = layout.weigh_moves(attended), layout.weigh_moves(seen).results
    return here._replace(payload=here.payload - here.results + all_sums, results=all_sums)


def quantised(operator: Operator, keys: Keys) -> int:
    """Elements of one token that an attention brings into fewer bits: its queries, and the K and V that it appends."""
    packing = keys.grid.packing
    if packing is None:
        return 0
    kept = operator.kv_token * operator.append if packing.pair.stored.bits < WORD_BITS else 0
    return operator.heads * operator.head_dim * packing.quantises + kept


def scaled(layout: Matrix | Values) -> bool:
    """Whether the ASIC multiplies results with a scale, see `Packing.scales_results`."""
    packing = layout.grid.packing
    return packing is not None and packing.scales_results


def _finished(layout: Matrix, has_bias: bool) -> tuple[str, ...]:
    """What the ASIC does, one after another, to products whose sums have scales; nothing else does it then."""
    packing = layout.grid.packing
    if packing is None or not (packing.drained or packing.scales_results):
        return ()
    first = "scaled" if packing.drained else "sum" if layout.partial_sums > 1 else ""
    bias = "bias" if has_bias and not layout.takes_addend else ""
    return tuple(filter(None, (first, "scale" if packing.scales_results else "", bias)))


def _completed(layout: Matrix, has_bias: bool) -> int:
    """Whether the ASIC does something to sums before they are results."""
    return _summed(layout, has_bias) or len(_finished(layout, has_bias))


def _summed(layout: Matrix, has_bias: bool) -> int:
    """Additions that the ASIC has for each output of a product."""
    return layout.partial_sums - 1 + (has_bias and not layout.takes_addend)


def _alike(made: Sequence[Instruction], known: Sequence[Instruction]) -> bool:
    """Whether instructions have the same names and wait for the same, so that others find no difference."""
    return [(i.operator, i.key, i.after, i.work is None) for i in made] == [
        (i.operator, i.key, i.after, i.work is None) for i in known
    ]
