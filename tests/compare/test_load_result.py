"""A result read back from its folder: the same figures, and an error for each way in which a folder is none."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim.config.schema import Config
from pimsim.errors import InputError
from pimsim.results.saved import SavedResult
from tests.compare.conftest import Saved, plain, run_of
from tests.conftest import SHIPPED
from tests.schedule_kinds import KINDS
from tests.schedule_kinds import run as run_kind
from tests.schedule_kinds import write as write_kind


def problems(folder: Path) -> list[str]:
    """What is said of a folder, without the folders around it."""
    with pytest.raises(InputError) as caught:
        pimsim.load_result(folder)
    return str(caught.value).replace(f"{folder.parent}/", "").split("\n")


def edit(folder: Path, file: str, change: Callable[[str], str]) -> None:
    path = folder / file
    path.write_text(change(path.read_text()))


def edit_summary(folder: Path, change: Callable[[dict[str, Any]], object]) -> None:
    summary = json.loads((folder / "summary.json").read_text())
    change(summary)
    (folder / "summary.json").write_text(json.dumps(summary, indent=2) + "\n")


# -- what was written ---------------------------------------------------------------------


def test_a_result_that_was_read_back_is_the_one_that_was_written(tmp_path: Path) -> None:
    result = run_of(workload__prompt_tokens=2)
    saved = pimsim.load_result(result.save(tmp_path / "a"))
    assert saved.name == result.name and saved.inputs == result.inputs
    assert json.dumps(saved.summary) == json.dumps(result.summary)
    for table in ("operators", "tokens", "summary"):
        assert repr(saved.records(table)) == repr(result.records(table))
        assert saved.to_frame(table).equals(result.to_frame(table))


@pytest.mark.parametrize("kind", KINDS)
def test_a_schedule_is_read_back_with_its_lines(kind: str, tmp_path: Path) -> None:
    result = plain(run_kind(tmp_path, kind))
    saved = pimsim.load_result(result.save(tmp_path / "a"))
    assert json.dumps(saved.summary) == json.dumps(result.summary)
    for table in ("operators", "tokens"):
        assert repr(saved.records(table)) == repr(result.records(table))
    assert sorted(len(places) for _, places in saved.lines()) == sorted(len(places) for _, places in result.lines())


def test_a_run_that_decodes_nothing_has_no_tokens(tmp_path: Path) -> None:
    result = pimsim.load_result(plain(run_kind(tmp_path, "prefill")).save(tmp_path / "a"))
    assert result.records("tokens") == [] and list(result.to_frame("tokens")["step"]) == []


def test_the_configuration_runs_again_to_the_same_figures(saved: Saved) -> None:
    result = pimsim.load_result(saved(dram__channels=4))
    assert result.config_problem == "" and isinstance(result.config, Config)
    again = pimsim.run(result.config).summary
    assert again | {"simulation": {}} == result.summary | {"simulation": {}}


def test_a_configuration_that_names_what_is_elsewhere_is_a_dict(tmp_path: Path, saved: Saved) -> None:
    trace = write_kind(tmp_path, "chain")
    (tmp_path / "trace.yaml").write_text(f"extends: {SHIPPED}\nworkload: {{model: null, trace: {trace.name}}}\n")
    result = pimsim.load_result(saved("a", tmp_path / "trace.yaml", workload__model_config=None))
    assert "cannot be read" in result.config_problem
    assert isinstance(result.config, dict) and result.config["workload"]["trace"].endswith(".jsonl")


def test_a_configuration_that_was_changed_is_not_what_ran(saved: Saved) -> None:
    folder = saved()
    edit(folder, "config.resolved.yaml", lambda text: text.replace("batch: 1 ", "batch: 2 "))
    result = pimsim.load_result(folder)
    assert "was changed" in result.config_problem and isinstance(result.config, dict)


def test_plots_that_need_no_simulation_are_there(saved: Saved) -> None:
    result = pimsim.load_result(saved())
    for name in result.plot.available():  # type: ignore[attr-defined]
        assert getattr(result.plot, name)().has_data()
    for name in ("roofline", "utilisation"):
        with pytest.raises(ValueError, match="no simulation; run its configuration again"):
            getattr(result.plot, name)()


def test_a_table_that_is_not_there_is_told_with_its_nearest(saved: Saved) -> None:
    with pytest.raises(ValueError, match="did you mean 'tokens'"):
        pimsim.load_result(saved()).records("token")


def test_it_shows_in_a_notebook(saved: Saved) -> None:
    assert "tiny" in pimsim.load_result(saved())._repr_html_()


# -- folders that are no result -----------------------------------------------------------


def test_a_folder_that_is_not_there_is_told_with_its_nearest(saved: Saved, tmp_path: Path) -> None:
    saved("result")
    (found,) = problems(tmp_path / "resuls")
    assert found.startswith("resuls:1:1: cannot be read: No such file") and found.endswith("; did you mean 'result'?")


def test_a_file_is_no_folder(saved: Saved) -> None:
    (found,) = problems(saved() / "summary.json")
    assert found == "summary.json:1:1: is a file; the folder that `pimsim run --out` wrote is needed"


def test_an_empty_folder_has_no_result(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (found,) = problems(tmp_path / "a")
    assert found == "a:1:1: no result is in it: `pimsim run --out` writes summary.json and more"


def test_the_folder_around_a_result_names_it(saved: Saved, tmp_path: Path) -> None:
    saved("all/one")
    assert problems(tmp_path / "all")[0].endswith("; did you mean 'all/one'?")


def test_the_folder_of_a_sweep_is_told(tmp_path: Path) -> None:
    (tmp_path / "sweep.json").write_text("{}")
    assert "is the folder of a sweep" in problems(tmp_path)[0]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("summary.json", "a:1:1: half a result: summary.json, which is written last, is missing"),
        ("operators.csv", "a/operators.csv:1:1: cannot be read: No such file or directory"),
        ("tokens.csv", "a/tokens.csv:1:1: cannot be read: No such file or directory"),
        ("config.resolved.yaml", "a/config.resolved.yaml:1:1: cannot be read: No such file or directory"),
    ],
)
def test_half_a_result_is_told(saved: Saved, missing: str, said: str) -> None:
    folder = saved()
    (folder / missing).unlink()
    assert problems(folder) == [said]


@pytest.mark.parametrize("schema", ["pimsim.summary/2", None])
def test_another_schema_is_told(saved: Saved, schema: str | None) -> None:
    folder = saved()
    edit_summary(folder, lambda summary: summary.update(schema=schema) if schema else summary.pop("schema"))
    (found,) = problems(folder)
    said = "is 'pimsim.summary/2'" if schema else "is missing"
    assert re.fullmatch(rf"a/summary.json:\d+:\d+: schema: {said}; this version reads 'pimsim.summary/1'", found)


def test_everything_wrong_is_said_at_once_and_where(saved: Saved) -> None:
    folder = saved()
    edit(folder, "summary.json", lambda text: text.replace('"model": "tiny"', '"model": 7', 1))
    edit(folder, "operators.csv", lambda text: text.replace("qkv,4", "qkv,four"))
    edit(folder, "tokens.csv", lambda text: text + "3,3\n")
    edit(folder, "config.resolved.yaml", lambda text: text.replace("schema:", "schema: [", 1))
    found = problems(folder)
    assert len(found) == 4
    assert re.match(r"a/summary.json:7:5: workload.model: must be text, not 7$", found[0])
    assert re.match(r"a/config.resolved.yaml:\d+:\d+: not YAML: ", found[1])
    assert re.match(r"a/operators.csv:3:12: count: must be a whole number, not 'four'$", found[2])
    assert found[3] == "a/tokens.csv:4:1: has 2 cells, not 6"


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("{", "", "not JSON"),
        ('"system":', '"workload":', "duplicate key"),
        ('"cycles":', '"cycels":', "system.cycles: required key is missing; did you mean 'cycels'?"),
        ('"lm_head": false', '"lm_head": 0', "workload.lm_head: must be true or false, not 0"),
        ('"warnings": []', '"warnings": [1]', "warnings: must be a list of texts, not a list"),
        ('"row_hit_rate": ', '"row_hit_rate": -', "system.row_hit_rate: must be at least 0"),
        ('"row_hit_rate": ', '"row_hit_rate": 1e999, "x": ', "1e999 is not a finite number"),
    ],
)  # fmt: skip
def test_a_summary_that_is_none_is_told(saved: Saved, before: str, after: str, said: str) -> None:
    folder = saved()
    edit(folder, "summary.json", lambda text: text.replace(before, after, 1))
    assert any(re.match(r"a/summary.json:\d+:\d+: ", line) and said in line for line in problems(folder))


def _double(key: str) -> Callable[[dict[str, Any]], object]:
    def change(summary: dict[str, Any]) -> None:
        inside = summary["system"]
        *path, last = key.split(".")
        for each in path:
            inside = inside[each]
        inside[last] *= 2

    return change


@pytest.mark.parametrize(
    "key", ["cycles", "latency_ns", "energy_pJ", "commands.MACAB", "latency_breakdown_ns.mac", "energy_breakdown_pJ.io"]
)
def test_sums_that_do_not_hold_any_more_are_told(saved: Saved, key: str) -> None:
    folder = saved()
    edit_summary(folder, _double(key))
    found = problems(folder)
    assert all(line.startswith("a/summary.json:") and line.endswith("was a file edited?") for line in found)


@pytest.mark.parametrize(
    "key", ["tpot_ns", "tokens_per_s", "energy_per_token_pJ", "latency_per_step_ns", "prefill_latency_ns"]
)
def test_figures_that_do_not_follow_from_the_rows_are_told(saved: Saved, key: str) -> None:
    folder = saved(workload__prompt_tokens=2)
    edit_summary(folder, _double(key))
    (found,) = problems(folder)
    assert f"system.{key}: is " in found


def test_a_figure_that_is_null_where_tokens_are_decoded_is_told(saved: Saved) -> None:
    folder = saved()
    edit_summary(folder, lambda summary: summary["system"].update(tpot_ns=None))
    (found,) = problems(folder)
    assert "system.tpot_ns: is null, but what it is made of gives " in found


def test_causes_that_the_rows_do_not_have_are_told(saved: Saved) -> None:
    folder = saved()

    def move(summary: dict[str, Any]) -> None:
        causes = summary["system"]["latency_breakdown_ns"]
        causes["mac"], causes["write"] = causes["mac"] + 1, causes["write"] - 1

    edit_summary(folder, move)
    assert [line.split(": ")[1] for line in problems(folder)] == [
        f"system.latency_breakdown_ns.{cause}" for cause in ("mac", "write")
    ]


def test_rows_that_contradict_each_other_are_told(saved: Saved) -> None:
    folder = saved()
    lines = (folder / "operators.csv").read_text().split("\n")
    cells = lines[1].split(",")
    cells[3] = str(int(cells[3]) + 1)
    (folder / "operators.csv").write_text("\n".join([lines[0], ",".join(cells), *lines[2:]]))
    found = problems(folder)
    assert any(line.startswith("a/operators.csv:2:1: cycles: is ") for line in found) and len(found) == 3


def test_a_result_says_what_it_is(tmp_path: Path) -> None:
    result = run_of()
    loaded = pimsim.load_result(result.save(tmp_path / "a"))
    assert isinstance(loaded, SavedResult) and repr(loaded).startswith("<SavedResult pim-gpt: tiny")
    assert repr(result).startswith("<Result pim-gpt: tiny") and str(loaded) == str(result)
    assert loaded._repr_html_() == result._repr_html_()
