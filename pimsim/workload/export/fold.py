"""Nodes as operators of a trace, with the decoder layers folded into the smallest block that repeats."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from pimsim.errors import InputError
from pimsim.workload.attributes import attributes_of
from pimsim.workload.export.node import AFTER, BEFORE, BLOCK, Node
from pimsim.workload.layers import ENTERED, in_one_block, period
from pimsim.workload.ops import INPUT, Operator

# 1 / (1 + exp(-x)) is x / (1 + exp(-x)) without the last factor: as many operations as `ops` lists for a silu.
_WRITTEN_AS = {"sigmoid": "silu"}


@dataclass(frozen=True)
class Folded:
    """Operators of a step; those of scope "block" span `period` layers and run `count` times."""

    operators: tuple[Operator, ...]
    period: int
    count: int
    overhead: tuple[int, int] | None  # ATen operators, kernels; None: not recorded


def fold(nodes: list[Node], layers: str, overhead: tuple[int, int]) -> Folded:
    """The operators of the nodes; `layers` is the module name of the list of decoder layers."""
    names = _Names(nodes, layers)
    blocks = [names.operators(BLOCK, layer) for layer in sorted({node.layer for node in nodes if node.scope == BLOCK})]
    repeat = (
        len(blocks)
        if _is_one(blocks)
        else period([[replace(operator, aten=None, kernels=None) for operator in block] for block in blocks])
    )
    block, extra = _merge_launches(blocks, repeat)
    before, after = names.operators(BEFORE, -1), names.operators(AFTER, -1)
    return Folded(
        (*before, *in_one_block(block), *after),
        repeat,
        len(blocks) // repeat,
        (overhead[0] + extra[0], overhead[1] + extra[1]),
    )


class _Names:
    """What the nodes of a layer are called by others, and their weights by the checkpoint."""

    def __init__(self, nodes: list[Node], layers: str) -> None:
        self._nodes = nodes
        self._layers = layers
        self._embedding = next((node.name for node in nodes if node.op == "embedding" and not node.positions), "")

    def operators(self, scope: str, layer: int) -> list[Operator]:
        """The operators of one scope, of one layer."""
        return [self._operator(node) for node in self._nodes if node.scope == scope and node.layer == layer]

    def _operator(self, node: Node) -> Operator:
        return Operator(
            node.name,
            node.role,
            _WRITTEN_AS.get(node.op, node.op),
            node.scope,
            node.inputs,
            node.outputs,
            bias=node.bias,
            heads=node.heads,
            kv_heads=node.kv_heads,
            head_dim=node.head_dim,
            value_dim=node.value_dim if node.value_dim != node.head_dim else 0,
            tied=self._tied(node),
            deps=self._deps(node),
            experts=node.experts,
            active=node.active,
            rows=node.rows,
            per=node.per,
            weight=node.weight.replace(f"{self._layers}.{node.layer}.", f"{self._layers}.{{layer}}."),
            layout=node.layout,
            tables=node.tables,
            table_names=node.table_names,
            aten=node.aten,
            kernels=node.kernels,
            own_parameters=node.own,
            **_of_source(node),
            take=tuple((source.name, first, size) for source, first, size in node.take),
            **attributes_of(node.attributes),
        )

    def _deps(self, node: Node) -> tuple[str, ...]:
        """`INPUT` if the value that enters the layer is read, then names of sources in the same layer."""
        own = [other for other in node.sources if _together(other, node)]
        outside = [self._entering(other, node) for other in node.sources if not _together(other, node)]
        return (*(outside if node.sources else (INPUT,)), *(other.name for other in own))

    def _tied(self, node: Node) -> str:
        """The operator whose weights these are: in a block of all layers if it is of another one."""
        if node.shares is None:
            return self._embedding if node.tied else ""
        return f"{node.shares.name}.{node.shares.layer}" if node.scope == BLOCK else node.shares.name

    def _entering(self, source: Node, node: Node) -> str:
        """Only the last result of what runs before may enter a layer, and what entered the first."""
        first = next(i for i, other in enumerate(self._nodes) if _together(other, node))
        if source is self._nodes[first - 1]:
            return INPUT
        if node.scope != BLOCK or source is not next((n for n in reversed(self._nodes) if n.scope == BEFORE), None):
            raise InputError(
                f"module {node.call.where}: reads a result of {source.call.where} that is not what enters its layer"
            )
        return ENTERED


def _of_source(node: Node) -> dict[str, Any]:
    """Of what takes an encoder's vectors, or reads K and V of them: how many, once for all tokens."""
    if not node.crosses:
        return {"tokens": node.source}
    appended = node.source if node.attributes.append else 0
    return {"kv_slope": 0, "kv_constant": node.source, "appended": appended}


def _is_one(blocks: list[list[Operator]]) -> bool:
    """True if a layer reads what entered the first, or has weights of another: no part of the stack repeats."""
    return len(blocks) > 1 and any(ENTERED in operator.deps or operator.tied for block in blocks for operator in block)


def _together(a: Node, b: Node) -> bool:
    return a.scope == b.scope and a.layer == b.layer


def _merge_launches(blocks: list[list[Operator]], repeat: int) -> tuple[list[list[Operator]], tuple[int, int]]:
    """One block; launches are the fewest of its repeats, what single layers have more is overhead."""
    merged = [
        [
            replace(same[0], aten=min(o.aten or 0 for o in same), kernels=min(o.kernels or 0 for o in same))
            for same in zip(*blocks[offset::repeat], strict=True)
        ]
        for offset in range(repeat)
    ]
    repeats = len(blocks) // repeat
    return merged, (
        _launches(blocks, "aten") - repeats * _launches(merged, "aten"),
        _launches(blocks, "kernels") - repeats * _launches(merged, "kernels"),
    )


def _launches(blocks: list[list[Operator]], kind: str) -> int:
    return sum(getattr(operator, kind) for block in blocks for operator in block)
