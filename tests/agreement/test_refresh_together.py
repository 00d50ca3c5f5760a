"""Refreshes of bank after bank, one by one or several together: how long they take from the products, exactly."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim import InputError, load_config
from pimsim.config import refreshing
from pimsim.devices.registry import device_of
from pimsim.dram import program as requests
from pimsim.dram.engine import Engine
from pimsim.dram.timing import Device
from pimsim.dram.twin.controller import Controller, Issued
from pimsim.logs.checker import check
from tests.examples import examples
from tests.logs import log_of

TURNS = refreshing.turns_of("per_bank", 4, 4, 1, 1)
# ns: what data sheets of 8 to 16 Gb give for an interval, for all banks and for one bank
PARTS = {
    "the shipped one": (6825, 455, None),
    "a shorter interval": (3900, 455, None),
    "16 Gb at 3.9 us": (3900, 280, 140),
    "a slow bank at 3.9 us": (3900, 350, 210),
    "8 Gb at 1.9 us": (1900, 120, 60),
    "16 Gb at 1.9 us": (1900, 210, 106),
    "a slow bank at 1.9 us": (1900, 280, 140),
}


def overrides(tREFI: float, tRFC: float, tRFCpb: float | None, **more: Any) -> dict[str, Any]:
    times = {"tREFI": tREFI, "tRFC": tRFC, **({"tRFCpb": tRFCpb} if tRFCpb else {})}
    found = {f"dram.timing.{name}_ns": value for name, value in times.items()}
    return {"dram.refresh": "per_bank", **found, **{key.replace("__", "."): value for key, value in more.items()}}


def part(name: str, **more: Any) -> Device:
    """A channel with one row so long that products need no other."""
    config = load_config("pim-gpt", {"dram.channels": 1, **overrides(*PARTS[name], **more)})
    return replace(device_of(config), columns=1 << 20)


def columns(n: int) -> requests.Program:
    return requests.program([requests.open_row(0), requests.run(MACAB, -1, 0, n), requests.close()])


MACAB = device_of(load_config("pim-gpt")).standard.index("MACAB")


def twin(device: Device, n: int) -> Controller:
    controller = Controller(device)
    controller.finish(controller.run(columns(n), 0))
    return controller


def allowed(name: str) -> list[int]:
    cycles = part(name).cycles
    return [n for n in (1, 2, 4, 8, 16) if refreshing.leaves_time(cycles, TURNS, n)]


CASES = [(name, n) for name in PARTS for n in (allowed(name)[0], 4, 16)]


@pytest.mark.parametrize(("name", "together"), CASES)
def test_what_refreshes_leave_to_products_is_what_the_formula_says(name: str, together: int) -> None:
    """Of every period all clocks but those blocked, and those that the last column keeps its row open."""
    device = part(name, dram__refresh_together=together)
    period = together * (device.cycles["nREFI"] // 16)
    n = device.cycles
    spent = (together - 1) * max(n["nRP"] + 1, n["nRREFD"])  # a bank closes behind the refresh of the one before
    left = period - (n["nRP"] + spent + n["nRFCpb"] + n["nRCDRD"]) - (n["nRTP"] - 1)
    clocks = np.array([x.clk for x in twin(device, period + 4 * left).commands if x.command == "MACAB"])
    assert np.bincount(clocks // period)[1:4].tolist() == [left] * 3


@pytest.mark.parametrize(("name", "together"), CASES)
def test_kernel_twin_and_checker_agree(name: str, together: int) -> None:
    device = part(name, dram__refresh_together=together)
    n = together * device.refresh_interval + 500
    expected = twin(device, n)
    assert check(log_of(device, expected.commands), device) == []
    for stepped in (False, True):
        engine = Engine(device, stepped=stepped)
        totals = engine.new_totals()
        work = columns(n)
        end = engine.run(work, np.array([[0, len(work)]]), 0, 0, totals)
        engine.finish(end, totals)
        names = device.command_names
        assert end == Controller(device).run(work, 0)
        counted = {name: int(totals[i]) for i, name in enumerate(names) if totals[i]}
        issued = [x.command for x in expected.commands]
        assert counted["REFPB"] in (issued.count("REFPB"), issued.count("REFPB") + together)
        assert counted["MACAB"] == issued.count("MACAB") == n


@pytest.mark.parametrize("name", PARTS)
def test_as_few_go_together_as_leave_time(name: str) -> None:
    """And one by one wherever that does: a configuration that says nothing means what it always did."""
    assert part(name).together == allowed(name)[0]
    assert part(name, dram__refresh_together=16).together == 16
    several = {"a shorter interval": 2, "16 Gb at 1.9 us": 2, "a slow bank at 1.9 us": 2}
    assert part(name).together == several.get(name, 1)


# REFPB of bank after bank: nRP + nRFCpb + nRCD = 12 + 140 + 12 = 164 clocks are blocked
@pytest.mark.parametrize(("interval", "columns_read"), [(164, 0), (165, 1)])
def test_a_clock_less_than_the_formula_asks_for_and_nothing_is_ever_read(interval: int, columns_read: int) -> None:
    """The twin, stopped after 40 refreshes: in lock step no column at all, or one between two refreshes."""

    class Enough(Exception):
        pass

    class Stopped(Controller):
        def refresh(self) -> None:
            super().refresh()
            if sum(x.command == "REFPB" for x in self.commands) == 40:
                raise Enough

    device = part("16 Gb at 3.9 us")
    device = replace(device, cycles={**device.cycles, "nREFI": 16 * interval, "nRTP": 1})
    controller = Stopped(device)
    with pytest.raises(Enough):
        controller.run(columns(interval + 100), 0)
    read = np.array([x.clk for x in controller.commands if x.command == "MACAB"]) // interval
    assert np.bincount(read, minlength=21)[1:20].tolist() == [columns_read] * 19


@pytest.mark.parametrize(("tREFI", "right"), [("4016", False), ("4031.9", False), ("4032", False), ("4048", True)])
def test_a_configuration_is_refused_up_to_that_clock(tREFI: str, right: bool) -> None:
    """12 + 228 + 12 clocks of 252 leave none, of 253 one."""
    keys = {**overrides(0, 455, None, dram__refresh_together=1), "dram.timing.tREFI_ns": float(tREFI)}
    if right:
        assert device_of(load_config("pim-gpt", keys)).together == 1
        return
    with pytest.raises(InputError, match=r"= 252 of 25[12] clocks leave no time .*; dram.refresh_together: 2 does"):
        load_config("pim-gpt", keys)


def test_put_off_refreshes_are_due_with_the_last_of_them() -> None:
    device = part("16 Gb at 3.9 us", dram__refresh_together=4)
    due = 4 * 243
    burst = [Issued(due + 9 * i, "REFPB", i) for i in range(4)]
    assert check(log_of(device, burst), device) == []
    early = [Issued(due - 1, "REFPB", 0)]
    assert [x.rule for x in check(log_of(device, early), device)] == [f"refresh 1 is due at clock {due}, not before"]
    late = [*burst, Issued(2 * due - 1, "REFPB", 4)]
    found = check(log_of(device, late), device)
    assert [x.rule for x in found] == [f"refresh 5 is due at clock {2 * due}, not before"]
    waiting = [*burst[:3], Issued(due + 27, "ACT", 3, 5)]
    found = check(log_of(device, waiting), device)
    assert f"REFPB was due at clock {due} and goes first" in [x.rule for x in found]


@settings(max_examples=examples(25), deadline=None)
@given(st.data())
def test_whatever_the_formula_lets_pass_comes_to_an_end(data: st.DataObject) -> None:
    """Rows that open, writes of single banks and products, at the shortest intervals that are not refused."""
    together = data.draw(st.sampled_from([1, 2, 4, 8, 16]), label="together")
    device = part(data.draw(st.sampled_from(list(PARTS))), dram__refresh_together=16)
    names = ("nRCDRD", "nRP", "nRAS", "nRFCpb", "nRREFD", "nWR", "nRTP", "nFAW", "nRRDL", "nRRDS")
    cycles = {**device.cycles, **{name: data.draw(st.integers(1, 60), label=name) for name in names}}
    cycles["nRCDWR"], cycles["nRC"] = cycles["nRCDRD"], cycles["nRAS"] + cycles["nRP"]
    cycles["nRRDS"] = min(cycles["nRRDS"], cycles["nRRDL"])
    least = refreshing.blocked(cycles, TURNS, together) // together + 1
    device = replace(device, cycles={**cycles, "nREFI": 16 * least}, together=together, columns=8)
    assert refreshing.leaves_time(device.cycles, TURNS, together)
    index = device.standard.index
    work = requests.program(
        [
            requests.loop(MACAB, 0, 6, 8, 8, index("RDMAC")),
            requests.scatter(index("WR"), 80, 2, 8, 1, 3),
            requests.run(index("RD"), 1, 100, 9),
            requests.close(),
        ]
    )
    controller = Controller(device)
    end = controller.run(work, 0)
    engine = Engine(device)
    assert engine.run(work, np.array([[0, len(work)]]), 0, 0, engine.new_totals()) == end
    assert check(log_of(device, controller.commands), device) == []
