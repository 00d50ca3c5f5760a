"""`--figures` and `--style`: which files there are, and what is wrong with an order."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.cli.conftest import Pimsim

DRAWN = ("energy_breakdown", "energy_ratio", "latency_breakdown", "latency_vs_context", "roofline", "speedup")


def names(folder: Path, *suffixes: str) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.suffix in suffixes and path.stem in DRAWN)


def test_a_run_writes_the_formats_that_are_asked_for_and_tables(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = pimsim("run", tiny, "--out", out, "--figures", "pdf,svg", "--style", "single-column")
    assert (done.exit_code, done.stderr) == (0, "")
    assert names(out, ".pdf", ".svg", ".csv", ".png") == sorted(
        f"{n}.{s}" for n in DRAWN for s in ("pdf", "svg", "csv")
    )
    assert b'width="252pt"' in (out / "speedup.svg").read_bytes()
    pimsim("run", tiny, "--out", out)  # what the first one wrote, and this one does not, is gone
    assert names(out, ".pdf", ".svg", ".csv", ".png") == [f"{name}.png" for name in DRAWN]


def test_what_is_wrong_is_said_at_once_and_nothing_is_written(pimsim: Pimsim, tiny: Path, tmp_path: Path) -> None:
    done = pimsim("run", tiny, "--out", tmp_path / "out", "--figures", "pdf,jpeg", "--style", "double", "--window", "x")
    assert done.exit_code == 2
    assert done.stderr.splitlines()[:2] == [
        "--figures:1:1: figures: unknown format 'jpeg'; there are png, pdf, svg",
        "--style:1:1: style: unknown style 'double'; did you mean 'double-column'?",
    ]
    assert "--window:1:1" in done.stderr and not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", [("run", "pim-gpt"), ("reproduce", "devices")])
def test_figures_need_a_folder(pimsim: Pimsim, command: tuple[str, str]) -> None:
    done = pimsim(*command, "--figures", "pdf")
    assert done.exit_code == 2
    assert "--figures:1:1: figures: is for a re" in done.stderr or "--figures:1:1: figures: is for a run" in done.stderr


SWEEP = """
base: {base}
set: {{workload.model: gpt2-small, workload.output_tokens: 1, baselines: []}}
axes: {axes}
objectives: [system.latency_per_token_ns, system.energy_per_token_pJ]
"""


@pytest.mark.parametrize(
    ("axes", "stems"),
    [
        ("{dram.channels: [4, 8], pim.clock_GHz: [0.5, 1]}", {"pareto_front", "heatmap"}),
        ("{dram.channels: [4, 8]}", {"pareto_front", "scaling"}),
        ("{dram.refresh: [none, all_bank]}", {"pareto_front"}),
    ],
)
def test_a_sweep_draws_what_it_has(pimsim: Pimsim, shipped: Path, tmp_path: Path, axes: str, stems: set[str]) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(base=shipped, axes=axes))
    command = ("sweep", file, "--out", tmp_path / "out", "--workers", 0)
    done = pimsim(*command, "--figures", "svg", "--style", "double-column")
    assert done.exit_code == 0, done.stderr
    objectives = ("latency_per_token_ns", "energy_per_token_pJ")
    expected = {f"{stem}_{name}" for stem in stems - {"pareto_front"} for name in objectives} | {"pareto_front"}
    assert {path.stem for path in (tmp_path / "out").glob("*.svg")} == expected
    assert expected <= {path.stem for path in (tmp_path / "out").glob("*.csv")}


AT_ONCE = "{one_at_a_time: {dram.channels: [4, 16], asic.clock_GHz: [0.5]}}"


@pytest.mark.parametrize(
    ("axes", "name", "headings"),
    [
        ("{dram.channels: [4, 8]}", "scaling", ["dram.channels", "speedup_of_system.latency_per_token_x"]),
        (
            "{dram.channels: [4, 8], pim.clock_GHz: [0.5, 1]}",
            "heatmap",
            ["dram.channels", "pim.clock_GHz", "system.latency_per_token_us"],
        ),
        (AT_ONCE, "tornado", ["key", "low_us", "base_us", "high_us", "low_at", "high_at"]),
    ],
)
def test_numbers_beside_a_sweep_s_plots_are_those_that_are_drawn(
    pimsim: Pimsim, shipped: Path, tmp_path: Path, axes: str, name: str, headings: list[str]
) -> None:
    """In the unit of the axis, which the heading names."""
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(base=shipped, axes=axes))
    out = tmp_path / "out"
    pimsim("sweep", file, "--out", out, "--workers", 0, "--figures", "svg", "--format", "csv", "--reports", "none")
    with open(out / f"{name}_latency_per_token_ns.csv", newline="") as text:
        drawn = list(csv.DictReader(text))
    with open(out / "results.csv", newline="") as text:
        us = [float(row["system.latency_per_token_ns"]) / 1e3 for row in csv.DictReader(text)]
    assert list(drawn[0]) == headings
    if name == "scaling":
        assert [float(row[headings[1]]) for row in drawn] == pytest.approx([1, us[0] / us[1]])
    elif name == "heatmap":
        assert [float(row[headings[2]]) for row in drawn] == us
    else:
        by_key = {row["key"]: row for row in drawn}
        assert {float(row["base_us"]) for row in drawn} == {us[0]}
        channels = by_key["dram.channels"]
        assert [float(channels["low_us"]), float(channels["high_us"])] == [us[2], us[1]]
        assert float(by_key["asic.clock_GHz"]["high_us"]) == us[3]


def test_a_sweep_s_front_is_in_its_table(pimsim: Pimsim, shipped: Path, tmp_path: Path) -> None:
    file = tmp_path / "sweep.yaml"
    file.write_text(SWEEP.format(base=shipped, axes="{dram.channels: [2, 4, 8]}"))
    pimsim("sweep", file, "--out", tmp_path / "out", "--workers", 0, "--figures", "svg")
    header, *rows = (tmp_path / "out" / "pareto_front.csv").read_text().splitlines()
    assert header == "dram.channels,system.latency_per_token_us,system.energy_per_token_uJ,on_front"
    front = (tmp_path / "out" / "pareto.csv").read_text().splitlines()[1:]
    assert len(rows) == 3 and sum(row.endswith("true") for row in rows) == len(front)
