"""The blocks of LPDDR5X-PIM, in clocks of the DRAM."""

from __future__ import annotations

from collections.abc import Mapping

from pimsim.config.devices.lpddr5x_pim import Lpddr5xPimUnits
from pimsim.config.schema import MemoryConfig
from pimsim.devices.pim_gpt.units import mac_cycles
from pimsim.units import to_cycles


def block_cycles(dram: MemoryConfig, pim: Lpddr5xPimUnits, cycles: Mapping[str, int]) -> dict[str, int]:
    """As `mac_cycles` of PIM-GPT, and the clocks that the host waits at a fence."""
    return {**mac_cycles(dram, pim, cycles), "nFENCE": to_cycles(pim.fence_ns, dram.tCK_ps)}
