"""What is kept of each template while the records of a file go by."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from pimsim.workload.trace.cost import OperatorCost
from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import CONTEXT, Line, ModelInfo, OpRecord, Template

_T = Expr(0, ((CONTEXT, 1),))


@dataclass
class Known:
    """A template, and the sums of its operators.

    model: that it is of.
    sizes: those that depend on symbols, with the line and key of their first use, and what they are of.
    costs: of one step, by the number of the header's check.
    parameters: None if a size of an operator with weights depends on a symbol.
    stored_bytes: weights so far, towards the memory.
    masks: the first attention of each mask that is said, and its line.
    words: it has a token table or an LM head.
    incomplete: an operator is wrong, so that sums mean nothing.
    """

    template: Template
    line: Line
    model: ModelInfo
    sizes: dict[Expr, tuple[Line, str, str]] = field(default_factory=dict)
    costs: dict[int, OperatorCost] = field(default_factory=dict)
    parameters: int | None = 0
    stored_bytes: int = 0
    masks: dict[str, tuple[Line, str]] = field(default_factory=dict)
    words: bool = False
    incomplete: bool = False


def sizes_of(op: OpRecord) -> Iterator[tuple[str, Expr]]:
    """Every size of an operator with its key."""
    yield from (("in", op.inputs), ("out", op.outputs), ("rows", op.rows))
    if op.tokens is not None:
        yield "tokens", op.tokens
    for i, group in enumerate(op.head_groups):
        yield f"head_groups.{i}.kv_len", group.kv_len


def firsts_of(op: OpRecord) -> Iterator[tuple[str, Expr]]:
    """What the first token of a step attends to, where that is less than what its last one does."""
    if op.mask == "block" or not op.appends or op.appended is not None:
        return
    first = Expr(1, ((CONTEXT, 1),)).plus(op.vectors.scaled(-1))
    for i, group in enumerate(op.head_groups):
        if group.kv_len != _T and group.kv_len.slope(CONTEXT) > 0:
            yield f"head_groups.{i}.kv_len", group.kv_len.within({CONTEXT: first})


def check_model(model: ModelInfo, line: Line) -> None:
    """What a model says of itself."""
    if model.config_sha256 not in ("", model.sizes_sha256):
        line.problem("model.config_sha256", f"is not that of the sizes, which is {model.sizes_sha256}")
    if model.heads % model.kv_heads:
        message = f"{model.kv_heads} heads of K and V do not divide {model.heads} heads"
        line.problem("model.kv_heads", message)
