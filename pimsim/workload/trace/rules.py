"""What the records of a trace must say of each other, checked while they go by.

Kept in memory are the open template (at most `MOST_OPS` operators), a few numbers for
each of at most `MOST_TEMPLATES` templates, and at most `MOST_SIZES` different sizes that
depend on a symbol.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from pimsim.errors import did_you_mean
from pimsim.workload.attributes import ROWS, STORED_OPS
from pimsim.workload.ops import NORMS, OPS, Operator
from pimsim.workload.trace.cost import OperatorCost, cost_of, operator_of
from pimsim.workload.trace.dependencies import Dependencies
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.flow import Flow
from pimsim.workload.trace.known import Known, check_model, firsts_of, sizes_of
from pimsim.workload.trace.lines import At, Entry, Lines, wrong_alone, wrong_context, wrong_steps
from pimsim.workload.trace.names import Names
from pimsim.workload.trace.records import (
    DATA_TYPE_BITS,
    KEPT,
    STEP,
    SYMBOLS,
    Check,
    Header,
    Line,
    ModelInfo,
    OpRecord,
    Record,
    Schedule,
    Template,
)
from pimsim.workload.trace.sizes import Sizes

MOST_OPS = 1 << 16  # in a template
MOST_TEMPLATES = 4096
MOST_SIZES = 4096

# Where a file has what `Operator` calls by another name.
_KEYS = {
    "inputs": "in",
    "outputs": "out",
    "heads": "head_groups",
    "kv_heads": "head_groups",
    "head_dim": "head_groups",
    "active": "experts.active",
    "table_names": "tables",
    "experts": "experts",
    "tables": "tables",
    **dict.fromkeys(OPS.shipped, "out"),
    **{row.field: row.path for row in ROWS},
}


# What weights of an operator are alike by: name, scope, sizes, experts.
_Weights = tuple[str, str, Expr, Expr, int]


@dataclass(frozen=True)
class MemorySize:
    """Room for weights: `name` says whose; `whole`: also for what is around the blocks."""

    name: str
    size_bytes: int
    whole: bool = False


class Rules:
    """Checks one record after the other, then what is known at the end only."""

    def __init__(self, header: Header, line: Line, memory: MemorySize | None = None) -> None:
        self.header = header
        self.line = line
        self.memory = memory
        self.templates: dict[str, Known] = {}
        self.open: Known | None = None
        self.dependencies = Dependencies()
        self.flow: Sizes | None = None  # of the open template
        self.sizes = 0
        self.scheduled = False
        self.unread = False  # a line could not be read at all: what is missing may have been there
        self.bits: set[int] = set()  # of the matrices so far
        self.names = Names()
        self.lines = Lines(header)
        self.owned: dict[
            ModelInfo, dict[_Weights, int]
        ] = {}  # parameters of what operators share, where they are stated
        self._check_header()

    def check(self, record: Record, line: Line) -> None:
        """Note what is wrong with a record that follows the header."""
        match record:
            case Template():
                self._template(record, line)
            case OpRecord():
                self._op(record, line)
            case Schedule():
                self._schedule(record, line)

    def broken(self, type_: str, id: str, template: str) -> None:
        """A line is wrong: what it leaves out is no problem of the others."""
        self.unread |= type_ in ("", "template")
        if type_ in ("", "schedule"):
            self.lines.unread()
        if type_ == "template":
            self._close()
        elif self.open is not None and type_ in ("", "op"):
            self.open.incomplete = True
            self.dependencies.incomplete |= not id
            self.dependencies.broken.add(id)

    def finish(self) -> None:
        """Note what is wrong with the file as a whole."""
        self._close()
        self._try(self.lines.close())
        if not self.templates and not self.unread:
            self.line.problem("", "no template follows the header")
        for number, check in enumerate(self.header.checks):
            self._compare(number, check)
        self._compare_bits()
        self._compare_parameters()
        if not self.unread:
            self.names.close(self.templates)

    # ---- header

    def _compare_parameters(self) -> None:
        """Those of a model are those of one of its templates, or of all together, what is alike once."""
        for model in {known.model for known in self.templates.values()}:
            of_it = [known for known in self.templates.values() if known.model == model]
            sums = {known.parameters for known in of_it} | {sum(self.owned.get(model, {}).values())}
            if model.parameters in (None, *sums) or None in sums or any(known.incomplete for known in of_it):
                continue
            line = self.line if model == self.header.model else of_it[0].line
            for known in of_it:
                message = f"{model.parameters}, but the operators of {known.template.id!r} have {known.parameters}"
                line.problem("model.parameters", message)

    def _compare_bits(self) -> None:
        """The data type of weights is that of at least one matrix; each may say another."""
        stated = self.header.weights
        if self.unread or any(known.incomplete for known in self.templates.values()):
            return
        if self.bits and DATA_TYPE_BITS[stated] not in self.bits:
            found = " or ".join(map(str, sorted(self.bits)[:4]))
            message = f"{stated} has {DATA_TYPE_BITS[stated]} bits, but every matrix says that it has {found}"
            self.line.problem("data_types.weights", message)

    def _check_header(self) -> None:
        header = self.header
        for symbol in SYMBOLS:
            if symbol not in header.symbols:
                self.line.problem(f"symbols.{symbol}", f"is missing: {SYMBOLS[symbol]}")
        for name, meaning in ((STEP, "the number of a step"), (KEPT, "the number of tokens that a cycle has kept")):
            if name in header.symbols:
                self.line.problem(f"symbols.{name}", f"is {meaning}; another name is needed")
        check_model(header.model, self.line)
        if header.routing and sum(header.routing) <= 0:
            self.line.problem("routing.weights", "are all 0")
        self.bound = {i for i, check in enumerate(header.checks) if self._is_bound(i, check.binding)}

    def _is_bound(self, number: int, binding: Mapping[str, int]) -> bool:
        """True if the binding of a check has a value for every symbol, and no other."""
        key = f"checks.{number}.binding"
        wrong = list(_wrong_names(self.header, binding, key))
        wrong += [] if wrong else [(key, message) for message in wrong_context(binding)]
        for where, message in wrong:
            self.line.problem(where, message)
        return not wrong

    # ---- templates

    def _template(self, template: Template, line: Line) -> None:
        self._close()
        if self.scheduled:
            line.problem("type", "templates stand before the schedule")
        if template.id in self.templates:
            first = self.templates[template.id].template.line
            line.problem("id", f"{template.id!r} is taken by line {first}")
        if len(self.templates) >= MOST_TEMPLATES:
            line.problem("id", f"more than {MOST_TEMPLATES} templates; equal steps share one")
            self.unread = True
            return
        model, says = (template.model, line) if template.model else (self.header.model, self.line)
        if template.model:
            check_model(model, line)
        if template.layers * template.count != model.layers:
            product = f"{template.layers} x {template.count}"
            line.problem("repeat", f"{product} layers, but the model has {model.layers}")
        self.open = Known(template, line, model)
        self.dependencies = Dependencies()
        self.flow = Sizes(model, says, template, line, Flow(self.dependencies.ops))
        self.templates.setdefault(template.id, self.open)

    def _close(self) -> None:
        """The open template has ended."""
        self.dependencies.close()
        if self.open is not None and not self.dependencies.ops and not self.open.incomplete:
            self.open.line.problem("id", f"template {self.open.template.id!r} has no operators")
        if self.open is not None and self.flow is not None and self.dependencies.ops:
            self.flow.close(self.open.incomplete or self.unread)
        self.open, self.flow = None, None
        self.dependencies = Dependencies()

    # ---- operators

    def _op(self, op: OpRecord, line: Line) -> None:
        known = self.open
        if known is None or op.template != known.template.id:
            if self.unread:
                return
            hint = "" if op.template in self.templates else did_you_mean(op.template[:40], self.templates)
            where = f"the template above is {known.template.id!r}" if known else "no template is right above"
            line.problem("template", f"{op.template!r}, but {where}{hint}")
            if known is not None:
                known.incomplete = True
            return
        if len(self.dependencies.ops) >= MOST_OPS:
            line.problem("id", f"more than {MOST_OPS} operators in a template; fold layers that repeat")
            known.incomplete = True
            return
        named = self.dependencies.add(op, line)
        if op.op == "linear":
            self.bits.add(op.weight.bits)
        known.words |= bool(op.tables and op.scope == "once_before") or (op.role, op.op) == ("lm_head", "linear")
        self.names.add(op, known.model, line)
        if op.op == "attention":
            known.masks.setdefault(op.mask, (line, op.id))
        wrong = [*self._wrong_kind(op), *self._undeclared(op)]
        for key, message in wrong:
            line.problem(key, message)
            known.incomplete = True
        if not wrong:
            self._price(op, known, line)
        if named and self.flow is not None:
            (self.flow.skip(op) if wrong else self.flow.add(op, line))

    def _wrong_kind(self, op: OpRecord) -> Iterator[tuple[str, str]]:
        """Keys that an operator of its kind must have, or must not."""
        if (op.op == "attention") != bool(op.head_groups):
            has = "needs head groups" if op.op == "attention" else f"has head groups, which mean nothing to {op.op!r}"
            yield "head_groups", has
        width = sum(group.heads * (group.value_dim or group.head_dim) for group in op.head_groups)
        if len(op.head_groups) > 1 and op.outputs != Expr(width):
            yield "out", f"must be the {width} elements of all head groups"
        if op.op == "conv" and not op.kernel:
            yield "kernel", "is missing: taps of the convolution, the newest token's included"
        routing = self.header.routing
        if op.experts > 1 and routing is None:
            yield "experts", "how tokens choose among them must be in the header's `routing`"
        elif op.experts > 1 and routing and len(routing) != op.experts:
            yield "experts.count", f"{op.experts}, but the header's routing has {len(routing)} weights"
        elif op.experts > 1 and routing and sum(weight > 0 for weight in routing) < op.active:
            yield "experts.active", f"{op.active}, but the header's routing chooses fewer experts"

    def _undeclared(self, op: OpRecord) -> Iterator[tuple[str, str]]:
        for key, expr in sizes_of(op):
            for symbol in expr.symbols:
                if symbol not in self.header.symbols:
                    yield key, f"symbol {symbol!r} is not declared{did_you_mean(symbol, self.header.symbols)}"

    def _price(self, op: OpRecord, known: Known, line: Line) -> None:
        """Add up what an operator costs; what `Operator` refuses is noted."""
        varying = [(key, expr) for key, expr in sizes_of(op) if expr.terms]
        for key, expr in varying:
            self._keep_size(known, expr, line, key)
        for key, expr in firsts_of(op):
            self._keep_size(known, expr, line, key, "of the first token of a step, ")
        repeats = known.template.count if op.scope == "block" else 1
        try:
            if all(key == "tokens" or key.startswith("head_groups") for key, _ in varying):
                self._add_weights(op, known, repeats, line)
            elif op.op in (*STORED_OPS, *NORMS):
                known.parameters = None
            for number, check in enumerate(self.header.checks):
                if number in self.bound and check.template == op.template:
                    cost = cost_of(op, self.header, check.binding) * repeats
                    known.costs[number] = known.costs.get(number, OperatorCost()) + cost
        except ValueError as error:
            message = str(error).removeprefix(f"operator {op.id!r}: ")
            line.problem(_KEYS.get(message.split()[0], ""), message)
            known.incomplete = True
        except KeyError:  # of the vectors that another operator gives, whose line says what is not declared
            known.incomplete = True

    def _keep_size(self, known: Known, expr: Expr, line: Line, key: str, what: str = "") -> None:
        """To be tried at every binding of the schedule."""
        if expr in known.sizes:
            return
        self.sizes += 1
        if self.sizes <= MOST_SIZES:
            known.sizes[expr] = (line, key, what)
        elif self.sizes == MOST_SIZES + 1:
            line.problem(key, f"more than {MOST_SIZES} different sizes that depend on symbols")

    def _add_weights(self, op: OpRecord, known: Known, repeats: int, line: Line) -> None:
        """Parameters of the template, and whether they fit into the memory."""
        binding = dict.fromkeys(self.header.symbols, 1)
        operators: list[Operator] = [operator_of(op, binding, group) for group in op.head_groups or (None,)]
        parameters = operators[0].parameters() * repeats
        if known.model.parameters is not None:
            self._own(op, known.model, parameters)
        if known.parameters is not None:
            known.parameters += parameters
        if self.memory is None or (op.scope != "block" and not self.memory.whole):
            return
        before = known.stored_bytes
        known.stored_bytes += -(-parameters * op.weight.bits // 8)
        if before <= self.memory.size_bytes < known.stored_bytes:
            message = f"weights down to here are {known.stored_bytes:,} bytes; the memory of {self.memory.name} has"
            line.problem("weight", f"{message} {self.memory.size_bytes:,}")

    def _own(self, op: OpRecord, model: ModelInfo, parameters: int) -> None:
        """Remember the parameters of an operator, once of those that are alike."""
        owned = self.owned.setdefault(model, {})
        if parameters and len(owned) < MOST_OPS:
            owned[op.weight.name or op.id, op.scope, op.inputs, op.outputs, op.experts] = parameters

    # ---- schedule

    def _schedule(self, schedule: Schedule, line: Line) -> None:
        self._close()
        self.scheduled = True
        known = self.templates.get(schedule.template)
        wrong = [*self._wrong_bindings(schedule), *wrong_alone(schedule)]
        if known is None and not self.unread:
            hint = did_you_mean(schedule.template[:40], self.templates)
            wrong.append(("template", f"no template {schedule.template!r}{hint}"))
        for key, message in wrong:
            line.problem(key, message)
        if known is None or wrong:
            self._try(self.lines.skip(schedule))
        else:
            self._try(self.lines.add(Entry(schedule, line, known)))

    def _wrong_bindings(self, schedule: Schedule) -> Iterator[tuple[str, str]]:
        yield from _wrong_names(self.header, schedule.bindings, "bindings")
        for name, expr in schedule.bindings.items():
            for symbol in expr.symbols:
                if symbol == KEPT and not schedule.cycle:
                    message = f"`{KEPT}` counts what a cycle keeps: name the `cycle` of the line, or use `{STEP}`"
                    yield f"bindings.{name}", message
                elif symbol not in (STEP, KEPT):
                    also = f" and `{KEPT}`" if schedule.cycle else ""
                    yield f"bindings.{name}", f"symbol {symbol!r}: a binding depends on `{STEP}`{also} only"

    def _try(self, steps: Iterable[At]) -> None:
        """What a step keeps, and every size that depends on symbols; a wrong one is noted once."""
        for at in steps:
            told = at.entry.told
            for key, message in wrong_steps(at):
                if key not in told:
                    at.entry.line.problem(key, message)
                told.add(key)
            if not told:
                self._try_sizes(at)

    def _try_sizes(self, at: At) -> None:
        known, binding = at.entry.known, at.binding
        told: set[tuple[int, str]] = set()  # the first token of a step attends to less than the last
        for expr, (line, key, what) in list(known.sizes.items()):
            if (value := expr.at(binding)) >= 1:
                continue
            del known.sizes[expr]
            if (id(line), key) not in told:
                told.add((id(line), key))
                values = ", ".join(f"{name}={bound}" for name, bound in binding.items())
                line.problem(key, f"{what}{expr} is {value} at {values} (line {at.entry.schedule.line}, {at})")

    # ---- checks

    def _compare(self, number: int, check: Check) -> None:
        """The sums of a template against a check of the header."""
        key = f"checks.{number}"
        known = self.templates.get(check.template)
        if known is None:
            if self.unread:
                return
            hint = did_you_mean(check.template[:40], self.templates)
            self.line.problem(f"{key}.template", f"no template {check.template!r}{hint}")
        elif number in self.bound and not known.incomplete:
            cost = known.costs.get(number, OperatorCost())
            for name in ("flops", "matrix_flops", "weight_bytes", "kv_bytes"):
                stated, found = getattr(check, name), getattr(cost, name)
                if stated != found:
                    self.line.problem(f"{key}.{name}", f"{stated}, but the operators make {found}")


def _wrong_names(header: Header, binding: Mapping[str, object], key: str) -> Iterator[tuple[str, str]]:
    """Symbols without a value, and values without a symbol."""
    for symbol in header.symbols:
        if symbol not in binding:
            yield f"{key}.{symbol}", "is missing"
    for name in binding:
        if name not in header.symbols:
            yield f"{key}.{name}", f"symbol {name!r} is not declared{did_you_mean(name, header.symbols)}"
