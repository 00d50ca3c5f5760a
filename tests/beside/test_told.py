"""What a run beside another machine says of itself: on the terminal, in its folder and on its page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pandas
import pytest
from click.testing import CliRunner

from pimsim.cli import cli
from tests.conftest import SHIPPED

H100 = "gpu-h100"
TINY = '{"name": "tiny", "layers": 1, "d_model": 64, "heads": 4, "vocabulary": 100}'
BASE = ("workload.model=null", f"workload.model_config={TINY}", "workload.output_tokens=1", "baselines=[]")


def told(name: str, *more: str, out: Path | None = None, as_json: bool = False) -> str:
    """Standard output of `pimsim run`, which has to succeed."""
    sets = [part for each in (*BASE, *more) for part in ("--set", each)]
    options = [*(["--out", str(out)] if out else []), *(["--json"] if as_json else [])]
    found = CliRunner().invoke(cli, ["run", name, *sets, *options], env={"PYTHONIOENCODING": "utf-8"})
    assert found.exit_code == 0, found.output
    return found.stdout


@pytest.mark.parametrize(("name", "stored"), [("hbm2-pim", "fp16"), ("pim-gpt-int8", "int8")])
def test_formats_are_told_where_the_machine_has_every_matrix(name: str, stored: str, tmp_path: Path) -> None:
    there = f"placement.linear={H100}"
    assert f"K and V {stored}, activations {stored}" in told(name, there, out=tmp_path / "out")
    for summary in (told(name, there, as_json=True), (tmp_path / "out" / "summary.json").read_text("utf-8")):
        formats = json.loads(summary)["formats"]
        assert (formats["weights"], formats["bits_per_weight"], formats["kv"]) == ({}, None, [stored])


def test_the_page_says_who_does_what_and_calls_no_other_machine_beside_it(tmp_path: Path) -> None:
    screen = told("aim", f"placement.linear={H100}", "baselines=[gpu-t4]", out=tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text("utf-8")
    (said,) = re.findall(rf'<p class="soft">({H100} has .*)</p>', page)
    assert said in " ".join(screen.split())
    assert "(for comparison)" in page and "(beside it)" not in page


def test_the_page_of_the_memory_alone_says_nothing_of_it(tmp_path: Path) -> None:
    told("aim", out=tmp_path / "out")
    assert " operators of a step: busy" not in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_a_memory_that_sends_nothing_saves_no_traffic(tmp_path: Path) -> None:
    """Not 0 times: there is nothing to compare, on the terminal, on pages, in comparisons and in sweeps."""
    everything = (f"placement.linear={H100}", f"placement.attention={H100}")
    assert "bus traffic" not in told("aim", *everything, out=tmp_path / "all")
    told("aim", out=tmp_path / "alone")
    saved = json.loads((tmp_path / "all" / "summary.json").read_text("utf-8"))["system"]
    assert saved["payload_bytes"] == 0 and saved["data_movement_reduction"] is None
    assert "without PIM" not in (tmp_path / "all" / "report.html").read_text("utf-8")
    folders = [str(tmp_path / name) for name in ("all", "alone")]
    for more in (("--json",), (), ("--out", str(tmp_path / "c.html"))):
        compared = CliRunner().invoke(cli, ["compare", *folders, *more])
        assert compared.exit_code == 0, compared.output
    rows = json.loads(CliRunner().invoke(cli, ["compare", *folders, "--json"]).stdout)["results"]
    (row,) = [row for row in rows if row["figure"] == "system.data_movement_reduction"]
    assert row["values"][0] is None and row["values"][1] > 1 and row["ratios"][1] is None


def test_a_sweep_has_no_number_there(tmp_path: Path) -> None:
    sweep = {
        "base": str(SHIPPED),
        "set": {"workload.model": None, "workload.model_config": json.loads(TINY), "workload.output_tokens": 1},
        "axes": {"placement.linear": ["pim", H100], "placement.attention": [H100]},
        "objectives": ["system.data_movement_reduction", "system.latency_ns"],
    }
    (tmp_path / "s.yaml").write_text(json.dumps(sweep))
    found = CliRunner().invoke(cli, ["sweep", str(tmp_path / "s.yaml"), "--out", str(tmp_path / "o"), "--workers", "0"])
    assert found.exit_code == 0, found.output
    rows = pandas.read_parquet(tmp_path / "o" / "results.parquet")
    assert list(rows["status"]) == ["ok", "ok"]
    assert list(rows["system.data_movement_reduction"].isna()) == [False, True]
