"""What an operator of a trace costs at a binding: the formulas are those of `Operator`.

A token of a step attends to as many tokens as `kv_len` is at its own context, T-Q+q for the q-th; where
there is no order among them (`Operator.sees_all`), to as many as it is at T.  What a tree or a cycle of the
schedule changes is no part of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pimsim.workload.attributes import fields_of
from pimsim.workload.ops import Affine, Operator
from pimsim.workload.trace.records import BATCH, CONTEXT, DATA_TYPE_BITS, QUERY, Header, HeadGroup, OpRecord


@dataclass(frozen=True)
class OperatorCost:
    """One step of B sequences, Q query tokens each (or the operator's own `tokens`), the newest at context T.

    flops         arithmetic operations, 2 per multiply-accumulate
    matrix_flops  those of matrix products: weights, q K^T and p V
    weights       parameters that are stored: of every expert, a tied matrix once
    weight_bytes  the same in bytes, without the scales of groups
    kv_bytes      K and V of the tokens attended to, each read once
    moved_bytes   across the bus if memory only stored: weights that are used, table rows,
                  K and V, and states, read and written
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
    groups = record.head_groups or (None,)  # each group of heads is an attention of its own
    return sum((_cost(operator_of(record, binding, group), header, binding) for group in groups), OperatorCost())


def _cost(operator: Operator, header: Header, binding: Mapping[str, int]) -> OperatorCost:
    batch, context = binding[BATCH], binding[CONTEXT]
    tokens = operator.tokens or (binding[QUERY] if operator.per == "token" else 1)
    weights = operator.parameters()
    kv = batch * operator.kv_read().at(context)
    written = batch * (operator.appended or tokens) * operator.kv_token if operator.append else 0
    vectors = batch if operator.keeps_state else batch * tokens  # a state moves once for all tokens of a sequence
    used = 0 if operator.op == "attention" else operator.elements(vectors, biases=True).at(context)
    return OperatorCost(
        batch * _of_step(operator, operator.operations(), tokens, context),
        2 * batch * _of_step(operator, operator.macs(), tokens, context),
        weights,
        _bytes(weights, operator.bits),
        _bytes(kv, DATA_TYPE_BITS[header.kv]),
        _bytes(used, operator.bits) + _bytes(kv + written, DATA_TYPE_BITS[header.kv]),
    )


def _of_step(operator: Operator, count: Affine, tokens: int, context: int) -> int:
    """A count of one token over the tokens of a step, each at its own context, or all alike."""
    if operator.op != "attention" or operator.sees_all:
        return tokens * count.at(context)
    return count.total(context - tokens + 1, context)


def _bytes(elements: int, bits: int) -> int:
    return -(-elements * bits // 8)


def operator_of(record: OpRecord, binding: Mapping[str, int], group: HeadGroup | None = None) -> Operator:
    """The operator at a binding, of an attention one group of its heads; ValueError if its sizes do not fit.

    The context is left open: what depends on T alone stays so (`kv_slope`), and T needs no value then.
    """
    whole = group is None or len(record.head_groups) == 1
    launch = record.launch
    said = fields_of(record, record.weight)
    if group:
        said |= _attended(group, binding) | {"append": record.append and not record.queries_alone}
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
        appended=record.appended.at(binding) if record.appended else 0,
        tokens=record.tokens.at(binding) if record.tokens else 0,
        line=record.line,
        **said,
    )


def _attended(group: HeadGroup, binding: Mapping[str, int]) -> dict[str, int]:
    """What a group of heads says of an operator beside its heads."""
    return {
        "value_dim": group.value_dim,
        "kv_slope": group.kv_len.slope(CONTEXT),
        "kv_constant": group.kv_len.at({**binding, CONTEXT: 0}),
    }
