"""What an operator of a trace costs at a binding: the formulas are those of `Operator`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pimsim.workload.attributes import fields_of
from pimsim.workload.ops import Operator
from pimsim.workload.trace.records import BATCH, CONTEXT, DATA_TYPE_BITS, QUERY, Header, HeadGroup, OpRecord


@dataclass(frozen=True)
class OperatorCost:
    """One step of B sequences, Q query tokens each, the newest at context T.

    flops         arithmetic operations, 2 per multiply-accumulate
    matrix_flops  those of matrix products: weights, q K^T and p V
    weights       parameters that are stored: of every expert, a tied matrix once
    weight_bytes  the same in bytes, without the scales of groups
    kv_bytes      K and V of the tokens attended to, each read once
    moved_bytes   across the bus if memory only stored: weights that are used, table rows,
                  K and V read and written
    """

    flops: int = 0
    matrix_flops: int = 0
    weights: int = 0
    weight_bytes: int = 0
    kv_bytes: int = 0
    moved_bytes: int = 0

    def __add__(self, other: OperatorCost) -> OperatorCost:
        return OperatorCost(
            self.flops + other.flops,
            self.matrix_flops + other.matrix_flops,
            self.weights + other.weights,
            self.weight_bytes + other.weight_bytes,
            self.kv_bytes + other.kv_bytes,
            self.moved_bytes + other.moved_bytes,
        )

    def __mul__(self, count: int) -> OperatorCost:
        return OperatorCost(*(count * value for value in vars(self).values()))


def cost_of(record: OpRecord, header: Header, binding: Mapping[str, int]) -> OperatorCost:
    """The cost of one execution of an operator; ValueError if its sizes do not fit."""
    return sum((_cost(o, context, header, binding) for o, context in _operators(record, binding)), OperatorCost())


def _cost(operator: Operator, context: int, header: Header, binding: Mapping[str, int]) -> OperatorCost:
    batch = binding[BATCH]
    tokens = binding[QUERY] if operator.per == "token" else 1
    first = context - tokens + 1  # each query token attends to itself and all before it
    weights = operator.parameters()
    kv = batch * operator.kv_read().at(context)
    written = batch * tokens * 2 * operator.kv_width
    used = 0 if operator.op == "attention" else operator.elements(batch * tokens, biases=True).at(context)
    return OperatorCost(
        batch * operator.operations().total(first, context),
        2 * batch * operator.macs().total(first, context),
        weights,
        _bytes(weights, operator.bits),
        _bytes(kv, DATA_TYPE_BITS[header.kv]),
        _bytes(used, operator.bits) + _bytes(kv + written, DATA_TYPE_BITS[header.kv]),
    )


def _bytes(elements: int, bits: int) -> int:
    return -(-elements * bits // 8)


def _operators(record: OpRecord, binding: Mapping[str, int]) -> Iterator[tuple[Operator, int]]:
    """Each group of heads as an attention of its own, with its context; others as they are."""
    if not record.head_groups:
        yield operator_of(record, binding), binding[CONTEXT]
    for group in record.head_groups:
        yield operator_of(record, binding, group), group.kv_len.at(binding)


def operator_of(record: OpRecord, binding: Mapping[str, int], group: HeadGroup | None = None) -> Operator:
    """The operator at a binding, of an attention one group of its heads; ValueError if its sizes do not fit."""
    whole = group is None or len(record.head_groups) == 1
    launch = record.launch
    seen: dict[str, Any] = (
        {"kv_slope": group.kv_len.slope(CONTEXT), "kv_constant": group.kv_len.at({**binding, CONTEXT: 0})}
        if group
        else {}
    )
    said = fields_of(record, record.weight)
    queries = sum(each.heads * each.head_dim for each in record.head_groups)
    said["append"] = record.append and not (group and record.inputs.at(binding) == queries)
    return Operator(
        record.id,
        record.role,
        record.op,
        record.scope,
        record.inputs.at(binding),
        record.outputs.at(binding) if whole or group is None else group.heads * (group.value_dim or group.head_dim),
        heads=group.heads if group else 0,
        kv_heads=group.kv_heads if group else 0,
        head_dim=group.head_dim if group else 0,
        deps=record.deps,
        experts=record.experts,
        active=record.active,
        rows=record.rows.at(binding),
        per=record.per,
        tables=tuple(table.rows for table in record.tables),
        table_names=tuple(table.name for table in record.tables),
        aten=launch.aten if launch else None,
        kernels=launch.kernels if launch else None,
        take=tuple((name, *part) for name, part in record.take.items()),
        value_dim=group.value_dim if group else 0,
        tokens=record.tokens.at(binding) if record.tokens else 0,
        line=record.line,
        **seen,
        **said,
    )
