"""Wires and places of a matrix whose rows serve several inputs, against a second reading: symbols in place of numbers.

The twin of the channel controller makes commands of the program.  What each of them means is said here anew: the
buffer as a list of inputs, each a list of columns; the accumulators as a list that grows and is read from its front.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt import HARDWARE
from pimsim.devices.pim_gpt.reuse import SharedMatrixLayout, Units
from pimsim.dram.twin.controller import Controller
from pimsim.mapping.grid import Grid, make_grid
from pimsim.mapping.wires import ZERO
from tests.examples import examples
from tests.sharing.programs import clocks
from tests.strategies import cycles_of, device_of
from tests.unit.test_mapping_layout import check_places

BANKS = (0, 1, 2, 3)


@st.composite
def matrices(draw: st.DrawFn) -> SharedMatrixLayout:
    """Of every shape: rows and buffers of few columns, groups that do not fill, units and sums that do not divide."""
    parallel, accumulators = draw(st.integers(1, 3), label="units"), draw(st.integers(1, 3), label="accumulators")
    buffers = draw(st.integers(1, 2), label="buffers")
    units, group = Units(parallel, parallel * accumulators, buffers), draw(st.integers(1, 5), label="group")
    cycles = cycles_of(draw(st.integers(1, 4), label="every timing"))
    shape = {"channels": draw(st.integers(1, 3), label="channels"), "bank_groups": 2, "banks_per_group": 2}
    columns = draw(st.sampled_from([1, 2, 3, 5, 8]), label="columns")
    standard = HARDWARE.table_for(units=(1, units.parallel, units.sums, units.buffers))
    device = device_of(cycles, columns=columns, column_bytes=8, rows=1 << 20, **shape)
    object.__setattr__(device, "standard", standard)
    grid = make_grid(device, 8 * group * draw(st.sampled_from([1, 2, 3, 9]), label="buffer columns of an input"))
    sizes = draw(st.integers(1, 60), label="inputs"), draw(st.integers(1, 60), label="outputs")
    return SharedMatrixLayout(grid, *sizes, group, units, base=draw(st.integers(0, 2)) * columns)


@dataclass
class Channel:
    """What a channel has in its buffer and in the accumulators of a bank."""

    inputs: list[list[Any]] = field(default_factory=list)
    behind: list[list[Any]] = field(default_factory=list)
    filling: bool = False
    at: int = 0  # the first input of those that are multiplied next
    column: int = 0
    sums: list[tuple[int, list[Any]]] = field(default_factory=list)  # by input, since something was read
    read: bool = False


def carried_out(matrix: SharedMatrixLayout, count: int) -> dict[int, list[Any]]:
    """What every result is the sum of: (input, element) and (output, element)."""
    grid, work, wires = matrix.grid, matrix.multiply(count=count), matrix.wires(count=count)
    places = {
        (p.channel, p.bank, p.row, p.column, p.lane): (o, e)
        for o in range(matrix.outputs)
        for e in range(matrix.inputs)
        for p in (matrix.locate(o, e),)
    }
    results: dict[int, list[Any]] = {}
    for number in range(grid.channels):
        controller, (first, last) = Controller(grid.device), work.spans[number]
        controller.run(work.program[first:last], 0)
        taken, given_ = ([*pieces[number].tolist()] for pieces in (wires.taken, wires.given))
        channel = Channel()
        for _, name, _, row, column in controller.commands:
            if name.startswith("WRGBB"):
                channel.behind += [[]] if name == "WRGBBN" or not channel.behind else []
                channel.behind[-1].append(taken.pop(0))
            elif name == "SWGB":
                channel.inputs, channel.behind, channel.at, channel.column = channel.behind, [], 0, 0
            elif name.startswith("WRGB"):
                fill(channel, name, taken.pop(0))
            elif name.startswith("MAC"):
                multiply(channel, name, matrix, lambda bank, lane, at=(number, row, column): places.get(
                    (at[0], bank, at[1], at[2], lane)
                ))  # fmt: skip
            elif name == "RDMAC":
                _, terms = channel.sums.pop(0)
                channel.read = True
                for bank, place in zip(BANKS, given_.pop(0), strict=False):
                    if place != ZERO:
                        assert place not in results
                        results[place] = [term for of, term in terms if of == bank]
        assert not taken and not given_ and not channel.sums
    return results


def fill(channel: Channel, name: str, piece: list[int]) -> None:
    if not channel.filling:
        channel.inputs, channel.filling, channel.at, channel.column = [[]], True, 0, 0
    elif name == "WRGBN":
        channel.inputs.append([])
    channel.inputs[-1].append(piece)


def multiply(channel: Channel, name: str, matrix: SharedMatrixLayout, weight: Any) -> None:
    assert not channel.read or not channel.sums, "sums are left that nobody has read"
    channel.filling = channel.read = False
    columns = [column for of in channel.inputs for column in of]
    if matrix.units.sums == 1:  # the buffer knows of no inputs: its columns follow each other, and around
        taking = [(0, columns[channel.column])]
        channel.column = (channel.column + 1) % len(columns)
    else:
        some = matrix.units.parallel if name == "MACABN" else 1
        these = range(channel.at, min(channel.at + some, len(channel.inputs)))
        taking = [(number, channel.inputs[number][channel.column]) for number in these]
        channel.column += 1
        if channel.column == len(channel.inputs[0]):
            channel.at, channel.column = these.stop % len(channel.inputs), 0
    for number, piece in taking:
        known = next((terms for of, terms in channel.sums if of == number), None)
        if known is None:
            channel.sums.append((number, known := []))
            assert len(channel.sums) <= matrix.units.sums, "more sums than accumulators"
        for bank in BANKS[: matrix.grid.banks]:
            for lane, place in enumerate(piece[: matrix.grid.width]):
                if place != ZERO:
                    known.append((bank, (place, weight(bank, lane))))


@settings(max_examples=examples(60))
@given(matrices(), st.data())
def test_every_result_is_the_sum_of_its_input_s_products(matrix: SharedMatrixLayout, data: st.DataObject) -> None:
    count = data.draw(st.integers(1, matrix.group), label="count")
    made, elements = carried_out(matrix, count), matrix.sums.elements
    assert len(made) == count * len(elements) * matrix.outputs == matrix.multiply(count=count).results
    for i in range(count):
        first = 0
        for piece, some in enumerate(elements):
            for o in range(matrix.outputs):
                terms = [(i * matrix.inputs + e, (o, e)) for e in range(first, first + some)]
                assert made[(i * len(elements) + piece) * matrix.outputs + o] == terms
            first += some
        assert first == matrix.inputs


@settings(max_examples=examples(60))
@given(matrices())
def test_every_weight_has_one_place_and_no_output_crosses_the_end_of_a_row(matrix: SharedMatrixLayout) -> None:
    at = {(o, e): matrix.locate(o, e) for o in range(matrix.outputs) for e in range(matrix.inputs)}
    check_places(at.values(), matrix.grid, matrix.base, matrix.rows)
    for o in range(matrix.outputs):
        first = 0
        for some in matrix.sums.elements:
            assert len({at[o, e].row for e in range(first, first + some)}) == 1
            first += some


@settings(max_examples=examples(40))
@given(matrices(), st.data())
def test_a_row_is_opened_once_for_all_inputs(matrix: SharedMatrixLayout, data: st.DataObject) -> None:
    counts = {1, data.draw(st.integers(1, matrix.group), label="count")}
    opened = []
    for count in counts:
        work, controller = matrix.multiply(count=count), Controller(matrix.grid.device)
        controller.run(work.program[work.spans[0][0] : work.spans[0][1]], 0)
        opened.append(sum(command[1] == "ACTAB" for command in controller.commands))
    assert set(opened) == {matrix.rows}


@settings(max_examples=examples(40))
@given(matrices(), st.data())
def test_a_row_is_read_as_it_lies(matrix: SharedMatrixLayout, data: st.DataObject) -> None:
    o = data.draw(st.integers(0, matrix.outputs - 1), label="output")
    work, wires = matrix.read(o), matrix.read_wires(o)
    found: dict[int, Any] = {}
    for channel in range(matrix.grid.channels):
        controller, pieces = Controller(matrix.grid.device), wires.given[channel].tolist()
        controller.run(work.program[work.spans[channel][0] : work.spans[channel][1]], 0)
        for _, name, bank, row, column in controller.commands:
            if name == "RD":
                for lane, place in enumerate(pieces.pop(0)):
                    if place != ZERO:
                        found[place] = (channel, bank, row, column, lane)
        assert not pieces
    places = (matrix.locate(o, e) for e in range(matrix.inputs))
    assert found == {e: (p.channel, p.bank, p.row, p.column, p.lane) for e, p in enumerate(places)}


def test_where_a_layout_has_groups_of_one_and_rows_full_of_an_output_it_is_the_plain_one() -> None:
    """The shipped rows and buffer have 64 columns each: outputs of 1,024 inputs fill a row."""
    from pimsim.devices.pim_gpt.matrix import MatrixLayout
    from tests.sharing.programs import config_of, grid_of, shared

    config = config_of()
    grid: Grid = grid_of(config)
    plain, alone = MatrixLayout(grid, 2048, 700), shared(config, 2048, 700, 1)
    assert (plain.rows, plain.sums) == (alone.rows, alone.sums)
    assert all(plain.locate(o, e) == alone.locate(o, e) for o in range(0, 700, 13) for e in range(0, 2048, 17))


@settings(max_examples=examples(60))
@given(matrices(), st.data())
def test_the_engine_takes_the_clocks_of_the_readable_controller(
    matrix: SharedMatrixLayout, data: st.DataObject
) -> None:
    work = matrix.multiply(count=data.draw(st.integers(1, matrix.group), label="count"))
    ends = [Controller(matrix.grid.device).run(work.program[first:last], 0) for first, last in work.spans]
    assert clocks(matrix.grid, work) == max(ends)
