"""Kernel, twin and checker read the AiM tables alike; what being right changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pimsim.devices.aim import table as aim
from pimsim.devices.aim.frontend import execute
from pimsim.devices.aim.isa import AimInstruction, parse
from pimsim.devices.aim.queued import readable_channels
from pimsim.devices.aim.replay import EngineName, commands_of, costs, replay, without
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import NONE, Channel, ProtocolError
from pimsim.dram.twin.controller import Issued
from pimsim.logs.checker import check
from pimsim.logs.log import CommandLog
from tests.aim.devices import any_channels, correct_device, devices, in_order, programs, reference_device
from tests.examples import examples
from tests.logs import log_of, with_row

FULL = "0x80000000"


def run(text: str, device: Device) -> tuple[int, CommandLog]:
    program = parse("\n".join([*text.strip().splitlines(), "AiM EOC"]), device)
    channels = readable_channels(device)
    return execute(program, channels), channels.log()


def names(log: CommandLog, device: Device) -> list[str]:
    return [device.command_names[command] for command in log.command]


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_kernel_twin_and_checker_agree_on_any_program_and_timings(data: st.DataObject) -> None:
    device = data.draw(devices())
    program = data.draw(programs(any_channels))
    twin = readable_channels(device)
    cycles = execute(program, twin)
    log = twin.log()
    assert check(log, device) == []
    engines: tuple[EngineName, ...] = ("fast", "stepped")
    for engine in engines:
        result = replay(program, device, engine=engine)
        assert (result.cycles, result.counts) == (cycles, twin.counts())
        other = commands_of(program, device, engine)
        for field, values in vars(log).items():
            np.testing.assert_array_equal(getattr(other, field), values, f"{engine}: {field}")


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_a_command_a_clock_too_early_is_found(data: st.DataObject) -> None:
    device = data.draw(devices())
    twin = readable_channels(device)
    execute(data.draw(programs(st.just((0,)))), twin)
    commands = twin.controller(0).commands
    tight = tight_commands(device, commands)
    assume(tight)
    k = data.draw(st.sampled_from(tight))
    changed = [*commands[:k], commands[k]._replace(clk=commands[k].clk - 1), *commands[k + 1 :]]
    found = check(log_of(device, changed), device)
    assert commands[k].command in {v.command for v in found if v.clk == commands[k].clk - 1}


def tight_commands(device: Device, commands: list[Issued]) -> list[int]:
    """Which commands the table keeps from issuing one clock earlier."""
    channel, tight = Channel(device), []
    for k, (clk, name, bank, row, column) in enumerate(commands):
        command = device.standard.command(name)
        bank = bank if command.scope.value == "bank" else NONE
        has_row = command.needs.value == "open" or command.effect.value == "open"
        if channel.earliest(name, bank) == clk:
            tight.append(k)
        channel.issue(name, clk, bank, row if has_row else NONE, column if command.shows_column else NONE)
    return tight


@pytest.mark.parametrize("device", [reference_device(1), correct_device(1)], ids=["reference", "correct"])
def test_checker_finds_a_command_in_the_wrong_mode(device: Device) -> None:
    _, log = run(f"AiM WR_BIAS 0 {FULL}\nAiM MAC_ABK 2 {FULL} 3", device)
    switches = [k for k, name in enumerate(names(log, device)) if name == "TMOD"]
    assert len(switches) == 2
    for k in switches:
        mutated = with_row(log, k, command=device.standard.index("WRGB" if k == switches[1] else "PREA"))
        rules = [v.rule for v in check(mutated, device)]
        assert any("mode, but it is" in rule for rule in rules), rules


def test_twin_refuses_a_command_in_the_wrong_mode() -> None:
    channel = Channel(reference_device(1))
    with pytest.raises(ProtocolError, match="WRGB at clock 5 needs register mode, but it is array mode"):
        channel.issue("WRGB", 5, column=0)
    channel.issue("TMOD", 5)
    channel.issue("WRGB", 37, column=0)
    with pytest.raises(ProtocolError, match="ACT16 at clock 100 needs array mode, but it is register mode"):
        channel.issue("ACT16", 100, row=0)


def test_correct_profile_rejects_act16_on_an_open_bank_and_the_reference_does_it() -> None:
    text = f"AiM MAC_SBK 1 {FULL} 2 4\nAiM MAC_ABK 1 {FULL} 4"
    reference, correct = reference_device(1), correct_device(1)
    _, quirky = run(text, reference)
    _, right = run(text, correct)
    assert names(quirky, reference) == ["ACT", "MAC", "ACT16", "MAC16"]
    assert names(right, correct) == ["ACT", "MAC", "PREA", "ACT16", "MAC16"]
    bare = {field: values.copy() for field, values in vars(quirky).items()}
    bare["row"][:], bare["column"][:] = [4, 4, 4, 4], [-1, 0, -1, 0]  # as the correct profile logs them
    assert any("ACT16 needs bank 2 closed" in v.rule for v in check(CommandLog(**bare), correct))


def test_unknown_row_beyond_the_array_is_found_but_not_that_of_a_function() -> None:
    device = correct_device(1)
    _, log = run(f"AiM AF {FULL}", device)
    assert log.row.tolist() == [aim.AF_ROW, aim.AF_ROW] and check(log, device) == []
    assert check(with_row(log, 0, row=aim.AF_ROW + 8), device)
    assert check(with_row(log, 0, row=device.rows), device)


CASES = {
    "refresh": "\n".join(f"AiM MAC_ABK 64 {FULL} {row}" for row in range(60)),
    "activation window": "\n".join(f"W MEM 0 {bank} 0" for bank in (0, 4, 8, 12, 1)),
    "ACT on an open bank": f"AiM MAC_SBK 1 {FULL} 2 4\nAiM MAC_ABK 1 {FULL} 4",
    "MAC drain": f"AiM MAC_ABK 4 {FULL} 4\nAiM RD_MAC 0 {FULL}",
    "AF16 back to back": f"AiM AF {FULL}\nAiM AF {FULL}\nAiM AF {FULL}",
    "write to read": "W MEM 0 2 4\n" * 20 + f"AiM MAC_SBK 1 {FULL} 2 4",
    "buffer, bias": f"AiM COPY_BKGB 1 {FULL} 2 4\nAiM MAC_SBK 1 {FULL} 2 4",
    "order on the pins": f"R MEM 0 2 4\nAiM RD_MAC 0 {FULL}",
}

# The same with what each costs, by hand: (difference, program, clocks).
PRICES = [
    # MAC, which takes a clock, waits 19 after the last WR; without that the end waits 8 for the data of WR
    ("write to read", "W MEM 0 2 4\n" * 20 + f"AiM MAC_SBK 1 {FULL} 2 4", 19 + 1 - 8),
    ("write to read", f"AiM COPY_GBBK 64 {FULL} 2 4\nAiM MAC_SBK 1 {FULL} 2 4", 19 - 1),
    ("write to read", f"AiM COPY_GBBK 64 {FULL} 2 4\nAiM COPY_BKGB 1 {FULL} 2 4", 19 - 1),
    ("write to read", f"AiM COPY_GBBK 64 {FULL} 2 4\nR MEM 0 2 4", 19 - 1),
    ("write to read", f"AiM EWMUL 40 {FULL} 4\nAiM MAC_ABK 1 {FULL} 4", 17 - 2),
    ("buffer, bias", f"AiM COPY_BKGB 1 {FULL} 2 4\nAiM MAC_SBK 1 {FULL} 2 4", 50 - 2),
    ("buffer, bias", f"AiM COPY_BKGB 1 {FULL} 2 4\nAiM COPY_GBBK 1 {FULL} 2 4", 50 - 1),
]


@pytest.mark.parametrize(("name", "text", "clocks"), PRICES)
def test_a_difference_costs_the_clocks_of_its_row(name: str, text: str, clocks: int) -> None:
    device = correct_device(1)
    program = parse(text + "\nAiM EOC", device)
    assert {x.name: cost for x, cost in costs(program, device, "twin") if cost} == {name: clocks}


@pytest.mark.parametrize(
    ("text", "second"),
    [
        (f"AiM COPY_GBBK 64 {FULL} 2 4\nAiM MAC_SBK 1 {FULL} 2 4", "MAC"),
        (f"AiM WR_SBK 0 {FULL} 2 4\nAiM MAC_SBK 64 {FULL} 2 4", "MAC"),
        (f"AiM COPY_BKGB 1 {FULL} 2 4\nAiM MAC_SBK 1 {FULL} 2 4", "MAC"),
    ],
)
def test_checker_finds_what_the_reference_reads_too_early(text: str, second: str) -> None:
    reference, correct = reference_device(1), correct_device(1)
    _, quirky = run(text, reference)
    first = next(k for k, name in enumerate(names(quirky, reference)) if name == second)
    moved = {field: values.copy() for field, values in vars(quirky).items()}
    moved["clk"][first:] += 40  # so that its activation is long ago
    moved["clk"][first:] -= moved["clk"][first] - moved["clk"][first - 1] - 2
    for field in ("row", "column"):
        moved[field][np.array([name == "ACT" for name in names(quirky, reference)])] = [4] if field == "row" else [-1]
    log = CommandLog(**moved)
    found = check(log, correct)
    assert (found[0].command, found[0].clk) == (second, int(log.clk[first]))
    assert {v.command for v in found} == {second}


@pytest.mark.parametrize("difference", aim.DIFFERENCES, ids=lambda difference: difference.name)
def test_each_difference_costs_something_in_its_own_case_alone(difference: aim.Difference) -> None:
    # in order, at most one ACT in tRCD: the preset's tFAW (28) never binds, a longer one does
    device = correct_device(2, nFAW=200 if difference.name == "activation window" else 28)
    program = parse(CASES[difference.name] + "\nAiM EOC", device)
    found = {x.name: clocks for x, clocks in costs(program, device, "twin")}
    assert {name for name, clocks in found.items() if clocks > 0} == {difference.name}
    assert min(found.values()) == 0


def test_with_all_differences_undone_the_cycles_are_the_references() -> None:
    device = correct_device(2)
    for difference in aim.DIFFERENCES:
        device = without(device, difference)
    for text in CASES.values():
        assert run(text, device)[0] == run(text, in_order(reference_device(2)))[0]


def test_reference_device_has_no_costs() -> None:
    assert costs([AimInstruction("EOC")], reference_device(1), "twin") == []


def test_refresh_happens_in_either_mode_and_is_checked() -> None:
    device = correct_device(1)
    text = "\n".join(f"AiM WR_BIAS 0 {FULL}\nAiM RD_MAC 0 {FULL}" for _ in range(900))
    cycles, log = run(text, device)
    refreshes = log.clk[log.command == device.standard.index("REFAB")]
    assert len(refreshes) == cycles // 7800 > 1
    assert check(log, device) == []
    late = replace(device, cycles={**device.cycles, "nREFI": 7700})
    assert check(log, late)
