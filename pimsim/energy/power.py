"""The largest mean power over one refresh interval.

What an instruction takes (its commands but for refreshes, its bits, its ASIC operations) is laid
out evenly from its begin to its end.  The begin of work of the channels is when it may start, but
not before the first of the channels that carry it out has issued the latest command of the work
before; that of ASIC work is when it may start and the ASIC is free.  Beneath that lies what is
there all the time: the idle power of the ASIC, standby of every channel with its banks open (an
upper bound), and, unless there is no refresh, one refresh of every channel per interval.

A window is tREFI long, in whole clocks.  The simulation adds up in buckets of the largest power
of two of clocks that is at most tREFI / 4, inside of which power counts as constant, and looks at
every window of that.  The mean over the whole run counts as well, so the peak is never below it;
of a run that is not longer than tREFI there is nothing else.  Of several devices the busiest windows of all add up,
as if they came at once.  Links are taken to be at work in that window, at what they draw on average when they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from pimsim.dram.timing import Device
from pimsim.energy.model import EnergyBreakdown, Prices
from pimsim.sim.spending import FINE, Spending
from pimsim.sim.tally import Tally

_MOST = 1 << 56  # units x clocks that a window holds at most: far from the end of an int64
_FINEST = Fraction(1, 1000)  # pJ of a unit, if the device is small enough


def spending(prices: Prices) -> Spending:
    """What the actions of a run spend, in units of `_unit_pJ`."""
    device, costs, commands = prices.device, prices.actions, _command_pJ(prices)
    unit = _unit_pJ(device, commands)
    add, multiply, byte = (round(FINE * costs[f"asic_{name}"] / unit) for name in ("add", "multiply", "sram"))
    return Spending(device.cycles["nREFI"], tuple(round(pJ / unit) for pJ in commands.values()), add, multiply, byte)


def peak_power_mW(prices: Prices, tally: Tally, energy: EnergyBreakdown) -> float:
    """The largest mean power over one refresh interval, or over the whole run if that is more; mW."""
    device = prices.device
    ns, window = Fraction(device.tCK_ps, 1000), device.cycles["nREFI"]
    mean = sum(energy.exact().values()) / (tally.cycles * ns) if tally.cycles else Fraction(0)
    if tally.cycles <= window:
        return float(mean)
    laid_out = tally.busiest_window * _unit_pJ(device, _command_pJ(prices))
    everywhere = tally.devices * background_mW(prices) + links_mW(tally, energy, ns)
    return float(max(laid_out / (window * ns) + everywhere, mean))


def links_mW(tally: Tally, energy: EnergyBreakdown, ns: Fraction) -> Fraction:
    """What links draw while all of them are at work; of messages between stages, beside work, their mean; mW.

    ns: of a clock.
    """
    busy, at_work, beside = 0, Fraction(0), Fraction(0)
    for row, priced in zip(tally.rows, energy.rows, strict=True):
        pJ = priced.counts["link"] * priced.costs["link"]
        if row.moved_bytes and row.outside_cycles:
            busy, at_work = busy + row.outside_cycles, at_work + pJ
        else:
            beside += pJ
    while_at_work = at_work * tally.devices / (busy * ns) if busy else Fraction(0)
    return while_at_work + (beside / (tally.cycles * ns) if beside else 0)


def background_mW(prices: Prices) -> Fraction:
    """What one device draws all the time: the idle ASIC, open banks everywhere, refresh; with another machine beside it
    that at full load; mW.
    """
    device, costs = prices.device, prices.actions
    ns = Fraction(device.tCK_ps, 1000)
    refresh = costs["refresh"] / (device.cycles["nREFI"] * ns) if device.refresh != "none" else 0
    machine = costs["machine_idle"] + costs["machine_work"]
    return (costs["asic_idle"] + machine) / ns + device.channels * (costs["standby_active"] / ns + refresh)


def _command_pJ(prices: Prices) -> dict[str, Fraction]:
    """pJ of each command; refreshes count as drawn all the time."""
    refreshes = prices.device.standard.roles.refreshes
    return {name: Fraction(0) if name in refreshes else pJ for name, pJ in prices.commands.items()}


def _unit_pJ(device: Device, commands: Mapping[str, Fraction]) -> Fraction:
    """A femtojoule, or so many that a command of each channel in each clock is a sum that the engine can hold."""
    window = device.cycles["nREFI"]
    unit = _FINEST
    while device.channels * max(commands.values()) * window * window > _MOST * unit:
        unit *= 2
    return unit
