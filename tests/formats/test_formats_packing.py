"""How numbers lie in columns: against a reading that writes them down one by one."""

from __future__ import annotations

from collections.abc import Iterator
from math import ceil

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pimsim.devices.registry import device_of
from pimsim.formats import COMPUTED, FORMATS, PAIRS, pair_of
from pimsim.mapping.grid import Grid, make_grid
from pimsim.mapping.packing import Packing
from pimsim.mapping.stored import Stored
from tests.configs import config_of

COLUMN_BITS = 256


@st.composite
def packings(draw: st.DrawFn) -> Packing:
    pair = PAIRS[draw(st.sampled_from(sorted(PAIRS)), label="pair")]
    lanes = draw(st.sampled_from([1, 4, 16, 32, 64]), label="lanes")
    group = draw(st.sampled_from([0, 1, 7, 32, 64, 100, 128, 1000]), label="group")
    side = draw(st.sampled_from([8, 16, 20]), label="bits of a scale")
    return Packing(COLUMN_BITS, pair, lanes, group, side if group else 0, draw(st.booleans(), label="in the unit"))


def columns_by_hand(packing: Packing, elements: int) -> Iterator[list[int]]:
    """Columns of weights, each a list of elements, -1 where nothing is: beat by beat, as a unit takes them."""
    most = COLUMN_BITS // packing.pair.stored.bits
    if not packing.group:
        for first in range(0, elements, most):
            yield [e if e < elements else -1 for e in range(first, first + most)]
        return
    beat = min(packing.lanes, most)
    beats = list[list[int]]()
    per_column = most // beat
    for group in range(0, elements, packing.group):
        own = list(range(group, min(group + packing.group, elements)))
        own += [-1] * (-len(own) % beat)
        beats += [own[i : i + beat] for i in range(0, len(own), beat)]
        if not packing.in_unit:  # a sum of each group: the next one begins in a column of its own
            beats += [[-1] * beat] * (-len(beats) % per_column)
    for first in range(0, len(beats), per_column):
        column = [e for one in beats[first : first + per_column] for e in one]
        yield column + [-1] * (per_column * beat - len(column))


@given(packings(), st.integers(1, 700))
def test_numbers_stand_where_writing_them_down_puts_them(packing: Packing, elements: int) -> None:
    by_hand = list(columns_by_hand(packing, elements))
    assert {len(column) for column in by_hand} == {packing.width}
    places = {e: n * packing.width + i for n, column in enumerate(by_hand) for i, e in enumerate(column) if e >= 0}
    assert [packing.place(e) for e in range(elements)] == [places[e] for e in range(elements)]
    flat = np.array([e for column in by_hand for e in column])
    assert np.array_equal(packing.elements(np.arange(len(flat)), elements), flat)
    assert [packing.before(place) for place in range(len(flat))] == [
        min(packing.before(place), elements) if place <= places[elements - 1] else packing.before(place)
        for place in range(len(flat))
    ]
    assert ceil(packing.length(elements) / packing.width) == len(by_hand) - _empty_at_the_end(by_hand)


def _empty_at_the_end(columns: list[list[int]]) -> int:
    """Columns behind the last element."""
    return next(n for n, column in enumerate(reversed(columns)) if any(e >= 0 for e in column))


@given(packings(), st.integers(0, 500), st.integers(0, 300))
def test_elements_before_a_place_are_those_that_stand_there(packing: Packing, place: int, more: int) -> None:
    flat = packing.elements(np.arange(place), 10_000)
    assert packing.before(place) == int((flat >= 0).sum())
    assert packing.before(place + more) >= packing.before(place)


@given(packings())
def test_no_group_shares_a_beat_and_none_of_a_sum_shares_a_column(packing: Packing) -> None:
    if not packing.group:
        return
    elements = 3 * packing.group + 1
    whole = packing.beat if packing.in_unit else packing.width
    owners = {}
    for e in range(elements):
        assert owners.setdefault(packing.place(e) // whole, e // packing.group) == e // packing.group


def grid_of(packing: Packing, buffer_bytes: int) -> Grid:
    return make_grid(device_of(config_of()), buffer_bytes).packed(packing)


@given(packings(), st.integers(1, 3000), st.sampled_from([512, 2048, 8192]))
def test_every_element_has_a_place_of_its_own_and_none_in_a_column_of_scales(
    packing: Packing, inputs: int, buffer_bytes: int
) -> None:
    grid = grid_of(packing, buffer_bytes)
    if not grid.buffer_columns:
        return
    stored = Stored(grid, inputs)
    element = np.arange(inputs, dtype=np.int64)
    at = stored.at(element)
    taken = at.before + at.column, at.lane  # of slot 0 of a layout of one slot
    assert len({*zip(*(part.tolist() for part in taken), strict=True)}) == inputs
    assert int(taken[0].max()) < stored.columns
    sides = {
        part.before + n * part.columns + column
        for part in stored.sums
        for n in range(part.many)
        for column in range(part.side)
    }
    assert sides.isdisjoint(taken[0].tolist())
    one_by_one = [stored.at(e) for e in range(0, inputs, 37)]
    assert [(a.before, a.columns, a.column, a.lane) for a in one_by_one] == [
        tuple(int(part[e]) for part in at) for e in range(0, inputs, 37)
    ]


@given(packings(), st.integers(1, 3000), st.sampled_from([512, 2048]))
def test_a_sum_multiplies_what_stands_in_its_columns_with_the_same_of_the_buffer(
    packing: Packing, inputs: int, buffer_bytes: int
) -> None:
    """Column by column: the numbers of a column of weights, and those of the buffer that it is multiplied with."""
    grid = grid_of(packing, buffer_bytes)
    if not grid.buffer_columns:
        return
    stored = Stored(grid, inputs)
    filled, read = stored.filled().reshape(-1), stored.read()
    assert sorted(e for e in read.reshape(-1).tolist() if e >= 0) == list(range(inputs))
    buffer_at, column_at, seen = 0, 0, []
    for chunk in stored.chunks:
        buffer = filled[buffer_at : buffer_at + grid.filled(chunk.columns) * grid.given_width]
        assert grid.filled(chunk.columns) * packing.column_bits <= buffer_bytes * 8
        at = 0
        for part in chunk.sums:
            for _ in range(part.many):
                weights = read[column_at + part.side : column_at + part.columns].reshape(-1)
                assert np.array_equal(buffer[at : at + len(weights)], weights)
                seen.append(int((weights >= 0).sum()))
                at, column_at = at + len(weights), column_at + part.columns
        buffer_at += len(buffer)
    assert tuple(seen) == stored.elements
    assert sum(seen) == inputs


@pytest.mark.parametrize(
    ("stored", "given", "lanes", "group", "width", "step"),
    [
        ("int8", "int8", 32, 0, 32, 0),
        ("int4", "int8", 64, 128, 64, 128),
        ("int4", "bf16", 16, 100, 64, 112),  # 7 beats of 16
        ("int3", "bf16", 16, 0, 85, 0),
        ("int3", "bf16", 16, 128, 80, 128),  # 5 beats of 16 in a column
        ("int2", "int8", 64, 64, 128, 64),
        ("mxfp4", "fp8_e4m3", 64, 32, 64, 64),  # half of each beat is empty
        ("fp8_e5m2", "fp8_e4m3", 32, 0, 32, 0),
    ],
)
def test_widths_of_columns_and_steps_of_groups(
    stored: str, given: str, lanes: int, group: int, width: int, step: int
) -> None:
    packing = Packing(COLUMN_BITS, pair_of(stored, given), lanes, group, 16)
    assert packing.width == width
    assert not group or packing.step == step


def test_sums_are_integers_where_both_are_and_no_unit_has_scaled_them() -> None:
    for name, pair in PAIRS.items():
        exact = name.startswith("int") and name.partition("x")[2].startswith("int")
        for group, in_unit in ((0, True), (64, True), (64, False)):
            wide = exact and not (group and in_unit)
            assert Packing(COLUMN_BITS, pair, 16, group, 16, in_unit).sum_bits == (32 if wide else 16), name
    assert len(PAIRS) == len(FORMATS) * len(COMPUTED)
