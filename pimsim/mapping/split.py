"""By what V is dealt to the channels: by heads, by tokens, or as what is the faster for an attention.

Which one is the faster is not estimated: both layouts' programs are run, at the last context of the workload.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.formats import grids
from pimsim.mapping.grid import Grid
from pimsim.mapping.layouts import Layouts, Split, Values
from pimsim.workload.ops import Operator

SPLITS: tuple[Split, ...] = ("heads", "tokens")  # of two that are as fast the first


class Asked(NamedTuple):
    """An attention whose V is to be dealt: its operator, the last context, and the tokens that there is room for."""

    operator: Operator
    context: int
    room: int

    @property
    def seen(self) -> int:
        """Tokens that are attended to at last."""
        return min(self.operator.attended().at(self.context), self.room)


@dataclass
class _Group:
    """Attentions that share caches, so that they have one split."""

    copies: set[Hashable]
    asked: list[Asked]
    split: Split | None = None


class Splits:
    """The splits of all attentions of graphs that share a memory."""

    def __init__(self, config: Config, grid: Grid, layouts: Layouts) -> None:
        self._config, self._grid, self._layouts = config, grid, layouts
        self._groups: list[_Group] = []

    def add(self, copies: Iterable[Hashable], asked: Asked) -> None:
        """An attention that has these caches."""
        new = _Group(set(copies), [asked])
        for group in [group for group in self._groups if group.copies & new.copies]:
            new = _Group(group.copies | new.copies, [*group.asked, *new.asked])
            self._groups.remove(group)
        self._groups.append(new)

    def of(self, copies: Sequence[Hashable]) -> Split:
        """What `mapping.values` says, or the faster one where the most tokens are seen of these caches."""
        wanted = self._config.mapping.values
        if wanted != "auto":
            return wanted
        group = next(group for group in self._groups if copies[0] in group.copies)
        if group.split is None:
            most = max(group.asked, key=lambda asked: asked.seen)
            group.split = faster(self._config, self._grid, self._layouts, most)
        return group.split


def faster(config: Config, grid: Grid, layouts: Layouts, asked: Asked) -> Split:
    """Which split takes fewer clocks at the last context."""
    operator = asked.operator
    shape = (operator.heads, operator.kv_heads, operator.v_head_dim, asked.room)
    slot = operator.slot(asked.context) % asked.room if operator.append else None
    grid = grids(config, grid)(operator)
    of = {split: layouts.values(grid, *shape, split) for split in SPLITS}
    return min(SPLITS, key=lambda split: clocks(config, of[split], operator.outputs, asked.seen, slot))


def clocks(config: Config, values: Values, outputs: int, seen: int, slot: int | None) -> int:
    """DRAM clocks of p V over `seen` tokens by itself, of all that is not the same for both layouts.

    One after another: V of one token is appended to `slot` (None: none is), p V, and the partial results that come
    last are added up, or all of them where the ASIC does not stream.  The memory starts idle.
    """
    from pimsim.dram.engine import Engine  # a plan by heads or by tokens runs nothing

    grid = values.grid
    works = [] if slot is None else [values.append(slot)]
    works.append(values.weigh_columns(grid.columns_of(seen)).moving(values.weigh_moves(seen)))
    engine, units, tCK, at = Engine(grid.device), Units(config.asic), grid.device.tCK_ps, 0
    for work in works:
        end = engine.run(work.program, work.spans, 0, at, engine.new_totals())
        ports = units.port_clocks(work.sent * ELEMENT_BYTES, work.results * ELEMENT_BYTES, tCK)
        at = max(end, *(at + clocks for clocks in ports))
    sums = outputs * (values.partial_sums(seen) - 1)
    if not sums:
        return at
    last = min(sums, grid.device.channels * grid.banks) if config.asic.streaming else sums
    return at + units.timed("sum", last, 1, 1, tCK).clocks
