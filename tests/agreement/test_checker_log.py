"""Command logs are written and read without loss, and a wrong file is explained line by line."""

from __future__ import annotations

import errno
import gzip
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pimsim.devices.pim_gpt.table import STANDARD
from pimsim.dram.twin.controller import Issued
from pimsim.errors import InputError
from pimsim.logs import log as log_module
from pimsim.logs.log import CommandLog, LogWriter, read_log
from tests.logs import as_logged, log_of, run_twin
from tests.strategies import cycles_of, device_of, devices, workloads

HEADER = "clk,channel,command,bank_group,bank,row,column"
DEVICE = device_of(cycles_of(1), channels=8)
COMMANDS = [
    Issued(0, "WRGB", -1, -1, 0),
    Issued(1, "ACT", 6, 12345),
    Issued(1234567890123, "MACAB", -1, 0, 63),
    Issued(1234567890124, "RDMAC"),
]
TEXT = f"""{HEADER}
0,0,WRGB,-1,-1,-1,0
1,0,ACT,1,2,12345,-1
1234567890123,0,MACAB,-1,-1,0,63
1234567890124,0,RDMAC,-1,-1,-1,-1
"""


def append(writer: LogWriter, log: CommandLog) -> None:
    """Write a whole log, banks counted in the channel."""
    bank = np.where(log.bank >= 0, log.bank_group * DEVICE.banks_per_group + log.bank, -1)
    writer.append(log.clk, log.channel, log.command, bank, log.row, log.column)


def write(path: Path, log: CommandLog, window: tuple[int, int] | None = None) -> None:
    with LogWriter(path, DEVICE, window) as writer:
        append(writer, log)


def columns(log: CommandLog) -> dict[str, list[int]]:
    return {name: values.tolist() for name, values in vars(log).items()}


# ---- writing --------------------------------------------------------------------------


def test_log_reads_as_the_contract_says(tmp_path: Path) -> None:
    write(tmp_path / "log.csv", log_of(DEVICE, COMMANDS))
    assert (tmp_path / "log.csv").read_text() == TEXT


@pytest.mark.parametrize("suffix", [".csv", ".csv.gz", ".CSV"])
def test_what_is_written_is_read_back(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"log{suffix}"
    log = log_of(DEVICE, COMMANDS, COMMANDS)
    write(path, log)
    assert columns(read_log(path, STANDARD)) == columns(log)


@settings(max_examples=30, deadline=None)
@given(data=st.data())
def test_any_log_of_the_twin_survives_the_round_trip(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    device = data.draw(devices(channels=2))
    twins = [run_twin(device, data.draw(workloads(device, 1))) for _ in range(2)]
    log = log_of(device, *(as_logged(device, twin.commands) for twin in twins))
    path = tmp_path_factory.mktemp("logs") / data.draw(st.sampled_from(["log.csv", "log.csv.gz"]))
    bank = np.where(log.bank >= 0, log.bank_group * device.banks_per_group + log.bank, -1)
    with LogWriter(path, device) as writer:
        writer.append(log.clk, log.channel, log.command, bank, log.row, log.column)
    assert writer.rows == len(log)
    assert columns(read_log(path, STANDARD)) == columns(log)


def test_log_without_commands_is_a_header(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with LogWriter(path, DEVICE):
        pass
    assert path.read_text() == HEADER + "\n"
    assert len(read_log(path, STANDARD)) == 0


def test_long_log_is_written_and_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "BLOCK_ROWS", 7)
    monkeypatch.setattr(log_module, "BLOCK_BYTES", 50)
    log = log_of(DEVICE, *[[Issued(clk, "WRGB", -1, -1, clk % 64) for clk in range(0, 300, 3)]] * 3)
    for name in ("log.csv", "log.csv.gz"):
        write(tmp_path / name, log)
        assert columns(read_log(tmp_path / name, STANDARD)) == columns(log)
    lines = (tmp_path / "log.csv").read_text().splitlines()
    assert lines[-1] == "297,2,WRGB,-1,-1,-1,41"


def test_equal_logs_are_equal_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, now in (("a.csv.gz", 1.0e9), ("b.csv.gz", 2.0e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        write(tmp_path / name, log_of(DEVICE, COMMANDS))
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()
    assert gzip.decompress((tmp_path / "a.csv.gz").read_bytes()).decode() == TEXT


def test_window_keeps_its_first_clock_and_not_its_last(tmp_path: Path) -> None:
    log = log_of(DEVICE, [Issued(clk, "WRGB", column=0) for clk in range(10)])
    write(tmp_path / "log.csv", log, window=(3, 6))
    assert read_log(tmp_path / "log.csv", STANDARD).clk.tolist() == [3, 4, 5]


@pytest.mark.parametrize("name", ["log.csv", "log.csv.gz"])
def test_failure_leaves_no_file_and_keeps_the_old_one(tmp_path: Path, name: str) -> None:
    with pytest.raises(RuntimeError, match="out of luck"), LogWriter(tmp_path / name, DEVICE) as writer:
        append(writer, log_of(DEVICE, COMMANDS))
        raise RuntimeError("out of luck")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / name).write_text("precious")
    with pytest.raises(RuntimeError), LogWriter(tmp_path / name, DEVICE):
        raise RuntimeError
    assert [path.read_text() for path in tmp_path.iterdir()] == ["precious"]


def test_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    with LogWriter(path, DEVICE) as writer:
        append(writer, log_of(DEVICE, COMMANDS))
        assert not path.exists()
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.parametrize("second", [(4, 0), (5, 0)])
def test_commands_out_of_order_are_refused(tmp_path: Path, second: tuple[int, int]) -> None:
    first, then = log_of(DEVICE, [], [Issued(5, "RDMAC")]), log_of(DEVICE, [Issued(second[0], "RDMAC")])
    both = CommandLog(**{name: np.append(getattr(first, name), getattr(then, name)) for name in vars(first)})
    for parts in ([first, then], [both]):
        with (
            pytest.raises(ValueError, match="order of clk, then channel"),
            LogWriter(tmp_path / "log.csv", DEVICE) as writer,
        ):
            for part in parts:
                append(writer, part)
    assert list(tmp_path.iterdir()) == []


def test_log_cannot_go_where_there_is_no_folder(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "log.csv"
    assert problems_of(lambda: LogWriter(path, DEVICE)) == [
        f"{path}:1:1: cannot write the command log: No such file or directory"
    ]


def test_log_cannot_go_where_a_folder_is(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    path.mkdir()
    assert problems_of(lambda: LogWriter(path, DEVICE)) == [f"{path}:1:1: cannot write the command log: Is a directory"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.csv"]


def test_folder_that_comes_in_between_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"

    def written() -> None:
        with LogWriter(path, DEVICE):
            path.mkdir()

    assert problems_of(written) == [f"{path}:1:1: cannot write the command log: Is a directory"]
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.csv"]


@pytest.mark.parametrize("during", ["write", "close"])
def test_full_disk_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, during: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(log_module._CsvSink, during, full)
    path = tmp_path / "log.csv"
    assert problems_of(lambda: write(path, log_of(DEVICE, COMMANDS))) == [
        f"{path}:1:1: cannot write the command log: No space left on device"
    ]
    assert list(tmp_path.iterdir()) == []


def test_unknown_suffix_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    for name in ("log.txt", "csv", "log.csv.bz2"):
        expected = f"{tmp_path / name}:1:1: a command log's name ends in .csv, .csv.gz, .parquet"
        assert problems_of(lambda name=name: LogWriter(tmp_path / name, DEVICE)) == [expected]
        assert problems_of(lambda name=name: read_log(tmp_path / name, STANDARD)) == [expected]
    assert list(tmp_path.iterdir()) == []


# ---- reading wrong files ----------------------------------------------------------------


def problems_of(action: object) -> list[str]:
    """The lines that the user would see."""
    assert callable(action)
    with pytest.raises(InputError) as caught:
        action()
    return str(caught.value).splitlines()


def problems_in(path: Path, text: str) -> list[str]:
    """The problems in a file with this text, without the file's name."""
    path.write_bytes(text.encode())
    found = problems_of(lambda: read_log(path, STANDARD))
    assert all(line.startswith(f"{path}:") for line in found)
    return [line.removeprefix(f"{path}:") for line in found]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("12,0,MACBA,-1,-1,0,0", ["3:6: command: no command 'MACBA'; did you mean 'MACAB'?"]),
        ("12,0,macab,-1,-1,0,0", ["3:6: command: no command 'macab'; did you mean 'MACAB'?"]),
        ("12,0,ACTABX,-1,-1,0,0", ["3:6: command: no command 'ACTABX'; did you mean 'ACTAB'?"]),
        ("12,0,AC,0,0,0,-1", ["3:6: command: no command 'AC'; did you mean 'ACT'?"]),
        ("12,0,,-1,-1,0,0", ["3:6: command: no command ''"]),
        ("12,0,NOP,-1,-1,0,0", ["3:6: command: no command 'NOP'"]),
        ("1.5,0,RDMAC,-1,-1,-1,-1", ["3:1: clk: '1.5' is not an integer"]),
        ("12,,RDMAC,-1,-1,-1,-1", ["3:4: channel: '' is not an integer"]),
        ("12,0,RDMAC,-,-1,-1,-1", ["3:12: bank_group: '-' is not an integer"]),
        ("12,0,RDMAC,--1,-1,-1,-1", ["3:12: bank_group: '--1' is not an integer"]),
        ("12,0,RDMAC,-1, 1,-1,-1", ["3:15: bank: ' 1' is not an integer"]),
        ("12,0,RDMAC,-1,-1,-1,1e3", ["3:21: column: '1e3' is not an integer"]),
        ("12,0,RDMAC,-1,-1,+1,-1", ["3:18: row: '+1' is not an integer"]),
        ("12,0,RDMAC,-1,-1,1_0,-1", ["3:18: row: '1_0' is not an integer"]),
        ("12,0,RDMAC,-1,-1,٣,-1", ["3:18: row: '٣' is not an integer"]),
        ("9999999999999999999,0,RDMAC,-1,-1,-1,-1", ["3:1: clk: '9999999999999999999' is too large"]),
        ("12,0,RDMAC,-1,-1,-1", ["3:1: needs 7 values, has 6"]),
        ("12,0,RDMAC,-1,-1,-1,-1,", ["3:1: needs 7 values, has 8"]),
        ("", ["3:1: needs 7 values, has 1"]),
        ("x,0,RDMA,-1,-1,-1,y", [
            "3:1: clk: 'x' is not an integer",
            "3:5: command: no command 'RDMA'; did you mean 'RDMAC'?",
            "3:19: column: 'y' is not an integer",
        ]),
    ],
)  # fmt: skip
def test_wrong_line_is_explained_where_it_is_wrong(tmp_path: Path, line: str, expected: list[str]) -> None:
    text = f"{HEADER}\n1,0,RDMAC,-1,-1,-1,-1\n{line}\n13,0,RDMAC,-1,-1,-1,-1\n"
    assert problems_in(tmp_path / "log.csv", text) == expected


def test_lines_with_too_many_and_too_few_values_do_not_cancel_out(tmp_path: Path) -> None:
    text = f"{HEADER}\n1,0,RDMAC,-1,-1,-1\n2,0,RDMAC,-1,-1,-1,-1,-1\n"
    assert problems_in(tmp_path / "log.csv", text) == ["2:1: needs 7 values, has 6", "3:1: needs 7 values, has 8"]
    text = f"{HEADER}\n1,0,RDMAC,-1,-1,-1,-1,2\n0,RDMAC,-1,-1,-1,-1\n"
    assert problems_in(tmp_path / "log.csv", text) == ["2:1: needs 7 values, has 8", "3:1: needs 7 values, has 6"]


@pytest.mark.parametrize(
    "first", ["clk,channel,command,bank_group,bank,row", "1,0,RDMAC,-1,-1,-1,-1", "", "\ufeff" + HEADER]
)
def test_wrong_header_is_explained(tmp_path: Path, first: str) -> None:
    text = f"{first}\n1,0,RDMAC,-1,-1,-1,-1\n2,0,RDMA,-1,-1,-1,-1\n"
    assert problems_in(tmp_path / "log.csv", text) == [
        f"1:1: line 1 must be {HEADER}",
        "3:5: command: no command 'RDMA'; did you mean 'RDMAC'?",
    ]


def test_empty_file_is_explained(tmp_path: Path) -> None:
    assert problems_in(tmp_path / "log.csv", "") == [f"1:1: the file is empty; line 1 must be {HEADER}"]


def test_problems_of_all_blocks_are_reported_up_to_a_hundred(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "BLOCK_BYTES", 64)
    lines = ["x,0,RDMAC,-1,-1,-1,-1" if k % 10 == 0 else f"{k},0,RDMAC,-1,-1,-1,-1" for k in range(2000)]
    expected = [f"{k + 2}:1: clk: 'x' is not an integer" for k in range(0, 2000, 10)]
    path = tmp_path / "log.csv"
    assert problems_in(path, "\n".join([HEADER, *lines[:500], ""])) == expected[:50]
    assert problems_in(path, "\n".join([HEADER, *lines, ""])) == expected[:100]


def test_line_ends_of_windows_and_a_missing_last_one_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    expected = columns(log_of(DEVICE, COMMANDS))
    for text in (TEXT.replace("\n", "\r\n"), TEXT.rstrip("\n"), TEXT.replace("\n", "\r\n").rstrip("\n")):
        path.write_bytes(text.encode())
        assert columns(read_log(path, STANDARD)) == expected


def test_truncated_or_damaged_gzip_is_explained(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    packed = gzip.compress(TEXT.encode())
    damaged = packed[:20] + b"\xff\xff\xff\xff" + packed[24:]
    for data in (packed[:-5], packed[: len(packed) // 2], damaged, TEXT.encode()):
        path.write_bytes(data)
        found = problems_of(lambda: read_log(path, STANDARD))
        assert len(found) == 1
        assert found[0].startswith(f"{path}:1:1: the compressed data is damaged or cut off: ")


def test_truncated_gzip_names_the_line_that_was_reached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "BLOCK_BYTES", 256)
    rng = np.random.default_rng(1)
    body = "".join(f"{clk},0,RDMAC,-1,-1,-1,-1\n" for clk in np.cumsum(rng.integers(1, 10**6, 3000)))
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(f"{HEADER}\n{body}".encode())[:-2000])
    line = int(problems_of(lambda: read_log(path, STANDARD))[0].removeprefix(f"{path}:").split(":")[0])
    assert 1000 < line < 3000


def test_missing_file_and_folder_are_explained(tmp_path: Path) -> None:
    path = tmp_path / "log.csv"
    assert problems_of(lambda: read_log(path, STANDARD)) == [
        f"{path}:1:1: cannot read the command log: No such file or directory"
    ]
    path.mkdir()
    assert problems_of(lambda: read_log(path, STANDARD)) == [f"{path}:1:1: cannot read the command log: Is a directory"]


# ---- Parquet ----------------------------------------------------------------------------


def test_parquet_survives_the_round_trip(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "log.parquet"
    log = log_of(DEVICE, COMMANDS, COMMANDS)
    write(path, log)
    assert columns(read_log(path, STANDARD)) == columns(log)
    assert [entry.name for entry in tmp_path.iterdir()] == ["log.parquet"]
    with LogWriter(path, DEVICE):
        pass
    assert len(read_log(path, STANDARD)) == 0


def test_parquet_leaves_nothing_after_a_failure(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(RuntimeError), LogWriter(tmp_path / "log.parquet", DEVICE) as writer:
        append(writer, log_of(DEVICE, COMMANDS))
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_wrong_parquet_is_explained(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "log.parquet"

    def problems(**changed: Iterable[object]) -> list[str]:
        table = dict.fromkeys(HEADER.split(","), [0, 1]) | {"command": ["ACT", "RD"]} | changed
        parquet.write_table(pyarrow.table(table), path)
        return problems_of(lambda: read_log(path, STANDARD))

    assert problems(command=["ACT", "RDX"]) == [f"{path}:3:1: command: no command 'RDX'; did you mean 'RD'?"]
    assert problems(row=[0.5, 1.5]) == [f"{path}:1:1: row: must be integers without gaps, not double"]
    assert problems(row=[0, None]) == [f"{path}:1:1: row: must be integers without gaps, not int64"]
    assert problems(extra=[0, 0]) == [f"{path}:1:1: the columns must be {', '.join(HEADER.split(','))}"]
    path.write_text("not Parquet")
    assert problems_of(lambda: read_log(path, STANDARD))[0].startswith(f"{path}:1:1: cannot read the command log: ")


def test_parquet_without_pyarrow_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = tmp_path / "log.parquet"
    path.write_bytes(b"PAR1")
    expected = [f"{path}:1:1: Parquet needs pyarrow: install pimsim[analysis], or use .csv.gz"]
    assert problems_of(lambda: LogWriter(path, DEVICE)) == expected
    assert problems_of(lambda: read_log(path, STANDARD)) == expected
