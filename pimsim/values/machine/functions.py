"""What the ASIC makes of the operands of an instruction: which function of `values.asic`, and how it reads them.

    kind                      operands, one behind the other            shape of the instruction
    layernorm, rmsnorm        x, then gain (and bias)                   (n,)
    softmax, exponentials     x; the second gives the reciprocals too   (n,)
    gelu, silu, relu, scale   x                                         (n,)
    tanh                      x                                         (n,)
    mul, residual             both                                      (n,)
    rope                      queries, keys                             (first context, tokens, sequences, elements of a
                                                                        head, those of them that are rotated)
    topk                      x                                         (experts, chosen)
    weighted                  vectors of the experts, their weights     (n, chosen)
    sum                       partial sums, then what is added to them  (vectors, partial sums, n)
    argmax                    x                                         (n,)

Of number formats (`values.formats`); a vector of numbers has its scale behind it:

    quantise                  x, or queries, keys and values            (n,), or (n of queries, of keys, of values)
    scaled                    partial sums, then words of their scales  (vectors, partial sums, n)
    scale                     sums, then the vectors that were given    (vectors, partial sums, n)
      of an attention         results, then a number for each head      ()
      of an embedding         rows of numbers                           (n, row, row ...)
    softmax                   scores, the scale of their queries        (n, 1); of scores that were scaled before (n,)
    tanh                      the same                                  (n,)

Everything is BF16 in float32.  Experts are in the order of their numbers, whatever their weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.values.asic import Asic
from pimsim.values.layers import in_layer
from pimsim.values.machine.scaling import Scaling
from pimsim.values.numbers import F32, bf16
from pimsim.values.weights.model import Weights
from pimsim.workload.graph import Workload

Ints = NDArray[np.int64]


class Functions:
    """The ASIC, with the numbers of a model that are no tensors.

    chosen: the experts of the latest topk, in ascending order, (vectors, chosen).
    """

    def __init__(self, asic: Asic, workload: Workload, weights: Weights, scaling: Scaling | None = None) -> None:
        self.asic, self._workload, self._scaling = asic, workload, scaling
        self._constants, self._rotations = weights.constants, weights.rotations
        self._of = {operator.name: operator for operator in workload.operators}
        self.chosen: Ints = np.zeros((0, 0), np.int64)

    def run(self, kind: str, of: str, copy: int, shape: Sequence[int], operands: Sequence[F32]) -> F32:
        """What an instruction of operator `of`, in a copy of the block, makes of its operands; one after another."""
        function: Any = getattr(self, f"_{kind}", None) or self._of_elements
        made: F32 = function(kind, of, copy, tuple(shape), *operands)
        return made.reshape(-1)

    def _of_elements(self, kind: str, of: str, copy: int, shape: tuple[int, ...], *operands: F32) -> F32:
        found: F32 = self.asic.of(kind)(*(operand.reshape(-1, shape[0]) for operand in operands))
        return found

    def _scale(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32, *scales: F32) -> F32:
        if self._scaling is not None and self._of[of].op in ("linear", "attention", "embedding"):
            return self._scaling.scale(self.asic, self.chosen, self._of[of], copy, shape, x, *scales)
        return self.asic.scale(x.reshape(-1, shape[0]), self._constants.embed_scale)

    def _quantise(self, kind: str, of: str, copy: int, shape: tuple[int, ...], *vectors: F32) -> F32:
        assert self._scaling is not None
        return self._scaling.quantise(self.asic, self._of[of], copy, shape, *vectors)

    def _scaled(self, kind: str, of: str, copy: int, shape: tuple[int, ...], parts: F32, scales: F32) -> F32:
        assert self._scaling is not None
        return self._scaling.scaled(self.asic, self._of[of], shape, parts, scales)

    def _softmax(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32, *scales: F32) -> F32:
        if self._scaling is not None and self._scaling.packed(of):
            return self._scaling.softmax(self.asic, self._of[of], copy, shape, x, *scales)
        return self.asic.softmax(x.reshape(-1, shape[0]))

    def _tanh(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32, *scales: F32) -> F32:
        of_scores = self._of[of].op == "attention"
        if of_scores and self._scaling is not None and self._scaling.packed(of):
            x = self._scaling.scores(self.asic, self._of[of], copy, shape, x, *scales)
        cap = self._constants.attention_softcap if of_scores else self._constants.logit_softcap
        return self.asic.tanh(x.reshape(-1, shape[0]), cap)

    def _rmsnorm(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32, gain: F32) -> F32:
        return self.asic.rmsnorm(x.reshape(-1, shape[0]), gain, self._constants.norm_eps)

    def _layernorm(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32, gains: F32) -> F32:
        n = shape[0]
        return self.asic.layernorm(x.reshape(-1, n), gains[:n], gains[n:], self._constants.norm_eps)

    def _exponentials(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32) -> F32:
        exps, reciprocals = self.asic.exponentials(x.reshape(-1, shape[0]))
        return np.concatenate([exps.reshape(-1), reciprocals.reshape(-1)])

    def _rope(self, kind: str, of: str, copy: int, shape: tuple[int, ...], q: F32, k: F32) -> F32:
        first, tokens, sequences, head, rotated = shape
        positions, vectors = np.arange(first - 1, first - 1 + tokens, dtype=np.int64), tokens * sequences
        _, layer = in_layer(self._workload, of, copy)
        turns = self._rotations(layer, np.repeat(positions, sequences))
        cos, sin = (bf16(each)[:, np.newaxis] for each in turns)
        x = np.concatenate([q.reshape(vectors, -1), k.reshape(vectors, -1)], axis=1).reshape(vectors, -1, head)
        half = rotated // 2
        x1, x2 = self.asic.rope(x[..., :half], x[..., half:rotated], cos, sin)
        return np.concatenate([x1, x2, x[..., rotated:]], axis=-1)

    def _topk(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32) -> F32:
        ids, weights = self.asic.topk(x.reshape(-1, shape[0]), shape[1])
        order = np.argsort(ids, axis=-1)
        self.chosen = np.take_along_axis(ids, order, axis=-1)
        return np.take_along_axis(weights, order, axis=-1)

    def _weighted(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32, weights: F32) -> F32:
        n, chosen = shape
        return self.asic.weighted(x.reshape(-1, chosen, n).transpose(1, 0, 2), weights.reshape(-1, chosen))

    def _sum(self, kind: str, of: str, copy: int, shape: tuple[int, ...], parts: F32, *addends: F32) -> F32:
        vectors, pieces, n = shape
        of_pieces = parts.reshape(vectors, pieces, n)
        total = of_pieces[:, 0]
        for addend in addends:
            rows = addend.reshape(-1, n)
            total = self.asic.sum(total, np.repeat(rows, vectors // len(rows), axis=0))
        for piece in range(1, pieces):
            total = self.asic.sum(total, of_pieces[:, piece])
        return total

    def _argmax(self, kind: str, of: str, copy: int, shape: tuple[int, ...], x: F32) -> F32:
        return self.asic.argmax(x.reshape(-1, shape[0])).astype(np.float32)
