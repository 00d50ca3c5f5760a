"""Streams and bursts of host traffic on plain GDDR6 against what its data sheet figures give by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pimsim import api
from pimsim.devices.registry import device_of
from pimsim.dram.engine import Engine
from pimsim.dram.timing import Device
from pimsim.dram.traffic import Access, HostTraffic

N = 20_000


def device(refresh: str = "none") -> Device:
    return replace(device_of(api.load("configs/gddr6.yaml", []).config), refresh=refresh)


def served(wanted: list[Access] | np.ndarray, refresh: str = "none") -> tuple[np.ndarray, dict[str, int]]:
    """Clocks of each request's command and data, and the commands by name."""
    engine = Engine(device(refresh))
    host, totals = HostTraffic(engine), engine.new_totals()
    numbers = host.numbered(wanted) if isinstance(wanted, list) else wanted
    done = host.serve(0, numbers, 0, totals)
    return done, dict(zip(engine.device.command_names, totals.tolist(), strict=False))


def test_no_more_requests_than_the_patience_go_before_the_oldest() -> None:
    hits = [Access(0, "RD", 0, 0, 0), *(Access(100, "RD", 0, 0, k % 64) for k in range(400))]
    for late in (Access(100, "RD", 0, 5, 0), Access(100, "WR", 4, 0, 0)):  # a row conflict, and a turn of the pins
        for patience in (0, 7, 128):
            engine = Engine(device())
            host = HostTraffic(engine, depth=16, patience=patience)
            done = host.serve(0, host.numbered([hits[0], late, *hits[1:]]), 0, engine.new_totals())[:, 0]
            assert (done[2:] < done[1]).sum() <= patience
            assert (np.diff(np.sort(done)) > cycles()["nCCDL"]).sum() <= 4  # all else goes on at full speed
    unlimited = HostTraffic(engine := Engine(device()), patience=10**9)
    done = unlimited.serve(0, unlimited.numbered([hits[0], late, *hits[1:]]), 0, engine.new_totals())[:, 0]
    assert done.argmax() == 1  # what the patience is for


def test_banks_that_do_not_refresh_go_on() -> None:
    n, c = 4000, cycles()
    all_bank, per_bank = (int(served(stream([0, 4, 8, 12], n), mode)[0].max()) for mode in ("all_bank", "per_bank"))
    ideal = n * max(c["nCCDS"], c["nBL"])
    refreshes = ideal // c["nREFI"]
    assert all_bank >= ideal + refreshes * (c["nRP"] + c["nRFC"])
    assert per_bank < all_bank
    other = [Access(c["nREFI"] // 16 * 9 - 20 + 3 * k, "RD", 4, 0, k % 64) for k in range(200)]  # bank 8 is due then
    done, commands = served([Access(0, "RD", 4, 0, 0), *other], "per_bank")
    assert commands["REFPB"] >= 9 and np.diff(done[60:, 0]).max() <= c["nCCDL"] + 2


def cycles() -> dict[str, int]:
    return dict(device().cycles)


def stream(banks: list[int], n: int = N) -> np.ndarray:
    """Reads that are all there at clock 0: the banks in turn, columns and rows in order."""
    at, k = np.arange(n) // len(banks), device()
    read = np.full(n, k.standard.index("RD"))
    bank = np.array(banks)[np.arange(n) % len(banks)]
    return np.stack([np.zeros(n, int), read, bank, at // k.columns, at % k.columns], 1)


def test_a_read_after_a_write_waits_for_the_turnaround() -> None:
    c = cycles()
    opened = [Access(0, "RD", 0, 0, 0), Access(0, "RD", 1, 0, 0), Access(0, "RD", 4, 0, 0)]
    for bank, wtr in ((0, "nWTRL"), (1, "nWTRL"), (4, "nWTRS")):
        done, _ = served([*opened, Access(500, "WR", 0, 0, 0), Access(501, "RD", bank, 0, 0)])
        assert done[4, 0] - done[3, 0] == c["nCWL"] + c["nBL"] + c[wtr]


@pytest.mark.parametrize(("banks", "spacing"), [([0, 4, 8, 12], "nCCDS"), ([0], "nCCDL"), ([0, 1], "nCCDL")])
def test_bandwidth_of_a_stream_is_one_column_per_spacing(banks: list[int], spacing: str) -> None:
    n = device().columns * len(banks)  # one row in each bank: nothing but columns
    done, _ = served(stream(banks, n))
    apart = max(cycles()[spacing], cycles()["nBL"])
    clk = np.sort(done[:, 0])
    assert (np.diff(clk)[-n // 2 :] == apart).all()


def test_a_long_stream_loses_no_more_than_refresh_and_reopening() -> None:
    c = cycles()
    done, commands = served(stream([0, 4, 8, 12]), "all_bank")
    total, ideal = int(done.max()), N * max(c["nCCDS"], c["nBL"])
    stop = c["nRP"] + c["nRFC"]  # closed before and refreshed
    assert commands["REFAB"] == (total - 1) // c["nREFI"] > 5
    assert ideal + commands["REFAB"] * stop <= total
    turnover = c["nRTP"] + c["nRP"] + c["nRCDRD"] + 4 * c["nRRDL"] + c["nRAS"] + c["nCL"] + c["nBL"]
    reopened = commands["ACT"] // 4 + 1
    assert total <= ideal + commands["REFAB"] * (stop + c["nRTP"]) + reopened * turnover


def test_activations_in_turn_over_all_banks_keep_the_four_activation_window() -> None:
    n, c = 4000, cycles()
    wanted = [Access(0, "RD", 4 * (k % 4) + k // 4 % 4, k // 16, 0) for k in range(n)]
    done, commands = served(wanted)
    assert commands["ACT"] == n
    fastest = max(c["nFAW"] / 4, c["nRRDS"])
    assert int(done.max()) >= (n - 1) * fastest
    assert int(done.max()) <= (n - 1) * fastest * 1.02 + 200
