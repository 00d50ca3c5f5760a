"""What a graph needs, and where in a file it is.

Every operator with weights has slots; a slot is a piece of the file, or several below one another.  A
container's naming says for each slot which pieces may make it; the first choice of which all are there is
taken.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from pimsim.errors import InputError, Problem, did_you_mean
from pimsim.values.numbers import F32
from pimsim.values.weights.tensors import Tensors
from pimsim.workload.models import build
from pimsim.workload.ops import NORMS, Operator
from pimsim.workload.shapes import ModelShape


class Key(NamedTuple):
    """What is asked for.  kind: matrix, bias, gain or table (`expert`: which table)."""

    kind: str
    name: str
    layer: int = 0
    expert: int = 0


@dataclass(frozen=True)
class Piece:
    """A tensor of a file, or a part of it, and what has to be done to it.

    shape: as the file has it.  part: which one along the first axis, of several in one tensor.
    turned: it is stored (inputs, outputs).  pairs: heads of which neighbouring rows are rotated together;
    they become halves.  more: what is added (a norm that stores its gain less 1).
    """

    tensor: str
    shape: tuple[int, ...]
    part: int | None = None
    turned: bool = False
    pairs: int = 0
    more: float = 0.0

    def read(self, tensors: Tensors) -> F32:
        """The part as the graph wants it; it may be a view."""
        values = tensors.read(self.tensor, self.part)
        if self.turned:
            values = values.T
        if self.pairs:
            apart = values.reshape(self.pairs, -1, 2, *values.shape[1:])
            values = apart.swapaxes(1, 2).reshape(values.shape)
        return values + np.float32(self.more) if self.more else values


Slot = tuple[Piece, ...]
_MOST_EXPERTS = 4096  # more are a typing error
# The choices for a slot: of an operator in a layer, an expert, and the shape that the slot has.
Naming = Callable[[Key, Operator, tuple[int, ...]], list[Slot]]


def wanted(shape: ModelShape) -> Iterator[tuple[Key, Operator, tuple[int, ...]]]:
    """Every slot of a model with its operator (of the block's first layer) and its shape."""
    graph = build(shape, lm_head=True)
    for operator in graph.select("once_before") + graph.select("once_after"):
        yield from _of(operator, operator.name, 0)
    span = len(shape.windows) or 1
    for operator in graph.select("block"):
        name, _, offset = operator.name.partition(".")
        for layer in range(int(offset or 0), shape.layers, span):
            yield from _of(operator, name, layer)


def _of(operator: Operator, name: str, layer: int) -> Iterator[tuple[Key, Operator, tuple[int, ...]]]:
    if operator.op == "embedding":
        for i, rows in enumerate(operator.tables):
            yield Key("table", name, expert=i), operator, (rows, operator.outputs)
    elif operator.op == "linear":
        for expert in range(operator.experts):
            yield Key("matrix", name, layer, expert), operator, (operator.outputs, operator.inputs)
            if operator.bias:
                yield Key("bias", name, layer, expert), operator, (operator.outputs,)
    elif operator.op in NORMS:
        yield Key("gain", name, layer), operator, (operator.inputs,)
        if operator.op == "layernorm":
            yield Key("bias", name, layer), operator, (operator.inputs,)


def found(shape: ModelShape, tensors: Tensors, naming: Naming, harmless: Callable[[str], bool]) -> dict[Key, Slot]:
    """Where each slot of the model is; InputError with every tensor that is missing, of another shape, or left over."""
    slots: dict[Key, Slot] = {}
    there = tensors.shapes
    if shape.layers > len(there) or shape.experts > _MOST_EXPERTS:
        what = f"{shape.layers:,} layers" if shape.layers > len(there) else f"{shape.experts:,} experts"
        raise InputError(Problem(tensors.file, 1, 1, "", f"has {len(there):,} tensors, too few for a model of {what}"))
    for key, operator, sizes in wanted(shape):
        choices = naming(key, operator, sizes)
        slots[key] = max(choices, key=lambda slot: sum(piece.tensor in there for piece in slot) / len(slot))
    pieces = list(dict.fromkeys(piece for slot in slots.values() for piece in slot))
    used = {piece.tensor for piece in pieces}
    left = [name for name in there if name not in used and not harmless(name)]
    problems = [
        *_missing([piece.tensor for piece in pieces if piece.tensor not in there], left, tensors.file),
        *_of_another_shape(pieces, there, tensors.file),
        *_left_over(left, shape, tensors.file),
    ]
    if problems:
        raise InputError(problems)
    return slots


def _missing(names: Iterable[str], left: list[str], file: str) -> Iterator[Problem]:
    for first, more in _alike(names):
        near = "" if more else did_you_mean(first, left)
        yield Problem(file, 1, 1, first, f"missing{_and_more(more)}: the model has it, the file has not{near}")


def _of_another_shape(pieces: list[Piece], there: Mapping[str, tuple[int, ...]], file: str) -> Iterator[Problem]:
    wrong: dict[str, Piece] = {
        piece.tensor: piece for piece in pieces if there.get(piece.tensor, piece.shape) != piece.shape
    }
    for first, more in _alike(wrong):
        is_, should = _by(there[first]), _by(wrong[first].shape)
        yield Problem(file, 1, 1, first, f"is {is_}{_and_more(more)}, where the model's sizes make it {should}")


def _left_over(names: list[str], shape: ModelShape, file: str) -> Iterator[Problem]:
    for first, more in _alike(names):
        yield Problem(
            file, 1, 1, first, f"left over{_and_more(more)}: a {shape.family} of these sizes has no such tensor"
        )


def _alike(names: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Of names that differ in numbers alone the first, and how many more there are."""
    groups: dict[str, list[str]] = defaultdict(list)
    for name in dict.fromkeys(names):
        groups[re.sub(r"\d+", "*", name)].append(name)
    for group in groups.values():
        yield group[0], len(group) - 1


def _and_more(more: int) -> str:
    return f" (and {more:,} more that differ in the numbers)" if more else ""


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"
