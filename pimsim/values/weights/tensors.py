"""Tensors in a file: their names and shapes at once, their numbers when they are asked for."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from pimsim.errors import InputError, Problem
from pimsim.files import open_input, pieces_of
from pimsim.values.numbers import F32

_PIECE = 1 << 24  # elements that are looked at at once


class Tensors(ABC):
    """The tensors of a file, or of several.

    shapes: by name, the last axis is contiguous.  files: all that was read, but for tokenizers.
    metadata: what the file says beside the tensors.
    """

    metadata: Mapping[str, Any] = MappingProxyType({})
    file: str
    files: tuple[Path, ...]
    shapes: Mapping[str, tuple[int, ...]]

    @abstractmethod
    def raw(self, name: str, part: int | None = None) -> Any:
        """The numbers of a tensor, or of a part of it, of any kind that numpy can make float32.

        InputError if they cannot be read.
        """

    def read(self, name: str, part: int | None = None) -> F32:
        """A tensor as float32, in C order, without NaN or infinity, and nobody else's.

        part: which one along its first axis alone (None: all of it).
        """
        shape = self.shapes[name] if part is None else self.shapes[name][1:]
        with np.errstate(over="ignore"):  # what is too large for float32 is found below
            values: F32 = np.ascontiguousarray(self.raw(name, part), np.float32).reshape(shape)
        if not values.flags.writeable:  # of the file itself, which others may cut off
            values = values.copy()
        if wrong := _not_finite(values.reshape(-1)):
            raise InputError(Problem(self.file_of(name), 1, 1, name, f"has {wrong}: these weights are of no use"))
        return values

    def file_of(self, name: str) -> str:
        """The file that a tensor is in."""
        return self.file

    def sha256(self) -> dict[str, str]:
        """Of each file, by its name."""
        found = {}
        for path in self.files:
            with open_input(path) as file:
                digest = hashlib.sha256()
                for piece in pieces_of(file, packed=False, size=1 << 20):
                    digest.update(piece)
                found[path.name] = digest.hexdigest()
        return found


def _not_finite(values: F32) -> str:
    """How many numbers are none; "" if all are numbers."""
    wrong = 0
    for first in range(0, values.size, _PIECE):
        piece = values[first : first + _PIECE]
        wrong += piece.size - int(np.count_nonzero(np.isfinite(piece)))
    return f"NaN or infinity in {wrong:,} of {values.size:,} places" if wrong else ""
