"""The MAC units of PIM-GPT, in clocks of the DRAM."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from math import ceil

from pimsim.config.devices.pim_gpt import PimConfig
from pimsim.config.schema import MemoryConfig
from pimsim.dram.timing import ELEMENT_BYTES, clocks_on_pins


def mac_cycles(dram: MemoryConfig, pim: PimConfig, cycles: Mapping[str, int]) -> dict[str, int]:
    """Clocks per column, drain of the MAC unit, and clocks that the accumulators of all banks take the pins.

    A column of e elements takes e / lanes MAC cycles, its beats, and never less than tCCD.  Its
    last beat enters the pipeline beats - 1 MAC cycles after the first, and its sum comes a
    pipeline later.  Unless configured, the pipeline is one multiplier stage, log2(lanes) adder
    stages and one accumulator stage at one MAC cycle each (assumed from the adder tree the
    paper names).
    """
    clocks_per_mac = Fraction(1000) / (Fraction(pim.clock_GHz) * dram.tCK_ps)
    beats = -(-(dram.column_bytes // ELEMENT_BYTES) // pim.lanes)
    stages = pim.pipeline_stages or 2 + (pim.lanes - 1).bit_length()
    results = dram.bank_groups * dram.banks_per_group * ELEMENT_BYTES
    return {
        "nBLRES": clocks_on_pins(dram, results),
        "nMAC": max(cycles["nCCDL"], ceil(beats * clocks_per_mac)),
        "nDRAIN": ceil((beats - 1 + stages) * clocks_per_mac),
    }
