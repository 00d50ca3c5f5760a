"""Traces as Ramulator 2 has them: the commands that a controller issued, and reads and writes of a host.

Source: the public sources of Ramulator 2 (`CmdTraceRecorder`, which writes commands; `ReadWriteTrace`, which reads
accesses by their addresses' levels).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from pimsim.dram.spec import Command
from pimsim.dram.timing import Device
from pimsim.exports.commands import Place, place, places
from pimsim.traffic.patterns import Pattern

_ROLES = {
    "open_bank": "ACT", "close_bank": "PRE", "close_all": "PREA", "close_same": "PREsb", "read": "RD", "write": "WR",
    "refresh_all": "REFab", "refresh_bank": "REFpb", "refresh_same": "REFsb",
}  # fmt: skip


def levels(device: Device, rank: bool) -> tuple[str, ...]:
    """The levels of an address, the channel first; rank: there is one, with one rank."""
    between = ("pseudochannel",) * (device.data_buses > 1) + ("rank",) * rank
    return ("channel", *between, "bankgroup", "bank", "row", "column")


def _between(device: Device, where: Place, rank: bool) -> str:
    """What stands between channel and row, each with a comma behind it."""
    numbers = [where.part] * (device.data_buses > 1) + [0] * rank + [where.group, where.bank]
    return "".join(f"{number}," for number in numbers)


@dataclass(frozen=True)
class Commands:
    """CmdTraceRecorder's text; rank: addresses have a level of ranks."""

    device: Device
    rank: bool = False

    @property
    def head(self) -> str:
        """The names of the columns."""
        return f"clock,command,{','.join(levels(self.device, self.rank))},type,source\n"

    @cached_property
    def _names(self) -> Mapping[str, str]:
        """By role, as Ramulator calls commands; what it does not have keeps its name."""
        roles = self.device.standard.roles
        return {getattr(roles, role): name for role, name in _ROLES.items() if getattr(roles, role) is not None}

    def lines(self, command: Command, bank: int) -> Sequence[str]:
        """One for each part of the channel that the command takes, or for its bank."""
        name, kind = self._names.get(command.name, command.name), self._kind(command)
        found = places(self.device, command, bank)
        if command.has_bank and len(found) > 1 and found[0].bank >= 0:  # some banks, of which the log names one
            found = [place(self.device, bank)]
        return [
            f"{{clk}},{name},{{channel}},{_between(self.device, each, self.rank)}{{row}},{{column}},{kind},-1"
            for each in found
        ]

    def _kind(self, command: Command) -> int:
        """The request that a command serves: 0 a read, 1 a write, -1 none."""
        roles = self.device.standard.roles
        return {roles.read: 0, roles.write: 1}.get(command.name, -1)

    def tail(self, cycles: int) -> str:
        """Nothing."""
        return ""

    def written(self) -> Mapping[str, Sequence[str]]:
        """As `commands.Format`."""
        return {name: (self._names.get(name, name),) for name in self.device.standard.log_names}

    def notes(self) -> Sequence[str]:
        """As `commands.Format`."""
        return (
            "clock counts from 0; -1 in an address: all of the level, or none; type: 0 a read, 1 a write, -1 neither; "
            "source is -1",
            "commands that Ramulator does not have keep their names (`written_as`)",
        )


def accesses(pattern: Pattern, rank: bool = False) -> Iterator[bytes]:
    """The requests of a pattern in ReadWriteTrace's lines, `R channel,bankgroup,bank,row,column`, many at a time."""
    device = pattern.device
    write = device.standard.index(device.standard.roles.write)
    homes = [_between(device, place(device, bank), rank) for bank in range(device.banks)]
    for channels, requests in pattern.chunks():
        columns = (channels, *requests[:, 1:].T)
        yield "".join(
            f"{'W' if command == write else 'R'} {channel},{homes[bank]}{row},{column}\n"
            for channel, command, bank, row, column in zip(*map(np.ndarray.tolist, columns), strict=True)
        ).encode("ascii")
