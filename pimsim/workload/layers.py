"""Decoder layers as the smallest block that repeats (no torch)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from pimsim.workload.ops import INPUT, Operator

# What entered the first of several layers, as a dependency of a later one: only their block as a whole has it.
ENTERED = "entered"


def period(layers: Sequence[Any]) -> int:
    """The smallest number of layers that divides all of them and after which they repeat."""
    periods = (p for p in range(1, len(layers) + 1) if len(layers) % p == 0)
    return next(p for p in periods if all(layer == layers[i % p] for i, layer in enumerate(layers)))


def in_one_block(layers: Sequence[Sequence[Operator]]) -> list[Operator]:
    """Several layers as one block: names get the layer's number, a layer's input is the last operator before."""
    if len(layers) == 1:
        return list(layers[0])
    block: list[Operator] = []
    for offset, layer in enumerate(layers):
        entering = block[-1].name if block else INPUT
        block += [_numbered(operator, offset, entering) for operator in layer]
    return block


def _numbered(operator: Operator, offset: int, entering: str) -> Operator:
    renamed = {dep: {INPUT: entering, ENTERED: INPUT}.get(dep, f"{dep}.{offset}") for dep in operator.deps}
    weight = operator.weight.replace("{layer}", f"{{layer+{offset}}}") if offset else operator.weight
    take = tuple((renamed[name], first, size) for name, first, size in operator.take)
    return replace(operator, name=f"{operator.name}.{offset}", deps=tuple(renamed.values()), weight=weight, take=take)
