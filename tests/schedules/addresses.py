"""Which columns a schedule must write, read and multiply, and how often: a second reading of it, for PIM-GPT.

It knows the steps, the memory map and `locate` of each layout, and nothing of how requests are planned.  WR and RD
are of one column of one bank, MACAB of a column of every bank of a channel: the counts of a log have to be these, for
each address.

`unwritten` says which K and V are multiplied that nobody has written: of a schedule that begins with nothing, none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from pimsim.logs.log import CommandLog
from pimsim.mapping.plan import Plan
from pimsim.sim.steps import Step, steps_of
from pimsim.workload.ops import Operator
from pimsim.workload.schedule import EVERY, Copied, Forked

EVERY_BANK = -1


class At(NamedTuple):
    """A column: of one bank, or of every bank of a channel."""

    command: str
    channel: int
    bank: int
    row: int
    column: int


def logged(log: CommandLog, plan: Plan) -> Counter[At]:
    """The addresses of a log."""
    names, per_group = plan.device.command_names, plan.device.banks_per_group
    columns = (log.command, log.channel, log.bank_group, log.bank, log.row, log.column)
    found: Counter[At] = Counter()
    for command, channel, group, bank, row, column in zip(*(c.tolist() for c in columns), strict=True):
        if (name := names[command]) in ("WR", "RD"):
            found[At(name, channel, group * per_group + bank, row, column)] += 1
        elif name == "MACAB":
            found[At(name, channel, EVERY_BANK, row, column)] += 1
    return found


@dataclass
class Addresses:
    """Goes through the steps of a plan.

    found: the counts; there: columns of K and V that were written; unwritten: that were multiplied before
    scored: scores of all heads that mean something: those of what a token attends to, in a tree by its depth
    """

    plan: Plan
    found: Counter[At] = field(default_factory=Counter)
    there: set[At] = field(default_factory=set)
    unwritten: list[At] = field(default_factory=list)
    scored: Counter[str] = field(default_factory=Counter)  # by the name of the operator

    def __post_init__(self) -> None:
        for step in steps_of(self.plan):
            stage = self.plan.stage(step.kind.stage)
            for copied in step.before:
                self._copied(stage, copied)
            for operator in stage.workload.operators:
                for copy in range(stage.workload.blocks if operator.scope == "block" else 1):
                    _Operator(self, stage, step, operator, copy).run()
            for copied in step.after:
                self._copied(stage, copied)

    def _copied(self, stage: Plan, copied: Copied | Forked) -> None:
        for operator in stage.workload.operators:
            for copy in range(stage.workload.blocks if operator.scope == "block" else 1):
                of = _Operator(self, stage, None, operator, copy)
                if operator.op == "attention" and operator.append:
                    of.copy_tokens(copied)
                elif operator.name in stage.memory.states and copied.source != copied.target:
                    of.copy_state(copied)


@dataclass
class _Operator:
    """One copy of an operator in a step (or between steps)."""

    all: Addresses
    stage: Plan
    step: Step | None
    operator: Operator
    copy: int

    def run(self) -> None:
        if self.operator.op == "linear":
            self._linear()
        elif self.operator.op == "attention":
            self._attention()
        elif self.operator.name in self.stage.memory.states:
            for sequence in range(self.stage.batch):
                for name in ("RD", "WR"):
                    self._state(name, sequence, self.operator.tokens or self._tokens)

    @property
    def _tokens(self) -> int:
        assert self.step is not None
        return self.step.kind.tokens

    @property
    def _context(self) -> int:
        assert self.step is not None
        return self.step.context

    def _count(self, command: str, places: set[Any], times: int = 1) -> set[At]:
        made = {
            At(command, p.channel, EVERY_BANK if command == "MACAB" else int(p.bank), int(p.row), int(p.column))
            for p in places
        }
        for at in made:
            self.all.found[at] += times
        return made

    def _base(self, region: str) -> int:
        bases = self.stage.memory.regions[region].bases
        return bases[self.copy if len(bases) > 1 else 0]

    # -- products with weights ---------------------------------------------------------------

    def _linear(self) -> None:
        o = self.operator
        layout: Any = replace(self.stage.memory.matrices[o.name], base=self._base(o.name))  # type: ignore[type-var]
        vectors = self.stage.batch * (o.tokens or self._tokens) * o.rows
        self._count("MACAB", {layout.locate(n, e) for n in range(o.outputs) for e in range(0, o.inputs, 16)}, vectors)

    # -- states -----------------------------------------------------------------------------

    def _state(self, command: str, sequence: int, times: int = 1) -> None:
        o = self.operator
        state = self.stage.memory.states[o.name]
        layout = replace(state.layout, base=self._base(f"state.{o.name}.{sequence}"))
        self._count(command, {layout.locate(e) for e in range(0, o.state_elements, 16)}, times)

    def copy_state(self, copied: Copied | Forked) -> None:
        self._state("RD", copied.source)
        self._state("WR", copied.target)

    # -- caches -----------------------------------------------------------------------------

    def _begin(self, sequence: int) -> int:
        """Slots of whole columns of V that lie in caches of others."""
        shared = self.stage.branches[sequence] if self.stage.branches else ()
        return shared[-1].end // 16 * 16 if shared else 0

    def _layout(self, what: str, sequence: int) -> Any:
        branch = bool(self.stage.branches and self.stage.branches[sequence])
        memory, name = self.stage.memory, self.operator.name
        layouts: Any = getattr(memory, f"branch_{what}" if branch else what)
        return replace(layouts[name], base=self._base(f"{what}.{name}.{sequence}{'.branch' * branch}"))

    def _keys(self, sequence: int, slot: int) -> set[Any]:
        layout, o = self._layout("keys", sequence), self.operator
        local = slot - self._begin(sequence)
        return {layout.locate(local, h, e) for h in range(o.kv_heads) for e in range(0, o.head_dim, 16)}

    def _values(self, sequence: int, slot: int) -> set[Any]:
        """The column of a slot for each dimension, in units of 16, whichever lane it is."""
        layout, o = self._layout("values", sequence), self.operator
        local, dims = slot - self._begin(sequence), -(-o.v_head_dim // 16) * 16
        return {layout.locate(local, h, e) for h in range(o.kv_heads) for e in range(dims)}

    def copy_tokens(self, copied: Copied | Forked) -> None:
        if isinstance(copied, Forked):
            if copied.at % 16:
                self._copy(self._values, copied.source, copied.at - 1, copied.target, copied.at - 1)
            return
        every = range(self.stage.batch)
        pairs = [(s, s) for s in every] if copied.source == EVERY else [(copied.source, copied.target)]
        for source, target in pairs:
            columns = set()
            for n in range(copied.tokens):
                first, to = (_slot(self.operator, at + n + 1) for at in (copied.first, copied.to))
                self._copy(self._keys, source, first, target, to)
                column = (first // 16, to // 16) if first % 16 == to % 16 else (first, to)
                if column not in columns:
                    self._copy(self._values, source, first, target, to)
                columns.add(column)

    def _copy(self, columns: Any, source: int, first: int, target: int, to: int) -> None:
        self._count("RD", columns(source, first))
        self.all.there |= self._count("WR", columns(target, to))

    # -- attention --------------------------------------------------------------------------

    def _attention(self) -> None:
        o, last = self.operator, self._context
        contexts = [last - self._tokens + 1 + n for n in range(o.tokens or self._tokens)]
        whole = o.mask == "block" or not o.append or bool(o.appended)
        if o.append and whole:
            written = [_slot(o, context) for context in contexts]
            if o.appended:
                seen = _seen(o, last)
                written = list(range(seen - o.appended, seen))
            for slot in written:
                self._append(slot)
        for node, context in enumerate(contexts):
            if o.append and not whole:
                self._append(_slot(o, context))
            slots = _seen(o, last if whole else context)
            path = self.stage.depths[node] if self.stage.depths and not whole else None
            attended = slots if path is None else _seen(o, contexts[0] + path)
            self.all.scored[o.name] += self.stage.batch * o.heads * attended
            for sequence in range(self.stage.batch):
                self._attend(sequence, slots, path)

    def _append(self, slot: int) -> None:
        for sequence in range(self.stage.batch):
            for places in (self._keys(sequence, slot), self._values(sequence, slot)):
                self.all.there |= self._count("WR", places)

    def _attend(self, sequence: int, slots: int, path: int | None) -> None:
        """Whole columns, and whole sets of banks, of every cache up to the token's own slot."""
        sharing = self.operator.heads // self.operator.kv_heads
        for owner, keys, values, attended in self._caches(sequence, slots):
            used = set().union(*(self._keys(owner, slot) for slot in keys))
            self._count("MACAB", used, sharing)
            columns = set().union(*(self._values(owner, slot) for slot in values[::16]))
            self._count("MACAB", columns, sharing)
            if path is None:  # the step's own are there, and all before
                needed = set().union(*(self._keys(owner, slot) for slot in attended)) | columns
                for place in needed:
                    at = At("WR", int(place.channel), int(place.bank), int(place.row), int(place.column))
                    if at not in self.all.there:
                        self.all.unwritten.append(at)

    def _caches(self, sequence: int, slots: int) -> Iterator[tuple[int, range, range, range]]:
        """Owner, slots of K and of V that are gone through, and those of K that are attended to, of each cache."""
        shared = self.stage.branches[sequence] if self.stage.branches else ()
        begin = known = 0
        for owner, end in shared:
            if end > known:
                yield owner, range(begin, end), range(begin, end // 16 * 16), range(known, end)
            begin, known = end // 16 * 16, end
        yield sequence, range(begin, slots), range(begin, slots), range(known, slots)


def _slot(o: Operator, context: int) -> int:
    """The slot of the token at a context: sinks stay, behind them is a ring."""
    token = context - 1
    if o.window:
        return token if token < o.sinks else o.sinks + (token - o.sinks) % o.window
    return token + o.kv_constant if o.kv_slope else token % o.kv_constant


def _seen(o: Operator, context: int) -> int:
    if o.window:
        return min(context, o.sinks + o.window)
    return o.kv_slope * context + o.kv_constant


def wrong(wanted: Addresses, log: CommandLog) -> list[str]:
    """What a log does otherwise than the schedule says, address by address."""
    found = logged(log, wanted.plan)
    return [
        f"{at}: {found[at]} times, not {wanted.found[at]}"
        for at in wanted.found.keys() | found.keys()
        if wanted.found[at] != found[at]
    ]
