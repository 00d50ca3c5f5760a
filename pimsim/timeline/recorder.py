"""Counts what is busy over time, of a run or of a command log, in bounded memory."""

from __future__ import annotations

import numpy as np

from pimsim.dram.engine import FOREVER, Ints
from pimsim.dram.timing import Device
from pimsim.logs.log import CommandLog
from pimsim.sim.observer import Executed
from pimsim.timeline.activity import Activity
from pimsim.timeline.banks import Banks, Turned
from pimsim.timeline.watcher import Watcher


class Recorder(Watcher):
    """An observer that fills `activity`; `close` completes it."""

    def __init__(self, device: Device, span: tuple[int, int] = (0, FOREVER), most: int = FOREVER) -> None:
        super().__init__(device, span, most)
        self.activity = Activity(device, span)
        self._banks = [Banks(device) for _ in range(device.channels)]

    def execute(self, executed: Executed) -> None:
        """Count what an instruction does on the ASIC."""
        super().execute(executed)
        stretches = executed.busy or (executed.charged,)
        self.activity.add_operations(stretches[0][0], stretches[-1][1], executed.operations)

    def take(self, channel: int, clk: Ints, command: Ints, bank: Ints, row: Ints, column: Ints) -> None:
        """Count a channel's commands."""
        turned = self._banks[channel].advance(clk, command, bank, row)
        self.activity.add(channel, clk, command, turned)
        self.turn(channel, turned)

    def turn(self, channel: int, turned: Turned) -> None:
        """Take what a channel's commands did to its banks."""

    def close(self) -> None:
        """Count what is still open."""
        self.check_shown()
        for channel, banks in enumerate(self._banks):
            turned = banks.finish(self.stop)
            self.activity.add_turned(channel, turned)
            self.turn(channel, turned)
        self.activity.stop = self.stop


def activity_of(log: CommandLog, device: Device) -> Activity:
    """What a command log kept busy; it ends with its last command's data."""
    recorder = Recorder(device)
    bank = np.where(log.bank >= 0, log.bank_group * device.banks_per_group + log.bank, -1)
    recorder.append(log.clk, log.channel, log.command, bank, log.row, log.column)
    ends = np.array([max(1, device.completion(command)) for command in device.standard.commands])
    recorder.ended = int((log.clk + ends[log.command]).max(initial=0))
    recorder.close()
    return recorder.activity
