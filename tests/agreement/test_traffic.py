"""Host traffic: the compiled controller and its twin agree to the clock, and the checker agrees with both."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pimsim.devices.gddr6 import table as gddr6
from pimsim.devices.pim_gpt import table as gddr6_pim
from pimsim.dram.engine import Engine
from pimsim.dram.timing import Device
from pimsim.dram.traffic import Access, HostTraffic, Lane, WriteQueue
from pimsim.dram.twin.controller import Controller, Issued
from pimsim.dram.twin.traffic import serve
from pimsim.logs import checker
from pimsim.logs.log import CommandLog
from tests.examples import examples
from tests.levels import levelled_devices
from tests.strategies import REFRESH_MODES, ROWS, cycles_of, device_of, programs, room_for_progress, together

Ints = NDArray[np.int64]


@st.composite
def memories(draw: st.DrawFn, standard: str) -> Device:
    """A device of this standard with random timings and frequent refreshes."""
    names = list(cycles_of(1))
    cycles = {name: draw(st.integers(1, 12), label=name) for name in names}
    cycles["nFAW"], cycles["nRFC"] = draw(st.integers(1, 50)), draw(st.integers(1, 60))
    shape = {"bank_groups": draw(st.integers(1, 4)), "banks_per_group": draw(st.integers(1, 4)), "columns": 8}
    device = device_of(cycles, draw(st.sampled_from(REFRESH_MODES)), **shape)
    device = replace(device, standard={"gddr6": gddr6.STANDARD, "gddr6-pim": gddr6_pim.STANDARD}[standard])
    interval = room_for_progress(device) + draw(st.integers(0, 300), label="slack")
    cycles["nREFI"] = interval * device.banks if device.refresh == "per_bank" else interval
    return replace(device, cycles=cycles, together=draw(together(device)))


@st.composite
def traffic(draw: st.DrawFn, device: Device, start: int = 0) -> list[Access]:
    """Requests in order of arrival, a few rows and columns so that hits and conflicts are common."""
    n = draw(st.integers(0, 40))
    arrival, found = start, []
    for _ in range(n):
        arrival += draw(st.one_of(st.just(0), st.integers(0, 15), st.integers(0, 900)))
        bank, row = draw(st.integers(0, device.banks - 1)), draw(st.integers(0, 3))
        found.append(Access(arrival, draw(st.sampled_from(["RD", "WR"])), bank, row, draw(st.integers(0, 7))))
    return found


@st.composite
def write_queues(draw: st.DrawFn) -> WriteQueue:
    """Places for writes, and marks."""
    places = draw(st.integers(1, 10))
    high = draw(st.integers(1, places))
    return WriteQueue(places, high, draw(st.integers(0, high - 1)))


def rows_of(issued: list[Issued], device: Device) -> list[list[int]]:
    """The twin's commands in the columns of the kernel's log."""
    return [[c.clk, 0, device.standard.index(c.command), c.bank, c.row, c.column] for c in issued]


def log_of(rows: Ints, device: Device) -> CommandLog:
    """The kernel's log as the checker reads it."""
    clk, channel, command, bank, row, column = rows.reshape(-1, 6).T
    group, inside = np.where(bank >= 0, np.divmod(bank, device.banks_per_group), -1)
    return CommandLog(clk, channel, command, group, inside, row, column)


def collected(engine: Engine) -> list[Ints]:
    parts: list[Ints] = []
    engine.log_to(parts.append)
    return parts


@settings(max_examples=examples(60), deadline=None)
@given(st.data())
def test_kernel_and_twin_serve_the_same_and_keep_the_protocol(data: st.DataObject) -> None:
    serve_the_same(data, data.draw(memories(data.draw(st.sampled_from(["gddr6", "gddr6-pim"])))))


@settings(max_examples=examples(150), deadline=None)
@given(st.data())
def test_kernel_and_twin_serve_the_same_where_there_are_more_levels(data: st.DataObject) -> None:
    serve_the_same(data, data.draw(levelled_devices()))


def serve_the_same(data: st.DataObject, device: Device) -> None:
    """Kernel, twin and checker agree about random traffic."""
    wanted, depth = data.draw(traffic(device)), data.draw(st.integers(1, 12))
    start = data.draw(st.integers(0, 2000))
    engine, controller = Engine(device), Controller(device)
    parts = collected(engine)
    host, totals = HostTraffic(engine, depth), engine.new_totals()
    done = host.serve(0, host.numbered(wanted), start, totals)
    assert done.tolist() == [list(pair) for pair in serve(controller, wanted, start, depth)]
    rows = np.concatenate([np.empty((0, 6), np.int64), *parts])
    assert rows.tolist() == rows_of(controller.commands, device)
    assert checker.check(log_of(rows, device), device) == []
    counted = np.bincount(rows[:, 2], minlength=len(device.standard.commands))
    assert totals[: counted.size].tolist() == counted.tolist()
    for request, (clk, end) in zip(wanted, done.tolist(), strict=True):
        assert clk >= max(start, request.arrival) and end > clk


@settings(max_examples=examples(120), deadline=None)
@given(st.data())
def test_requests_in_parts_are_served_as_all_at_once_and_as_by_the_twin(data: st.DataObject) -> None:
    device = data.draw(st.one_of(memories("gddr6"), levelled_devices()))
    wanted, writes = data.draw(traffic(device)), data.draw(st.one_of(st.none(), write_queues()))
    options = (data.draw(st.integers(1, 12)), data.draw(st.integers(0, 6)), writes)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wanted)), max_size=6)))
    engine, controller = Engine(device), Controller(device)
    parts, host, totals = collected(engine), HostTraffic(engine, *options), engine.new_totals()
    lane, numbered = Lane(host, 0, 7), host.numbered(wanted)
    served = [lane.serve(numbered[first:last], totals, more=True).copy() for first, last in pairwise([0, *cuts])]
    served.append(lane.serve(numbered[cuts[-1] if cuts else 0 :], totals))
    expected = serve(controller, wanted, 7, *options)
    clocks = {number: (clk, end) for number, _, clk, end in np.concatenate(served).tolist()}
    assert [clocks[number] for number in range(len(wanted))] == expected
    assert rows_of(controller.commands, device) == np.concatenate([np.empty((0, 6), np.int64), *parts]).tolist()
    at_once, expected_totals = Engine(device), engine.new_totals()
    HostTraffic(at_once, *options).serve(0, numbered, 7, expected_totals)
    assert (engine.states == at_once.states).all() and totals.tolist() == expected_totals.tolist()


@settings(max_examples=examples(30), deadline=None)
@given(st.data())
def test_host_traffic_between_programs_of_a_pim_device(data: st.DataObject) -> None:
    device = data.draw(memories("gddr6-pim"))
    assert device.rows == ROWS
    engine, controller = Engine(device), Controller(device)
    parts = collected(engine)
    host, totals, now = HostTraffic(engine, 8), engine.new_totals(), 0
    for _ in range(data.draw(st.integers(1, 3))):
        program = data.draw(programs(device, 3))
        end = engine.run(program, np.array([[0, len(program)]]), 0, now, totals)
        assert end == controller.run(program, now)
        now = max(end, controller.commands[-1].clk if controller.commands else 0) + data.draw(st.integers(0, 99))
        wanted = data.draw(traffic(device, now))
        done = host.serve(0, host.numbered(wanted), now, totals)
        assert done.tolist() == [list(pair) for pair in serve(controller, wanted, now, 8)]
        last = controller.commands[-1].clk if controller.commands else 0
        now = max(now, last, int(done.max(initial=0))) + data.draw(st.integers(0, 99))
    rows = np.concatenate([np.empty((0, 6), np.int64), *parts])
    assert rows.tolist() == rows_of(controller.commands, device)
    assert checker.check(log_of(rows, device), device) == []


def test_refreshes_before_no_request_at_all_issue_as_well() -> None:
    device = replace(device_of(cycles_of(3) | {"nREFI": 100}, "all_bank"), standard=gddr6.STANDARD)
    engine, controller = Engine(device), Controller(device)
    totals, host = engine.new_totals(), HostTraffic(engine)
    assert host.serve(0, host.numbered([]), 350, totals).tolist() == serve(controller, [], 350) == []
    assert totals[device.standard.index("REFAB")] == len(controller.commands) == 3


def test_a_log_that_overflows_is_written_in_full() -> None:
    device = replace(device_of(cycles_of(3) | {"nREFI": 5000}, "all_bank"), standard=gddr6.STANDARD)
    engine = Engine(device)
    parts = collected(engine)
    engine.log = np.empty((4, 6), np.int64)
    host, totals = HostTraffic(engine), engine.new_totals()
    wanted = [Access(0, "RD", k % 16, k // 16 % ROWS, 0) for k in range(400)]
    plain = Engine(device)
    expected = HostTraffic(plain).serve(0, host.numbered(wanted), 0, plain.new_totals())
    assert host.serve(0, host.numbered(wanted), 0, totals).tolist() == expected.tolist()
    assert totals[device.standard.index("RD")] == 400
    assert sum(len(part) for part in parts) == totals[: len(device.standard.commands)].sum()
