"""`pimsim config import` as a command: what it prints, writes and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pimsim import api
from tests.cli.conftest import Pimsim
from tests.imports.made_up import INI, memspec


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("m.ini").write_text(INI)
    Path("m.json").write_text(memspec("GDDR6"))
    return "m.ini"


def test_it_prints_yaml_and_says_on_standard_error_what_became_of_the_file(pimsim: Pimsim, file: str) -> None:
    done = pimsim("config", "import", file)
    assert done.exit_code == 0
    assert done.stdout.startswith("# m.ini, a configuration of DRAMSim3, as gddr6")
    assert "m.ini: dropped:\n  - timing.tRPRE (line 21): " in done.stderr


def test_a_file_that_it_writes_runs(pimsim: Pimsim, file: str) -> None:
    done = pimsim("config", "import", file, "--out", "c.yaml")
    assert done.exit_code == 0 and done.stdout == "wrote c.yaml: 37 keys of m.ini as gddr6\n"
    assert pimsim("config", "validate", "c.yaml").exit_code == 0
    traffic = pimsim("traffic", "c.yaml", "--requests", "200", "--json")
    assert traffic.exit_code == 0 and json.loads(traffic.stdout)


def test_a_memory_that_multiplies_runs_a_model(pimsim: Pimsim, file: str) -> None:
    assert pimsim("config", "import", "m.json", "--standard", "gddr6-pim", "--out", "c.yaml").exit_code == 0
    given = ("--set", "workload.model=gpt2-small", "--set", "workload.output_tokens=1", "--set", "baselines=[]")
    done = pimsim("run", "c.yaml", *given, "--json")
    assert done.exit_code == 0 and json.loads(done.stdout)["system"]["cycles"] > 0
    assert api.load_config("c.yaml").dram.tCK_ps == 600


def test_what_it_refuses_is_one_line_each_and_writes_nothing(pimsim: Pimsim, file: str) -> None:
    Path("m.ini").write_text(INI.replace("tRP = 25", "tRP = x").replace("rows = 8192", "rows = many"))
    done = pimsim("config", "import", file, "--out", "c.yaml")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.splitlines() == [
        "m.ini:6:1: dram_structure.rows: must be a whole number of at least 1, not 'many'",
        "m.ini:17:1: timing.tRP: must be a whole number of at least 1, not 'x'",
    ]
    assert not Path("c.yaml").exists()


def test_it_does_not_write_over_what_it_reads(pimsim: Pimsim, file: str) -> None:
    done = pimsim("config", "import", file, "--out", "./m.ini")
    assert done.exit_code == 2 and done.stderr == "--out:1:1: --out: is the file that is read\n"
    assert Path("m.ini").read_text() == INI


def test_another_command_says_which_one_reads_it(pimsim: Pimsim, file: str) -> None:
    for name in ("m.ini", "m.json"):
        done = pimsim("run", name)
        assert done.exit_code == 2 and f"use `pimsim config import {name} --out CONFIG.yaml`" in done.stderr
