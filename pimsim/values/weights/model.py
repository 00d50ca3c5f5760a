"""The weights of a model, by the names of the graph, and the numbers that are no tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.errors import InputError, Problem
from pimsim.values.numbers import F32
from pimsim.values.weights.rotary import Ints, Rotary
from pimsim.values.weights.slots import Key, Slot
from pimsim.values.weights.tensors import Tensors
from pimsim.workload.models import build
from pimsim.workload.shapes import ModelShape

GELUS = ("tanh", "erf")


@dataclass(frozen=True)
class Constants:
    """Numbers of a model that are neither tensors nor sizes.

    norm_eps           what a norm adds to the mean of the squares
    attention_scale    what scores are multiplied with
    attention_softcap  c: scores pass through c tanh(score / c); 0: they do not.  logit_softcap: the same of logits
    embed_scale        what the token's embedding is multiplied with (of Gemma sqrt(d), not rounded to BF16)
    gelu               of GELUS: the one with tanh, or the exact one with the error function
    rotary             of each layer (empty: positions are rows of a table)
    """

    norm_eps: float
    attention_scale: float
    attention_softcap: float = 0.0
    logit_softcap: float = 0.0
    embed_scale: float = 1.0
    gelu: str = "tanh"
    rotary: tuple[Rotary, ...] = ()


@dataclass(frozen=True, eq=False)
class Weights:
    """What a file says of a model.  Arrays are float32 in C order, as dequantised: not rounded to BF16.

    Each call reads the file anew and keeps nothing, so that a large model needs no more memory than
    what is held of it.  A tensor with a NaN or an infinity is an InputError with its name.
    `name` is an operator's name in one layer, `layer` counts from 0.
    """

    shape: ModelShape
    constants: Constants
    file: str
    tensors: Tensors
    slots: Mapping[Key, Slot]

    @property
    def family(self) -> str:
        """What kind of model it is: gpt2, llama, ..."""
        return self.shape.family

    @cached_property
    def parameters(self) -> int:
        """How many numbers the model has, a tied matrix counted once."""
        return build(self.shape, lm_head=True).parameters

    def matrix(self, name: str, layer: int = 0, expert: int = 0, folded: bool = False) -> F32:
        """(outputs, inputs) of a linear.

        folded: the scale of the scores is part of it, where it makes queries that are not normalised: what the
        hardware holds.
        """
        matrix = self._read(Key("matrix", name, layer, expert))
        return self._scaled(matrix, name) if folded else matrix

    def bias(self, name: str, layer: int = 0, expert: int = 0, folded: bool = False) -> F32 | None:
        """(outputs,) of a linear, or (n,) of a LayerNorm; None if it has none.  folded: as in `matrix`."""
        key = Key("bias", name, layer, expert)
        if key not in self.slots:
            return None
        bias = self._read(key)
        return self._scaled(bias, name) if folded else bias

    def gain(self, name: str, layer: int = 0, folded: bool = False) -> F32:
        """(n,) of a norm: what the normalised vector is multiplied with.

        folded: the scale of the scores is part of the gain of `q_norm`.
        """
        gain = self._read(Key("gain", name, layer))
        return gain * np.float32(self.constants.attention_scale) if folded and name == "q_norm" else gain

    def table(self, i: int) -> F32:
        """(rows, d) of the embedding: 0 tokens, 1 positions."""
        return self._read(Key("table", "embed", expert=i))

    def rotations(self, layer: int, positions: Ints) -> tuple[F32, F32]:
        """Cosines and sines, each (positions, rotary / 2).

        Of the rotated elements of a head x1 is the first half, x2 the second:
        they become x1 cos - x2 sin and x2 cos + x1 sin.
        """
        return self.constants.rotary[layer].at(positions)

    def check(self) -> None:
        """Read everything once; InputError with every tensor that has a NaN or an infinity, or cannot be read."""
        problems: list[Problem] = []
        for name in dict.fromkeys(piece.tensor for slot in self.slots.values() for piece in slot):
            try:
                self.tensors.read(name)
            except InputError as error:
                problems += error.problems
        if problems:
            raise InputError(problems)

    def sha256(self) -> dict[str, str]:
        """Of each file that was read, by its name."""
        return self.tensors.sha256()

    def _read(self, key: Key) -> F32:
        parts = [piece.read(self.tensors) for piece in self.slots[key]]
        return np.ascontiguousarray(parts[0] if len(parts) == 1 else np.concatenate(parts))

    def _scaled(self, values: F32, name: str) -> F32:
        rows = {"q": len(values), "qkv": self.shape.q_width}.get(name, 0)
        if not rows or self.shape.qk_norm:
            return values
        scaled = values.copy()
        scaled[:rows] *= np.float32(self.constants.attention_scale)
        return scaled
