"""Traffic on LPDDR5X, HBM3 and a memory with same-bank refresh against what their data sheet figures give by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import pimsim
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.timing import Device
from pimsim.dram.traffic import Access, HostTraffic
from pimsim.logs.checker import check
from pimsim.logs.log import read_log
from pimsim.traffic.run import TrafficResult, simulate_traffic
from tests.levels import DDR5
from tests.strategies import device_of as small_device

LPDDR5X, HBM3 = (device_of(pimsim.load_config(f"configs/{name}.yaml")) for name in ("lpddr5x", "hbm3"))
SHIPPED = {"lpddr5x": LPDDR5X, "hbm3": HBM3}
# A DDR5 of 4800 Mb/s, in clocks of 0.416 ns: a burst of 16 takes 8 of them.
CLOCKS = {
    "nBL": 8, "nCCDS": 8, "nCCDL": 12, "nRCDRD": 39, "nRCDWR": 39, "nRP": 39, "nRAS": 77, "nRC": 116, "nRRDS": 8,
    "nRRDL": 12, "nFAW": 32, "nFAWG": 0, "nFAWP": 0, "nMAC": 0, "nRTP": 18, "nWR": 72, "nWTRS": 6, "nWTRL": 24,
    "nCL": 40, "nCWL": 38, "nRFC": 709, "nRFCsb": 312, "nREFSBRD": 72, "nREFI": 9375,
}  # fmt: skip
SAME_BANK = replace(
    small_device(CLOCKS, "same_bank", bank_groups=8, banks_per_group=4, columns=128), standard=DDR5, rows=65536
)


def served(device: Device, requests: list[Access], depth: int = 32) -> tuple[list[tuple[int, int]], list[list[int]]]:
    """Clocks of each request's command and of its data's end, and the commands in the columns of a log."""
    engine = Engine(device)
    parts: list[np.ndarray] = []
    engine.log_to(parts.append)
    host = HostTraffic(engine, depth)
    done = host.serve(0, host.numbered(requests), 0, engine.new_totals())
    return [(clk, end) for clk, end in done.tolist()], np.concatenate(parts).tolist()


def named(device: Device, log: list[list[int]], name: str) -> list[tuple[int, int]]:
    """Clock and bank of each command of a name."""
    return [(row[0], row[3]) for row in log if row[2] == device.standard.index(name)]


# ---- latency ------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "read_ns", "write_ns"), [("lpddr5x", 42.21, 31.892), ("hbm3", 30.0, 20.0)])
def test_an_unloaded_access_takes_tRCD_the_latency_and_the_burst(name: str, read_ns: float, write_ns: float) -> None:
    device = replace(SHIPPED[name], refresh="none")
    n = device.cycles
    read, write = (served(device, [Access(0, command, 5, 7, 3)])[0][0][1] for command in ("RD", "WR"))
    assert read == n["nRCDRD"] + n["nCL"] + n["nBL"]
    assert write == n["nRCDWR"] + n["nCWL"] + n["nBL"]
    assert (read * device.tCK_ps / 1000, write * device.tCK_ps / 1000) == pytest.approx((read_ns, write_ns))
    slow = simulate_traffic(device, "random", 500, rate_GBps=0.05)
    assert slow.latencies.min() == read and slow.latencies.max() <= n["nRP"] + read


# ---- bandwidth ----------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "channels", "pins", "rate_Gbps"), [("lpddr5x", 4, 16, 8.533), ("hbm3", 16, 64, 6.4)])
def test_the_peak_is_what_all_pins_carry(name: str, channels: int, pins: int, rate_Gbps: float) -> None:
    device = SHIPPED[name]
    assert (device.channels, device.cycles["nBL"]) == (channels, 2)
    peak = TrafficResult(device, 1, 1, np.ones(1, np.int64), {}).peak_GBps
    assert peak == pytest.approx(channels * pins * rate_Gbps / 8, rel=1e-3)  # LPDDR5X's clock is rounded up


@pytest.mark.parametrize("name", SHIPPED)
def test_a_stream_without_refreshes_reaches_the_peak(name: str) -> None:
    result = simulate_traffic(replace(SHIPPED[name], refresh="none"), "stream", 200_000, depth=128)
    assert 0.99 < result.bandwidth_GBps / result.peak_GBps <= 1


@pytest.mark.parametrize("name", SHIPPED)
def test_a_stream_with_all_bank_refreshes_loses_their_duty_and_the_reopening(name: str) -> None:
    device = replace(SHIPPED[name], refresh="all_bank")
    n = device.cycles
    result = simulate_traffic(device, "stream", 50_000 * device.channels, depth=128)
    lost = 1 - result.bandwidth_GBps / result.peak_GBps
    closing = n.get("nRPab", n["nRP"]) + n["nRTP"] + n["nBL"]
    at_most = 1.15 * (n["nRFC"] + closing + n["nRCDRD"] + 16 * n["nCCDL"]) / n["nREFI"]
    # what one pseudo-channel loses the queue of both feels: its places fill with requests that wait
    assert n["nRFC"] / n["nREFI"] < lost < at_most * device.data_buses


def test_a_stream_goes_on_beside_refreshes_of_pairs() -> None:
    all_bank, pairs = (
        simulate_traffic(replace(LPDDR5X, refresh=scheme), "stream", 100_000, depth=128)
        for scheme in ("all_bank", "per_bank")
    )
    assert all_bank.bandwidth_GBps < 0.93 * all_bank.peak_GBps < 0.99 * pairs.peak_GBps < pairs.bandwidth_GBps


def test_a_pseudo_channel_alone_has_half_of_the_pins() -> None:
    device = replace(HBM3, refresh="none", channels=1)
    columns = [(4 * (k % 4) + k // 128 % 4, k // 512, k // 4 % 32) for k in range(4000)]

    def clocks(*firsts: int) -> int:
        """Until all columns are read, in the pseudo-channels that begin with these banks."""
        requests = [Access(0, "RD", first + bank, row, column) for bank, row, column in columns for first in firsts]
        return max(end for _, end in served(device, requests, 256)[0])

    assert clocks(0) == pytest.approx(4000 * 2, rel=0.03)  # a column takes the pins for two clocks
    assert clocks(0, 16) == pytest.approx(4000 * 2, rel=0.03)  # twice as much in the same time


def test_rows_and_columns_go_over_buses_of_their_own() -> None:
    device = replace(HBM3, refresh="none", channels=1)
    requests = [Access(0, "RD", k % 32, k // 32, k % 8) for k in range(2000)]
    _, log = served(device, requests)
    clocks = [row[0] for row in log]
    assert clocks == sorted(clocks) and len(set(clocks)) < len(clocks)
    for bus in ("row", "column"):
        carried = [row[0] for row in log if device.standard.commands[row[2]].bus == bus]
        assert len(set(carried)) == len(carried) > 1000


# ---- refresh ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "scheme", "duration", "turns", "banks_at_once"),
    [
        ("lpddr5x", "all_bank", "nRFC", 1, 16),
        ("lpddr5x", "per_bank", "nRFCpb", 8, 2),
        ("hbm3", "all_bank", "nRFC", 2, 16),
        ("hbm3", "per_bank", "nRFCpb", 32, 1),
    ],
)
def test_refreshes_take_their_share_of_the_banks_time(
    name: str, scheme: str, duration: str, turns: int, banks_at_once: int
) -> None:
    device = replace(SHIPPED[name], refresh=scheme)
    n = device.cycles
    assert device.refresh_interval == n["nREFI"] // turns
    result = simulate_traffic(device, "random", 15_000 * device.channels, read_fraction=0.7)
    command = device.standard.roles.refresh(scheme)
    wanted = device.channels * result.clocks / (n["nREFI"] / turns)
    assert result.commands[command] == pytest.approx(wanted, abs=2 * device.channels)
    assert {count for other, count in result.commands.items() if other.startswith("REF") and other != command} == {0}
    assert banks_at_once * turns == device.banks  # so that every bank has one refresh in tREFI
    assert result.refresh_duty == pytest.approx(n[duration] / n["nREFI"], rel=0.05)


def test_the_two_banks_of_a_pair_wait_and_the_others_go_on() -> None:
    due = LPDDR5X.refresh_interval
    device = replace(LPDDR5X, channels=1)
    opened = [Access(0, "RD", bank, 4, 0) for bank in (0, 8, 1, 12)]
    late = [Access(due + 60, "RD", bank, 4, 1) for bank in (0, 8, 1, 12)]
    done, log = served(device, opened + late)
    (refresh,) = [clk for clk, bank in named(device, log, "REFPB") if bank == 0]
    assert [bank for _, bank in named(device, log, "PRE")] == [0, 8]  # one after the other, and no other bank
    assert due < refresh < due + 60
    first = refresh + device.cycles["nRFCpb"] + device.cycles["nRCDRD"]
    assert [clk >= first for clk, _ in done[4:]] == [True, True, False, False]
    assert max(clk for clk, _ in done[6:]) < due + 70


def test_a_pseudo_channel_goes_on_while_the_other_refreshes() -> None:
    device = replace(HBM3, refresh="all_bank", channels=1)
    due = device.refresh_interval
    requests = [Access(due + 100 + 4 * k, "RD", bank, 3, k % 32) for k in range(25) for bank in (0, 16)]
    opened = [Access(0, "RD", bank, 3, 0) for bank in (0, 16)]
    done, log = served(device, opened + requests)
    assert named(device, log, "REFAB")[0][1] == 0 and named(device, log, "PREAB")[0][1] == 0
    refreshed = named(device, log, "REFAB")[0][0] + device.cycles["nRFC"]
    ends = [end - request.arrival for (_, end), request in zip(done[2:], requests, strict=True)]
    assert max(ends[1::2]) <= device.cycles["nCL"] + device.cycles["nBL"] + device.cycles["nCCDL"]
    assert min(clk for clk, _ in done[2::2]) == refreshed + device.cycles["nRCDRD"]


def test_same_bank_refresh_takes_one_bank_of_each_group_in_turn() -> None:
    n, interval = CLOCKS, SAME_BANK.refresh_interval
    assert SAME_BANK.turns == tuple(tuple(range(number, 32, 4)) for number in range(4))
    assert interval == n["nREFI"] // 4
    requests = [Access(clk, "RD", bank, 1, 0) for clk in range(0, 5 * interval, 200) for bank in (2, 6, 7)]
    done, log = served(SAME_BANK, requests)
    refreshes = named(SAME_BANK, log, "REFSB")
    assert [bank for _, bank in refreshes] == [0, 1, 2, 3]
    assert all(0 <= clk - (k + 1) * interval < 100 for k, (clk, _) in enumerate(refreshes))
    assert [bank for _, bank in named(SAME_BANK, log, "PRESB")] == [2, 3]  # banks 2 and 6 close at once, 7 alone
    assert named(SAME_BANK, log, "PRE") == []
    took = {
        bank: [end - r.arrival for (_, end), r in zip(done, requests, strict=True) if r.bank == bank] for bank in (2, 7)
    }
    unloaded = n["nCL"] + n["nBL"]
    assert max(took[2]) > n["nRFCsb"] - 200 and np.median(took[2]) <= unloaded + n["nCCDL"]
    assert np.median(took[7]) <= unloaded + 2 * n["nCCDL"]


def test_same_bank_refresh_takes_the_banks_less_time_than_all_bank_refresh() -> None:
    results = {
        scheme: simulate_traffic(replace(SAME_BANK, refresh=scheme), "stream", 100_000, depth=64)
        for scheme in ("none", "same_bank", "all_bank")
    }
    n = CLOCKS
    assert results["same_bank"].refresh_duty == pytest.approx(n["nRFCsb"] / n["nREFI"], rel=0.02)
    assert results["all_bank"].refresh_duty == pytest.approx(n["nRFC"] / n["nREFI"], rel=0.02)
    clocks = [results[scheme].clocks for scheme in ("none", "same_bank", "all_bank")]
    assert clocks[0] < clocks[1] < clocks[2]


# ---- the checker ---------------------------------------------------------------------------


def test_a_refresh_of_a_pair_moved_into_another_turn_is_found(tmp_path: Path) -> None:
    device = replace(LPDDR5X, channels=1)
    simulate_traffic(device, "random", 5000, log=tmp_path / "log.csv")
    log = read_log(tmp_path / "log.csv", device.standard)
    assert check(log, device) == []
    refreshes = np.flatnonzero(log.command == device.standard.index("REFPB"))
    log.bank_group[refreshes[3]] += 2  # the other bank of the pair says the same
    assert check(log, device) == []
    log.bank_group[refreshes[3]] -= 1
    assert "refresh 4 is bank 3's turn" in [violation.rule for violation in check(log, device)]
