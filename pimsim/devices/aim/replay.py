"""Replays AiM programs on a device: cycles, commands, and what being right costs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pimsim.devices.aim.engines import KernelChannels, TwinChannels
from pimsim.devices.aim.frontend import FIRST_CLOCK, execute
from pimsim.devices.aim.instructions import Instructions
from pimsim.devices.aim.isa import OPERATIONS, AimInstruction
from pimsim.devices.aim.table import DIFFERENCES, Difference
from pimsim.devices.aim.table import STANDARD as CORRECT
from pimsim.dram.timing import Device

if TYPE_CHECKING:
    from pimsim.logs.log import CommandLog, LogWriter

EngineName = Literal["fast", "stepped", "twin"]


@dataclass(frozen=True)
class Replay:
    """What a program took: cycles until the host sees its end, and how many of each command issued.

    open_cycles: those with a bank open, summed over the channels.
    """

    cycles: int
    counts: dict[str, int]
    tCK_ps: int
    open_cycles: int

    @property
    def commands(self) -> int:
        """Commands that all channels issued together."""
        return sum(self.counts.values())

    @property
    def ns(self) -> float:
        """The cycles in ns."""
        return self.cycles * self.tCK_ps / 1000


def replay(
    program: Iterable[AimInstruction], device: Device, log: str | Path | None = None, engine: EngineName = "fast"
) -> Replay:
    """Carry out a program, and write its command log to `log`; no result depends on the engine.

    InputError if the log cannot be written.
    """
    program = Instructions.held(program)
    if log is None:
        channels = _channels(device, engine, logged=False)
        cycles = execute(program, channels)
    else:
        from pimsim.logs.log import LogWriter

        with LogWriter(log, device) as writer:
            channels = _channels(device, engine, logged=True)
            cycles = execute(program, channels)
            _write(writer, channels.log(), device)
    return _result(cycles, channels)


def _result(cycles: int, channels: TwinChannels | KernelChannels) -> Replay:
    open_cycles = channels.open_cycles(FIRST_CLOCK + cycles)  # clocks count from the first decode
    return Replay(cycles, channels.counts(), channels.device.tCK_ps, open_cycles)


def commands_of(program: Iterable[AimInstruction], device: Device, engine: EngineName = "fast") -> CommandLog:
    """The commands that a program issues, in order of clk, then channel."""
    channels = _channels(device, engine, logged=True)
    execute(program, channels)
    return channels.log()


def _channels(device: Device, engine: EngineName, logged: bool) -> TwinChannels | KernelChannels:
    if engine == "twin":
        from pimsim.devices.aim.queued import readable_channels  # not for those who run the compiled engine

        return readable_channels(device)
    return KernelChannels(device, stepped=engine == "stepped", logged=logged)


def _write(writer: LogWriter, log: CommandLog, device: Device) -> None:
    import numpy as np

    from pimsim.logs.log_size import check_room

    bank = np.where(log.bank_group >= 0, log.bank_group * device.banks_per_group + log.bank, -1)
    check_room(writer.path, device, log.clk, log.channel, log.command, bank, log.row, log.column)
    writer.append(log.clk, log.channel, log.command, bank, log.row, log.column)


def costs(
    program: Iterable[AimInstruction], device: Device, engine: EngineName = "fast", cycles: int | None = None
) -> list[tuple[Difference, int]]:
    """What each way of being right costs in this program: clocks that go when it alone is switched off.

    cycles: how many the program takes, if that is known.  Empty for a device that is not the correct profile.
    """
    if device.standard.name != CORRECT.name:
        return []
    program = Instructions.held(program)
    if cycles is None:
        cycles = replay(program, device, engine=engine).cycles
    return [(x, cycles - replay(program, without(device, x), engine=engine).cycles) for x in DIFFERENCES]


def runs_programs(device: Device) -> bool:
    """Whether the device has the commands of all instructions."""
    return {operation.command for operation in OPERATIONS.values()} <= {"", *device.command_names}


def without(device: Device, difference: Difference) -> Device:
    """The device with one of the ways of being right undone."""
    return replace(
        device,
        standard=difference.undone(device.standard),
        cycles={**device.cycles, **difference.cycles},
        refresh=difference.refresh or device.refresh,
    )


class Machine:
    """A device that runs one GEMV after another, each from a fresh start; tables are built once."""

    def __init__(self, device: Device) -> None:
        from pimsim.devices.aim import gemv

        self.device = device
        self._channels = KernelChannels(device)
        self._gemv = gemv.run

    def gemv(self, m: int, k: int, channels: int | None = None) -> Replay:
        """y[m] = W[m, k] x[k] on the first `channels` (all); InputError if it does not fit."""
        self._channels.reset()
        count = self.device.channels if channels is None else channels
        cycles = self._gemv(m, k, count, self._channels)
        return _result(cycles, self._channels)
