"""Sums of products in a format: integers by Python's, floats beat by beat, and both as BF16 has them."""

from __future__ import annotations

from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.formats import FORMATS, pair_of
from pimsim.mapping.packing import Packing
from pimsim.mapping.wires import Cuts
from pimsim.values.fast.adding import Adding
from pimsim.values.fast.beats import Beats
from pimsim.values.fast.products import Sums, joined
from pimsim.values.formats import rounded, sum_read
from pimsim.values.numbers import F32, bf16, words
from tests.examples import examples

F = np.float32


def numbers(name: str, shape: tuple[int, ...], seed: int) -> F32:
    made, dice = FORMATS[name], np.random.default_rng(seed)
    if made.kind == "int":
        half = 1 << made.bits - 1
        return dice.integers(-half, half, shape).astype(np.float32)
    return rounded(made, dice.normal(size=shape) * 3)


def read_again(packing: Packing, rounds: bool, row: F32, x: F32, first: int, end: int, scales: F32 | None) -> F:
    """A sum of one output, one product after another, from the definition: column by column, beat by beat."""
    exact = packing.pair.exact
    acc, of_group, group = F(0), 0, -1
    column = packing.place(first) // packing.width
    last = packing.place(end - 1) // packing.width
    element_at = {packing.place(e): e for e in range(first, end)}

    def r(total: F) -> F:
        return F(bf16(total)) if rounds else total

    def close() -> None:
        nonlocal acc, of_group
        if scales is not None and group >= 0:
            acc = r(F(acc + F(F(of_group) * scales[group])))
            of_group = 0

    for at in range(column, last + 1):
        for beat in range(0, packing.width, packing.beat):
            lanes = range(beat, min(beat + packing.beat, packing.width))
            elements = [element_at.get(at * packing.width + lane, -1) for lane in lanes]
            there = [e for e in elements if e >= 0]
            if scales is not None and there and there[0] // packing.group != group:
                close()
                group = there[0] // packing.group
            if exact:
                of_group += sum(int(row[e]) * int(x[e]) for e in there)
                continue
            level = [F(row[e] * x[e]) if e >= 0 else F(0) for e in elements]
            while len(level) & (len(level) - 1):
                level.append(F(0))
            while len(level) > 1:
                level = [F(a + b) for a, b in zip(level[::2], level[1::2], strict=True)]
            of_group = r(F(of_group + level[0]))
    close()
    if scales is not None:
        return F(bf16(acc))
    return F(sum_read(np.float64(of_group))) if exact else F(bf16(of_group))


PAIRS = [("int8", "int8"), ("int4", "int8"), ("int2", "int4"), ("int3", "int8"), ("int4", "bf16"), ("fp8_e4m3", "bf16"),
         ("fp16", "fp16"), ("mxfp4", "fp8_e5m2"), ("bf16", "int8")]  # fmt: skip


@settings(max_examples=examples(80), deadline=None)
@given(
    st.sampled_from(PAIRS), st.sampled_from([1, 3, 8, 16]), st.sampled_from([0, 0, 4, 10, 24]), st.booleans(),
    st.booleans(), st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(1, 9), st.integers(0, 1000),
)  # fmt: skip
def test_sums_are_what_a_second_reading_gives(
    pair: tuple[str, str], lanes: int, group: int, in_unit: bool, rounds: bool, columns: list[int], rest: int, seed: int
) -> None:
    """Chunks of whole columns, the last one of some elements."""
    group = 0 if FORMATS[pair[0]].bits == 16 else group
    packing = Packing(64, pair_of(*pair), lanes, group, 16 if group else 0, in_unit)
    if group and not in_unit:
        elements = [group] * (len(columns) - 1) + [min(rest, group)]
    else:
        whole = [packing.before(n * packing.width) for n in accumulate(columns[:-1], initial=0)]
        elements = [b - a for a, b in zip(whole, whole[1:], strict=False) if b > a] + [rest]
    inputs, outputs = sum(elements), 3
    matrix, x = numbers(pair[0], (outputs, inputs), seed), numbers(pair[1], (2, inputs), seed + 1)
    scales = np.random.default_rng(seed).uniform(0.1, 2, (outputs, -(-inputs // group))) if group and in_unit else None
    scales = None if scales is None else bf16(scales)
    found = Adding(packing, rounds).laid(matrix, elements, scales)(x)
    assert found.shape == (len(elements), 2, outputs)
    ends = list(accumulate(elements, initial=0))
    for i, (first, end) in enumerate(zip(ends, ends[1:], strict=False)):
        for v in range(2):
            for o in range(outputs):
                own = None if scales is None else scales[o]
                assert found[i, v, o] == read_again(packing, rounds, matrix[o], x[v], first, end, own)


@pytest.mark.parametrize("lanes", [4, 16, 12])
@pytest.mark.parametrize("rounds", [False, True])
@pytest.mark.parametrize("stored", ["bf16", "int8", "fp8_e4m3"])
def test_they_are_those_of_bf16_where_numbers_are(stored: str, rounds: bool, lanes: int) -> None:
    """A number of 8 bits is a BF16 number; the same beats give the same sums as compiled code does."""
    column = lanes * 2
    packing = Packing(column * FORMATS[stored].bits, pair_of(stored, "bf16"), lanes)
    matrix, x = numbers(stored, (19, 100), 1), numbers("bf16", (5, 100), 2)
    cuts = Cuts.of(100, 2 * column)
    beats = Beats(column, lanes, rounds)
    spread = beats.vectors(x, cuts.elements)[None]
    everything = np.full(len(x), spread.shape[1] * spread.shape[3], np.int64)
    wanted = Sums(beats)(beats.tiles(words(matrix), cuts.elements)[None], spread, everything, cuts)
    found = Adding(packing, rounds).laid(matrix, cuts.elements)(x)
    assert np.array_equal(found, np.stack([joined(piece[0], 19) for piece in wanted]))


def test_integers_of_any_length_are_exact() -> None:
    """4,096 of the largest products: more than float32 could count."""
    packing = Packing(256, pair_of("int8", "int8"), 32)
    matrix, x = np.full((1, 4097), -128, np.float32), np.full((1, 4097), -128, np.float32)
    x[0, -1], total = 1, 4096 * 128 * 128 - 128
    laid = Adding(packing, False).laid(matrix, [4097])
    assert laid._whole(laid._sums[0][0], x)[0, 0] == total
    assert laid(x)[0, 0, 0] == float(sum_read(np.float64(total)))
