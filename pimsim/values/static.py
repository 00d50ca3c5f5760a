"""How large the K and V of a model are, as its weights say: their static scales are made of it."""

from __future__ import annotations

import numpy as np

from pimsim.formats import Format
from pimsim.values.formats import static_scale
from pimsim.values.numbers import F32
from pimsim.values.weights.model import Weights


def scales_of(weights: Weights, layer: int, made: Format) -> tuple[F32, F32]:
    """The scales of K and V of a layer, one for each head: (kv_heads,) each; 1 for formats with exponents."""
    shape = weights.shape
    if made.kind == "float":
        return np.ones(shape.kv_heads, np.float32), np.ones(shape.kv_heads, np.float32)
    keys, values = (_typical(weights, layer, part) for part in (0, 1))
    if shape.qk_norm:  # their size is that of the norm's gain
        keys = np.full_like(keys, np.abs(weights.gain("k_norm", layer)).max())
    return static_scale(made, keys), static_scale(made, values)


def _typical(weights: Weights, layer: int, part: int) -> F32:
    """The size of K (part 0) or V (1) of each head: of its largest row of weights, if what is multiplied with them
    was normalised.
    """
    shape, size = weights.shape, weights.shape.kv_heads * weights.shape.head_dim
    if shape.merged_qkv:
        rows, name = slice(shape.q_width + part * size, shape.q_width + (part + 1) * size), "qkv"
    else:
        rows, name = slice(0, size), ("k", "v")[part]
    matrix, bias = weights.matrix(name, layer)[rows], weights.bias(name, layer)
    found = np.sqrt(((matrix * weights.gain("attn_norm", layer)) ** 2).sum(axis=1))
    if bias is not None:
        found = found + np.abs(bias[rows])
    largest: F32 = found.reshape(shape.kv_heads, -1).max(axis=1).astype(np.float32)
    return largest
