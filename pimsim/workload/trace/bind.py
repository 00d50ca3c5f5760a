"""Traces to `Workload`s that can be run, and `Workload`s to traces."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pimsim.errors import InputError
from pimsim.workload.attributes import attributes_of, weight_of
from pimsim.workload.graph import Workload
from pimsim.workload.ops import NOTES, Operator
from pimsim.workload.trace.cost import OperatorCost, cost_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.graphs import Graphs, wrong_types
from pimsim.workload.trace.records import (
    BATCH,
    CONTEXT,
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
    """A schedule of plain lines as numbers: batch and query tokens are the same in all steps of each."""
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

    InputError with every place at which the trace says what cannot be run.
    """
    graphs = Graphs(trace, list(wrong_types(trace)))
    scheduled = sorted(trace.schedule, key=lambda line: line.phase)  # decode is the first
    ids = list(dict.fromkeys(line.template for line in scheduled)) or [trace.templates[0].id]
    bindings = {line.template: line.binding(line.first) for line in reversed(scheduled)}
    made = [graphs.of(id, bindings.get(id, {})) for id in ids]
    if graphs.problems or made[0] is None:
        raise InputError(graphs.problems)
    return made[0]


def difference(one: Workload, other: Workload) -> str:
    """The first operator, or "repeat", in which two graphs differ; notes and `per` are the phase's own."""
    if one.blocks != other.blocks or one.shape != other.shape:
        return "repeat"
    for a, b in zip(one.operators, other.operators, strict=False):
        if _bare(a) != _bare(b):
            return b.name
    a_more, b_more = one.operators[len(other.operators) :], other.operators[len(one.operators) :]
    return next((o.name for o in (*a_more, *b_more)), "")


def _bare(operator: Operator) -> Operator:
    defaults = {name: getattr(Operator, name) for name in NOTES if name != "line"}
    return replace(operator, per="token", line=0, **defaults)


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
    seen = Expr(operator.kv_constant, ((CONTEXT, operator.kv_slope),) if operator.kv_slope else ())
    group = HeadGroup(operator.heads, operator.kv_heads, operator.head_dim, seen, operator.value_dim)
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
        tokens=Expr(operator.tokens) if operator.tokens else None,
        **attributes_of(operator),
    )


def _table_names(operator: Operator) -> tuple[str, ...]:
    return operator.table_names or ("",) * len(operator.tables)
