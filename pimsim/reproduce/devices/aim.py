"""GDDR6-AiM beside what SK hynix published of it: a chip of two channels, and the same GDDR6 without units."""

from __future__ import annotations

from pimsim.config.schema import Config
from pimsim.dram.traffic import DEPTH
from pimsim.reproduce.data import Input
from pimsim.reproduce.devices import measures
from pimsim.reproduce.devices.study import Keys, Study, case, of_config

CHANNELS = 2  # of a chip
SIZE = 4096  # inputs of a product, and outputs
FLOPS_PER_BYTE = 1  # an element of 2 bytes is multiplied and added


def _chip(keys: Keys, channels: int = CHANNELS) -> Config:
    return measures.multiplying("aim", {"dram.channels": channels, **of_config(keys)})


def inside(keys: Keys) -> float:
    """GB/s that the units of a channel take."""
    return measures.inside_GBps(_chip(keys, 1), SIZE, 64)


def outside(keys: Keys) -> float:
    """GB/s that a host reads from a channel."""
    return measures.outside_GBps(measures.plain(_chip(keys, 1), "gddr6"))


def ratio(keys: Keys) -> float:
    """Of the two."""
    return inside(keys) / outside(keys)


def tflops(keys: Keys) -> float:
    """Peak of a chip, TFLOPS."""
    return measures.inside_GBps(_chip(keys), SIZE, 64) * FLOPS_PER_BYTE / 1000


def gemv(keys: Keys) -> float:
    """A square product against reading its weights from the same memory without units."""
    chip, size = _chip(keys), case(keys, "size", SIZE)
    plain = measures.plain(chip, "gddr6")
    return measures.speedup(chip, plain, size, size, depth=case(keys, "depth", DEPTH))


SIZES = Input("size of the matrix", ("case.size",), 1024, 16384, "assumed", "inputs and outputs; none was published")
MODE = Input("register mode", ("dram.timing.tMODCH_ns",), 2, 16, "assumed", "ns; the long one is the reference's")
START = Input("start of a MAC", ("dram.timing.tRCDRDMAC_ns",), 18, 28, "assumed", "ns; a read's, and the reference's")
DRAIN = Input(
    "MAC drain", ("dram.timing.tMACDRAIN_ns",), 1, 11, "assumed", "ns; one column time, and twice the shipped"
)
QUEUE = Input("host's queue", ("case.depth",), 4, 64, "assumed", "reads that wait in a channel; no host was described")

STUDIES = (
    Study("aim.tflops", tflops, (), "16 lanes in each of 32 banks take a column every ns."),
    Study("aim.inside", inside, (), "Each of 16 banks gives a column of 32 bytes every ns."),
    Study("aim.outside", outside, (), "16 pins at 16 Gb/s move one column every ns."),
    Study("aim.ratio", ratio, (), "16 banks are read at once, and the pins move one column at a time."),
    Study(
        "aim.gemv",
        gemv,
        (SIZES, MODE, START, DRAIN, QUEUE),
        "A row is one sum: its 64 columns take 64 ns, then the row changes (44 ns) and so does the register mode, "
        "twice (32 ns), so units work 41 % of the time, while a stream of reads keeps the pins 93 % busy. The mode's "
        "16 ns, the reference simulator's, put the figure below the published range; 10 ns would put it inside.",
    ),
)
