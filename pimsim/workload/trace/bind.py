"""Traces to `Workload`s that can be run, and `Workload`s to traces."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from pimsim.errors import InputError, Problem
from pimsim.workload.attributes import attributes_of, weight_of
from pimsim.workload.graph import Workload
from pimsim.workload.ops import NOTES, Operator
from pimsim.workload.shapes import ModelShape
from pimsim.workload.trace.cost import OperatorCost, cost_of, operator_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.jsonline import column_in_file
from pimsim.workload.trace.records import (
    BATCH,
    CONTEXT,
    DATA_TYPE_BITS,
    QUERY,
    STEP,
    SYMBOLS,
    Check,
    Header,
    HeadGroup,
    Launch,
    ModelInfo,
    OpRecord,
    Schedule,
    Table,
    Template,
    Trace,
)

REPLAYED = "bf16"  # what a replay computes with, and keeps
REPLAYED_BITS = 16

_T = Expr(0, ((CONTEXT, 1),))


# ---- trace to workload


@dataclass(frozen=True)
class Run:
    """Steps of a schedule line: step i (from 0) is at context `context + i * stride`.

    tokens: query tokens of a step (of a prefill: the prompt).  accept: of them that are kept.
    """

    phase: str
    template: str
    steps: int
    context: int
    stride: int
    batch: int
    tokens: int
    accept: int
    line: int = 0


def runs_of(trace: Trace) -> tuple[Run, ...]:
    """The schedule as numbers; InputError if batch or query tokens change from step to step, or layers are skipped."""
    problems: list[Problem] = []
    for line in trace.schedule:
        for symbol in (BATCH, QUERY):
            if line.bindings[symbol].symbols:
                message = f"{line.bindings[symbol]}: a replay needs the same {symbol} in all steps of a line"
                problems.append(_problem(trace, line.line, f"bindings.{symbol}", message))
        if line.layers not in (None, trace.header.model.layers):
            message = f"{line.layers}: a replay runs all {trace.header.model.layers} layers"
            problems.append(_problem(trace, line.line, "layers", message))
    if problems:
        raise InputError(problems)
    return tuple(_run(line) for line in trace.schedule)


def _run(line: Schedule) -> Run:
    first = line.binding(line.first)
    accept = line.accept if isinstance(line.accept, int) else first[QUERY]
    stride = line.bindings[CONTEXT].slope(STEP)
    return Run(
        line.phase, line.template, line.steps, first[CONTEXT], stride, first[BATCH], first[QUERY], accept, line.line
    )


def workload_of(trace: Trace) -> Workload:
    """The step that the schedule runs, decode before prefill; without a schedule that of the first template.

    InputError with every place at which the trace says what cannot be replayed: sizes
    that grow with the context, several groups of heads in an attention, a K and V length
    other than T, data types other than 16 bits, phases whose graphs differ.
    """
    problems = list(_wrong_types(trace))
    scheduled = sorted(trace.schedule, key=lambda line: line.phase)  # decode is the first
    ids = list(dict.fromkeys(line.template for line in scheduled)) or [trace.templates[0].id]
    bindings = {line.template: line.binding(line.first) for line in reversed(scheduled)}
    made = [_workload(trace, trace.template(id), bindings.get(id, {}), problems) for id in ids]
    first = made[0]
    for id, other in zip(ids[1:], made[1:], strict=True):
        if first is not None and other is not None and (name := _difference(first, other)):
            line = trace.template(id).line
            message = f"differs from {ids[0]!r} in {name!r}; a replay needs the same graph in all phases"
            problems.append(_problem(trace, line, "id", message))
    if problems or first is None:
        raise InputError(problems)
    return first


def _wrong_types(trace: Trace) -> Iterator[Problem]:
    for key in ("activations", "kv"):
        name = getattr(trace.header, key)
        if DATA_TYPE_BITS[name] != REPLAYED_BITS:
            message = f"{name}: a replay computes and keeps K and V with {REPLAYED_BITS} bits"
            yield _problem(trace, trace.header.line, f"data_types.{key}", message)


def computed_otherwise(trace: Trace) -> Iterator[Problem]:
    """Data types of the header that a replay computes as another one of the same size."""
    for key in ("weights", "activations", "kv"):
        name = getattr(trace.header, key)
        if name != REPLAYED and DATA_TYPE_BITS[name] == REPLAYED_BITS:
            message = f"{name}: computed as {REPLAYED}, which is as large"
            yield _problem(trace, trace.header.line, f"data_types.{key}", message)


def _workload(trace: Trace, template: Template, binding: Mapping[str, int], problems: list[Problem]) -> Workload | None:
    """The graph of one template; None if it has problems, which are added."""
    before = len(problems)
    operators = []
    for record in template.ops:
        wrong = [_problem(trace, record.line, key, text) for key, text in _not_replayed(record)]
        problems += wrong
        if wrong:
            continue
        try:
            group = record.head_groups[0] if record.head_groups else None
            operators.append(operator_of(record, binding, group))
        except ValueError as error:
            problems.append(_problem(trace, record.line, "", str(error)))
        except KeyError as error:
            message = f"depends on {error}, which no step of the schedule binds"
            problems.append(_problem(trace, record.line, "", message))
    if len(problems) > before:
        return None
    overhead = trace.header.overhead
    try:
        return Workload(
            shape_of(trace.header),
            tuple(operators),
            template.count,
            overhead.aten if overhead else None,
            overhead.kernels if overhead else None,
            trace.header.routing or (),
            trace.file,
        )
    except ValueError as error:
        problems.append(_problem(trace, template.line, "", str(error)))
        return None


def _not_replayed(record: OpRecord) -> Iterator[tuple[str, str]]:
    """Keys of an operator and why they cannot be replayed."""
    for key, expr in (("in", record.inputs), ("out", record.outputs), ("rows", record.rows)):
        if expr.slope(CONTEXT):
            yield key, f"{expr}: a replay needs sizes that do not change with {CONTEXT}"
    queries = sum(group.heads * group.head_dim for group in record.head_groups)
    if record.head_groups and record.inputs == Expr(queries):
        yield "in", f"{queries} are queries alone: a replay appends K and V, and has none that are there already"
    if len(record.head_groups) > 1:
        yield "head_groups", f"{len(record.head_groups)} groups of heads; a replay needs one"
    for i, group in enumerate(record.head_groups):
        if group.kv_len != _T:
            yield f"head_groups.{i}.kv_len", f"{group.kv_len}: a replay attends to all {CONTEXT} tokens, or to a window"


def _difference(one: Workload, other: Workload) -> str:
    """The first operator, or "repeat", in which two phases differ; notes and `per` are the phase's own."""
    if one.blocks != other.blocks:
        return "repeat"
    for a, b in zip(one.operators, other.operators, strict=False):
        if _bare(a) != _bare(b):
            return b.name
    a_more, b_more = one.operators[len(other.operators) :], other.operators[len(one.operators) :]
    return next((o.name for o in (*a_more, *b_more)), "")


def _bare(operator: Operator) -> Operator:
    defaults = {name: getattr(Operator, name) for name in NOTES if name != "line"}
    return replace(operator, per="token", line=0, **defaults)


def _problem(trace: Trace, line: int, key: str, message: str) -> Problem:
    return Problem(trace.file, line, column_in_file(trace.file, line, key), key, message)


def shape_of(header: Header) -> ModelShape:
    """The sizes of the model; which variant of each part it has, the operators say."""
    model = header.model
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


# ---- workload to trace


def trace_of(
    workload: Workload,
    prompt: int = 0,
    steps: int = 1024,
    batch: int = 1,
    tokens: int = 1,
    prefill: Workload | None = None,
    producer: Mapping[str, str] | None = None,
) -> Trace:
    """A trace of `steps` decode steps after a prompt.

    workload: the decode step.  prompt: tokens that are prefilled first (0: none).
    tokens: query tokens of a decode step.  prefill: the graph of the prefill, if its
    launches or its `per` differ from the decode step's.
    producer: what counted the launches, such as {"launches": "torch 2.13.0, ..."}.
    """
    templates = [template_of("decode", workload)]
    lines = []
    if prompt:
        if prefill is not None:
            templates.insert(0, template_of("prefill", prefill))
        lines.append(line_of("prefill", templates[0].id, 1, Expr(prompt), batch, prompt))
    context = Expr(prompt + tokens, ((STEP, tokens),))
    lines.append(line_of("decode", "decode", steps, context, batch, tokens))
    header = header_of(workload, dict(producer or {}))
    check = {CONTEXT: max(1024, tokens), BATCH: batch, QUERY: tokens}
    checks = (check_of(header, templates[-1], check),)
    return Trace(replace(header, checks=checks), tuple(templates), tuple(lines))


def line_of(phase: str, template: str, steps: int, context: Expr, batch: int, tokens: int) -> Schedule:
    bindings = {CONTEXT: context, BATCH: Expr(batch), QUERY: Expr(tokens)}
    return Schedule(phase, 0, steps - 1, template, bindings)


def check_of(header: Header, template: Template, binding: Mapping[str, int]) -> Check:
    """What a step of `template` comes to at a binding."""
    cost = total_cost(header, template, binding)
    return Check(template.id, binding, cost.flops, cost.matrix_flops, cost.weight_bytes, cost.kv_bytes)


def total_cost(header: Header, template: Template, binding: Mapping[str, int]) -> OperatorCost:
    """The cost of one step of a template; ValueError if an operator's sizes do not fit."""
    return sum((cost_of(op, header, binding) * repeats(op, template) for op in template.ops), OperatorCost())


def repeats(record: OpRecord, template: Template) -> int:
    """How often an operator runs in a step."""
    return template.count if record.scope == "block" else 1


def header_of(workload: Workload, producer: Mapping[str, str]) -> Header:
    shape = workload.shape
    model = ModelInfo(
        shape.name,
        shape.family,
        shape.layers,
        shape.d_model,
        shape.heads,
        shape.kv_heads,
        shape.head_dim,
        shape.d_ff,
        shape.vocabulary,
        shape.max_positions,
        parameters=workload.parameters,
    )
    aten, kernels = workload.overhead_aten, workload.overhead_kernels
    return Header(
        replace(model, config_sha256=model.sizes_sha256),
        producer=producer,
        symbols=dict(SYMBOLS),
        routing=workload.routing if any(o.experts > 1 for o in workload.operators) else None,
        overhead=None if aten is None or kernels is None else Launch(aten, kernels),
    )


def template_of(id: str, workload: Workload) -> Template:
    layers = workload.shape.layers // workload.blocks
    return Template(id, layers, workload.blocks, tuple(_record(id, operator) for operator in workload.operators))


def _record(template: str, operator: Operator) -> OpRecord:
    group = HeadGroup(operator.heads, operator.kv_heads, operator.head_dim, _T, operator.value_dim)
    launch = None
    if operator.aten is not None and operator.kernels is not None:
        launch = Launch(operator.aten, operator.kernels)
    return OpRecord(
        template,
        operator.name,
        operator.scope,
        operator.role,
        operator.op,
        Expr(operator.inputs),
        Expr(operator.outputs),
        Expr(operator.rows),
        operator.per,
        weight_of(operator),
        tuple(Table(n, rows) for n, rows in zip(_table_names(operator), operator.tables, strict=True)),
        (group,) if operator.op == "attention" else (),
        operator.experts,
        operator.active,
        operator.deps,
        launch,
        take={name: (first, count) for name, first, count in operator.take},
        **attributes_of(operator),
    )


def _table_names(operator: Operator) -> tuple[str, ...]:
    return operator.table_names or ("",) * len(operator.tables)
