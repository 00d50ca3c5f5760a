"""Traces of several templates: a source that is encoded, and vectors that stand before a prompt."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from pimsim.workload.graph import Workload
from pimsim.workload.ops import Operator
from pimsim.workload.trace.bind import check_of, header_of, line_of, template_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import BATCH, CONTEXT, QUERY, STEP, OpRecord, Schedule, Template, Trace

SOURCE = "S"
_TOKENS = Expr(0, ((SOURCE, 1),))
_MEANING = "source tokens, which the encoder reads"
_CHECKED = 1024  # context of the header's check


@dataclass(frozen=True)
class Encoded:
    """The steps of a model with an encoder: the source of `tokens` tokens, the first token, and each later one."""

    encode: Workload
    first: Workload
    decode: Workload
    tokens: int


def trace_of_source(
    model: Encoded, steps: int, batch: int, query: int, parameters: int, producer: Mapping[str, str]
) -> Trace:
    """A trace of `steps` decode steps of `query` tokens behind the first token, after a source is encoded.

    parameters: of the whole model; a trace whose encoder has other sizes than the decoder has two models, and
    does not say it.
    """
    header = header_of(model.decode, producer)
    encoder = header_of(model.encode, {}).model
    apart = encoder.layers != header.model.layers
    sizes = replace(header.model, parameters=None if apart else parameters)
    header = replace(header, model=sizes, symbols={**header.symbols, SOURCE: _MEANING})
    named = replace(encoder, name=f"{encoder.name}-encoder", parameters=None)
    templates = [
        replace(template_of("encode", model.encode), model=named if apart else None),
        _symbolic("first", model.first),
        _symbolic("decode", model.decode),
    ]
    source = Expr(model.tokens)
    lines = [
        _line("prefill", "encode", 1, source, batch, source, source),
        _line("prefill", "first", 1, Expr(1), batch, Expr(1), source),
        _line("decode", "decode", steps, Expr(1 + query, ((STEP, query),)), batch, Expr(query), source),
    ]
    binding = {CONTEXT: max(_CHECKED, query), BATCH: batch, QUERY: query, SOURCE: model.tokens}
    checks = (check_of(header, templates[-1], binding),)
    return Trace(replace(header, checks=checks), tuple(templates), tuple(lines))


def _line(phase: str, template: str, steps: int, context: Expr, batch: int, query: Expr, source: Expr) -> Schedule:
    line = line_of(phase, template, steps, context, batch, 1)
    return replace(line, bindings={**line.bindings, QUERY: query, SOURCE: source})


def _symbolic(id: str, workload: Workload) -> Template:
    """A template with the tokens of the source as a symbol: operators have their number."""
    template = template_of(id, workload)
    ops = [_of_source(record, operator) for record, operator in zip(template.ops, workload.operators, strict=True)]
    return replace(template, ops=tuple(ops))


def _of_source(record: OpRecord, operator: Operator) -> OpRecord:
    if operator.op == "attention" and not operator.kv_slope:
        return replace(record, head_groups=tuple(replace(group, kv_len=_TOKENS) for group in record.head_groups))
    return replace(record, tokens=_TOKENS) if operator.tokens else record


@dataclass(frozen=True)
class Prefix:
    """Vectors that stand before a prompt and are no tokens: `tokens` of them, `each` at a time.

    mask: of the attention among those that come together ("": causal).
    """

    tokens: int
    each: int
    mask: str = ""


PREFIX = "vision"  # the template of such vectors


def with_prefix(trace: Trace, prefix: Prefix) -> Trace:
    """The trace with vectors before its first line: they go through the blocks alone, and all contexts grow."""
    first = trace.templates[0]
    ops = (replace(op, template=PREFIX) for op in first.ops if op.scope == "block")
    masked = tuple(replace(op, mask=prefix.mask) if op.op == "attention" else op for op in ops)
    template = replace(first, id=PREFIX, ops=masked)
    moved = [replace(line, bindings=_later(line.bindings, prefix.tokens)) for line in trace.schedule]
    batch = trace.schedule[0].binding(trace.schedule[0].first)[BATCH]
    steps = prefix.tokens // prefix.each
    context = Expr(prefix.each, ((STEP, prefix.each),) if steps > 1 else ())
    line = line_of("prefill", PREFIX, steps, context, batch, prefix.each)
    return replace(trace, templates=(template, *trace.templates), schedule=(line, *moved))


def _later(bindings: Mapping[str, Expr], tokens: int) -> dict[str, Expr]:
    return {**bindings, CONTEXT: bindings[CONTEXT].plus(Expr(tokens))}
