"""The functions that the package offers to Python."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import pimsim
from tests.cli.conftest import Pimsim


def test_a_run_in_python_is_the_run_of_the_command_line(pimsim: Pimsim, tiny: Path) -> None:
    import pimsim as package

    printed = json.loads(pimsim("run", tiny, "--json").stdout)
    summary = package.run(package.load_config(tiny)).summary
    assert {**json.loads(json.dumps(summary)), "simulation": None} == {**printed, "simulation": None}


@pytest.mark.parametrize("figures", [None, "svg"])
def test_a_result_saves_the_files_that_the_command_writes(pimsim: Pimsim, tiny: Path, figures: str | None) -> None:
    import pimsim as package

    pimsim("run", tiny, "--out", "a", *(("--figures", figures) if figures else ()))
    package.run(package.load_config(tiny)).save("b", figures=figures)
    names = {folder: {file.name for file in Path(folder).iterdir()} for folder in "ab"}
    assert names["a"] == names["b"] >= {"summary.json", "report.html", f"roofline.{figures or 'png'}"}
    told = {"summary.json", "report.html"}  # how long the simulation took, and the command
    assert all(Path("a", name).read_bytes() == Path("b", name).read_bytes() for name in names["a"] - told)


def test_progress_is_reported_for_each_token(tiny: Path) -> None:
    from pimsim import api

    seen: list[tuple[int, int]] = []
    api.run(pimsim.load_config(tiny), progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 2), (2, 2)]


def test_overrides_are_checked_against_the_names_that_exist(tiny: Path) -> None:
    with pytest.raises(pimsim.InputError, match=r"^overrides:1:1: workload\.model: unknown model 'gpt5'"):
        pimsim.load_config(tiny, {"workload.model": "gpt5"})


def test_a_configuration_that_was_changed_in_python_is_checked_before_it_runs(tiny: Path) -> None:
    config = pimsim.load_config(tiny)
    wrong = config.model_copy(update={"pim": config.pim.model_copy(update={"lanes": 32})})
    with pytest.raises(pimsim.InputError, match=r"^pim\.lanes: 32 lanes"):
        pimsim.run(wrong)


def test_a_baseline_that_does_not_exist_is_refused_before_the_run(tiny: Path) -> None:
    config = pimsim.load_config(tiny).model_copy(update={"baselines": ("gpu-t5",)})
    with pytest.raises(pimsim.InputError, match=r"^baselines\.0: unknown baseline 'gpu-t5'; did you mean 'gpu-t4'\?"):
        pimsim.run(config)
