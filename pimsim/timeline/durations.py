"""How long a command keeps what busy: from the device's timing table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pimsim.dram.timing import Device


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
    pins: dict[int, tuple[int, int]] = {}
    macs: dict[int, int] = {}
    refreshes: dict[int, int] = {}
    for number, command in enumerate(device.standard.commands):
        if moved := device.pin_clocks(command):
            end = device.completion(command)
            pins[number] = (end - moved, end)
        if busy := device.busy_clocks(command):
            (refreshes if command.name in device.standard.roles.refreshes else macs)[number] = busy
    return Durations(pins, macs, refreshes)
