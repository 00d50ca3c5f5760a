"""Level 1: the programs are CENT's, line for line, and have as many instructions of each kind."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest

from pimsim.devices.aim.compiled import layout
from pimsim.devices.aim.instructions import Instructions
from pimsim.devices.aim.isa import parse
from pimsim.errors import InputError
from pimsim.reproduce.cent import programs, regions
from pimsim.reproduce.cent.models import MODELS
from pimsim.reproduce.cent.programs import block, joined, rounds_of
from tests.aim.devices import correct_device, reference_device
from tests.cent.golden import (
    alone,
    counted,
    instructions_of,
    place_of,
    program,
    program_of,
    table,
    text,
)

PROGRAMS = [row["program"] for row in table("programs")]
BLOCKS = table("blocks")


def name_of(row: dict[str, str]) -> str:
    keys = (
        "model",
        "pipeline_stages",
        "channels_per_block",
        "tensor_parallel",
        "context_tokens",
        "program",
        "operator",
    )
    return "-".join(row[key] for key in keys if row.get(key))


def test_all_of_the_golden_data_is_here() -> None:
    assert (len(PROGRAMS), len(BLOCKS), len(table("operators")), len(table("layouts"))) == (17, 67, 75, 115)


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_program_is_the_recorded_one_line_for_line(name: str) -> None:
    assert list(programs.text(program(name))) == text(name)


@pytest.mark.parametrize("row", table("programs"), ids=lambda row: row["program"])
def test_a_scaled_down_program_has_the_recorded_instructions(row: dict[str, str]) -> None:
    assert counted(program(row["program"])) == instructions_of(row)
    assert len(joined(program(row["program"]))) == int(row["instructions"])


@pytest.mark.parametrize("row", BLOCKS, ids=name_of)
def test_a_program_has_the_recorded_instructions(row: dict[str, str]) -> None:
    assert counted(program_of(row)) == instructions_of(row)


@pytest.mark.parametrize("row", table("operators"), ids=name_of)
def test_an_operator_alone_has_the_recorded_instructions(row: dict[str, str]) -> None:
    found = alone(block(MODELS[row["model"]], place_of(row), int(row["context_tokens"])), row["operator"])
    assert counted(found) == instructions_of(row)


def test_the_page_shows_how_to_have_a_program_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    page = Path(__file__).parents[2] / "docs" / "cent.md"
    found = re.search(r"```python\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert found is not None
    exec(found[1], {})
    assert capsys.readouterr().out == "W MEM 0 0 0\nAiM WR_GB 64 0 0xffffffff\n"


def test_regions_lie_where_they_are_recorded() -> None:
    for row in table("layouts"):
        shape, place = MODELS[row["model"]], place_of(row)
        at = regions.first_rows(shape, place)[row["region"]], regions.sizes(shape, place)[row["region"]]
        assert at == (int(row["first_row"]), int(row["rows_to_next"])), row


@pytest.mark.parametrize("context", [1, 1025, 4096, 30976])
@pytest.mark.parametrize("row", [row for row in BLOCKS if row["program"] == "embedding"], ids=name_of)
def test_no_program_names_a_row_beyond_the_one_that_is_said(row: dict[str, str], context: int) -> None:
    shape, place = MODELS[row["model"]], place_of(row)
    highest = int(joined(block(shape, place, context))[:, layout.C_ROW].max())
    reached = regions.rows_reached(shape, place, context)
    assert highest < reached <= regions.ROWS
    named = regions.first_rows(shape, place)["w2"] + regions.sizes(shape, place)["w2"]
    assert reached > named or reached - highest <= 2 * regions.sizes(shape, place)["w2"]


def test_an_element_wise_product_may_be_longer_than_a_row_where_the_reference_is_repeated_and_there_alone() -> None:
    lines = text("7b_c8_rope_L4096")
    assert [i.size for i in parse("\n".join(lines), reference_device()) if i.name == "EWMUL"] == [256, 256]
    with pytest.raises(InputError, match="EWMUL: product_size must be 1 to 64, not 256"):
        parse("\n".join(lines), correct_device())


@pytest.mark.parametrize("name", ["block_d1024_c8_L100", "weights_d1024_tp2"])
def test_a_program_read_from_its_text_is_the_one_that_was_built(name: str) -> None:
    lines = "\n".join(text(name)).encode()
    device = reference_device()
    read = Instructions.read(io.BytesIO(lines), device)
    np.testing.assert_array_equal(np.concatenate(list(read.blocks())), joined(program(name)))
    assert list(read) == parse(lines.decode(), device)


@pytest.mark.parametrize(
    ("rows", "activated", "rounds"),
    [(1, False, [1]), (32, False, [32]), (33, False, [17, 16]), (65, False, [22, 22, 21]), (17, True, [9, 8])],
)
def test_results_are_kept_in_rounds_of_about_the_same_size(rows: int, activated: bool, rounds: list[int]) -> None:
    assert rounds_of(rows, activated) == rounds
