"""Weights, keys and values on AiM: each multiplied once, with its own input, by the requests that `gemv` makes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.aim import gemv
from pimsim.devices.aim.attention import KeyLayout, ValueLayout
from pimsim.devices.aim.elementwise import FACTORS, RESULT, Products
from pimsim.devices.aim.matrix import MatrixLayout
from pimsim.devices.aim.products import Product
from pimsim.devices.aim.table import AF_ROW
from pimsim.devices.aim.tokens import TokenValueLayout
from pimsim.dram.program import CLOSE, RUN, SCATTER, bank_order
from pimsim.dram.timing import Device
from pimsim.mapping.grid import Grid, Place, make_grid
from pimsim.mapping.work import Work
from tests.aim.devices import correct_device

FULL = correct_device()


@st.composite
def devices(draw: st.DrawFn) -> Device:
    return replace(
        correct_device(draw(st.integers(1, 5), label="channels")),
        bank_groups=draw(st.integers(1, 3), label="bank groups"),
        banks_per_group=draw(st.integers(3, 4), label="banks of a group"),
        columns=draw(st.sampled_from([1, 2, 5, 8]), label="columns"),
        column_bytes=draw(st.sampled_from([2, 8]), label="column bytes"),
        rows=1 << 20,
    )


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """As `layouts` cuts them: no more of the buffer than a row has columns."""
    device = draw(devices())
    columns = draw(st.integers(1, device.columns), label="buffer columns")
    return make_grid(device, columns * device.column_bytes)


class Mac(NamedTuple):
    """One MAC command: its linear column, the column of the buffer, and the number of the vector in it."""

    lin: int
    buffer: int
    vector: int


def macs(work: Work, grid: Grid, channel: int) -> Iterator[Mac]:
    """The MAC commands of a channel, after checks of what stands around them.

    Each sum has WR_BIAS before its columns and is read before the next; the column of the buffer is
    that of the row, as one address stands for both.
    """
    index = grid.device.standard.index
    fill, bias, mac, read = (index(name) for name in ("WRGB", "WRMAC16", "MAC16", "RDMAC16"))
    first, last = work.spans[channel]
    vector, filled, expected = -1, 0, bias
    for op, cmd, bank, lin, n, *_ in work.program[first:last].tolist():
        assert op == RUN and bank == -1
        if cmd == fill:
            assert expected == bias
            vector, filled = vector + 1, n
        else:
            assert cmd == expected
            expected = {bias: mac, mac: read, read: bias}[cmd]
        if cmd == mac:
            columns = grid.device.columns
            assert lin // columns == (lin + n - 1) // columns  # a product does not leave its row
            for k in range(n):
                yield Mac(lin + k, (lin + k) % columns, vector)
                assert (lin + k) % columns < filled
    assert expected == bias


def cell(grid: Grid, place: Place) -> int:
    return place.row * grid.device.columns + place.column


# ---- weights ------------------------------------------------------------------------------


@settings(max_examples=80)
@given(st.integers(1, 20_000), st.integers(1, 5000), st.integers(1, 32))
def test_the_requests_are_those_of_the_replayed_program(m: int, k: int, channels: int) -> None:
    device = correct_device(channels)
    work = MatrixLayout(make_grid(device, 2048), k, m).multiply()
    program = gemv.requests_of(m, k, channels, device)
    for first, last in work.spans.tolist():
        assert np.array_equal(work.program[first:last], program)


@settings(max_examples=80)
@given(grids(), st.integers(1, 60), st.integers(1, 60), st.integers(0, 3))
def test_every_weight_is_multiplied_once_with_its_input(grid: Grid, inputs: int, outputs: int, base: int) -> None:
    matrix = MatrixLayout(grid, inputs, outputs, base * grid.device.columns)
    work = matrix.multiply()
    elements = [(o, i) for o in range(outputs) for i in range(inputs)]
    places = {matrix.locate(*element): element for element in elements}
    assert len(places) == len(elements)
    found = [{mac.lin: mac for mac in macs(work, grid, channel)} for channel in range(grid.channels)]
    for channel in range(grid.channels):
        assert len(found[channel]) == sum(1 for _ in macs(work, grid, channel))
    for place, (_, i) in places.items():
        assert base <= place.row < base + matrix.rows
        mac = found[place.channel][cell(grid, place)]
        assert (mac.vector, mac.buffer) == divmod(i // grid.width, grid.buffer_columns)


def test_what_is_moved_and_when_results_are_there() -> None:
    grid = make_grid(FULL, 2048)
    one, first = 1 + 3 * 3, Product.FIRST_RESULT  # 1,100 outputs are 3 of a bank; 2,100 inputs are 3 segments
    banks, asic = MatrixLayout(grid, 2100, 1100), MatrixLayout(grid, 2100, 1100, in_banks=False)
    for layout, addend, marks, sums, biases in (
        (banks, False, (2 * one + first,) * 3, 1, 2 * 1100),
        (banks, True, (2 * one + first,) * 3, 1, 3 * 1100),
        (asic, False, (one + first, 2 * one + first, 2 * one + first), 2, 0),
        (asic, True, (first, 2 * one + first, 2 * one + first), 3, 0),
    ):
        work = layout.multiply(addend)
        assert set(map(tuple, work.marks.tolist())) == {marks}
        assert (work.sums, work.turns, work.macs, work.results) == (sums, 1, 2100 * 1100, 3 * 1100)
        assert work.sent == 2100 + biases and work.payload == 2100 * 32 + biases + 3 * 1100
    assert (banks.partial_sums, asic.partial_sums) == (1, 3)
    assert (banks.takes_addend, asic.takes_addend) == (True, False)


def test_an_activation_function_runs_on_the_last_segment_alone() -> None:
    grid = make_grid(FULL, 2048)
    layout = MatrixLayout(grid, 2100, 1100, 5 * 64, functions=("gelu", "silu"))
    plain, silu = layout.multiply(), layout.multiply(function="silu")
    names = [grid.device.command_names[cmd] for cmd in silu.program[:, 1].tolist()]
    before = [grid.device.command_names[cmd] for cmd in plain.program[:20, 1].tolist()]
    assert names[:20] == before
    assert names[20:] == ["WRGB", *["WRMAC16", "MAC16", "AF16", "RDAF16"] * 3]
    table = [row for row, name in zip(silu.program.tolist(), names, strict=True) if name == "AF16"]
    assert {row[3] for row in table} == {(AF_ROW + 1) * 64}
    assert set(map(tuple, silu.marks.tolist())) == {(24, 24, 24)} and silu.sums == silu.turns == 1
    assert names[24] == "RDAF16" and silu.payload == plain.payload


# ---- keys and values ----------------------------------------------------------------------


class Cache(NamedTuple):
    keys: KeyLayout
    values: ValueLayout | TokenValueLayout
    context: int


@st.composite
def caches(draw: st.DrawFn, made: type[ValueLayout] | type[TokenValueLayout] = ValueLayout) -> Cache:
    grid = draw(grids())
    kv_heads, sharing = draw(st.integers(1, 7), label="K heads"), draw(st.integers(1, 3), label="sharing")
    head_dim, tokens = draw(st.integers(1, 20), label="head_dim"), draw(st.integers(1, 40), label="tokens")
    shape = (grid, kv_heads * sharing, kv_heads, head_dim, tokens, draw(st.integers(0, 2)) * grid.device.columns)
    banks = draw(st.booleans(), label="sums in the banks")
    values = made(*shape, banks, draw(st.booleans(), label="append in all banks"))
    return Cache(KeyLayout(*shape, banks), values, draw(st.integers(1, tokens), label="context"))


@settings(max_examples=80)
@given(caches())
def test_every_key_is_multiplied_once_for_each_query_head(cache: Cache) -> None:
    keys, grid = cache.keys, cache.keys.grid
    groups = -(-cache.context // grid.banks)
    work = keys.score_groups(groups).moving(keys.score_moves(cache.context))
    counts = [Counter(macs(work, grid, channel)) for channel in range(grid.channels)]
    places = {}
    for token in range(keys.tokens):
        for head in range(keys.kv_heads):
            for i in range(keys.head_dim):
                place = keys.locate(token, head, i)
                assert place not in places
                places[place] = (token, head, i)
                assert keys.base // grid.device.columns <= place.row
                assert place.row < keys.base // grid.device.columns + keys.rows
    vectors = {}
    for place, (token, head, i) in places.items():
        of_cell = [mac for mac in counts[place.channel] if mac.lin == cell(grid, place)]
        assert all(counts[place.channel][mac] == 1 for mac in of_cell)
        if token < cache.context:
            assert len(of_cell) == keys.sharing
            one = vectors.setdefault((head, i // grid.width), {mac.vector for mac in of_cell})
            assert one == {mac.vector for mac in of_cell}  # the same for every token
    elements = keys.heads * keys.head_dim
    assert work.macs == elements * cache.context
    assert work.results == keys.heads * keys.cuts * cache.context
    assert work.sent == elements + (keys.heads * (keys.cuts - 1) * cache.context if keys.in_banks else 0)


@settings(max_examples=80)
@given(caches())
def test_every_value_is_multiplied_once_for_each_query_head(cache: Cache) -> None:
    values, grid = cache.values, cache.values.grid
    work = values.weigh_columns(grid.columns_of(cache.context)).moving(values.weigh_moves(cache.context))
    counts = [Counter(macs(work, grid, channel)) for channel in range(grid.channels)]
    places: dict[Place, tuple[int, int, int]] = {}
    vectors: dict[tuple[int, int], set[int]] = {}
    for token in range(values.tokens):
        for head in range(values.kv_heads):
            for i in range(values.head_dim):
                place = values.locate(token, head, i)
                assert place not in places and place.channel < values.used
                places[place] = (token, head, i)
                assert 0 <= place.row - values.base // grid.device.columns < values.rows
                if token >= cache.context:
                    continue
                of_cell = [mac for mac in counts[place.channel] if mac.lin == cell(grid, place)]
                assert len(of_cell) == values.heads // values.kv_heads
                segment, column = divmod(token // grid.width, grid.buffer_columns)
                assert {mac.buffer for mac in of_cell} == {column}
                # the vectors of a head are the same for all its dimensions and tokens of a segment
                key = (head, segment)
                assert vectors.setdefault(key, {mac.vector for mac in of_cell}) == {mac.vector for mac in of_cell}
    assert work.macs == values.heads * values.head_dim * cache.context


@settings(max_examples=80)
@given(st.one_of(caches(), caches(TokenValueLayout)))
def test_appending_writes_exactly_where_the_token_is(cache: Cache) -> None:
    token = cache.context - 1
    for layout in (cache.keys, cache.values):
        work, grid = layout.append(token), layout.grid
        places = [layout.locate(token, h, i) for h in range(layout.kv_heads) for i in range(layout.head_dim)]
        for channel, (first, last) in enumerate(work.spans.tolist()):
            written = Counter(_written(work.program[first:last].tolist(), grid))
            mine = {(p.bank, cell(grid, p)) for p in places if p.channel == channel}
            assert mine <= set(written) and set(written.values()) <= {1}
            if isinstance(layout, KeyLayout):
                assert mine == set(written)


def _written(rows: list[list[int]], grid: Grid) -> Iterator[tuple[int, int]]:
    device = grid.device
    write, write_all = device.standard.index("WR"), device.standard.index("WRA16")
    for op, cmd, bank, lin, n, stride, *_ in rows:
        if op == SCATTER:
            order = [bank_order(k, device.bank_groups, device.banks_per_group) for k in range(device.banks)]
            yield from ((b, lin + k * stride) for k in range(n) for b in order)
        elif cmd == write_all:
            yield from ((b, lin) for b in range(device.banks))
        elif cmd == write:
            yield from ((bank, lin + k) for k in range(n))
        else:
            assert op != RUN or cmd < 0


@settings(max_examples=80)
@given(caches(TokenValueLayout))
def test_every_value_of_a_channel_s_tokens_is_multiplied_once_for_each_query_head(cache: Cache) -> None:
    """Each MAC has the column of the buffer that its token's probability is in, which `fill` and the wires say."""
    values, grid = cache.values, cache.values.grid
    work, wires = values.weigh_columns(grid.columns_of(cache.context)), values.weigh_wires(cache.context)
    index = grid.device.standard.index
    fill, mac, bias = index("WRGB"), index("MAC16"), index("WRMAC16")
    found: Counter[tuple[int, int, int]] = Counter()  # (channel, linear column, place of the column's first p)
    for channel, (first, last) in enumerate(work.spans.tolist()):
        taken, buffer, multiplied = iter(wires.taken[channel].tolist()), dict[int, int](), False
        for _, cmd, _, lin, n, *_ in work.program[first:last].tolist():
            if cmd == fill:
                buffer, multiplied = ({} if multiplied else buffer), False
                buffer |= {lin + k: next(taken)[0] for k in range(n)}
            elif cmd == bias:
                next(taken)
            elif cmd == mac:
                multiplied = True
                assert lin // grid.device.columns == (lin + n - 1) // grid.device.columns
                found.update((channel, lin + k, buffer[(lin + k) % grid.device.columns]) for k in range(n))
    wanted: Counter[tuple[int, int, int]] = Counter()
    for head in range(values.heads):
        for token in range(0, cache.context, grid.width):
            for e in range(0, values.head_dim, grid.banks):
                place = values.locate(token, head // (values.heads // values.kv_heads), e)
                wanted[place.channel, cell(grid, place), head * cache.context + token] += 1
    assert {key: n for key, n in found.items() if key[2] >= 0} == wanted


@settings(max_examples=80)
@given(caches(TokenValueLayout))
def test_values_by_tokens_have_one_place_each(cache: Cache) -> None:
    values, first = cache.values, cache.values.base // cache.values.grid.device.columns
    places = [
        values.locate(token, head, i)
        for token in range(values.tokens)
        for head in range(values.kv_heads)
        for i in range(values.head_dim)
    ]
    assert len(set(places)) == len(places)
    assert all(first <= place.row < first + values.rows for place in places)


def test_heads_that_have_few_tokens_in_a_channel_share_rows() -> None:
    grid = make_grid(FULL, 2048)
    values = TokenValueLayout(grid, 32, 8, 64, 8192)  # 16 columns in each of 32 channels: 4 heads in a row of 64
    assert (values.columns, values.together, values.rows) == (16, 4, 2 * 4)
    assert ValueLayout(grid, 32, 8, 64, 8192).rows == 8
    one = TokenValueLayout(grid, 32, 8, 64, 8192 * 5)  # 80 columns are two pieces
    assert (one.cuts, one.together, one.rows) == ((64, 16), 1, 8 * 4 * 2)


def test_one_head_is_dealt_to_several_channels_and_several_to_one() -> None:
    grid = make_grid(FULL, 2048)
    few, many = ValueLayout(grid, 32, 8, 64, 1000), ValueLayout(grid, 71, 71, 64, 1000)
    assert (few.ways, few.units, few.slots, few.used) == (4, 1, 1, 32)
    assert (many.ways, many.units, many.slots, many.used) == (1, 4, 3, 24)
    odd = ValueLayout(grid, 8, 8, 80, 1000)  # 5 units of a head, for 4 channels: 2 each, so 3 do
    assert (odd.ways, odd.units, odd.slots, odd.used) == (3, 2, 1, 24)


# ---- products element by element ------------------------------------------------------------


@settings(max_examples=50)
@given(grids(), st.integers(1, 5), st.integers(1, 60))
def test_a_scale_writes_both_factors_and_reads_every_product(grid: Grid, vectors: int, elements: int) -> None:
    products, columns = Products(grid, vectors * elements), grid.columns_of(elements)
    work = products.scale_columns(vectors, columns).moving(products.scale_moves(vectors, elements))
    device = grid.device
    write, multiply, read = map(device.standard.index, ("WR", "EWMUL16", "RD"))
    moved = Counter()
    for first, last in work.spans.tolist():
        multiplied = 0
        for op, cmd, bank, _, n, *_ in work.program[first:last].tolist():
            if op == CLOSE:
                continue
            place = bank % device.banks_per_group
            assert (cmd, place) in {(write, FACTORS[0]), (write, FACTORS[1]), (read, RESULT)} or cmd == multiply
            moved[cmd] += n
            multiplied = n if cmd == multiply else multiplied
            assert cmd != read or n <= multiplied
    assert moved[write] == 2 * moved[read] == 2 * vectors * columns
    assert (work.sent, work.results) == (vectors * elements + vectors, vectors * elements)
    assert work.payload == work.sent + work.results


@pytest.mark.parametrize("columns", [1, 64, 100])
def test_products_have_room_for_what_they_are_made_for(columns: int) -> None:
    grid = make_grid(FULL, 2048)
    products = Products(grid, columns * grid.width * 128)  # 128: bank groups of all channels
    assert products.rows == -(-columns // 64)
