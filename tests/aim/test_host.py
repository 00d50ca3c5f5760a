"""Decoding, queues and waiting: the front-end against a host that is stepped clock by clock."""

from __future__ import annotations

import random
from collections import deque
from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.aim import engines
from pimsim.devices.aim.engines import KernelChannels
from pimsim.devices.aim.frontend import execute
from pimsim.devices.aim.isa import OPERATIONS, AimInstruction
from pimsim.devices.aim.queued import readable_channels
from pimsim.devices.aim.table import AF_ROW
from pimsim.dram.kernel.log import LOG_WIDTH
from pimsim.dram.spec import Needs, Scope
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import CLOSED, NONE, Channel
from tests.aim.devices import any_channels, correct_device, in_order, programs, reference_device
from tests.examples import examples

DEVICE = in_order(reference_device(4))  # `test_queued` has the reference's own host
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
    for channels in (readable_channels(DEVICE), KernelChannels(DEVICE, logged=True)):
        assert execute(program, channels) == end
        found = channels.log()
        names = [DEVICE.command_names[command] for command in found.command]
        assert list(zip(found.clk.tolist(), found.channel.tolist(), names, strict=True)) == log
    alike = KernelChannels(DEVICE)  # without a log channels that are equal share a state
    assert execute(program, alike) == end and alike.counts() == channels.counts()


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
    channels = readable_channels(DEVICE)
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
    channels = readable_channels(DEVICE)
    execute([*body, AimInstruction("EOC")], channels)
    log = channels.log()
    start = {"RD_MAC": 33 + 14 + 3, "SYNC": 33 + 4 + 1}[name]
    assert log.clk[log.channel == 1][0] == start


MIXED = (
    "WR_GB", "WR_BIAS", "WR_BIAS", "RD_MAC", "RD_MAC", "RD_AF", "MAC_ABK", "MAC_ABK", "EWMUL", "AF", "MAC_SBK",
    "COPY_BKGB", "COPY_GBBK", "WR_ABK", "W MEM", "R MEM", "SYNC", "EWADD",
)  # fmt: skip
FOUR = {
    "reference": reference_device(4),
    "in order": DEVICE,
    "aim": correct_device(4),
    "often refreshed": correct_device(4, nREFI=1500),
}


def mixed(seed: int, count: int, full: float) -> list[AimInstruction]:
    """A program of many masks, of which a part `full` drives all channels, with what blocks among them."""
    rng, body = random.Random(seed), []
    for _ in range(count):
        name = rng.choice(MIXED)
        fields = OPERATIONS[name].fields
        driven: tuple[int, ...] = ()
        if name in ("WR_ABK", "W MEM", "R MEM"):
            driven = (rng.randrange(4),)
        elif "mask" in fields:
            driven = (0, 1, 2, 3) if rng.random() < full else tuple(sorted(rng.sample(range(4), rng.randint(1, 4))))
        size = rng.choice([1, 3, 33, 34, 40, 64]) if {"size", "buffer_size"} & set(fields) else 1
        bank, row = rng.choice([0, 1, 5]) if "bank" in fields else -1, rng.randrange(3) if "row" in fields else -1
        body.append(AimInstruction(name, driven, size, bank, row))
    return [*body, AimInstruction("EOC")]


def carried_out(
    program: list[AimInstruction], device: Device, stepped: bool = False, logged: bool = False
) -> tuple[int, dict[str, int]]:
    channels = KernelChannels(device, stepped, logged)
    return execute(program, channels), channels.counts()


@pytest.mark.parametrize("full", [0.3, 0.8, 0.97])
@pytest.mark.parametrize("device", FOUR.values(), ids=FOUR)
def test_channels_that_share_a_state_do_what_each_does_alone(device: Device, full: float) -> None:
    for seed in range(examples(12)):
        program = mixed(seed, 400, full)
        alone = carried_out(program, device, logged=True)
        assert carried_out(program, device) == carried_out(program, device, stepped=True) == alone


@pytest.mark.parametrize("device", FOUR.values(), ids=FOUR)
def test_a_long_program_is_the_same_in_plain_python(device: Device) -> None:
    for seed in range(examples(2)):
        program = mixed(seed, 120, 0.7)
        twin = readable_channels(device)
        assert (execute(program, twin), twin.counts()) == carried_out(program, device)


def owners(*instructions: AimInstruction) -> list[int]:
    channels = KernelChannels(DEVICE)
    execute([*instructions, AimInstruction("EOC")], channels)
    return channels._engine.owners.tolist()


ALL = (0, 1, 2, 3)


def test_channels_part_and_join_again() -> None:
    read, write = AimInstruction("RD_MAC", ALL), AimInstruction("WR_ABK", (2,), 1, -1, 5)
    assert owners(AimInstruction("MAC_ABK", ALL, 3, -1, 1)) == [0, 0, 0, 0]
    assert owners(AimInstruction("AF", (1, 3))) == [0, 1, 0, 1]
    assert owners(write) == [0, 0, 2, 0]
    assert owners(AimInstruction("AF", (0,)), AimInstruction("AF", (0, 3))) == [0, 1, 1, 3]
    assert owners(write, read) == [0, 0, 2, 0]  # the row that it closed could not open yet
    assert owners(write, *[read] * 30) == [0, 0, 0, 0]
    assert owners(AimInstruction("MAC_SBK", (2,), 1, 0, 5), read) == [0, 0, 2, 0]  # a row is open
    assert (
        owners(AimInstruction("MAC_SBK", (2,), 1, 0, 5), AimInstruction("MAC_ABK", ALL, 1, -1, 5), read, read)[2] == 0
    )


def test_channels_whose_queues_differ_stay_apart() -> None:
    """Two channels issue their latest command at the same clock, ahead of the host, one after a queue of others."""
    mac, bias = AimInstruction("MAC_ABK", (1,), 1, -1, 0), AimInstruction("WR_BIAS", (1,))
    before = [mac, bias, AimInstruction("WR_BIAS", (2,)), AimInstruction("MAC_ABK", (0,), 64, -1, 0)]
    after = [mac, AimInstruction("RD_MAC", (2,)), AimInstruction("MAC_ABK", (1,), 30, -1, 0)]
    last = [AimInstruction("MAC_ABK", (3,), 64, -1, 0), AimInstruction("EOC")]
    for clocks in range(80):
        program = [*before, *[AimInstruction("EWADD")] * clocks, *after, *last]
        assert carried_out(program, DEVICE)[0] == execute(program, readable_channels(DEVICE)), clocks


def test_channels_past_the_last_bit_of_a_mask() -> None:
    device = reference_device(40)
    body = [AimInstruction(name, (channel,), 1, 2, 1) for name in ("W MEM", "R MEM") for channel in (39, 31, 0, 39)]
    masks = [AimInstruction("AF", (0, 31)), AimInstruction("RD_MAC", tuple(range(32))), AimInstruction("SYNC")]
    program = [*body, *masks, *body, AimInstruction("EOC")]
    twin = readable_channels(device)
    assert (execute(program, twin), twin.counts()) == carried_out(program, device)


def test_many_instructions_are_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    run_host = engines.run_host
    monkeypatch.setattr(engines, "run_host", lambda *arguments: calls.append(1) or run_host(*arguments))
    execute(mixed(1, 5000, 0.5), KernelChannels(DEVICE))
    assert len(calls) == 1


@pytest.mark.parametrize("rows", [1, 100, 1000])
def test_log_grows_where_an_instruction_needs_more_rows(rows: int) -> None:
    device, program = correct_device(4), mixed(3, 200, 0.5)
    whole, small = KernelChannels(device, logged=True), KernelChannels(device, logged=True)
    small._engine.log = np.empty((rows, LOG_WIDTH), np.int64)
    assert execute(program, small) == execute(program, whole)
    assert small.counts() == whole.counts()
    for field, values in vars(whole.log()).items():
        np.testing.assert_array_equal(getattr(small.log(), field), values, field)


def test_program_without_an_end_is_no_program() -> None:
    for channels in (readable_channels(DEVICE), KernelChannels(DEVICE)):
        with pytest.raises(ValueError, match="the program has no EOC"):
            execute([AimInstruction("SYNC")], channels)
