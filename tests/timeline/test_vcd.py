"""The VCD, read back by another reader and sampled at every clock, says what the command log says."""

from __future__ import annotations

import sys
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import pytest
from vcd.reader import TokenKind, tokenize

from pimsim import api
from pimsim.errors import InputError
from tests.configs import config_of
from tests.timeline.runs import CASES, SMALL, WINDOW, Open, Row, Run, clipped, open_rows, watched, window_of

Signals = dict[str, dict[int, Any]]  # values by the clock from which they hold


def read(path: Path, tCK_ps: int) -> tuple[Signals, int]:
    """The signals of a VCD, and the clock at which it ends."""
    names: dict[str, str] = {}
    scope: list[str] = []
    values: Signals = defaultdict(dict)
    ps = 0
    with path.open("rb") as file:
        for token in tokenize(file):
            if token.kind is TokenKind.SCOPE:
                scope.append(token.scope.ident)
            elif token.kind is TokenKind.UPSCOPE:
                scope.pop()
            elif token.kind is TokenKind.VAR:
                names[token.var.id_code] = ".".join([*scope, token.var.reference])
            elif token.kind is TokenKind.CHANGE_TIME:
                ps = token.time_change
                assert ps % tCK_ps == 0
            elif token.kind in (TokenKind.CHANGE_SCALAR, TokenKind.CHANGE_VECTOR, TokenKind.CHANGE_STRING):
                change = token.data
                values[names[change.id_code]][ps // tCK_ps] = change.value
    return values, ps // tCK_ps


def sampled(values: dict[int, Any], clocks: range) -> list[Any]:
    """The value at each clock."""
    found, now = [], values.get(min(values))
    for clk in clocks:
        now = values.get(clk, now)
        found.append(now)
    return found


def commands(signals: Signals, device: Any, clocks: range) -> list[Row]:
    found = []
    for channel in range(device.channels):
        scope = f"channel{channel}"
        address = [sampled(signals[f"{scope}.{x}"], clocks) for x in ("bank_group", "bank", "row", "column")]
        names, busy = (sampled(signals[f"{scope}.{x}"], clocks) for x in ("command", "command_bus"))
        for clk, name, on, *where in zip(clocks, names, busy, *address, strict=True):
            assert (name != "-") == (on == "1")
            if name != "-":
                found.append(Row(clk, channel, name, *(-1 if x == "z" else x for x in where)))
    return sorted(found)


def rows(signals: Signals, device: Any, low: int, high: int) -> list[Open]:
    found = []
    for channel in range(device.channels):
        for bank in range(device.banks):
            name = f"channel{channel}.open_row_{bank // device.banks_per_group}_{bank % device.banks_per_group}"
            changes = sorted(signals[name].items())
            ends = [clk for clk, _ in changes[1:]] + [high]
            found += [
                Open(channel, bank, row, max(low, clk), end)
                for (clk, row), end in zip(changes, ends, strict=True)
                if row != "z"
            ]
    return sorted(found)


def busy(values: dict[int, Any], clocks: range, idle: Any) -> int:
    return sum(value != idle for value in sampled(values, clocks))


def traced(tmp_path: Path, case: dict[str, Any], window_ns: Any = None) -> tuple[Run, Signals, int]:
    path = tmp_path / "trace.vcd"
    run = watched(path, case, window_ns)
    return run, *read(path, run.device.tCK_ps)


@pytest.mark.parametrize("case", CASES)
def test_a_vcd_is_the_command_log_row_for_row(tmp_path: Path, case: dict[str, Any]) -> None:
    run, signals, end = traced(tmp_path, case)
    assert end >= run.result.tally.cycles
    assert commands(signals, run.device, range(end)) == run.rows
    assert rows(signals, run.device, 0, run.result.tally.cycles) == open_rows(run, run.result.tally.cycles)


@pytest.mark.parametrize("case", CASES)
def test_a_window_begins_with_the_rows_that_are_open_then(tmp_path: Path, case: dict[str, Any]) -> None:
    run, signals, end = traced(tmp_path, case, WINDOW)
    low, high = window_of(run, WINDOW)
    assert end == high
    assert commands(signals, run.device, range(low, high)) == [row for row in run.rows if low <= row.clk < high]
    wanted = clipped(open_rows(run, run.result.tally.cycles), low, high)
    assert rows(signals, run.device, low, high) == sorted(wanted)


def test_buses_and_units_are_busy_as_long_as_the_log_says(tmp_path: Path) -> None:
    run, signals, end = traced(tmp_path, {})
    n = run.device.cycles
    length = {"RD": n["nBL"], "WR": n["nBL"], "WRGB": n["nBL"], "RDMAC": n["nBLRES"]}
    for channel in range(run.device.channels):
        counts = Counter(row.command for row in run.rows if row.channel == channel)
        data = busy(signals[f"channel{channel}.data_bus"], range(end), "0")
        assert data == sum(counts[name] * clocks for name, clocks in length.items())
        assert busy(signals[f"channel{channel}.mac_units"], range(end), "0") == counts["MACAB"] * n["nMAC"]
    tally = run.result.tally
    assert busy(signals["controller.operator"], range(end), "-") == tally.cycles
    spent = Counter(sampled(signals["controller.operator"], range(tally.cycles)))
    assert spent["softmax"] == sum(row.cycles for row in tally.rows if row.operator == "softmax") > 0


def test_the_same_run_is_the_same_file(tmp_path: Path) -> None:
    for name in ("a.vcd", "b.vcd"):
        api.run(config_of(SMALL), timeline=tmp_path / name, window_ns=WINDOW)
    assert (tmp_path / "a.vcd").read_bytes() == (tmp_path / "b.vcd").read_bytes()


@pytest.mark.parametrize("case", CASES)
def test_batches_make_no_difference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, case: dict[str, Any]) -> None:
    from pimsim.sim.run import LogBuffer

    config = config_of({**SMALL, **case})
    api.run(config, timeline=tmp_path / "a.vcd")
    monkeypatch.setattr(LogBuffer, "ROWS", 50)
    api.run(config, timeline=tmp_path / "b.vcd")
    assert (tmp_path / "a.vcd").read_bytes() == (tmp_path / "b.vcd").read_bytes()


def test_without_pyvcd_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "vcd.writer", None)
    with pytest.raises(InputError) as error:
        api.run(config_of(SMALL), timeline=tmp_path / "a.vcd")
    assert "pip install 'pimsim[wave]'" in error.value.problems[0].message
    assert not list(tmp_path.iterdir())
