"""What the ASIC does for number formats: as `machine.functions` has it, of the operands of an instruction."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pimsim.formats import FORMATS, NATIVE
from pimsim.mapping.packing import Packing
from pimsim.mapping.plan import Plan
from pimsim.values.asic import Asic
from pimsim.values.formats import EXPONENT_SCALE, Quantised, Shared, quantised, rounded, scales_at
from pimsim.values.layers import in_layer
from pimsim.values.numbers import F32
from pimsim.values.scaling import in_format, shares_of
from pimsim.values.static import scales_of
from pimsim.values.weights.model import Weights
from pimsim.workload.ops import Operator

Ints = NDArray[np.int64]


class Scaling:
    """The scales of a model that is carried out by a plan; those of vectors come with them."""

    def __init__(self, plan: Plan, weights: Weights) -> None:
        self._plan, self._weights = plan, weights
        self._matrices: dict[tuple[str, int], Quantised] = {}
        self._kept: dict[tuple[str, int], tuple[F32, F32]] = {}

    def packed(self, of: str) -> bool:
        """Whether an attention is in other formats than BF16."""
        return of in self._plan.memory.keys and self._plan.memory.keys[of].grid.packing is not None

    def matrix(self, operator: Operator, copy: int) -> Quantised:
        """A matrix in its format, of a copy: of an expert of a block."""
        key = operator.name, copy
        if key not in self._matrices:
            block, expert = divmod(copy, operator.experts)
            where = in_layer(self._plan.workload, operator.name, block)
            packing = self._plan.memory.matrices[operator.name].grid.packing
            weights = self._weights.matrix(*where, expert, folded=True)
            if packing is None:
                self._matrices[key] = quantised(FORMATS[NATIVE], weights, Shared())
            else:
                self._matrices[key] = in_format(operator, packing, weights)
        return self._matrices[key]

    def _packing(self, operator: Operator) -> Packing:
        of = self._plan.memory.matrices if operator.op == "linear" else self._plan.memory.keys
        packing = of[operator.name].grid.packing
        assert packing is not None
        return packing

    def _static(self, operator: Operator, copy: int) -> tuple[F32, F32]:
        """The scales of K and V in a copy of the block."""
        key = operator.name, copy
        if key not in self._kept:
            _, layer = in_layer(self._plan.workload, operator.name, copy)
            self._kept[key] = scales_of(self._weights, layer, self._packing(operator).pair.stored)
        return self._kept[key]

    # -- vectors -------------------------------------------------------------------------

    def quantise(self, asic: Asic, operator: Operator, copy: int, shape: tuple[int, ...], *vectors: F32) -> F32:
        """Numbers with their scale behind them; of an attention the queries' first, then keys and values."""
        packing = self._packing(operator)
        of_each = [vector.reshape(-1, size) for vector, size in zip(vectors, shape, strict=True)]
        x = of_each[0]
        numbers, scale = asic.quantise(x, packing.pair.given) if packing.quantises else (x, np.ones(len(x), np.float32))
        made = [numbers, scale[:, np.newaxis]]
        for kept, static in zip(of_each[1:], self._static(operator, copy) if of_each[1:] else (), strict=True):
            apart = asic.scale(kept.reshape(len(kept), len(static), -1), (np.float32(1) / static)[:, np.newaxis])
            made.append(rounded(packing.pair.stored, apart).reshape(kept.shape))
        return np.concatenate(made, axis=1)

    # -- products ------------------------------------------------------------------------

    def scaled(self, asic: Asic, operator: Operator, shape: tuple[int, ...], parts: F32, words: F32) -> F32:
        """Partial sums, each with the scale of its group, added up."""
        count, pieces, made = shape
        layout, packing = self._plan.memory.matrices[operator.name], self._packing(operator)
        first = np.cumsum([0, *layout.sums.elements[:-1]])
        scales = self._read(packing, words, made, -(-operator.inputs // packing.group))
        of_parts = scales[:, first // packing.group]  # (1 or vectors, partial sums, outputs)
        return asic.scaled(parts.reshape(count, pieces, made).transpose(1, 0, 2), of_parts.transpose(1, 0, 2))

    @staticmethod
    def _read(packing: Packing, words: F32, outputs: int, groups: int) -> F32:
        """(times that they were read, groups, outputs) of words."""
        codes, bits = (words.view(np.uint32) >> 16).astype(np.uint16), packing.side_bits
        each = -(-groups * outputs * bits // 16)
        codes = codes.reshape(-1, each)
        if bits == EXPONENT_SCALE:
            codes = np.ascontiguousarray(codes).view(np.uint8).astype(np.uint16)
        return scales_at(codes[:, : groups * outputs], bits).reshape(-1, groups, outputs)

    def scale(
        self, asic: Asic, chosen: Ints, operator: Operator, copy: int, shape: tuple[int, ...], x: F32, *scales: F32
    ) -> F32:
        """Results of a product or of an attention, or rows of an embedding, times what makes them worth something."""
        by: Any = {"linear": self._of_linear, "attention": self._of_attention, "embedding": self._of_rows}
        found: F32 = by[operator.op](asic, chosen, operator, copy, shape, x, *scales)
        return found

    def _of_linear(
        self, asic: Asic, chosen: Ints, operator: Operator, copy: int, shape: tuple[int, ...], x: F32, *given: F32
    ) -> F32:
        count, _, made = shape
        scale = np.ones(count, np.float32)
        if given:
            of_vectors = given[0].reshape(-1, operator.inputs + 1)[:, -1]
            scale = np.repeat(of_vectors, count // len(of_vectors))
        if not self._packing(operator).group:
            experts = chosen.reshape(-1).tolist() if operator.experts > 1 else [0] * count
            own = [self.matrix(operator, copy * operator.experts + expert).scales[0, 0] for expert in experts]
            scale = scale * np.array(own, np.float32)
        return asic.scale(x.reshape(count, made), scale[:, np.newaxis])

    def _of_attention(
        self, asic: Asic, chosen: Ints, operator: Operator, copy: int, shape: tuple[int, ...], x: F32, *after: F32
    ) -> F32:
        apart = x.reshape(-1, operator.heads, operator.head_dim)
        of_values = np.repeat(self._static(operator, copy)[1], operator.heads // operator.kv_heads)
        each = np.concatenate(after).reshape(-1, operator.heads) if after else np.ones((1, 1), np.float32)
        return asic.scale(apart, (each * of_values)[..., np.newaxis])

    def _of_rows(
        self, asic: Asic, chosen: Ints, operator: Operator, copy: int, shape: tuple[int, ...], x: F32, *none: F32
    ) -> F32:
        size, *rows = shape
        tied = next(each for each in self._plan.workload.operators if each.tied == operator.name)
        matrix = self.matrix(tied, 0)
        alone = matrix._replace(numbers=np.ones_like(matrix.numbers), zeros=np.zeros_like(matrix.zeros))
        return asic.scale(x.reshape(-1, size), alone.worth(np.array(rows)))

    # -- attention -----------------------------------------------------------------------

    def scores(self, asic: Asic, operator: Operator, copy: int, shape: tuple[int, ...], x: F32, *scales: F32) -> F32:
        """Scores of every head of one or several sequences, times the scales of their queries and of K."""
        apart = x.reshape(-1, operator.heads, shape[0])
        of_keys = np.repeat(self._static(operator, copy)[0], operator.heads // operator.kv_heads)
        each = np.concatenate(scales)[:, np.newaxis] if scales else np.ones((1, 1), np.float32)
        return asic.scale(apart, (each * of_keys)[..., np.newaxis]).reshape(-1, shape[0])

    def softmax(self, asic: Asic, operator: Operator, copy: int, shape: tuple[int, ...], x: F32, *scales: F32) -> F32:
        """Probabilities as they are multiplied, and behind them what results are multiplied with after."""
        packing, scores = self._packing(operator), x.reshape(-1, shape[0])
        if shape[1:]:
            scores = self.scores(asic, operator, copy, shape, x, *scales)
        shares, after = shares_of(asic, packing, scores)
        return np.concatenate([shares.reshape(-1), after]) if packing.quantises else shares
