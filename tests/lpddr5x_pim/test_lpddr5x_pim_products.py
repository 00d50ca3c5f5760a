"""Products on LPDDR5X-PIM: commands and clocks by hand, for each pair of formats, with and without a fence."""

from __future__ import annotations

from collections import Counter
from math import ceil
from typing import Any

import numpy as np
import pytest

import pimsim
from pimsim.config.schema import Config
from pimsim.devices.registry import device_of
from pimsim.dram.engine import FOREVER
from pimsim.reproduce.devices import measures
from pimsim.sim.run import simulate

CHANNELS, BANKS, COLUMNS = 4, 16, 64  # columns of a row
KEPT = 64  # sums of a block
# A row's columns, 4 clocks each, but the last: then it closes (11), another opens (26) and is read (22).
ROW = 63 * 4 + 11 + 26 + 22
FILL = 4 * 2  # clocks of the columns that fill the registers, 1 kbit, on the pins
ARRIVES = 14 + 2  # a column of inputs in the registers
DRAIN, SENT = 8, 25 + 2  # the last product's sum; a read of a sum on the pins

# pair: numbers of a column; numbers of the registers
PAIRS = {
    ("bf16", "bf16"): (16, 64), ("int8", "int8"): (32, 128), ("int4", "int4"): (64, 256), ("int4", "int8"): (64, 128),
    ("int8", "bf16"): (32, 64), ("int4", "bf16"): (64, 64), ("fp8_e4m3", "fp8_e4m3"): (32, 128),
}  # fmt: skip


def config_of(pair: tuple[str, str] = ("bf16", "bf16"), **changes: Any) -> Config:
    keys = {key.replace("__", "."): value for key, value in changes.items()}
    formats = {"workload.weight_format": pair[0], "workload.activation_format": pair[1]}
    return measures.multiplying("lpddr5x-pim", {"dram.refresh": "none", **formats, **keys})


class Log:
    """The commands of channel 0."""

    window = (0, FOREVER)

    def __init__(self) -> None:
        self.parts: list[Any] = []

    def append(self, clk: Any, channel: Any, command: Any, bank: Any, row: Any, column: Any) -> None:
        self.parts.append(np.stack([clk, channel, command], axis=1))

    def execute(self, executed: object) -> None:
        """Nothing."""


def commands(config: Config, inputs: int, outputs: int) -> list[tuple[int, str]]:
    """(clock, name) of channel 0, of a product alone."""
    log = Log()
    simulate(measures._plan(config, inputs, outputs), observers=[log])
    names = device_of(config).command_names
    return [(int(clk), names[number]) for clk, channel, number in np.concatenate(log.parts).tolist() if not channel]


def of_kind(issued: list[tuple[int, str]], kind: str) -> list[int]:
    """The clocks of commands whose names begin so."""
    return [clk for clk, name in issued if name.startswith(kind)]


@pytest.mark.parametrize(("pair", "sizes"), PAIRS.items(), ids=lambda value: "x".join(map(str, value)))
@pytest.mark.parametrize(("inputs", "outputs"), [(4096, 4096), (1000, 100), (77, 9000)])
def test_commands_of_a_product(pair: tuple[str, str], sizes: tuple[int, int], inputs: int, outputs: int) -> None:
    width, registers = sizes
    slots = ceil(ceil(outputs / BANKS) / CHANNELS)  # outputs of a bank of channel 0
    columns, tiles = ceil(inputs / width), ceil(slots / KEPT)
    found = Counter(name.split("_")[0] for _, name in commands(config_of(pair), inputs, outputs))
    assert found["MACAB"] == columns * slots
    assert found["RDMAC"] + found["RDMAC32"] == slots
    assert found["ACTAB"] == found["PREAB"] == ceil(columns * slots / COLUMNS)
    assert found["MRW"] == 1 and not found["ACT"] and not found["RD"] and not found["WR"]
    # whole columns of weights in the registers, and what they are multiplied with in columns of the pins
    each, rest = registers // width, columns % (registers // width)
    assert found["WRGB"] == tiles * (columns // each * 4 + ceil(rest * width / (registers // 4)))


@pytest.mark.parametrize("rows", [1, 2, 16, 64])
def test_clocks_of_a_product_of_whole_rows(rows: int) -> None:
    """16 BF16 a column, 4 columns in the registers: 64 outputs of a bank times 16 inputs are a row."""
    issued = commands(config_of(), 16 * rows, KEPT * BANKS * CHANNELS)
    first = 17 + 1 + min(rows, 4) * 2 - 2 + ARRIVES  # MRW, ACTAB, then the registers are filled while a row opens
    first = max(first, 17 + 22)
    macs, reads = of_kind(issued, "MACAB"), of_kind(issued, "RDMAC")
    assert issued[0] == (0, "MRW") and issued[1] == (17, "ACTAB")
    assert macs[0] == first
    last = first + (rows - 1) * ROW + 63 * 4
    assert macs[-1] == last
    assert reads == [last + DRAIN + 2 * k for k in range(KEPT)]
    cycles = simulate(measures._plan(config_of(), 16 * rows, KEPT * BANKS * CHANNELS)).cycles
    assert cycles == reads[-1] + SENT


@pytest.mark.parametrize(("pair", "rows"), [(("int8", "int8"), 4), (("int8", "bf16"), 2), (("int4", "bf16"), 1)])
@pytest.mark.parametrize("fence_ns", [0, 150, 400])
def test_each_filling_waits_for_the_fence_while_a_row_opens(pair: tuple[str, str], rows: int, fence_ns: int) -> None:
    """From the first product with a filling of the registers to the first with the next: whole rows, and the fence."""
    fills, inputs = 5, PAIRS[pair][1] * 5
    issued = commands(config_of(pair, pim__fence_ns=fence_ns), inputs, KEPT * BANKS * CHANNELS)
    macs, filled = of_kind(issued, "MACAB"), of_kind(issued, "WRGB")
    assert len(macs) == fills * rows * COLUMNS and len(filled) == fills * 4
    firsts = macs[:: rows * COLUMNS]
    fence = -(-fence_ns * 1000 // 834)
    opens = 11 + 26 + 22  # from the last product in a row to the first in the next
    waits = 1 + FILL - 2 + max(ARRIVES, fence)  # the same, past the registers
    assert {b - a for a, b in zip(firsts, firsts[1:], strict=False)} == {(rows - 1) * ROW + 63 * 4 + max(opens, waits)}


@pytest.mark.parametrize("kept", [1, 16, 64, 100])
def test_inputs_are_sent_again_for_each_tile_of_outputs(kept: int) -> None:
    found = Counter(name for _, name in commands(config_of(pim__kept_outputs=kept), 256, 64 * BANKS * CHANNELS))
    assert found["WRGB"] == 16 * -(-64 // kept)
    assert found["RDMAC"] == 64 and found["MACAB"] == 16 * 64


def test_whole_sums_come_back_and_the_asic_adds_none_of_them() -> None:
    plan = measures._plan(config_of(), 4096, 4096)
    [matrix] = plan.memory.matrices.values()
    assert matrix.partial_sums == 1 and matrix.sums.elements == (4096,)
    assert matrix.multiply().results == 4096


def test_a_package_is_one_that_exists() -> None:
    """Four dies of 16 Gb, 64 pins at 9.6 Gb/s; 8 times as much inside."""
    config = pimsim.load_config("configs/lpddr5x-pim.yaml")
    dram, pim = config.dram, config.pim
    banks = dram.channels * dram.bank_groups * dram.banks_per_group
    assert banks * dram.rows * dram.row_bytes == dram.channels * (16 << 30) // 8 == 8 << 30
    assert dram.channels * dram.io.pins * float(dram.io.data_rate_Gbps) / 8 == pytest.approx(76.8)
    device = device_of(config)
    assert BANKS * device.cycles["nBL"] / device.cycles["nMAC"] == 8
    assert device.cycles["nMAC"] == device.cycles["nCCDL"] == 4
    assert len(pim.pairs) == 15 and next(iter(pim.pairs)) == "bf16xbf16"


@pytest.mark.parametrize(("pair", "peak"), [("int4xint4", 2.4576), ("fp8_e4m3xfp8_e4m3", 1.2288)])
def test_the_published_peaks_come_out(pair: str, peak: float) -> None:
    """64 banks, two operations, a column each in 3.33 ns."""
    config = pimsim.load_config("configs/lpddr5x-pim.yaml")
    clocks = device_of(config).cycles[f"nMAC_{pair}"]
    assert clocks == 4
    assert config.pim.pairs[pair] * 64 * 2 / (clocks * 8 / 9.6) / 1000 == pytest.approx(peak)
