"""A model on several devices, computed with numpy: the weights that each has, and what they send, literally.

It is a second reading of a cut graph: of it and the whole graph it knows the sizes, and of each product what its
columns are.  Values are arrays of (vectors of a token, elements).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from pimsim.workload.dataflow import Dataflow
from pimsim.workload.graph import Workload
from pimsim.workload.ops import INPUT, Operator

Array = NDArray[np.float64]
Indices = NDArray[np.intp]
CONTEXT = 5


def _numbers(*what: object, shape: tuple[int, ...]) -> Array:
    """Random numbers that depend on their name alone."""
    seed = np.frombuffer(repr(what).encode(), dtype=np.uint8)
    return np.random.default_rng(seed).normal(size=shape) / math.sqrt(shape[-2] if len(shape) > 1 else 1)


@dataclass
class Devices:
    """`count` devices that run `cut`, a part of `whole` (count 1: the whole graph itself)."""

    whole: Workload
    cut: Workload
    count: int = 1
    values: list[dict[str, Array]] = field(default_factory=list)
    chosen: dict[str, Indices] = field(default_factory=dict)

    @cached_property
    def uncut(self) -> dict[str, Operator]:
        return {operator.name: operator for operator in self.whole.operators}

    @cached_property
    def flow(self) -> Dataflow:
        return Dataflow(self.cut)

    @cached_property
    def attention(self) -> Operator:
        return next(o for o in self.whole.operators if o.op == "attention")

    def logits(self, token: int) -> list[Array]:
        """What each device has at the end of a step."""
        self.values = [{INPUT: np.array([[float(token)]])} for _ in range(self.count)]
        for scope, repeats in (("once_before", 1), ("block", self.cut.blocks), ("once_after", 1)):
            for block in range(repeats):
                operators = self.cut.select(scope)
                for operator in operators:
                    self._step(operator, block)
                for values in self.values:
                    values[INPUT] = values[operators[-1].name]
        return [values[INPUT][0] for values in self.values]

    def _step(self, operator: Operator, block: int) -> None:
        if operator.op == "all_reduce":
            parts = [self._all(operator, device)[0] for device in range(self.count)]
            results = [np.sum(parts, axis=0)] * self.count
        elif operator.op == "all_gather":
            parts = [self._all(operator, device)[0] for device in range(self.count)]
            results = [np.concatenate(parts, axis=1)[:, : operator.outputs]] * self.count
        else:
            results = [self._run(operator, device, block) for device in range(self.count)]
        for values, result in zip(self.values, results, strict=True):
            assert result.shape == (self.flow.copies(operator.name), operator.outputs * operator.rows), operator
            values[operator.name] = result

    # ---- what is read

    def _all(self, operator: Operator, device: int) -> list[Array]:
        """What an operator takes; of a whole value that its device has a share of, that of the device."""
        return [
            self.values[device][name][:, (start := self._first(operator, name, first, size, device)) : start + size]
            for name, first, size in self.flow.slices[operator.name]
        ]

    def _first(self, operator: Operator, name: str, first: int, size: int, device: int) -> int:
        whole = self.uncut.get(operator.name, operator)  # what is sent is in the cut graph alone
        if name not in {dep for dep, _, _ in operator.take} - {dep for dep, _, _ in whole.take}:
            return first
        heads = self.values[device][name].shape[1] // self.attention.head_dim
        here = size // self.attention.head_dim
        return first + (device * heads // self.count if here == 1 else device * here) * self.attention.head_dim

    # ---- what a device has

    def _part(self, size: int, device: int) -> Indices:
        each = -(-size // self.count)
        return np.arange(size)[device * each : (device + 1) * each]

    def _heads(self, heads: int, dim: int, device: int) -> Indices:
        """Elements of a device's heads; each has one if there are fewer heads than devices."""
        mine = self._part(heads, device) if heads >= self.count else np.array([device * heads // self.count])
        return (mine[:, None] * dim + np.arange(dim)).ravel()

    def _columns(self, operator: Operator, device: int) -> Indices:
        """Columns of a product's matrix that a device has."""
        a = self.attention
        queries = self._heads(a.heads, a.head_dim, device)
        kept = self._heads(a.kv_heads, a.head_dim, device)
        first, second = a.heads * a.head_dim, a.kv_heads * a.head_dim
        match operator.name:
            case "q":
                return queries
            case "k" | "v":
                return kept
            case "qkv":
                return np.concatenate([queries, first + kept, first + second + kept])
            case "ffn_up" if "ffn_gate" not in self.uncut and "ffn_mul" in self.uncut:
                half = self._part(operator.outputs // 2, device)
                return np.concatenate([half, operator.outputs // 2 + half])
        return self._part(operator.outputs, device)

    def _linear(self, operator: Operator, device: int, block: int) -> Array:
        whole = self.uncut[operator.name]
        matrix = _numbers(whole.name, block, shape=(whole.experts, whole.inputs, whole.outputs))
        bias = _numbers(whole.name, block, "bias", shape=(whole.outputs,)) * whole.bias
        if operator.inputs < whole.inputs:
            matrix = matrix[:, self._part(whole.inputs, device)]
            bias = bias * (device == 0)
        elif operator.outputs < whole.outputs:
            columns = self._columns(whole, device)
            matrix, bias = matrix[:, :, columns], bias[columns]
        (taken,) = self._all(operator, device)
        experts = [self.chosen[dep] for dep in operator.deps if dep in self.chosen]
        result = np.stack([v @ m for v, m in zip(_spread(taken, experts), matrix[experts[0]], strict=True)]
                          if experts else taken @ matrix[0]) + bias  # fmt: skip
        if operator.role != "lm_head":
            return result
        return np.pad(result, ((0, 0), (0, operator.outputs - result.shape[1])))  # the last of an uneven cut has fewer

    def _attention(self, operator: Operator, device: int, block: int) -> Array:
        """The heads of a device; K and V of the tokens before are random."""
        whole, dim = self.uncut[operator.name], operator.head_dim
        q, k, v = (part[0].reshape(-1, dim) for part in self._all(operator, device))
        mine = self._heads(whole.kv_heads, 1, device)
        before = [_numbers(what, block, shape=(CONTEXT, whole.kv_heads, dim))[:, mine] for what in "kv"]
        keys, values = (np.concatenate([b, new[None]]) for b, new in zip(before, (k, v), strict=True))
        shared = operator.heads // operator.kv_heads
        scores = np.einsum("hd,thd->ht", q, keys.repeat(shared, axis=1)) / math.sqrt(dim)
        return np.asarray(np.einsum("ht,thd->hd", _softmax(scores), values.repeat(shared, axis=1))).reshape(1, -1)

    def _rope(self, operator: Operator, device: int) -> Array:
        heads = np.concatenate([part[0] for part in self._all(operator, device)]).reshape(-1, self.attention.head_dim)
        half = heads.shape[1] // 2
        angle = CONTEXT / 100.0 ** (np.arange(half) / half)
        a, b = heads[:, :half], heads[:, half:]
        rotated = [a * np.cos(angle) - b * np.sin(angle), b * np.cos(angle) + a * np.sin(angle)]
        return np.concatenate(rotated, axis=1).reshape(1, -1)

    def _run(self, operator: Operator, device: int, block: int) -> Array:
        match operator.op:
            case "linear":
                return self._linear(operator, device, block)
            case "attention":
                return self._attention(operator, device, block)
            case "rope":
                return self._rope(operator, device)
            case "embedding":
                return _numbers(operator.name, int(self.values[device][INPUT][0, 0]), shape=(1, operator.outputs))
            case "rmsnorm" | "layernorm":
                (taken,) = self._all(operator, device)
                gain = _numbers(operator.name, block, shape=(operator.inputs,))
                return _norm(operator.op, taken.reshape(-1, operator.inputs), gain).reshape(1, -1)
            case "topk":
                (taken,) = self._all(operator, device)
                self.chosen[operator.name] = np.argsort(-taken[0])[: operator.outputs]
                return taken[:, self.chosen[operator.name]]
            case "add" if operator.experts > 1:
                vectors, weights = self._all(operator, device)
                return weights @ vectors
        return np.asarray(_ELEMENTS[operator.op](*self._all(operator, device)))


def _spread(taken: Array, experts: list[Indices]) -> Array:
    """A vector for each chosen expert."""
    return np.broadcast_to(taken, (len(experts[0]), taken.shape[1]))


def _softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(e / e.sum(axis=-1, keepdims=True))


def _norm(op: str, x: Array, gain: Array) -> Array:
    x = x - x.mean(axis=1, keepdims=True) if op == "layernorm" else x
    return np.asarray(x / np.sqrt((x * x).mean(axis=1, keepdims=True) + 1e-6) * gain)


_ELEMENTS: dict[str, Callable[..., Array]] = {
    "gelu": lambda x: x * (1 + np.tanh(x)) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "tanh": np.tanh,
    "softmax": _softmax,
    "mul": lambda a, b: a * b,
    "add": lambda a, b: a + b,
}
