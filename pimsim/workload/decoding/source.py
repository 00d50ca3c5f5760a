"""A model to decode with: built in, or that of a trace."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from pimsim.config.shipped import TRACES, located
from pimsim.errors import InputError, did_you_mean
from pimsim.registry import not_loaded
from pimsim.workload.decoding.data import models
from pimsim.workload.launches import RECORDED_WITH
from pimsim.workload.models import MODELS, build
from pimsim.workload.trace.bind import trace_of
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.records import Header, ModelInfo, OpRecord, Table, Template, Trace

VERSION = "1.1"  # of what is made here


@dataclass(frozen=True)
class Source:
    """A model: the header of its trace, and the graph of its decode step."""

    header: Header
    template: Template

    @property
    def model(self) -> ModelInfo:
        """The sizes of the model."""
        return self.header.model

    def ops(self, *scopes: str) -> tuple[OpRecord, ...]:
        """The operators of some scopes, in order."""
        return tuple(op for op in self.template.ops if op.scope in scopes)


def source_of(name: str, key: str) -> Source:
    """The model of a name, or of a trace file; InputError, with `key`, if there is none.

    A name of a file has a suffix or a folder, or is there; one that is shipped has a name that is enough.
    """
    workload = models().get(name) or (build(MODELS[name], lm_head=True) if name in MODELS else None)
    if workload is not None:
        recorded = {"launches": RECORDED_WITH} if workload.overhead_aten is not None else {}
        return _of_trace(trace_of(workload, producer=recorded))
    if Path(name).suffix in (".jsonl", ".gz") or Path(name).is_file() or name in TRACES:
        return _of_trace(load_trace(located(name, shelf=TRACES)))
    known = (*MODELS, *models(), *TRACES)
    raise InputError(f"no model or trace {name!r}{did_you_mean(name, known)}{not_loaded()}", key=key)


def _of_trace(trace: Trace) -> Source:
    """The header without what only its own templates have, and the template of the last decode line."""
    decode = [line.template for line in trace.schedule if line.phase == "decode"]
    template = trace.template(decode[-1]) if decode else trace.templates[-1]
    header = trace.header
    model = template.model or header.model
    return Source(
        replace(header, version=VERSION, model=replace(model, parameters=None), checks=()),
        replace(template, model=None, weights_of="", extra={}),
    )


def with_positions(source: Source, positions: int) -> Source:
    """The same model with room for so many positions: its table of positions, if it has one, has as many rows."""
    model = replace(source.model, max_positions=positions, config_sha256="")
    ops = tuple(_longer(op, positions) for op in source.template.ops)
    return Source(replace(source.header, model=model), replace(source.template, ops=ops))


def _longer(op: OpRecord, positions: int) -> OpRecord:
    if len(op.tables) < 2:
        return op
    tables = (op.tables[0], *(Table(table.name, positions) for table in op.tables[1:]))
    return replace(op, tables=tables, inputs=Expr(sum(table.rows for table in tables)))
