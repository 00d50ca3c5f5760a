"""What a device is to the rest of the simulator: its table, and, if it multiplies, how.

Everybody else asks the device and names no command.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pimsim.config.schema import Config
from pimsim.dram.formats import Variant, with_variants
from pimsim.dram.masks import with_masks
from pimsim.dram.spec import Standard
from pimsim.dram.timing import MoreCycles
from pimsim.formats import PAIRS
from pimsim.mapping.layouts import Layouts

ONE_UNIT = (1, 1, 1, 1)


@dataclass(frozen=True)
class Hardware:
    """One kind of memory, by the name of its standard.

    table     commands with what they mean, timing constraints, roles, causes
    cycles    timing names that its MAC units add to those of the configuration (None: they add none)
    layouts   of a configuration: where weights, K and V lie, and what multiplies with them (None: no model runs on it)
    computed  the names that `cycles` gives
    masks     writes of some elements of a column, by the writes of whole ones whose times they have (none: it has none)
    formats   the commands for pairs of formats beside those of 16 bits, by the names of the pairs (None: it has none)
    units     the table with what other MAC units than one a bank add to it, by `MacCount.shape` (None: it has none)
    """

    table: Standard
    cycles: MoreCycles | None = None
    layouts: Callable[[Config], Layouts] | None = None
    computed: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    formats: Callable[[tuple[str, ...]], Sequence[Variant]] | None = None
    units: Callable[[Standard, int, int, int, int], Standard] | None = None
    _made: dict[Hashable, Standard] = field(
        default_factory=dict, init=False, compare=False, repr=False
    )  # a copy with another table has its own

    @property
    def command_names(self) -> Iterator[str]:
        """Every name of a command that logs may have, in whatever formats and with whatever units."""
        yield from self.table.log_names
        formats = self.formats(tuple(PAIRS)) if self.formats else ()
        yield from (variant.name for variant in formats)
        if self.units:
            shapes = ((2, 1, 1, 1), (1, 2, 2, 2))
            yield from (name for shape in shapes for name in self.units(self.table, *shape).log_names)

    @property
    def masked_table(self) -> Standard:
        """The table with its writes of some elements of a column, see `dram.masks`."""
        return self.table_for(masked=True)

    def table_for(
        self, masked: bool = False, pairs: tuple[str, ...] = (), units: tuple[int, int, int, int] = ONE_UNIT
    ) -> Standard:
        """The table with its writes of some elements of a column, with commands for pairs, and with those of its MAC
        units; the same one each time.

        pairs: by name, see `pimsim.formats`; only of a device that has `formats`.
        units: as `MacCount.shape`; only of a device that has `units`.
        """
        key = masked, pairs, units
        if key not in self._made:
            table = with_masks(self.table, self.masks) if masked else self.table
            variants = self.formats(pairs) if self.formats and pairs else ()
            table = with_variants(table, variants) if variants else table
            self._made[key] = self.units(table, *units) if self.units and units != ONE_UNIT else table
        return self._made[key]
