"""The instructions of an attention, for many contexts at once.

The second reading of `Planner._attention`, on arrays; `tests/replay` compares the two.  Only what
the context changes is here: names, waits and bases are those of the step that the planner made of
the first context.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.asic.each import costs_of, ports_of
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.grid import at_most, ceil_div
from pimsim.mapping.heads import Heads, heads_of, query_heads
from pimsim.mapping.instructions import Instruction
from pimsim.mapping.layouts import Keys, Values
from pimsim.mapping.placed import Placed
from pimsim.mapping.planner import Planner, quantised, scaled, weighed
from pimsim.mapping.stretch import Many, Series
from pimsim.mapping.work import Ints, Moved, Work
from pimsim.workload.branches import seen as seen_at
from pimsim.workload.ops import Operator


class AttentionSeries:
    """What the instructions of one attention are in many steps.

    contexts  (t,) of the last of the `tokens` tokens of each step
    first     the instructions that the first step has for it
    alike     steps, from the first on, that have the same instructions
    """

    def __init__(
        self, plan: Placed, operator: Operator, contexts: Ints, tokens: int, first: Sequence[Instruction]
    ) -> None:
        self.plan, self.operator, self.contexts, self.tokens, self.first = plan, operator, contexts, tokens, first
        self.grid, self.batch = plan.grid, plan.batch
        self.alike = len(contexts)
        self.made: list[Series] = []
        count, name = operator.tokens or tokens, operator.name
        if plan.fills:
            self._append_all()
            return
        if elements := quantised(operator, plan.memory.keys[name]):
            self._asic(np.full_like(contexts, elements), self.batch * count)
        if operator.append and operator.sees_all:
            self._append_all()
        for token in range(count):
            self._attend(token)
        if scaled(plan.memory.values[name]):
            self._asic(np.full_like(contexts, operator.outputs), self.batch * count)
        assert len(self.made) == len(first)

    @property
    def series(self) -> list[Series]:
        """Of each instruction, as far as steps are alike."""
        return [made.until(self.alike) for made in self.made]

    def _append_all(self) -> None:
        """As `Planner._append_all`."""
        operator, context = self.operator, self.contexts
        seen, count = seen_at(operator, context), operator.appended or self.tokens
        for token in range(count):
            slot = slots_of(operator, context - (self.tokens - 1 - token))
            self._append(token, seen - count + token if operator.appended else slot)

    def _append(self, token: int, slot: Ints) -> None:
        """As `Planner._append`, of every sequence."""
        self.made += [self._appended("keys", token, slot), self._appended("values", token, slot)] * self.batch

    def _appended(self, what: str, token: int, slot: Ints) -> Series:
        memory, name = self.plan.memory, self.operator.name
        layout: Keys | Values = memory.keys[name] if what == "keys" else memory.values[name]
        like, shifts = layout.appended_like(slot)
        return self._pim(f"{token}.{what}_append", like, layout.append, shifts=shifts)

    def _attend(self, token: int) -> None:
        """One token of every sequence, in the order of `Planner._attend`."""
        operator, own = self.operator, self.contexts - max(0, self.tokens - 1 - token)
        keys, values = self.plan.memory.keys[operator.name], self.plan.memory.values[operator.name]
        heads = operator.heads
        seen = attended = seen_at(operator, self.contexts if operator.sees_all else own)
        if self.plan.depths is not None and not operator.sees_all:
            attended = seen_at(operator, self.contexts - self.tokens + 1 + self.plan.depths[token])
        groups, columns = ceil_div(seen, self.grid.banks), values.grid.columns_of(seen)
        by = heads_of(self.plan.config.mapping.attention, self.plan.memory, operator)
        spills_at = self.contexts if operator.sees_all else own
        if by is not None and not self._spilled(spills_at)[0]:
            self._attend_by_heads(token, own, by, seen, attended)
            return
        score = self._pim(f"{token}.scores", groups, keys.score_groups, keys.score_moves(attended))
        weigh = self._pim(f"{token}.values", columns, values.weigh_columns, weighed(values, seen, attended))
        one = [score]
        if operator.append and not operator.sees_all:
            slot = slots_of(operator, own)
            one = [self._appended("keys", token, slot), score, self._appended("values", token, slot)]
        self.made += one * self.batch
        while self._next.work is None and self._next.operator != "softmax":  # on all scores, or on their partial sums
            others = keys.partial_sums - 1 if self._next.cause == "sum" else 1
            self._asic(heads * attended * others, self.batch)
        self._spill(spills_at)
        for _ in range(self.batch):
            self._softmax(attended)
            self.made.append(weigh)
        self._merge(seen)

    def _attend_by_heads(self, token: int, own: Ints, by: Heads, seen: Ints, attended: Ints) -> None:
        """As `Planner._attend_by_heads`."""
        operator, groups = self.operator, ceil_div(seen, self.grid.banks)
        columns = by.values[0].grid.columns_of(seen)
        one = [
            self._pim(f"{token}.scores.{k}", groups, part.score_groups, part.score_moves(attended))
            for k, part in enumerate(by.keys)
        ]
        if operator.append and not operator.sees_all:
            slot = slots_of(operator, own)
            one = [self._appended("keys", token, slot), *one, self._appended("values", token, slot)]
        self.made += one * self.batch
        self._spill(self.contexts if operator.sees_all else own)  # none: as long as that is so
        for part in [*by.keys] * self.batch:
            heads = len(query_heads(part, operator.heads))
            if part.partial_sums > 1:
                self._asic(heads * attended * (part.partial_sums - 1), 1)
            if self._next.work is None and self._next.operator not in ("sum", "softmax"):
                self._asic(heads * attended, 1)
        weighs = [
            self._pim(f"{token}.values.{v}", columns, part.weigh_columns, weighed(part, seen, attended))
            for v, part in enumerate(by.values)
        ]
        for weigh, pieces in [*zip(weighs, by.pieces, strict=True)] * self.batch:
            for piece in pieces:
                self._asic(attended, len(piece.heads))
            self.made.append(weigh)
        self._merge(seen)

    def _merge(self, seen: Ints) -> None:
        """As `Planner._merge`, of sequences that have one cache each."""
        sums = self.plan.memory.values[self.operator.name].partial_sums(seen)
        self._cut(sums > 1)
        if sums[0] > 1:
            self._asic(self.operator.outputs * (sums - 1), self.batch)

    def _softmax(self, seen: Ints) -> None:
        """As `Planner._softmax`."""
        products, heads = self.plan.memory.products, self.operator.heads
        self._asic(seen, heads)
        if products is not None:
            columns, moved = self.grid.columns_of(seen), products.scale_moves(heads, seen)
            self.made.append(self._pim("softmax", columns, partial(products.scale_columns, heads), moved))

    def _spill(self, context: Ints) -> None:
        """As `Planner._spill`."""
        elements, scratch = self._spilled(context), self.plan.memory.scratch
        self._cut(elements > 0)
        if elements[0]:
            assert scratch is not None
            none = np.zeros_like(elements)
            written, read = Moved(elements, none, elements, none), Moved(elements, none, none, elements)
            self.made.append(self._pim("spill.write", elements, partial(scratch.write, 0), written))
            self.made.append(self._pim("spill.read", elements, partial(scratch.read, 0), read))

    def _spilled(self, context: Ints) -> Ints:
        """As `Planner._spilled`."""
        operand = next((o for o in self.plan.operands if o.name == self.operator.name), None)
        none, room = np.zeros_like(context), self.plan.memory.room
        if operand is None or self.operator.scope != "block":
            return none
        if not operand.spilled(int(context.max()), self.batch, self.tokens, room):
            return none  # it never gets less with the context
        return np.array([operand.spilled(each, self.batch, self.tokens, room) for each in context.tolist()], np.int64)

    # -- series -------------------------------------------------------------------

    @property
    def _next(self) -> Instruction:
        """What the first step has next."""
        return self.first[len(self.made)]

    def _pim(
        self,
        kind: str,
        key: Ints,
        make: Callable[[int], Work],
        moved: Moved[Ints] | None = None,
        shifts: Ints | None = None,
    ) -> Series:
        """Programs that are the same for equal keys; moved: what each moves, if that is not the same for all."""
        keys, at = np.unique(key, return_inverse=True)
        works = [self.plan.kept(f"{self.operator.name}.{kind}", n, partial(make, n)) for n in keys.tolist()]
        parts = np.array([(work.sums, work.turns) for work in works], np.int64)[at]
        self._cut(parts[:, 0], parts[:, 1])
        if moved is None:
            first = works[int(at[0])]
            moved = Moved(*(np.full_like(key, n) for n in (first.payload, first.macs, first.sent, first.results)))
        sent, results = moved.sent * ELEMENT_BYTES, moved.results * ELEMENT_BYTES
        ports = ports_of(self.plan.units, sent, results, self.plan.device.tCK_ps)
        none, one = np.zeros_like(key), np.ones_like(key)
        numbers = (none, *ports, -one, one, one, none, none, sent + results, moved.payload, moved.macs, none)
        return Series(np.stack(numbers, axis=1), Many(works, at), shifts)

    def _asic(self, n: Ints, vectors: int) -> None:
        """Work of the ASIC on vectors of `n` elements each; which, and whether it streams, the first step says."""
        first, units, tCK = self._next, self.plan.units, self.plan.device.tCK_ps
        costs = costs_of(units, first.cause, n, vectors, 1, tCK)
        none, one = np.zeros_like(n), np.ones_like(n)
        tail, parts, portions = -one, one, one
        if first.tail is not None:
            piece, places, turns = self.plan.device.channels * self.grid.banks, len(first.feed.places), first.feed.parts
            tail = costs_of(units, first.cause, at_most(piece, n * vectors), 1, 1, tCK).clocks
            arrivals = ceil_div(n * vectors, places * turns * piece)
            parts = np.full_like(n, turns)
            portions = np.maximum(1, at_most(Planner.PORTIONS // turns, arrivals))
        numbers = (costs.clocks, costs.read, costs.write, tail, parts, portions)
        operations = (costs.adds, costs.multiplies, costs.sram_bytes)
        self.made.append(Series(np.stack((*numbers, *operations, none, none, none), axis=1)))

    def _cut(self, *tellers: NDArray[Any]) -> None:
        """Steps are alike only as far as each of these is as in the first."""
        for teller in tellers:
            others = np.flatnonzero(teller != teller[0])
            if len(others):
                self.alike = min(self.alike, int(others[0]))


def slots_of(operator: Operator, context: Ints) -> Ints:
    """As `Operator.slot`, of many contexts."""
    token = context - 1
    if operator.window:
        ring = operator.sinks + (token - operator.sinks) % operator.window
        return np.where(token < operator.sinks, token, ring)
    if operator.kv_slope:
        return operator.kv_slope * context + operator.kv_constant - 1
    return token % operator.kv_constant
