"""A Chrome trace that says more of each instruction, as soon as somebody knows it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import IO, Any

from pimsim.dram.engine import FOREVER
from pimsim.dram.timing import Device
from pimsim.energy.model import Prices
from pimsim.sim.observer import Executed
from pimsim.timeline.chrome import ChromeTimeline
from pimsim.timeline.watcher import MOST_COMMANDS

Told = Callable[[Executed], Mapping[str, float]]


class ToldTimeline(ChromeTimeline):
    """The same, with what `told` has of an instruction among its arguments.

    told  asked when the run is over: what an instruction makes is known later than when it ran.  A number that is
          none (NaN, an infinity) is written as text: JSON has no other way
    """

    def __init__(
        self,
        file: IO[str],
        device: Device,
        prices: Prices,
        told: Told,
        span: tuple[int, int] = (0, FOREVER),
        most: int = MOST_COMMANDS,
    ) -> None:
        super().__init__(file, device, prices, span, most)
        self._told = told
        self._held: list[Executed] = []

    def carry_out(self, executed: Executed) -> None:
        """Keep an instruction until the end."""
        self._held.append(executed)

    def about(self, executed: Executed) -> dict[str, Any]:
        """With what was told."""
        return super().about(executed) | {name: _shown(value) for name, value in self._told(executed).items()}

    def close(self) -> None:
        """Write the instructions, then the rest."""
        for executed in self._held:
            super().carry_out(executed)
        super().close()


def _shown(value: float) -> float | str:
    """Six digits."""
    return float(f"{value:.6g}") if math.isfinite(value) else str(value)
