"""Every weight, key, value and vector element has one place, and the programs touch exactly these places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import load_config
from pimsim.devices.pim_gpt.attention import KeyLayout, ValueLayout
from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.devices.pim_gpt.tokens import TokenValueLayout
from pimsim.devices.plan import compile_plan
from pimsim.dram.engine import Engine
from pimsim.mapping.grid import Grid, Place, make_grid
from pimsim.mapping.vectors import VectorLayout
from pimsim.mapping.work import Work
from tests.conftest import SHIPPED
from tests.strategies import cycles_of, device_of

MANY_ROWS = 1 << 20
Column = tuple[int, int]  # row, column
Cell = tuple[int, int, int]  # bank, row, column
Sum = tuple[Column, ...]


@st.composite
def grids(draw: st.DrawFn) -> Grid:
    """Memories of every shape: one channel, one bank, odd rows, columns of one element, tiny and huge buffers."""
    device = device_of(
        cycles_of(draw(st.integers(1, 3), label="every timing")),
        channels=draw(st.integers(1, 5), label="channels"),
        bank_groups=draw(st.integers(1, 3), label="bank_groups"),
        banks_per_group=draw(st.integers(1, 3), label="banks_per_group"),
        columns=draw(st.sampled_from([1, 2, 3, 5, 7, 8]), label="columns"),
        column_bytes=draw(st.sampled_from([2, 6, 8, 32]), label="column_bytes"),
        rows=MANY_ROWS,
    )
    buffer = draw(st.sampled_from([1, 2, 3, 5, 8, 1000]), label="buffer columns")
    return make_grid(device, buffer * device.column_bytes)


@st.composite
def bases(draw: st.DrawFn, grid: Grid) -> int:
    """The first linear column of a region: always a row's first."""
    return draw(st.integers(0, 3), label="base row") * grid.device.columns


@st.composite
def matrices(draw: st.DrawFn) -> MatrixLayout:
    grid = draw(grids())
    inputs, outputs = draw(st.integers(1, 60), label="inputs"), draw(st.integers(1, 60), label="outputs")
    return MatrixLayout(grid, inputs, outputs, draw(bases(grid)))


@dataclass(frozen=True)
class Cache:
    """K and V of one layer, and the context that is attended to."""

    keys: KeyLayout
    values: ValueLayout | TokenValueLayout
    context: int


@st.composite
def caches(draw: st.DrawFn, made: type[ValueLayout] | type[TokenValueLayout] = ValueLayout) -> Cache:
    """Heads of any size, shared by any number of query heads."""
    grid = draw(grids())
    kv_heads, shared = draw(st.integers(1, 4), label="kv_heads"), draw(st.integers(1, 3), label="heads for each")
    head_dim, tokens = draw(st.integers(1, 20), label="head_dim"), draw(st.integers(1, 40), label="tokens")
    shape = (kv_heads * shared, kv_heads, head_dim, tokens, draw(bases(grid)))
    values = made(grid, *shape, all_bank_append=draw(st.booleans(), label="all_bank_append"))
    return Cache(KeyLayout(grid, *shape), values, draw(st.integers(1, tokens), label="context"))


every_cache = st.one_of(caches(), caches(TokenValueLayout))


def check_places(places: Iterable[Place], grid: Grid, base: int, rows: int) -> None:
    """No two elements share a place, and all lie in the region and in the device."""
    found = list(places)
    assert len(set(found)) == len(found)
    first = base // grid.device.columns
    for place in found:
        assert 0 <= place.channel < grid.channels and 0 <= place.bank < grid.banks
        assert first <= place.row < first + rows and 0 <= place.column < grid.device.columns
        assert 0 <= place.lane < grid.width


# ---- one place for each element -------------------------------------------------------


@settings(max_examples=150)
@given(matrices())
def test_every_weight_has_one_place(matrix: MatrixLayout) -> None:
    elements = [(o, i) for o in range(matrix.outputs) for i in range(matrix.inputs)]
    check_places((matrix.locate(*e) for e in elements), matrix.grid, matrix.base, matrix.rows)


@settings(max_examples=150)
@given(every_cache)
def test_every_key_and_value_has_one_place(cache: Cache) -> None:
    for layout in (cache.keys, cache.values):
        elements = [
            (token, head, i)
            for token in range(layout.tokens)
            for head in range(layout.kv_heads)
            for i in range(layout.head_dim)
        ]
        check_places((layout.locate(*e) for e in elements), layout.grid, layout.base, layout.rows)


@settings(max_examples=150)
@given(grids(), st.integers(1, 2000), st.data())
def test_every_element_of_a_vector_has_one_place(grid: Grid, elements: int, data: st.DataObject) -> None:
    vector = VectorLayout(grid, elements, data.draw(bases(grid)))
    check_places((vector.locate(i) for i in range(elements)), grid, vector.base, vector.rows)


def edges(size: int, *strides: int) -> list[int]:
    """The first, the last, and those around multiples of what the layout divides by."""
    around = {0, size - 1} | {k * stride + d for stride in strides for k in (1, 2, size // stride) for d in (-1, 0, 1)}
    return sorted(i for i in around if 0 <= i < size)


SHIPPED_SHAPE = {"channels": 8, "bank_groups": 4, "banks_per_group": 4, "columns": 64, "rows": 16384}
ODD_SHAPE = {"channels": 3, "bank_groups": 3, "banks_per_group": 5, "columns": 63, "rows": 1 << 18}
BUFFERS = (1, 64, 100, 1 << 15)


@pytest.mark.parametrize("shape", [SHIPPED_SHAPE, ODD_SHAPE])
@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize(
    ("inputs", "outputs"), [(1600, 50257), (50257, 1600), (1600, 4800), (12288, 49152), (1, 50257)]
)
def test_large_matrices(shape: dict[str, int], buffer: int, inputs: int, outputs: int) -> None:
    grid = make_grid(device_of(cycles_of(1), "none", **shape), 32 * buffer)
    matrix = MatrixLayout(grid, inputs, outputs, 5 * grid.device.columns)
    some = np.random.default_rng(7)
    rows = edges(outputs, grid.banks, grid.banks * grid.channels)
    columns = edges(inputs, grid.width, grid.buffer_elements)
    elements = {(o, i) for o in rows for i in [*columns, *some.integers(0, inputs, 50).tolist()]}
    elements |= {(o, i) for o in some.integers(0, outputs, 50).tolist() for i in columns}
    elements |= set(zip(some.integers(0, outputs, 3000).tolist(), some.integers(0, inputs, 3000).tolist(), strict=True))
    check_places((matrix.locate(*e) for e in elements), grid, matrix.base, matrix.rows)


@pytest.mark.parametrize("shape", [SHIPPED_SHAPE, ODD_SHAPE])
@pytest.mark.parametrize("buffer", BUFFERS)
@pytest.mark.parametrize(("heads", "kv_heads", "head_dim"), [(25, 25, 64), (96, 96, 128), (32, 8, 80), (1, 1, 1600)])
def test_large_caches(shape: dict[str, int], buffer: int, heads: int, kv_heads: int, head_dim: int) -> None:
    grid = make_grid(device_of(cycles_of(1), "none", **shape), 32 * buffer)
    tokens = 2049
    some = np.random.default_rng(7)
    near = edges(tokens, grid.banks, grid.banks * grid.channels, grid.width, grid.buffer_elements)
    elements = {(t, h, i) for t in near for h in edges(kv_heads, 7) for i in edges(head_dim, grid.width, grid.banks)}
    elements |= set(zip(*(some.integers(0, n, 2000).tolist() for n in (tokens, kv_heads, head_dim)), strict=True))
    for layout in (
        KeyLayout(grid, heads, kv_heads, head_dim, tokens, grid.device.columns),
        ValueLayout(grid, heads, kv_heads, head_dim, tokens, grid.device.columns),
        TokenValueLayout(grid, heads, kv_heads, head_dim, tokens, grid.device.columns),
    ):
        check_places((layout.locate(*e) for e in elements), grid, layout.base, layout.rows)


# ---- programs touch what locate says --------------------------------------------------


@dataclass(frozen=True)
class Touched:
    """What one channel did: column accesses by command, and what it multiplied.

    A sum is what lies between two reads of the accumulators, and counts under the content of
    the buffer, which is a list of the columns written.
    """

    cells: dict[str, list[Cell]]
    fills: list[tuple[list[int], list[Sum]]]

    @property
    def sums(self) -> list[Sum]:
        return [one for _, sums in self.fills for one in sums]

    @property
    def buffer(self) -> list[int]:
        return [column for columns, _ in self.fills for column in columns]


def touched(grid: Grid, work: Work, base: int = 0) -> list[Touched]:
    """The commands of a program by channel, from the engine's log."""
    engine = Engine(grid.device)
    log: list[np.ndarray] = []
    engine.log_to(log.append)
    engine.run(work.program, work.spans, base, 0, engine.new_totals())
    rows = np.concatenate([np.empty((0, 6), np.int64), *log]).tolist()
    return [_of_channel([row for row in rows if row[1] == channel], grid) for channel in range(grid.channels)]


def _of_channel(rows: list[list[int]], grid: Grid) -> Touched:
    cells: dict[str, list[Cell]] = {"RD": [], "WR": []}
    fills: list[tuple[list[int], list[Sum]]] = []
    running: list[Column] = []
    for _, _, command, bank, row, column in rows:
        match grid.device.command_names[command]:
            case "RD" | "WR" as name:
                cells[name].append((bank, row, column))
            case "WRGB":
                assert not running  # the buffer never changes under a sum
                if column == 0:
                    fills.append(([], []))
                assert column == len(fills[-1][0]) and not fills[-1][1]
                fills[-1][0].append(column)
            case "MACAB":
                running.append((row, column))
            case "RDMAC":
                fills[-1][1].append(tuple(running))
                running = []
    assert not running  # every sum is read
    return Touched(cells, fills)


def columns_of(places: Iterable[Place]) -> Sum:
    """(row, column) of consecutive elements, one for each column."""
    return tuple(dict.fromkeys((p.row, p.column) for p in places))


def pieces(elements: int, size: int) -> Iterator[range]:
    """0 .. elements - 1 in ranges of at most `size`."""
    return (range(first, min(first + size, elements)) for first in range(0, elements, size))


@settings(max_examples=150)
@given(matrices())
def test_multiply_takes_every_weight_once(matrix: MatrixLayout) -> None:
    """Sum by sum: each is one output of every bank against one buffer of the input."""
    grid = matrix.grid
    wanted: list[Counter[Sum]] = [Counter() for _ in range(grid.channels)]
    banks = Counter[tuple[int, Sum, int]]()
    for output in range(matrix.outputs):
        for piece in pieces(matrix.inputs, grid.buffer_elements):
            places = [matrix.locate(output, i) for i in piece]
            (channel, bank), columns = (places[0].channel, places[0].bank), columns_of(places)
            assert {(p.channel, p.bank) for p in places} == {(channel, bank)}
            wanted[channel][columns] = 1  # a group's outputs, one in each bank, share a sum
            banks[channel, columns, bank] += 1
    assert set(banks.values()) == {1}
    for channel, did in enumerate(touched(grid, matrix.multiply())):
        assert Counter(did.sums) == wanted[channel]
        assert all(len(one) == len(columns) for columns, sums in did.fills for one in sums)
        filled = [
            i for piece in pieces(matrix.inputs, grid.buffer_elements) for i in range(grid.columns_of(len(piece)))
        ]
        assert did.buffer == (filled if did.sums else [])
        assert did.cells == {"RD": [], "WR": []}


@settings(max_examples=150)
@given(matrices(), st.data())
def test_read_takes_one_output_s_weights(matrix: MatrixLayout, data: st.DataObject) -> None:
    output = data.draw(st.integers(0, matrix.outputs - 1), label="output")
    places = [matrix.locate(output, i) for i in range(matrix.inputs)]
    for channel, did in enumerate(touched(matrix.grid, matrix.read(output))):
        wanted = {(p.bank, p.row, p.column) for p in places if p.channel == channel}
        assert Counter(did.cells["RD"]) == Counter(wanted) and not did.sums


@settings(max_examples=150)
@given(caches())
def test_score_takes_every_key_once_for_each_query_head(cache: Cache) -> None:
    keys, grid = cache.keys, cache.keys.grid
    wanted: list[Counter[Sum]] = [Counter() for _ in range(grid.channels)]
    for token in range(cache.context):
        for head in range(keys.kv_heads):
            for piece in pieces(keys.head_dim, grid.buffer_elements):
                places = [keys.locate(token, head, i) for i in piece]
                assert len({(p.channel, p.bank) for p in places}) == 1
                wanted[places[0].channel][columns_of(places)] = keys.heads // keys.kv_heads
    sent = (keys.heads // keys.kv_heads) * keys.kv_heads * grid.columns_of(keys.head_dim)
    for channel, did in enumerate(touched(grid, keys.score(cache.context))):
        assert Counter(did.sums) == wanted[channel]
        assert all(len(columns) % len(one) == 0 for columns, sums in did.fills for one in sums)
        assert len(did.buffer) == (sent if did.sums else 0)


@settings(max_examples=150)
@given(every_cache)
def test_weigh_takes_every_value_once_for_each_query_head(cache: Cache) -> None:
    """Each buffer holds one head's probabilities, and meets that head's values only."""
    values, grid = cache.values, cache.values.grid
    wanted: list[Counter[tuple[int, frozenset[Sum]]]] = [Counter() for _ in range(grid.channels)]
    for head in range(values.kv_heads):
        for channel in range(grid.channels):
            mine = [
                [token for token in range(cache.context) if values.locate(token, head, i).channel == channel]
                for i in range(values.head_dim)
            ]
            held = max(mine, key=len)  # the tokens of every dimension that is there
            assert all(tokens in ([], held) for tokens in mine)
            for piece in pieces(len(held), grid.buffer_elements):
                sums: set[Sum] = set()
                for i, tokens in enumerate(mine):
                    places = [values.locate(tokens[k], head, i) for k in piece] if tokens else []
                    assert len({p.bank for p in places}) <= 1
                    sums |= {columns_of(places)} if places else set()
                wanted[channel][grid.columns_of(len(piece)), frozenset(sums)] = values.heads // values.kv_heads
    for channel, did in enumerate(touched(grid, values.weigh(cache.context))):
        assert Counter((len(columns), frozenset(sums)) for columns, sums in did.fills) == wanted[channel]
        assert len(did.sums) == sum(len(sums) * n for (_, sums), n in wanted[channel].items())


@settings(max_examples=150)
@given(caches())
def test_appending_keys_writes_the_token_s_columns_once(cache: Cache) -> None:
    keys, token = cache.keys, cache.context - 1
    places = [keys.locate(token, head, i) for head in range(keys.kv_heads) for i in range(keys.head_dim)]
    for channel, did in enumerate(touched(keys.grid, keys.append(token))):
        wanted = {(p.bank, p.row, p.column) for p in places if p.channel == channel}
        assert Counter(did.cells["WR"]) == Counter(wanted) and not did.sums


@settings(max_examples=150)
@given(every_cache)
def test_appending_values_writes_each_dimension_once(cache: Cache) -> None:
    """All banks of a unit are written; those past the head's last dimension hold nothing."""
    values, token = cache.values, cache.context - 1
    places = [values.locate(token, head, i) for head in range(values.kv_heads) for i in range(values.head_dim)]
    for channel, did in enumerate(touched(values.grid, values.append(token))):
        mine = {(p.bank, p.row, p.column) for p in places if p.channel == channel}
        units = {(row, column) for _, row, column in mine}
        wanted = Counter((bank, *unit) for unit in units for bank in range(values.grid.banks))
        assert mine <= set(wanted)
        assert Counter(did.cells["WR"]) == wanted and not did.sums


@settings(max_examples=150)
@given(grids(), st.integers(1, 1000), st.sampled_from(["RD", "WR"]), st.data())
def test_moving_a_part_of_a_vector(grid: Grid, elements: int, command: str, data: st.DataObject) -> None:
    vector = VectorLayout(grid, elements)
    first = data.draw(st.integers(0, elements - 1), label="first")
    count = data.draw(st.integers(1, elements - first), label="count")
    places = [vector.locate(i) for i in range(first, first + count)]
    for channel, did in enumerate(touched(grid, (vector.read if command == "RD" else vector.write)(first, count))):
        wanted = {(p.bank, p.row, p.column) for p in places if p.channel == channel}
        assert Counter(did.cells[command]) == Counter(wanted)


# ---- regions ----------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    st.fixed_dictionaries(
        {
            "workload.model_config": st.sampled_from(
                [
                    {"name": "a", "layers": 3, "d_model": 75, "heads": 5, "vocabulary": 777, "max_positions": 9},
                    {"name": "b", "layers": 1, "d_model": 1600, "heads": 25},
                    {"name": "c", "layers": 2, "d_model": 96, "heads": 12, "kv_heads": 3, "d_ff": 100},
                ]
            ),
            "workload.batch": st.integers(1, 3),
            "workload.output_tokens": st.integers(1, 3000),
            "workload.lm_head": st.booleans(),
            "workload.biases": st.booleans(),
            "dram.channels": st.integers(1, 9),
            "asic.sram_KiB": st.sampled_from([1, 128]),
            "pim.global_buffer_bytes": st.sampled_from([32, 2048, 8192]),
        }
    )
)
def test_regions_do_not_overlap(overrides: dict[str, object]) -> None:
    memory = compile_plan(load_config(SHIPPED, overrides)).memory
    columns = memory.grid.device.columns
    taken: list[tuple[int, int]] = []
    for region in memory.regions.values():
        for base in region.bases:
            assert base % columns == 0
            taken.append((base // columns, base // columns + region.rows))
    taken.sort()
    assert all(end <= start for (_, end), (start, _) in zip(taken, taken[1:], strict=False))
    assert taken[0][0] == 0 and taken[-1][1] == memory.rows <= memory.grid.device.rows
