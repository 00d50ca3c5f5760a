"""A package of a device, a model, a baseline and a function, installed and run by the command line."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from pimsim import load_config, run
from pimsim.cli import cli
from tests.extension.page import install, pimsim, python

Outside = Callable[[Path], None]


@pytest.fixture(scope="module")
def toy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the package of the page is installed."""
    return install(tmp_path_factory.mktemp("toy") / "site")


@pytest.fixture
def here(toy: Path, tmp_path: Path, outside: Outside, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, in which its process knows the package."""
    outside(toy)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def test_its_names_are_listed_with_where_they_are_from(toy: Path, tmp_path: Path) -> None:
    devices, models = (pimsim(tmp_path, listing, path=toy) for listing in ("devices", "models"))
    assert devices.returncode == models.returncode == 0 and devices.stderr == models.stderr == ""
    rows = [line for line in (devices.stdout + models.stdout).splitlines() if line.startswith("toy")]
    assert rows[0].split() == ["toy-pim", "bf16", "x", "bf16", "pimsim", "run", "toy;", "from", "pimsim-toy", "1.2"]
    assert rows[1].endswith("from pimsim-toy 1.2 (assumed: an example)")
    assert rows[2].endswith("a machine that nobody built; from pimsim-toy 1.2")
    without = pimsim(tmp_path, "devices")
    assert "toy" not in without.stdout
    found = json.loads(pimsim(tmp_path, "devices", "--json", path=toy).stdout)["devices"]
    assert [row["standard"] for row in found if row["from"] == "pimsim-toy 1.2"] == ["toy-pim"]


def test_a_configuration_says_who_has_registered_what_it_names(here: Path) -> None:
    shown = command("config", "show", "toy")
    assert shown.exit_code == 0, shown.stderr
    lines = {line.split(":")[0].strip(): line for line in shown.stdout.splitlines()}
    assert lines["standard"].endswith("# source: assumed: an example [pimsim-toy 1.2, toy.yaml:4]")
    assert lines["model"].endswith("# [pimsim-toy 1.2, toy.yaml:8]")
    assert lines["baselines"].endswith("# [pimsim-toy 1.2, toy.yaml:10]")
    assert lines["tREST_ns"].endswith("# source: assumed: ns; an example [toy.yaml:6]")
    (here / "again.yaml").write_text(shown.stdout)
    again = command("config", "validate", "again.yaml")
    assert (again.exit_code, again.stdout) == (0, "again.yaml: valid\n")


def test_it_runs_and_its_table_is_what_the_commands_keep(toy: Path, tmp_path: Path) -> None:
    done = pimsim(tmp_path, "run", "toy", "--json", "--commands", "log.csv", path=toy)
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["workload"]["model"] == "toy-gpt"
    assert summary["baselines"]["toy-gpu"]["speedup"] > 0
    assert summary["system"]["latency_breakdown_ns"]["hardswish"] >= 0
    check = pimsim(tmp_path, "check", "log.csv", "--config", "toy", path=toy)
    assert check.returncode == 0 and check.stdout.endswith("no violations\n")
    refused = pimsim(tmp_path, "check", "log.csv", "--config", "toy", "--set", "dram.timing.tREST_ns=4", path=toy)
    assert refused.returncode == 1 and "MACAB" in refused.stdout
    with (tmp_path / "log.csv").open() as file:
        rows = [(int(row["clk"]), row["command"]) for row in csv.DictReader(file) if row["channel"] == "0"]
    gaps = {after - before for (before, a), (after, b) in pairwise(rows) if a == b == "MACAB"}
    assert min(gaps) == 4  # nMAC is 1 and tREST 3 ns, at 1 ns a clock
    found = json.loads(pimsim(tmp_path, "config", "gaps", "toy", "--json", path=toy).stdout)
    assert found["MACAB->MACAB same_bank"] == 4


def test_its_rest_is_all_that_tells_it_from_pim_gpt(here: Path) -> None:
    work = {"workload.model": "gpt2-small", "workload.output_tokens": 2, "baselines": []}
    own, plain = (run(load_config(name, work)).summary for name in ("toy", "pim-gpt"))
    assert own["system"]["commands"]["MACAB"] == plain["system"]["commands"]["MACAB"]
    mac, other = (found["system"]["latency_breakdown_ns"]["mac"] for found in (own, plain))
    assert 3 * other < mac < 4 * other  # 4 clocks from a column to the next in the place of 1, and a drain that stays
    assert own["config_sha256"] != plain["config_sha256"]


def test_traces_of_others_may_have_its_function(here: Path) -> None:
    """An operator of the function in a trace costs the passes that the page gives."""
    assert command("trace", "export", "--model", "toy-gpt", "--out", "t.jsonl").exit_code == 0
    assert '"op":"hardswish"' in (here / "t.jsonl").read_text()
    assert command("trace", "validate", "t.jsonl").exit_code == 0
    found = run(load_config("pim-gpt", {"workload.trace": "t.jsonl", "workload.output_tokens": 2, "baselines": []}))
    (row,) = [row for row in found.records("operators") if row["operator"] == "ffn_act"]
    assert (row["count"], row["adds"], row["multiplies"]) == (4, 4 * 3 * 512, 4 * 2 * 512)
    without = pimsim(here, "trace", "validate", "t.jsonl")
    assert without.returncode == 2 and "unknown operator 'hardswish'" in without.stderr


def test_a_sweep_s_processes_know_it(here: Path) -> None:
    (here / "sweep.yaml").write_text(
        "base: toy\naxes: {dram.timing.tREST_ns: [1, 3]}\nobjectives: [system.latency_ns]\n"
    )
    done = command("sweep", "sweep.yaml", "--out", "out", "--workers", "1", "--format", "csv")
    assert done.exit_code == 0, done.stderr
    with (here / "out" / "results.csv").open() as file:
        slow, fast = sorted((row for row in csv.DictReader(file)), key=lambda row: -float(row["system.latency_ns"]))
    assert (float(fast["dram.timing.tREST_ns"]), float(slow["dram.timing.tREST_ns"])) == (1, 3)


# -- when it is loaded --------------------------------------------------------------------

LOADED = "import sys; print('|', 'pimsim_toy' in sys.modules)"


@pytest.mark.parametrize(
    ("code", "loaded"),
    [
        ("import pimsim", False),
        ("from pimsim.cli import cli\ntry: cli.main(['--help'])\nexcept SystemExit: pass", False),
        ("import pimsim; pimsim.run(pimsim.load_config('pim-gpt', ['workload.model=gpt2-small', "
         "'workload.output_tokens=1', 'baselines=[gpu-t4]']))", False),
        ("import pimsim; pimsim.load_config('pim-gpt', {'workload.model': 'toy-gpt'})", True),
        ("import pimsim; pimsim.load_config('toy')", True),
    ],
)  # fmt: skip
def test_it_is_imported_only_where_its_names_matter(toy: Path, tmp_path: Path, code: str, loaded: bool) -> None:
    done = python(tmp_path, "-c", f"{code}\n{LOADED}", path=toy)
    assert done.returncode == 0, done.stderr
    assert done.stdout.rpartition("|")[2].strip() == str(loaded)


# -- one that does not load ---------------------------------------------------------------

BROKEN = '[project]\nname = "pimsim-broken"\nversion = "0.3"\n[project.entry-points.pimsim]\nx = "{}"\n'


@pytest.mark.parametrize(
    ("source", "point", "why"),
    [
        ("import nothing_of_that_name\n", "broken", "ModuleNotFoundError: No module named 'nothing_of_that_name'"),
        ("def register():\n    raise OSError('no\\nluck')\n", "broken:register", "OSError: no; luck"),
        ("x = 3\n", "broken:x", "broken:x is neither a function nor a module"),
        ("import pimsim\nM = pimsim.ModelShape('a-model', 2, 64, 4, 4, 256, 100, 64)\n"
         "def register():\n"
         "    pimsim.register(model=M, source='assumed: x')\n"
         "    pimsim.register(model=M, source='guess: x')\n",
         "broken:register",
         "model a-model: source must be LABEL: reason, not 'guess: x'; labels: paper, recalled, adjacent, derived, "
         "inferred, assumed"),
    ],
)  # fmt: skip
def test_a_plugin_that_fails_is_named_where_a_name_is_missing(
    tmp_path: Path, outside: Outside, source: str, point: str, why: str
) -> None:
    outside(install(tmp_path / "site", {"broken.py": source}, BROKEN.format(point)))
    fine = command("config", "validate", "pim-gpt")
    assert (fine.exit_code, fine.stderr) == (0, "")
    said = f"pimsim-broken 0.3, which may have it, cannot be loaded: {why}"
    for options, start in (
        (("config", "show", "a-config"), "a-config:1:1: cannot be read: No such file or directory; "),
        (("config", "show", "pim-gpt", "--set", "workload.model=a-model"), "--set:1:1: workload.model: unknown model "),
        (("config", "show", "pim-gpt", "--set", "baselines=[x]"), "--set:1:1: baselines.0: unknown baseline 'x'; "),
        (("config", "show", "pim-gpt", "--set", "dram.standard=x"), "--set:1:1: dram.standard: must be 'gddr6-pim', "),
    ):
        refused = command(*options)
        assert refused.exit_code == 2 and len(refused.stderr.splitlines()) == 1
        assert refused.stderr.startswith(start) and refused.stderr.endswith(f"; {said}\n")
    for listing in ("models", "devices"):
        listed = command(listing)
        assert listed.exit_code == 0 and "a-model" not in listed.stdout
        assert listed.stderr == f"pimsim:1:1: pimsim-broken 0.3: warning: cannot be loaded: {why}\n"


def test_two_packages_cannot_have_one_name(toy: Path, tmp_path: Path, outside: Outside) -> None:
    source = (
        "import pimsim\n"
        "def register():\n"
        "    shape = pimsim.ModelShape('toy-gpt', 3, 64, 4, 4, 256, 100, 64)\n"
        "    pimsim.register(model=shape, source='assumed: x')\n"
    )
    outside(install(tmp_path / "site", {"zz.py": source}, BROKEN.format("zz:register").replace("x = ", "zz = ")))
    outside(toy)
    assert command("models").stderr == (
        "pimsim:1:1: pimsim-broken 0.3: warning: cannot be loaded: model toy-gpt: the name is taken by pimsim-toy 1.2\n"
    )
