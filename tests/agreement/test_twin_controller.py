"""The controller's policy in small scenes, clock by clock, and how it charges clocks to causes."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram import program as requests
from pimsim.dram.program import Request
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Controller, Issued, charge
from tests.examples import examples
from tests.logs import run_twin
from tests.strategies import device_of, devices, workloads

CYCLES = {
    "nRCDRD": 10, "nRCDWR": 9, "nRP": 8, "nRAS": 20, "nRC": 28, "nCCDS": 1, "nCCDL": 2, "nRRDS": 3, "nRRDL": 4,
    "nFAW": 16, "nRTP": 2, "nWR": 6, "nWTRS": 3, "nWTRL": 4, "nCL": 12, "nCWL": 5, "nRFC": 50, "nRFCpb": 30,
    "nREFI": 500, "nBL": 1, "nBLRES": 1, "nMAC": 2, "nDRAIN": 6, "nFAWAB": 0, "nRREFD": 1, "nPPD": 1,
}  # fmt: skip
RD, WR, MACAB, WRGB, RDMAC = (STANDARD.index(name) for name in ("RD", "WR", "MACAB", "WRGB", "RDMAC"))


def make_device(refresh: str = "none", **cycles: int) -> Device:
    """2 bank groups of 2 banks, 8 columns."""
    return device_of({**CYCLES, **cycles}, refresh, bank_groups=2, banks_per_group=2)


def issue(device: Device, *work: Request, t0: int = 0) -> list[Issued]:
    controller = Controller(device)
    controller.run(requests.program(work), t0)
    return controller.commands


# ---- rows ---------------------------------------------------------------------------


def test_closed_bank_is_opened_before_a_read() -> None:
    assert issue(make_device(), requests.run(RD, 2, 5 * 8 + 3, 2)) == [
        Issued(0, "ACT", 2, 5),
        Issued(10, "RD", 2, 5, 3),
        Issued(12, "RD", 2, 5, 4),
    ]


def test_other_row_is_closed_first_and_the_open_row_is_kept() -> None:
    assert issue(make_device(), requests.run(RD, 2, 5 * 8 + 7, 2)) == [
        Issued(0, "ACT", 2, 5),
        Issued(10, "RD", 2, 5, 7),
        Issued(20, "PRE", 2),
        Issued(28, "ACT", 2, 6),
        Issued(38, "RD", 2, 6, 0),
    ]


def test_all_banks_closed_are_opened_at_once() -> None:
    assert issue(make_device(), requests.run(MACAB, -1, 8, 1)) == [
        Issued(0, "ACTAB", -1, 1),
        Issued(10, "MACAB", -1, 1, 0),
    ]


def test_banks_that_are_missing_are_opened_one_by_one() -> None:
    work = [requests.open_row(8, 1), requests.open_row(8, 2), requests.open_row(8)]
    assert issue(make_device(), *work) == [
        Issued(0, "ACT", 1, 1),
        Issued(3, "ACT", 2, 1),
        Issued(6, "ACT", 0, 1),
        Issued(9, "ACT", 3, 1),
    ]


def test_any_other_row_closes_all_banks() -> None:
    work = [requests.open_row(8, 1), requests.open_row(16, 2), requests.open_row(8)]
    assert issue(make_device(), *work) == [
        Issued(0, "ACT", 1, 1),
        Issued(3, "ACT", 2, 2),
        Issued(23, "PREAB"),
        Issued(31, "ACTAB", -1, 1),
    ]


def test_opening_an_open_row_and_closing_a_closed_bank_issue_nothing() -> None:
    device = make_device()
    work = [requests.close(), requests.close(1), requests.open_row(8), requests.open_row(15, 3), requests.open_row(9)]
    assert issue(device, *work) == [Issued(0, "ACTAB", -1, 1)]
    assert issue(device, *work, requests.close(1), requests.close()) == [
        Issued(0, "ACTAB", -1, 1),
        Issued(20, "PRE", 1),
        Issued(21, "PREAB"),
    ]


# ---- requests -----------------------------------------------------------------------


def test_nothing_issues_before_the_start() -> None:
    assert issue(make_device(), requests.run(WRGB, -1, 0, 1), t0=77) == [Issued(77, "WRGB", -1, -1, 0)]


def test_gap_spaces_the_commands_of_a_run() -> None:
    work = [requests.run(WRGB, -1, 3, 3, gap=7), requests.run(WRGB, -1, 0, 1)]
    assert [(c.clk, c.column) for c in issue(make_device(), *work)] == [(0, 3), (7, 4), (14, 5), (15, 0)]


def test_run_of_nothing_issues_nothing() -> None:
    assert issue(make_device(), requests.run(RD, 0, 0, 0)) == []


def test_loop_reads_each_result_and_closes_a_used_up_row_while_the_sums_drain() -> None:
    commands = issue(make_device(), requests.loop(MACAB, 4, 2, 4, 4, RDMAC))
    assert [(c.command, c.row, c.column) for c in commands] == [
        ("ACTAB", 0, -1),
        *(("MACAB", 0, column) for column in (4, 5, 6, 7)),
        ("PREAB", -1, -1),
        ("RDMAC", -1, -1),
        ("ACTAB", 1, -1),
        *(("MACAB", 1, column) for column in (0, 1, 2, 3)),
        ("RDMAC", -1, -1),
    ]


def test_scatter_alternates_bank_groups_and_opens_ahead() -> None:
    commands = issue(make_device(), requests.scatter(WR, 3, 1, 8, 1, 2))
    assert [(c.command, c.bank) for c in commands] == [
        ("ACT", 0),
        ("ACT", 2),
        ("WR", 0),
        ("ACT", 1),
        ("WR", 2),
        ("PRE", 0),
        ("ACT", 3),
        ("WR", 1),
        ("PRE", 2),
        ("WR", 3),
        ("PRE", 1),
        ("PRE", 3),
    ]
    assert {c.column for c in commands if c.command == "WR"} == {3}


def test_scatter_moves_on_by_its_stride_after_each_round_of_banks() -> None:
    writes = [c for c in issue(make_device(), requests.scatter(WR, 6, 3, 9, 0, 1)) if c.command == "WR"]
    assert [(c.bank, c.row, c.column) for c in writes[:5]] == [(0, 0, 6), (2, 0, 6), (1, 0, 6), (3, 0, 6), (0, 1, 7)]
    assert [(c.row, c.column) for c in writes[8:]] == [(3, 0)] * 4


def test_unknown_request_is_refused() -> None:
    with pytest.raises(ValueError, match="no request has the number 9"):
        Controller(make_device()).run(requests.program([(9, 0, 0, 0, 0, 0, 0, 0)]), 0)


def test_role_that_the_device_does_not_have_is_named() -> None:
    device = make_device()
    poor = replace(device, standard=replace(STANDARD, roles=replace(STANDARD.roles, open_all=None)))
    with pytest.raises(ValueError, match="gddr6-pim has no command to open_all"):
        Controller(poor).run(requests.program([requests.open_row(0)]), 0)


# ---- refresh ------------------------------------------------------------------------


def test_refresh_goes_before_a_command_that_could_issue_when_it_is_due() -> None:
    device = make_device("all_bank", nREFI=100)
    late = issue(device, requests.run(WRGB, -1, 0, 1), t0=100)
    assert late == [Issued(100, "REFAB"), Issued(150, "WRGB", -1, -1, 0)]
    assert issue(device, requests.run(WRGB, -1, 0, 1), t0=99) == [Issued(99, "WRGB", -1, -1, 0)]


def test_refresh_closes_the_banks_and_the_row_opens_again() -> None:
    device = make_device("all_bank", nREFI=100)
    assert issue(device, requests.run(RD, 0, 0, 2, gap=95)) == [
        Issued(0, "ACT", 0, 0),
        Issued(10, "RD", 0, 0, 0),
        Issued(100, "PREAB"),
        Issued(108, "REFAB"),
        Issued(158, "ACT", 0, 0),
        Issued(168, "RD", 0, 0, 1),
    ]


def test_closing_is_left_to_the_refresh_that_is_due() -> None:
    work = [requests.run(WR, 0, 0, 1), requests.close(0)]
    assert issue(make_device("all_bank", nREFI=22), *work)[2:] == [Issued(21, "PRE", 0)]
    assert issue(make_device("all_bank", nREFI=21), *work)[2:] == [Issued(21, "PREAB"), Issued(29, "REFAB")]


def test_idle_channel_refreshes_on_time_before_the_next_program() -> None:
    device = make_device("all_bank", nREFI=100)
    controller = Controller(device)
    controller.run(requests.program([requests.open_row(8)]), 0)
    controller.run(requests.program([requests.run(RD, 0, 8, 1)]), 390)
    assert controller.commands == [
        Issued(0, "ACTAB", -1, 1),
        Issued(100, "PREAB"),
        Issued(108, "REFAB"),
        Issued(200, "REFAB"),
        Issued(300, "REFAB"),
        Issued(390, "ACT", 0, 1),
        Issued(410, "PREAB"),
        Issued(418, "REFAB"),
        Issued(468, "ACT", 0, 1),
        Issued(478, "RD", 0, 1, 0),
    ]


def test_idle_refresh_closes_what_the_next_program_wants_open() -> None:
    controller = Controller(make_device("all_bank", nREFI=500))
    controller.run(requests.program([requests.open_row(8)]), 0)
    controller.run(requests.program([requests.open_row(8)]), 500)
    assert controller.commands == [Issued(0, "ACTAB", -1, 1)]
    controller.run(requests.program([requests.open_row(8)]), 501)
    assert controller.commands[1:] == [Issued(500, "PREAB"), Issued(508, "REFAB"), Issued(558, "ACTAB", -1, 1)]


def test_per_bank_refresh_goes_round_and_closes_its_own_bank_alone() -> None:
    device = make_device("per_bank", nREFI=400)
    controller = Controller(device)
    controller.run(requests.program([requests.open_row(8, 1), requests.open_row(8, 2)]), 0)
    controller.finish(601)
    assert controller.commands == [
        Issued(0, "ACT", 1, 1),
        Issued(3, "ACT", 2, 1),
        Issued(100, "REFPB", 0),
        Issued(200, "PRE", 1),
        Issued(208, "REFPB", 1),
        Issued(300, "PRE", 2),
        Issued(308, "REFPB", 2),
        Issued(400, "REFPB", 3),
        Issued(500, "REFPB", 0),
        Issued(600, "REFPB", 1),
    ]


def test_finish_refreshes_what_is_due_before_the_end_and_no_more() -> None:
    controller = Controller(make_device("all_bank", nREFI=100))
    controller.finish(200)
    assert controller.commands == [Issued(100, "REFAB")]
    controller.finish(201)
    assert controller.commands[1:] == [Issued(200, "REFAB")]
    without = Controller(make_device("none", nREFI=100))
    without.finish(1000)
    assert without.commands == []


# ---- data end and causes --------------------------------------------------------------


def test_data_end_is_the_last_arrival_not_the_last_command() -> None:
    controller = Controller(make_device())
    work = requests.program([requests.run(RD, 0, 0, 1), requests.close(0)])
    assert controller.run(work, 0) == 10 + 12 + 1
    assert controller.commands[-1] == Issued(20, "PRE", 0)


def test_program_without_data_ends_where_it_starts() -> None:
    controller = Controller(make_device())
    assert controller.run(requests.program([requests.run(MACAB, -1, 0, 3)]), 40) == 40
    assert controller.causes == {}


def test_clocks_are_charged_to_what_they_waited_for() -> None:
    controller = Controller(make_device())
    work = [requests.run(WRGB, -1, 0, 4), requests.run(MACAB, -1, 0, 3), requests.run(RDMAC, -1, 0, 1)]
    end = controller.run(requests.program(work), 100)
    assert [(c.clk, c.command) for c in controller.commands] == [
        (100, "WRGB"), (101, "WRGB"), (102, "WRGB"), (103, "WRGB"),
        (104, "ACTAB"), (114, "MACAB"), (116, "MACAB"), (118, "MACAB"), (124, "RDMAC"),
    ]  # fmt: skip
    assert end == 124 + 13
    assert controller.causes == {
        "input_transfer": 3,  # to the last WRGB
        "activation": 1 + 10,  # to ACTAB, and from it to the first MACAB
        "mac": 4,
        "result_transfer": 6 + 13,  # to RDMAC, and until its data is there
    }


def test_first_command_to_reach_the_data_end_sets_its_cause() -> None:
    device = make_device()
    read, write = Issued(10, "RD", 0, 0, 0), Issued(17, "WR", 2, 0, 0)
    assert charge(device, [read, write], 10, 10) == (23, {"write": 7, "read": 6})
    assert charge(device, [read, write._replace(clk=18)], 10, 10) == (24, {"write": 8 + 6})


def test_commands_past_the_data_end_are_not_charged() -> None:
    device = make_device()
    issued = [Issued(0, "ACT", 0, 0), Issued(10, "RD", 0, 0, 0), Issued(15, "WRGB", column=0), Issued(90, "PRE", 0)]
    assert charge(device, issued, 0, 0) == (23, {"activation": 10 + 8, "input_transfer": 5})


def test_clocks_of_a_refresh_are_its_own_until_the_next_command() -> None:
    device = make_device()
    issued = [Issued(100, "REFAB"), Issued(150, "ACT", 0, 0), Issued(160, "RD", 0, 0, 0)]
    assert charge(device, issued, 90, 90) == (173, {"refresh": 60, "activation": 10, "read": 13})


def test_refresh_before_the_start_charges_nothing() -> None:
    device = make_device()
    issued = [Issued(100, "REFAB"), Issued(150, "ACT", 0, 0), Issued(160, "RD", 0, 0, 0)]
    end, causes = charge(device, issued, 120, 120)
    assert end == 173
    assert sum(causes.values()) == 53


def test_clocks_before_the_account_are_not_charged_again() -> None:
    device = make_device()
    issued = [Issued(90, "ACT", 0, 0), Issued(100, "RD", 0, 0, 0)]
    assert charge(device, issued, 90, 97) == (113, {"activation": 3, "read": 13})
    assert charge(device, issued, 90, 105) == (113, {"read": 8})
    assert charge(device, issued, 90, 200) == (113, {})


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_causes_sum_to_the_clocks_from_start_to_data_end(data: st.DataObject) -> None:
    device = data.draw(devices())
    controller = Controller(device)
    end = 0
    for program, idle in data.draw(workloads(device)):
        start = end + idle
        end = controller.run(program, start)
        assert end >= start
        assert sum(controller.causes.values()) == end - start
        assert all(clocks > 0 for clocks in controller.causes.values())


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_same_work_issues_the_same_commands(data: st.DataObject) -> None:
    device = data.draw(devices())
    work = data.draw(workloads(device))
    assert run_twin(device, work).commands == run_twin(device, work).commands


@settings(max_examples=examples(100), deadline=None)
@given(st.data())
def test_open_clocks_are_those_with_a_row_open(data: st.DataObject) -> None:
    device = data.draw(devices())
    controller = run_twin(device, data.draw(workloads(device, max_programs=2)))
    rows: set[int] = set()
    total = since = 0
    for clk, name, bank, _, _ in controller.commands:
        total += clk - since if rows else 0
        since = clk
        banks = range(device.banks) if bank < 0 else (bank,)
        if name in ("ACT", "ACTAB"):
            rows.update(banks)
        elif name in ("PRE", "PREAB"):
            rows.difference_update(banks)
    assert controller.channel.open_cycles(since) == total
