"""Whether the sizes of a template follow from each other, and from its model.

What each operator takes and gives is the table of `flow`.  A reader takes all that its
dependencies give, or the slice that `take` states.  Three things take a part without
saying so, for that is how models write them: what prepares heads of a merged q, k and v
(whose reader reads the merged product as well), the two halves of a merged gate and up, and
attentions that share a producer.  Whether the rest is read is known when the template ends.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field

from pimsim.errors import did_you_mean
from pimsim.workload.ops import INPUT, NORMS, TRANSPARENT
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.flow import Flow, Part, givers, is_activation, is_router, size_of, total, wrong_vectors
from pimsim.workload.trace.heads import Mixers, Wrong
from pimsim.workload.trace.records import Line, ModelInfo, OpRecord, Template

# Besides activations: what takes all, one after another,
_CHECKED = ("linear", "softmax", "topk", "conv", *TRANSPARENT)
# never of a router's choice alone,
_TAKERS = ("linear", "attention", "rope", "add", "conv", *NORMS)
# and makes what is as wrong as what it takes.
_AS_WIDE = ("softmax", "mul", "add", *TRANSPARENT)
# A part of a product without saying so: heads of a merged one, and channels of what enters a state update.
_OF_A_PART = (*TRANSPARENT, "conv")
_WIDE = "ffn_up"  # role of what is never one factor of a product, however small; a gate may be one for all
EACH_TOKEN = "token"  # value of `per`


def _is_one(op: OpRecord, ops: tuple[str, ...]) -> bool:
    return op.op in ops or is_activation(op)


@dataclass(frozen=True)
class _Reader:
    """An operator that takes a part of what it reads, to be settled at the end."""

    op: OpRecord
    line: Line
    parts: tuple[Part, ...]


@dataclass
class Sizes:
    """Checks the operators of one template as they come; `close` those things that the end decides.

    model     that the template is of, and the line that says so: the header's, or its own
    partial   readers of a part, by id; covered: those whose rest is read
    entering  readers of what enters the blocks that do not fit d_model; fitting: how many do
    last      the last operator of each scope with its line
    enters_each_token  something in the block takes what enters it, of each token
    wide      elements that each `ffn_down` takes, and the operator
    """

    model: ModelInfo
    model_line: Line
    template: Template
    line: Line
    flow: Flow
    mixers: Mixers = field(init=False)
    partial: dict[str, _Reader] = field(default_factory=dict)
    covered: set[str] = field(default_factory=set)
    entering: dict[str, tuple[OpRecord, Line]] = field(default_factory=dict)
    fitting: int = 0
    last: dict[str, tuple[OpRecord, Line]] = field(default_factory=dict)
    choices: dict[str, tuple[int, int | None]] = field(default_factory=dict)
    routed: set[str] = field(default_factory=set)
    wide: list[tuple[int, OpRecord]] = field(default_factory=list)
    tables: list[tuple[int, OpRecord]] = field(default_factory=list)
    heads: list[tuple[int, OpRecord]] = field(default_factory=list)
    enters_each_token: bool = False

    def __post_init__(self) -> None:
        self.flow.entering = Expr(self.model.d_model)
        self.mixers = Mixers(self.flow, self.model, "header" if self.template.model is None else "template")

    def skip(self, op: OpRecord) -> None:
        """An operator that is wrong already: what it gives is not known."""
        self.flow.unknown.add(op.id)

    def add(self, op: OpRecord, line: Line) -> None:
        """Check an operator whose dependencies are known, and remember what later ones need of it."""
        wrong = [*self._wrong_slices(op), *self._wrong_routers(op), *self._wrong_per(op), *self._wrong_tokens(op)]
        self._note(op, line, wrong)
        wrong, enters = list(self._wrong_sizes(op, line)), INPUT in (op.deps or (INPUT,))
        if wrong and enters and op.scope != "once_before":
            self.entering[op.id] = (op, line)  # the header may be what is wrong
            if _is_one(op, _AS_WIDE):
                self.flow.unknown.add(op.id)
        else:
            self.fitting += enters and op.scope == "block"
            self._note(op, line, wrong)
        self.flow.add(op)
        self.last[op.scope] = (op, line)
        self._remember(op)

    def _note(self, op: OpRecord, line: Line, wrong: list[Wrong]) -> None:
        for key, message in wrong:
            line.problem(key, message)
        if wrong and _is_one(op, _AS_WIDE):
            self.flow.unknown.add(op.id)

    def _remember(self, op: OpRecord) -> None:
        """Sizes that the header says as well."""
        taken, made = size_of(op, taken=True), size_of(op)
        if op.role == "ffn_down" and op.op == "linear" and taken is not None and not taken.terms:
            self.wide.append((taken.constant, op))
        if op.role == "lm_head" and op.op == "linear" and made is not None and not made.terms:
            self.heads.append((made.constant, op))
        if op.op == "embedding" and op.tables and op.scope == "once_before":
            self.tables.append((op.tables[0].rows, op))

    # ---- tokens

    def _wrong_per(self, op: OpRecord) -> Iterator[Wrong]:
        """What reads one vector of each sequence, and nothing else, has no other for each token."""
        self.enters_each_token |= op.scope == "block" and op.per == EACH_TOKEN and INPUT in (op.deps or (INPUT,))
        sources = [self._source(name, op.scope) for name in self.flow.inputs(op)]
        if op.per == EACH_TOKEN and sources and all(dep is not None and dep.per != EACH_TOKEN for dep in sources):
            names = ", ".join(dep.id for dep in sources[:4] if dep is not None)
            yield "deps", f"{names}: made once a sequence (`per`), and nothing else is read for each token"

    def _wrong_tokens(self, op: OpRecord) -> Iterator[Wrong]:
        sources = {name: self._source(name, op.scope) for name in self.flow.inputs(op)}
        given = {name: dep.vectors for name, dep in sources.items() if dep is not None and dep.per == EACH_TOKEN}
        yield from wrong_vectors(op, given)

    def _source(self, name: str, scope: str) -> OpRecord | None:
        """The operator that makes a dependency; None for the tokens of the step, or if it is not known."""
        if name != INPUT:
            return self.flow.ops.get(name)
        before = {"once_before": (), "block": ("once_before",), "once_after": ("block", "once_before")}[scope]
        return next((self.last[each][0] for each in before if each in self.last), None)

    # ---- slices

    def _wrong_slices(self, op: OpRecord) -> Iterator[Wrong]:
        for name, (first, count) in op.take.items():
            if name not in op.deps:
                yield f"take.{name}", f"{name!r} is not among `deps`{did_you_mean(name, op.deps)}"
                continue
            given = self.flow.gives(name, op)
            if given is not None and not given.terms and first + count > given.constant:
                yield f"take.{name}", f"elements {first} to {first + count - 1}, but {name!r} gives {given}"

    # ---- experts

    def _wrong_routers(self, op: OpRecord) -> Iterator[Wrong]:
        """Of several experts: a router right before it, or experts that have one, which choose as many."""
        ops = [self.flow.ops[dep] for dep in op.deps if dep in self.flow.ops]
        known = len(ops) == len([dep for dep in op.deps if dep != INPUT])
        routers = [dep for dep in ops if is_router(dep)]
        if is_router(op):
            self._choice(op, routers)
            return
        if op.experts == 1:
            return
        others = [dep for dep in ops if dep.experts > 1]
        if not routers and not any(dep.id in self.routed for dep in others) and known:
            yield "experts", "no router in `deps`, nor experts that have one: what chooses among them must be read"
        self.routed.add(op.id)
        for dep in routers:
            count, active = self.choices.get(dep.id, (op.experts, None))
            if count != op.experts:
                yield "experts.count", f"is {op.experts}, but {dep.id!r} chooses among {count}"
            if active not in (None, op.active):
                yield "experts.active", f"is {op.active}, but {dep.id!r} chooses {active}"
        for dep in others:
            if (dep.experts, dep.active) != (op.experts, op.active):
                chosen = f"{dep.active} of {dep.experts} experts"
                yield "experts", f"{op.active} of {op.experts} experts read {dep.id!r}, which is {chosen}"

    def _choice(self, op: OpRecord, routers: list[OpRecord]) -> None:
        """(experts, how many of them are chosen) by a router: the last `topk` on the way decides."""
        if op.inputs.terms or op.outputs.terms:
            return
        before = [self.choices[dep.id] for dep in routers if dep.id in self.choices]
        chosen = [choice for choice in before if choice[1] is not None]
        if op.op == "topk":
            self.choices[op.id] = (op.inputs.constant, op.outputs.constant)
        elif chosen:
            self.choices[op.id] = chosen[-1]
        else:
            self.choices[op.id] = (op.outputs.constant, None)

    # ---- sizes

    def _wrong_sizes(self, op: OpRecord, line: Line) -> Iterator[Wrong]:
        parts, taken = self.flow.parts(op), size_of(op, taken=True)
        if parts == [] and _is_one(op, _TAKERS):
            yield "deps", f"{', '.join(op.deps[:4])}: what a router chooses is no input, and there is no other"
            parts = None
        if op.op == "attention":
            yield from self.mixers.attention(op, line, parts)
            for part in parts or ():
                self._cover(part.name, op)
            return
        if op.op == "ssm_update":
            yield from self.mixers.state(op)
        elif op.op == "conv":
            self.mixers.convolution(op)
        if parts is None or taken is None or not parts:
            return
        if op.op == "add":
            yield from _wrong_sum(op, taken, parts)
        elif op.op == "mul":
            yield from self._wrong_product(op, taken, parts)
        elif _is_one(op, _CHECKED):
            yield from self._wrong_total(op, line, taken, parts)

    def _wrong_total(self, op: OpRecord, line: Line, taken: Expr, parts: list[Part]) -> Iterator[Wrong]:
        """All elements one after another; of some operators a part, if the rest is read."""
        given = total(parts)
        if op.op == "rope":  # of normalised heads the products that they are a part of
            less = self.flow.not_passed_on(parts)
            if len(less) < len(parts):
                for part in parts:
                    self._cover(part.name, op)
                given = total(less)
        if taken == given:
            return
        if self._may_be_part(op, taken, given, parts):
            self.partial[op.id] = _Reader(op, line, tuple(parts))
            return
        yield "in", f"is {_size(op)}, but {givers(parts)} {given} elements"

    def _may_be_part(self, op: OpRecord, taken: Expr, given: Expr, parts: list[Part]) -> bool:
        """True for heads of a merged product, and for half of a merged gate and up."""
        if any(part.stated for part in parts):
            return False
        less = not taken.terms and not given.terms and taken.constant < given.constant
        if is_activation(op):
            before = self.flow.ops.get(parts[0].name)
            return len(parts) == 1 and before is not None and before.op == "linear" and given == taken.scaled(2)
        return less and op.op in _OF_A_PART and all(self._is_product(part.name) for part in parts)

    def _is_product(self, name: str) -> bool:
        """True for a linear, or what passes one on."""
        op = self.flow.ops.get(name)
        return op is not None and (op.op == "linear" or name in self.flow.passed)

    def _wrong_product(self, op: OpRecord, taken: Expr, parts: list[Part]) -> Iterator[Wrong]:
        """Of each as many; of a merged gate and up the other half, or both; or one factor for all, or for each head."""
        names = {part.name for part in parts}
        factors = (Expr(1), Expr(self.model.heads))
        whole = False
        for part in parts:
            before = self.flow.ops.get(part.name)
            halves = [name for name in names if name in self.partial and self._reads(name) == {part.name}]
            merged = before is not None and before.op == "linear" and part.elements == taken.scaled(2)
            if merged and (halves or len(parts) == 1):
                self.covered.update(halves)
                whole = True
            elif part.elements == taken:
                whole = True
            elif part.elements not in factors or (before is not None and before.role == _WIDE):
                yield "in", f"is {_size(op)}, but {part.name!r} gives {part.elements} elements, and a product takes all"
                whole = True
        if not whole:
            yield "in", f"is {_size(op)}, but {givers(parts)} {total(parts)} elements"

    def _reads(self, name: str) -> set[str]:
        return {part.name for part in self.partial[name].parts}

    def _cover(self, name: str, reader: OpRecord) -> None:
        """`reader` reads a result, and maybe what that is a part of: then the rest is read as well."""
        for passed in (name, *self.flow.passed.get(name, ())):
            if passed in self.partial and self._reads(passed) <= set(reader.deps):
                self.covered.add(passed)

    # ---- the end of the template

    def close(self, incomplete: bool) -> None:
        """Note what only the whole template shows; if a line is missing, only what that cannot excuse."""
        if not incomplete:
            self._settle_model()
        for op, line in self.entering.values():
            self._note(op, line, list(self._wrong_sizes(op, line)))
        if incomplete:
            return
        self._settle_parts()
        self._settle_ends()
        self._settle_header()
        self._settle_per()
        layers = self.template.layers if "block" in self.last else None
        for key, message, where in self.mixers.wrong(layers):
            (where or self.line).problem(key, message)

    def _settle_model(self) -> None:
        """If the vectors between layers agree with each other but not with the header, the header is what is wrong."""
        ends = {size for scope in ("once_before", "block") if (size := self._end(scope, self.entering)) is not None}
        if not self.entering or self.fitting or len(ends) != 1 or self.flow.entering in ends:
            return
        [width] = ends
        what = f"the vectors between the layers of {self.template.id!r} have {width} elements"
        self.model_line.problem("model.d_model", f"is {self.model.d_model}, but {what}")
        self.flow.entering = width

    def _end(self, scope: str, believed: Container[str] = ()) -> Expr | None:
        """Elements that leave a scope; None if it is empty, or if they are in doubt (but for those `believed`)."""
        op = self.last[scope][0] if scope in self.last else None
        if op is None or (op.id in self.flow.unknown and op.id not in believed):
            return None
        size = size_of(op)
        several = op.experts > 1 and op.op != "add"
        return size.scaled(op.active) if size is not None and several else size

    def _settle_ends(self) -> None:
        """What leaves the blocks enters them again, and what comes before them enters the first."""
        for scope, what in (("once_before", "enter the blocks"), ("block", "leave the block")):
            size = self._end(scope)
            if size is None or size == self.flow.entering or (scope == "once_before" and len(self.last) == 1):
                continue
            op, line = self.last[scope]
            line.problem("out", f"{size} elements {what} with {op.id!r}, but d_model is {self.flow.entering}")

    def _settle_per(self) -> None:
        """What leaves the blocks enters them again."""
        if "block" not in self.last or self.template.count == 1 or not self.enters_each_token:
            return
        op, line = self.last["block"]
        if op.per != EACH_TOKEN:
            line.problem("per", f"is {op.per}, but what enters the next block is one vector for each token")

    def _settle_parts(self) -> None:
        """What takes a part: together with its like all of it, or something reads the rest."""
        groups: dict[tuple[str, ...], list[_Reader]] = {}
        for id, reader in self.partial.items():
            if id not in self.covered:
                groups.setdefault(tuple(part.name for part in reader.parts), []).append(reader)
        for readers in groups.values():
            if any(reader.op.op == "conv" for reader in readers):
                continue  # the update of the state reads the rest: x, dt, B and C come as each model has them
            given = total(readers[0].parts)
            taken = sum(size.constant for reader in readers if (size := size_of(reader.op, taken=True)) is not None)
            if Expr(taken) == given:
                continue
            for reader in readers:
                names = givers(reader.parts)
                reader.line.problem("in", f"is {_size(reader.op)}, but {names} {given} elements, and {_REST}")

    def _in_shards(self) -> bool:
        """True if several heads have the vocabulary together."""
        return len(self.heads) > 1 and sum(made for made, _ in self.heads) == self.model.vocabulary

    def _settle_header(self) -> None:
        model, per_layer = self.model, self.template.layers
        widths = [width for width, _ in self.wide]
        each = [op.inputs.constant for _, op in self.wide]  # several vectors a token may each have d_ff
        if (
            widths
            and model.d_ff not in (*widths, *each)
            and (len(widths) <= per_layer or sum(widths) != per_layer * model.d_ff)
        ):
            width, op = self.wide[0]
            self.model_line.problem("model.d_ff", f"is {model.d_ff}, but {op.id!r} takes {width} elements")
        if self.tables and model.vocabulary not in [rows for rows, _ in self.tables]:
            rows, op = self.tables[0]
            message = f"is {model.vocabulary}, but the token table of {op.id!r} has {rows} rows"
            self.model_line.problem("model.vocabulary", message)
        elif odd := [(made, op) for made, op in self.heads if made != model.vocabulary and not self._in_shards()]:
            made, op = odd[0]
            self.model_line.problem("model.vocabulary", f"is {model.vocabulary}, but {op.id!r} gives {made} elements")
        for _, op in self.tables:
            positions = max((table.rows for table in op.tables[1:]), default=model.max_positions)
            if positions < model.max_positions:
                message = f"is {model.max_positions}, but the table of positions in {op.id!r} has {positions} rows"
                self.model_line.problem("model.max_positions", message)


_REST = "nothing reads the rest; a reader takes all, or the slice that its `take` states"


def _wrong_sum(op: OpRecord, taken: Expr, parts: list[Part]) -> Iterator[Wrong]:
    """As many elements of each as it gives."""
    made = size_of(op)
    if made is None:
        return
    odd = [part for part in parts if part.elements != made]
    if odd:
        wrong = "in" if taken == made else "out"
        yield wrong, f"is {taken if wrong == 'in' else made}, but {givers(odd[:1])} {odd[0].elements} elements"
    elif taken != made:
        yield "in", f"is {taken}, but a sum takes as many elements of each as it gives, {made}"


def _size(op: OpRecord) -> str:
    return str(op.inputs) if op.rows == Expr(1) else f"{op.rows} x {op.inputs}"
