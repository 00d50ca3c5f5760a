"""`pimsim compare` on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pimsim as package
from tests.cli.conftest import Pimsim, pimsim, tiny  # noqa: F401
from tests.compare.conftest import Saved
from tests.conftest import SHIPPED

AIM = SHIPPED.with_name("aim.yaml")


@pytest.fixture
def two(saved: Saved) -> tuple[Path, Path]:
    """Folders `a` and `b` of two runs."""
    return saved("a"), saved("b", AIM)


def test_two_folders_side_by_side(pimsim: Pimsim, two: tuple[Path, Path]) -> None:  # noqa: F811
    result = pimsim("compare", "a", "b")
    assert result.exit_code == 0 and result.stderr == ""
    lines = result.stdout.split("\n")
    assert max(map(len, lines)) <= 80
    headings = ["Inputs that differ", "Results", "Latency by cause", "Energy by component", "Operators", "Commands",
                "Over other machines"]  # fmt: skip
    places = [next(at for at, line in enumerate(lines) if line.startswith(each)) for each in headings]
    assert places == sorted(places)
    assert result.stdout.rstrip() == str(package.compare(two)).rstrip()


def test_json_is_the_summary_and_nothing_else(pimsim: Pimsim, two: tuple[Path, Path]) -> None:  # noqa: F811
    result = pimsim("compare", "a", "b", "--json")
    assert result.exit_code == 0 and result.stderr == ""
    assert json.loads(result.stdout) == package.compare(two).summary
    assert json.loads(result.stdout)["schema"] == "pimsim.comparison/1"
    assert pimsim("compare", "b/", "a/", "--json", "--base", "2").stdout != result.stdout


def test_configurations_are_run_with_every_override(pimsim: Pimsim, tiny: Path, two: tuple[Path, Path]) -> None:  # noqa: F811
    overrides = ("--set", "dram.channels=4", "--set", "asic.adders=64")
    result = pimsim("compare", tiny, "a", "--json", *overrides)
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    made = [run["made"] for run in found["runs"]]
    assert made == ["pimsim run tiny.yaml --set dram.channels=4 --set asic.adders=64", "a/"]
    alone = json.loads(pimsim("run", tiny, "--json", *overrides).stdout)
    assert found["runs"][0]["config_sha256"] == alone["config_sha256"]
    assert found["causes"]["total"]["exact"][0] == alone["system"]["cycles"]


def test_shipped_configurations_are_named(pimsim: Pimsim) -> None:  # noqa: F811
    small = ("--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=1", "--set", "baselines=[]")
    result = pimsim("compare", "pim-gpt", "aim", *small)
    assert result.exit_code == 0 and "pim-gpt: gpt2-small, 1 tokens" not in result.stdout
    assert "[pimsim run aim --set workload.model=gpt2-small" in " ".join(result.stdout.split())


def test_a_folder_with_the_name_of_a_configuration_is_meant_if_it_has_a_result(
    pimsim: Pimsim, saved: Saved, tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    saved("aim")
    saved("b")
    assert json.loads(pimsim("compare", "aim", "b", "--json").stdout)["runs"][0]["made"] == "aim/"


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        ([], ["DIR_OR_CONFIG:1:1: DIR_OR_CONFIG: two runs or more are needed, not none; see `pimsim compare --help`"]),
        (["a"], ["DIR_OR_CONFIG:1:1: DIR_OR_CONFIG: two runs or more are needed, not 1; see `pimsim compare --help`"]),
        (["a", "b", "--base", "3"], ["--base:1:1: base: must be from 1 to 2, the number of a run, not 3"]),
        (["a", "b", "--base", "0"], ["--base:1:1: base: must be from 1 to 2, the number of a run, not 0"]),
        (["a", "b", "--out", "x.pgn"],
         ["--out:1:1: out: must end in .html, .png, .pdf or .svg, not 'x.pgn'; did you mean '.png'?"]),
        (["a", "b", "--set", "dram.channels=4"],
         ["--set:1:1: changes configurations that are run, and only results are given"]),
        (["a", "b", "--out", "nowhere/x.png"], ["nowhere/x.png:1:1: cannot be written: No such file or directory"]),
        (["a", "pim-gtp"], ["pim-gtp:1:1: cannot be read: No such file or directory; did you mean 'pim-gpt'?"]),
        (["a", "bb"], ["bb:1:1: cannot be read: No such file or directory; did you mean 'b'?"]),
        (["a", "c/"], ["c:1:1: cannot be read: No such file or directory"]),
        (["a", "a/summary.json"],
         ["a/summary.json:1:1: is the summary of a run, not a configuration; the config.resolved.yaml beside it runs "
          "again"]),
        (["a", "empty", "--out", "x", "--base", "9"],
         ["--base:1:1: base: must be from 1 to 2, the number of a run, not 9",
          "--out:1:1: out: must end in .html, .png, .pdf or .svg, not 'x'",
          "empty:1:1: no result is in it: `pimsim run --out` writes summary.json and more"]),
    ],
)  # fmt: skip
def test_everything_that_is_wrong_is_said_at_once(
    pimsim: Pimsim, two: tuple[Path, Path], tmp_path: Path, arguments: list[str], lines: list[str]  # noqa: F811
) -> None:  # fmt: skip
    (tmp_path / "empty").mkdir()
    result = pimsim("compare", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.rstrip().split("\n") == lines


def test_a_run_that_cannot_be_is_refused_before_anything_is_simulated(
    pimsim: Pimsim, two: tuple[Path, Path], tmp_path: Path  # noqa: F811
) -> None:  # fmt: skip
    result = pimsim("compare", "aim", "pim-gpt", "a", "--set", "dram.rows=2", "--out", "x.png")
    assert result.exit_code == 2 and result.stdout == "" and not (tmp_path / "x.png").exists()
    assert len([line for line in result.stderr.split("\n") if line.startswith("--set:1:1: dram.rows: ")]) >= 2


def test_warnings_of_runs_are_said_where_they_stand(pimsim: Pimsim, tiny: Path, two: tuple[Path, Path]) -> None:  # noqa: F811
    result = pimsim("compare", tiny, "a", "--set", "dram.power.budget_W=0.1")
    assert result.exit_code == 0
    assert result.stderr.startswith("--set:1:1: dram.power.budget_W: warning: ") and result.stderr.count("\n") == 1
    assert "Before you quote a figure" in result.stdout


def test_what_is_odd_about_an_input_is_said_once(pimsim: Pimsim, tiny: Path, two: tuple[Path, Path]) -> None:  # noqa: F811
    result = pimsim("compare", tiny, "a", "--set", "workload.context=5000")
    lines = result.stderr.rstrip().split("\n")
    assert result.exit_code == 0 and lines != [""] and len(set(lines)) == len(lines)


@pytest.mark.parametrize("suffix", ["html", "png", "pdf", "svg"])
def test_what_is_written_is_the_same_each_time(
    pimsim: Pimsim, two: tuple[Path, Path], tmp_path: Path, suffix: str  # noqa: F811
) -> None:  # fmt: skip
    contents = set()
    for name in ("x", "y"):
        result = pimsim("compare", "a", "b", "--out", f"{name}.{suffix}")
        assert result.exit_code == 0 and result.stdout.endswith(f"written to {name}.{suffix}\n")
        contents.add((tmp_path / f"{name}.{suffix}").read_bytes())
    (content,) = contents
    assert content.startswith({"html": b"<!DOCTYPE", "png": b"\x89PNG", "pdf": b"%PDF", "svg": b"<?xml"}[suffix])
    assert str(tmp_path).encode() not in content
