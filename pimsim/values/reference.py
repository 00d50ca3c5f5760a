"""The reference: a model's forward pass in float32, written from the definition of its family.

It is a second reading of the model: it knows the kinds of a `ModelShape` and the numbers of
`Constants`, but neither the operator graph nor what the hardware does for it.  A block is

    x + attention(norm(x)), then x + ffn(norm(x))

or, with norms after both, x + norm(attention(norm(x))), and so on.  Every array has a row for
each token; a matrix is (outputs, inputs), as `Weights` gives it, and y = x W' + b.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pimsim.errors import InputError
from pimsim.values.numbers import F32
from pimsim.values.weights.model import Constants, Weights
from pimsim.workload.shapes import ModelShape

Ints = NDArray[np.int64]
Function = Callable[[F32], F32]

QUERIES = 256  # rows of scores at a time: an attention over n tokens holds heads x 256 x n of them
FIRST_ROOM = 64  # tokens that a cache has room for at first; it doubles


class Reference:
    """A model as its definition has it, float32 throughout.

    The matrices are held as they come from `weights`, once.  Raises InputError for an activation
    or a norm that no definition here has.
    """

    def __init__(self, weights: Weights) -> None:
        shape = self.shape = weights.shape
        self.constants: Constants = weights.constants
        self._tokens = weights.table(0)
        self._positions = None if shape.rope else weights.table(1)
        self.layers = [Layer(weights, i) for i in range(shape.layers)]
        self._norm = _Norm(weights, "final_norm")
        self._head = _Linear(self._tokens, None) if shape.tied else _Linear.of(weights, "lm_head")

    def logits(self, ids: Sequence[int]) -> F32:
        """What the model says after each of `ids`, (len(ids), vocabulary); the whole sequence at once."""
        return self.head(self.states(ids))

    def states(self, ids: Sequence[int]) -> F32:
        """The final norm's rows, (len(ids), d_model); `head` makes logits of them, of a few at a time if need be."""
        return Decoder(self).states(ids)

    def head(self, states: F32) -> F32:
        """Logits of rows of `states`."""
        made = self._head(states)
        cap = self.constants.logit_softcap
        return capped(made, cap) if cap else made

    def generate(self, prompt: Sequence[int], tokens: int) -> list[int]:
        """The next `tokens` ids after `prompt`, each the likeliest; of equal ones the lowest."""
        decoder, fed, made = Decoder(self), list(prompt), list[int]()
        for _ in range(tokens):
            made.append(int(np.argmax(self.head(decoder.states(fed)[-1:]))))
            fed = made[-1:]
        return made

    def embedded(self, ids: Ints, positions: Ints) -> F32:
        """What enters the first layer."""
        made: F32 = self._tokens[ids] * np.float32(self.constants.embed_scale)
        return made if self._positions is None else made + self._positions[positions]

    def ended(self, x: F32) -> F32:
        """What leaves the last layer, normalised."""
        return self._norm(x)

    def checked(self, ids: Sequence[int], start: int) -> Ints:
        """`ids` as an array; InputError if there are none, one is no token, or a position has no row in its table."""
        if not len(ids):
            raise InputError("there are no tokens; give at least one", key="prompt")
        known, room = self.shape.vocabulary, self.shape.max_positions
        wrong = next((each for each in ids if not 0 <= each < known), None)
        if wrong is not None:
            raise InputError(f"{wrong} is no token: the vocabulary has ids from 0 to {known - 1}", key="prompt")
        if self._positions is not None and start + len(ids) > room:
            raise InputError(
                f"the model has positions for {room} tokens, and {start + len(ids)} are asked for; take fewer",
                key="prompt",
            )
        return np.asarray(ids, np.int64)


class Decoder:
    """A sequence that grows: keys and values of the tokens before are kept."""

    def __init__(self, reference: Reference) -> None:
        self._model = reference
        self._caches = [_Cache(reference.shape) for _ in reference.layers]
        self.tokens = 0

    def feed(self, ids: Sequence[int]) -> F32:
        """Logits after each of the next `ids`, (len(ids), vocabulary)."""
        return self._model.head(self.states(ids))

    def states(self, ids: Sequence[int]) -> F32:
        """The final norm's rows of the next `ids`, (len(ids), d_model)."""
        model = self._model
        tokens = model.checked(ids, self.tokens)
        positions = np.arange(self.tokens, self.tokens + len(tokens), dtype=np.int64)
        self.tokens += len(tokens)
        x = model.embedded(tokens, positions)
        for layer, cache in zip(model.layers, self._caches, strict=True):
            x = layer(x, positions, cache)
        return model.ended(x)


class Layer:
    """One decoder layer."""

    def __init__(self, weights: Weights, i: int) -> None:
        shape = weights.shape
        self._shape, self._constants = shape, weights.constants
        self._window = shape.windows[i % len(shape.windows)] if shape.windows else shape.window
        self._turns = (lambda positions: weights.rotations(i, positions)) if shape.rope else None
        self._before = _Norm(weights, "attn_norm", i), _Norm(weights, "ffn_norm", i)
        self._after: list[Function] = [
            _Norm(weights, f"{part}_post_norm", i) if shape.post_norms else _same for part in ("attn", "ffn")
        ]
        self._qkv = [_Linear.of(weights, name, i) for name in (("qkv",) if shape.merged_qkv else ("q", "k", "v"))]
        self._out = _Linear.of(weights, "attn_out", i)
        self._head_norms: list[Function] = [
            _Norm(weights, f"{name}_norm", i) if shape.qk_norm else _same for name in ("q", "k")
        ]
        self._ffn = _Mixture(weights, i) if shape.experts > 1 else FeedForward(weights, i)

    def __call__(self, x: F32, positions: Ints, cache: _Cache) -> F32:
        """The layer's output for rows `x` at `positions`, whose keys and values join `cache`."""
        x = x + self._after[0](self._attention(self._before[0](x), positions, cache))
        return x + self._after[1](self._ffn(self._before[1](x)))

    def _attention(self, x: F32, positions: Ints, cache: _Cache) -> F32:
        shape = self._shape
        made = np.concatenate([product(x) for product in self._qkv], axis=1)
        rows = made.reshape(len(x), -1, shape.head_dim)  # (tokens, heads of q, then of k, then of v; head_dim)
        q, k, v = np.split(rows, [shape.heads, shape.heads + shape.kv_heads], axis=1)
        q, k = self._head_norms[0](q), self._head_norms[1](k)
        if self._turns:
            cos, sin = self._turns(positions)
            q, k = rotated(q, cos, sin), rotated(k, cos, sin)
        cache.add(k, v)
        mixed = [self._mixed(q[i : i + QUERIES], positions[i : i + QUERIES], cache) for i in range(0, len(x), QUERIES)]
        return self._out(np.concatenate(mixed))

    def _mixed(self, q: F32, positions: Ints, cache: _Cache) -> F32:
        """Softmax of scores, times values, for consecutive queries: (queries, heads x head_dim).

        A query sees itself and what stands before it, of these the `window` newest.
        """
        shape, constants, n = self._shape, self._constants, len(q)
        first = max(0, int(positions[0]) - self._window + 1) if self._window else 0
        last = int(positions[-1]) + 1
        keys, values = cache.keys[:, first:last], cache.values[:, first:last]
        grouped = q.reshape(n, shape.kv_heads, -1, shape.head_dim).transpose(1, 2, 0, 3)  # heads that share K and V
        stacked = grouped.reshape(shape.kv_heads, -1, shape.head_dim)
        scores = (stacked @ keys.transpose(0, 2, 1)) * np.float32(constants.attention_scale)
        if constants.attention_softcap:
            scores = capped(scores, constants.attention_softcap)
        distance = positions[:, None] - np.arange(first, last)
        seen = (distance >= 0) & (distance < (self._window or last))
        shares = softmax(np.where(seen, scores.reshape(*grouped.shape[:3], -1), np.float32(-np.inf)))
        mixed = shares.reshape(shape.kv_heads, -1, last - first) @ values
        return mixed.reshape(grouped.shape).transpose(2, 0, 1, 3).reshape(n, -1)


class FeedForward:
    """down(act(up(x))), or gated: down(act(gate(x)) up(x)); of one expert, if there are several."""

    def __init__(self, weights: Weights, layer: int, expert: int = 0) -> None:
        shape = weights.shape
        self._act = _activation(weights)
        self._gated = shape.gated
        merged = shape.merged_gate or shape.experts > 1
        names = ("ffn_gate", "ffn_up") if shape.gated and not merged else ("ffn_up",)
        self._up = [_Linear.of(weights, name, layer, expert) for name in names]
        self._down = _Linear.of(weights, "ffn_down", layer, expert)

    def __call__(self, x: F32) -> F32:
        """Rows of d_model elements for rows of d_model elements."""
        wide = np.concatenate([product(x) for product in self._up], axis=1)
        if not self._gated:
            return self._down(self._act(wide))
        gate, up = np.split(wide, 2, axis=1)
        return self._down(self._act(gate) * up)


class _Mixture:
    """Mixtral's: the `active` experts that a softmax over all finds likeliest, by their share among them."""

    def __init__(self, weights: Weights, layer: int) -> None:
        self._active = weights.shape.active
        self._router = _Linear.of(weights, "router", layer)
        self._experts = [FeedForward(weights, layer, expert) for expert in range(weights.shape.experts)]

    def __call__(self, x: F32) -> F32:
        shares = softmax(self._router(x))
        chosen = np.argsort(-shares, axis=1, kind="stable")[:, : self._active]  # of equal ones the lowest
        kept = np.take_along_axis(shares, chosen, axis=1)
        kept /= kept.sum(axis=1, keepdims=True)
        out = np.zeros_like(x)
        for i, expert in enumerate(self._experts):
            tokens, places = np.nonzero(chosen == i)
            if len(tokens):
                out[tokens] += expert(x[tokens]) * kept[tokens, places][:, None]
        return out


class _Cache:
    """Keys and values of a layer, (kv_heads, tokens, head_dim); there is room for more of them."""

    def __init__(self, shape: ModelShape) -> None:
        empty = np.zeros((shape.kv_heads, FIRST_ROOM, shape.head_dim), np.float32)
        self.keys, self.values, self._tokens = empty, empty.copy(), 0

    def add(self, keys: F32, values: F32) -> None:
        """Append (tokens, kv_heads, head_dim) of both."""
        start, self._tokens = self._tokens, self._tokens + len(keys)
        while self._tokens > self.keys.shape[1]:
            self.keys, self.values = (np.concatenate([old, np.zeros_like(old)], 1) for old in (self.keys, self.values))
        self.keys[:, start : self._tokens] = keys.transpose(1, 0, 2)
        self.values[:, start : self._tokens] = values.transpose(1, 0, 2)


@dataclass(frozen=True)
class _Linear:
    """y = x W' + b."""

    matrix: F32
    bias: F32 | None

    @classmethod
    def of(cls, weights: Weights, name: str, layer: int = 0, expert: int = 0) -> _Linear:
        return cls(weights.matrix(name, layer, expert), weights.bias(name, layer, expert))

    def __call__(self, x: F32) -> F32:
        made: F32 = x @ self.matrix.T
        return made if self.bias is None else made + self.bias


class _Norm:
    """LayerNorm or RMSNorm over the last axis."""

    def __init__(self, weights: Weights, name: str, layer: int = 0) -> None:
        if weights.shape.norm not in ("layernorm", "rmsnorm"):
            raise InputError(f"the reference has no norm {weights.shape.norm!r}; it knows layernorm and rmsnorm")
        self._centred = weights.shape.norm == "layernorm"
        self._gain, self._bias = weights.gain(name, layer), weights.bias(name, layer) if self._centred else None
        self._eps = np.float32(weights.constants.norm_eps)

    def __call__(self, x: F32) -> F32:
        if self._centred:
            x = x - x.mean(axis=-1, keepdims=True)
        made: F32 = x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + self._eps) * self._gain
        return made if self._bias is None else made + self._bias


def _same(x: F32) -> F32:
    return x


def rotated(x: F32, cos: F32, sin: F32) -> F32:
    """Rows of heads, (tokens, heads, head_dim), turned: the first 2 x half elements in pairs i and half + i."""
    half = cos.shape[1]
    a, b, rest = x[..., :half], x[..., half : 2 * half], x[..., 2 * half :]
    cos, sin = cos[:, None], sin[:, None]
    return np.concatenate([a * cos - b * sin, b * cos + a * sin, rest], axis=-1)


def capped(x: F32, cap: float) -> F32:
    made: F32 = np.tanh(x / np.float32(cap)) * np.float32(cap)
    return made


def softmax(x: F32) -> F32:
    """Over the last axis."""
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    made: F32 = powers / powers.sum(axis=-1, keepdims=True)
    return made


def _activation(weights: Weights) -> Function:
    name = weights.shape.activation
    if name not in ACTIVATIONS:
        raise InputError(f"the reference has no activation {name!r}; it knows {', '.join(ACTIVATIONS)}")
    return GELUS[weights.constants.gelu] if name == "gelu" else ACTIVATIONS[name]


def _gelu_tanh(x: F32) -> F32:
    made: F32 = 0.5 * x * (1 + np.tanh(np.float32(math.sqrt(2 / math.pi)) * (x + np.float32(0.044715) * x * x * x)))
    return made


def _gelu_erf(x: F32) -> F32:
    made: F32 = 0.5 * x * (1 + _ERF(x * np.float32(math.sqrt(0.5))).astype(np.float32))
    return made


def _silu(x: F32) -> F32:
    with np.errstate(over="ignore"):  # of a large negative x: x / inf is the 0 that it should be
        made: F32 = x / (1 + np.exp(-x))
    return made


def _relu(x: F32) -> F32:
    return np.maximum(x, np.float32(0))


_ERF = np.frompyfunc(math.erf, 1, 1)
GELUS: dict[str, Function] = {"tanh": _gelu_tanh, "erf": _gelu_erf}
ACTIVATIONS: dict[str, Function] = {"gelu": _gelu_tanh, "silu": _silu, "relu": _relu}
