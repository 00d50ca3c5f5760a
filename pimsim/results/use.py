"""How busy buses, banks and units are over a run, and with what: exact, from its counts."""

from __future__ import annotations

from collections.abc import Callable
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


Counted = Callable[["OperatorTally"], int]


def counters(device: Device) -> dict[str, tuple[Counted, int]]:
    """Of everything that can be busy: how many clocks it is for a row, over all channels, and how many of it there are.

    A command counts for the operator that it is issued for, also where another one's time hides it.
    """
    channels, refreshes = device.channels, set(device.standard.roles.refreshes)
    buses = len({command.bus for command in device.standard.commands})
    turns = max(1, len(device.turns))  # refreshes that a channel can be in at once

    def clocks(spent: Callable[[Command], int]) -> Counted:
        # by name in counts, where a write with a mask is a write
        each = {c.logged or c.name: spent(c) for c in reversed(device.standard.commands)}
        return lambda row: sum(row.commands.get(name, 0) * clocks for name, clocks in each.items())

    def lasting(refresh: bool) -> Counted:
        return clocks(lambda c: device.busy_clocks(c) if (c.name in refreshes) == refresh else 0)

    return {
        "MAC units": (lasting(False), channels),
        "open rows": (lambda row: row.open_cycles, channels),
        "command bus": (lambda row: sum(row.commands.values()), channels * buses),
        "data bus": (clocks(device.pin_clocks), channels * device.data_buses),
        "refresh": (lasting(True), channels * turns),
        "ASIC": (lambda row: row.asic_busy_cycles, 1),
    }


def uses(tally: Tally, device: Device) -> list[Use]:
    """Buses, MAC units, banks (an open row in any of them), refresh, and the ASIC, if they do anything."""
    clocks = max(tally.cycles, 1) * tally.devices
    found = [
        Use(name, [Fraction(counted(row), clocks * most) for row in tally.rows])
        for name, (counted, most) in counters(device).items()
    ]
    return [use for use in found if use.share]
