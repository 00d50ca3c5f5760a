"""Host accesses as the open AiM simulator has them: its published clocks, and two readings of its rules."""

from __future__ import annotations

import random

import numpy as np
import pytest

from pimsim.devices.aim.engines import KernelChannels
from pimsim.devices.aim.frontend import execute
from pimsim.devices.aim.isa import AimInstruction, parse
from pimsim.devices.aim.queued import QueuedChannels
from pimsim.devices.aim.replay import EngineName, commands_of, replay
from pimsim.dram.timing import Device
from tests.aim.devices import in_order, reference_device
from tests.examples import examples

DEVICE = reference_device(4)
CYCLES = 117  # of the program below (source: AiM reference simulator)
MINIMAL = "AiM MAC_ABK 1 0x80000000 0\nW MEM 0 0 0\nAiM MAC_ABK 1 0x40000000 0\nAiM EOC"


def cycles(text: str, device: Device = DEVICE) -> int:
    """The cycles of a program, the same in every engine."""
    program = parse(text, device)
    found = {replay(program, device, engine=engine).cycles for engine in ENGINES}
    assert len(found) == 1
    return found.pop()


WAIT = ["AiM EWADD 1 0 0"] * 200
ENGINES: tuple[EngineName, ...] = ("fast", "stepped", "twin")


def test_an_access_behind_a_request_holds_back_the_requests_behind_it() -> None:
    assert cycles(MINIMAL) == CYCLES
    assert cycles(MINIMAL, in_order(DEVICE)) == 67


def test_accesses_of_several_banks_open_their_rows_side_by_side() -> None:
    """Four ACT 5 clocks apart, each WR 28 behind its own."""
    lines = [f"W MEM 0 {bank} 3" for bank in (0, 4, 8, 12)]
    log = commands_of(parse("\n".join([*lines, *WAIT, "AiM EOC"]), DEVICE), DEVICE)
    names = [DEVICE.command_names[command] for command in log.command]
    assert [(name, clk) for name, clk in zip(names, log.clk.tolist(), strict=True)] == [
        *(("ACT", 1 + 5 * k) for k in range(4)), *(("WR", 29 + 5 * k) for k in range(4)),
    ]  # fmt: skip


@pytest.mark.parametrize(("before", "lost"), [([], 0), (["W MEM 0 0 3"], 0), (["W MEM 0 0 3", "W MEM 0 0 4"], 1)])
def test_a_read_behind_a_queued_write_is_lost(before: list[str], lost: int) -> None:
    """The first write has its row at once, and is queued no more; one to another row waits for it."""
    lines = [*before, "R MEM 0 0 3", *WAIT, "AiM EOC"]
    assert replay(parse("\n".join(lines), DEVICE), DEVICE).counts["RD"] == 1 - lost


def test_what_has_begun_is_lost_at_the_end() -> None:
    program = parse("W MEM 0 0 3\nAiM EOC", DEVICE)
    assert replay(program, DEVICE).counts["WR"] == 0  # its row was opened
    assert replay(program, DEVICE).counts["ACT"] == 1


@pytest.mark.parametrize("writes", [33, 34, 35])
def test_the_host_waits_for_a_place_in_the_queue(writes: int) -> None:
    """Behind as many writes to closed rows as the queue holds, the next one waits for the first to have its row."""
    rows = "\n".join(f"W MEM 0 0 {row}" for row in range(writes))
    assert cycles(f"{rows}\nAiM SYNC\nAiM EOC") > 0
    log = commands_of(parse(f"{rows}\nW MEM 1 0 0\nAiM SYNC\nAiM EOC", DEVICE), DEVICE)
    second = int(log.clk[log.channel == 1][0])
    rows_opened = log.clk[(log.channel == 0) & (log.command == DEVICE.standard.index("ACT"))].tolist()
    # each of the first 33 is decoded in a clock of its own; the first has left the queue by then
    places = [opened + 1 for opened in rows_opened]
    expected = writes + 1 if writes <= 34 else max(writes, places[writes - 34]) + 1
    assert second == expected


def accesses(seed: int, count: int) -> list[AimInstruction]:
    """Bursts of accesses with whatever else between them, over few banks and rows."""
    rng, body = random.Random(seed), []
    while len(body) < count:
        kind, channel = rng.random(), rng.randrange(4)
        if kind < 0.6:
            name = rng.choice(["R MEM", "W MEM", "W MEM"])
            for _ in range(rng.choice([1, 2, 5, 40])):
                body.append(AimInstruction(name, (channel,), 1, rng.choice([0, 1, 5, 9]), rng.randrange(3)))
                channel = (channel + rng.randrange(2)) % 4
        elif kind < 0.7:
            body.append(AimInstruction("SYNC"))
        else:
            name = rng.choice(["WR_BIAS", "RD_MAC", "AF", "MAC_ABK", "EWMUL", "COPY_BKGB", "COPY_GBBK", "MAC_SBK"])
            driven = tuple(sorted(rng.sample(range(4), rng.randint(1, 4))))
            size = rng.choice([1, 3, 34, 64]) if name not in ("WR_BIAS", "RD_MAC", "AF") else 1
            bank = rng.choice([0, 1, 5]) if name in ("COPY_BKGB", "COPY_GBBK", "MAC_SBK") else -1
            row = -1 if name in ("WR_BIAS", "RD_MAC", "AF") else rng.randrange(3)
            body.append(AimInstruction(name, driven, size, bank, row))
    return [*body, AimInstruction("EOC")]


@pytest.mark.parametrize("seed", range(examples(12)))
def test_both_readings_issue_the_same_commands(seed: int) -> None:
    program = accesses(seed, 150)
    twin, kernel = QueuedChannels(DEVICE), KernelChannels(DEVICE, logged=True)
    assert execute(program, kernel) == execute(program, twin)
    for field, values in vars(twin.log()).items():
        np.testing.assert_array_equal(getattr(kernel.log(), field), values, field)
    alike, stepped = KernelChannels(DEVICE), KernelChannels(DEVICE, stepped=True)
    assert execute(program, alike) == execute(program, stepped) == execute(program, kernel_of(DEVICE))
    assert alike.counts() == stepped.counts() == twin.counts()


def kernel_of(device: Device) -> KernelChannels:
    return KernelChannels(device, logged=True)
