"""`pimsim reproduce cent`: its form, its order, what is refused, and how far it is from the published table."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from pimsim.cli import cli
from pimsim.reproduce.cent import cycles, found
from pimsim.reproduce.cent.cycles import Job, carry_out, run
from pimsim.reproduce.cent.energy import Standby, token_mJ
from pimsim.reproduce.cent.models import Split
from pimsim.reproduce.cent.published import published
from pimsim.reproduce.cent.rows import COLUMNS, Asked
from pimsim.reproduce.cent.times import times
from tests.cent.golden import commands_of, split_of, table
from tests.cent.test_programs import name_of

ANSWERS = (
    "pim_cycles", "pim_ms", "cxl_ms", "pnm_ms", "block_ms", "embedding_ms", "token_ms", "tokens_per_s",
    "token_energy_mJ", "token_energy_as_published_mJ",
)  # fmt: skip
LINES = ["Llama2-13B,20,1,20,32,128", "Llama2-7B,8,1,8,32,384", "Llama2-13B,20,1,20,32,1"]


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["reproduce", *arguments])


@pytest.fixture
def rows(tmp_path: Path) -> str:
    path = tmp_path / "rows.csv"
    path.write_text("\n".join([",".join(COLUMNS), *LINES]) + "\n")
    return str(path)


def test_the_answer_has_a_row_for_each_that_was_asked_in_the_order_of_the_file(rows: str) -> None:
    answer = json.loads(command("cent", "--rows", rows, "--json").stdout)
    assert [",".join(str(row[key]) for key in COLUMNS) for row in answer["rows"]] == LINES
    assert all(tuple(row) == (*COLUMNS, *ANSWERS) for row in answer["rows"])
    assert answer["warnings"] == [] and "deviations" not in answer


def test_figures_of_a_row_follow_from_its_programs(rows: str) -> None:
    for row in json.loads(command("cent", "--rows", rows, "--json").stdout)["rows"]:
        split, context = split_of(row), row["context_tokens"]
        where = (split.model, split.channels, split.tensor)
        block = run(Job(*where, "block", context))
        weights, embedding = run(Job(*where, "weights_only")), run(Job(*where, "embedding"))
        expected: dict[str, Any] = {"pim_cycles": block.cycles}
        expected |= vars(times(split, context, block.cycles, embedding.cycles))
        expected["token_energy_mJ"] = token_mJ(split, context, block, weights)
        expected["token_energy_as_published_mJ"] = token_mJ(split, context, block, weights, Standby.AS_PUBLISHED)
        assert {key: row[key] for key in ANSWERS} == expected


def test_a_program_that_is_asked_for_twice_runs_once(monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[Job] = []
    monkeypatch.setattr(cycles, "run", lambda job: ran.append(job) or run(job))
    job = Job("Llama2-7B", 32, 8, "weights_only")
    assert carry_out([job, job]) == {job: run(job)} and ran == [job]


def test_nothing_depends_on_how_many_processes_there_are() -> None:
    asked = [Asked(Split("Llama2-7B", 8, 1, 8, 32), context) for context in (1, 5, 9, 2, 30, 64, 100)]
    assert found.reproduce(asked, workers=2) == found.reproduce(asked, workers=1)


def test_the_same_bytes_are_written_again(rows: str, tmp_path: Path) -> None:
    texts = []
    for name in ("a", "b"):
        assert command("cent", "--rows", rows, "--out", str(tmp_path / name)).exit_code == 0
        texts.append({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()})
    assert texts[0] == texts[1] and sorted(texts[0]) == ["reproduction.json", "reproduction.md", "rows.csv"]
    written = list(csv.DictReader(texts[0]["rows.csv"].decode().splitlines()))
    answer = json.loads(texts[0]["reproduction.json"])["rows"]
    assert [{key: str(value) for key, value in row.items()} for row in answer] == written


def test_a_terminal_has_80_columns(rows: str) -> None:
    shown = command("cent", "--rows", rows).stdout
    assert max(map(len, shown.splitlines())) <= 80
    assert [line.split()[:6] for line in shown.splitlines() if line.startswith("Llama2")] == [
        line.split(",") for line in LINES
    ]


def test_a_context_beyond_the_layout_is_said_with_its_place(rows: str) -> None:
    Path(rows).write_text(",".join(COLUMNS) + "\nLlama2-7B,8,1,8,32,4097\n")
    result = command("cent", "--rows", rows, "--json")
    (text,) = json.loads(result.stdout)["warnings"]
    assert result.stderr == f"{rows}:2:20: context_tokens: warning: {text}\n"


def test_what_is_wrong_ends_with_2_and_writes_nothing(rows: str, tmp_path: Path) -> None:
    Path(rows).write_text(",".join(COLUMNS) + "\nLlama2-7B,8,1,8,32,0\nLlama2-7B,8,1,7,32,1\n")
    result = command("cent", "--rows", rows, "--out", str(tmp_path / "out"))
    assert (result.exit_code, result.stdout, (tmp_path / "out").exists()) == (2, "", False)
    assert [line.removeprefix(rows) for line in result.stderr.splitlines()] == [
        ":2:20: context_tokens: must be a whole number from 1 on, not '0'",
        ":3:15: tensor_parallel: must divide the 8 devices, not 7",
    ]


@pytest.mark.parametrize("what", ["pim-gpt", "decode", "devices"])
def test_rows_are_of_this_reproduction_alone(what: str, rows: str) -> None:
    result = command(what, "--rows", rows)
    assert result.exit_code == 2 and "--rows" in result.stderr and "is of `pimsim reproduce cent`" in result.stderr


# -- beside the published table -------------------------------------------------------------


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> int:
    """The published table, as if it had the rows of 128 tokens alone."""
    some = tuple(row for row in published() if row.context == 128)
    monkeypatch.setattr(found, "published", lambda: some)
    return len(some)


def test_without_rows_the_published_ones_stand_beside_the_simulated(short: int) -> None:
    answer = json.loads(command("cent", "--json", "--workers", "1").stdout)
    assert len(answer["rows"]) == short == 12
    for row in answer["rows"]:
        assert row["published"].keys() == row["deviation"].keys() == set(ANSWERS) - {"token_energy_mJ"}
        for key, value in row["published"].items():
            assert row["deviation"][key] == row[key] / value - 1
        assert row["deviation"]["pim_cycles"] == 0
        assert max(map(abs, row["deviation"].values())) < 1e-9
    given = answer["given_cycles"]
    assert set(given) == set(ANSWERS[1:8])
    assert all((of["equal"], of["rows"]) == (short, short) for of in given.values())
    assert all((of["equal"], of["rows"]) == (short, short) for of in answer["deviations"].values())


def test_a_terminal_has_a_line_for_each_split_and_each_figure(short: int) -> None:
    shown = command("cent", "--workers", "1").stdout.splitlines()
    assert max(map(len, shown)) <= 80
    assert len([line for line in shown if line.startswith("Llama2")]) == short
    assert len([line for line in shown if line.startswith(ANSWERS)]) == len(ANSWERS) - 1


CHECKED = [row for row in table("blocks") if row["context_tokens"] in ("", "128", "4096", "6400")]


@pytest.mark.parametrize("row", CHECKED, ids=name_of)
def test_a_program_has_the_recorded_commands_and_cycles(row: dict[str, str]) -> None:
    """Level 3."""
    context = int(row["context_tokens"] or 0)
    split = split_of(row)
    did = run(Job(split.model, split.channels, split.tensor, row["program"], context))
    recorded = commands_of(row)
    assert {key: did.commands[key] for key in recorded} == recorded
    assert did.cycles == int(row["cycles"])
    assert did.open_cycles == int(row["active_cycles"])
