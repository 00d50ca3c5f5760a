"""What a device is to the rest of the simulator: its table, and, if it multiplies, how.

Everybody else asks the device and names no command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pimsim.config.schema import Config
from pimsim.dram.masks import with_masks
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
    masks     writes of some elements of a column, by the writes of whole ones whose times they have (none: it has none)
    """

    table: Standard
    cycles: MoreCycles | None = None
    layouts: Callable[[Config], Layouts] | None = None
    computed: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)

    @cached_property
    def masked_table(self) -> Standard:
        """The table with its writes of some elements of a column, see `dram.masks`."""
        return with_masks(self.table, self.masks)
