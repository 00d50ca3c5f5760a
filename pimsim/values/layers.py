"""Which layer of the model an operator of the graph is in a copy of the block."""

from __future__ import annotations

from pimsim.workload.graph import Workload


def in_layer(workload: Workload, name: str, copy: int) -> tuple[str, int]:
    """The operator's name in one layer, and the layer: a block of several layers numbers their operators."""
    period = workload.shape.layers // workload.blocks
    if period == 1:
        return name, copy
    base, _, offset = name.rpartition(".")
    return (base, copy * period + int(offset)) if base and offset.isdigit() else (name, copy * period)
