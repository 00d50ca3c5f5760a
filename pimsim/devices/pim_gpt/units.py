"""The MAC units of PIM-GPT, in clocks of the DRAM."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import ceil

from pimsim.config.devices.pim_gpt import PimConfig
from pimsim.config.schema import MemoryConfig
from pimsim.devices.pim_gpt.table import MULTIPLY
from pimsim.dram.formats import Variant
from pimsim.dram.spec import Does
from pimsim.dram.timing import ELEMENT_BYTES, clocks_on_pins
from pimsim.formats import INTEGER_SUM_BITS, NATIVE_PAIR, PAIRS, SUM_BITS
from pimsim.mapping.grid import Grid


def mac_cycles(dram: MemoryConfig, pim: PimConfig, cycles: Mapping[str, int]) -> dict[str, int]:
    """Clocks per column, drain of the MAC unit, and clocks that the accumulators of all banks take the pins.

    A column of e elements takes e / lanes MAC cycles, its beats, and never less than tCCD.  Its
    last beat enters the pipeline beats - 1 MAC cycles after the first, and its sum comes a
    pipeline later.  Unless configured, the pipeline is one multiplier stage, log2(lanes) adder
    stages and one accumulator stage at one MAC cycle each (assumed from the adder tree the
    paper names).  A unit that several banks share takes their columns in turn.
    """
    results = dram.bank_groups * dram.banks_per_group * ELEMENT_BYTES
    found = {"nBLRES": clocks_on_pins(dram, results)}
    found |= _paces(dram, pim, dram.column_bytes // ELEMENT_BYTES, pim.lanes, cycles["nCCDL"], "")
    for name, lanes in pim.formats.items():
        if name != NATIVE_PAIR and name in PAIRS:
            numbers = dram.column_bytes * 8 // PAIRS[name].stored.bits
            found |= _paces(dram, pim, numbers, lanes, cycles["nCCDL"], f"_{name}")
    if any(PAIRS[name].exact for name in pim.formats if name in PAIRS):
        found[WIDE] = clocks_on_pins(dram, results * INTEGER_SUM_BITS // SUM_BITS)
    return found


def _paces(dram: MemoryConfig, pim: PimConfig, numbers: int, lanes: int, least: int, suffix: str) -> dict[str, int]:
    """nMAC and nDRAIN of a column of so many numbers through so many lanes."""
    clocks_per_mac = Fraction(1000) / (Fraction(pim.clock_GHz) * dram.tCK_ps)
    beats, stages = -(-numbers // lanes), pim.pipeline_stages or 2 + (lanes - 1).bit_length()
    turn = max(least, ceil(beats * clocks_per_mac))
    return {
        f"nMAC{suffix}": pim.turns * turn,
        f"nDRAIN{suffix}": (pim.turns - 1) * turn + ceil((beats - 1 + stages) * clocks_per_mac),
    }


WIDE = "nBLRES32"  # clocks that the accumulators of all banks occupy the pins as integers of 32 bits


def variants(pairs: tuple[str, ...]) -> Sequence[Variant]:
    """The commands for pairs of formats: a multiplication with times of its own, and a read of whole integers."""
    _, multiply, give = MULTIPLY
    found = [
        Variant(
            multiply_of(name),
            multiply,
            {time: f"{time}_{name}" for time in ("nMAC", "nDRAIN")},
            {"pair": name},
        )
        for name in pairs
        if name != NATIVE_PAIR
    ]
    if any(PAIRS[name].exact for name in pairs):
        moves = f"{INTEGER_SUM_BITS // SUM_BITS} * banks * element"
        found.append(Variant(GIVE_WHOLE, give, {"nBLRES": WIDE}, {"moves": moves, "does": Does.GIVE_WHOLE}))
    return found


GIVE_WHOLE = "RDMAC32"


def multiply_of(pair: str) -> str:
    """The command that multiplies a pair of formats."""
    return MULTIPLY[1] if pair == NATIVE_PAIR else f"{MULTIPLY[1]}_{pair}"


def multiply_with(grid: Grid) -> tuple[int, int, int]:
    """The commands of a product in the formats of a grid: a vector into the buffer, its products, their sums."""
    fill, _, give = MULTIPLY
    names = fill, multiply_of(grid.pair or NATIVE_PAIR), GIVE_WHOLE if grid.whole_sums else give
    first, second, third = map(grid.command, names)
    return first, second, third
