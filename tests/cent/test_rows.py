"""Rows that are asked: how a file of them is read, and what is wrong with it, all at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from pimsim.errors import InputError
from pimsim.reproduce.cent.models import CHANNELS, MODELS, Split, problems_of
from pimsim.reproduce.cent.rows import COLUMNS, Asked, read_rows, warnings_of

HEAD = ",".join(COLUMNS)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "rows.csv"


def read(file: Path, *lines: str, head: str = HEAD) -> list[Asked]:
    file.write_text("\n".join((head, *lines)) + "\n")
    return read_rows(str(file))


def problems(file: Path, *lines: str, head: str = HEAD) -> list[str]:
    with pytest.raises(InputError) as caught:
        read(file, *lines, head=head)
    return [str(problem).removeprefix(f"{file}:") for problem in caught.value.problems]


def test_columns_may_come_in_any_order_with_others_blanks_and_quotes(file: Path) -> None:
    head = "note, context_tokens,channels_per_block ,tensor_parallel,pipeline_stages,devices,model,more"
    rows = read(file, '"a, ""b""", 4096 ,8,1,32,8,"Llama2-7B",', "", "x,128,32,4,5,20,Llama2-13B,y\r", head=head)
    assert rows == [Asked(Split("Llama2-7B", 8, 32, 1, 8), 4096), Asked(Split("Llama2-13B", 20, 5, 4, 32), 128)]
    assert [row.where["context_tokens"][1:] for row in rows] == [(2, 13), (4, 3)]


def test_a_byte_order_mark_is_no_part_of_a_name(file: Path) -> None:
    file.write_bytes(f"\ufeff{HEAD}\nLlama2-7B,8,32,1,8,1\n".encode())
    assert read_rows(str(file)) == [Asked(Split("Llama2-7B", 8, 32, 1, 8), 1)]


def test_everything_that_is_wrong_is_said_at_once_with_its_place(file: Path) -> None:
    found = problems(
        file,
        "Llama2-7b,8,32,1,8,-1",
        "Llama2-13B,20,5,3,32,128",
        "Llama2-13B,20,5,5,32,128",
        "Llama2-7B,4,32,1,4,128",
        "Llama2-70B,32,80,1,10,0",
        "Llama2-70B,32,80,1,x,1.5",
        "Llama2-70B,32,80,1,10",
        "Llama2-70B,32,4,8,16,70000",
    )
    assert found == [
        "2:1: model: no model is called 'Llama2-7b'; did you mean 'Llama2-7B'?; "
        "known: Llama2-7B, Llama2-13B, Llama2-70B",
        "2:20: context_tokens: must be a whole number from 1 on, not '-1'",
        "3:17: tensor_parallel: must divide the 20 devices, not 3",
        "4:15: pipeline_stages: must be 4, which is 20 devices / 5 for each stage; not 5",
        "5:11: devices: 4 devices hold 8 blocks each, with 4 channels for a block; one of Llama2-7B takes 5 or more",
        "5:18: channels_per_block: a block of Llama2-7B takes 5 channels or more, not 4",
        "6:23: context_tokens: must be a whole number from 1 on, not '0'",
        "7:20: channels_per_block: must be a whole number from 1 on, not 'x'",
        "7:22: context_tokens: must be a whole number from 1 on, not '1.5'",
        "8:1: has 5 cells, where the first line has 6",
        "9:19: channels_per_block: must be 32, all of a device, not 16",
    ]


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("model,devices,pipeline_stages,tensor_parallel,channels_per_block,context_token",
         ["1:1: context_tokens: this column is missing; did you mean 'context_token'?"]),
        ("model,devices,model,pipeline_stages,tensor_parallel,channels_per_block,context_tokens",
         ["1:15: model: this column is there twice", "2:1: has 6 cells, where the first line has 7"]),
    ],
)  # fmt: skip
def test_the_first_line_names_each_column_once(file: Path, head: str, expected: list[str]) -> None:
    assert problems(file, "Llama2-7B,8,32,1,8,128", head=head) == expected


def test_a_file_without_rows_is_refused(file: Path) -> None:
    assert problems(file) == ["2:1: no row follows the line that names the columns"]
    assert problems(file, head="") == [
        f"1:1: the file is empty; its first line names the columns: {', '.join(COLUMNS)}"
    ]


@pytest.mark.parametrize("name", ["absent.csv", ""])
def test_a_file_that_cannot_be_read_is_a_problem(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="cannot read the rows"):
        read_rows(str(tmp_path / name))


def test_many_problems_are_counted(file: Path) -> None:
    found = problems(file, *["Llama2-7B,8,32,1,8,0"] * 250)
    assert len(found) == 101 and found[-1] == "102:20: 150 more problems, the first of them here"


@pytest.mark.parametrize("cell", ['"8', '"8"x'])
def test_a_quote_that_is_not_around_a_cell_is_part_of_it(file: Path, cell: str) -> None:
    found = problems(file, f"Llama2-7B,{cell},32,1,8,128")
    assert found == [f"2:11: devices: must be a whole number from 1 on, not {cell!r}"]


@pytest.mark.parametrize("model", MODELS)
def test_every_divisor_of_the_devices_is_a_split_and_nothing_else(model: str) -> None:
    devices = MODELS[model].devices
    for tensor in range(1, devices + 2):
        split = Split(model, devices, devices // tensor, tensor, CHANNELS)
        assert (not list(problems_of(split))) == (devices % tensor == 0), split


@pytest.mark.parametrize("devices", range(1, 41))
def test_a_pipeline_needs_enough_channels_for_each_block(devices: int) -> None:
    split = Split("Llama2-7B", devices, 32, 1, 32 // -(-32 // devices) or 1)
    most = 32 // split.blocks_per_device
    assert (not list(problems_of(split))) == (most >= 5)
    more = Split("Llama2-7B", devices, 32, 1, most + 1)
    assert list(problems_of(more))


def test_a_gate_of_two_rows_is_refused() -> None:
    what = "on 6 channels the gate of Llama2-70B takes two rows of a bank, which CENT never has; it takes 7 or more"
    assert list(problems_of(Split("Llama2-70B", 16, 80, 1, 6))) == [("channels_per_block", what)]
    assert not list(problems_of(Split("Llama2-70B", 20, 80, 1, 8)))


def test_more_blocks_in_lock_step_than_a_device_has_is_a_warning(file: Path) -> None:
    (warning,) = warnings_of(read(file, "Llama2-7B,8,32,1,8,1", "Llama2-7B,16,32,1,8,1", "Llama2-7B,8,1,8,32,1"))
    assert (warning.line, warning.column, warning.key) == (3, 19, "channels_per_block")
    assert "runs 4 blocks in lock step" in warning.message and "has 2:" in warning.message


def test_contexts_beyond_the_layout_are_taken_with_a_warning(file: Path) -> None:
    rows = read(file, "Llama2-70B,32,80,1,10,4096", "Llama2-70B,32,80,1,10,6400", "Llama2-70B,32,80,1,10,30976")
    (warning,) = warnings_of(rows)
    assert (warning.line, warning.column) == (3, 23)
    assert "up to 30,976" in warning.message and warnings_of(rows[:1]) == []
