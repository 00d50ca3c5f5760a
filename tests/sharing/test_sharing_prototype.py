"""What an open row that serves Q inputs takes, against the prototype's table and closed forms.

The prototype: 2048 x 2048 on the shipped device, no refresh; clocks as a share of Q separate products.
"""

from __future__ import annotations

import pytest

from pimsim.devices.pim_gpt.matrix import MatrixLayout
from pimsim.dram import program as requests
from tests.sharing.programs import clocks, clocks_of, config_of, grid_of, shared

SIZE = 2048
# By Q: the shipped buffer shared by Q; a buffer for each; + Q accumulators; + Q MAC units.
PROTOTYPE = {
    2: (0.963, 0.898, 0.866, 0.522),
    4: (1.042, 0.847, 0.799, 0.283),
    8: (1.275, 0.821, 0.765, 0.163),
    16: (1.778, 0.808, 0.754, 0.108),
}
CASES = [(inputs, column) for inputs in PROTOTYPE for column in range(4)]


def keys(inputs: int, column: int) -> dict[str, int]:
    """The configuration of a column of the table."""
    found = {"pim__global_buffer_bytes": 2048 * (inputs if column else 1)}
    return found | [{}, {}, {"pim__accumulators": inputs}, {"pim__units_per_bank": inputs}][column]


def separate() -> int:
    """Clocks of one product by itself."""
    grid = grid_of(config_of())
    return clocks(grid, MatrixLayout(grid, SIZE, SIZE).multiply())


def as_the_prototype(inputs: int, column: int) -> requests.Program:
    """Its program, by hand: each row opens when a column of it is due, and closes behind its last product."""
    grid = grid_of(config_of(**keys(inputs, column)))
    fill, mac, read = map(grid.command, ("WRGB", "MACAB", "RDMAC"))
    batch, at_once = (1, 1, inputs, inputs)[column], (1, 1, 1, inputs)[column]
    columns = grid.buffer_columns // inputs
    rows = [requests.open_row(0)]
    for chunk in range(SIZE // 16 // columns):
        rows.append(requests.run(fill, -1, 0, columns * inputs))
        for slot in range(SIZE // 128):
            lin = (chunk * SIZE // 128 + slot) * columns
            for first in range(0, inputs, batch):
                rows += [requests.run(mac, -1, lin, columns)] * (batch // at_once)
                if first + batch == inputs and (lin + columns) % 64 == 0:
                    rows.append(requests.close())
                rows.append(requests.run(read, -1, 0, batch))
    return requests.program([*rows, requests.close()])


@pytest.mark.parametrize(("inputs", "column"), CASES)
def test_the_prototype_s_own_program_takes_its_shares(inputs: int, column: int) -> None:
    grid = grid_of(config_of(pim__global_buffer_bytes=keys(inputs, column)["pim__global_buffer_bytes"]))
    share = clocks_of(grid, as_the_prototype(inputs, column)) / inputs / separate()
    assert share == pytest.approx(PROTOTYPE[inputs][column], abs=0.0005)


@pytest.mark.parametrize(("inputs", "column"), CASES)
def test_rows_that_open_ahead_save_what_the_prototype_waits(inputs: int, column: int) -> None:
    """Behind the last column of the buffer the prototype opens a row, which takes a clock and nRCDRD; here that column
    alone is waited for, nCWL + nBL.  Of the sums that are read before a row can open, those for which nRTP + nRP -
    nDRAIN leaves no time are read while it opens.
    """
    config = config_of(**keys(inputs, column))
    matrix, prototype = shared(config, SIZE, SIZE, inputs), as_the_prototype(inputs, column)
    cycles, chunks = matrix.grid.device.cycles, len(matrix.stored.chunks)
    saved = clocks_of(matrix.grid, prototype) - clocks(matrix.grid, matrix.multiply(count=inputs))
    opening = 1 + cycles["nRCDRD"] - cycles["nCWL"] - cycles["nBL"]
    late = max(0, (inputs if column > 1 else 1) - (cycles["nRTP"] + cycles["nRP"] - cycles["nDRAIN"]))
    followed = SIZE * SIZE // 16 // 128 // 64 - chunks  # rows of a bank behind which another one of the chunk follows
    assert saved == (chunks - 1) * opening + late * followed


@pytest.mark.parametrize("inputs", [1, 2, 3, 4, 8])
def test_a_further_full_row_takes_64_Q_and_25(inputs: int) -> None:
    """63 nMAC to the last column, then nRTP + nRP + nRCDRD, less the clock of the first: (64 Q + 25) / (89 Q)."""
    config = config_of(pim__global_buffer_bytes=2048 * inputs, pim__accumulators=inputs)
    grid, outputs = grid_of(config), (SIZE, SIZE + 128)
    few, more = (clocks(grid, shared(config, 1024, n, inputs).multiply(count=inputs)) for n in outputs)
    assert more - few == 64 * inputs + 25
    alone = [clocks(grid_of(config_of()), MatrixLayout(grid_of(config_of()), 1024, n).multiply()) for n in outputs]
    assert alone[1] - alone[0] == 89


@pytest.mark.parametrize("inputs", [2, 3, 4, 8])
def test_with_one_accumulator_each_sum_but_a_row_s_last_drains_by_itself(inputs: int) -> None:
    """nDRAIN from the last column to RDMAC, and the next column a clock later."""
    config = config_of(pim__global_buffer_bytes=2048 * inputs)
    few, more = (
        clocks(grid_of(config), shared(config, 1024, n, inputs).multiply(count=inputs)) for n in (SIZE, SIZE + 128)
    )
    assert more - few == 64 * inputs + 25 + (inputs - 1) * grid_of(config).device.cycles["nDRAIN"]


@pytest.mark.parametrize("inputs", [2, 4, 8])
def test_with_as_many_units_a_further_row_takes_what_it_takes_for_one(inputs: int) -> None:
    config = config_of(pim__global_buffer_bytes=2048 * inputs, pim__units_per_bank=inputs)
    few, more = (
        clocks(grid_of(config), shared(config, 1024, n, inputs).multiply(count=inputs)) for n in (SIZE, SIZE + 128)
    )
    assert more - few == 89


@pytest.mark.parametrize("inputs", [2, 4])
def test_a_unit_for_two_banks_takes_two_turns_a_column(inputs: int) -> None:
    """The last column is read nMAC / 2 later in the odd bank, and the row closes nRTP after that."""
    config = config_of(pim__global_buffer_bytes=2048 * inputs, pim__accumulators=inputs, pim__units_per_bank=0.5)
    few, more = (
        clocks(grid_of(config), shared(config, 1024, n, inputs).multiply(count=inputs)) for n in (SIZE, SIZE + 128)
    )
    assert more - few == (64 * inputs - 1) * 2 + 1 + 26
