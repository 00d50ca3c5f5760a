"""Products and attention in other formats than BF16: as `products` and `attention`, with scales.

What is multiplied with weights is brought into its format as the plan has it (`Asic.quantise`: a scale for each
vector).  The scale of a sum is that of the vector times that of the matrix, rounded to BF16; the ASIC multiplies with
it when all partial sums are added up, and adds the bias to that.

K and V have a static scale for each head (`values.static`).  Scores are multiplied with the scales of the queries and
of K, rounded to BF16, before anything else happens to them.  Probabilities of fewer bits are exponentials, the largest
of which is 1, times the format's largest number; the reciprocal of their sum goes into the scale of the results.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from pimsim.errors import InputError
from pimsim.mapping.layouts import Keys, Matrix, Values
from pimsim.mapping.wires import Cuts
from pimsim.values.asic import Asic
from pimsim.values.fast.adding import Adding, Ints
from pimsim.values.fast.attention import cap_of
from pimsim.values.formats import Quantised, rounded
from pimsim.values.numbers import F32, bf16
from pimsim.values.scaling import given, in_format, shares_of
from pimsim.workload.ops import Operator

FIRST_ROOM = 64  # tokens that K and V have room for at first


def check_cuts(cuts: Cuts) -> None:
    """InputError for sums that go on from each other in the banks, which have no values in formats."""
    if cuts.in_banks:
        what = "sums that go on from a bias or from each other in the banks have values in BF16 alone; let the ASIC add"
        raise InputError(what, key="pim.sums")


class FormatProduct:
    """y = W x + b; matrix (outputs, inputs) and bias (outputs,), or None, in float32."""

    def __init__(
        self, operator: Operator, layout: Matrix, matrix: F32, bias: F32 | None, rounds: bool, asic: Asic
    ) -> None:
        packing = layout.grid.packing
        assert packing is not None
        check_cuts(layout.sums)
        self._packing, self._asic = packing, asic
        self._weights = in_format(operator, packing, matrix)
        in_unit = bool(packing.group) and packing.in_unit
        self._laid = Adding(packing, rounds).laid(
            self._weights.numbers - _spread(self._weights),
            layout.sums.elements,
            self._weights.scales if in_unit else None,
        )
        self._bias = None if bias is None else bf16(bias)
        self._scales = _of_sums(self._weights.scales, layout.sums.elements, packing.group) if packing.drained else None

    def __call__(self, x: F32) -> F32:
        """(vectors, outputs) of x (vectors, inputs)."""
        packing, asic = self._packing, self._asic
        numbers, scale = given(asic, packing, x)
        parts = self._laid(numbers)
        if not (packing.scales_results or packing.drained):
            return self._added(parts, self._bias)
        found = self._added(parts) if self._scales is None else asic.scaled(parts, self._scales)
        if packing.scales_results:
            own = np.float32(1) if packing.group else self._weights.scales[0, 0]
            found = asic.scale(found, (scale * own)[:, np.newaxis])
        return found if self._bias is None else asic.sum(found, self._bias)

    def _added(self, parts: F32, bias: F32 | None = None) -> F32:
        """Partial sums, the bias added to the first."""
        found: F32 = parts[0] if bias is None else self._asic.sum(parts[0], np.broadcast_to(bias, parts[0].shape))
        for part in parts[1:]:
            found = self._asic.sum(found, part)
        return found

    def rows(self, outputs: Ints) -> F32:
        """Rows of the matrix, each weight rounded to BF16: (outputs, inputs)."""
        return bf16(self._weights.worth(outputs))


def _spread(weights: Quantised) -> F32 | np.float32:
    """The zero point of each weight."""
    if not weights.zeros.any():
        return np.float32(0)
    each: F32 = np.repeat(weights.zeros, weights.group, axis=1)[:, : weights.numbers.shape[1]]
    return each


def _of_sums(scales: F32, elements: Sequence[int], group: int) -> F32:
    """The scale of each sum of a group, or of a part of one: (sums, outputs)."""
    first = np.cumsum([0, *elements[:-1]])
    return np.ascontiguousarray(scales[:, first // group].T)


class FormatCache:
    """K and V of one attention, numbers of their format: (kv_heads, tokens, head_dim) both."""

    def __init__(self, operator: Operator) -> None:
        self._sizes = operator.kv_heads, operator.head_dim
        self.clear()

    def clear(self) -> None:
        """Forget all tokens."""
        heads, size = self._sizes
        self.keys, self.values = (np.zeros((heads, FIRST_ROOM, size), np.float32) for _ in range(2))

    def write(self, slot: int, keys: F32, values: F32) -> None:
        """K and V of a token, both (kv_heads, head_dim)."""
        while slot >= self.keys.shape[1]:
            self.keys, self.values = (np.concatenate([old, np.zeros_like(old)], 1) for old in (self.keys, self.values))
        self.keys[:, slot], self.values[:, slot] = keys, values


class FormatAttention:
    """What one attention of a graph does; scales: of K and of V, (kv_heads,) each; cap: of the scores, 0: none."""

    def __init__(
        self,
        operator: Operator,
        keys: Keys,
        values: Values,
        scales: tuple[F32, F32],
        rounds: bool,
        asic: Asic,
        cap: float,
    ) -> None:
        packing = keys.grid.packing
        assert packing is not None
        check_cuts(keys.sums)
        check_cuts(values.sums(1))
        self._operator, self._packing, self._asic = operator, packing, asic
        self._adding, self._of_keys, self._of_values = Adding(packing, rounds), keys.sums, values.sums
        self._cap = cap_of(operator, cap)
        self._scales = scales
        self._sharing = operator.heads // operator.kv_heads

    def cache(self) -> FormatCache:
        """An empty one."""
        return FormatCache(self._operator)

    def __call__(self, queries: F32, keys: F32, values: F32, contexts: Ints, cache: FormatCache) -> F32:
        """(tokens, heads * head_dim) of queries, keys and values (tokens, elements), which join the cache in turn."""
        operator, made = self._operator, np.empty(queries.shape, np.float32)
        k, v = (self._kept(x, scale) for x, scale in zip((keys, values), self._scales, strict=True))
        numbers, scale = given(self._asic, self._packing, queries)
        for token, context in enumerate(contexts.tolist()):
            cache.write(operator.slot(context), k[token], v[token])
            made[token] = self._attend(numbers[token], scale[token], operator.attended().at(context), cache)
        return made

    def _kept(self, x: F32, scale: F32) -> F32:
        """Numbers (tokens, kv_heads, head_dim) that are kept of x (tokens, elements)."""
        apart = x.reshape(len(x), len(scale), -1)
        return rounded(self._packing.pair.stored, self._asic.scale(apart, (np.float32(1) / scale)[:, np.newaxis]))

    def _attend(self, queries: F32, scale: np.float32, seen: int, cache: FormatCache) -> F32:
        """(heads * head_dim) of the queries of one token."""
        asic, sharing, (of_keys, of_values) = self._asic, self._sharing, self._scales
        heads = queries.reshape(len(of_keys), sharing, -1)
        parts = [self._adding.laid(cache.keys[h, :seen], self._of_keys.elements)(q) for h, q in enumerate(heads)]
        scores = self._added(np.concatenate(parts, axis=1))
        scores = asic.scale(scores, np.repeat(scale * of_keys, sharing)[:, np.newaxis])
        shares, after = shares_of(asic, self._packing, asic.tanh(scores, self._cap) if self._cap else scores)
        apart = shares.reshape(len(of_values), sharing, -1)
        weighed = [self._weighed(cache.values[h, :seen].T, p, self._of_values(seen)) for h, p in enumerate(apart)]
        found = self._added(np.concatenate(weighed, axis=1))
        if self._packing.scales_results:
            found = asic.scale(found, (after * np.repeat(of_values, sharing))[:, np.newaxis])
        return found.reshape(-1)

    def _weighed(self, values: F32, shares: F32, cuts: Cuts) -> F32:
        """(pieces, vectors, head_dim) of values (head_dim, tokens), in the order of `Cuts`."""
        width, tokens = self._packing.width, np.arange(shares.shape[1])
        made: list[Iterator[F32]] = []
        for way in range(min(cuts.ways, len(cuts.elements))):
            mine = tokens[tokens // width % cuts.ways == way]
            laid = self._adding.laid(values[:, mine], cuts.of_way(way).elements)
            made.append(iter(laid(shares[:, mine])))
        count = -(-len(cuts.elements) // cuts.ways)
        pieces = (next(made[way], None) for _, way in product(range(count), range(len(made))))
        return np.stack([piece for piece in pieces if piece is not None])

    def _added(self, parts: F32) -> F32:
        total: F32 = parts[0]
        for part in parts[1:]:
            total = self._asic.sum(total, part)
        return total
