"""The units of HBM2-PIM, in clocks of the DRAM."""

from __future__ import annotations

from collections.abc import Mapping

from pimsim.config.devices.hbm2_pim import Hbm2PimUnits
from pimsim.config.schema import MemoryConfig
from pimsim.devices.pim_gpt.units import mac_cycles

COMPUTED = ("nMAC", "nDRAIN")


def unit_cycles(dram: MemoryConfig, pim: Hbm2PimUnits, cycles: Mapping[str, int]) -> dict[str, int]:
    """Clocks per column, and from a column to its sum: those of a MAC unit, whose pace is tCCD_L at least."""
    made = mac_cycles(dram, pim, cycles)
    return {name: made[name] for name in COMPUTED}
