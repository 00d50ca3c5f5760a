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
from dataclasses import dataclass

import numpy as np

from pimsim.devices.aim.engines import Channels, Flags, Ints
from pimsim.devices.aim.isa import CFR_AF_FUNCTION, OPERATIONS, AimInstruction
from pimsim.devices.aim.table import AF_ROW
from pimsim.dram import program as requests
from pimsim.dram.program import Program, Request
from pimsim.dram.timing import Device

FIRST_CLOCK = 1
QUEUE_ENTRIES = 33  # commands that a channel's queue holds (source: AiM reference simulator)
BARRIERS = ("SYNC", "EOC")


def execute(program: Sequence[AimInstruction], channels: Channels) -> int:
    """Carry out a program up to its EOC; the clock at which the host sees its end."""
    lowered = list(lower(program, channels.device))
    if needs_clocks(program):
        return _Host(lowered, channels).execute()
    driven = next((instruction.channels for instruction, request in lowered if request is not None), ())
    return _together(lowered, channels, driven)


def needs_clocks(program: Iterable[AimInstruction]) -> bool:
    """Whether the clock of each decode matters: instructions drive different channels, or none."""
    driven = {instruction.channels for instruction in program if instruction.name not in BARRIERS}
    return len(driven) > 1 or () in driven


Lowered = tuple[AimInstruction, Request | None]


def lower(program: Iterable[AimInstruction], device: Device) -> Iterator[Lowered]:
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
    """The host's clock, and what it handed on: the runs up to `_done` have issued, the others wait in the queues."""

    def __init__(self, lowered: Sequence[Lowered], channels: Channels) -> None:
        self._lowered = lowered
        self._channels = channels
        device = channels.device
        self._completion = np.array([device.completion(command) for command in device.standard.commands])
        masks = [instruction.channels for instruction, request in lowered if request is not None]
        self._program = requests.program(request for _, request in lowered if request is not None)
        self._runs = _cut(self._program, masks, device.channels)
        self._clk = FIRST_CLOCK
        self._data_end = 0
        self._handed = 0  # instructions
        self._done = 0
        count = len(masks)
        self._starts = np.zeros(count, np.int64)  # of each instruction: the clock of its decode
        self._entered = np.zeros(count + 1, np.int64)  # and that at which its last command enters, as far as known
        self._issued = np.zeros(len(self._runs.row), np.int64)
        self._until = [0, *np.searchsorted(self._runs.row, np.arange(count), side="right").tolist()]
        known_by = np.full(count + 1, -1)  # the run after which it is known when an instruction enters
        np.maximum.at(known_by, self._runs.frees, np.arange(len(self._runs.row)))
        self._known_by: list[int] = known_by.tolist()

    def execute(self) -> int:
        for instruction, request in self._lowered:
            if instruction.name == "EOC":
                return self._drained()
            if instruction.name == "SYNC":
                self._clk = self._drained() + 1
            elif request is None:
                self._clk += 1
            else:
                self._hand_on(request[6])
        raise ValueError("the program has no EOC")

    def _hand_on(self, hold: int) -> None:
        """Hand on the commands of the next instruction; the host's clock at the decode after it."""
        instruction = self._handed
        self._handed += 1
        self._starts[instruction] = self._clk
        if hold or self._known_by[instruction] >= self._done:
            self._run()
        clk = max(self._clk, int(self._entered[instruction]))
        if hold:
            own = slice(self._until[instruction], self._until[instruction + 1])
            clk = max(clk, int(self._issued[own].max()) + hold - 1)
        self._clk = clk + 1

    def _run(self) -> None:
        """Carry out all that is in the queues."""
        waiting = slice(self._done, self._until[self._handed])
        if waiting.start == waiting.stop:
            return
        runs = self._runs
        program = self._program[runs.row[waiting]]
        program[:, 3] += runs.offset[waiting]
        program[:, 4] = runs.size[waiting]
        ends = self._channels.run_each(program, runs.driven[runs.chosen[waiting]], self._starts[runs.row[waiting]])
        issued = ends - self._completion[program[:, 1]]
        np.maximum.at(self._entered, runs.frees[waiting], issued + 1)
        self._issued[waiting] = issued
        self._data_end = max(self._data_end, int(ends.max()))
        self._done = waiting.stop

    def _drained(self) -> int:
        """The clock at which the host learns that all channels have done all that came before."""
        self._run()
        return max(self._clk, self._data_end) + 1


@dataclass(frozen=True)
class _Runs:
    """The commands of a program, in order of its rows, cut where the host may have to know when one issues.

    The last command of an instruction enters a queue once the one QUEUE_ENTRIES before has
    issued.  Runs end with that one and with each instruction: the end of a run says when it
    issued.  Channels that are asked the same throughout are a set, and have runs together.

    row: of the program; offset, size: the commands of it; frees: the row whose last command
    it lets enter, or one past the last; chosen: the set; driven (sets, channels).
    """

    row: Ints
    offset: Ints
    size: Ints
    frees: Ints
    chosen: Ints
    driven: Flags


def _cut(program: Program, masks: Sequence[tuple[int, ...]], channels: int) -> _Runs:
    """The runs of a program whose rows drive the channels of these masks."""
    sets = _asked_the_same(masks, channels)
    queues = [_cut_queue(program[:, 4], rows) for _, rows in sets]
    runs = np.concatenate(queues, axis=1)
    chosen = np.repeat(np.arange(len(sets)), [queue.shape[1] for queue in queues])
    order = np.argsort(runs[0], kind="stable")
    row, offset, size, frees = runs[:, order]
    driven = np.array([np.isin(np.arange(channels), members) for members, _ in sets])
    return _Runs(row, offset, size, frees, chosen[order], driven)


def _asked_the_same(masks: Sequence[tuple[int, ...]], channels: int) -> list[tuple[list[int], Ints]]:
    """The sets of channels that the same masks drive, and the places of these masks."""
    kinds = {mask: kind for kind, mask in enumerate(dict.fromkeys(masks))}
    drives = np.zeros((channels, len(kinds)), np.bool_)
    for mask, kind in kinds.items():
        drives[list(mask), kind] = True
    sets: dict[bytes, list[int]] = {}
    for channel in range(channels):
        sets.setdefault(drives[channel].tobytes(), []).append(channel)
    kind_of = np.array([kinds[mask] for mask in masks], np.int64)
    return [(members, np.flatnonzero(drives[members[0], kind_of])) for members in sets.values()]


def _cut_queue(sizes: Ints, rows: Ints) -> Ints:
    """Row, offset, size and freed row of the runs of a queue that is asked for some rows of these sizes."""
    totals = np.cumsum(sizes[rows])
    stops = np.union1d(totals, totals - QUEUE_ENTRIES)
    stops = stops[stops > 0]
    size = np.diff(stops, prepend=0)
    which = np.searchsorted(totals, stops)
    offset = stops - size - (totals - sizes[rows])[which]
    later = np.searchsorted(totals, stops + QUEUE_ENTRIES)
    frees = np.where(np.isin(stops + QUEUE_ENTRIES, totals), np.append(rows, 0)[later], len(sizes))
    return np.stack([rows[which], offset, size, frees])
