"""What a device is to the rest of the simulator: its table, and, if it multiplies, how.

Everybody else asks the device and names no command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pimsim.config.schema import Config
from pimsim.dram.spec import Standard
from pimsim.dram.timing import MoreCycles
from pimsim.mapping.layouts import Layouts


@dataclass(frozen=True)
class Hardware:
    """One kind of memory, by the name of its standard.

    table     commands with what they mean, timing constraints, roles, causes
    cycles    timing names that its MAC units add to those of the configuration (None: they add none)
    layouts   of a configuration: where weights, K and V lie, and what multiplies with them (None: no model runs on it)
    computed  the names that `cycles` gives
    """

    table: Standard
    cycles: MoreCycles | None = None
    layouts: Callable[[Config], Layouts] | None = None
    computed: tuple[str, ...] = ()
