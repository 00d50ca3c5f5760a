"""The smallest legal distance between two commands, for every pair and scope of any device.

Nothing is known about a command but its row in the device's tables: each distance is what
the twin (`twin.channel.Channel`) answers when it is asked how early the second command may follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from pimsim.dram.spec import Command, Needs, Scope
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import CLOSED, NONE, Channel, uses_row

SCOPES = ("same_bank", "same_bank_group", "other_bank_group")


def gaps(device: Device) -> dict[str, int]:
    """Clocks from one command to the next, {"ACT->RD same_bank": 27, ..., "5th ACT after 1st": 32}.

    A pair's distance is what the constraints between the two ask for, and at least the clock
    that the bus needs; a row of the timing table may make the commands in between wait longer.
    A command that addresses all banks, or none, has the same distance in every scope.  Scopes
    that the device has no banks for are left out.
    """
    found: dict[str, int] = {}
    for first in device.standard.commands:
        channel = Channel(device)
        force(channel, first, 0, 0)
        for second in device.standard.commands:
            for scope, bank in scope_banks(device).items():
                ready = channel.earliest(second.name, bank_of(second, bank))
                found[f"{first.name}->{second.name} {scope}"] = max(1, ready)
    return found | dict(_windows(device))


def scope_banks(device: Device) -> dict[str, int]:
    """The scopes that the device has, each with a bank that is in this scope of bank 0."""
    banks = {"same_bank": 0}
    if device.banks_per_group > 1:
        banks["same_bank_group"] = 1
    if device.bank_groups > 1:
        banks["other_bank_group"] = device.banks_per_group
    return banks


def bank_of(command: Command, bank: int) -> int:
    """`bank` if the command addresses one bank, else none."""
    return bank if command.scope is Scope.BANK else NONE


def force(channel: Channel, command: Command, clk: int, bank: int) -> None:
    """Issue `command` at `clk` with the banks and the mode put in the state that it needs; timing still binds."""
    open_row = 0 if command.needs is Needs.OPEN else CLOSED
    channel.open_rows = [open_row] * channel.device.banks
    channel.mode = command.mode or channel.mode
    row = 0 if uses_row(command) else NONE
    channel.issue(command.name, clk, bank_of(command, bank), row, 0 if command.shows_column else NONE)


def _windows(device: Device) -> Iterator[tuple[str, int]]:
    """For each window of w commands, clocks from the first to number w + 1 as early as they may go."""
    for constraint in device.standard.constraints:
        if constraint.window > 1 and device.latency(constraint) > 0:
            for name in constraint.preceding:
                if name in constraint.following:
                    count = constraint.window + 1
                    yield f"{_ordinal(count)} {name} after 1st", _burst(device, name, count)


def _burst(device: Device, name: str, count: int) -> int:
    """The clock of the last of `count` commands from clock 0, each in the bank where it may go earliest."""
    channel, command, clk = Channel(device), device.standard.command(name), 0
    for _ in range(count):
        clk, bank = min((channel.earliest(name, bank_of(command, bank)), bank) for bank in range(device.banks))
        force(channel, command, clk, bank)
    return clk


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
