"""GEMV programs: y[M] = W[M, K] x[K], each weight used once, on any number of channels.

For each segment of x that fills the global buffer: WR_GB; then for each of the output
rows of a bank: WR_BIAS, MAC_ABK, RD_MAC.  Every (segment, output row) has a row of its
own, so that each MAC_ABK opens one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from pimsim.devices.aim.frontend import FIRST_CLOCK, Channels, run_segment
from pimsim.devices.aim.isa import BUFFER_COLUMNS, MASK_BITS, mask_of
from pimsim.dram.program import RUN, WIDTH, Program
from pimsim.dram.timing import Device
from pimsim.errors import InputError

_COMMANDS = ("WRGB", "WRMAC16", "MAC16", "RDMAC16")


@dataclass(frozen=True)
class Shape:
    """A GEMV cut into segments of x and output rows per bank.

    sizes: columns of each segment.  outputs: output rows of a bank.
    """

    sizes: tuple[int, ...]
    outputs: int


def shape(m: int, k: int, channels: int, device: Device) -> Shape:
    """How an M x K GEMV lies on `channels` channels; InputError if it does not fit."""
    for name, value, most in (("M", m, 1 << 31), ("K", k, 1 << 31), ("channels", channels, device.channels)):
        if not 1 <= value <= most:
            raise InputError(f"{name} must be 1 to {most}, not {value}")
    if channels > MASK_BITS:
        raise InputError(f"a channel mask drives {MASK_BITS} channels, not {channels}")
    segment = min(BUFFER_COLUMNS, device.columns)
    columns = -(-k // device.column_elements)
    full, rest = divmod(columns, segment)
    sizes = (segment,) * full + ((rest,) if rest else ())
    outputs = -(-m // (device.banks * channels))
    if len(sizes) * outputs > device.rows:
        raise InputError(f"{m} x {k} takes {len(sizes) * outputs} rows of a bank, but it has {device.rows}")
    return Shape(sizes, outputs)


def text(m: int, k: int, channels: int, device: Device) -> str:
    """The GEMV as an instruction program; InputError if it does not fit."""
    return "\n".join(_lines(shape(m, k, channels, device), mask_of(channels))) + "\n"


def _lines(cut: Shape, mask: int) -> Iterator[str]:
    for segment, size in enumerate(cut.sizes):
        yield f"AiM WR_GB {size} 0 {mask:#010x}"
        for output in range(cut.outputs):
            yield f"AiM WR_BIAS 0 {mask:#010x}"
            yield f"AiM MAC_ABK {size} {mask:#010x} {segment * cut.outputs + output}"
            yield f"AiM RD_MAC 0 {mask:#010x}"
    yield "AiM EOC"


def requests_of(m: int, k: int, channels: int, device: Device) -> Program:
    """The GEMV as a request program for each of its channels; do not change it: it is kept."""
    numbers = tuple(device.standard.index(name) for name in _COMMANDS)
    hold = device.completion(device.standard.command("RDMAC16")) + 1
    return _build(shape(m, k, channels, device), device.columns, numbers, hold)


@lru_cache(maxsize=128)
def _build(cut: Shape, columns: int, numbers: tuple[int, ...], hold: int) -> Program:
    write_buffer, write_bias, mac, read_mac = numbers
    program = np.zeros((len(cut.sizes), 1 + 3 * cut.outputs, WIDTH), np.int64)
    program[:, :, 0] = RUN
    program[:, :, 2] = -1
    program[:, :, 4] = 1
    program[:, 0, 1] = write_buffer
    program[:, 1::3, 1] = write_bias
    program[:, 2::3, 1] = mac
    program[:, 3::3, 1] = read_mac
    program[:, 3::3, 6] = hold
    program[:, 0, 4] = cut.sizes
    program[:, 2::3, 4] = np.array(cut.sizes)[:, np.newaxis]
    rows = np.arange(len(cut.sizes) * cut.outputs).reshape(-1, cut.outputs)
    program[:, 2::3, 3] = rows * columns
    return program.reshape(-1, WIDTH)


def run(m: int, k: int, count: int, channels: Channels) -> int:
    """Carry out a GEMV on the first `count` channels; the clock at which the host sees its end."""
    program = requests_of(m, k, count, channels.device)
    clk, data_end = run_segment(program, channels, range(count), FIRST_CLOCK, 0)
    return max(clk, data_end) + 1


def closed_form(m: int, k: int, channels: int, device: Device) -> int:
    """Cycles of a GEMV without refresh or MAC drain, from the timings alone (source: the golden data).

    Per segment the buffer is written, a column at a time.  Then each output row takes
      WRMAC16 -> TMOD 1, TMOD -> PREA nMODCH, PREA -> ACT16 nRP, ACT16 -> MAC16 nRCDRDMAC,
      the MACs, TMOD -> RDMAC16 nMODCH, RDMAC16 -> WRMAC16 or WRGB (turning the pins round).
    The first TMOD issues at clock 1 and the first row needs no PREA; the end is seen
    nCLREG + nBL + 2 clocks after the last RDMAC16.
    """
    c = device.cycles
    cut = shape(m, k, channels, device)
    write, mac = max(c["nBL"], c["nCCDS"]), max(c["nCCDS"], c["nCCDL"])
    turn = c["nCLREG"] + c["nBL"] + 3 - c["nCWLREG"] + c["nWPRE"]
    output = 1 + 2 * c["nMODCH"] + c["nRP"] + c["nRCDRDMAC"] + turn
    first = 1 + c["nMODCH"] - c["nRP"]
    last = c["nCLREG"] + c["nBL"] + 2 - turn
    return first + last + sum(write * size + cut.outputs * (output + mac * size) for size in cut.sizes)
