"""How busy buses, banks and units are over a run, and with what: exact, from its counts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, NamedTuple

from pimsim.dram.spec import Command

if TYPE_CHECKING:
    from pimsim.dram.timing import Device
    from pimsim.sim.tally import OperatorTally, Tally


class Use(NamedTuple):
    """Something that is busy or not in each clock.

    name    as people read it
    shares  of the clocks of the whole run those that it is busy for each row of the tally, 0 to 1; over all channels
    """

    name: str
    shares: list[Fraction]

    @property
    def share(self) -> Fraction:
        """Of all rows together."""
        return sum(self.shares, Fraction(0))


def uses(tally: Tally, device: Device) -> list[Use]:
    """Command bus, data bus, MAC units, banks (an open row in any of them), refresh, and the ASIC, if they do anything.

    A command counts for the operator that it is issued for, also where another one's time hides it.
    """
    channels, refreshes = device.channels * tally.devices, set(device.standard.roles.refreshes)
    buses = len({command.bus for command in device.standard.commands})
    turns = max(1, len(device.turns))  # refreshes that a channel can be in at once

    def clocks(row: OperatorTally, each: Mapping[str, int]) -> int:
        return sum(row.commands.get(name, 0) * spent for name, spent in each.items())

    def of(spent: Callable[[Command], int]) -> dict[str, int]:
        """By name in counts, where a write with a mask is a write."""
        return {c.logged or c.name: spent(c) for c in reversed(device.standard.commands)}

    def lasting(refresh: bool) -> dict[str, int]:
        return of(lambda c: device.busy_clocks(c) if (c.name in refreshes) == refresh else 0)

    counted = {
        "MAC units": ([clocks(row, lasting(False)) for row in tally.rows], channels),
        "open rows": ([row.open_cycles for row in tally.rows], channels),
        "command bus": ([sum(row.commands.values()) for row in tally.rows], channels * buses),
        "data bus": ([clocks(row, of(device.pin_clocks)) for row in tally.rows], channels * device.data_buses),
        "refresh": ([clocks(row, lasting(True)) for row in tally.rows], channels * turns),
        "ASIC": ([row.asic_busy_cycles for row in tally.rows], tally.devices),
    }
    all_clocks = max(tally.cycles, 1)
    found = [Use(name, [Fraction(n, all_clocks * most) for n in each]) for name, (each, most) in counted.items()]
    return [use for use in found if use.share]
