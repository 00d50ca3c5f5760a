"""Writes with a mask, as GDDR6 has them: commands beside those of a table, which write some elements of a column.

GDDR6 has no pins for a mask: it follows the write on the command bus.  WDM (write with double byte mask) has
a bit for each position of the burst, which is 2 bytes of 16 pins, and so a BF16; 8 of them at each edge of
the command clock behind the command's own.  The 16 of a burst take one clock, so that WDM holds the bus for
two (adjacent: the command truth table of Micron's MT61K256M32, a part of JESD250, shows the edges).  WSM, a
bit for each byte, holds it for three, and nobody here needs it.

All else is as in a write without a mask (assumed, where no manual at hand says so): WDM is one of the
writes for tRCDWR, tCCD, tWTR and tWR, write latency counts from its first clock, and the whole burst is on
the pins, the masked positions as well.  Where columns follow at 2 clocks or more, such writes are seamless.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from pimsim.dram.spec import Command, Standard, TimingConstraint

MASK_BITS = 16  # that the command bus takes in a clock: 8 at each edge


def mask_cycles(elements: int) -> dict[str, int]:
    """nWMASK: clocks that the mask of a column of `elements` BF16 takes the command bus, behind the command's own."""
    return {"nWMASK": -(-elements // MASK_BITS)}


def with_masks(table: Standard, masks: Mapping[str, str]) -> Standard:
    """The table with a command more for each of `masks` (its name: that of the write without a mask).

    Every row that names the write names it too.  Logs and counts call it by the write's name.
    """
    masked = tuple(replace(table.command(write), name=name, logged=write) for name, write in masks.items())
    rows = (
        replace(row, preceding=_joined(row.preceding, masks), following=_joined(row.following, masks))
        if _names(row, masks)
        else row
        for row in table.constraints
    )
    commands = table.commands + masked
    return replace(
        table,
        commands=commands,
        constraints=(*rows, *(_bus(command, commands) for command in masked)),
        causes=_causes(table.causes, masks),
    )


def _names(row: TimingConstraint, masks: Mapping[str, str]) -> bool:
    return not {*row.preceding, *row.following}.isdisjoint(masks.values())


def _joined(names: tuple[str, ...], masks: Mapping[str, str]) -> tuple[str, ...]:
    return (*names, *(name for name, write in masks.items() if write in names))


def _bus(masked: Command, commands: tuple[Command, ...]) -> TimingConstraint:
    """The command bus, as long as it carries the mask."""
    after = tuple(command.name for command in commands if command.bus == masked.bus)
    source = "JESD250: WDM has its mask on the command bus, a bit for each of 16 positions in the clock behind its own"
    return TimingConstraint("channel", (masked.name,), after, "1 + nWMASK", source=source)


def _causes(causes: tuple[tuple[str, str, str], ...], masks: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
    """The causes, each row that names a write also with the command that stands for it."""
    found: list[tuple[str, str, str]] = []
    for before, after, cause in causes:
        for first in (before, *(name for name, write in masks.items() if write == before)):
            found += [(first, then, cause) for then in (after, *(n for n, w in masks.items() if w == after))]
    return tuple(found)
