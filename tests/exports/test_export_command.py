"""`pimsim export`: its commands, what they print, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pimsim.cli import cli
from pimsim.cli.export import KINDS

SMALL = ("--set", "workload.model=gpt2-small")
Export = Callable[..., Result]


@pytest.fixture
def export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Export:
    """`pimsim export` in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(cli, ["export", *arguments])


def pimsim(*arguments: str) -> Any:
    return json.loads(CliRunner().invoke(cli, [*arguments, "--json"]).stdout)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_has_help(export: Export, kind: str) -> None:
    result = export(kind, "--help")
    assert result.exit_code == 0 and "--out FILE" in result.stdout and f"pimsim export {kind}" in result.stdout


def test_a_table_is_written_with_what_it_is(export: Export, tmp_path: Path) -> None:
    result = export("latency-table", "pim-gpt", *SMALL, "--contexts", "64, 128", "--batches", "1", "--out", "t.csv")
    assert result.exit_code == 0 and result.stdout.splitlines()[0].startswith("wrote t.csv (")
    assert json.loads((tmp_path / "t.csv.json").read_text())["schema"] == "pimsim.latency-table/1"
    keys = ("--set", "workload.context=63", "--set", "workload.output_tokens=1")
    latency = pimsim("run", "pim-gpt", *SMALL, *keys)["system"]["latency_ns"]
    assert f"decode,step,64,1,1,1,{latency}," in (tmp_path / "t.csv").read_text()


def test_a_program_replays_in_the_cycles_that_are_told(export: Export) -> None:
    result = export("aim", "aim", *SMALL, "--context", "33", "--out", "p.aim")
    replayed = pimsim("replay", "p.aim", "--config", "aim-reference")
    cycles, commands = f"{replayed['cycles']:,}", f"{replayed['commands']:,}"
    assert result.stdout.splitlines()[1].endswith(f"on aim-reference {cycles} cycles, {commands} commands")


def test_a_trace_s_own_schedule_is_not_odd(export: Export) -> None:
    keys = ("--set", "workload.trace=gpt2-small", "--set", "baselines=[]")
    result = export("latency-table", "pim-gpt", *keys, "--contexts", "9", "--batches", "1", "--out", "t.csv")
    assert (result.exit_code, result.stderr) == (0, "")


def test_contexts_beyond_a_model_are_odd(export: Export) -> None:
    result = export("latency-table", "pim-gpt", *SMALL, "--contexts", "1500", "--batches", "1", "--out", "t.csv")
    assert result.exit_code == 0 and "has 1,024 positions: beyond them no such model exists" in result.stderr


def test_a_table_warns_as_its_runs_do_once_for_all_batches(export: Export, tmp_path: Path) -> None:
    beside = ("--set", "workload.model=llama-3-70b", "--set", "placement.linear=gpu-h100", "--set", "baselines=[]")
    result = export("latency-table", "aim", *beside, "--contexts", "9000", "--batches", "1,2", "--out", "t.json")
    run = CliRunner().invoke(cli, ["run", "aim", *beside, "--set", "workload.context=8999", "--set",
                                   "workload.output_tokens=1"])  # fmt: skip
    lines = result.stderr.splitlines()
    assert result.exit_code == 0 and len(lines) == len(run.stderr.splitlines()) == 2
    assert "8,192 positions" in lines[0] and lines[0].partition("workload.context: ")[2] in run.stderr
    assert "decode at context 9000, batch 1; decode at context 9000, batch 2: the part of gpu-h100 does" in lines[1]
    told = json.loads((tmp_path / "t.json").read_text())["warnings"]
    assert [line.partition("warning: ")[2] for line in lines] == told


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["ramulater", "aim"], "pimsim:1:1: pimsim export: no such command 'ramulater'; did you mean 'ramulator'?"),
        (["aim", "pim-gpt", "--out", "x"], "pim-gpt.yaml:18:3: dram.standard: 'gddr6-pim' runs no AiM programs; "
         "use 'aim'"),
        (["aim", "aim-reference", "--out", "x"], "runs no language model; use `pimsim replay` instead"),
        (["latency-table", "gddr6", "--out", "x.csv"], "runs no language model; use `pimsim traffic` instead"),
        (["latency-table", "pim-gpt", "--out", "x.pdf"], "x.pdf:1:1: a latency table's name ends in .csv or .json"),
        (["latency-table", "pim-gpt", "--contexts", "0", "--out", "x.csv"], "--contexts:1:1: contexts: must be "
         "numbers from 1 to 100000000 with commas between them, not '0'"),
        (["latency-table", "pim-gpt", "--contexts", "9000000", "--out", "x.csv"], "dram.rows: decode at "
         "context 9000000, batch 1: the workload does not fit"),
        (["ramulator", "pim-gpt", "--seed", "3", "--out", "x"], "--seed:1:1: --seed: says nothing about a language "
         "model's run"),
        (["ramulator", "gddr6", "--context", "3", "--out", "x"], "--context: is for a language model, and this memory"),
        (["ramulator", "pim-gpt", "--requests-only", "--out", "x"], "serves no host's pattern; use 'gddr6'"),
        (["drampower", "hbm3", "--channel", "99", "--out", "x"], "--channel: the memory has channels 0 to 15, not 99"),
        (["drampower", "hbm3", "--out", "."], ".:1:1: cannot be written: Is a directory"),
        (["drampower", "hbm3", "--out", ""], "--out:1:1: out: needs the name of a file, but it is empty"),
        (["drampower", "hbm3", "--out", "none/x"], "none/x:1:1: cannot be written: No such file or directory"),
        (["drampower", "hbm3", "--internal", "colums", "--out", "x"], "did you mean 'columns'?"),
        (["drampower", "none.yaml", "--out", "x"], "none.yaml"),
        (["drampower", "hbm3"], "--out:1:1: out: is needed; see `pimsim export drampower --help`"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_and_nothing_is_written(
    export: Export, tmp_path: Path, arguments: list[str], line: str
) -> None:
    result = export(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert line in result.stderr and "Traceback" not in result.stderr
    assert not list(tmp_path.iterdir())


def test_a_host_s_commands_are_those_of_its_traffic(export: Export, tmp_path: Path) -> None:
    host = ("--pattern", "random", "--requests", "500", "--read-fraction", "0.5", "--seed", "4")
    assert export("drampower", "lpddr5x", *host, "--channel", "2", "--out", "d.csv").exit_code == 0
    assert export("ramulator", "lpddr5x", *host, "--out", "r.csv").exit_code == 0
    summary = pimsim("traffic", "lpddr5x", *host)
    both = [json.loads((tmp_path / f"{name}.csv.json").read_text()) for name in "dr"]
    assert {name: each["count"] for name, each in both[1]["commands"].items()} == summary["commands"]
    assert [about["cycles"] for about in both] == [summary["cycles"]] * 2
