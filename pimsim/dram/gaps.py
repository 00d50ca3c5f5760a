"""The smallest legal distance between two commands, for every pair and scope of any device.

Nothing is known about a command but its row in the device's tables: each distance is what
the twin (`twin.channel.Channel`) answers when it is asked how early the second command may follow.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pimsim.dram.spec import Command, Needs, Standard
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import CLOSED, NONE, Channel, uses_row


def gaps(device: Device) -> dict[str, int]:
    """Clocks from one command to the next, {"ACT->RD same_bank": 27, ..., "5th ACT after 1st": 32}.

    A pair's distance is what the constraints between the two ask for, and at least the clock
    that the bus needs if they share one; a row of the timing table may make the commands in
    between wait longer.  A command that addresses all banks, or none, has the same distance in
    every scope.  Scopes that the device has no banks for are left out.
    """
    found: dict[str, int] = {}
    for first in device.standard.commands:
        channel = Channel(device)
        force(channel, first, 0, 0)
        for second in device.standard.commands:
            for scope, bank in scope_banks(device).items():
                ready = channel.earliest(second.name, bank_of(second, bank))
                found[f"{first.name}->{second.name} {scope}"] = max(int(first.bus == second.bus), ready)
    return found | dict(_windows(device))


def scopes(standard: Standard) -> tuple[str, ...]:
    """How near two banks may be, the nearest first: in the same node of a level, or in two of the widest."""
    levels = [level.name for level in standard.levels[1:]]
    return (*(f"same_{level}" for level in reversed(levels)), f"other_{levels[0]}")


def scope_banks(device: Device) -> dict[str, int]:
    """The scopes that the device has, each with the lowest bank that is in this scope of bank 0."""
    banks: dict[str, int] = {}
    for bank in range(device.banks):
        banks.setdefault(_scope(device, bank), bank)
    return {scope: banks[scope] for scope in scopes(device.standard) if scope in banks}


def _scope(device: Device, bank: int) -> str:
    """The scope of a bank and bank 0: that of the narrowest level of which they share a node."""
    levels = [level.name for level in device.standard.levels[1:]]
    shared = [level for level in levels if device.nodes[level][bank] == device.nodes[level][0]]
    return f"same_{shared[-1]}" if shared else f"other_{levels[0]}"


def bank_of(command: Command, bank: int) -> int:
    """`bank` if a bank goes with the command, else none."""
    return bank if command.has_bank else NONE


def force(channel: Channel, command: Command, clk: int, bank: int) -> None:
    """Issue `command` at `clk` with the banks and the mode put in the state that it needs; timing still binds."""
    open_row = 0 if command.needs is Needs.OPEN else CLOSED
    channel.open_rows = [open_row] * channel.device.banks
    channel.mode = command.mode or channel.mode
    row = 0 if uses_row(command) else NONE
    channel.issue(command.name, clk, bank_of(command, bank), row, 0 if command.shows_column else NONE)


def _windows(device: Device) -> Iterator[tuple[str, int]]:
    """For each window of w commands, clocks from the first to number w + 1 in its node as early as they may go."""
    for constraint in device.standard.constraints:
        if constraint.window > 1 and device.latency(constraint) > 0:
            for name in constraint.preceding:
                if name in constraint.following:
                    count = constraint.window + 1
                    node = device.nodes[constraint.level]
                    banks = [bank for bank in range(device.banks) if node[bank] == node[0]]
                    yield f"{_ordinal(count)} {name} after 1st", _burst(device, name, count, banks)


def _burst(device: Device, name: str, count: int, banks: Sequence[int]) -> int:
    """The clock of the last of `count` commands from clock 0, each in that of `banks` where it may go earliest."""
    channel, command, clk = Channel(device), device.standard.command(name), 0
    for _ in range(count):
        clk, bank = min((channel.earliest(name, bank_of(command, bank)), bank) for bank in banks)
        force(channel, command, clk, bank)
    return clk


def _ordinal(number: int) -> str:
    teen = number % 100 in (11, 12, 13)
    return f"{number}{'th' if teen else {1: 'st', 2: 'nd', 3: 'rd'}.get(number % 10, 'th')}"
