"""The columns of a sweep's page: rows in, one block of bytes out, which a browser reads as typed arrays.

A column is a list of codes and what they stand for where it has few different values, as an axis of a grid has, and
numbers else.  Numbers are float64, or float32 where a page shows them to three digits; nothing is NaN.  The bytes of
numbers lie in planes (the first byte of each, then the second ...), which halves what gzip makes of them.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

_CODED = 1 << 8  # different values that are listed, at most, where they are numbers
_BLOCK = 1000  # rows that are held at once
_NUMBERS = {int, float, type(None)}
_NOTHING = math.nan
_SHOWN_BITS = 12  # of a mantissa: three digits, and a fourth that is nearly right


@dataclass
class Column:
    """The values of one column, a number each as long as none is anything else; then codes of `values`."""

    numbers: array[float] = field(default_factory=lambda: array("d"))
    whole: bool = True  # every number is an int
    values: list[Any] | None = None
    codes: array[int] = field(default_factory=lambda: array("l"))
    _code_of: dict[tuple[type, Any], int] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.numbers) if self.values is None else len(self.codes)

    def extend(self, values: list[Any]) -> None:
        """More values: numbers, texts, true, false or None; a number that is not finite is none."""
        kinds = set(map(type, values))
        if self.values is None and not kinds <= _NUMBERS:
            self._begin_codes()
        if self.values is not None:
            self.codes.extend(map(self._code, values))
            return
        self.whole &= float not in kinds
        self.numbers.frombytes(_as_floats(values).tobytes())

    @property
    def numeric(self) -> bool:
        """Whether it has numbers and nothing else, and at least one."""
        return self.values is None and not bool(np.isnan(self.numbers).all())

    def listed(self) -> list[Any]:
        """The values, None for nothing."""
        if self.values is not None:
            return [self.values[code] for code in self.codes]
        return [None if value != value else self._as_given(value) for value in self.numbers]

    def middle(self) -> float:
        """The median of the numbers, without their signs; 0 if there are none."""
        there = np.abs(self.numbers)
        there = there[~np.isnan(there)]
        return float(np.median(there)) if len(there) else 0.0

    def varies(self) -> bool:
        """Whether two of its values differ, of those that are there."""
        if self.values is not None:
            return sum(value is not None for value in self.values) > 1
        there = np.array(self.numbers)
        there = there[~np.isnan(there)]
        return bool(len(there) and there.min() < there.max())

    def _begin_codes(self) -> None:
        before, self.values = self.listed(), []
        self.codes.extend(map(self._code, before))
        self.numbers = array("d")

    def _code(self, value: Any) -> int:
        value = _finite(value)
        key = type(value), value
        if key not in self._code_of:
            assert self.values is not None
            self._code_of[key] = len(self.values)
            self.values.append(value)
        return self._code_of[key]

    def _as_given(self, value: float) -> float | int:
        return int(value) if self.whole else value


@dataclass
class Packed:
    """Columns as they are written: what each is, and where its bytes lie in `data`."""

    columns: list[dict[str, Any]] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)
    _places: dict[tuple[str, bytes], int] = field(default_factory=dict)

    def add(self, name: str, column: Column, shown: bool = False, **more: Any) -> None:
        """Put a column behind the others; shown: three digits will do.  Equal bytes are there once."""
        coded = _coded(column)
        if coded is None:
            form, block = _numbers(column, shown)
            self._put({"name": name, "whole": column.whole, **more}, form, block)
        else:
            codes, values = coded
            form = "u1" if len(values) <= 1 << 8 else "u2" if len(values) <= 1 << 16 else "u4"
            self._put({"name": name, "values": values, **more}, form, codes.astype(f"<{form}"))

    def _put(self, said: dict[str, Any], form: str, block: NDArray[Any]) -> None:
        planes = _planes(block)
        at = self._places.setdefault((form, planes), len(self.data))
        if at == len(self.data):
            self.data += planes
        self.columns.append({**said, "form": form, "at": at})


def _coded(column: Column) -> tuple[NDArray[np.int64], list[Any]] | None:
    """Codes and values of texts, and of numbers that repeat themselves; None of others."""
    if column.values is not None:
        return np.array(column.codes, np.int64), column.values
    numbers = np.array(column.numbers)
    distinct, codes = np.unique(numbers, return_inverse=True)
    if len(distinct) > min(_CODED, max(1, len(numbers) // 4)):
        return None
    return codes, [None if value != value else column._as_given(value) for value in distinct.tolist()]


def _numbers(column: Column, shown: bool) -> tuple[str, NDArray[Any]]:
    numbers = np.array(column.numbers)
    return ("f4", _short(numbers)) if shown else ("f8", numbers.astype("<f8"))


def _short(numbers: NDArray[np.float64]) -> NDArray[Any]:
    """float32 with the bits that three digits need; the others are 0, which costs nothing."""
    mantissa, exponent = np.frexp(numbers)
    scale = 2.0**_SHOWN_BITS
    with np.errstate(over="ignore"):
        return np.ldexp(np.round(mantissa * scale) / scale, exponent).astype("<f4")


def _planes(block: NDArray[Any]) -> bytes:
    return block.view(np.uint8).reshape(len(block), block.itemsize).T.tobytes() if len(block) else b""


def gather(rows: Iterable[Mapping[str, Any]], wanted: Callable[[str], bool]) -> tuple[int, dict[str, Column]]:
    """How many rows there are, and the columns that are wanted, in the order in which they first occur.

    A row that lacks a column has nothing there.
    """
    columns: dict[str, Column] = {}
    known: set[str] = set()
    count = 0
    for block in _blocks(iter(rows)):
        for name in [name for row in block for name in row if name not in known]:
            if name not in known and wanted(name):
                columns[name] = Column()
                columns[name].extend([None] * count)
            known.add(name)
        for name, column in columns.items():
            column.extend([row.get(name) for row in block])
        count += len(block)
    return count, columns


def _blocks(rows: Iterator[Mapping[str, Any]]) -> Iterator[list[Mapping[str, Any]]]:
    while block := list(islice(rows, _BLOCK)):
        yield block


def _as_floats(values: list[Any]) -> NDArray[np.float64]:
    """Numbers, nothing for None, for what is not finite and for what no float holds."""
    try:
        found = np.array(values, np.float64)
    except OverflowError:
        found = np.array([value if _fits(value) else None for value in values], np.float64)
    found[~np.isfinite(found)] = _NOTHING
    return found


def _fits(value: int | float | None) -> bool:
    try:
        return value is None or math.isfinite(value)
    except OverflowError:
        return False


def _finite(value: Any) -> Any:
    return None if type(value) in _NUMBERS and not (value is not None and _fits(value)) else value
