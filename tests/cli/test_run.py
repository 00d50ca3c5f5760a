"""`pimsim run`: what it prints, what it writes, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from pimsim import api
from tests.cli.conftest import Pimsim
from tests.conftest import Write


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def done(result: Result) -> str:
    """Standard output of a command that must have succeeded."""
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def refused(result: Result, folder: Path, before: set[str]) -> list[str]:
    """The problems of a command that must have refused its input and written nothing."""
    assert result.exit_code == 2
    assert result.stdout == "" and files(folder) == before
    return [line.replace(f"{folder}/", "") for line in result.stderr.rstrip("\n").split("\n")]


def without_simulation(summary: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in summary.items() if key != "simulation"}


def test_json_is_all_that_is_printed(pimsim: Pimsim, tiny: Path) -> None:
    summary = json.loads(done(pimsim("run", tiny, "--json")))
    assert summary["schema"] == "pimsim.summary/1"
    assert summary["workload"]["model"] == "tiny" and summary["system"]["cycles"] > 0


def test_without_out_nothing_is_written(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    text = done(pimsim("run", tiny))
    assert "tiny" in text and "gpu-t4" in text
    assert files(tmp_path) == {"tiny.yaml"}


def test_out_gets_the_summary_the_config_and_the_tables(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    printed = json.loads(done(pimsim("run", tiny, "--json", "--out", "results/tiny")))
    folder = tmp_path / "results" / "tiny"
    assert {"summary.json", "config.resolved.yaml", "operators.csv", "tokens.csv"} <= files(folder)
    written = json.loads((folder / "summary.json").read_text())
    assert without_simulation(written) == without_simulation(printed)
    again = json.loads(done(pimsim("run", folder / "config.resolved.yaml", "--json")))
    assert without_simulation(again) == without_simulation(printed)


@pytest.mark.parametrize("options", [["--engine", "stepped"], ["--no-fold"], ["--engine", "stepped", "--no-fold"]])
def test_the_engine_s_options_change_no_result(pimsim: Pimsim, tiny: Path, options: list[str]) -> None:
    fast = json.loads(done(pimsim("run", tiny, "--json")))
    other = json.loads(done(pimsim("run", tiny, "--json", *options)))
    assert without_simulation(other) == without_simulation(fast)
    assert other["simulation"]["engine"] == ("stepped" if "stepped" in options else "fast")
    assert other["simulation"]["folded"] is ("--no-fold" not in options)


def test_set_overrides_a_key(pimsim: Pimsim, tiny: Path) -> None:
    summary = json.loads(done(pimsim("run", tiny, "--json", "--set", "workload.output_tokens=1")))
    assert summary["workload"]["output_tokens"] == 1


def test_wrong_configurations_have_a_line_for_each_problem(pimsim: Pimsim, extend: Write, tmp_path: Path) -> None:
    path = extend("dram:\n  chanels: 4\nworkload:\n  model: gpt3-xxl\n")
    result = pimsim("run", path, "--out", "results", "--commands", "log.csv", "--set", "dram.rows=x")
    assert refused(result, tmp_path, {"config.yaml"}) == [
        "config.yaml:3:3: dram.chanels: unknown key; did you mean 'channels'?",
        "config.yaml:5:3: workload.model: unknown model 'gpt3-xxl'; did you mean 'gpt3-xl'?",
        "--set:1:1: dram.rows: must be a whole number, not 'x'",
    ]


def test_a_model_that_does_not_fit_is_placed_at_the_rows(pimsim: Pimsim, extend: Write, tmp_path: Path) -> None:
    path = extend("dram:\n  rows: 64\nworkload: {output_tokens: 8}\n")
    (line,) = refused(pimsim("run", path, "--out", "results"), tmp_path, {"config.yaml"})
    assert line.startswith("config.yaml:3:3: dram.rows: ") and "does not fit" in line


def test_a_baseline_s_file_that_is_wrong_is_refused_before_the_run(
    pimsim: Pimsim, write: Write, extend: Write, tmp_path: Path
) -> None:
    write("schema: pimsim.baseline/1\n", "mine.yaml")
    path = extend("baselines: [mine.yaml]\n")
    lines = refused(pimsim("run", path, "--out", "results"), tmp_path, {"config.yaml", "mine.yaml"})
    assert lines and all(line.startswith("mine.yaml:1:1: ") for line in lines)


def test_an_output_folder_that_is_a_file_is_refused(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    (line,) = refused(pimsim("run", tiny, "--out", tiny), tmp_path, {"tiny.yaml"})
    assert line.startswith("--out:1:1: out: ") and "is a file" in line


def test_an_output_folder_that_cannot_be_made_is_refused(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    (line,) = refused(pimsim("run", tiny, "--out", tiny / "inner", "--json"), tmp_path, {"tiny.yaml"})
    assert line.startswith("--out:1:1: --out: cannot make the folder ")


def test_a_command_log_of_an_unknown_format_is_refused(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    (line,) = refused(pimsim("run", tiny, "--commands", "log.txt", "--out", "results"), tmp_path, {"tiny.yaml"})
    assert line.startswith("log.txt:1:1: ")


def test_a_timeline_of_an_unknown_format_is_refused(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    assert refused(pimsim("run", tiny, "--timeline", "a.txt", "--json"), tmp_path, {"tiny.yaml"}) == [
        "a.txt:1:1: a timeline's name ends in .json, .json.gz, .vcd, .vcd.gz"
    ]


def test_a_timeline_may_not_be_the_command_log(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    lines = refused(pimsim("run", tiny, "--timeline", "a.csv", "--commands", "a.csv"), tmp_path, {"tiny.yaml"})
    assert lines == ["--timeline:1:1: timeline: is the same file as --commands"]


def test_a_window_after_the_end_of_the_run_is_refused(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    (line,) = refused(pimsim("run", tiny, "--timeline", "a.json", "--window", "1e9:2e9"), tmp_path, {"tiny.yaml"})
    assert line.startswith("--window:1:1: --window: starts at or after the end of the run, ")


@pytest.mark.parametrize("name", ["a.json", "a.json.gz", "a.vcd"])
def test_a_timeline_changes_no_result(pimsim: Pimsim, tiny: Path, tmp_path: Path, name: str) -> None:
    alone = json.loads(done(pimsim("run", tiny, "--json")))
    watched = json.loads(done(pimsim("run", tiny, "--json", "--timeline", name, "--window", "100:300")))
    assert without_simulation(watched) == without_simulation(alone)
    assert files(tmp_path) == {"tiny.yaml", name}


@pytest.mark.parametrize("window", ["5", "5:", ":5", "5:5", "9:5", "-1:5", "a:b", "0:inf", "nan:5", "1:2:3"])
def test_a_window_that_is_none_is_refused(pimsim: Pimsim, tiny: Path, tmp_path: Path, window: str) -> None:
    result = pimsim("run", tiny, "--commands", "log.csv", "--window", window)
    assert refused(result, tmp_path, {"tiny.yaml"}) == [
        f"--window:1:1: window: must be START_NS:END_NS with 0 <= START < END, not {window!r}"
    ]


def test_a_window_needs_a_command_log(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    assert refused(pimsim("run", tiny, "--window", "0:5"), tmp_path, {"tiny.yaml"}) == [
        "--window:1:1: window: limits --commands and --timeline, and neither is given"
    ]


def test_a_window_limits_the_command_log_and_nothing_else(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    whole = json.loads(done(pimsim("run", tiny, "--json", "--commands", "whole.csv")))
    part = json.loads(done(pimsim("run", tiny, "--json", "--commands", "part.csv", "--window", "100:300")))
    assert without_simulation(part) == without_simulation(whole)
    header, *rows = (tmp_path / "whole.csv").read_text().split("\n")
    wanted = [row for row in rows if row and 100 <= int(row.split(",")[0]) < 300]
    assert (tmp_path / "part.csv").read_text().split("\n") == [header, *wanted, ""]
    assert wanted


def test_the_command_log_has_every_command(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    summary = json.loads(done(pimsim("run", tiny, "--json", "--commands", "log.csv")))
    names = [row.split(",")[2] for row in (tmp_path / "log.csv").read_text().splitlines()[1:]]
    assert {name: names.count(name) for name in set(names)} == summary["system"]["commands"]


# -- errors that are not the user's -------------------------------------------------------


def test_an_internal_error_is_one_line_and_status_3(
    pimsim: Pimsim, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "run", broken)
    result = pimsim("run", tiny)
    assert result.exit_code == 3 and result.stdout == ""
    assert result.stderr == "pimsim: internal error: RuntimeError: two lines; set PIMSIM_DEBUG=1 for the traceback\n"


def test_the_traceback_of_an_internal_error_is_printed_on_request(
    pimsim: Pimsim, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "run", broken)
    monkeypatch.setenv("PIMSIM_DEBUG", "1")
    result = pimsim("run", tiny)
    assert result.exit_code == 3
    assert "Traceback" in result.stderr and result.stderr.endswith("internal error: RuntimeError: two lines\n")


def broken(*arguments: Any, **options: Any) -> None:
    raise RuntimeError("two\nlines")


def test_an_interrupt_ends_without_a_traceback(pimsim: Pimsim, tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: Any, **options: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(api, "run", interrupt)
    result = pimsim("run", tiny)
    assert result.exit_code == 130 and "Traceback" not in result.stderr


def test_a_prompt_alone_is_warned_of_at_the_key_that_says_so(pimsim: Pimsim) -> None:
    keys = ("workload.output_tokens=0", "workload.prompt_tokens=2", "workload.model=gpt2-small", "baselines=[]")
    done = pimsim("run", "pim-gpt", "--json", *(part for key in keys for part in ("--set", key)))
    assert "workload.output_tokens: warning: no token is kept, so there is no figure per token" in done.stderr
