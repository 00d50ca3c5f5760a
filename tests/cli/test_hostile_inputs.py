"""Inputs that never end, that do not fit into memory, or that are no files: each is refused, and at once."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.logs.log_csv import HEADER

AIM = "configs/aim.yaml"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The tests name files relative to a folder of their own."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def pimsim(*arguments: object) -> tuple[int, str]:
    """Exit status and what is said on standard error."""
    result = CliRunner().invoke(cli, [str(argument) for argument in arguments])
    return result.exit_code, result.stderr


def refused(*arguments: object) -> str:
    """What is said of an input that is wrong."""
    status, text = pimsim(*arguments)
    assert status == 2, text
    return text


# Commands by what they read: {file} is in the place of a file of the user's.
READERS = {
    "configuration": (["config", "validate", "{file}"], "x.yaml"),
    "extends": (["config", "validate", "base.yaml"], "x.yaml"),
    "trace": (["trace", "validate", "{file}"], "x.jsonl"),
    "packed trace": (["trace", "show", "{file}"], "x.jsonl.gz"),
    "workload.trace": (["config", "validate", "{shipped}", "--set=workload.trace={file}"], "x.jsonl"),
    "baseline": (["config", "validate", "{shipped}", "--set=baselines=[{file}]"], "x.yaml"),
    "log": (["check", "{file}", "--config={shipped}"], "x.csv"),
    "packed log": (["check", "{file}", "--config={shipped}"], "x.csv.gz"),
    "Parquet log": (["check", "{file}", "--config={shipped}"], "x.parquet"),
    "program": (["replay", "{file}", "--config={aim}"], "x.aim"),
    "profile": (["trace", "import", "{file}", "--out=out.jsonl"], "x.json"),
    "sweep": (["sweep", "{file}"], "x.yaml"),
}


def command(reader: str, shipped: Path) -> tuple[list[str], Path]:
    arguments, name = READERS[reader]
    path = Path.cwd() / name
    Path("base.yaml").write_text(f"extends: {path}\n")
    aim = shipped.parent / "aim.yaml"
    return [part.format(file=path, shipped=shipped, aim=aim) for part in arguments], path


@pytest.mark.parametrize("reader", READERS)
def test_what_is_no_file_is_refused(shipped: Path, reader: str) -> None:
    arguments, path = command(reader, shipped)
    for kind, why in (
        ("pipe", "is a pipe"),
        ("device", "is a device"),
        ("folder", "Is a directory"),
        ("none", "No such"),
    ):
        if kind == "pipe":
            os.mkfifo(path)
        elif kind == "device":
            path.symlink_to("/dev/zero")
        elif kind == "folder":
            path.mkdir()
        said = refused(*arguments)
        assert why in said and str(path) in said, (kind, said)
        assert len(said.splitlines()) == 1, said
        if kind == "folder":
            path.rmdir()
        elif kind != "none":
            path.unlink()


@pytest.mark.parametrize("reader", READERS)
def test_a_line_without_an_end_is_refused(shipped: Path, reader: str) -> None:
    arguments, path = command(reader, shipped)
    line = b"x" * 2_000_000
    path.write_bytes(gzip.compress(line, 1) if path.suffix == ".gz" else line)
    assert len(refused(*arguments)) < 1000


# -- limits ---------------------------------------------------------------------------


def test_a_large_configuration_is_refused(shipped: Path) -> None:
    Path("large.yaml").write_text(f"{shipped.read_text()}{'#' * (1 << 20)}\n")
    assert (
        refused("config", "validate", "large.yaml") == "large.yaml:1:1: cannot be read: has more than 1,048,576 bytes\n"
    )


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("a: [" + "1," * 100_000 + "]", "has more than 20,000 keys and values, too many"),
        ("a: " + "[" * 5000, "is nested too deeply"),
        ("a: &a [1,1,1,1,1,1,1,1,1,1]\n" + "".join(f"b{i}: &b{i} [{','.join([f'*{p}'] * 10)}]\n"
         for i, p in enumerate(["a", "b0", "b1", "b2", "b3", "b4", "b5"])), "too many"),
    ],
    ids=["entries", "deep", "aliases"],
)  # fmt: skip
def test_a_configuration_that_explodes_is_refused(text: str, why: str) -> None:
    Path("x.yaml").write_text(text)
    assert why in refused("config", "validate", "x.yaml")


def test_a_long_chain_of_files_is_refused(shipped: Path) -> None:
    for i in range(100):
        Path(f"{i}.yaml").write_text(f"extends: {i + 1}.yaml\n")
    Path("100.yaml").write_text(shipped.read_text())
    assert refused("config", "validate", "0.yaml") == (
        "20.yaml:1:1: extends: file number 22 of files that extend each other, too many\n"
    )


def test_a_log_of_too_many_commands_is_refused(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimsim.logs.log.MOST_ROWS", 1000)
    rows = HEADER + b"\n" + b"".join(b"%d,0,ACTAB,-1,-1,0,-1\n" % i for i in range(1001))
    Path("log.csv").write_bytes(rows)
    assert refused("check", "log.csv", "--config", shipped) == (
        "log.csv:1002:1: more than 1,000 commands, too many to hold; check a shorter run\n"
    )
    Path("log.csv").write_bytes(rows.rpartition(b"1000,")[0])
    assert pimsim("check", "log.csv", "--config", shipped)[0] == 1


def test_a_program_of_too_many_instructions_is_refused(shipped: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimsim.devices.aim.isa.MOST_INSTRUCTIONS", 100)
    Path("p.aim").write_text("# comment\n" * 1000 + "AiM SYNC\n" * 101 + "AiM EOC\n")
    assert refused("replay", "p.aim", "--config", shipped.parent / "aim.yaml") == (
        "p.aim:1101:1: more than 100 instructions, too many to hold; split the program at its SYNCs\n"
    )


def test_a_trace_of_too_many_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimsim.workload.trace.files.MOST_LINES", 100)
    Path("t.jsonl.gz").write_bytes(gzip.compress(b"\n" * 101))
    assert refused("trace", "validate", "t.jsonl.gz").startswith("t.jsonl.gz:101:1: more than 100 lines\n")


def test_a_profile_that_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pimsim.workload.interchange.calls.MAX_BYTES", 1000)
    Path("p.json").write_bytes(gzip.compress(b"[" + b" " * 1_000_000 + b"]"))
    assert refused("trace", "import", "p.json", "--out", "t.jsonl") == (
        "p.json:1:1: has more than 1,000 bytes; record one step, not a run\n"
    )


def test_a_lock_that_is_a_link_is_not_followed(shipped: Path) -> None:
    Path("mine").write_text("precious")
    Path("out").mkdir()
    Path("out/.lock").symlink_to("../mine")
    Path("s.yaml").write_text(f"base: {shipped}\naxes: {{workload.output_tokens: [1]}}\n")
    assert "cannot write into out" in refused("sweep", "s.yaml", "--out", "out")
    assert Path("mine").read_text() == "precious"


# -- values ---------------------------------------------------------------------------


def test_a_nul_in_the_name_of_a_trace(shipped: Path) -> None:
    assert "has a NUL character" in refused("config", "validate", shipped, '--set=workload.trace="a\\0b"')
    assert "surrogate" in refused("config", "validate", shipped, '--set=workload.trace="a\\ud800b"')


@pytest.mark.parametrize("value", ["1e999", "-1e999", "NaN", "9" * 5000, "null", '"x"', "[1]"])
@pytest.mark.parametrize("key", ["id", "ctrl_deps"])
def test_numbers_that_are_none_in_a_profile(key: str, value: str) -> None:
    node = {"id": 1, "name": "aten::mm", "ctrl_deps": 0, "inputs": {"values": [], "shapes": []}}
    text = json.dumps({"nodes": [{**node, key: "here"}]}).replace('"here"', value)
    Path("p.json").write_text(text)
    assert "p.json:1:" in refused("trace", "import", "p.json", "--out", "t.jsonl")


def test_zeros_at_the_end_of_a_command_are_not_overlooked(shipped: Path) -> None:
    Path("log.csv").write_bytes(HEADER + b"\n5,0,WRGB\0,-1,-1,-1,0\n")
    assert (
        refused("check", "log.csv", "--config", shipped)
        == "log.csv:2:5: command: no command 'WRGB\\x00'; did you mean 'WRGB'?\n"
    )


def parquet(**changed: Any) -> None:
    pyarrow, writer = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    columns = {name: [0] for name in HEADER.decode().split(",")} | {"command": ["ACTAB"]} | changed
    if columns["clk"] == [2**64 - 1]:
        columns["clk"] = pyarrow.array(columns["clk"], pyarrow.uint64())
    writer.write_table(pyarrow.table(columns), "log.parquet")


@pytest.mark.parametrize(
    ("column", "values", "why"),
    [
        ("row", [[1, 2]], "row: must be integers without gaps, not list<"),
        ("command", [["ACT"]], "command: must be text without gaps, not list<"),
        ("command", [{"a": 1}], "command: must be text without gaps, not struct<"),
        ("command", [None], "command: must be text without gaps, not null"),
        ("command", ["x" * 100_000], "no command 'xxx"),
        ("clk", [2**64 - 1], "cannot read the command log: "),
        ("clk", [True], "clk: must be integers without gaps, not bool"),
    ],
)
def test_parquet_columns_that_no_log_has(shipped: Path, column: str, values: Any, why: str) -> None:
    parquet(**{column: values})
    said = refused("check", "log.parquet", "--config", shipped)
    assert why in said and len(said) < 2000


def test_a_damaged_parquet_log_is_refused(shipped: Path) -> None:
    numbers = {name: list(range(100)) for name in HEADER.decode().split(",")}
    parquet(**{**numbers, "command": ["ACTAB"] * 100})
    whole = Path("log.parquet").read_bytes()
    for at in range(4, len(whole), 97):
        Path("log.parquet").write_bytes(whole[:at] + bytes([whole[at] ^ 0xFF]) + whole[at + 1 :])
        status, said = pimsim("check", "log.parquet", "--config", shipped)
        assert status in (0, 1, 2), (at, said)
