"""The front-end: decodes AiM instructions and hands each channel its commands.

It decodes one instruction a clock, the first at clock 1.  An instruction's commands go
to the queues of its channels; until all are in, it decodes nothing more.  RD_MAC, RD_AF,
SYNC and EOC block it until their data, or everything before them, has arrived.

This is the readable reading, on channels in plain Python; `compiled.host` says the same.  A
command issues no sooner for entering a queue sooner, so both carry out an instruction's
commands when it is decoded, and then find out when the last of them entered its queue.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from pimsim.devices.aim.compiled.layout import QUEUE_ENTRIES
from pimsim.devices.aim.isa import CFR_AF_FUNCTION, OPERATIONS, AimInstruction
from pimsim.devices.aim.table import AF_ROW
from pimsim.dram import program as requests
from pimsim.dram.program import Program, Request
from pimsim.dram.timing import Device

FIRST_CLOCK = 1


class Executes(Protocol):
    """Channels with a host before them."""

    def execute(self, program: Iterable[AimInstruction], /) -> int:
        """Carry out a program up to its EOC; the clock at which the host sees its end."""


def execute(program: Iterable[AimInstruction], channels: Executes) -> int:
    """Carry out a program up to its EOC; the clock at which the host sees its end.  ValueError if it has none."""
    return channels.execute(program)


class Channels(Protocol):
    """What the host needs of channels."""

    device: Device

    def run(self, program: Program, channels: Sequence[int], start: int) -> int:
        """Carry out `program` on `channels`, nothing before clock `start`; the last data end."""

    def last(self, channels: Sequence[int]) -> int:
        """The clock of the last command of these channels, each of which has run something."""


class QueuedChannels(Channels, Protocol):
    """Channels that know what they were asked for."""

    def clock_of(self, channel: int, back: int) -> int | None:
        """When a channel issued what it was asked for, `back` commands before the last; None: there are not as many."""


class Host:
    """The host, an instruction at a time."""

    def __init__(self, channels: QueuedChannels) -> None:
        self._channels = channels
        self._clk = FIRST_CLOCK  # of the next decode
        self._data_end = 0

    def execute(self, program: Iterable[AimInstruction]) -> int:
        """As `execute`."""
        for instruction, request in lower(program, self._channels.device):
            if instruction.name == "EOC":
                return self._drained()
            if instruction.name == "SYNC":
                self._clk = self._drained() + 1
            elif request is None:
                self._clk += 1
            else:
                self._clk = self._hand_on(instruction.channels, request) + 1
        raise NoEndError

    def _hand_on(self, driven: Sequence[int], request: Request) -> int:
        """The clock at which all commands are in the queues or, of what blocks, the data has arrived."""
        if not driven:
            return self._clk
        end = self._channels.run(requests.program([request]), driven, self._clk)
        self._data_end = max(self._data_end, end)
        hold = request[6]
        waits = self._channels.last(driven) + hold - 1 if hold else 0
        let_in = (self._channels.clock_of(channel, QUEUE_ENTRIES) for channel in driven)
        return max(self._clk, waits, *(clk + 1 for clk in let_in if clk is not None))

    def _drained(self) -> int:
        """The clock at which the host learns that all channels have done all that came before."""
        return max(self._clk, self._data_end) + 1


class NoEndError(ValueError):
    """A program without an EOC."""

    def __init__(self) -> None:
        super().__init__("the program has no EOC")


def lower(program: Iterable[AimInstruction], device: Device) -> Iterator[tuple[AimInstruction, Request | None]]:
    """Each instruction with the request that it makes of each of its channels (None: none)."""
    commands = commands_of(device)
    function = 0
    for instruction in program:
        if instruction.name == "W CFR" and instruction.register == CFR_AF_FUNCTION:
            function = instruction.value
        if instruction.name not in commands:
            yield instruction, None
            continue
        command, hold = commands[instruction.name]
        row = AF_ROW + function if instruction.name == "AF" else max(instruction.row, 0)
        yield instruction, requests.run(command, instruction.bank, row * device.columns, instruction.size, hold=hold)


def commands_of(device: Device) -> dict[str, tuple[int, int]]:
    """By instruction: its command's number, and the clocks after it for which the host waits (0: it does not)."""
    standard = device.standard
    return {
        name: (
            standard.index(operation.command),
            device.completion(standard.command(operation.command)) + 1 if operation.blocking else 0,
        )
        for name, operation in OPERATIONS.items()
        if operation.command
    }


def run_segment(
    program: Program, channels: Channels, driven: Sequence[int], clk: int, data_end: int
) -> tuple[int, int]:
    """Run requests that start at `clk`, all on the same channels; when the host may decode on, and the data end.

    Decoding is never what the channels wait for: an instruction takes a clock to decode and at
    least one to issue.  `data_end` is that of everything before.
    """
    if len(program):
        data_end = max(data_end, channels.run(program, driven, clk))
        hold = int(program[-1, 6])
        clk = max(clk, channels.last(driven) + max(hold, 1))
    return clk, data_end
