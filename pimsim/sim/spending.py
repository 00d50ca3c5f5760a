"""What actions spend of something that is supplied over time, for a simulation to find its busiest window.

The simulator knows neither energy nor power: who prices the actions says what each spends, in
whole units, and reads what the busiest window spent in the same units.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]

_LARGEST = 1 << 62
FINE = 1 << 16  # parts of a unit, in which the small actions of the ASIC are given


Operations = tuple[int, int, int]  # additions, multiplications and bytes of the SRAM


class Metered(Protocol):
    """What carries out instructions and can say what they spend, or what they took."""

    def meter_windows(self, window: int, costs: Sequence[int]) -> None:
        """Find the largest sum of any `window` clocks; costs: of each command."""

    def note_into(self, noted: Callable[[Any], None]) -> None:
        """Note what every instruction takes."""


class Spender(Protocol):
    """Who wants to know what a run spends."""

    def meter(self, executor: Metered) -> None:
        """Say what to find."""

    def beside(self, operations: Operations) -> int:
        """What is given of an instruction for its `operations` on the ASIC, not below 0."""

    def beside_each(self, operations: Ints) -> Ints:
        """The same for each row of (t, 3) operations."""


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

    def meter(self, executor: Metered) -> None:
        """Have the busiest window found as the run goes on."""
        executor.meter_windows(self.window, self.commands)

    def beside(self, operations: Operations) -> int:
        """What an instruction spends beside its commands, for its `operations` on the ASIC."""
        adds, multiplies, sram_bytes = operations
        return (adds * self.add + multiplies * self.multiply + sram_bytes * self.sram_byte) // FINE

    def beside_each(self, operations: Ints) -> Ints:
        """The same for each row of (t, 3) operations."""
        adds, multiplies, sram_bytes = (operations[:, k] for k in range(3))
        most = int(operations.max(initial=0)) * (self.add + self.multiply + self.sram_byte)
        if most < _LARGEST:
            return (adds * self.add + multiplies * self.multiply + sram_bytes * self.sram_byte) // FINE
        return np.array([self.beside(tuple(each)) for each in operations.tolist()], np.int64)
