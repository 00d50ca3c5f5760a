"""Decoding, queues and waiting: the front-end against a host that is stepped clock by clock."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.aim.engines import KernelChannels, TwinChannels
from pimsim.devices.aim.frontend import execute
from pimsim.devices.aim.isa import AimInstruction
from pimsim.devices.aim.table import AF_ROW
from pimsim.dram.spec import Needs, Scope
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import CLOSED, NONE, Channel
from tests.aim.devices import any_channels, programs, reference_device
from tests.examples import examples

DEVICE = reference_device(4)
QUEUE = 33

Log = list[tuple[int, int, str]]


@dataclass
class Asked:
    """One command that an instruction asks for."""

    command: str
    bank: int
    row: int
    column: int
    blocking: bool


class Stepped:
    """One channel of the reference simulator, a clock at a time: its queue, then what may issue."""

    def __init__(self, device: Device) -> None:
        self.channel = Channel(device)
        self.device = device
        self.queue: deque[Asked] = deque()
        self.reading: deque[int] = deque()
        self.writing: list[int] = []

    def tick(self, clk: int) -> tuple[str | None, bool]:
        """What issued, and whether the host got an answer."""
        answered = False
        if self.reading and abs(self.reading[0]) <= clk and (self.reading[0] >= 0 or not self.writing):
            self.reading.popleft()
            answered = True
        self.writing = [end for end in self.writing if end > clk]
        return (self._issue(clk) if self.queue else None), answered

    def _issue(self, clk: int) -> str | None:
        asked = self.queue[0]
        if not asked.command:  # SYNC or EOC: answered once nothing is written any more
            self.reading.append(-clk)
            self.queue.popleft()
            return None
        own = self.device.standard.command(asked.command)
        name, bank, row = self._next(asked)
        if self.channel.earliest(name, bank) > clk:
            return None
        if own.mode != self.channel.mode:
            self.channel.issue("TMOD", clk)
            return "TMOD"
        command = self.device.standard.command(name)
        self.channel.issue(name, clk, bank, row, asked.column if command.shows_column else NONE)
        if name == asked.command:
            end = clk + self.device.completion(own)
            self.reading.append(end) if asked.blocking else self.writing.append(end)
            self.queue.popleft()
        return name

    def _next(self, asked: Asked) -> tuple[str, int, int]:
        own, rows = self.device.standard.command(asked.command), self.channel.open_rows
        if own.needs is not Needs.OPEN:
            return asked.command, NONE, NONE
        if own.scope is Scope.BANK:
            at = rows[asked.bank]
            if at == asked.row:
                return asked.command, asked.bank, asked.row
            return ("ACT", asked.bank, asked.row) if at == CLOSED else ("PRE", asked.bank, NONE)
        if any(at not in (CLOSED, asked.row) for at in rows):
            return "PREA", NONE, NONE
        return ("ACT16" if CLOSED in rows else asked.command), NONE, asked.row


def stepped(program: list[AimInstruction], device: Device) -> tuple[int, Log]:
    """The program's end and its commands, one clock at a time."""
    channels = [Stepped(device) for _ in range(device.channels)]
    waiting: list[deque[Asked]] = [deque() for _ in channels]
    todo, log, function, unanswered = deque(program), [], 0, 0
    for clk in range(1, 200_000):
        was_waiting = any(waiting)
        for channel, queue in zip(channels, waiting, strict=True):
            while queue and len(channel.queue) < QUEUE:
                channel.queue.append(queue.popleft())
        if not was_waiting and not unanswered and todo:
            instruction = todo.popleft()
            if instruction.name == "W CFR":
                function = instruction.value
            unanswered = decode(instruction, function, channels, waiting)
            for channel, queue in zip(channels, waiting, strict=True):
                while queue and len(channel.queue) < QUEUE:
                    channel.queue.append(queue.popleft())
        for number, channel in enumerate(channels):
            issued, answered = channel.tick(clk)
            unanswered -= answered
            log += [(clk, number, issued)] if issued else []
        if not todo and not unanswered:
            return clk, log
    raise AssertionError("the program does not end")


def decode(instruction: AimInstruction, function: int, channels: list[Stepped], waiting: list[deque[Asked]]) -> int:
    """Hands an instruction's commands to its channels; how many answers the host waits for."""
    operation = instruction.operation
    if instruction.name in ("SYNC", "EOC"):
        for queue in waiting:
            queue.append(Asked("", NONE, NONE, 0, True))
        return len(channels)
    if not operation.command:
        return 0
    row = AF_ROW + function if instruction.name == "AF" else instruction.row
    for channel in instruction.channels:
        for column in range(instruction.size):
            waiting[channel].append(Asked(operation.command, instruction.bank, row, column, operation.blocking))
    return len(instruction.channels) if operation.blocking else 0


def compare(program: list[AimInstruction]) -> None:
    end, log = stepped(program, DEVICE)
    for channels in (TwinChannels(DEVICE), KernelChannels(DEVICE, logged=True)):
        assert execute(program, channels) == end
        found = channels.log()
        names = [DEVICE.command_names[command] for command in found.command]
        assert list(zip(found.clk.tolist(), found.channel.tolist(), names, strict=True)) == log


@settings(max_examples=examples(120), deadline=None)
@given(programs(any_channels))
def test_any_masks(program: list[AimInstruction]) -> None:
    compare(program)


@settings(max_examples=examples(40), deadline=None)
@given(programs(st.just((1, 3)), host=False))
def test_one_mask(program: list[AimInstruction]) -> None:
    compare([x for x in program if x.name != "WR_ABK"])


def test_full_queue_of_one_channel_holds_back_another() -> None:
    """33 commands wait in channel 0; the 34th keeps the host from decoding for channel 1."""
    first = [AimInstruction("MAC_ABK", (0,), 33, -1, 0), AimInstruction("AF", (0,)), AimInstruction("AF", (1,))]
    channels = TwinChannels(DEVICE)
    execute([*first, AimInstruction("EOC")], channels)
    log = channels.log()
    assert log.clk[log.channel == 1][0] == 1 + 56 + 2  # MAC16 at 57 leaves the queue; AF enters, then the host decodes
    compare([*first, AimInstruction("EOC")])


@pytest.mark.parametrize("name", ["RD_MAC", "SYNC"])
def test_host_waits_for_what_blocks(name: str) -> None:
    body = [
        AimInstruction("WR_BIAS", (0,)),
        AimInstruction(name, (0,) if name == "RD_MAC" else ()),
        AimInstruction("AF", (1,)),
    ]
    channels = TwinChannels(DEVICE)
    execute([*body, AimInstruction("EOC")], channels)
    log = channels.log()
    start = {"RD_MAC": 33 + 14 + 3, "SYNC": 33 + 4 + 1}[name]
    assert log.clk[log.channel == 1][0] == start
