"""By what V is dealt to the channels: by heads, by tokens, or as what is the faster for an attention.

Which one is the faster is not estimated: both layouts' programs are run, at the last context of the workload.
"""

from __future__ import annotations

from pimsim.asic.units import Units
from pimsim.config.schema import Config
from pimsim.dram.timing import ELEMENT_BYTES
from pimsim.mapping.grid import Grid
from pimsim.mapping.layouts import Layouts, Split, Values
from pimsim.workload.ops import Operator

SPLITS: tuple[Split, ...] = ("heads", "tokens")  # of two that are as fast the first


def values_of(config: Config, operator: Operator, grid: Grid, layouts: Layouts, room: int) -> Values:
    """V of an attention with room for so many tokens, as `mapping.values` says."""
    wanted = config.mapping.values
    shape = (operator.heads, operator.kv_heads, operator.v_head_dim, room)
    if wanted == "heads":
        return layouts.values(grid, *shape)
    if wanted == "tokens":
        return layouts.values(grid, *shape, "tokens")
    context = config.workload.last_context
    seen = min(operator.attended().at(context), room)
    both = [layouts.values(grid, *shape, split) for split in SPLITS]
    slot = operator.slot(context) if operator.append else None
    return min(both, key=lambda values: clocks(config, values, operator.outputs, seen, slot))


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
