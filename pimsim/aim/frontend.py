"""The front-end: decodes AiM instructions and hands each channel its commands.

It decodes one instruction a clock, the first at clock 1.  An instruction's commands go
to the queues of its channels; until all are in, it decodes nothing more.  RD_MAC, RD_AF,
SYNC and EOC block it until their data, or everything before them, has arrived.

A program whose instructions all drive the same channels keeps them busy: decoding is
never what they wait for (each instruction takes a clock to decode and at least one to
issue), so all up to a SYNC runs as one request program.  Any other program runs
instruction by instruction, with the clock of each decode.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence

from pimsim.aim.engines import Channels
from pimsim.aim.isa import CFR_AF_FUNCTION, Instruction
from pimsim.dram import program as requests
from pimsim.dram.aim import AF_ROW
from pimsim.dram.program import Program, Request
from pimsim.dram.timing import Device

FIRST_CLOCK = 1
QUEUE_ENTRIES = 33  # commands that a channel's queue holds (source: AiM reference simulator)
BARRIERS = ("SYNC", "EOC")


def execute(program: Sequence[Instruction], channels: Channels) -> int:
    """Carry out a program up to its EOC; the clock at which the host sees its end."""
    lowered = list(lower(program, channels.device))
    if needs_clocks(program):
        return _Host(channels).execute(lowered)
    driven = next((instruction.channels for instruction, request in lowered if request is not None), ())
    return _together(lowered, channels, driven)


def needs_clocks(program: Iterable[Instruction]) -> bool:
    """Whether the clock of each decode matters: instructions drive different channels, or none."""
    driven = {instruction.channels for instruction in program if instruction.name not in BARRIERS}
    return len(driven) > 1 or () in driven


Lowered = tuple[Instruction, Request | None]


def lower(program: Iterable[Instruction], device: Device) -> Iterator[Lowered]:
    """Each instruction with the request that it makes of each of its channels (None: none)."""
    function = 0
    for instruction in program:
        if instruction.name == "W CFR" and instruction.register == CFR_AF_FUNCTION:
            function = instruction.value
        yield instruction, _request(instruction, device, function)


def _request(instruction: Instruction, device: Device, function: int) -> Request | None:
    operation = instruction.operation
    if not operation.command:
        return None
    row = AF_ROW + function if instruction.name == "AF" else max(instruction.row, 0)
    command, completion = _command(device, operation.command)
    hold = completion + 1 if operation.blocking else 0
    return requests.run(command, instruction.bank, row * device.columns, instruction.size, hold=hold)


def _command(device: Device, name: str) -> tuple[int, int]:
    """A command's number, and the clocks until its data has arrived."""
    command = device.standard.command(name)
    return device.standard.index(name), device.completion(command)


# ---- all instructions on the same channels ------------------------------------------------


def _together(program: Sequence[Lowered], channels: Channels, driven: Sequence[int]) -> int:
    clk = FIRST_CLOCK
    data_end = 0
    rows: list[Request] = []
    for instruction, request in program:
        if request is not None:
            rows.append(request)
            continue
        clk, data_end = run_segment(requests.program(rows), channels, driven, clk, data_end)
        rows = []
        if instruction.name == "EOC":
            return max(clk, data_end) + 1
        clk = max(clk, data_end) + 2
    raise ValueError("the program has no EOC")


def run_segment(
    program: Program, channels: Channels, driven: Sequence[int], clk: int, data_end: int
) -> tuple[int, int]:
    """Run requests that start at `clk`: the clock from which the host may decode on, and the data end.

    `data_end` is that of everything before.
    """
    if len(program):
        data_end = max(data_end, *channels.run(program, driven, clk))
        hold = int(program[-1, 6])
        clk = max(clk, channels.last(driven) + max(hold, 1))
    return clk, data_end


# ---- any masks ------------------------------------------------------------------------------


class _Host:
    """The host's clock, what is in each channel's queue and when its data ends."""

    def __init__(self, channels: Channels) -> None:
        self._channels = channels
        count = channels.device.channels
        self._clk = FIRST_CLOCK
        self._issued: list[deque[int]] = [deque([0] * QUEUE_ENTRIES, QUEUE_ENTRIES) for _ in range(count)]
        self._ends = [0] * count

    def execute(self, program: Iterable[Lowered]) -> int:
        for instruction, request in program:
            if instruction.name == "EOC":
                return self._drained()
            if instruction.name == "SYNC":
                self._clk = self._drained() + 1
            elif request is None:
                self._clk += 1
            else:
                self._issue(request, instruction.channels)
        raise ValueError("the program has no EOC")

    def _issue(self, request: Request, driven: Sequence[int]) -> None:
        """Hand on the commands of one instruction; the host's clock at its next decode."""
        ends = self._channels.run(requests.program([request]), driven, self._clk)
        clk = self._clk
        for channel, end in zip(driven, ends, strict=True):
            issued = self._issued[channel]
            room = deque([*issued, *self._channels.served(channel)][:-1], QUEUE_ENTRIES)
            clk = max(clk, room[0] + 1)  # its last command enters once the one QUEUE_ENTRIES before has issued
            issued.extend(self._channels.served(channel))
            self._ends[channel] = max(self._ends[channel], end)
            if request[6]:
                clk = max(clk, issued[-1] + request[6] - 1)
        self._clk = clk + 1

    def _drained(self) -> int:
        """The clock at which the host learns that all channels have done all that came before."""
        return max(self._clk, *self._ends) + 1
