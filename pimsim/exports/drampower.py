"""Commands of a channel as DRAMPower 5 reads them: timestamp, command, rank, bank group, bank, row, column, data.

DRAMPower knows what memories store with.  What opens or closes several banks at once is written as that of each bank,
or of all; what reads or writes many banks, or nothing on the pins, has no counterpart.
Source: the public sources of DRAMPower 5 (its command line and `CmdType`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pimsim.dram.spec import Column, Command, Effect
from pimsim.dram.timing import Device
from pimsim.exports.commands import Place, place, places

Internal = Literal["named", "columns", "none"]
INTERNAL: tuple[Internal, ...] = ("named", "columns", "none")
_ALL = {Effect.CLOSE: "PREA"}
_OF_BANK = {Effect.OPEN: "ACT", Effect.CLOSE: "PRE"}
_COLUMNS = {Column.READ: "RD", Column.WRITE: "WR"}
_DATA = ("RD", "WR", "RDA", "WRA")  # what is followed by its data
_WHAT = {
    "named": "they keep their names, which DRAMPower takes for NOP",
    "columns": "each is written as RD or WR of every bank that it uses: core energy as of so many columns, and with "
    "it that of pins which move nothing",
    "none": "they are left out",
}


@dataclass(frozen=True)
class Commands:
    """internal: how commands are written that have no counterpart, see `_WHAT`."""

    device: Device
    internal: Internal = "named"
    head: str = ""

    def lines(self, command: Command, bank: int) -> Sequence[str]:
        """Those of one command."""
        found = places(self.device, command, bank)
        return [self._line(name, where, command) for name, where in self._names(command, found)]

    def _names(self, command: Command, found: Sequence[Place]) -> list[tuple[str, Place]]:
        """The commands that are written for one, and where each goes."""
        if command.name in self.device.standard.roles.refreshes:
            return [("REFA" if where.bank < 0 else "REFB", where) for where in found]
        if command.column is not Column.NONE:
            return self._column(command, found)
        if command.effect is Effect.NONE:
            return self._kept(command)
        return self._rows(command.effect, found)

    def _column(self, command: Command, found: Sequence[Place]) -> list[tuple[str, Place]]:
        """What uses a column: of one bank and over the pins it is a read or a write."""
        closes = command.effect is Effect.CLOSE
        name = _COLUMNS[command.column] + "A" * closes
        if command.moves and len(found) == 1 and found[0].bank >= 0:
            return [(name, found[0])]
        if self.internal == "columns":
            return [(name, where) for where in self._used(command, found)]
        return self._kept(command) + (self._rows(command.effect, found) if closes else [])

    def _used(self, command: Command, found: Sequence[Place]) -> list[Place]:
        """The banks whose columns a command uses."""
        return self._banks(found)[:: command.one_in]

    def _rows(self, effect: Effect, found: Sequence[Place]) -> list[tuple[str, Place]]:
        """What opens or closes: all banks of a part at once where there is a command for it."""
        if effect in _ALL and all(where.bank < 0 for where in found):
            return [(_ALL[effect], where) for where in found]
        return [(_OF_BANK[effect], where) for where in self._banks(found)]

    def _banks(self, found: Sequence[Place]) -> list[Place]:
        """Places bank by bank."""
        every = [place(self.device, bank) for bank in range(self.device.banks)]
        return [
            bank
            for where in found
            for bank in ([where] if where.bank >= 0 else (each for each in every if each.part == where.part))
        ]

    def _kept(self, command: Command) -> list[tuple[str, Place]]:
        return [(command.name, Place(0, 0, 0))] if self.internal == "named" else []

    def _line(self, name: str, where: Place, command: Command) -> str:
        """A line; what a command does not say is 0, for the reader takes no -1."""
        row = "{row}" if command.effect is Effect.OPEN or command.column is not Column.NONE else "0"
        column = "{column}" if command.shows_column else "0"
        group, bank = max(where.group, 0), max(where.bank, 0)
        data = f",{'00' * self.device.column_bytes}" if name in _DATA else ""
        return f"{{clk}},{name},{where.part},{group},{bank},{row},{column}{data}"

    def tail(self, cycles: int) -> str:
        """The end of the simulation."""
        return f"{cycles},END,0,0,0,0,0\n"

    def written(self) -> Mapping[str, Sequence[str]]:
        """As `commands.Format`."""
        return {name: self._of(name) for name in self.device.standard.log_names}

    def _of(self, name: str) -> Sequence[str]:
        command = self.device.standard.command(name)
        return [written for written, _ in self._names(command, places(self.device, command, 0))]

    def notes(self) -> Sequence[str]:
        """As `commands.Format`."""
        return (
            "rank is the pseudo-channel where a channel has some; bank groups count within it",
            "data of RD and WR is zeros: a simulation of time has no values; give DRAMPower a toggle rate",
            f"commands that read or write inside the memory have no counterpart: {_WHAT[self.internal]}",
        )
