"""LPDDR5X-PIM beside what is told of Samsung's figures, and the same LPDDR5X without units.

The figures are a simulator's, told in notes on them: which matrix order, which refresh and which host they are of is
not.  A fence is the time that the host waits between the inputs of a vector and the first product with them.
"""

from __future__ import annotations

from functools import partial

from pimsim import api
from pimsim.config.schema import Config
from pimsim.dram.timing import bits_per_clock
from pimsim.formats import FORMATS as KNOWN
from pimsim.reproduce.data import Input
from pimsim.reproduce.devices import measures
from pimsim.reproduce.devices.study import Keys, Study, case, of_config
from pimsim.sim.run import simulate
from pimsim.workload.models import MODELS, build

DEVICE, PLAIN = "lpddr5x-pim", "lpddr5x"
SIZE = 4096  # inputs of a product, and outputs
WIDTHS = (256, 512, 1024)  # outputs, below 2,048
WAYS = (1, 2, 4)  # parts of the input, each in channels of its own
MODEL = "llama-3-8b"  # of the sizes of Llama-3.1-8B
OPERATIONS = 2  # a multiplication and an addition
FENCE_NS = 150
LONG_READ = 1 << 24  # bytes from which the pace of a host is taken
LLAMA = {
    "workload.model": MODEL, "workload.kv_format": "int8", "workload.lm_head": True,
    "workload.output_tokens": 1, "workload.prompt_tokens": 0,
}  # fmt: skip
# What is multiplied, by the name of the mark: weights, activations.
FORMATS = {
    "w8a8": ("int8", "int8"), "w4a4": ("int4", "int4"), "fp8": ("fp8_e4m3", "fp8_e4m3"),
    "w8a16": ("int8", "bf16"), "w4a16": ("int4", "bf16"), "w4a8": ("int4", "int8"),
}  # fmt: skip


def _package(keys: Keys, formats: str = "", **given: object) -> Config:
    """A package that multiplies a pair of formats ("": BF16)."""
    pair = dict(zip(("workload.weight_format", "workload.activation_format"), FORMATS.get(formats, ()), strict=False))
    return measures.multiplying(DEVICE, {**pair, **given, **of_config(keys)})


def _without(config: Config, keys: Keys) -> float:
    """What a host reads from the same memory without units, bytes per ns."""
    refreshed = config.dram.model_copy(update={"refresh": case(keys, "refresh", config.dram.refresh)})
    plain = measures.plain(config.model_copy(update={"dram": refreshed}), PLAIN)
    return LONG_READ / measures.reading_ns(plain, LONG_READ)


def _unrounded(config: Config) -> float:
    """How much faster the clock is than `tCK_ps` says, which is a whole number: 8 bits of a pin at 9.6 Gb/s."""
    dram = config.dram
    return dram.tCK_ps * float(dram.io.data_rate_Gbps) / (1000 * float(bits_per_clock(dram)))


def inside(keys: Keys) -> float:
    """GB/s that the units of a package take."""
    config = _package(keys)
    return measures.inside_GBps(config, SIZE, SIZE) * _unrounded(config)


def outside(keys: Keys) -> float:
    """GB/s that a host reads from a package."""
    config = _package(keys)
    return measures.outside_GBps(measures.plain(config, PLAIN)) * _unrounded(config)


def ratio(keys: Keys) -> float:
    """Of the two."""
    return round(inside(keys) / outside(keys), 9)  # the paces are differences of times


def peak(formats: str, keys: Keys) -> float:
    """Operations of a package in 1e-12 s, while all units take columns."""
    config = _package(keys, formats)
    per_byte = SIZE * SIZE * OPERATIONS / measures.weight_bytes(config, SIZE, SIZE)
    return measures.inside_GBps(config, SIZE, SIZE) * per_byte / 1000


def gemv(formats: str, fence_ns: int, keys: Keys) -> float:
    """A tile's product against reading its weights from the same memory without units."""
    config, outputs = _package(keys, formats, **{"pim.fence_ns": fence_ns}), case(keys, "outputs", SIZE)
    return measures.product_GBps(config, SIZE, outputs) / _without(config, keys)


def reshape(keys: Keys) -> float:
    """The most that it brings to cut the input into parts, each in channels of its own.

    A channel is then asked for what it is asked for with as many times the outputs of an input so much shorter; the
    additions of the parts' sums, which the host has, are not there.
    """
    config = _package(keys, case(keys, "formats", "w8a8"), **{"pim.fence_ns": FENCE_NS})

    def time(outputs: int, ways: int) -> float:
        return measures.product_ns(config, SIZE // ways, outputs * ways)

    return max(time(width, 1) / min(time(width, ways) for ways in WAYS) for width in case(keys, "widths", WIDTHS))


def llama_host(keys: Keys) -> float:
    """Tokens/s of a host that reads all weights for each token, and has no other work."""
    config = _package(keys, "w4a8")
    weights = build(MODELS[MODEL], lm_head=True).matrix_parameters * KNOWN[FORMATS["w4a8"][0]].bits // 8
    return 1e9 * _without(config, keys) / weights


def llama(keys: Keys) -> float:
    """Tokens/s of a package, with the ASIC of the configuration in the host's place."""
    config = _package(keys, "w4a8", **LLAMA)
    return 1e12 / (simulate(api.prepare(config).plan).cycles * config.dram.tCK_ps)


UNITS_CLOCK = Input("clock of the blocks", ("pim.clock_GHz",), 0.29, 0.3, "assumed", "GHz; none was published")
HOST = Input("host's refresh", ("case.refresh",), "none", "all_bank", "assumed", "whether the read is refreshed too")
UNITS_REFRESH = Input("refresh", ("dram.refresh",), "none", "all_bank", "assumed", "of both; whether theirs had it")
SUMS = Input("kept sums", ("pim.kept_outputs",), 32, 128, "assumed", "sums of a block; none was published")
STAGES = Input("pipeline of a block", ("pim.pipeline_stages",), 1, 6, "assumed", "column times until a sum is there")
MODE = Input(
    "change of the mode", ("dram.timing.tMRD_ns",), 5, 100, "assumed", "ns; a mode register's, and seven of it"
)
CLOSING = Input("closing of all banks", ("dram.timing.tRPab_ns",), 18.348, 30, "assumed", "ns; one bank's, and more")
FENCES = Input("fence", ("pim.fence_ns",), 0, FENCE_NS, "assumed", "ns; whether there was one")
CONTEXT = Input("context", ("workload.context",), 0, 4096, "assumed", "tokens; none was told")
PACKAGES = Input("packages", ("dram.channels",), 4, 8, "assumed", "channels of one package, and of two")
SIZES = Input("widths", ("case.widths",), (1024,), (256,), "assumed", "outputs; which widths they are is not told")
PAIRS = Input("formats", ("case.formats",), "w8a8", "w4a16", "assumed", "which formats gain most is not told")

_TILE = (HOST, UNITS_REFRESH, SUMS, STAGES, MODE, CLOSING)
_ROW = (
    "A row of 64 columns takes 256 clocks, and 55 more until the next row is open: 6.6 of 8 times the pins. Refreshes "
    "take as much of both; against a read without any it is 6.0"
)
_FENCE = "Each filling of the vector registers waits 150 ns, in part while a row opens: registers of 1 kbit serve"

# What the configuration has from these marks.
CLOCK, LANES = ("clock of the blocks",), ("lanes of a pair", "clock of the blocks")

STUDIES = (
    Study("lpddr5x-pim.inside", inside, (), "64 banks give a column of 32 bytes each in 3.33 ns, tCCD_L.", CLOCK),
    Study("lpddr5x-pim.outside", outside, (), "64 pins at 9.6 Gb/s."),
    Study("lpddr5x-pim.ratio", ratio, (), "16 banks give a column in the time in which the pins move two.", CLOCK),
    Study(
        "lpddr5x-pim.tops_int4",
        partial(peak, "w4a4"),
        (UNITS_CLOCK,),
        "64 banks multiply the 64 numbers of a column.",
        LANES,
    ),
    Study(
        "lpddr5x-pim.tflops_fp8",
        partial(peak, "fp8"),
        (UNITS_CLOCK,),
        "64 banks multiply the 32 numbers of a column.",
        LANES,
    ),
    Study("lpddr5x-pim.w8a8", partial(gemv, "w8a8", 0), _TILE, f"{_ROW}."),
    Study("lpddr5x-pim.w4a4", partial(gemv, "w4a4", 0), _TILE, f"{_ROW}."),
    Study("lpddr5x-pim.fp8", partial(gemv, "fp8", 0), _TILE, f"{_ROW}."),
    Study(
        "lpddr5x-pim.w8a16",
        partial(gemv, "w8a16", 0),
        _TILE,
        f"{_ROW}. Registers are filled twice as often as for W8A8: it costs nothing here, since a row closes "
        "meanwhile, and 5 % there.",
    ),
    Study(
        "lpddr5x-pim.w4a16",
        partial(gemv, "w4a16", 0),
        _TILE,
        f"{_ROW}. Registers are filled for each row: it costs nothing here, since the row before closes "
        "meanwhile, and 5 % there.",
    ),
    Study(
        "lpddr5x-pim.fence_w8a8",
        partial(gemv, "w8a8", FENCE_NS),
        _TILE,
        f"{_FENCE} 128 inputs of 8 bits, times 64 outputs of a bank: four rows.",
    ),
    Study(
        "lpddr5x-pim.fence_w4a16",
        partial(gemv, "w4a16", FENCE_NS),
        _TILE,
        f"{_FENCE} 64 inputs of 16 bits, times 64 outputs of a bank: one row of weights of 4 bits.",
        inferred=("when the host waits",),  # a fence for each filling: chosen with this figure in view
    ),
    Study(
        "lpddr5x-pim.reshape",
        reshape,
        (FENCES, SIZES, PAIRS),
        "Few outputs of a bank share a filling of its registers, and a fence; parts of the input in channels of their "
        "own bring more together. The placement itself is not built: it is measured by a matrix of that shape.",
    ),
    Study(
        "lpddr5x-pim.llama_host",
        llama_host,
        (HOST, PACKAGES),
        "The weights are 3.75 GB, which a package's pins move 20 times a second at most: the host that was told of has "
        "more than one, or reads less.",
    ),
    Study(
        "lpddr5x-pim.llama",
        llama,
        (FENCES, CONTEXT, PACKAGES, SUMS),
        "All products run in one package, and a host as fast as the ASIC has the rest; theirs has more than a package, "
        "and what its host does beside is not told.",
    ),
)
