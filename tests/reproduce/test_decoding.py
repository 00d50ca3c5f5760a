"""`pimsim reproduce decode`: its studies, its table, and that pages and files say what runs say."""

from __future__ import annotations

import json
import runpy
import shlex
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from pimsim.reproduce.decoding import found as module
from pimsim.reproduce.decoding.found import Found, reproduce
from pimsim.reproduce.decoding.jobs import GPUS, PIM, Cost, Point, trace_of
from pimsim.reproduce.decoding.pages import commands, markdown, save, sentences, sheets
from pimsim.reproduce.decoding.pictures import PICTURES
from pimsim.reproduce.decoding.studies import STUDIES, crossing
from pimsim.reproduce.decoding.table import ROWS
from pimsim.sweep.reader import load_sweep
from pimsim.workload.decoding.data import mechanisms
from pimsim.workload.trace.reader import load_trace
from pimsim.workload.trace.writer import dump_trace

ROOT = Path(__file__).parents[2]
MAKE: dict[str, Any] = runpy.run_path(str(ROOT / "docs" / "make_studies.py"))
STUDIED = ROOT / "configs" / "studies"


@pytest.fixture(scope="module")
def found() -> Found:
    """All of it, without intervals."""
    return reproduce(workers=1, intervals=False)


# -- figures


def test_every_figure_is_near_the_prototypes(found: Found) -> None:
    """Rough figures; what they were of is not written down in full."""
    rough = {f.measure.name: f.simulated / f.measure.rough - 1 for f in found.figures if f.measure.rough is not None}
    assert len(rough) == 14
    assert max(map(abs, rough.values())) < 0.15


def test_json_has_the_form_of_the_papers_figures(found: Found) -> None:
    record = json.loads(json.dumps(found.record(), allow_nan=False))
    assert len({figure["name"] for figure in record["figures"]}) == len(record["figures"]) >= 20
    for figure in record["figures"]:
        assert {"name", "paper", "simulated", "low", "high", "deviation", "decided_by"} <= set(figure)
        assert figure["low"] <= figure["simulated"] <= figure["high"]
        assert figure["label"] == (None if figure["paper"] is None else "prototype")
    assert [study["name"] for study in record["studies"]] == [study.name for study in STUDIES]
    assert {each["name"] for each in record["mechanisms"]} == set(mechanisms())


def test_an_interval_holds_what_one_input_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    [layers] = [study for study in STUDIES if study.name == "layers"]
    [query] = [study for study in STUDIES if study.name == "query"]
    few = replace(query, jobs=query.jobs)
    monkeypatch.setattr(module, "STUDIES", (few, layers))
    monkeypatch.setattr(module, "ROWS", ())
    monkeypatch.setattr(module, "INPUTS", ("tRP",))
    figures = {figure.measure.name: figure for figure in reproduce(workers=1).figures}
    even = figures["break_even_q.t4"]
    assert even.low < even.simulated < even.high and even.decided_by == "tRP (recalled)"


@pytest.mark.parametrize(
    ("ours", "theirs", "where"),
    [
        ([1, 2, 3], [2, 2, 2], 20),  # equal there
        ([1, 3, 5], [2, 2, 2], 15),  # half way
        ([1, 1, 1], [2, 2, 2], 30),  # nowhere: at least
        ([3, 3, 3], [2, 2, 2], 10),  # from the start
        ([5, 3, 1], [2, 2, 2], 25),  # from above
    ],
)
def test_where_one_line_crosses_another(ours: list[float], theirs: list[float], where: float) -> None:
    assert crossing([10, 20, 30], ours, theirs) == where


def test_what_helps_whom(found: Found) -> None:
    """In one sentence: what amortises weights helps the GPU, what removes work helps both."""
    gains = {gain.row.mechanism: gain.gains for gain in found.gains}
    for name in ("speculative", "recycling", "medusa", "hydra", "eagle", "kangaroo", "beams", "next-scale"):
        assert gains[name][PIM] < 1 < gains[name]["gpu-h100"]
    for name in ("layer-skip", "early-exit", "superposed", "duo-attention", "drop-prefix", "block-transformer"):
        assert gains[name][PIM] > 1
        assert gains[name][PIM] > 0.99 * gains[name]["gpu-h100"]


def test_a_gain_is_of_each_kept_token() -> None:
    row = replace(ROWS[0], texts=2)
    one, other = (Point(4, kept, 8.0, 0.0, {PIM: Cost(10.0, 100.0)}) for kept in (10, 20))
    assert row.gain({row.job: one, row.beside: other}, PIM) == (100 / 20) / (100 / 10) * 2
    assert row.energy_gain({row.job: one, row.beside: other}) == (8 / 20) / (8 / 10) * 2
    whole = replace(row, whole=True)
    assert whole.gain({row.job: one, row.beside: other}, PIM) == 1


# -- pages, pictures, files


def test_the_tables_name_every_figure_and_mechanism(found: Found) -> None:
    text = markdown(found)
    for figure in found.figures:
        assert f"| {figure.measure.name} |" in text
    for row in ROWS:
        assert f"| {row.mechanism} |" in text
    assert all(sentence in text for _, sentence in sentences(found))
    assert [sheet.title for sheet in sheets(found)] == ["Ways of decoding", "Mechanisms"]


def test_the_folder_has_tables_json_and_a_picture_of_each_study(found: Found, tmp_path: Path) -> None:
    save(found, tmp_path / "out")
    first = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert set(first) == {"reproduction.json", "reproduction.md", "mechanisms.png", *(f"{n}.png" for n in PICTURES)}
    assert set(PICTURES) == {study.name for study in STUDIES}
    save(found, tmp_path / "out")
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == first


def test_the_page_says_what_runs_say(found: Found) -> None:
    """If this fails: .venv/bin/python docs/make_studies.py"""
    page = (ROOT / "docs" / "decoding.md").read_text(encoding="utf-8")
    made = MAKE["parts"](found)
    assert MAKE["surprise"](found) in (ROOT / "README.md").read_text(encoding="utf-8")
    assert made["mechanisms"] in page and made["answers"] in page
    shown = {cells[0]: cells[2] for line in page.splitlines() if len(cells := line.split(" | ")) == 6}
    rows = [line.split(" | ") for line in made["figures"].splitlines() if line.startswith("| ")]
    assert len(rows) > 20 and {row[0]: row[2] for row in rows}.items() <= shown.items()


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.mechanism)
def test_the_command_in_the_table_writes_the_trace_that_ran(row: Any, tmp_path: Path) -> None:
    words = shlex.split(row.command)
    result = CliRunner().invoke(cli, [*words[1:], "--out", str(tmp_path / "t.jsonl")])
    assert result.exit_code == 0, result.stderr
    assert (tmp_path / "t.jsonl").read_text() == dump_trace(trace_of(row.job.made))


def test_the_traces_of_the_studies_are_those_of_the_table() -> None:
    """If this fails: .venv/bin/python docs/make_studies.py --traces"""
    files = {file.name: file.read_text(encoding="utf-8") for file in (STUDIED / "traces").iterdir()}
    assert files == MAKE["traces"]()
    for name in files:
        assert load_trace(STUDIED / "traces" / name).warnings == ()


def test_the_shipped_studies_can_be_read() -> None:
    files = sorted(STUDIED.glob("*.yaml"))
    assert len(files) == 4 and all(load_sweep(file).name == file.stem for file in files)
    traces = load_sweep(STUDIED / "mechanisms.yaml").space
    assert len(list(traces.points())) == len(ROWS)


def test_the_command_prints_json_alone(found: Found, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "reproduce", lambda *_: found)
    result = CliRunner().invoke(cli, ["reproduce", "decode", "--json"])
    assert result.exit_code == 0 and json.loads(result.stdout) == json.loads(json.dumps(found.record()))
    shown = CliRunner().invoke(cli, ["reproduce", "decode"], env={"COLUMNS": "80"}).stdout
    assert all(figure.measure.name in shown for figure in found.figures)
    assert max(map(len, shown.splitlines())) <= 80


def test_each_machine_has_its_gain(found: Found) -> None:
    assert all(set(gain.gains) == {PIM, *GPUS} for gain in found.gains)
    assert all(gain.row.command in commands(found) for gain in found.gains)
