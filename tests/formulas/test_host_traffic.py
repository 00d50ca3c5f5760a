"""FR-FCFS host traffic: latencies and bandwidths that follow from the table, two readings, and mixing with PIM work."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pimsim
from pimsim.devices.gddr6 import table as gddr6
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.timing import Device
from pimsim.dram.traffic import Access, HostTraffic
from pimsim.dram.twin.controller import Controller
from pimsim.dram.twin.traffic import serve
from pimsim.logs.checker import check
from pimsim.logs.log import CommandLog
from pimsim.traffic.patterns import decode, encode
from pimsim.traffic.run import TrafficResult, simulate_traffic
from tests.strategies import devices, programs

GDDR6 = device_of(pimsim.load_config("configs/gddr6.yaml"))
QUIET = replace(GDDR6, refresh="none", channels=1)
N = QUIET.cycles


def latencies(requests: list[Access], device: Device = QUIET) -> list[int]:
    """Clocks from each request's arrival to the end of its data."""
    engine = Engine(device)
    host = HostTraffic(engine)
    done = host.serve(0, host.numbered(requests), 0, engine.new_totals())
    return [int(end - request.arrival) for (_, end), request in zip(done, requests, strict=True)]


def test_a_read_of_a_closed_bank_takes_tRCD_tCL_and_the_burst() -> None:
    assert latencies([Access(0, "RD", 3, 7, 5)]) == [N["nRCDRD"] + N["nCL"] + N["nBL"]]


def test_a_write_of_a_closed_bank_takes_tRCD_tCWL_and_the_burst() -> None:
    assert latencies([Access(0, "WR", 3, 7, 5)]) == [N["nRCDWR"] + N["nCWL"] + N["nBL"]]


def test_a_row_hit_takes_tCL_and_the_burst() -> None:
    assert latencies([Access(0, "RD", 3, 7, 5), Access(1000, "RD", 3, 7, 6)])[1] == N["nCL"] + N["nBL"]


def test_a_row_conflict_takes_tRP_more_than_a_closed_bank() -> None:
    closed, conflict = latencies([Access(0, "RD", 3, 7, 5), Access(1000, "RD", 3, 8, 5)])
    assert conflict == closed + N["nRP"]


def test_a_hit_overtakes_an_older_conflict_and_the_row_stays_open_for_it() -> None:
    first, conflict, hit = latencies([Access(0, "RD", 0, 1, 0), Access(0, "RD", 0, 2, 0), Access(0, "RD", 0, 1, 1)])
    assert first < hit == first + N["nCCDL"] < conflict


def test_a_read_after_a_write_waits_for_the_turnaround() -> None:
    write, read = latencies([Access(0, "WR", 0, 1, 0), Access(0, "RD", 0, 1, 1)])
    issue = N["nRCDWR"] + N["nCWL"] + N["nBL"] + N["nWTRL"]
    assert write == N["nRCDWR"] + N["nCWL"] + N["nBL"]
    assert read == max(issue, N["nRCDRD"]) + N["nCL"] + N["nBL"]


def stream_of(bank_groups: int, n: int = 2000) -> TrafficResult:
    """Reads of one row in each of so many bank groups."""
    device = replace(QUIET, bank_groups=bank_groups, banks_per_group=1, columns=1 << 20)
    return simulate_traffic(device, "stream", n)


def test_a_stream_over_bank_groups_runs_at_tCCDS() -> None:
    fill = 4 * N["nRRDS"] + N["nRCDRD"] + N["nCL"]
    assert stream_of(4).clocks == pytest.approx(2000 * max(N["nCCDS"], N["nBL"]), abs=fill)


def test_a_stream_in_one_bank_group_runs_at_tCCDL() -> None:
    assert stream_of(1).clocks == N["nRCDRD"] + 1999 * N["nCCDL"] + N["nCL"] + N["nBL"]


def test_a_stream_comes_near_the_peak_less_refresh() -> None:
    result = simulate_traffic(GDDR6, "stream", 400_000)
    duty = (N["nRFC"] + N["nRP"] + N["nRTP"] + N["nRCDRD"]) / N["nREFI"]
    assert 1 - 1.15 * duty < result.bandwidth_GBps / result.peak_GBps < 1 - N["nRFC"] / N["nREFI"]
    assert result.row_hit_rate > 0.95


def test_random_rows_of_one_bank_are_limited_by_the_row_cycle() -> None:
    requests = [Access(0, "RD", 0, row, 0) for row in range(200)]
    cycle = max(N["nRC"], N["nRAS"] + N["nRP"])
    assert latencies(requests)[-1] == 199 * cycle + N["nRCDRD"] + N["nCL"] + N["nBL"]


def test_random_rows_of_all_banks_are_limited_by_tFAW() -> None:
    result = simulate_traffic(QUIET, "random", 20_000)
    per_activation = max(N["nFAW"] / 4, N["nRRDS"])
    assert result.clocks >= 0.999 * result.commands["ACT"] * per_activation
    assert result.clocks <= 1.1 * 20_000 * per_activation


def test_refreshes_come_every_tREFI() -> None:
    result = simulate_traffic(GDDR6, "random", 50_000, read_fraction=0.7)
    assert result.commands["REFAB"] == pytest.approx(GDDR6.channels * result.clocks / N["nREFI"], abs=GDDR6.channels)
    assert result.refresh_duty == pytest.approx(N["nRFC"] / N["nREFI"], rel=0.02)


def test_a_slow_host_sees_the_unloaded_latency_and_its_own_rate() -> None:
    result = simulate_traffic(replace(GDDR6, refresh="none"), "random", 2000, rate_GBps=0.1)
    assert result.bandwidth_GBps == pytest.approx(0.1, rel=0.01)
    assert result.latencies.max() <= N["nRP"] + N["nRCDRD"] + N["nCL"] + N["nBL"]


@given(st.integers(0, 10**9), st.sampled_from([GDDR6, QUIET]))
def test_addresses_survive_the_round_trip(address: int, device: Device) -> None:
    size = device.channels * device.banks * device.rows * device.columns
    place = decode(np.array([address % size]), device)
    assert encode(*place, device=device).tolist() == [address % size]


# ---- two readings and the checker


@st.composite
def streams(draw: st.DrawFn, device: Device) -> list[Access]:
    """Requests that often meet in a bank and a row."""
    request = st.tuples(
        st.integers(0, 60), st.sampled_from(["RD", "WR"]), st.integers(0, device.banks - 1), st.integers(0, 2),
        st.integers(0, device.columns - 1),
    )  # fmt: skip
    clk, out = 0, []
    for gap, *rest in draw(st.lists(request, max_size=40)):
        clk += gap if gap > 30 else 0
        out.append(Access(clk, *rest))
    return out


@st.composite
def memories(draw: st.DrawFn) -> Device:
    """Plain GDDR6 with a clock table of the PIM device's strategy, and its own refresh names."""
    device = draw(devices())
    cycles = {**device.cycles, "nRREFD": draw(st.integers(1, 30)), "nPPD": draw(st.integers(1, 4))}
    return replace(device, standard=gddr6.STANDARD, cycles=cycles)


@settings(max_examples=150, deadline=None)
@given(st.data(), st.integers(1, 8))
def test_kernel_and_twin_serve_alike_and_the_checker_agrees(data: st.DataObject, depth: int) -> None:
    device = data.draw(memories())
    requests = data.draw(streams(device))
    controller = Controller(device)
    expected = serve(controller, requests, 5, depth)
    engine, parts = Engine(device), []
    engine.log_to(parts.append)
    host = HostTraffic(engine, depth)
    done = host.serve(0, host.numbered(requests), 5, engine.new_totals())
    assert [tuple(row) for row in done.tolist()] == expected
    rows = np.concatenate([*parts, np.empty((0, 6), np.int64)])
    names = device.command_names
    assert [(r[0], names[r[2]], *r[3:]) for r in rows.tolist()] == [tuple(c) for c in controller.commands]
    assert check(log_of(rows, device), device) == []


def log_of(rows: np.ndarray, device: Device) -> CommandLog:
    clk, channel, command, bank, row, column = rows[np.lexsort((rows[:, 1], rows[:, 0]))].T
    group, inner = (
        np.where(bank >= 0, bank // device.banks_per_group, -1),
        np.where(bank >= 0, bank % device.banks_per_group, -1),
    )
    return CommandLog(clk, channel, command, group, inner, row, column)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_host_traffic_mixes_with_pim_work(data: st.DataObject) -> None:
    device = data.draw(devices())
    controller, engine, parts = Controller(device), Engine(device), []
    engine.log_to(parts.append)
    host, totals, clk = HostTraffic(engine), engine.new_totals(), 0
    for _ in range(3):
        program = data.draw(programs(device, max_requests=3))
        end = engine.run(program, np.array([[0, len(program)]]), 0, clk, totals)
        assert controller.run(program, clk) == end
        requests = [r._replace(arrival=r.arrival + end) for r in data.draw(streams(device))]
        done = host.serve(0, host.numbered(requests), end, totals)
        assert [tuple(row) for row in done.tolist()] == serve(controller, requests, end)
        clk = max([end, *done[:, 1].tolist()])
    engine.finish(clk, totals)  # refreshes of a channel that rests
    controller.finish(clk)
    rows = np.concatenate([*parts, np.empty((0, 6), np.int64)])
    assert len(rows) == len(controller.commands) == totals[: len(device.command_names)].sum()
    assert check(log_of(rows, device), device) == []
