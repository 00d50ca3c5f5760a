"""`pimsim run` beside machines: what does not fit, what was measured of something else, what a file is called."""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Pimsim

WIDE = {"name": "wide", "layers": 1, "d_model": 8192, "heads": 64}  # 805 M parameters: 3.2 GB in fp32, 1.6 GB in fp16


def machine(folder: Path, file: str, name: str, **changes: str) -> Path:
    """A file like gpu-t4's, some texts replaced."""
    text = files("pimsim.baselines").joinpath("gpu-t4.yaml").read_text(encoding="utf-8")
    for old, new in (("name: gpu-t4", f"name: {name}"), *((k.replace("_", " "), v) for k, v in changes.items())):
        assert old in text
        text = text.replace(old, new, 1)
    path = folder / file
    path.write_text(text, encoding="utf-8")
    return path


def small(folder: Path, file: str = "small.yaml", name: str = "small", GB: str = "2") -> Path:
    """A T4 of so many GB."""
    text = machine(folder, file, name).read_text(encoding="utf-8")
    path = folder / file
    path.write_text(text.replace("    value: 16\n    unit: GB", f"    value: {GB}\n    unit: GB"), encoding="utf-8")
    return path


@pytest.fixture
def wide(tmp_path: Path) -> Path:
    """One wide block and one token, without the shipped baselines."""
    from tests.conftest import SHIPPED

    path = tmp_path / "wide.yaml"
    path.write_text(
        f"extends: {SHIPPED}\nbaselines: [mine.yaml]\n"
        f"workload: {{model_config: {json.dumps(WIDE)}, output_tokens: 1}}\n",
        encoding="utf-8",
    )
    return path


def test_a_machine_that_is_too_small_has_no_ratios_and_a_warning_says_why(
    pimsim: Pimsim, wide: Path, tmp_path: Path
) -> None:
    small(tmp_path, "mine.yaml", "tiny-gpu", "1.5")
    result = pimsim("run", wide, "--json", "--out", "out")
    assert result.exit_code == 0
    summary = json.loads(result.stdout)
    found = summary["baselines"]["tiny-gpu"]
    assert (found["fits"], found["speedup"], found["energy_ratio"]) == (False, None, None)
    assert found["required_bytes"] > found["capacity_bytes"] == 1_500_000_000
    assert (found["roofline"]["fits"], found["roofline"]["speedup"]) == (False, None)
    (warning,) = summary["warnings"]
    for word in ("wide does not fit tiny-gpu", "no speedup", "3.22 GB in fp32", "1.61 GB in fp16", "1.50 GB"):
        assert word in warning
    assert f"wide.yaml:2:13: baselines.0: warning: {warning}" in result.stderr
    assert (tmp_path / "out" / "speedup.png").stat().st_size > 1000
    assert "does not fit: needs 3.22 GB, has 1.50 GB" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "does not fit" in pimsim("run", wide).stdout


def test_a_format_that_fits_is_compared_and_the_other_is_not(pimsim: Pimsim, wide: Path, tmp_path: Path) -> None:
    small(tmp_path, "mine.yaml", "half", "2")
    summary = json.loads(pimsim("run", wide, "--json").stdout)
    found = summary["baselines"]["half"]
    assert (found["fits"], found["speedup"]) == (False, None)
    assert found["roofline"]["fits"] and found["roofline"]["speedup"] > 1
    assert "no eager speedup" in summary["warnings"][0]


def test_a_machine_that_is_large_enough_is_compared_without_a_word(pimsim: Pimsim, wide: Path, tmp_path: Path) -> None:
    small(tmp_path, "mine.yaml", "large", "3.3")
    summary = json.loads(pimsim("run", wide, "--json").stdout)
    assert summary["baselines"]["large"]["fits"] and summary["baselines"]["large"]["speedup"] > 1
    assert summary["warnings"] == []


def test_a_file_without_a_capacity_is_compared_with_a_warning(pimsim: Pimsim, wide: Path, tmp_path: Path) -> None:
    text = machine(tmp_path, "mine.yaml", "old").read_text(encoding="utf-8")
    start, end = text.index("  # source: spec\n  capacity:"), text.index("\ndata_types:")
    (tmp_path / "mine.yaml").write_text(text[:start] + text[end:], encoding="utf-8")
    summary = json.loads(pimsim("run", wide, "--json").stdout)
    found = summary["baselines"]["old"]
    assert (found["fits"], found["capacity_bytes"]) == (True, None) and found["speedup"] > 1
    assert summary["warnings"] == ["old states no memory.capacity: whether wide fits it is not known"]


def test_a_sweep_over_what_fits_has_nothing_where_it_does_not(pimsim: Pimsim, wide: Path, tmp_path: Path) -> None:
    small(tmp_path, "mine.yaml", "half", "2")
    sweep = tmp_path / "sweep.yaml"
    sweep.write_text(
        "base: wide.yaml\naxes: {workload.model_config.d_model: [4096, 8192]}\n"
        "objectives: [{maximise: baselines.half.speedup}]\n",
        encoding="utf-8",
    )
    result = pimsim("sweep", sweep, "--out", "out", "--workers", "1", "--format", "csv")
    assert result.exit_code == 0, result.output
    rows = list(csv.DictReader((tmp_path / "out" / "results.csv").open(encoding="utf-8")))
    assert [row["baselines.half.fits"] for row in rows] == ["true", "false"]
    assert float(rows[0]["baselines.half.speedup"]) > 1 and rows[1]["baselines.half.speedup"] == ""


def test_a_file_is_shown_by_its_name(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    machine(tmp_path, "some file.yaml", "my [b]GPU[/b]")
    run = ("run", tiny, "--set", "baselines=[some file.yaml]")
    assert list(json.loads(pimsim(*run, "--json").stdout)["baselines"]) == ["my [b]GPU[/b]"]
    assert "my [b]GPU[/b]" in pimsim(*run).stdout and "some file" not in pimsim(*run).stdout


def test_two_machines_of_one_name_are_refused_with_their_place(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    for file, name in (("a.yaml", "gpu-t4"), ("b.yaml", "mine"), ("c.yaml", "mine")):
        machine(tmp_path, file, name)
    text = tiny.read_text(encoding="utf-8").replace("[gpu-t4]", "[gpu-t4, a.yaml, b.yaml, c.yaml]")
    tiny.write_text(text, encoding="utf-8")
    result = pimsim("run", tiny)
    assert result.exit_code == 2 and result.stdout == ""
    lines = result.stderr.splitlines()
    assert [line.split(": ")[1] for line in lines] == ["baselines.1", "baselines.3"]
    assert "'a.yaml' is named 'gpu-t4'" in lines[0] and "'c.yaml' is named 'mine'" in lines[1]
    number = 1 + next(i for i, line in enumerate(text.splitlines()) if line.startswith("baselines:"))
    assert all(f"tiny.yaml:{number}:" in line for line in lines)


def test_a_model_that_only_has_the_name_of_what_was_measured_gets_the_formula(pimsim: Pimsim, tiny: Path) -> None:
    """A block called gpt2-small was 49,429 times as fast as two EPYC cores."""
    shape = "{name: gpt2-small, layers: 1, d_model: 768, heads: 12}"
    asked = ("--set", f"workload.model_config={shape}", "--set", "baselines=[cpu-epyc-2core]")
    found: dict[bool, dict[str, Any]] = {}
    for head in (False, True):
        found[head] = json.loads(
            pimsim("run", tiny, *asked, "--set", f"workload.lm_head={head}".lower(), "--json").stdout
        )
    for summary, why in ((found[False], "with the LM head"), (found[True], "other operators or sizes")):
        baseline = summary["baselines"]["cpu-epyc-2core"]
        assert baseline["model"]["kind"] == "eager" and why in baseline["model"]["note"]
        assert baseline["latency_per_token_ns"] < 0.5 * 27.68e6
        assert any("by its formula" in warning and why in warning for warning in summary["warnings"])
    assert "By formula, not as measured: cpu-epyc-2core" in pimsim("run", tiny, *asked).stdout


def test_what_was_measured_is_compared_as_measured(pimsim: Pimsim) -> None:
    from tests.conftest import SHIPPED

    keys = {"model": "gpt2-small", "lm_head": "true", "prompt_tokens": 39, "output_tokens": 2}
    settings = [part for key, value in keys.items() for part in ("--set", f"workload.{key}={value}")]
    result = pimsim("run", SHIPPED, *settings, "--set", "baselines=[cpu-epyc-2core]")
    assert "Measured, not by formula: cpu-epyc-2core" in result.stdout and result.stderr == ""
