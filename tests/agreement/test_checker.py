"""The checker accepts what the twin issues, and finds every mistake that is planted in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram import program as requests
from pimsim.dram.spec import Effect, Needs, Scope, TimingConstraint
from pimsim.dram.timing import Device
from pimsim.dram.twin.channel import Channel
from pimsim.dram.twin.controller import Controller, Issued
from pimsim.logs.checker import Violation, check
from tests.examples import examples
from tests.levels import levelled_devices
from tests.logs import log_of, run_twin, with_row, without_row
from tests.situations import STANDARDS, Situation, address, enact, situations, stretched
from tests.strategies import devices, workloads

INDEX = STANDARD.index


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_what_the_twin_issues_breaks_no_rule(data: st.DataObject) -> None:
    device = data.draw(devices(channels=2) | levelled_devices(channels=2))
    channels = []
    for _ in range(device.channels):
        controller = run_twin(device, data.draw(workloads(device, max_programs=3)))
        controller.finish(data.draw(st.integers(0, 10 * device.refresh_interval)))
        channels.append(controller.commands)
    assert check(log_of(device, *channels), device) == []


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_any_tight_command_one_clock_earlier_is_found(data: st.DataObject) -> None:
    device = data.draw(devices() | levelled_devices())
    commands = run_twin(device, data.draw(workloads(device, max_programs=2))).commands
    tight = tight_commands(device, commands)
    assume(tight)
    for k in data.draw(st.lists(st.sampled_from(tight), min_size=1, max_size=5)):
        changed = [*commands[:k], commands[k]._replace(clk=commands[k].clk - 1), *commands[k + 1 :]]
        log = log_of(device, changed)
        assert commands[k].command in {v.command for v in check(log, device) if v.clk == commands[k].clk - 1}


def tight_commands(device: Device, commands: list[Issued]) -> list[int]:
    """Which commands the table keeps from issuing one clock earlier."""
    channel = Channel(device)
    tight = []
    for k, (clk, name, bank, row, column) in enumerate(commands):
        if clk > 0 and channel.earliest(name, bank) == clk:
            tight.append(k)
        channel.issue(name, clk, bank, row, column)
    return tight


@pytest.mark.parametrize("situation", [x for s in STANDARDS for x in situations(standard=s)], ids=str)
def test_device_with_one_constraint_a_clock_too_short_is_found(situation: Situation) -> None:
    device = stretched(situation)
    shorter = replace(situation.constraint, latency=f"{situation.constraint.latency} - 1")
    table = tuple(shorter if c == situation.constraint else c for c in situation.standard.constraints)
    wrong = replace(device, standard=replace(situation.standard, constraints=table))
    _, issued, counts_from = enact(device, situation)
    following = situation.standard.command(situation.following)
    bank, row, column = address(following, situation.bank)
    clk = max(issued[-1].clk, replay(wrong, issued).earliest(following.name, bank))
    commands = [*issued, Issued(clk, following.name, bank, row, column)]

    late = [*issued, Issued(clk + 1, following.name, bank, row, column)]
    assert timing_violations(device, late) == []
    found = timing_violations(device, commands)
    needed = device.latency(situation.constraint)
    assert [(v.line, v.clk, v.command, v.earlier) for v in found] == [
        (len(commands) + 1, clk, following.name, counts_from)
    ]
    assert f" -> {following.name} needs {needed} clocks, got {needed - 1}" in found[0].rule


def replay(device: Device, commands: list[Issued]) -> Channel:
    """A channel after these commands."""
    channel = Channel(device)
    for clk, name, bank, row, column in commands:
        channel.issue(name, clk, bank, row, column)
    return channel


def timing_violations(device: Device, commands: list[Issued]) -> list[Violation]:
    """Violations of the table; the situations refresh when it suits them."""
    return [v for v in check(log_of(device, commands), device) if "not with refresh mode" not in v.rule]


# ---- planted mistakes -------------------------------------------------------------------

SMALL = {
    "nRCDRD": 12, "nRCDWR": 11, "nRP": 12, "nRAS": 28, "nRC": 40, "nCCDS": 1, "nCCDL": 2, "nRRDS": 6, "nRRDL": 7,
    "nFAW": 27, "nRTP": 2, "nWR": 12, "nWTRS": 4, "nWTRL": 5, "nCL": 12, "nCWL": 3, "nRFC": 100, "nRFCpb": 40,
    "nREFI": 700, "nBL": 1, "nBLRES": 1, "nMAC": 2, "nDRAIN": 6, "nFAWAB": 0, "nRREFD": 9, "nPPD": 2,
}  # fmt: skip


def make_device(refresh: str = "all_bank") -> Device:
    nrefi = SMALL["nREFI"] * (4 if refresh == "per_bank" else 1)
    return Device(STANDARD, 2, 2, 2, 64, 8, 32, refresh, 1000, {**SMALL, "nREFI": nrefi})


def make_commands(device: Device) -> list[Issued]:
    """A vector, MACs over many rows, scattered writes, reads; every row that opens is used."""
    work = requests.program(
        [
            requests.run(INDEX("WRGB"), -1, 0, 8),
            requests.loop(INDEX("MACAB"), 0, 60, 8, 8, INDEX("RDMAC")),
            requests.close(),
            requests.scatter(INDEX("WR"), 80, 6, 8, 1, 3),
            requests.run(INDEX("RD"), 1, 100, 9),
            requests.close(),
        ]
    )
    controller = Controller(device)
    controller.finish(controller.run(work, 0))
    return controller.commands


@pytest.fixture(params=["all_bank", "per_bank", "none"])
def device(request: pytest.FixtureRequest) -> Device:
    return make_device(request.param)


def lines(found: list[Violation], text: str) -> list[int]:
    """The lines of the violations whose rule contains `text`."""
    return [violation.line for violation in found if text in violation.rule]


def test_unchanged_log_has_no_violation(device: Device) -> None:
    commands = make_commands(device)
    assert {c.command for c in commands} >= {"ACTAB", "PREAB", "ACT", "PRE", "MACAB", "WR", "RD", "RDMAC", "WRGB"}
    assert check(log_of(device, commands, commands), device) == []


def test_every_missing_precharge_is_found(device: Device) -> None:
    commands = make_commands(device)
    log = log_of(device, commands)
    needed = [k for k in rows_of(commands, "PRE", "PREAB") if next_on_bank(device, commands, k) is Needs.CLOSED]
    assert len(needed) > 50
    for k in needed:
        assert lines(check(without_row(log, k), device), "closed, but it is open"), commands[k]


def next_on_bank(device: Device, commands: list[Issued], k: int) -> Needs | None:
    """How the next command that looks at or changes a bank of command k needs that bank (None: no such command)."""
    banks = {commands[k].bank} if commands[k].bank >= 0 else set(range(device.banks))
    for issued in commands[k + 1 :]:
        command = STANDARD.command(issued.command)
        shared = command.scope is not Scope.CHANNEL and (issued.bank < 0 or issued.bank in banks)
        if shared and (command.needs is not Needs.ANY or command.effect is not Effect.NONE):
            return command.needs
    return None


def test_every_missing_activation_is_found(device: Device) -> None:
    commands = make_commands(device)
    log = log_of(device, commands)
    needed = [k for k in rows_of(commands, "ACT", "ACTAB") if next_on_bank(device, commands, k) is Needs.OPEN]
    assert len(needed) > 50
    for k in needed:
        assert lines(check(without_row(log, k), device), ", but it is "), commands[k]


def test_every_skipped_refresh_is_found() -> None:
    for mode in ("all_bank", "per_bank"):
        device = make_device(mode)
        commands = make_commands(device)
        refreshes = rows_of(commands, "REFAB", "REFPB")
        assert len(refreshes) > 3
        for k in refreshes:
            if commands[k] is not commands[-1]:
                assert lines(check(without_row(log_of(device, commands), k), device), "goes first"), (mode, k)


def test_refresh_missing_while_the_channel_is_idle_is_found() -> None:
    device = make_device()
    controller = Controller(device)
    controller.finish(5000)
    log = log_of(device, controller.commands)
    assert check(log, device) == []
    found = check(without_row(log, 2), device)
    assert [(v.line, v.rule) for v in found if v.line == 4] == [(4, "refresh 3, due at clock 2100, comes too late")]


@pytest.mark.parametrize("overdue", [Issued(700, "WRGB", -1, -1, 0), Issued(700, "ACT", 1, 5), Issued(701, "RDMAC")])
def test_any_command_but_a_closing_one_once_a_refresh_is_due_is_found(overdue: Issued) -> None:
    device = make_device()
    found = check(log_of(device, [overdue, Issued(800, "PREAB")]), device)
    assert [(v.line, v.rule) for v in found] == [(2, "REFAB was due at clock 700 and goes first")]
    assert check(log_of(device, [overdue._replace(clk=699)]), device) == []


def test_a_bank_that_is_due_holds_commands_to_itself_and_to_all_banks() -> None:
    device = make_device("per_bank")
    for clk, command, bank in ((700, "ACT", 0), (700, "ACTAB", -1), (1400, "ACT", 1)):
        before = [Issued(700, "REFPB", 0)] if clk == 1400 else []
        found = check(log_of(device, [*before, Issued(clk, command, bank, 5)]), device)
        assert [v.rule for v in found] == [f"REFPB was due at clock {clk} and goes first"]
        assert check(log_of(device, [*before, Issued(clk - 1, command, bank, 5)]), device) == []
    others = [Issued(700, "ACT", 1, 5), Issued(712, "RD", 1, 5, 0), Issued(720, "REFPB", 0)]
    assert check(log_of(device, others), device) == []


def test_channel_scope_commands_share_no_bank() -> None:
    row = TimingConstraint("bank", ("WRGB", "MACAB"), ("PREAB", "WRGB"), "nRFC")
    device = make_device("none")
    device = replace(device, standard=replace(STANDARD, constraints=(*STANDARD.constraints, row)))
    commands = [
        Issued(0, "ACTAB", -1, 5),
        Issued(50, "WRGB", -1, -1, 0),
        Issued(60, "WRGB", -1, -1, 1),
        Issued(70, "PREAB"),
    ]
    assert check(log_of(device, commands), device) == []
    commands[1] = Issued(50, "MACAB", -1, 5, 0)
    assert [v.rule for v in check(log_of(device, commands), device)] == [
        "tRFC: MACAB -> PREAB needs 100 clocks, got 20"
    ]


def test_a_window_of_a_level_counts_in_each_of_its_nodes() -> None:
    row = TimingConstraint("bank_group", ("ACT", "PREAB"), ("ACT", "PREAB"), "nFAW", window=2)
    device = replace(make_device("none"), bank_groups=4, standard=replace(STANDARD, constraints=(row,)))
    commands = [Issued(clk, "ACT", bank, 5) for clk, bank in ((0, 0), (6, 2), (12, 4), (18, 3))]
    for clk, wanted in ((33, []), (32, ["tFAW, 2 commands back: ACT -> PREAB needs 27 clocks, got 26"])):
        assert [v.rule for v in check(log_of(device, [*commands, Issued(clk, "PREAB")]), device)] == wanted
    for clk, wanted in ((45, []), (44, ["tFAW, 2 commands back: ACT -> ACT needs 27 clocks, got 26"])):
        late = [*commands, Issued(40, "PREAB"), Issued(clk, "ACT", 2, 5)]
        assert [v.rule for v in check(log_of(device, late), device)] == wanted


def test_refresh_before_it_is_due_is_found() -> None:
    for mode, name in (("all_bank", "REFAB"), ("per_bank", "REFPB")):
        device = make_device(mode)
        bank = 0 if mode == "per_bank" else -1
        assert check(log_of(device, [Issued(700, name, bank)]), device) == []
        found = check(log_of(device, [Issued(699, name, bank)]), device)
        assert [(v.line, v.rule) for v in found] == [(2, "refresh 1 is due at clock 700, not before")]


def test_per_bank_refresh_out_of_turn_is_found() -> None:
    device = make_device("per_bank")
    found = check(log_of(device, [Issued(700, "REFPB", 0), Issued(1400, "REFPB", 2)]), device)
    assert [(v.line, v.rule) for v in found] == [(3, "refresh 2 is bank 1's turn")]


def test_refresh_that_the_mode_does_not_have_is_found() -> None:
    log = log_of(make_device(), [Issued(700, "REFAB")])
    for mode in ("none", "per_bank"):
        found = check(log, make_device(mode))
        assert "not with refresh mode " + mode in [v.rule for v in found]


def test_refresh_with_a_bank_open_is_found() -> None:
    device = make_device()
    commands = [Issued(100, "ACT", 1, 5), Issued(700, "REFAB")]
    found = check(log_of(device, commands), device)
    assert [v.rule for v in found] == ["REFAB needs bank 1 closed, but it is open at row 5"]
    assert found[0].earlier == 100


def test_mac_on_a_closed_row_is_found(device: Device) -> None:
    commands = make_commands(device)
    k = rows_of(commands, "PREAB")[0]
    mac = Issued(commands[k].clk + 2, "MACAB", -1, 0, 0)
    found = check(log_of(device, [*commands[: k + 1], mac]), device)
    assert lines(found, "MACAB needs bank 0 open at row 0, but it is closed") == [k + 3]


def test_mac_on_another_row_is_found(device: Device) -> None:
    commands = make_commands(device)
    log = log_of(device, commands)
    for k in rows_of(commands, "MACAB", "WR", "RD"):
        changed = with_row(log, k, row=commands[k].row + 1)
        assert [v.line for v in check(changed, device)] == [k + 2], commands[k]


def test_mac_with_one_bank_on_another_row_is_found() -> None:
    device = make_device("none")
    commands = [Issued(50 * bank, "ACT", bank, 5 if bank != 2 else 6) for bank in range(4)]
    found = check(log_of(device, [*commands, Issued(300, "MACAB", -1, 5, 0)]), device)
    assert [(v.rule, v.earlier) for v in found] == [("MACAB needs bank 2 open at row 5, but it is open at row 6", 100)]


def test_two_commands_in_one_clock_are_found(device: Device) -> None:
    commands = make_commands(device)
    log = log_of(device, commands)
    for k in range(1, len(commands), 7):
        found = check(with_row(log, k, clk=commands[k - 1].clk), device)
        assert k + 2 in lines(found, "one command per command clock"), commands[k]


def test_one_clock_on_two_channels_is_not_a_mistake(device: Device) -> None:
    assert check(log_of(device, [Issued(5, "ACTAB", -1, 1)], [Issued(5, "ACTAB", -1, 1)]), device) == []


def test_rows_out_of_order_are_found(device: Device) -> None:
    commands = make_commands(device)
    log = log_of(device, commands)
    for k in range(0, len(commands) - 1, 7):
        swapped = with_row(with_row(log, k, **row_of(log, k + 1)), k + 1, **row_of(log, k))
        assert k + 3 in lines(check(swapped, device), "not in order"), commands[k]
    both = log_of(device, commands, commands)
    swapped = with_row(with_row(both, 0, **row_of(both, 1)), 1, **row_of(both, 0))
    assert [(v.line, v.rule) for v in check(swapped, device)] == [(3, "not in order of clk, then channel")]


def row_of(log: object, k: int) -> dict[str, int]:
    return {name: int(column[k]) for name, column in vars(log).items()}


@pytest.mark.parametrize(
    ("name", "change", "rule"),
    [
        ("WR", {"bank": 2}, "bank must be 0 to 1"),
        ("WR", {"bank": -1}, "bank must be 0 to 1"),
        ("ACT", {"bank_group": 2}, "bank_group must be 0 to 1"),
        ("PRE", {"bank_group": -1}, "bank_group must be 0 to 1"),
        ("MACAB", {"bank": 0}, "bank must be -1"),
        ("PREAB", {"bank_group": 0}, "bank_group must be -1"),
        ("RDMAC", {"bank_group": 0}, "bank_group must be -1"),
        ("ACTAB", {"row": 64}, "row must be 0 to 63"),
        ("ACT", {"row": -1}, "row must be 0 to 63"),
        ("PRE", {"row": 3}, "row must be -1"),
        ("WRGB", {"row": 3}, "row must be -1"),
        ("MACAB", {"column": 8}, "column must be 0 to 7"),
        ("RD", {"column": -1}, "column must be 0 to 7"),
        ("WRGB", {"column": -1}, "column must be 0 to 7"),
        ("ACTAB", {"column": 0}, "column must be -1"),
        ("RDMAC", {"channel": 2}, "channel must be 0 to 1"),
        ("RDMAC", {"channel": -1}, "channel must be 0 to 1"),
        ("RDMAC", {"command": 11}, "gddr6-pim has no such command"),
        ("RDMAC", {"command": -1}, "gddr6-pim has no such command"),
        ("WRGB", {"clk": -1}, "clocks count from 0"),
    ],
)
def test_address_that_the_device_does_not_have_is_found(name: str, change: dict[str, int], rule: str) -> None:
    device = make_device()
    commands = make_commands(device)
    k = rows_of(commands, name)[0]
    found = check(with_row(log_of(device, commands), k, **change), device)
    assert k + 2 in lines(found, rule)


def test_column_of_the_global_buffer_may_lie_beyond_a_row() -> None:
    device = make_device()
    assert check(log_of(device, [Issued(0, "WRGB", -1, -1, 500)]), device) == []


def test_every_violation_is_reported_in_the_order_of_the_log() -> None:
    device = make_device("none")
    commands = [Issued(clk, "RD", 0, 1, 0) for clk in range(0, 100, 2)]
    found = check(log_of(device, commands, commands), device)
    assert [v.line for v in found] == list(range(2, 102))
    assert {v.channel for v in found} == {0, 1}


def test_violation_reads_as_a_sentence() -> None:
    device = make_device("none")
    found = check(log_of(device, [Issued(100, "ACT", 1, 5), Issued(111, "RD", 1, 5, 0)]), device)
    assert [str(violation) for violation in found] == [
        "line 3: clock 111, channel 0, RD: tRCDRD: ACT -> RD needs 12 clocks, got 11 (since clock 100)"
    ]


def test_fifth_activation_within_tFAW_is_found() -> None:
    device = replace(make_device("none"), bank_groups=4)
    commands = [Issued(clk, "ACT", bank, 5) for clk, bank in ((0, 0), (6, 2), (12, 4), (18, 6), (26, 1))]
    found = check(log_of(device, commands), device)
    assert [v.rule for v in found] == ["tFAW, 4 commands back: ACT -> ACT needs 27 clocks, got 26"]


def test_an_all_bank_activation_beyond_the_supply_is_found() -> None:
    device = make_device("none")
    device = replace(device, cycles={**device.cycles, "nFAWAB": 60})
    for clk, wanted in ((60, []), (59, ["tFAWAB: ACTAB -> ACTAB needs 60 clocks, got 59"])):
        commands = [Issued(0, "ACTAB", -1, 5), Issued(28, "PREAB"), Issued(clk, "ACTAB", -1, 6)]
        assert [v.rule for v in check(log_of(device, commands), device)] == wanted


def test_empty_log_breaks_no_rule(device: Device) -> None:
    assert check(log_of(device), device) == []


def rows_of(commands: list[Issued], *names: str) -> list[int]:
    """Where in the log the commands with these names are."""
    return [k for k, command in enumerate(commands) if command.command in names]
