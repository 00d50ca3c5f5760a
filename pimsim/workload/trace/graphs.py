"""Templates of a trace as graphs that can be run, at a binding of their symbols."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from pimsim.errors import InputError, Problem
from pimsim.formats import CACHED, COMPUTED
from pimsim.workload.attributes import STORED_OPS
from pimsim.workload.formats import recorded, recorded_weights
from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.shapes import ModelShape
from pimsim.workload.trace.cost import operator_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.jsonline import column_in_file
from pimsim.workload.trace.records import CONTEXT, DATA_TYPE_BITS, Header, OpRecord, Template, Trace

REPLAYED = "bf16"  # what a replay computes with, and keeps
REPLAYED_BITS = 16
_WHAT = {"activations": "activations", "kv": "K and V"}
# Data types of activations, and of K and V, that some memory multiplies.
_MULTIPLIED = {"activations": COMPUTED, "kv": CACHED}

Binding = Mapping[str, int]


def problem(trace: Trace, line: int, key: str, message: str) -> Problem:
    """What is wrong at a key of a line."""
    return Problem(trace.file, line, column_in_file(trace.file, line, key), key, message)


def wrong_types(trace: Trace) -> Iterator[Problem]:
    """Data types of the header that nothing here computes with."""
    for key in ("activations", "kv"):
        name = getattr(trace.header, key)
        known = _MULTIPLIED[key]
        if DATA_TYPE_BITS[name] != REPLAYED_BITS and recorded(name) not in known:
            message = f"{name}: no memory here multiplies it as {_WHAT[key]}: {', '.join(known)}"
            yield problem(trace, trace.header.line, f"data_types.{key}", message)


def computed_otherwise(trace: Trace) -> Iterator[Problem]:
    """Data types of the header that a replay computes as another one of the same size."""
    for key in ("weights", "activations", "kv"):
        name = getattr(trace.header, key)
        if name != REPLAYED and DATA_TYPE_BITS[name] == REPLAYED_BITS:
            message = f"{name}: computed as {REPLAYED}, which is as large"
            yield problem(trace, trace.header.line, f"data_types.{key}", message)


def shape_of(header: Header, template: Template | None = None) -> ModelShape:
    """The sizes of the model of a template (None: the header's); which variant of each part it has, operators say."""
    model = (template.model if template else None) or header.model
    divides = model.d_model == model.heads * model.head_dim
    return ModelShape(
        model.name,
        model.layers,
        model.d_model,
        model.heads,
        model.kv_heads,
        model.d_ff,
        model.vocabulary,
        model.max_positions,
        model.family,
        0 if divides else model.head_dim,
    )


@dataclass
class Graphs:
    """The graphs of a trace; each is made once for what it depends on.

    problems: what cannot be run, as far as anything was asked for.
    """

    trace: Trace
    problems: list[Problem] = field(default_factory=list)
    _made: dict[tuple[object, ...], Workload | None] = field(default_factory=dict)
    _grows: dict[str, bool] = field(default_factory=dict)

    def of(self, id: str, binding: Binding) -> Workload | None:
        """The graph of a template; None if it has problems, which are noted once."""
        template = self.trace.template(id)
        fixed = tuple((name, value) for name, value in binding.items() if name != CONTEXT or self.grows(template))
        key = (id, fixed)
        if key not in self._made:
            self._made[key] = self._graph(template, binding)
        return self._made[key]

    def checked(self, id: str, binding: Binding) -> Workload:
        """The same; InputError with all problems so far if it has any."""
        found = self.of(id, binding)
        if found is None:
            raise InputError(self.problems)
        return found

    def grows(self, template: Template) -> bool:
        """Whether a size other than the tokens that are attended to depends on the context."""
        if template.id not in self._grows:
            sizes = (expr for op in template.ops for expr in (op.inputs, op.outputs, op.rows, op.tokens) if expr)
            self._grows[template.id] = any(expr.slope(CONTEXT) for expr in sizes)
        return self._grows[template.id]

    def _graph(self, template: Template, binding: Binding) -> Workload | None:
        before = len(self.problems)
        found = [list(self._operators(record, binding)) for record in template.ops]
        if len(self.problems) > before:
            return None
        parts = {record.id: tuple(o.name for o in made) for record, made in zip(template.ops, found, strict=True)}
        operators = tuple(_with_deps(operator, parts) for made in found for operator in made)
        overhead = self.trace.header.overhead
        try:
            return Workload(
                shape_of(self.trace.header, template),
                operators,
                template.count,
                overhead.aten if overhead else None,
                overhead.kernels if overhead else None,
                self.trace.header.routing or () if any(o.experts > 1 for o in operators) else (),
                self.trace.file,
            )
        except ValueError as error:
            self.problems.append(problem(self.trace, template.line, "", str(error)))
            return None

    def _formats(self, operator: Operator) -> dict[str, Any]:
        """The formats that the trace says, where they are not of 16 bits."""
        header = self.trace.header
        if operator.op == "linear":
            return {"stored": recorded_weights(header.weights, operator.bits), "given": recorded(header.activations)}
        if operator.op == "embedding":
            return {"stored": recorded_weights(header.weights, operator.bits)}
        return {"stored": recorded(header.kv), "given": recorded(header.activations)} if operator.heads else {}

    def _operators(self, record: OpRecord, binding: Binding) -> Iterator[Operator]:
        """The operator of a record, or one for each of its groups of heads."""
        several = len(record.head_groups) > 1
        for key, expr in (("in", record.inputs), ("out", record.outputs)):
            if expr.slope(CONTEXT) and record.op in STORED_OPS:
                message = f"{expr}: a replay needs weights that do not change with {CONTEXT}"
                self.problems.append(problem(self.trace, record.line, key, message))
                return
        for i, group in enumerate(record.head_groups or (None,)):
            try:
                made = operator_of(record, binding, group)
                made = replace(made, **self._formats(made))
                yield replace(_own_inputs(made), name=f"{record.id}.{i}") if several else made
            except ValueError as error:
                self.problems.append(problem(self.trace, record.line, "", str(error)))
            except KeyError as error:
                message = f"depends on {error}, which no step of the schedule binds"
                self.problems.append(problem(self.trace, record.line, "", message))


def _own_inputs(attention: Operator) -> Operator:
    """One of several groups of heads, with what it takes alone."""
    queries = attention.heads * attention.head_dim
    taken = queries + attention.kv_token if attention.append else queries
    return replace(attention, inputs=taken, aten=None, kernels=None)


def _with_deps(operator: Operator, parts: Mapping[str, tuple[str, ...]]) -> Operator:
    """With what an operator of several groups of heads became in the place of its name."""
    if all(parts.get(dep, (dep,)) == (dep,) for dep in operator.deps):
        return operator
    return replace(operator, deps=tuple(name for dep in operator.deps for name in parts.get(dep, (dep,))))


def depends_on_queries(template: Template, symbol: str) -> bool:
    """Whether a size of a template depends on a symbol."""
    sizes: Iterator[Expr | None] = (
        expr for op in template.ops
        for expr in (op.inputs, op.outputs, op.rows, op.tokens, *(group.kv_len for group in op.head_groups))
    )  # fmt: skip
    return any(expr is not None and expr.slope(symbol) for expr in sizes)
