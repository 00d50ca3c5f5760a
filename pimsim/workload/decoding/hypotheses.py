"""Several hypotheses: beams that go on from one prompt, or drafts that one pass makes."""

from __future__ import annotations

from dataclasses import replace

from pimsim.errors import InputError
from pimsim.workload.decoding import data, edit, steps
from pimsim.workload.decoding.data import mechanisms
from pimsim.workload.decoding.source import Source
from pimsim.workload.decoding.steps import Asked
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import OpRecord, Table, Trace

MODEL = "model"


def beams(target: Source, asked: Asked, hypotheses: int | None = None, reorder: str | None = None) -> Trace:
    """The prompt once, then a fork: each hypothesis decodes a token in a step.

    reorder: share of the hypotheses of a prompt, but the first, that go on from another one's tokens in each step.
    One hypothesis is none: there is no fork.
    """
    mechanism = mechanisms()["beams"]
    number = mechanism["hypotheses"] if hypotheses is None else hypotheses
    share = data.share(str(mechanism["reorder"]) if reorder is None else reorder, "a share", "--reorder")
    steps.fits(asked, target, asked.base + asked.tokens)
    batch = number * asked.batch
    line = steps.decode(MODEL, asked.tokens, steps.plain(asked.base), batch)
    if number > 1:
        line = replace(line, fork=batch, reorder=share * (number - 1) * asked.batch)
    return steps.made(target, mechanism, [edit.named(target.template, MODEL)], [*steps.prompt(asked, MODEL), line])


def superposed(target: Source, asked: Asked, hypotheses: int | None = None) -> Trace:
    """Plain decoding whose embedding reads a row of each of k token tables and adds them up.

    InputError if the model has no embedding.
    """
    mechanism = mechanisms()["superposed"]
    number = mechanism["hypotheses"] if hypotheses is None else hypotheses
    if not any(op.op == "embedding" for op in target.ops(edit.BEFORE)):
        raise InputError(f"{target.model.name} has no embedding", key="--target")
    steps.fits(asked, target, asked.base + asked.tokens)
    ops = [_several(op, number) for op in target.template.ops]
    template = edit.template(MODEL, ops, target.template.layers, target.template.count)
    lines = [*steps.prompt(asked, MODEL), steps.decode(MODEL, asked.tokens, steps.plain(asked.base), asked.batch)]
    return steps.made(target, mechanism, [template], lines, hypotheses=str(number))


def _several(op: OpRecord, number: int) -> OpRecord:
    """An embedding with its token table so many times."""
    if op.op != "embedding":
        return op
    tokens, *positions = op.tables
    copies = [Table(f"{tokens.name}.{i}" if i else tokens.name, tokens.rows) for i in range(number)]
    tables = (*copies, *positions)
    return replace(op, tables=tables, inputs=Expr(sum(table.rows for table in tables)), launch=None)
