"""Command traces: read back, they are the run's log, command by command."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim import InputError, api
from pimsim.exports import drampower, ramulator
from pimsim.exports.sources import Asked, HostRun, ModelRun, host_run, model_run, write_commands, write_requests
from pimsim.logs.log import CommandLog, read_log
from pimsim.traffic.mapping import Mapping
from pimsim.traffic.patterns import Pattern
from pimsim.traffic.run import serve
from pimsim.traffic.traces import Trace

SMALL = {"name": "small", "layers": 1, "d_model": 384, "heads": 6, "vocabulary": 700}
PIM = ("pim-gpt", "aim", "lpddr5x-pim", "hbm2-pim")
STORES = ("gddr6", "lpddr5x", "hbm3")
CONTEXT = 5
# As Ramulator and DRAMPower call them; what is not here keeps its name.
OURS = {"PREAB": "PREA", "REFAB": "REFab", "REFPB": "REFpb"}
POWER = {"REFab": "REFA", "REFpb": "REFB"}


def source_of(name: str, **keys: Any) -> ModelRun | HostRun:
    if name in STORES:
        return host_run(api.load(name, keys), Asked("random", 2000, 0.7, 3))
    return model_run(api.load(name, {"workload.model_config": SMALL, "baselines": [], **keys}), CONTEXT)


def log_of(name: str, path: Path, **keys: Any) -> CommandLog:
    """The command log of the same, as `pimsim run` and `pimsim traffic` write it."""
    source = source_of(name, **keys)
    if isinstance(source, HostRun):
        serve(source.device, source.asked.on(source.device), log=path)
    else:
        api.run(source.prepared, log=path)
    return read_log(path, source.device.standard)


def rows_of(path: Path) -> list[list[str]]:
    with open(path, newline="") as file:
        return list(csv.reader(file))


@pytest.mark.parametrize("name", [*PIM, *STORES])
def test_ramulator_s_trace_is_the_log(name: str, tmp_path: Path) -> None:
    source, log = source_of(name), log_of(name, tmp_path / "log.csv")
    about = write_commands(source, ramulator.Commands(source.device), tmp_path / "t.csv")
    head, *rows = rows_of(tmp_path / "t.csv")
    assert head[:3] == ["clock", "command", "channel"] and head[-4:] == ["row", "column", "type", "source"]
    assert len(rows) == len(log)
    names = source.device.standard.log_names
    wanted = [OURS.get(names[n], names[n]) for n in log.command.tolist()]
    assert [row[1] for row in rows] == wanted
    for at, column in ((0, log.clk), (2, log.channel), (-4, log.row), (-3, log.column)):
        assert [int(row[at]) for row in rows] == column.tolist()
    assert {name: each["count"] for name, each in about["commands"].items()} == {
        names[n]: count for n, count in sorted(Counter(log.command.tolist()).items())
    }


@pytest.mark.parametrize(("channel", "told"), [(None, [0, 1]), (1, [1])])
def test_how_many_channels_there_are_and_which_are_written(
    channel: int | None, told: list[int], tmp_path: Path
) -> None:
    source = source_of("gddr6")
    about = write_commands(source, ramulator.Commands(source.device), tmp_path / "t.csv", channel)
    assert (about["channels"], about["channel"]) == (2, told)
    _, *rows = rows_of(tmp_path / "t.csv")
    assert sorted({int(row[2]) for row in rows}) == told


@pytest.mark.parametrize("name", STORES)
def test_a_bank_is_found_again_by_its_levels(name: str, tmp_path: Path) -> None:
    source, log = source_of(name), log_of(name, tmp_path / "log.csv")
    write_commands(source, ramulator.Commands(source.device, rank=True), tmp_path / "t.csv")
    head, *rows = rows_of(tmp_path / "t.csv")
    device = source.device
    groups = device.bank_groups // device.data_buses
    for row, group, bank in zip(rows, log.bank_group.tolist(), log.bank.tolist(), strict=True):
        told = dict(zip(head, row, strict=True))
        if told["command"] in ("ACT", "RD", "WR", "PRE"):
            part = int(told.get("pseudochannel", 0))
            assert (part * groups + int(told["bankgroup"]), int(told["bank"])) == (group, bank)
            assert told["rank"] == "0"


@pytest.mark.parametrize("name", [*PIM, *STORES])
def test_drampower_s_banks_open_and_close_in_turn(name: str, tmp_path: Path) -> None:
    """A reader that knows ACT, RD, WR, PRE and refreshes finds every bank in the state that each of them needs."""
    source = source_of(name)
    write_commands(source, drampower.Commands(source.device), tmp_path / "t.csv", 0)
    rows, device = rows_of(tmp_path / "t.csv"), source.device
    opened: dict[tuple[str, ...], str] = {}
    clocks = [int(row[0]) for row in rows]
    assert clocks == sorted(clocks) and rows[-1][1] == "END"
    for _, command, rank, group, bank, row, *_ in rows:
        where = (rank, group, bank)
        if command == "ACT":
            assert where not in opened
            opened[where] = row
        elif command in ("RD", "WR"):
            assert opened[where] == row
        elif command == "PRE":
            opened.pop(where, None)
        elif command == "PREA":
            opened = {key: value for key, value in opened.items() if key[0] != rank}
        elif command == "REFA":
            assert not any(key[0] == rank for key in opened)
        elif command == "REFB":
            assert where not in opened
    assert all(int(n) >= 0 for row in rows for n in row[2:7])
    assert all(len(row) == (8 if row[1] in ("RD", "WR", "RDA", "WRA") else 7) for row in rows)
    assert max(int(row[3]) for row in rows) < device.bank_groups


@pytest.mark.parametrize("name", ["pim-gpt", "aim", "hbm3"])
def test_drampower_s_counts_follow_from_the_log(name: str, tmp_path: Path) -> None:
    """Banks opened and columns used, counted from the log of channel 0 by what the standard's table says."""
    source, log = source_of(name), log_of(name, tmp_path / "log.csv")
    device = source.device
    mine = Counter(device.standard.log_names[n] for n in log.command[log.channel == 0].tolist())
    write_commands(source, drampower.Commands(device, "columns"), tmp_path / "t.csv", 0)
    found = Counter(row[1] for row in rows_of(tmp_path / "t.csv"))
    assert found["ACT"] == device.banks_activated(mine)
    uses = sum(found[command] for command in ("RD", "WR", "RDA", "WRA"))
    kinds = [device.standard.command(command) for command in mine]
    assert uses == sum(
        mine[kind.name] * device.addressed(kind) // kind.one_in for kind in kinds if kind.column.value != "none"
    )


def test_what_drampower_has_no_name_for_can_be_left_out(tmp_path: Path) -> None:
    source = source_of("aim")
    commands = {}
    for internal in drampower.INTERNAL:
        about = write_commands(source, drampower.Commands(source.device, internal), tmp_path / "t.csv", 1)
        commands[internal] = {row[1] for row in rows_of(tmp_path / "t.csv")}
        assert about["commands"]["MAC16"]["count"] > 0
    assert commands["named"] - commands["none"] >= {"MAC16", "WRGB", "TMOD", "RDMAC16"}
    assert commands["none"] <= {"ACT", "PRE", "PREA", "RD", "WR", "REFA", "END"}
    assert commands["columns"] <= commands["none"] | {"RD", "WR", "WRA"}


@pytest.mark.parametrize("name", STORES)
@pytest.mark.parametrize("pattern", ["stream", "random"])
def test_requests_that_are_read_back_take_as_long(name: str, pattern: str, tmp_path: Path) -> None:
    """The reader of `pimsim traffic --trace` shares no code with the writer."""
    run = host_run(api.load(name), Asked(pattern, 3000, 0.6, 5))
    write_requests(run, tmp_path / "t.txt", rank=name == "lpddr5x")
    device = run.device
    back = Trace(tmp_path / "t.txt", device, Mapping("RoBaCoBgCh", device), "ramulator-rw", None, None)
    assert serve(device, back).summary() == serve(device, Pattern(device, pattern, 3000, 0.6, None, 5)).summary()


def test_nothing_is_left_of_a_trace_that_failed(tmp_path: Path) -> None:
    class Broken(HostRun):
        def run(self, watcher: Any) -> Any:
            raise InputError("the run failed")

    source = source_of("gddr6")
    assert isinstance(source, HostRun)
    with pytest.raises(InputError, match="failed"):
        write_commands(Broken(source.loaded, source.asked), ramulator.Commands(source.device), tmp_path / "t.csv")
    with pytest.raises(InputError, match="channels 0 to 1, not 2"):
        write_commands(source, ramulator.Commands(source.device), tmp_path / "t.csv", 2)
    assert not list(tmp_path.iterdir())


def test_several_devices_have_no_one_trace() -> None:
    for context in (None, CONTEXT):
        with pytest.raises(InputError, match="a trace of commands is of one device"):
            model_run(api.load("pim-gpt", {"system.devices": 2, "system.tensor": 2}), context)


def test_the_whole_run_is_written_where_no_context_is_given(tmp_path: Path) -> None:
    loaded = api.load("pim-gpt", {"workload.model_config": SMALL, "workload.output_tokens": 3, "baselines": []})
    source = model_run(loaded)
    about = write_commands(source, ramulator.Commands(source.device), tmp_path / "t.csv")
    summary = pimsim.run(loaded.config).summary
    assert about["config_sha256"] == summary["config_sha256"]
    assert json.loads((tmp_path / "t.csv.json").read_text()) == about
    assert {name: each["count"] for name, each in about["commands"].items()} == {
        name: count for name, count in summary["system"]["commands"].items() if count
    }
