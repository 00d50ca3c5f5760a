"""What one of several equal devices runs of a model whose matrices and heads are cut over them (Megatron).

A value is whole (all devices have it), cut (each has an equal part of its elements) or partial (each has a summand).
What an operator reads decides what it makes; `products`, `heads` and `elements` say how.  Where a whole value is
needed, an all-reduce or an all-gather is put in before its first reader, once for all of them.  What leaves a block,
and results that nobody reads, are whole.

- Embedding tables, routers, norms and what else all devices run are on all of them.
- An LM head has some of the columns, and its logits are gathered.  If it was tied to the table, its part is a matrix
  of its own: the table stays whole, and a layout has no slice of it.
- Elements of K and V lie where the heads are.  Fewer heads than devices: see `heads`.
- A graph says what the first device runs; slices of whole values (`take`) begin elsewhere on the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from pimsim.errors import InputError, Problem
from pimsim.workload.graph import Workload
from pimsim.workload.ops import LINK, Operator
from pimsim.workload.parallel.elements import cut_add, cut_elements, cut_rows, cut_state, cut_whole
from pimsim.workload.parallel.heads import cut_attention, cut_rope
from pimsim.workload.parallel.needs import elementwise
from pimsim.workload.parallel.pieces import Pieces
from pimsim.workload.parallel.products import cut_linear

KEY = "system.tensor"

_CUTS: dict[str, Callable[[Pieces, Operator], None]] = {
    "linear": cut_linear, "attention": cut_attention, "rope": cut_rope, "add": cut_add, "embedding": cut_whole,
    "layernorm": cut_rows, "rmsnorm": cut_rows, "softmax": cut_rows, "topk": cut_rows, "conv": cut_state,
    "ssm_update": cut_state,
}  # fmt: skip


def tensor_cut(workload: Workload, tensor: int) -> Workload:
    """What one of `tensor` devices runs; the graph itself for one.

    InputError with all that does not divide, and with the numbers of devices that would do; ValueError for a graph
    that is cut already: experts are shared, and stages made, afterwards.
    """
    if tensor == 1:
        return workload
    if any(operator.role == LINK for operator in workload.operators):
        raise ValueError("the graph is cut over devices already")
    if tensor < 1:
        raise InputError(f"a tensor cut of {tensor} devices", key=KEY)
    pieces = _cut(workload, tensor)
    if pieces.problems:
        raise InputError(_problems(workload, tensor, pieces.problems))
    return replace(workload, operators=tuple(_own_weights(workload, pieces.operators)))


def tensor_cuts(workload: Workload) -> list[int]:
    """The numbers of devices that a graph can be cut over, from 1 on."""
    return [1, *(devices for devices in _candidates(workload) if not _cut(workload, devices).problems)]


def _candidates(workload: Workload) -> Iterable[int]:
    """What divides the heads, or without attention the channels of a state, or the widest product."""
    heads = [operator.heads for operator in workload.operators if operator.op == "attention"]
    channels = [operator.outputs for operator in workload.operators if operator.keeps_state]
    wide = [operator.outputs for operator in workload.select("block") if operator.op == "linear"]
    most = min(heads or channels or [max(wide or [1])])
    return (devices for devices in range(2, most + 1) if most % devices == 0)


def _cut(workload: Workload, devices: int) -> Pieces:
    pieces = Pieces(workload, devices)
    last = {operator.scope: operator.name for operator in workload.operators}
    for operator in workload.operators:
        _way(operator)(pieces, operator)
        pieces.finish(operator, operator.name == last[operator.scope])
    return pieces


def _way(operator: Operator) -> Callable[[Pieces, Operator], None]:
    if operator.op in _CUTS:
        return _CUTS[operator.op]
    return cut_elements if elementwise(operator) else cut_whole


def _own_weights(workload: Workload, operators: list[Operator]) -> Iterable[Operator]:
    """What is tied to weights of another size there has its own."""
    made = {operator.name: operator for operator in operators}
    whole = {operator.name: operator for operator in workload.operators}
    for operator in operators:
        owner, before = made.get(operator.tied), whole.get(operator.name)
        untied = owner is not None and before is not None and _cut_apart(operator, owner, before)
        yield replace(operator, tied="") if untied else operator


def _cut_apart(operator: Operator, owner: Operator, before: Operator) -> bool:
    if owner.op == operator.op:
        return (owner.inputs, owner.outputs) != (operator.inputs, operator.outputs)
    return (before.inputs, before.outputs) != (operator.inputs, operator.outputs)


def _problems(workload: Workload, tensor: int, wrong: Iterable[str]) -> Iterable[Problem]:
    """Each problem with the numbers of devices that would do."""
    others = tensor_cuts(workload)[1:]
    would = f"{_listed(others)} do" if others else "no other number of devices does"
    for what in dict.fromkeys(wrong):
        yield Problem("", 0, 0, KEY, f"a tensor cut of {tensor} devices: {what}; {would}")


def _listed(numbers: list[int]) -> str:
    head = ", ".join(map(str, numbers[:-1]))
    return f"{head} or {numbers[-1]}" if head else str(numbers[-1])
