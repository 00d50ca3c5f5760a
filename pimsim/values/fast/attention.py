"""Attention of many tokens: K and V as they are kept, scores, softmax and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

import numpy as np

from pimsim.config.schema import AsicConfig
from pimsim.mapping.grid import ceil_div
from pimsim.mapping.layouts import Keys, Values
from pimsim.mapping.wires import Cuts
from pimsim.values.arithmetic import Arithmetic
from pimsim.values.asic import Asic
from pimsim.values.elementary import Elementary
from pimsim.values.fast.beats import Beats, Ints
from pimsim.values.fast.compiled.products import SIDE
from pimsim.values.fast.compiled.softmax import PIECE, softmax
from pimsim.values.fast.products import Sums, joined
from pimsim.values.fast.workers import together
from pimsim.values.numbers import EVERY, F32, Words, words
from pimsim.workload.ops import Operator

FIRST_ROOM = 64  # tokens that K and V have room for at first
_WORTH_A_THREAD = 1 << 14  # scores for which another thread brings more than it costs


class Softmax:
    """The ASIC's softmax of many vectors; its functions of one number are looked up in the tables that it has."""

    def __init__(self, config: AsicConfig) -> None:
        functions = Elementary(config, Arithmetic())
        self._exps, self._reciprocals = words(functions.exp(EVERY)), words(functions.reciprocal(EVERY))

    def __call__(self, scores: F32, seen: Ints, beats: Beats) -> F32:
        """(heads, beats, vectors, places) of scores (heads, vectors, tiles, 8); a vector sees the first `seen`."""
        heads, vectors = len(scores), len(seen)
        made = np.zeros((heads, beats.count(int(seen.max())), vectors, beats.places), np.float32)

        def work(part: int, first: int, end: int) -> None:
            room = np.empty(PIECE + 1, np.float32)
            softmax(scores, seen, self._exps, self._reciprocals, beats.lanes, made, first, end, room)

        together(work, heads * vectors, ceil_div(_WORTH_A_THREAD, int(seen.max())))
        return made


class Cache:
    """K and V of one attention, BF16 words: K with tokens side by side, V with elements of a head side by side.

    keys (kv_heads, tiles of tokens, beats, places, 8), values (kv_heads, tiles of elements, beats, places, 8) for each
    of the ways that columns of tokens are dealt to
    """

    def __init__(self, operator: Operator, beats: Beats, of_keys: Cuts, ways: int = 1) -> None:
        self._beats, self._pieces, self._ways = beats, of_keys.elements, ways
        self._heads, self._size = operator.kv_heads, operator.head_dim
        self.clear()

    def clear(self) -> None:
        """Forget all tokens."""
        self._room, places = 0, self._beats.places
        self.keys = np.zeros((self._heads, 0, self._beats.count_of(self._pieces), places, SIDE), np.uint16)
        empty = np.zeros((self._heads, ceil_div(self._size, SIDE), 0, places, SIDE), np.uint16)
        self.values = [empty] * self._ways

    def write(self, slots: Ints, keys: F32, values: F32) -> None:
        """K and V of tokens, both (tokens, kv_heads, head_dim), to these slots."""
        self._make_room(int(slots.max()) + 1)
        heads, elements = keys.shape[1:]
        for head in range(heads):
            spread = self._beats.spread(words(keys[:, head]), self._pieces)
            self.keys[head, slots // SIDE, :, :, slots % SIDE] = spread
        padded = np.zeros((len(slots), heads, self.values[0].shape[1] * SIDE), np.uint16)
        padded[:, :, :elements] = words(values)
        laid = padded.reshape(len(slots), heads, -1, SIDE).transpose(1, 2, 0, 3)
        columns, width = slots // self._beats.width, self._beats.width
        for way, those in enumerate(self.values):
            mine = columns % self._ways == way
            own = columns[mine] // self._ways * width + slots[mine] % width
            those[:, :, own // self._beats.lanes, own % self._beats.lanes] = laid[:, :, mine]

    def _make_room(self, tokens: int) -> None:
        if tokens <= self._room:
            return
        self._room = max(FIRST_ROOM, 2 * self._room)
        while self._room < tokens:
            self._room *= 2
        self.keys = _grown(self.keys, 1, ceil_div(self._room, SIDE))
        each = ceil_div(ceil_div(self._room, self._beats.width), self._ways) * self._beats.of_a_column
        self.values = [_grown(those, 2, each) for those in self.values]


def _grown(words: Words, axis: int, size: int) -> Words:
    more = list(words.shape)
    more[axis] = size - words.shape[axis]
    return np.concatenate([words, np.zeros(more, np.uint16)], axis=axis)


def cap_of(operator: Operator, cap: float) -> float:
    """The soft cap of an attention's scores in a model that has one; 0: none."""
    return cap if operator.softcap else 0.0


class Attention:
    """What one attention of a graph does to queries, keys and values; `cap`: of the scores, 0: none."""

    def __init__(
        self, operator: Operator, keys: Keys, values: Values, sums: Sums, asic: Asic, softmax: Softmax, cap: float
    ) -> None:
        self._operator, self._asic, self._softmax = operator, asic, softmax
        self._sums, self._beats = sums, sums.beats
        self._of_keys, self._of_values = keys.sums, values.sums
        self._ways = self._of_values(1).ways
        self._cap = cap_of(operator, cap)

    def cache(self) -> Cache:
        """An empty one."""
        return Cache(self._operator, self._beats, self._of_keys, self._ways)

    def __call__(self, queries: F32, keys: F32, values: F32, contexts: Ints, cache: Cache) -> F32:
        """(tokens, heads * head_dim) of queries, keys and values (tokens, elements), which join the cache in turn.

        contexts (tokens,): of each token one more than of the one before.
        """
        made = np.empty(queries.shape, np.float32)
        size, window = self._operator.head_dim, self._operator.window
        for some in self._parts(contexts):
            k, v = (x[some].reshape(-1, self._operator.kv_heads, size) for x in (keys, values))
            before = contexts[some] - 1
            cache.write(before % window if window else before, k, v)
            seen = np.minimum(contexts[some], window) if window else contexts[some]
            made[some] = self._attend(queries[some], seen, cache)
        return made

    def _parts(self, contexts: Ints) -> Iterator[slice]:
        """Tokens that see K and V as they are when all of them are written: those of no slot that is written again."""
        window = self._operator.window
        full = int(np.searchsorted(contexts, window, side="right")) if window else len(contexts)
        if full:
            yield slice(0, full)
        yield from (slice(k, k + 1) for k in range(full, len(contexts)))

    def _attend(self, queries: F32, seen: Ints, cache: Cache) -> F32:
        operator = self._operator
        tokens, kv_heads = len(queries), operator.kv_heads
        each = np.repeat(seen, operator.heads // kv_heads)  # heads that share K and V are vectors of one group
        apart = queries.reshape(tokens, kv_heads, -1, operator.head_dim).transpose(1, 0, 2, 3)
        scores = self._scores(apart.reshape(kv_heads, len(each), -1), each, cache.keys)
        made = self._weighed(self._softmax(scores, each, self._beats), each, cache.values)
        return made.reshape(kv_heads, tokens, -1, operator.head_dim).transpose(1, 0, 2, 3).reshape(tokens, -1)

    def _scores(self, queries: F32, seen: Ints, keys: Words) -> F32:
        """(heads, vectors, tiles, 8) of queries (heads, vectors, head_dim): the tokens of the slots, eight by eight."""
        beats, cuts = self._beats, self._of_keys
        spread = np.stack([beats.vectors(each, cuts.elements) for each in queries])
        everything = np.full(len(seen), beats.count_of(cuts.elements) * beats.places, np.int64)
        used = ceil_div(int(seen.max()), SIDE)
        total, *others = self._sums(keys, spread, everything, cuts, used=used)
        for piece in others:
            total = self._asic.sum(total, piece)
        return self._asic.tanh(total, self._cap) if self._cap else total

    def _weighed(self, shares: F32, seen: Ints, values: Sequence[Words]) -> F32:
        """(heads, vectors, head_dim) of probabilities as products take them; a vector has the pieces that it sees.

        Pieces come as `Cuts` has them: the first of every way, then the second.
        """
        cuts = self._of_values(int(seen.max()))
        known = {n: self._of_values(n) for n in set(seen.tolist())}
        ways = min(cuts.ways, len(cuts.elements))
        made = [self._of_way(cuts.of_way(way), shares, seen, values[way], way) for way in range(ways)]
        total = made[0][0]
        for piece, way in product(range(max(map(len, made))), range(ways)):
            if piece < len(made[way]) and (piece or way):
                has = {n: of.of_way(way).partial_sums > piece for n, of in known.items()}
                more = np.array([has[n] for n in seen.tolist()])
                total[:, more] = self._asic.sum(total[:, more], made[way][piece][:, more])
        return joined(total, self._operator.head_dim)

    def _of_way(self, cuts: Cuts, shares: F32, seen: Ints, values: Words, way: int) -> F32:
        """(pieces, heads, vectors, tiles, 8) of one way's tokens."""
        ways, beats = self._ways, self._beats
        return self._sums(values, beats.of_way(shares, way, ways), beats.place(beats.own(seen, way, ways)), cuts)
