"""How long a command keeps what busy: from the device's timing table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pimsim.dram.timing import Device

_PINS = {"RD": "nBL", "WR": "nBL", "WRGB": "nBL", "RDMAC": "nBLRES"}  # clocks of the data on the pins
_MACS = {"MACAB": "nMAC"}
_REFRESHES = {"REFAB": "nRFC", "REFPB": "nRFCpb"}


@dataclass(frozen=True)
class Durations:
    """By command number: clocks after the command's own from which, and until which, something is busy.

    pins       (from, to) of the data: CL or CWL after the command
    macs       until when the MAC units work
    refreshes  until when the refreshed banks are busy
    """

    pins: Mapping[int, tuple[int, int]]
    macs: Mapping[int, int]
    refreshes: Mapping[int, int]

    def length(self, command: int) -> int:
        """Clocks over which the energy of a command is spread: those that it keeps something busy, at least 1."""
        begin, end = self.pins.get(command, (0, 0))
        return max(1, end - begin, self.macs.get(command, 0), self.refreshes.get(command, 0))


def durations(device: Device) -> Durations:
    """The durations of a device's commands."""

    def known(names: Mapping[str, str]) -> dict[int, int]:
        index, cycles = device.standard.index, device.cycles
        return {index(name): cycles[n] for name, n in names.items() if name in device.command_names and n in cycles}

    commands = device.standard.commands
    ends = {number: device.completion(commands[number]) for number in known(_PINS)}
    pins = {number: (ends[number] - length, ends[number]) for number, length in known(_PINS).items()}
    return Durations(pins, known(_MACS), known(_REFRESHES))
