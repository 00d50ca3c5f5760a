"""GGUF as a file: metadata and where tensors lie; numbers are made of it by the library `gguf`.

The header is read here and not by the library's reader, which takes two seconds for the vocabulary of a small
model and never ends on a file with a wrong count.  Layout (source: ggml's docs/gguf.md; little-endian):

  "GGUF"  u32 version  u64 tensors  u64 pairs  pairs  tensors  padding to general.alignment  data
  pair    text key, u32 type, value
  text    u64 bytes, UTF-8
  list    u32 type, u64 entries, entries
  tensor  text name, u32 axes, u64 sizes (the contiguous one first), u32 type, u64 offset in the data
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from pimsim.errors import InputError, Problem
from pimsim.files import open_input
from pimsim.values.extra import library
from pimsim.values.weights.tensors import Tensors

MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_ALIGNMENT, _MOST_AXES = 32, 4
_MOST = 1 << 48  # of a size: what is larger is a broken file


@dataclass(frozen=True)
class _Placed:
    """A tensor in the data: its number format, the bytes of its rows, and where they begin."""

    format: Any
    rows: tuple[int, ...]
    offset: int


class GgufTensors(Tensors):
    """The tensors of a GGUF file by their names there; `metadata` has the pairs of its header."""

    def __init__(self, path: Path) -> None:
        self.file, self.files = str(path), (path,)
        with open_input(path) as file:
            self._data: Any = _mapped(file, self.file)
        cursor = _Cursor(self._data, self.file)
        counts = cursor.beginning()
        self.metadata = {}
        for _ in range(counts[1]):
            key = cursor.text()
            if key in self.metadata:
                cursor.broken(f"the key {key!r} is there twice")
            self.metadata[key] = cursor.value(cursor.number("I"))
        gguf = library("gguf")
        placed = {}
        self.shapes = shapes = {}
        for _ in range(counts[0]):
            name, shape, where = cursor.tensor(gguf)
            if name in placed:
                cursor.broken(f"the tensor {name!r} is there twice")
            placed[name], shapes[name] = where, shape
        self._placed: Mapping[str, _Placed] = placed
        self._start = _padded(cursor.at, self.metadata.get("general.alignment", _ALIGNMENT), cursor)
        self._check(gguf)

    def raw(self, name: str, part: int | None = None) -> Any:
        """As the library dequantises it."""
        placed = self._placed[name]
        values = _dequantised(library("gguf"), self._bytes(placed), placed.format, part)
        return values

    def same(self, one: str, other: str) -> bool:
        """Whether two tensors are stored alike, to the bit."""
        first, second = self._placed[one], self._placed[other]
        if (first.format, first.rows, self.shapes[one]) != (second.format, second.rows, self.shapes[other]):
            return False
        return bool(np.array_equal(self._bytes(first), self._bytes(second)))

    def _bytes(self, placed: _Placed) -> NDArray[np.uint8]:
        first = self._start + placed.offset
        size = int(np.prod(placed.rows, dtype=np.int64))
        return np.frombuffer(self._data, np.uint8, size, first).reshape(placed.rows)

    def _check(self, gguf: Any) -> None:
        """InputError if the data of a tensor is not all there, or its numbers cannot be read."""
        problems = []
        known: dict[Any, bool] = {}
        for name, placed in self._placed.items():
            end = self._start + placed.offset + int(np.prod(placed.rows, dtype=np.int64))
            if end > len(self._data):
                why = f"ends at byte {end:,} of a file of {len(self._data):,}: a part is missing; get the file again"
                raise InputError(Problem(self.file, 1, 1, name, why))
            if placed.format not in known:
                known[placed.format] = _is_supported(gguf, placed.format)
            if not known[placed.format]:
                problems.append(Problem(self.file, 1, 1, name, _unsupported(gguf, placed.format.name)))
        if problems:
            raise InputError(problems[:1])


def _mapped(file: Any, name: str) -> mmap.mmap:
    try:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # an empty file cannot be mapped
        raise InputError(Problem(name, 1, 1, "", f"cannot be read: {error}")) from error


class _Cursor:
    """Reads the header from front to back, and never beyond the end of the file."""

    def __init__(self, data: mmap.mmap, file: str) -> None:
        self.at = 0
        self._data, self._file = data, file

    def beginning(self) -> tuple[int, int]:
        """How many tensors and pairs there are."""
        if self._take(4) != MAGIC:
            self.broken('does not begin with "GGUF"')
        version = self.number("I")
        if version not in _VERSIONS:
            big = version & 0xFFFF == 0
            what = "is big-endian" if big else f"has version {version}, known: {_VERSIONS[0]} and {_VERSIONS[1]}"
            raise InputError(Problem(self._file, 1, 1, "", f"this GGUF {what}; convert it again"))
        return self.number("Q"), self.number("Q")

    def number(self, kind: str) -> Any:
        """One number, of a kind that `struct` knows."""
        return struct.unpack("<" + kind, self._take(struct.calcsize(kind)))[0]

    def text(self) -> str:
        """A text; what is no UTF-8 in it is replaced, as some vocabularies have it."""
        return self._take(self.number("Q")).decode("utf-8", "replace")

    def value(self, kind: int) -> Any:
        """A value of metadata: a number, a text, or a list of them."""
        if kind == _TEXT:
            return self.text()
        if kind == _LIST:
            return self._list(self.number("I"), self.number("Q"))
        if kind not in _SCALARS:
            self.broken(f"a value of type {kind}")
        return self.number(_SCALARS[kind])

    def tensor(self, gguf: Any) -> tuple[str, tuple[int, ...], _Placed]:
        """Name, shape (the contiguous axis last) and place of a tensor."""
        name, axes = self.text(), self.number("I")
        if not 1 <= axes <= _MOST_AXES:
            self.broken(f"the tensor {name!r} has {axes} axes")
        shape = tuple(reversed([self.number("Q") for _ in range(axes)]))
        kind, offset = self.number("I"), self.number("Q")
        if min(shape) < 1 or max(*shape, offset) > _MOST or np.prod(shape, dtype=np.float64) > _MOST:
            self.broken(f"the tensor {name!r} is {' x '.join(map(str, shape))} at {offset}")
        try:
            number_format = gguf.GGMLQuantizationType(kind)
        except ValueError:
            raise InputError(Problem(self._file, 1, 1, name, _unsupported(gguf, f"number {kind}"))) from None
        block, size = gguf.GGML_QUANT_SIZES[number_format]
        if shape[-1] % block:
            self.broken(f"rows of {name!r} have {shape[-1]} elements, in blocks of {block}")
        return name, shape, _Placed(number_format, (*shape[:-1], shape[-1] // block * size), offset)

    def broken(self, why: str) -> NoReturn:
        """InputError: the header makes no sense."""
        raise InputError(
            Problem(self._file, 1, 1, "", f"is no GGUF file, or a broken one (byte {self.at:,}): {why}; get it again")
        )

    def _list(self, kind: int, entries: int) -> list[Any]:
        if kind == _LIST:
            self.broken("a list of lists")
        if kind in _SCALARS:
            width = struct.calcsize(_SCALARS[kind])
            return list(struct.unpack(f"<{entries}{_SCALARS[kind]}", self._take(entries * width)))
        return [self.value(kind) for _ in range(entries)]

    def _take(self, size: int) -> bytes:
        if size > len(self._data) - self.at:
            self.broken(f"ends in the middle of its header, at byte {len(self._data):,}")
        self.at += size
        return self._data[self.at - size : self.at]


def _padded(at: int, alignment: Any, cursor: _Cursor) -> int:
    if type(alignment) is not int or alignment < 1 or alignment & (alignment - 1) or alignment > _MOST:
        cursor.broken(f"general.alignment is {alignment!r}")
    return -(-at // alignment) * int(alignment)


def _dequantised(gguf: Any, rows: NDArray[np.uint8], number_format: Any, part: int | None) -> Any:
    if number_format.name == "F64":
        values = rows.view(np.float64)
        return values if part is None else values[part]
    return gguf.quants.dequantize(rows if part is None else rows[part], number_format)


def _is_supported(gguf: Any, number_format: Any) -> bool:
    """Whether the library makes numbers of it: asked of one block of zeros."""
    try:
        _dequantised(gguf, np.zeros((1, gguf.GGML_QUANT_SIZES[number_format][1]), np.uint8), number_format, None)
    except NotImplementedError:
        return False
    return True


def _unsupported(gguf: Any, name: str) -> str:
    names = [kind.name for kind in gguf.GGMLQuantizationType if _is_supported(gguf, kind)]
    return f"the number format {name} is not supported; convert the model to one of {', '.join(names)}"
