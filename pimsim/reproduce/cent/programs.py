"""The programs that CENT writes: a block, its weights alone, and the embedding.

A program is operators, each an array of instructions: see `lines`.  Everything follows from
the model's sizes, what the block lies on and how many tokens the context has, the new one
included.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.instructions import Instructions, Ints
from pimsim.devices.aim.isa import line_of, mask_of
from pimsim.reproduce.cent.lines import host, on_rows, one, product, times, whole
from pimsim.reproduce.cent.models import HEAD, ROW, Place, Shape, ceil_div
from pimsim.reproduce.cent.regions import LAID_OUT, first_rows

COLUMNS = 64  # of a row, and of the global buffer
COLUMN = 16  # values
REGISTERS = 32  # results that a bank is assumed to keep (source: CENT; AiM has one)
REGISTERS_ACTIVATED = 16  # the same where an activation function follows
END = one("EOC")
_HEADS_OF_A_ROW = 8  # of K: a row holds 8 heads of 8 columns
_DIMS_OF_A_BANK = 8  # of V: dimensions 16 d + bank of a head

Operators = Mapping[str, Ints]


def block(shape: Shape, place: Place, context: int) -> Operators:
    """The operators of a block, in their order, by name; the program ends with `end`."""
    return Block(shape, place, context).operators()


def weights_only(shape: Shape, place: Place) -> Operators:
    """What the other devices of a block run: its products with weights."""
    return Block(shape, place, LAID_OUT).weights() | {"end": END}


def embedding(shape: Shape, place: Place) -> Operators:
    """What runs once a token: the embedding and the head, each a product with the whole vocabulary."""
    return Block(shape, place, LAID_OUT).embedding()


def joined(operators: Operators) -> Ints:
    """A program in one piece."""
    return np.concatenate(list(operators.values()))


def text(operators: Operators) -> Iterator[str]:
    """The lines of a program, as CENT writes them."""
    return map(line_of, Instructions([joined(operators)]))


def instructions(operators: Operators) -> Instructions:
    """A program as a replay takes it."""
    return Instructions(operators.values())


class Block:
    """The operators of a block; `rows` has the first row of each region."""

    def __init__(self, shape: Shape, place: Place, context: int) -> None:
        self.shape, self.place, self.context = shape, place, context
        self.rows = first_rows(shape, place)
        self._all = mask_of(place.blocks * place.channels)
        self._pages = _pieces(context, ROW)  # tokens of each row of scores and of V

    def operators(self) -> Operators:
        """As `block`."""
        weights, add = self.weights(), one("EWADD", size=self.shape.dim // COLUMN)
        scaled = self._softmax()
        return {
            "norm1": self._norm("x", "x_copy", "sa_norm", (0, 1)),
            **{name: weights[name] for name in ("wq", "wk", "wv")},
            "rope": self._rope(), "kv_write": self._append(), "score": self._scores(),
            "softmax": np.concatenate([scaled, scaled]), "sv": self._values(), "wo": weights["wo"],
            "norm2": np.concatenate([add, self._norm("sa_copy", "sa_copy", "ffn_norm", (1, 0))]),
            **{name: weights[name] for name in ("w1", "w3")},
            "gate": self._gate(), "w2": np.concatenate([weights["w2"], add]), "end": END,
        }  # fmt: skip

    def weights(self) -> dict[str, Ints]:
        """The products with weights."""
        dim, keys, ffn = self.shape.dim, self.shape.keys, self.shape.ffn
        return {
            "wq": self._gemv("wq", dim, dim), "wk": self._gemv("wk", dim, keys), "wv": self._gemv("wv", dim, keys),
            "wo": self._gemv("wo", dim, dim), "w1": self._gemv("w1", dim, ffn, activated=True),
            "w3": self._gemv("w3", dim, ffn), "w2": self._gemv("w2", ffn, dim),
        }  # fmt: skip

    def embedding(self) -> Operators:
        """As `programs.embedding`; the squares and the copy of x are not written."""
        dim, words = self.shape.dim, self.shape.vocabulary
        squares = product(self._all, ceil_div(self._share(2), COLUMN), self.rows["x"])
        norm = [squares, self._banks("W", 4, (1,), "x_copy", self._share(4)), *self._scaled("x_copy", "sa_norm")]
        return {
            "tokens": self._gemv("wq", words, dim),
            "norm": np.concatenate(norm),
            "head": self._gemv("wo", dim, words),
            "end": END,
        }

    def _share(self, step: int, values: int = 0) -> int:
        """Values of a vector (dim) in one of `step` banks."""
        return ceil_div(values or self.shape.dim, self.place.banks // step)

    def _banks(self, kind: str, step: int, firsts: tuple[int, ...], region: str, size: int, values: int = 0) -> Ints:
        """`size` values of every step-th bank that has some of a vector (dim), from each of the first ones on."""
        values = values or self.shape.dim
        count = ceil_div(values, self._share(step, values))
        return np.concatenate(
            [host(kind, self.place, step * np.arange(count) + first, self.rows[region], size) for first in firsts]
        )

    def _gemv(self, region: str, inputs: int, outputs: int, activated: bool = False) -> Ints:
        each, segments = ceil_div(outputs, self.place.all_banks), _pieces(ceil_div(inputs, COLUMN), COLUMNS)
        mask = whole(ceil_div(ceil_div(outputs, each), COLUMN))
        rounds = rounds_of(each, activated)
        lines: list[Ints] = []
        for segment, size in enumerate(segments):
            lines.append(one("WR_GB", mask, size))
            rows = self.rows[region] + len(segments) * np.arange(each) + segment
            found = activated and segment == len(segments) - 1
            for part in np.split(rows, np.cumsum(rounds)[:-1]):
                lines += self._round(mask, size, part, found)
        return np.concatenate(lines)

    @staticmethod
    def _round(mask: int, size: int, rows: Ints, activated: bool) -> Iterator[Ints]:
        """Output rows whose results a bank keeps at once."""
        yield times(one("WR_BIAS", mask), len(rows))
        yield on_rows(one("MAC_ABK", mask, size), rows)
        if activated:
            yield times(np.concatenate([one("AF", mask), one("RD_AF", mask)]), len(rows))
        yield times(one("RD_MAC", mask), len(rows))

    def _norm(self, vector: str, copied: str, weights: str, order: tuple[int, int]) -> Ints:
        pair = self._share(2)
        return np.concatenate([
            self._banks("W", 2, (0, 1), vector, pair),
            product(self._all, ceil_div(pair, COLUMN), self.rows[vector]),
            self._banks("W", 4, order, copied, self._share(4)),
            *self._scaled(copied, weights),
        ])  # fmt: skip

    def _scaled(self, copied: str, weights: str) -> Iterator[Ints]:
        """x times 1 / rms, copied beside the weights of the norm, times them; the host reads it."""
        size = ceil_div(self._share(4), COLUMN)
        yield self._multiply(size, copied)
        yield self._copy(size, copied, weights)
        yield self._multiply(size, weights)
        yield self._banks("R", 4, (2,), weights, self._share(4))
        yield one("SYNC")

    def _multiply(self, size: int, region: str) -> Ints:
        return one("EWMUL", self._all, size, row=self.rows[region])

    def _copy(self, size: int, source: str, target: str) -> Ints:
        """Results of each bank group, through the global buffer, to the bank before."""
        return np.concatenate([
            line
            for bank in (2, 6, 10, 14)
            for line in (one("COPY_BKGB", self._all, size, bank, self.rows[source]),
                         one("COPY_GBBK", self._all, size, bank - 1, self.rows[target]))
        ])  # fmt: skip

    def _rope(self) -> Ints:
        dim, group, share = self.shape.dim, self.shape.group, self._share(4)
        parts = (("xq", 2 * share), ("xk", 2 * (share // group)))
        stored, loaded = ([self._banks("W", 4, (first,), *part) for part in parts] for first in (1, 2))
        products = [self._multiply(dim // COLUMN, "xq"), self._multiply(dim // group // COLUMN, "xk")]
        return np.concatenate([*stored, *products, *loaded])

    def _append(self) -> Ints:
        """K and V of the new token: K in one bank, V, of which a row has 1024 tokens, in every one."""
        shape, place, token = self.shape, self.place, self.context - 1
        column, bank = divmod(token, place.all_banks)
        rows = shape.keys // ROW
        first = self.rows["K"] + column * rows
        keys = [self._keys(bank, row) for row in range(first, first + rows)]
        slots = ceil_div(shape.kv_heads, place.channels)
        heads = np.arange(place.channels) * slots
        values = [
            self._new_value(
                np.flatnonzero(heads + slot < shape.kv_heads), self._value_row(slot, dim) + (token - 1) // ROW
            )
            for slot in range(slots)
            for dim in range(_DIMS_OF_A_BANK)
        ]
        return np.concatenate([*keys, *values])

    def _keys(self, bank: int, row: int) -> Ints:
        """A row of K of one token: of each block all its columns."""
        lines = host("W", self.place, [bank], row, 1)
        return np.repeat(lines, COLUMNS, axis=0)

    @staticmethod
    def _new_value(channels: Ints, row: int) -> Ints:
        lines = times(one("WR_ABK", row=row), len(channels))
        lines[:, layout.C_MASK] = mask_of(1) >> channels
        return lines

    def _value_row(self, slot: int, dim: int) -> int:
        return self.rows["V"] + 4 * _DIMS_OF_A_BANK * slot + 4 * dim

    def _scores(self) -> Ints:
        """Q K^T: each row of K has a token of each bank, and 8 heads of it."""
        rows, group, banks = ceil_div(self.shape.keys, ROW), self.shape.group, self.place.all_banks
        lines = []
        for part in range(rows):
            for k, tokens in enumerate(_pieces(self.context, banks)):
                mask = whole(ceil_div(tokens if banks <= 512 else banks, COLUMN))
                each = product(mask, HEAD // COLUMN, self.rows["K"] + k * rows + part)
                lines.append(times(np.concatenate([one("WR_GB", mask, COLUMNS), times(each, _HEADS_OF_A_ROW)]), group))
        return np.concatenate(lines)

    def _softmax(self) -> Ints:
        """Scores times a factor: once for the scale, once for the sum of the exponentials."""
        products = [
            one("EWMUL", self._all, ceil_div(size, COLUMN), row=self._score_row(slot, page))
            for slot in range(self._score_slots)
            for page, size in enumerate(self._pages)
        ]
        scores = [self._score_lines("W", 0), self._score_lines("W", 1), *products, self._score_lines("R", 2)]
        return np.concatenate([*scores, one("SYNC")])

    @property
    def _score_slots(self) -> int:
        """Heads whose scores a bank group keeps."""
        return ceil_div(self.shape.heads, 4 * self.place.channels)

    def _score_row(self, slot: int, page: int) -> int:
        return self.rows["scores"] + slot * len(self._pages) + page

    def _score_lines(self, kind: str, bank: int) -> Ints:
        """Scores of all heads in one bank of each group, in order of their rows."""
        groups = np.arange(4 * self.place.channels) * self._score_slots
        return np.concatenate([
            host(kind, self.place, 4 * np.flatnonzero(groups + slot < self.shape.heads) + bank,
                 self._score_row(slot, page), size)
            for page, size in enumerate(self._pages)
            for slot in range(self._score_slots)
        ])  # fmt: skip

    def _values(self) -> Ints:
        """p V: V is transposed, with 1024 tokens in a row."""
        lines = []
        for slot in range(ceil_div(self.shape.kv_heads, self.place.channels)):
            pages = [self._value_page(slot, page, ceil_div(size, COLUMN)) for page, size in enumerate(self._pages)]
            lines.append(times(np.concatenate(pages), self.shape.group))
        return np.concatenate(lines)

    def _value_page(self, slot: int, page: int, size: int) -> Ints:
        products = [product(self._all, size, self._value_row(slot, dim) + page) for dim in range(_DIMS_OF_A_BANK)]
        return np.concatenate([one("WR_GB", self._all, size), *products])

    def _gate(self) -> Ints:
        """SiLU of one matrix's results times those of the other: x sigmoid(x), then times the other."""
        ffn = self.shape.ffn
        share = self._share(4, ffn)
        size = ceil_div(share, COLUMN)
        first, second = (self._banks("W", 4, banks, "x1s", share, ffn) for banks in ((0, 1), (0,)))
        multiply, result = self._multiply(size, "x1s"), self._banks("R", 4, (2,), "x1s", share, ffn)
        copy = self._copy(size, "x1s", "x1s")
        return np.concatenate([first, multiply, copy, second, multiply, result, one("SYNC")])


def rounds_of(rows: int, activated: bool = False) -> list[int]:
    """Output rows whose results a bank keeps at once, for each time that it does."""
    count = ceil_div(rows, REGISTERS_ACTIVATED if activated else REGISTERS)
    return _pieces(rows, ceil_div(rows, count))


def _pieces(total: int, each: int) -> list[int]:
    full, rest = divmod(total, each)
    return [each] * full + ([rest] if rest else [])
