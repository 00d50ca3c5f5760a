"""Weights whose tensors are read once, for those who need them several times: reference, memory and the level fast."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pimsim.values.numbers import F32
from pimsim.values.weights.model import Weights
from pimsim.values.weights.tensors import Tensors


class Kept(Tensors):
    """The tensors of another, kept once they have been read; arrays are not to be written to."""

    def __init__(self, of: Tensors) -> None:
        self._of = of
        self.metadata, self.file, self.files, self.shapes = of.metadata, of.file, of.files, of.shapes
        self._known: dict[tuple[str, int | None], F32] = {}

    def raw(self, name: str, part: int | None = None) -> Any:
        """As of the other."""
        return self._of.raw(name, part)

    def read(self, name: str, part: int | None = None) -> F32:
        """The array of the first time."""
        if (name, part) not in self._known:
            values = self._known[name, part] = self._of.read(name, part)
            values.flags.writeable = False
        return self._known[name, part]

    def file_of(self, name: str) -> str:
        """As of the other."""
        return self._of.file_of(name)


def kept(weights: Weights) -> Weights:
    """The same weights, which take as much memory as all of them once they have been read."""
    return weights if isinstance(weights.tensors, Kept) else replace(weights, tensors=Kept(weights.tensors))
