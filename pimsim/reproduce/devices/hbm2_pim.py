"""HBM2-PIM beside what Samsung published of it: a stack, two in an Alveo U280, and four beside a GPU.

The memory without units is the same one in the mode in which it is plain HBM2.
"""

from __future__ import annotations

from fractions import Fraction

from pimsim.config.devices.hbm2_pim import Hbm2PimUnits
from pimsim.config.schema import Config
from pimsim.devices.hbm2_pim.products import Registers, addition
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.traffic import DEPTH
from pimsim.energy.model import action_costs
from pimsim.mapping.grid import make_grid
from pimsim.mapping.work import assemble
from pimsim.reproduce.data import Input
from pimsim.reproduce.devices import measures
from pimsim.reproduce.devices.study import Keys, Study, case, of_config
from pimsim.traffic.run import simulate_traffic
from pimsim.units import to_cycles

STACK = 16  # pseudo-channels
U280, GPU = 2 * STACK, 4 * STACK
SIZE = 4096  # inputs of a product, and outputs
FLOPS_PER_BYTE = 1  # an element of 2 bytes is multiplied and added
CELL = 1024  # elements of the state of an LSTM
VECTOR = 1 << 20  # elements of a vector that is added
READ = 2 / 3  # of what a host moves to add two vectors


def _stacks(keys: Keys, channels: int = STACK) -> Config:
    return measures.multiplying("hbm2-pim", {"dram.channels": channels, **of_config(keys)})


def inside(keys: Keys) -> float:
    """GB/s that the units of a stack take."""
    return measures.inside_GBps(_stacks(keys), SIZE, SIZE)


def outside(keys: Keys) -> float:
    """GB/s that a host reads from a stack."""
    return measures.outside_GBps(_stacks(keys))


def ratio(keys: Keys) -> float:
    """Of the two."""
    return inside(keys) / outside(keys)


def tflops(keys: Keys) -> float:
    """Peak of a stack, TFLOPS."""
    return inside(keys) * FLOPS_PER_BYTE / 1000


def _speedup(keys: Keys, channels: int, inputs: int, outputs: int) -> float:
    memory = _stacks(keys, channels)
    return measures.speedup(memory, memory, inputs, outputs, depth=case(keys, "depth", DEPTH))


def gemv_u280(keys: Keys) -> float:
    """A square product against reading its weights, two stacks."""
    size = case(keys, "size", SIZE)
    return _speedup(keys, U280, size, size)


def gemv_gpu(keys: Keys) -> float:
    """The same with four stacks, against a stream of reads: how a GPU's kernel reads is not published."""
    size = case(keys, "size", SIZE)
    return _speedup(keys, GPU, size, size)


def lstm_u280(keys: Keys) -> float:
    """The products of an LSTM's cell, its input and its state with four gates; what stays with the host is as long."""
    cell, stays = case(keys, "cell", CELL), float(case(keys, "stays", 0))
    return 1 / ((1 - stays) / _speedup(keys, U280, 2 * cell, 4 * cell) + stays)


def add_u280(keys: Keys) -> float:
    """z = x + y in the units of two stacks, against a host that reads x and y and writes z."""
    memory, elements = _stacks(keys, U280), case(keys, "elements", VECTOR)
    device = device_of(memory)
    moved = 3 * elements // device.column_elements
    depth = case(keys, "depth", DEPTH)
    host = simulate_traffic(device, requests=moved, read_fraction=READ, depth=depth)
    return host.clocks / _addition_clocks(memory, elements)


def _addition_clocks(memory: Config, elements: int) -> int:
    """Clocks of an addition in the units, which have equal shares of the elements."""
    device, pim = device_of(memory), memory.pim
    assert isinstance(pim, Hbm2PimUnits)
    columns = -(-elements // (device.column_elements * device.mac_columns * device.channels))
    registers = Registers(pim.registers, to_cycles(pim.fence_ns, device.tCK_ps), pim.fence_commands)
    one = addition(make_grid(device, pim.global_buffer_bytes), registers, columns)
    work, engine = assemble([one] * device.channels), Engine(device)
    return engine.run(work.program, work.spans, 0, 0, engine.new_totals(), 0)


def energy_bit(keys: Keys) -> float:
    """Energy of a bit that a host reads, array and pins, over that of one that a unit takes from its bank."""
    memory = _stacks(keys)
    device, costs = device_of(memory), action_costs(memory)
    factor = Fraction(case(keys, "factor", costs["mac_read"] / costs["column_read"]))
    bits = 8 * device.column_bytes
    unit = factor * costs["column_read"] / 2 / (device.mac_columns * bits)  # half of the banks give a column
    return float((costs["column_read"] / bits + costs["io"]) / unit)


SIZES = Input(
    "size of the matrix", ("case.size",), 1024, 8192, "assumed", "inputs and outputs; those measured were not read"
)
FENCE = Input(
    "fences", ("pim.fence_ns",), 0, 20, "assumed", "ns for each 8 commands; none, and a round trip to the pins"
)
MODE = Input(
    "change of mode", ("dram.timing.tMODCH_ns",), 48, 200, "assumed", "ns; a row cycle, and that for each group"
)
REGISTERS = Input(
    "registers for sums", ("pim.registers",), 8, 16, "assumed", "of a unit; GRF_B, and one set for each bank"
)
QUEUE = Input("host's queue", ("case.depth",), 4, 64, "assumed", "reads that wait in a channel; no host was described")
STAYS = Input("what stays with the host", ("case.stays",), 0, 0.3, "assumed", "of an LSTM's time; it was not published")
READS = Input(
    "energy of a MAC", ("case.factor",), 3, 16, "assumed", "of all banks, in reads; GDDR6-AiM's, and one for each bank"
)
PINS = Input("energy of the pins", ("dram.io.energy_pJ_per_bit",), 0.4, 1.5, "assumed", "pJ; about the recalled 0.8")
VECTORS = Input(
    "size of the vectors", ("case.elements",), 1 << 18, 1 << 24, "assumed", "elements; those measured were not read"
)
CELLS = Input("size of the LSTM", ("case.cell",), 512, 2048, "assumed", "elements of its state; not published")

STUDIES = (
    Study("hbm2-pim.tflops", tflops, (), "16 lanes in each of 128 units take a column in 4 clocks of 0.83 ns."),
    Study("hbm2-pim.inside", inside, (), "8 of the 16 banks of a pseudo-channel give a column of 32 bytes in tCCD_L."),
    Study("hbm2-pim.outside", outside, (), "64 pins of a pseudo-channel move a column in 2 clocks, at 2.4 Gb/s."),
    Study("hbm2-pim.ratio", ratio, (), "8 banks are read at once at half of the pace of the pins."),
    Study(
        "hbm2-pim.gemv_u280",
        gemv_u280,
        (SIZES, FENCE, MODE, REGISTERS, QUEUE),
        "Of the 4 x inside, the vector on its way to the registers and the rows that open meanwhile leave 3.1 x over "
        "a stream of reads; a fence of 20 ns for each 8 commands leaves 2.1 x, and the published 2.8 x is between.",
    ),
    Study(
        "hbm2-pim.add_u280",
        add_u280,
        (VECTORS, FENCE, QUEUE),
        "Of each 24 columns 8 are loaded, 8 added and 8 written back by all units at tCCD_L, and the column path turns "
        "round twice; a host moves as many over the pins, which it keeps 83 % busy as it reads and writes in turn.",
    ),
    Study(
        "hbm2-pim.lstm_u280",
        lstm_u280,
        (CELLS, FENCE, STAYS),
        "The products of a cell go as a GEMV does; what the host does besides is not known and not in the figure.",
    ),
    Study(
        "hbm2-pim.gemv_gpu",
        gemv_gpu,
        (SIZES, FENCE, MODE),
        "At most 4 x can come of the memory. The figure is over a stream of reads; the published one is over a GPU's "
        "kernel, which would have to read at 35 % of that pace, and how it reads is not described.",
    ),
    Study(
        "hbm2-pim.energy_bit",
        energy_bit,
        (READS, PINS),
        "What a column costs on its way into a unit decides, and was not published. The figure is at GDDR6-AiM's three "
        "reads for all 16 banks; at a read for each bank it is 1.5 x, and the published one lies between.",
    ),
)
