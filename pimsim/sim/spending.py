"""What actions spend of something that is supplied over time, for a simulation to find its busiest window.

The simulator knows neither energy nor power: who prices the actions says what each spends, in
whole units, and reads what the busiest window spent in the same units.
"""

from __future__ import annotations

from dataclasses import dataclass

from pimsim.asic.units import Cost
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.layout import Work

FINE = 1 << 16  # parts of a unit, in which the small actions of the ASIC are given


@dataclass(frozen=True)
class Spending:
    """What actions spend.

    window          clocks of a window
    commands        units of each command of the device's table
    add, multiply, sram_byte   1 / FINE units of each action of the ASIC
    """

    window: int
    commands: tuple[int, ...]
    add: int
    multiply: int
    sram_byte: int

    def beside(self, work: Work | None, cost: Cost) -> int:
        """What an instruction spends beside its commands: the ASIC's arithmetic and its SRAM."""
        if work is not None:
            return work.buffered * ELEMENT_BYTES * self.sram_byte // FINE
        return (cost.adds * self.add + cost.multiplies * self.multiply + cost.sram_bytes * self.sram_byte) // FINE
