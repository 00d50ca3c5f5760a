"""Stand-ins for what nothing published tells: silicon area.  Assumed, and only good for comparing designs.

    area_mm2 = devices x (dram + pim + asic)
    dram     channels x banks x rows x row_bytes x 8 / DENSITY
    pim      channels x banks x units of a bank x lanes x LANE, accumulators of a unit beyond the first left out
    asic     ASIC x (SRAM_SHARE x sram_KiB / 128 + (1 - SRAM_SHARE) x (adders + 2 multipliers) / 512)

With the paper's ASIC the last line is the paper's core area.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pimsim.config.schema import Config

DENSITY = 0.13e9  # bits per mm2 (assumed: about an 8 Gb GDDR6 die of 60 mm2)
LANE = 0.01  # mm2 of a BF16 multiplier and its adder in a DRAM process (assumed)
ASIC = 0.64  # mm2 (paper: core area in TSMC 28 nm with 128 KiB, 256 adders, 128 multipliers)
SRAM_SHARE = 0.4  # of it (assumed); a multiplier counts as two adders (assumed)


def area_mm2(config: Config) -> float:
    """The area proxy, mm2."""
    dram, asic = config.dram, config.asic
    banks = dram.channels * dram.bank_groups * dram.banks_per_group
    memory = banks * dram.rows * dram.row_bytes * 8 / DENSITY
    arithmetic = (asic.adders + 2 * asic.multipliers) / 512
    logic = ASIC * (SRAM_SHARE * float(asic.sram_KiB) / 128 + (1 - SRAM_SHARE) * arithmetic)
    device = memory + banks * float(config.pim.units_per_bank) * config.pim.lanes * LANE + logic
    return config.system.devices * device


PROXIES: Mapping[str, Callable[[Config], float]] = {"area_mm2": area_mm2}
