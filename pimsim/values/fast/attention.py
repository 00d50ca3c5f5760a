"""Attention of many tokens: K and V as they are kept, scores, softmax and what is made of them."""

from __future__ import annotations

from collections.abc import Iterator

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
from pimsim.values.fast.products import sums
from pimsim.values.fast.workers import together
from pimsim.values.numbers import F32, Words, numbers, words
from pimsim.workload.ops import Operator

FIRST_ROOM = 64  # tokens that K and V have room for at first


class Softmax:
    """The ASIC's softmax of many vectors; its functions of one number are looked up in the tables that it has."""

    def __init__(self, config: AsicConfig) -> None:
        every, functions = numbers(np.arange(1 << 16, dtype=np.uint16)), Elementary(config, Arithmetic())
        self._exps, self._reciprocals = words(functions.exp(every)), words(functions.reciprocal(every))

    def __call__(self, scores: F32, seen: Ints, beats: Beats) -> F32:
        """(beats, vectors, places) of scores (tiles, vectors, 8), of which each vector sees the first `seen`."""
        made = np.zeros((beats.count(int(seen.max())), len(seen), beats.places), np.float32)
        room = np.empty(PIECE, np.float32)
        softmax(scores, seen, self._exps, self._reciprocals, beats.lanes, made, 0, len(seen), room)
        return made


class Cache:
    """K and V of one attention, BF16 words: K with tokens side by side, V with elements of a head side by side.

    keys (kv_heads, tiles of tokens, beats, places, 8), values (kv_heads, tiles of elements, beats, places, 8)
    """

    def __init__(self, operator: Operator, beats: Beats, of_keys: Cuts) -> None:
        self._beats, self._pieces = beats, of_keys.elements
        self._heads, self._size = operator.kv_heads, operator.head_dim
        self.clear()

    def clear(self) -> None:
        """Forget all tokens."""
        self._room, places = 0, self._beats.places
        self.keys = np.zeros((self._heads, 0, self._beats.count_of(self._pieces), places, SIDE), np.uint16)
        self.values = np.zeros((self._heads, ceil_div(self._size, SIDE), 0, places, SIDE), np.uint16)

    def write(self, slots: Ints, keys: F32, values: F32) -> None:
        """K and V of tokens, both (tokens, kv_heads, head_dim), to these slots."""
        self._make_room(int(slots.max()) + 1)
        heads, elements = keys.shape[1:]
        for head in range(heads):
            spread = self._beats.spread(words(keys[:, head]), self._pieces)
            self.keys[head, slots // SIDE, :, :, slots % SIDE] = spread
        beat, place = slots // self._beats.lanes, slots % self._beats.lanes
        padded = np.zeros((len(slots), heads, self.values.shape[1] * SIDE), np.uint16)
        padded[:, :, :elements] = words(values)
        self.values[:, :, beat, place] = padded.reshape(len(slots), heads, -1, SIDE).transpose(1, 2, 0, 3)

    def _make_room(self, tokens: int) -> None:
        if tokens <= self._room:
            return
        self._room = max(FIRST_ROOM, 2 * self._room)
        while self._room < tokens:
            self._room *= 2
        self.keys = _grown(self.keys, 1, ceil_div(self._room, SIDE))
        self.values = _grown(self.values, 2, self._beats.count(self._room))


def _grown(words: Words, axis: int, size: int) -> Words:
    more = list(words.shape)
    more[axis] = size - words.shape[axis]
    return np.concatenate([words, np.zeros(more, np.uint16)], axis=axis)


class Attention:
    """What one attention of a graph does to queries, keys and values; `cap`: of the scores, 0: none."""

    def __init__(
        self, operator: Operator, keys: Keys, values: Values, beats: Beats, asic: Asic, softmax: Softmax, cap: float
    ) -> None:
        self._operator, self._beats, self._asic, self._softmax = operator, beats, asic, softmax
        self._of_keys, self._of_values = keys.sums, values.sums
        self._cap = cap if operator.softcap else 0.0

    def cache(self) -> Cache:
        """An empty one."""
        return Cache(self._operator, self._beats, self._of_keys)

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
        tokens, sharing = len(queries), operator.heads // operator.kv_heads
        apart = queries.reshape(tokens, operator.kv_heads, sharing, operator.head_dim)
        made = np.empty(apart.shape, np.float32)
        each = np.repeat(seen, sharing)
        cuts = self._cuts(each)

        def work(first: int, end: int) -> None:
            for head in range(first, end):
                vectors = np.ascontiguousarray(apart[:, head]).reshape(tokens * sharing, -1)
                scores = self._scores(vectors, each, cache.keys[head])
                shares = self._softmax(scores, each, self._beats)
                made[:, head] = self._weighed(shares, each, cuts, cache.values[head]).reshape(tokens, sharing, -1)

        together(work, operator.kv_heads)
        return made.reshape(tokens, -1)

    def _scores(self, queries: F32, seen: Ints, keys: Words) -> F32:
        """(tiles, vectors, 8): the tokens of the slots, eight by eight."""
        beats, cuts = self._beats, self._of_keys
        spread = beats.vectors(queries, cuts.elements)
        everything = np.full(len(queries), spread.shape[0] * spread.shape[2], np.int64)
        used = keys[: ceil_div(int(seen.max()), SIDE)]
        pieces = sums(beats, cuts, used, spread, everything, threads=False)
        total = pieces[0]
        for piece in pieces[1:]:
            total = self._asic.sum(total, piece)
        return self._asic.tanh(total, self._cap) if self._cap else total

    def _cuts(self, seen: Ints) -> tuple[Cuts, Ints]:
        """How the sums of the vector that sees most are cut, and of each vector into how many pieces."""
        known = {n: len(self._of_values(n).elements) for n in set(seen.tolist())}
        return self._of_values(int(seen.max())), np.array([known[n] for n in seen.tolist()], np.int64)

    def _weighed(self, shares: F32, seen: Ints, cuts: tuple[Cuts, Ints], values: Words) -> F32:
        """(vectors, head_dim)."""
        whole, parts = cuts
        pieces = sums(self._beats, whole, values, shares, self._beats.place(seen), threads=False)
        total = pieces[0]
        for i, piece in enumerate(pieces[1:], 1):
            more = parts > i
            total[:, more] = self._asic.sum(total[:, more], piece[:, more])
        vectors = total.transpose(1, 0, 2).reshape(len(seen), -1)
        return vectors[:, : self._operator.head_dim]
