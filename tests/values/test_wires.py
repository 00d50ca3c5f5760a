"""The wires of each layout against a second reading: symbols instead of numbers go where commands and wires say.

The twin of the channel controller makes commands of a work's requests.  They are carried out here on symbols: a
symbol is the place of an operand, or what `locate` says that a word of the memory is.  What each result comes to is
then a list of pairs, of an operand and a weight, and has to be the list that the product is made of, in its order.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.aim import matrix as aim_matrix
from pimsim.devices.aim.elementwise import Products
from pimsim.devices.aim.tokens import TokenValueLayout as TokenValueLayoutOfAim
from pimsim.devices.lpddr5x_pim import matrix as lpddr5x_pim_matrix
from pimsim.devices.lpddr5x_pim.table import STANDARD as LPDDR5X_PIM
from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.devices.pim_gpt.tokens import TokenValueLayout
from pimsim.dram.spec import Does, Scope
from pimsim.dram.twin.controller import Controller
from pimsim.mapping.grid import Grid, Place
from pimsim.mapping.vectors import VectorLayout
from pimsim.mapping.wires import KEEP, ZERO, Cuts, Wires, in_columns, of_heads
from pimsim.mapping.work import Work
from tests.aim import test_layouts as of_aim
from tests.examples import examples
from tests.unit import test_mapping_layout as of_pim_gpt

AnyMatrix = MatrixLayout | aim_matrix.MatrixLayout | lpddr5x_pim_matrix.MatrixLayout
Symbol = Hashable
Cell = tuple[int, int, int, int, int]  # channel, bank, row, column, lane
NOTHING = "nothing"  # a zero
NEVER = "never written"


class Symbols:
    """A memory of symbols, and the channels' buffers and accumulators; `operands` are those of one piece of work.

    A word that nothing was written to is NEVER, or `empty`.
    """

    def __init__(self, grid: Grid, memory: dict[Cell, Symbol] | None = None, empty: Symbol = NEVER) -> None:
        self.grid, self.memory, self.empty = grid, memory or {}, empty
        self.controllers = [Controller(grid.device) for _ in range(grid.channels)]
        self.results: dict[int, Any] = {}

    def carry_out(self, work: Work, wires: Wires, operands: Callable[[int], Symbol] = lambda place: place) -> Any:
        """The results by their places: of each the list of what was added up, or what was read."""
        self.results = {}
        for channel, controller in enumerate(self.controllers):
            first, last = work.spans[channel]
            before = len(controller.commands)
            start = controller.commands[-1].clk + 1 if before else 0
            controller.run(work.program[first:last], start)
            taken, given = ([*pieces[channel].tolist()] for pieces in (wires.taken, wires.given))
            self._channel(channel, controller.commands[before:], taken, given, wires, operands)
            assert not taken and not given, "there are more pieces than commands"
        return self.results

    def _channel(
        self,
        channel: int,
        commands: Iterable[Any],
        taken: list[list[int]],
        given: list[list[int]],
        wires: Wires,
        operands: Callable[[int], Symbol],
    ) -> None:
        grid, standard = self.grid, self.grid.device.standard
        buffer: dict[int, list[Symbol]] = {}
        kept: dict[int, list[list[Any]]] = defaultdict(lambda: [[] for _ in range(grid.banks)])
        turn = given_turn = 0  # of sums that are kept in turn
        found: list[Any] = [None] * grid.banks
        multiplied = 0

        def symbol(place: int) -> Symbol:
            if place == ZERO:
                return NOTHING
            if place >= wires.own and wires.own:
                return self.results[place - wires.own]
            return operands(place)

        for _, name, bank, row, column in commands:
            command = standard.command(name)
            if command.does in (Does.FILL, Does.PRESET, Does.WRITE, Does.WRITE_ALL):
                piece = taken.pop(0)
            elif command.does in (Does.GIVE, Does.GIVE_FOUND, Does.READ):
                piece = given.pop(0)
            match command.does:
                case Does.FILL:
                    if multiplied:
                        buffer, multiplied = {}, 0
                    turn = given_turn = 0
                    buffer[column] = [symbol(place) for place in piece[: grid.width]]
                case Does.PRESET:
                    for k in range(grid.banks):
                        before = symbol(piece[k])
                        kept[turn][k] = (
                            [] if before == NOTHING else list(before) if isinstance(before, list) else [before]
                        )
                case Does.MULTIPLY:
                    assert command.scope is Scope.ALL_BANKS
                    known = column if standard.buffer_by_column else sorted(buffer)[multiplied % len(buffer)]
                    multiplied += 1
                    for k in range(grid.banks):
                        kept[turn][k] += [
                            (x, self._word((channel, k, row, column, lane))) for lane, x in enumerate(buffer[known])
                        ]
                    turn += standard.keeps_in_turn and multiplied % len(buffer) == 0
                case Does.GIVE | Does.GIVE_FOUND:
                    for k, place in enumerate(piece[: grid.banks]):
                        if place != ZERO:
                            self.results[place] = kept[given_turn][k] if command.does is Does.GIVE else found[k]
                    del kept[given_turn]
                    turn += standard.keeps_in_turn and turn == given_turn
                    given_turn += standard.keeps_in_turn
                case Does.LOOK_UP:
                    found = [[("function", row - standard.function_rows[0]), *each] for each in kept[turn]]
                case Does.READ:
                    for lane, place in enumerate(piece[: grid.width]):
                        if place != ZERO:
                            self.results[place] = self._word((channel, bank, row, column, lane))
                case Does.WRITE:
                    for lane, place in enumerate(piece[: grid.width]):
                        if place != KEEP:
                            self.memory[channel, bank, row, column, lane] = symbol(place)
                case Does.WRITE_ALL:
                    for k in range(grid.banks):
                        self.memory[channel, k, row, column, wires.lane] = symbol(piece[k])
                case Does.SCALE:
                    for first in range(0, grid.banks, grid.device.banks_per_group):
                        for lane in range(grid.width):
                            a, b, to = ((channel, first + k, row, column, lane) for k in range(3))
                            self.memory[to] = (self._word(a), self._word(b))

    def _word(self, cell: Cell) -> Symbol:
        return self.memory.get(cell, self.empty)


def cell(place: Place[int]) -> Cell:
    return place.channel, place.bank, place.row, place.column, place.lane


def added(terms: Sequence[Any]) -> list[Any]:
    """What is left of a sum: a zero of the buffer meets a number, or a word that was cleared."""
    assert all(term[1] != NEVER for term in terms if isinstance(term, tuple) and len(term) == 2)
    return [term for term in terms if not (isinstance(term, tuple) and term[0] == NOTHING)]


def cut(elements: int, sums: Cuts, part: int) -> range:
    """The elements of a partial sum."""
    first = sum(sums.elements[:part])
    assert sum(sums.elements) == elements
    return range(first, first + sums.elements[part])


# -- matrices --------------------------------------------------------------------------------


def weights(matrix: Any) -> dict[Cell, Symbol]:
    """The memory that a matrix is in: whole columns, whose last one is filled up with zeros."""
    whole = matrix.grid.columns_of(matrix.inputs) * matrix.grid.width
    return {
        cell(matrix.locate(o, e)): (o, e) if e < matrix.inputs else NOTHING
        for o in range(matrix.outputs)
        for e in range(whole)
    }


@st.composite
def aim_matrices(draw: st.DrawFn) -> aim_matrix.MatrixLayout:
    grid = draw(of_aim.grids())
    sizes = draw(st.integers(1, 60), label="inputs"), draw(st.integers(1, 60), label="outputs")
    base = draw(st.integers(0, 2)) * grid.device.columns
    return aim_matrix.MatrixLayout(grid, *sizes, base, draw(st.booleans()), ("gelu", "silu"))


@st.composite
def lpddr5x_pim_matrices(draw: st.DrawFn) -> lpddr5x_pim_matrix.MatrixLayout:
    grid = draw(of_pim_gpt.grids())
    grid = replace(grid, device=replace(grid.device, standard=LPDDR5X_PIM))
    sizes = draw(st.integers(1, 60), label="inputs"), draw(st.integers(1, 60), label="outputs")
    kept, base = draw(st.sampled_from([1, 2, 3, 64]), label="kept"), draw(st.integers(0, 2)) * grid.device.columns
    return lpddr5x_pim_matrix.MatrixLayout(grid, *sizes, kept, base)


matrices = st.one_of(of_pim_gpt.matrices(), aim_matrices(), lpddr5x_pim_matrices())


@settings(max_examples=examples(30))
@given(matrices, st.booleans(), st.sampled_from(["", "silu"]))
def test_a_product(matrix: AnyMatrix, addend: bool, function: str) -> None:
    function = function if function in matrix.functions and matrix.takes_addend else ""
    made = Symbols(matrix.grid, weights(matrix)).carry_out(matrix.multiply(addend, function), matrix.wires(addend))
    in_banks = matrix.takes_addend
    pieces = range(len(matrix.sums.elements))
    assert set(made) == set(range(matrix.outputs * (1 if in_banks else len(pieces))))
    assert matrix.partial_sums == (1 if in_banks else len(pieces))
    for o in range(matrix.outputs):
        terms = [[(e, (o, e)) for e in cut(matrix.inputs, matrix.sums, piece)] for piece in pieces]
        if not in_banks:
            assert [added(made[piece * matrix.outputs + o]) for piece in pieces] == terms
            continue
        bias = [matrix.inputs + o] if addend else []
        looked_up = [("function", 1)] if function else []
        assert added(made[o]) == looked_up + bias + [term for piece in terms for term in piece]


@settings(max_examples=examples(20))
@given(matrices, st.data())
def test_a_row_of_a_matrix(matrix: AnyMatrix, data: st.DataObject) -> None:
    output = data.draw(st.integers(0, matrix.outputs - 1), label="output")
    made = Symbols(matrix.grid, weights(matrix)).carry_out(matrix.read(output), matrix.read_wires(output))
    assert made == {e: (output, e) for e in range(matrix.inputs)}


@settings(max_examples=examples(20))
@given(matrices)
def test_many_weights_are_located_as_one_by_one(matrix: AnyMatrix) -> None:
    outputs, elements = np.arange(matrix.outputs)[:, np.newaxis], np.arange(matrix.inputs)
    many = matrix.locate(outputs, elements)
    for name in ("channel", "bank", "row", "column", "lane"):
        one_by_one = [[getattr(matrix.locate(o, e), name) for e in elements.tolist()] for o in range(matrix.outputs)]
        assert np.broadcast_to(getattr(many, name), (matrix.outputs, matrix.inputs)).tolist() == one_by_one


# -- keys and values ---------------------------------------------------------------------------


caches = st.one_of(of_pim_gpt.caches(), of_aim.caches())
caches_by_tokens = st.one_of(of_pim_gpt.caches(TokenValueLayout), of_aim.caches(TokenValueLayoutOfAim))


def key(layout: Any, token: int) -> Callable[[int], Symbol]:
    """The symbols of a token's keys or values, by their places."""
    return lambda place: (token, *divmod(place, layout.head_dim))


@settings(max_examples=examples(25))
@given(caches)
def test_keys_and_scores(cache: of_pim_gpt.Cache | of_aim.Cache) -> None:
    keys, context = cache.keys, cache.context
    memory = Symbols(keys.grid)
    for token in range(context):
        memory.carry_out(keys.append(token), keys.append_wires(token), key(keys, token))
        for head in range(keys.kv_heads):
            for e in range(keys.head_dim):
                assert memory.memory[cell(keys.locate(token, head, e))] == (token, head, e)
    written = set(memory.memory.values()) - {NOTHING}
    assert len(written) == context * keys.kv_heads * keys.head_dim
    work = keys.score_groups(-(-context // keys.grid.banks))
    made = memory.carry_out(work, keys.score_wires(context))
    assert set(made) == set(range(keys.heads * keys.partial_sums * context))
    pieces, in_banks = range(len(keys.sums.elements)), keys.sums.in_banks
    for head in range(keys.heads):
        kv_head = head // keys.sharing
        for token in range(context):
            terms = [
                [(head * keys.head_dim + e, (token, kv_head, e)) for e in cut(keys.head_dim, keys.sums, piece)]
                for piece in pieces
            ]
            parts = [sum(terms, [])] if in_banks else terms
            for part, wanted in enumerate(parts):
                assert added(made[(head * len(parts) + part) * context + token]) == wanted


def pieces_of(context: int, sums: Cuts, width: int) -> list[list[list[int]]]:
    """The tokens of each piece of each partial sum: columns of `width` tokens are dealt to ways in turn."""
    ways = [[t for t in range(context) if t // width % sums.ways == way] for way in range(sums.ways)]
    parts: list[list[list[int]]] = []
    for i, elements in enumerate(sums.elements):
        way = ways[i % sums.ways]
        piece, way[:] = way[:elements], way[elements:]
        assert len(piece) == elements > 0
        if sums.in_banks and i >= sums.ways:
            parts[i % sums.ways].append(piece)
        else:
            parts.append([piece])
    assert not any(ways)
    return parts


@settings(max_examples=examples(50))
@given(st.one_of(caches, caches_by_tokens))
def test_values_and_what_is_made_of_them(cache: of_pim_gpt.Cache | of_aim.Cache) -> None:
    values, context = cache.values, cache.context
    memory = Symbols(values.grid, empty=NOTHING)  # their space is cleared
    for token in range(context):
        memory.carry_out(values.append(token), values.append_wires(token), key(values, token))
    for token in range(context):
        for head in range(values.kv_heads):
            for e in range(values.head_dim):
                assert memory.memory[cell(values.locate(token, head, e))] == (token, head, e)
    made = memory.carry_out(values.weigh_columns(values.grid.columns_of(context)), values.weigh_wires(context))
    sums, sharing = values.sums(context), values.heads // values.kv_heads
    parts = pieces_of(context, sums, values.grid.width)
    if sums.in_banks and sums.ways == 1:
        parts = [sum(parts, [])]
    assert values.partial_sums(context) == sums.partial_sums == len(parts)
    assert set(made) == set(range(len(parts) * values.heads * values.head_dim))
    for head in range(values.heads):
        for e in range(values.head_dim):
            for part, pieces in enumerate(parts):
                wanted = [(head * context + token, (token, head // sharing, e)) for piece in pieces for token in piece]
                assert added(made[(part * values.heads + head) * values.head_dim + e]) == wanted


# -- the same of some heads ----------------------------------------------------------------------


def of_parts(
    memory: Symbols, layout: Any, work: str, wires: str, key: int, sizes: tuple[int, int], context: int
) -> Any:
    """What all parts of a layout make, by their places among the results of the whole; sizes: as of `of_heads`."""
    taken, given_ = sizes
    found: dict[int, Any] = {}
    for part in layout.parts:
        heads = part.query_heads

        def operand(place: int, heads: Sequence[int] = heads) -> Symbol:
            return heads[place // taken] * taken + place % taken

        narrow = of_heads(getattr(part, wires)(context), heads, layout.heads, taken, given_)
        for place, made in memory.carry_out(getattr(part, work)(key), narrow, operand).items():
            outer, rest = divmod(place, len(heads) * given_)
            whole = (outer * layout.heads + heads[rest // given_]) * given_ + rest % given_
            assert whole not in found
            found[whole] = made
    return found


@settings(max_examples=examples(20))
@given(st.one_of(caches, caches_by_tokens))
def test_parts_make_what_the_whole_makes(cache: of_pim_gpt.Cache | of_aim.Cache) -> None:
    """Each part takes its own heads' operands alone, and every result is made by one of them, of the same terms."""
    keys, values, context = cache.keys, cache.values, cache.context
    groups, sizes = -(-context // keys.grid.banks), (keys.head_dim, keys.partial_sums * context)
    memory = Symbols(keys.grid)
    for token in range(context):
        memory.carry_out(keys.append(token), keys.append_wires(token), key(keys, token))
    whole = dict(memory.carry_out(keys.score_groups(groups), keys.score_wires(context)))
    assert of_parts(memory, keys, "score_groups", "score_wires", groups, sizes, context) == whole
    columns, sizes = values.grid.columns_of(context), (context, values.head_dim)
    memory = Symbols(values.grid, empty=NOTHING)  # their space is cleared
    for token in range(context):
        memory.carry_out(values.append(token), values.append_wires(token), key(values, token))
    whole = dict(memory.carry_out(values.weigh_columns(columns), values.weigh_wires(context)))
    assert of_parts(memory, values, "weigh_columns", "weigh_wires", columns, sizes, context) == whole


@settings(max_examples=examples(50))
@given(st.one_of(caches, caches_by_tokens))
def test_what_values_move_is_what_their_wires_say(cache: of_pim_gpt.Cache | of_aim.Cache) -> None:
    """Elements that mean something: probabilities (each time that they are sent), sums so far, and partial results."""
    values, context = cache.values, cache.context
    wires, moved = values.weigh_wires(context), values.weigh_moves(context)
    sent, given_ = (sum(int((piece != ZERO).sum()) for piece in pieces) for pieces in (wires.taken, wires.given))
    assert moved.payload == sent + given_ and moved.results == given_
    many = values.weigh_moves(np.array([context, context]))
    assert [[*map(int, column)] for column in many] == [[n, n] for n in moved]
    if values.split == "tokens":  # each probability goes to one channel
        assert moved.sent == sent
        assert moved.sent - values.heads * context == given_ - (
            values.partial_sums(context) * values.heads * values.head_dim
        )


@settings(max_examples=examples(50))
@given(st.one_of(caches, caches_by_tokens))
def test_a_token_is_appended_like_another_some_columns_further(cache: of_pim_gpt.Cache | of_aim.Cache) -> None:
    values, columns = cache.values, cache.values.grid.device.columns
    tokens = np.arange(values.tokens, dtype=np.int64)
    for token, like, shift in zip(tokens, *values.appended_like(tokens), strict=True):
        for head in range(values.kv_heads):
            for e in range(values.head_dim):
                here, there = values.locate(int(token), head, e), values.locate(int(like), head, e)
                assert (here.channel, here.bank) == (there.channel, there.bank)
                assert here.row * columns + here.column == there.row * columns + there.column + shift


# -- vectors -----------------------------------------------------------------------------------


grids = st.one_of(of_pim_gpt.grids(), of_aim.grids())


@settings(max_examples=examples(20))
@given(grids, st.integers(1, 300), st.data())
def test_a_part_of_a_vector(grid: Grid, elements: int, data: st.DataObject) -> None:
    vector = VectorLayout(grid, elements, data.draw(st.integers(0, 2)) * grid.device.columns)
    first = data.draw(st.integers(0, elements - 1), label="first")
    count = data.draw(st.integers(1, elements - first), label="count")
    there = {cell(vector.locate(e)): e for e in range(elements)}
    assert len(there) == elements
    made = Symbols(grid, dict[Cell, Symbol](there)).carry_out(
        vector.read(first, count), vector.wires(True, first, count)
    )
    assert made == {e - first: e for e in range(first, first + count)}


@settings(max_examples=examples(20))
@given(grids, st.integers(1, 300), st.data())
def test_the_first_elements_are_written_and_come_back(grid: Grid, elements: int, data: st.DataObject) -> None:
    """Of a spilled operand fewer may be there than its place has room for."""
    vector, there = VectorLayout(grid, elements), data.draw(st.integers(1, elements), label="there")
    memory = Symbols(grid)
    memory.carry_out(vector.write(0, elements), vector.wires(False, 0, elements, there))
    assert [memory.memory[cell(vector.locate(e))] for e in range(there)] == [*range(there)]
    assert memory.carry_out(vector.read(0, elements), vector.wires(True, 0, elements, there)) == {
        e: e for e in range(there)
    }


@settings(max_examples=examples(20))
@given(grids, st.integers(1, 300))
def test_many_elements_of_a_vector_are_located_as_one_by_one(grid: Grid, elements: int) -> None:
    vector = VectorLayout(grid, elements)
    many = vector.locate(np.arange(elements, dtype=np.int64))
    for name in ("channel", "bank", "row", "column", "lane"):
        assert getattr(many, name).tolist() == [getattr(vector.locate(e), name) for e in range(elements)]


# -- products element by element -----------------------------------------------------------------


@settings(max_examples=examples(20))
@given(of_aim.grids(), st.integers(1, 5), st.integers(1, 60))
def test_a_scale(grid: Grid, vectors: int, elements: int) -> None:
    products = Products(grid, vectors * elements)
    work = products.scale_columns(vectors, grid.columns_of(elements))
    made = Symbols(grid).carry_out(work, products.scale_wires(vectors, elements))
    assert made == {
        vector * elements + e: (vector * elements + e, vectors * elements + vector)
        for vector in range(vectors)
        for e in range(elements)
    }


# -- pieces ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "most"), [(1, 1), (7, 3), (6, 3), (2, 5)])
def test_cuts_are_full_but_for_the_last(total: int, most: int) -> None:
    cuts = Cuts.of(total, most)
    assert sum(cuts.elements) == total and set(cuts.elements[:-1]) <= {most} and 0 < cuts.elements[-1] <= most


def test_pieces_of_columns() -> None:
    assert in_columns(5, 3, 2).tolist() == [[5, 6], [7, ZERO]]
    assert in_columns(5, 3, 2, 4).tolist() == [[5, 6, ZERO, ZERO], [7, ZERO, ZERO, ZERO]]
