"""Tables in YAML: what they change, by formulas, and what is wrong with them."""

from __future__ import annotations

import csv
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from click.testing import CliRunner, Result

from pimsim import InputError, load_config, register, run
from pimsim.api import load
from pimsim.cli import cli
from pimsim.config.devices import CONFIGS
from pimsim.config.resolved import config_sha256
from pimsim.devices.registry import HARDWARE, device_of
from pimsim.devices.written import json_schema
from pimsim.dram.gaps import gaps
from pimsim.sweep import map_points
from pimsim.sweep.reader import load_sweep
from tests.extension.page import files, pimsim, python, write

pytestmark = pytest.mark.usefixtures("outside")

HEAD = "schema: pimsim.table/1\nname: mine\nextends: {parent}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The test's own folder, with the tables of the page; commands run in it."""
    write(tmp_path, "tables/half-pace.yaml", "tables/half.yaml")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def command(*arguments: str) -> Result:
    return CliRunner().invoke(cli, arguments)


def table(text: str, parent: str = "gddr6-pim") -> Path:
    path = Path("mine.yaml")
    path.write_text(HEAD.format(parent=parent) + text)
    return path


def distances(config: str, *overrides: str) -> dict[str, int]:
    return gaps(device_of(load_config(config, [*overrides])))


# -- what a row does ------------------------------------------------------------------------


def test_rows_change_the_distances_that_they_name_and_no_others(folder: Path) -> None:
    before, after = distances("pim-gpt"), distances("tables/half.yaml")
    changed = {key: (before[key], after[key]) for key in before if before[key] != after[key]}
    own, held = before["MACAB->MACAB same_bank"], before["ACT->WR same_bank"]
    scopes = ("same_bank", "same_bank_group", "other_bank_group")
    assert changed == {
        **{f"MACAB->MACAB {scope}": (own, 2 * own) for scope in scopes},
        "ACT->WR same_bank": (held, held + 6),  # 6 ns at 1 ns a clock
    }
    assert before.keys() == after.keys()


def test_a_time_of_a_table_is_a_key_of_the_configuration(folder: Path) -> None:
    loaded = load("tables/half.yaml")
    assert loaded.provenance["dram.timing.tHOLD_ns"].reason == "6 (assumed: an example)"
    held = distances("pim-gpt")["ACT->WR same_bank"]
    assert distances("tables/half.yaml", "dram.timing.tHOLD_ns=20")["ACT->WR same_bank"] == held + 20
    with pytest.raises(InputError, match=r"tHOLD_ns: not used by dram.standard gddr6-pim; used by half-pace$"):
        load_config("pim-gpt", {"dram.timing.tHOLD_ns": 20})


def test_a_time_without_a_value_must_be_given(folder: Path) -> None:
    table(
        "timing: {tX_ns: {description: A wait}}\n"
        'constraints: [{level: bank, preceding: ACT, following: WR, latency: nX, source: "assumed: x"}]\n'
    )
    with pytest.raises(InputError, match=r"dram.timing.tX_ns: required key is missing; dram.standard mine needs it$"):
        load_config("pim-gpt", {"dram.standard": "mine.yaml"})
    assert distances("pim-gpt", "dram.standard=mine.yaml", "dram.timing.tX_ns=33")["ACT->WR same_bank"] == 33


@pytest.mark.parametrize("factor", [1, 2, 5])
def test_a_window_is_replaced_by_one_that_counts_the_same_commands(folder: Path, factor: int) -> None:
    table(
        f"constraints: [{{level: channel, preceding: [ACT, REFPB], following: [REFPB, ACT], window: 4, "
        f'latency: {factor} * nFAW, source: "assumed: a weaker supply"}}]\n',
        "gddr6",
    )
    cycles = device_of(load_config("gddr6")).cycles
    assert distances("gddr6", "dram.standard=mine.yaml")["5th ACT after 1st"] == max(
        factor * cycles["nFAW"], 4 * cycles["nRRDS"]
    )


def test_of_a_window_some_commands_may_be_left_out_of_what_waits(folder: Path) -> None:
    table("remove: [{level: channel, preceding: [ACT, REFPB], following: ACT, window: 4}]\n", "gddr6")
    found, cycles = distances("gddr6", "dram.standard=mine.yaml"), device_of(load_config("gddr6")).cycles
    assert "5th ACT after 1st" not in found
    assert found["5th REFPB after 1st"] == distances("gddr6")["5th REFPB after 1st"] >= cycles["nFAW"]


def test_twice_the_pace_costs_what_a_formula_says(folder: Path) -> None:
    """Without refresh, and with nothing beside it, each column that follows another one takes nMAC more."""
    work = (
        "workload.model_config={name: m, layers: 1, d_model: 256, heads: 4}", "workload.model=null",
        "workload.output_tokens=2", "baselines=[]", "dram.channels=1", "dram.refresh=none", "asic.streaming=false",
    )  # fmt: skip
    before = run(load_config("pim-gpt", work), log="log.csv").summary["system"]
    with open("log.csv") as file:
        rows = [(int(row["clk"]), row["command"]) for row in csv.DictReader(file)]
    columns = [b - a for (a, first), (b, second) in pairwise(rows) if first == second == "MACAB"]
    nMAC = distances("pim-gpt")["MACAB->MACAB same_bank"]
    assert len(columns) > 100 and set(columns) == {nMAC}
    table(
        'constraints: [{level: channel, preceding: MACAB, following: MACAB, latency: 2 * nMAC, source: "assumed: x"}]\n'
    )
    after = run(load_config("pim-gpt", [*work, "dram.standard=mine.yaml"]), log="log2.csv").summary["system"]
    assert after["cycles"] == before["cycles"] + nMAC * len(columns)
    assert after["commands"] == before["commands"]
    checked = command("check", "log2.csv", "--config", "pim-gpt", *(part for o in work for part in ("--set", o)))
    assert checked.exit_code == 0  # what keeps the longer distances keeps the shorter ones
    other = ("--set", "dram.standard=mine.yaml", *(part for option in work for part in ("--set", option)))
    assert command("check", "log2.csv", "--config", "pim-gpt", *other).exit_code == 0
    assert command("check", "log.csv", "--config", "pim-gpt", *other).exit_code == 1


def test_causes_come_first(folder: Path) -> None:
    table("causes: [{preceding: MACAB, following: MACAB, cause: read}]\n")
    work = ["workload.model=gpt2-small", "workload.output_tokens=1", "baselines=[]"]
    before, after = (
        run(load_config("pim-gpt", [*work, *more])).summary["system"] for more in ([], ["dram.standard=mine.yaml"])
    )
    assert after["cycles"] == before["cycles"]
    assert after["latency_breakdown_ns"].get("read", 0) > before["latency_breakdown_ns"].get("read", 0)


def test_a_table_that_changes_nothing_gives_the_same_results(folder: Path) -> None:
    table("")
    work = ["workload.model=gpt2-small", "workload.output_tokens=2"]
    before, after = (run(load_config("pim-gpt", [*work, *more])).summary for more in ([], ["dram.standard=mine.yaml"]))
    assert after["system"] == before["system"] and after["baselines"] == before["baselines"]
    assert after["config_sha256"] != before["config_sha256"]  # the standard's name is another


@pytest.mark.parametrize("parent", ["gddr6-pim", "gddr6", "aim-reference", "hbm3", "lpddr5x"])
def test_every_row_may_be_said_again(folder: Path, parent: str) -> None:
    """A file that says each row of a table again, in one row for each pair, is that table."""
    rows = [
        {"level": row.level, "preceding": list(row.preceding), "following": list(row.following), "window": row.window,
         "latency": row.latency, "source": "derived: as it was"}
        for row in HARDWARE[parent].table.constraints
    ]  # fmt: skip
    merged: dict[Any, list[str]] = {}
    for row in rows:
        if row["window"] == 1:
            for pair in ((a, b) for a in row["preceding"] for b in row["following"]):
                merged.setdefault((row["level"], *pair), []).append(row["latency"])
    said = [row for row in rows if row["window"] > 1] + [
        {"level": level, "preceding": a, "following": b, "source": "derived: as it was",
         "latency": texts[0] if len(texts) == 1 else f"max({', '.join(texts)})"}
        for (level, a, b), texts in merged.items()
    ]  # fmt: skip
    table(yaml.safe_dump({"constraints": said}), parent)
    names = {"gddr6-pim": "pim-gpt"}
    config = names.get(parent, parent)
    assert distances(config, "dram.standard=mine.yaml") == distances(config)
    assert {row.source for row in HARDWARE["mine"].table.constraints} == {"derived: as it was"}


# -- where it may stand ----------------------------------------------------------------------


def test_a_configuration_names_a_table_beside_it(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder.parent)
    shown = command("config", "show", f"{folder.name}/tables/half.yaml")
    (line,) = [line for line in shown.stdout.splitlines() if "standard:" in line]
    assert line.startswith("  standard: half-pace.yaml ")
    assert line.endswith(" # source: assumed: an example [half-pace.yaml, half.yaml:4]")
    (folder / "tables" / "again.yaml").write_text(shown.stdout)
    assert command("config", "validate", f"{folder.name}/tables/again.yaml").exit_code == 0
    assert load_config(folder / "tables" / "again.yaml") == load_config(folder / "tables" / "half.yaml")


def test_a_registered_table_has_its_name(folder: Path) -> None:
    with pytest.raises(InputError, match="must be 'gddr6-pim', .* not 'half-pace'"):
        load_config("pim-gpt", {"dram.standard": "half-pace"})
    register(table="tables/half-pace.yaml")
    assert distances("pim-gpt", "dram.standard=half-pace") == distances("tables/half.yaml")


def test_a_table_may_change_one_that_was_registered(folder: Path) -> None:
    register(table="tables/half-pace.yaml")
    table('constraints: [{level: bank, preceding: ACT, following: WR, latency: 77, source: "assumed: x"}]', "half-pace")
    found, half = distances("pim-gpt", "dram.standard=mine.yaml"), distances("tables/half.yaml")
    assert {key for key in found if found[key] != half[key]} == {"ACT->WR same_bank"}


def test_a_table_that_is_read_again_replaces_itself_and_nothing_runs_by_mistake(folder: Path) -> None:
    table("")
    old = load_config("pim-gpt", {"dram.standard": "mine.yaml"})
    same = load_config("pim-gpt", {"dram.standard": "mine.yaml"})
    before = config_sha256(old)
    assert type(old) is type(same) and config_sha256(same) == before
    device_of(old)
    table('constraints: [{level: bank, preceding: ACT, following: WR, latency: 77, source: "assumed: x"}]')
    new = load_config("pim-gpt", {"dram.standard": "mine.yaml"})
    assert config_sha256(new) != before
    assert gaps(device_of(new))["ACT->WR same_bank"] == 77
    with pytest.raises(InputError, match="'mine' was registered anew since this configuration was loaded"):
        device_of(old)


def test_two_files_cannot_have_one_name(folder: Path) -> None:
    table("")
    load_config("pim-gpt", {"dram.standard": "mine.yaml"})
    (folder / "other.yaml").write_text(HEAD.format(parent="gddr6-pim") + "derived: {nX: nFAW}\n")
    with pytest.raises(InputError) as caught:
        load_config("pim-gpt", {"dram.standard": "other.yaml"})
    assert str(caught.value) == f"other.yaml:1:1: standard mine: the name is taken by {folder / 'mine.yaml'}"


def test_a_sweep_of_a_table_reads_it_in_every_process(folder: Path) -> None:
    Path("sweep.yaml").write_text(
        "base: tables/half.yaml\n"
        "set: {workload.model: gpt2-small, workload.output_tokens: 1, baselines: []}\n"
        "axes: {dram.timing.tHOLD_ns: [6, 60]}\n"
    )
    assert "tables/half-pace.yaml" in load_sweep("sweep.yaml").files
    done = pimsim(folder, "sweep", "sweep.yaml", "--out", "out", "--workers", "1", "--format", "csv")
    assert done.returncode == 0, done.stderr
    with open("out/results.csv") as file:
        short, long = (float(row["system.latency_ns"]) for row in csv.DictReader(file))
    assert short < long
    Path("tables/half-pace.yaml").write_text(files()["tables/half-pace.yaml"].replace("nMAC", "nMACX"))
    refused = pimsim(folder, "sweep", "sweep.yaml", "--out", "out2")
    assert refused.returncode == 2 and len(refused.stderr.splitlines()) == 1
    assert refused.stderr.startswith("tables/half-pace.yaml:8:3: derived.nPACE: ")


def test_a_sweep_may_compare_tables(folder: Path) -> None:
    text = "base: pim-gpt\nset: {{workload.model: gpt2-small, workload.output_tokens: 1, baselines: []}}\naxes:\n  {}\n"
    Path("sweep.yaml").write_text(text.format("dram.standard: [gddr6-pim, tables/half-pace.yaml]"))
    done = command("sweep", "sweep.yaml", "--out", "out", "--workers", "0", "--format", "csv")
    assert done.exit_code == 0, done.stderr
    with open("out/results.csv") as file:
        whole, half = (float(row["system.latency_breakdown_ns.mac"]) for row in csv.DictReader(file))
    assert half > 1.5 * whole
    Path("sweep.yaml").write_text(text.format("dram.standard: [gddr6-pim, tables/none.yaml]"))
    assert command("sweep", "sweep.yaml").stderr == (
        "sweep.yaml:4:30: dram.standard: tables/none.yaml: cannot be read: No such file or directory\n"
    )
    fixed = "set: {dram.standard: tables/half-pace.yaml, dram.timing.tHOLD_ns: 9, workload.model: gpt2-small, "
    Path("sweep.yaml").write_text(f"base: pim-gpt\n{fixed}workload.output_tokens: 1}}\naxes: {{dram.channels: [8]}}\n")
    assert load_sweep("sweep.yaml").request({"dram.channels": 8}).values["dram"]["standard"] == "half-pace"


def test_other_processes_are_given_configurations_of_a_table(folder: Path) -> None:
    changes = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": []}
    configs = [load_config(path, changes) for path in ("pim-gpt", "tables/half.yaml")]
    assert map_points(configs, workers=1) == map_points(configs, workers=0)


def test_the_script_of_the_page_runs(folder: Path) -> None:
    write(folder, "script.py")
    done = python(folder, "script.py")
    assert done.returncode == 0 and int(done.stdout) > 0, done.stderr


# -- what is wrong ---------------------------------------------------------------------------


def _row(old: str, new: str) -> str:
    """A row with one thing changed."""
    row = '{level: bank, preceding: ACT, following: WR, latency: nRCDWR, source: "assumed: x"}'
    assert old in row
    return f"constraints: [{row.replace(old, new)}]"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("constraint: []", "1: constraint: unknown key; did you mean 'constraints'?"),
        (_row("ACT", "ACX"), "29: constraints.0.preceding.0: unknown command 'ACX'; did you mean 'ACT'?"),
        (_row("nRCDWR", "nRCDW"), "60: constraints.0.latency: row ACT -> WR (bank): unknown timing name 'nRCDW'; "
         "did you mean 'nRCDWR'?"),
        (_row("nRCDWR", "nRP +"), "60: constraints.0.latency: row ACT -> WR (bank): 'nRP +' is no expression of "
         "timing names"),
        (_row("nRCDWR", "__import__('os')"), "60: constraints.0.latency: row ACT -> WR (bank): \"__import__('os')\" is "
         "no expression of timing names"),
        (_row("assumed: x", "guess: x"), "77: constraints.0.source: unknown source label 'guess'; labels: paper, "
         "recalled, adjacent, derived, inferred, assumed"),
        (_row("assumed: x", "assumed"), "77: constraints.0.source: must be LABEL: reason, not 'assumed'"),
        (_row("level: bank", "level: bnk"), "16: constraints.0.level: unknown level 'bnk'; did you mean 'bank'?"),
        (_row("}", ", window: 0}"), "99: constraints.0.window: input should be greater than or equal to 1, not 0"),
        ("remove: [{level: bank, preceding: ACT, following: WRGB}]",
         "10: remove.0: no row of gddr6-pim binds ACT -> WRGB at level bank"),
        ("timing: {tX_ns: {description: A wait}}",
         "10: timing.tX_ns: dram.timing.tX_ns is used by no row of the table"),
        ("timing: {tX_ns: {description: A wait, value: 3}}", "10: timing.tX_ns: has a value and no source"),
        ("timing: {tFAW_ns: {description: A wait}}",
         "10: timing.tFAW_ns: is a key of the standard already: a configuration gives its value"),
        ("timing: {X: {description: A wait}}", "10: timing.X: a time is tXXX_ns"),
        ("derived: {nX: nY}", "11: derived.nX: derived nX: unknown timing name 'nY'"),
        ("causes: [{preceding: MACAB, following: '*', cause: mack}]", "10: causes.0: causes (MACAB, *): unknown cause "
         "'mack'; did you mean 'mac'?"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_table_is_said_where_it_stands(folder: Path, text: str, said: str) -> None:
    table(text)
    refused = command("config", "show", "pim-gpt", "--set", "dram.standard=mine.yaml")
    assert (refused.exit_code, refused.stderr.splitlines()) == (2, [f"mine.yaml:4:{said}"])


def test_everything_is_said_at_once_with_near_names(folder: Path) -> None:
    Path("mine.yaml").write_text(
        "schema: pimsim.table/1\n"
        "name: gddr6\n"
        "extends: gddr6-pm\n"
        "constraints:\n"
        '  - {level: channel, preceding: ACT, following: WR, latency: 3, source: "assumed: "}\n'
    )
    refused = command("config", "show", "pim-gpt", "--set", "dram.standard=mine.yaml").stderr.splitlines()
    assert [line.split(": ", 1)[0] for line in refused] == ["mine.yaml:2:1", "mine.yaml:3:1", "mine.yaml:5:65"]
    assert "is the name of a shipped standard" in refused[0] and "did you mean 'gddr6-pim'?" in refused[1]


def test_a_file_that_is_no_table_says_so(folder: Path) -> None:
    for name, start in (
        ("none.yaml", "--set:1:1: dram.standard: none.yaml: cannot be read: No such file or directory"),
        ("tables/half.yaml", "tables/half.yaml:1:1: is a configuration, not a table of a memory; "),
    ):
        refused = command("config", "show", "pim-gpt", "--set", f"dram.standard={name}")
        assert refused.exit_code == 2 and refused.stderr.startswith(start) and refused.stderr.count("\n") == 1
    refused = command("run", "tables/half-pace.yaml")
    assert refused.stderr == (
        "tables/half-pace.yaml:1:1: is a table of a memory, not a configuration; "
        "name it in a configuration: `dram: {standard: tables/half-pace.yaml}`\n"
    )


def test_the_json_schema_takes_the_table_of_the_page(folder: Path) -> None:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    page = yaml.safe_load(files()["tables/half-pace.yaml"])
    for change in ({}, {"nme": "x"}, {"remove": [{"level": "bank", "preceding": [], "following": "WR"}]}):
        valid = jsonschema.Draft202012Validator(schema).is_valid(page | change)
        assert valid == (change == {})
    assert json.loads(command("devices", "--table-schema").stdout) == json.loads(json.dumps(schema))


def test_a_table_is_listed_once_it_has_a_name(folder: Path) -> None:
    assert "half-pace" not in command("devices").stdout
    register(table="tables/half-pace.yaml")
    assert "from half-pace.yaml" in command("devices").stdout
    assert "half-pace" in CONFIGS and "half-pace" in HARDWARE
