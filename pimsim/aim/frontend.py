"""The front-end: decodes AiM instructions and hands each channel its commands.

It decodes one instruction a clock, the first at clock 1.  An instruction's commands go
to the queues of its channels; until all are in, it decodes nothing more.  RD_MAC, RD_AF,
SYNC and EOC block it until their data, or everything before them, has arrived.

A program whose instructions all drive the same channels keeps them busy: decoding is
never what they wait for (each instruction takes a clock to decode and at least one to
issue), so all up to a SYNC runs as one request program.  In any other program each
instruction starts at the clock of its decode.  That clock is known until a queue is full
or the host waits, so instructions run many at a time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from pimsim.aim.engines import Channels
from pimsim.aim.isa import CFR_AF_FUNCTION, OPERATIONS, Instruction
from pimsim.dram import program as requests
from pimsim.dram.aim import AF_ROW
from pimsim.dram.program import Program, Request
from pimsim.dram.timing import Device

Ints = NDArray[np.int64]

FIRST_CLOCK = 1
QUEUE_ENTRIES = 33  # commands that a channel's queue holds (source: AiM reference simulator)
BARRIERS = ("SYNC", "EOC")


def execute(program: Sequence[Instruction], channels: Channels) -> int:
    """Carry out a program up to its EOC; the clock at which the host sees its end."""
    lowered = list(lower(program, channels.device))
    if needs_clocks(program):
        return _Host(lowered, channels).execute()
    driven = next((instruction.channels for instruction, request in lowered if request is not None), ())
    return _together(lowered, channels, driven)


def needs_clocks(program: Iterable[Instruction]) -> bool:
    """Whether the clock of each decode matters: instructions drive different channels, or none."""
    driven = {instruction.channels for instruction in program if instruction.name not in BARRIERS}
    return len(driven) > 1 or () in driven


Lowered = tuple[Instruction, Request | None]


def lower(program: Iterable[Instruction], device: Device) -> Iterator[Lowered]:
    """Each instruction with the request that it makes of each of its channels (None: none)."""
    commands = _commands(device)
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


def _commands(device: Device) -> dict[str, tuple[int, int]]:
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
        data_end = max(data_end, channels.run(program, driven, clk))
        hold = int(program[-1, 6])
        clk = max(clk, channels.last(driven) + max(hold, 1))
    return clk, data_end


# ---- any masks ------------------------------------------------------------------------------


class _Host:
    """The host's clock, and a queue for all channels that the program asks for the same."""

    def __init__(self, lowered: Sequence[Lowered], channels: Channels) -> None:
        self._lowered = lowered
        self._channels = channels
        device = channels.device
        self._completion = np.array([device.completion(command) for command in device.standard.commands])
        self._clk = FIRST_CLOCK
        self._data_end = 0
        asking = [(instruction.channels, request) for instruction, request in lowered if request is not None]
        program = requests.program(request for _, request in asking)
        masks = {driven: frozenset(driven) for driven, _ in asking}
        self._queues = []
        for members in asked_the_same(masks.values(), device.channels):
            drives = {driven: members <= mask for driven, mask in masks.items()}
            own = np.flatnonzero([drives[driven] for driven, _ in asking])
            self._queues.append(_Queue(members, device.channels, program, own))
        self._queues_of = {
            driven: [queue for queue in self._queues if queue.members <= mask] for driven, mask in masks.items()
        }

    def execute(self) -> int:
        for instruction, request in self._lowered:
            if instruction.name == "EOC":
                return self._drained()
            if instruction.name == "SYNC":
                self._clk = self._drained() + 1
            elif request is None:
                self._clk += 1
            else:
                self._hand_on(self._queues_of[instruction.channels], request[6])
        raise ValueError("the program has no EOC")

    def _hand_on(self, queues: Sequence[_Queue], hold: int) -> None:
        """Hand on the commands of one instruction; the host's clock at its next decode."""
        for queue in queues:
            queue.put(self._clk)
        if hold or not all(queue.knows_entry for queue in queues):
            self._run()
        clk = max(self._clk, *(queue.entered for queue in queues))
        if hold:
            clk = max(clk, *(queue.issued + hold - 1 for queue in queues))
        self._clk = clk + 1

    def _run(self) -> None:
        """Carry out all that is in the queues."""
        filled = [queue for queue in self._queues if queue.starts]
        if not filled:
            return
        program = np.concatenate([queue.runs() for queue in filled])
        driven = np.concatenate([np.tile(queue.driven, (len(queue.starts), 1)) for queue in filled])
        starts = np.concatenate([queue.starts for queue in filled])
        ends = self._channels.run_each(program, driven, starts)
        self._data_end = max(self._data_end, int(ends.max()))
        issued = ends - self._completion[program[:, 1]]
        for queue in filled:
            count = len(queue.starts)
            queue.done(issued[:count])
            issued = issued[count:]

    def _drained(self) -> int:
        """The clock at which the host learns that all channels have done all that came before."""
        self._run()
        return max(self._clk, self._data_end) + 1


def asked_the_same(masks: Iterable[frozenset[int]], channels: int) -> list[frozenset[int]]:
    """The channels in sets, each of which every mask drives as a whole or not at all."""
    sets = [frozenset(range(channels))]
    for mask in masks:
        sets = [part for members in sets for part in (members & mask, members - mask) if part]
    return sets


class _Queue:
    """The queue of some channels: the runs of commands that are in it, and when those before have issued.

    An instruction's last command enters once the one QUEUE_ENTRIES before has issued.  Runs
    end with that one and with each instruction, so that the end of a run says when it issued.
    """

    def __init__(self, members: frozenset[int], channels: int, program: Program, own: Ints) -> None:
        """`own`: which rows of the program the channels are asked for."""
        self.members = members
        self.driven = np.isin(np.arange(channels), list(members))
        self.starts: list[int] = []  # of each run in the queue
        sizes = program[own, 4]
        totals = np.cumsum(sizes)
        stops = np.union1d(totals, totals - QUEUE_ENTRIES)
        stops = stops[stops > 0]
        which = np.searchsorted(totals, stops)
        self._program = program
        self._row = own[which]
        self._size = np.diff(stops, prepend=0)
        self._offset = stops - self._size - (totals - sizes)[which]  # commands of its instruction before a run
        self._last: list[int] = np.searchsorted(stops, totals).tolist()  # the run that ends each instruction
        frees = np.searchsorted(stops, totals - QUEUE_ENTRIES)  # the run that makes room for it, or none
        self._frees: list[int] = np.where(totals > QUEUE_ENTRIES, frees, -1).tolist()
        self._issued = np.zeros(len(stops), np.int64)
        self._instruction = -1
        self._done = 0

    def put(self, clk: int) -> None:
        """Take in the runs of the next instruction, decoded at `clk`."""
        self._instruction += 1
        inside = self._done + len(self.starts)
        self.starts += [clk] * (self._last[self._instruction] + 1 - inside)

    @property
    def knows_entry(self) -> bool:
        """Whether it is known when the latest instruction's last command enters."""
        return self._frees[self._instruction] < self._done

    @property
    def entered(self) -> int:
        """The clock at which it enters."""
        freed = self._frees[self._instruction]
        return int(self._issued[freed]) + 1 if freed >= 0 else 0

    @property
    def issued(self) -> int:
        """The clock at which it issues."""
        return int(self._issued[self._last[self._instruction]])

    def runs(self) -> Program:
        """The runs in the queue."""
        inside = slice(self._done, self._done + len(self.starts))
        rows = self._program[self._row[inside]]
        rows[:, 3] += self._offset[inside]
        rows[:, 4] = self._size[inside]
        return rows

    def done(self, issued: Ints) -> None:
        """Take out the runs: the clocks of their last commands are known."""
        self._issued[self._done : self._done + len(issued)] = issued
        self._done += len(issued)
        self.starts = []
