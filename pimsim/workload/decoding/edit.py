"""Changes of a template: other names, fewer or other operators."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pimsim.workload.trace.expr import Expr
from pimsim.workload.trace.records import ModelInfo, OpRecord, Template

BLOCK, BEFORE, AFTER = "block", "once_before", "once_after"


def template(
    id: str,
    ops: Iterable[OpRecord],
    layers: int,
    count: int,
    model: ModelInfo | None = None,
    weights_of: str = "",
) -> Template:
    """A template of operators, which then belong to it."""
    owned = tuple(replace(op, template=id, line=0) for op in ops)
    return Template(id, layers, count, owned, model=model, weights_of=weights_of)


def named(whole: Template, id: str, model: ModelInfo | None = None) -> Template:
    """The same template by another name."""
    return template(id, whole.ops, whole.layers, whole.count, model)


def only(whole: Template, id: str, *scopes: str) -> Template:
    """The operators of some scopes alone."""
    return template(id, [op for op in whole.ops if op.scope in scopes], whole.layers, whole.count)


def prefixed(ops: Iterable[OpRecord], prefix: str) -> tuple[OpRecord, ...]:
    """Operators of one scope by other names, so that their weights are their own."""
    ops = tuple(ops)
    ids = {op.id for op in ops}

    def name(id: str) -> str:
        return prefix + id if id in ids else id

    return tuple(
        replace(
            op,
            id=name(op.id),
            deps=tuple(map(name, op.deps)),
            take={name(dep): part for dep, part in op.take.items()},
            weight=replace(op.weight, name=op.weight.name and prefix + op.weight.name, tied=name(op.weight.tied)),
        )
        for op in ops
    )


def renamed_deps(ops: Iterable[OpRecord], old: str, new: str) -> tuple[OpRecord, ...]:
    """Readers of one result read another one."""
    return tuple(
        replace(
            op,
            deps=tuple(new if dep == old else dep for dep in op.deps),
            take={new if dep == old else dep: part for dep, part in op.take.items()},
        )
        for op in ops
    )


def linear(
    id: str, scope: str, inputs: int, outputs: int, deps: tuple[str, ...], like: OpRecord, **more: object
) -> OpRecord:
    """A product with a matrix of its own, whose weights are kept as those of `like`."""
    weight = replace(like.weight, name="", tied="", bias=False)
    op = replace(
        like, id=id, scope=scope, inputs=Expr(inputs), outputs=Expr(outputs), rows=Expr(1), deps=deps, take={},
        weight=weight, launch=None, experts=1, active=1, tokens=None, extra={}, head_groups=(), tables=(),
    )  # fmt: skip
    return replace(op, **more)  # type: ignore[arg-type]


def elementwise(
    id: str, scope: str, op: str, role: str, size: int, deps: tuple[str, ...], per: str = "token"
) -> OpRecord:
    """An operator without weights that maps a vector to one of the same size."""
    return OpRecord("", id, scope, role, op, Expr(size), Expr(size), per=per, deps=deps)
