"""What a device is to the rest of the simulator: its table, and, if it multiplies, how.

Everybody else asks the device and names no command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from pimsim.config.schema import Config
from pimsim.dram.formats import Variant, with_variants
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
    formats   the commands for pairs of formats beside those of 16 bits, by the names of the pairs (None: it has none)
    """

    table: Standard
    cycles: MoreCycles | None = None
    layouts: Callable[[Config], Layouts] | None = None
    computed: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    formats: Callable[[tuple[str, ...]], Sequence[Variant]] | None = None
    _made: dict[tuple[bool, tuple[str, ...]], Standard] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )  # a copy with another table has its own

    @property
    def masked_table(self) -> Standard:
        """The table with its writes of some elements of a column, see `dram.masks`."""
        return self.table_for(masked=True)

    def table_for(self, masked: bool = False, pairs: tuple[str, ...] = ()) -> Standard:
        """The table with its writes of some elements of a column, and with commands for pairs; the same one each time.

        pairs: by name, see `pimsim.formats`; only of a device that has `formats`.
        """
        key = masked, pairs
        if key not in self._made:
            table = with_masks(self.table, self.masks) if masked else self.table
            variants = self.formats(pairs) if self.formats and pairs else ()
            self._made[key] = with_variants(table, variants) if variants else table
        return self._made[key]
