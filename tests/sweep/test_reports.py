"""The command of a point, and the reports that `--reports` asks for."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import pimsim.sweep
from pimsim import api
from pimsim.config.loader import override_tree
from pimsim.config.resolved import config_sha256, on_one_line
from pimsim.config.tree import plain
from pimsim.errors import InputError
from pimsim.sweep import reports
from pimsim.sweep.commands import overrides
from pimsim.sweep.definition import Sweep
from pimsim.sweep.point import config_of
from pimsim.sweep.reports import parse_which
from tests.conftest import SHIPPED
from tests.report.test_report import Page
from tests.sweep.conftest import TINY, Pimsim, sweep_of

ROOT = Path(__file__).parents[2]
GOALS = ["system.latency_per_token_ns", "system.energy_per_token_pJ"]
AXES = {"dram.channels": [1, 2, 3], "schedule": ["paper", "overlap"]}


def check_commands(sweep: Sweep, rows: list[dict[str, Any]]) -> None:
    """Each point's command is that of the configuration that was simulated."""
    assert rows
    for row in rows:
        loaded = api.load(sweep.base.name, overrides(sweep, reports._point(sweep, row["index"], row)))
        assert config_sha256(loaded.config) == row["config_sha256"], row


@pytest.mark.parametrize("name", ["channels", "tornado", "latin-hypercube"])
def test_the_command_of_each_shipped_point_has_its_hash(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    sweep = pimsim.sweep.load_sweep(f"configs/sweeps/{name}.yaml")
    assert sweep.base.name == "pim-gpt"  # its shipped name, from wherever it is run
    for index in range(0, len(sweep.space), 7):
        config = config_of(sweep.request(sweep.space.point(index)))
        loaded = api.load(sweep.base.name, overrides(sweep, sweep.space.point(index)))
        assert config_sha256(loaded.config) == config_sha256(config)


def test_the_command_of_a_point_holds_for_lists_texts_sections_and_other_sources(tmp_path: Path) -> None:
    model = {"name": "on", "layers": 1, "d_model": 64, "heads": 2}
    axes = {
        "workload.model_config": [model, {**model, "name": "a 'b': {c}", "d_model": 128}],
        "baselines": [[], ["gpu-t4", "cpu-xeon-6154"]],
        "dram.timing.tRP_ns": [6.5, 12],
    }
    sweep = {"base": str(SHIPPED), "set": {"workload.model": "gpt2-small", "workload.output_tokens": 1}, "axes": axes}
    result = pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0)
    rows = list(result.rows())
    assert {row["status"] for row in rows} == {"ok"}
    check_commands(pimsim.sweep.load_sweep(sweep), rows)


def test_files_in_a_command_are_named_from_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "sweeps"
    folder.mkdir()
    (folder / "t4.yaml").write_text((ROOT / "pimsim/baselines/gpu-t4.yaml").read_text())
    (folder / "base.yaml").write_text(f"extends: {SHIPPED}\n")
    (folder / "s.yaml").write_text(
        "base: base.yaml\nset: {workload.output_tokens: 1}\naxes: {baselines: [[t4.yaml], [gpu-l4]]}\n"
    )
    monkeypatch.chdir(tmp_path)
    sweep = pimsim.sweep.load_sweep("sweeps/s.yaml")
    assert sweep.base.name == "sweeps/base.yaml"
    assert overrides(sweep, sweep.space.point(0)) == ["workload.output_tokens=1", "baselines=[sweeps/t4.yaml]"]
    assert overrides(sweep, sweep.space.point(1))[1] == "baselines=[gpu-l4]"


def test_the_points_of_a_search_have_commands(tmp_path: Path) -> None:
    pytest.importorskip("optuna")
    search = {"trials": 6, "seed": 1, "batch": 3, "axes": {"dram.channels": [1, 2], "baselines": [[], ["gpu-t4"]],
              "asic.clock_GHz": {"uniform": [0.25, 2]}}}  # fmt: skip
    sweep = {
        "base": str(SHIPPED),
        "set": {k: v for k, v in TINY.items() if k != "baselines"},
        "search": search,
        "objectives": GOALS,
    }
    result = pimsim.sweep.run(sweep, out=str(tmp_path / "out"), workers=0, reports="all")
    check_commands(pimsim.sweep.load_sweep(sweep), list(result.rows()))
    assert result.unreported == {}
    assert len(list((tmp_path / "out" / "points").iterdir())) == 6


@pytest.mark.parametrize(
    ("value", "text"),
    [("overlap", "overlap"), ("on", '"on"'), ("1", '"1"'), ("a b", '"a b"'), (None, "null"), (True, "true"), (3, "3"),
     ((1, "x"), "[1, x]"), ({"a": [1], "b c": "d"}, '{a: [1], "b c": d}'), ({}, "{}"), ([], "[]")],
)  # fmt: skip
def test_a_value_is_written_on_one_line(value: Any, text: str) -> None:
    assert on_one_line(value) == text
    read = plain(override_tree([f"k={text}"]).entries)["k"]
    assert json.dumps(read) == json.dumps(value)


# -- reports --------------------------------------------------------------------------


def folders(out: Path) -> list[str]:
    return sorted(path.name for path in (out / "points").iterdir()) if (out / "points").exists() else []


@pytest.mark.parametrize(
    ("which", "expected"), [("none", []), ("front", None), ("all", ["0", "1", "2", "3", "4", "5"]), ("4,1", ["1", "4"])]
)
def test_reports_of_points_are_what_a_run_writes(
    which: str, expected: list[str] | None, pimsim: Pimsim, sweep_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = sweep_file(f"axes: {json.dumps(AXES)}\nobjectives: {GOALS}\n")
    done = pimsim("sweep", path.name, "--out", "out", "--workers", "0", "--json", "--reports", which)
    assert done.exit_code == 0, done.output
    front = json.loads(done.stdout)["pareto"]
    expected = sorted(map(str, front)) if expected is None else expected
    assert folders(tmp_path / "out") == expected
    page = Page((tmp_path / "out" / "report.html").read_text(encoding="utf-8"))
    assert [str(place) for place in sorted(page.data["reports"])] == expected
    if which == "4,1":
        sets = [word for text in overrides_of(path, 4) for word in ("--set", text)]
        alone = pimsim("run", base_of(path), *sets, "--out", "alone")
        assert alone.exit_code == 0, alone.output
        for name in ("report.html", "config.resolved.yaml", "operators.csv", "tokens.csv"):
            assert (tmp_path / "alone" / name).read_bytes() == (tmp_path / "out/points/4" / name).read_bytes(), name


def overrides_of(path: Path, index: int) -> list[str]:
    sweep = pimsim.sweep.load_sweep(path.name)
    return overrides(sweep, sweep.space.point(index))


def base_of(path: Path) -> str:
    return pimsim.sweep.load_sweep(path.name).base.name


def test_resuming_makes_the_reports_that_are_missing_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, sweep = tmp_path / "out", sweep_of(AXES, objectives=GOALS)
    made: list[Path] = []
    monkeypatch.setattr(reports, "_make", lambda wanted, make=reports._make: made.append(wanted.folder) or make(wanted))
    pimsim.sweep.run(sweep, out=str(out), workers=0, reports=(0, 3))
    assert [path.name for path in made] == ["0", "3"]
    before = (out / "report.html").read_bytes()
    (out / "points/3/summary.json").unlink()
    pimsim.sweep.run(sweep, out=str(out), workers=0, resume=True, reports=(0, 3))
    assert [path.name for path in made] == ["0", "3", "3"]
    assert (out / "report.html").read_bytes() == before
    pimsim.sweep.run(sweep, out=str(out), workers=0, resume=True)
    assert (out / "report.html").read_bytes() == before  # those that are there stay on the page


def test_reports_are_the_same_from_one_process_and_from_several(tmp_path: Path) -> None:
    sweep = sweep_of({"dram.channels": [1, 2, 3]}, objectives=GOALS)
    for workers in (0, 2):
        result = pimsim.sweep.run(sweep, out=str(tmp_path / str(workers)), workers=workers, reports="all")
        assert result.unreported == {}
    for file in (tmp_path / "0").rglob("*"):
        if file.is_file() and file.name not in (".lock", "journal.jsonl", "summary.json"):  # order, wall time
            assert file.read_bytes() == (tmp_path / "2" / file.relative_to(tmp_path / "0")).read_bytes(), file
    assert folders(tmp_path / "2") == ["0", "1", "2"]


def test_a_long_front_has_reports_of_points_from_end_to_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "MOST", 3)
    goals = [GOALS[0], "proxy.area_mm2"]
    result = pimsim.sweep.run(
        sweep_of({"dram.channels": [1, 2, 3, 4, 5, 6, 8]}, objectives=goals),
        out=str(tmp_path),
        workers=0,
        reports="front",
    )
    front = [row["index"] for row in result.pareto()]
    assert len(front) > 3
    made = sorted(map(int, folders(tmp_path)))
    assert len(made) == 3
    assert {front[0], front[-1]} < set(made) < set(front)


def test_points_without_figures_have_no_reports_and_it_says_why(
    pimsim: Pimsim, sweep_file: Callable[[str], Path]
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2, 3]}\nconstraints: [dram.rows / (dram.channels - 2) < 0]\n")
    done = pimsim("sweep", path.name, "--out", "out", "--workers", "0", "--reports", "0,1,2")
    assert "point 1 has no report: infeasible" in done.stderr
    assert "point 2 has no report: not in this folder" in done.stderr
    assert folders(Path("out")) == ["0"]


def test_a_base_that_changed_makes_no_report_of_another_point(tmp_path: Path) -> None:
    base = tmp_path / "base.yaml"
    base.write_text(f"extends: {SHIPPED}\n")
    sweep = pimsim.sweep.load_sweep({**sweep_of({"dram.channels": [1]}), "base": str(base)})
    base.write_text(f"extends: {SHIPPED}\nasic: {{clock_GHz: 2}}\n")
    result = pimsim.sweep.run_sweep(sweep, str(tmp_path / "out"), workers=0, reports="all")
    assert list(result.unreported) == [0]
    assert "has changed since" in result.unreported[0]
    assert folders(tmp_path / "out") == []


@pytest.mark.parametrize("text", ["some", "1,", "-1", "1;2", "1,x", "", "9" * 30, "٣"])
def test_what_reports_may_be(text: str) -> None:
    with pytest.raises(InputError, match="must be none, front, all or numbers as 3,17, not"):
        parse_which(text)


def test_a_point_that_there_is_not_is_refused_before_anything_runs(
    pimsim: Pimsim, sweep_file: Callable[[str], Path], tmp_path: Path
) -> None:
    path = sweep_file("axes: {dram.channels: [1, 2]}\n")
    done = pimsim("sweep", path.name, "--out", "out", "--workers", "0", "--reports", "1,2")
    assert done.exit_code == 2
    assert done.stderr == "--reports:1:1: --reports: there is no point 2: the 2 points count from 0\n"
    assert not (tmp_path / "out").exists()


def test_merged_shards_have_the_reports_of_one_run(tmp_path: Path) -> None:
    sweep = sweep_of({"dram.channels": [1, 2, 3]}, objectives=GOALS)
    whole = pimsim.sweep.run(sweep, out=str(tmp_path / "whole"), workers=0, reports="front")
    for i in (1, 2):
        pimsim.sweep.run(sweep, out=str(tmp_path / f"{i}"), workers=0, shard=(i, 2))
    pimsim.sweep.merge(
        pimsim.sweep.load_sweep(sweep), [tmp_path / "1", tmp_path / "2"], tmp_path / "merged", reports="front"
    )
    assert folders(tmp_path / "merged") == sorted(str(row["index"]) for row in whole.pareto())
    assert (tmp_path / "merged/report.html").read_bytes() == (tmp_path / "whole/report.html").read_bytes()
