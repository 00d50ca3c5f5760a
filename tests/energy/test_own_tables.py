"""Energy tables of one's own: what they may say, where they are looked for, and what depends on them."""

from __future__ import annotations

import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

import pimsim
from pimsim import InputError, api
from pimsim.config.resolved import config_sha256, dump_yaml
from pimsim.energy.model import Prices
from pimsim.energy.table import ENERGY_TABLES, EnergyTable, load_file, load_table
from pimsim.report import run_html
from pimsim.sweep.definition import Sweep
from pimsim.sweep.reader import load_sweep
from pimsim.sweep.runner import run_sweep
from tests.conftest import SHIPPED

TINY = "workload: {model: gpt2-small, output_tokens: 1}\nbaselines: []\n"
FACTOR = 'all_bank_read_factor: {value: 2, unit: "1", source: assumed, note: between v1 and v2}\n'


def table(name: str = "mine", extends: str = "v2", rows: str = FACTOR) -> str:
    base = f"extends: {extends}\n" if extends else ""
    return f"schema: pimsim.energy/1\nname: {name}\n{base}rows:\n" + "".join(f"  {row}\n" for row in rows.splitlines())


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a configuration and its table, which is not the working directory."""
    (tmp_path / "there").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "there" / "mine.yaml").write_text(table())
    (tmp_path / "there" / "c.yaml").write_text(f"extends: {SHIPPED}\n{TINY}energy: {{table: mine.yaml}}\n")
    monkeypatch.chdir(tmp_path / "elsewhere")
    return tmp_path / "there"


def problems(path: Path) -> list[str]:
    with pytest.raises(InputError) as caught:
        load_file(str(path))
    return [str(problem).removeprefix(f"{path.parent}/") for problem in caught.value.problems]


def energy(path: Path | str, **overrides: Any) -> float:
    config = api.load_config(path, {key.replace("__", "."): value for key, value in overrides.items()})
    return float(pimsim.run(config).summary["system"]["energy_pJ"])


# -- what a file says ------------------------------------------------------------------------


def test_a_row_stands_in_the_place_of_another_and_the_rest_is_as_it_was(folder: Path) -> None:
    found, under = load_file(str(folder / "mine.yaml")), load_table("v2")
    assert {key for key in under.rows if found.rows[key] != under.rows[key]} == {"all_bank_read_factor"}
    assert set(found.rows) == set(under.rows)
    row = found.rows["all_bank_read_factor"]
    assert (row.value, row.source, row.note) == (2, "assumed", "between v1 and v2")
    assert list(found.own) == ["all_bank_read_factor"]


def test_a_file_extends_a_file_and_the_last_word_wins(folder: Path) -> None:
    (folder / "sub").mkdir()
    routing = 'mac_routing_applied: {value: 0, unit: "1", source: assumed, note: taken as it stands}\n'
    (folder / "sub" / "next.yaml").write_text(table("next", "../mine.yaml", routing))
    found = load_file(str(folder / "sub" / "next.yaml"))
    assert {"all_bank_read_factor": 2, "mac_routing_applied": 0}.items() <= {
        key: row.value for key, row in found.rows.items()
    }.items()
    assert [found.extends, *found.own] == ["v2", "all_bank_read_factor", "mac_routing_applied"]


def test_a_file_with_every_row_extends_nothing(folder: Path) -> None:
    rows, rest = load_table("v1").rows, "source: assumed, note: x"
    lines = [f'{key}: {{value: {float(row.value)}, unit: "{row.unit}", {rest}}}' for key, row in rows.items()]
    (folder / "whole.yaml").write_text(table("whole", "", "\n".join(lines)))
    assert {k: r.value for k, r in load_file(str(folder / "whole.yaml")).rows.items()} == {
        k: r.value for k, r in rows.items()
    }
    (folder / "part.yaml").write_text(table("part", "", "\n".join(lines[1:])))
    (found,) = problems(folder / "part.yaml")
    assert found == "part.yaml:3:1: rows: has no all_bank_read_factor; `extends: v2` has them all"


# -- what is wrong with it -------------------------------------------------------------------


def test_everything_that_is_wrong_is_said_at_once_with_its_place(folder: Path) -> None:
    (folder / "wrong.yaml").write_text(
        "schema: pimsim.energy/1\n"
        "nmae: x\n"
        "extends: v22\n"
        "rows:\n"
        "  all_bank_raed_factor: {value: 2, unit: '1', source: assumed, note: x}\n"
        "  mac_routing_applied: {value: 0.5, unit: '1', source: assumd, note: x}\n"
        "  add_int32: {value: -1, unit: fJ, source: assumed}\n"
        "  add_fp32: 3\n"
        "  asic_add_share: {value: many, unit: '1', source: assumed, note: '', why: x}\n"
    )
    assert problems(folder / "wrong.yaml") == [
        "wrong.yaml:1:1: name: required key is missing",
        "wrong.yaml:2:1: nmae: unknown key; did you mean 'name'?",
        "wrong.yaml:5:3: rows.all_bank_raed_factor: nothing reads this row; did you mean 'all_bank_read_factor'?",
        "wrong.yaml:6:25: rows.mac_routing_applied.value: must be 0 or 1, not 0.5",
        "wrong.yaml:6:48: rows.mac_routing_applied.source: unknown source label 'assumd'; did you mean 'assumed'?",
        "wrong.yaml:7:3: rows.add_int32.note: required key is missing",
        "wrong.yaml:7:15: rows.add_int32.value: must be more than 0, not -1",
        "wrong.yaml:7:26: rows.add_int32.unit: must be 'pJ', not 'fJ'",
        "wrong.yaml:8:3: rows.add_fp32: must have value, unit, source, note, not 3",
        "wrong.yaml:9:20: rows.asic_add_share.value: must be a number, not 'many'",
        "wrong.yaml:9:61: rows.asic_add_share.note: must not be empty",
        "wrong.yaml:9:71: rows.asic_add_share.why: unknown key",
        "wrong.yaml:3:1: extends: unknown energy table 'v22'; did you mean 'v2'?",
    ]


def test_shares_are_refused_where_they_are_more_than_the_whole(folder: Path) -> None:
    (folder / "more.yaml").write_text(
        table("more", "v2", 'asic_add_share: {value: 0.95, unit: "1", source: assumed, note: x}')
    )
    (found,) = problems(folder / "more.yaml")
    assert re.match(
        r"more.yaml:5:20: rows.asic_add_share.value: asic_leakage_share \+ .* is 1.0375, more than 1", found
    )


@pytest.mark.parametrize("chain", [("mine.yaml",), ("other.yaml", "mine.yaml")])
def test_a_cycle_is_refused(folder: Path, chain: tuple[str, ...]) -> None:
    for file, extends in zip(("mine.yaml", "other.yaml"), chain, strict=False):
        (folder / file).write_text(table("x", extends))
    (found,) = problems(folder / "mine.yaml")
    assert found.endswith("extends: mine.yaml extends this file: a cycle")


def test_what_cannot_be_read_is_the_fault_of_the_line_that_names_it(folder: Path) -> None:
    (folder / "mine.yaml").write_text(table(extends="nowhere.yaml"))
    (found,) = problems(folder / "mine.yaml")
    assert found == "mine.yaml:3:1: extends: nowhere.yaml: cannot be read: No such file or directory"
    with pytest.raises(InputError, match=r"c.yaml:4:10: energy.table: gone.yaml: cannot be read"):
        (folder / "c.yaml").write_text(f"extends: {SHIPPED}\n{TINY}energy: {{table: gone.yaml}}\n")
        api.load(folder / "c.yaml")


def test_a_file_of_another_kind_is_called_what_it_is(folder: Path) -> None:
    with pytest.raises(InputError, match="is a configuration, not an energy table; use `pimsim run"):
        load_file(str(folder / "c.yaml"))
    with pytest.raises(InputError, match=r"is an energy table, not a configuration; name it in a config"):
        api.load(folder / "mine.yaml")


def test_problems_of_the_table_come_with_those_of_the_configuration(folder: Path) -> None:
    (folder / "mine.yaml").write_text(table(rows="all_bank_read_factor: 1"))
    (folder / "c.yaml").write_text(f"extends: {SHIPPED}\n{TINY}energy: {{table: mine.yaml}}\ndram: {{channels: 0}}\n")
    with pytest.raises(InputError) as caught:
        api.load(folder / "c.yaml")
    assert [problem.key for problem in caught.value.problems] == ["dram.channels", "rows.all_bank_read_factor"]


def test_an_unknown_name_has_its_nearest() -> None:
    with pytest.raises(InputError, match=r"energy.table: unknown table 'v22'; did you mean 'v2'"):
        api.load(SHIPPED, {"energy.table": "v22"})


def test_a_damaged_file_is_read_or_refused(folder: Path) -> None:
    """Pieces taken out, doubled or replaced: a table, or problems with their places, and nothing else."""
    chance, text, refused = (
        random.Random(1),
        table(rows=FACTOR + FACTOR.replace("all_bank_read_factor", "add_fp32").replace('"1"', "pJ")),
        0,
    )
    for _ in range(200):
        at, gone = chance.randrange(len(text)), chance.choice((0, 1, 5, 20))
        piece = chance.choice(("", text[at : at + 9] * 2, "1e999", ".", "{", ":", "\n", "null", "-1", "é", "\t"))
        (folder / "mine.yaml").write_text(text[:at] + piece + text[at + gone :], encoding="utf-8")
        try:
            load_file(str(folder / "mine.yaml"))
        except InputError as error:
            refused += 1
            assert all(problem.file and problem.line > 0 for problem in error.problems), error
    assert 20 < refused <= 200


# -- where it is -----------------------------------------------------------------------------


def test_a_configuration_names_it_from_any_folder(folder: Path) -> None:
    config = api.language_model(api.load_config(folder / "c.yaml"))
    assert config.energy.table == "mine.yaml"  # as written: the same on every machine
    assert Prices.of(config).table.name == "mine"
    (folder / "sub").mkdir()
    (folder / "sub" / "d.yaml").write_text("extends: ../c.yaml\n")
    assert energy(folder / "sub" / "d.yaml") == energy(folder / "c.yaml")


def test_an_override_is_relative_to_the_working_directory(folder: Path) -> None:
    assert energy(SHIPPED, energy__table="../there/mine.yaml", workload__output_tokens=1, baselines=[])
    with pytest.raises(InputError, match="cannot be read"):
        api.load(SHIPPED, {"energy.table": "mine.yaml"})


# -- what depends on it ----------------------------------------------------------------------


def test_its_rows_price_a_run(folder: Path) -> None:
    """mac_read goes with the factor, and nothing else does."""
    parts = {}
    for name in ("v1", "../there/mine.yaml", "v2"):
        given = {"energy.table": name, "workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": []}
        parts[name] = pimsim.run(api.load_config(SHIPPED, given)).summary["system"]["energy_breakdown_pJ"]
    mine, v1, v2 = parts["../there/mine.yaml"], parts["v1"], parts["v2"]
    assert mine["mac_read"] == 2 * v1["mac_read"] and 3 * mine["mac_read"] == 2 * v2["mac_read"]
    assert {key for key in v2 if mine[key] != v2[key]} == {"mac_read"}


def test_the_hash_is_of_its_values_and_not_of_its_text(folder: Path) -> None:
    def digest() -> str:
        return str(pimsim.run(api.load_config(folder / "c.yaml")).summary["config_sha256"])

    first = digest()
    (folder / "mine.yaml").write_text("# another remark\n" + table(rows=FACTOR.replace("between", "in between")))
    assert digest() == first
    (folder / "mine.yaml").write_text(table(rows=FACTOR.replace("value: 2", "value: 2.5")))
    assert digest() != first


def test_the_hash_of_a_shipped_table_is_what_it_was() -> None:
    config = api.language_model(api.load_config(SHIPPED))
    assert config_sha256(config, Prices.of(config).table.digest) == config_sha256(config)


def test_the_hash_follows_the_file_that_it_extends(folder: Path) -> None:
    (folder / "next.yaml").write_text(table("next", "mine.yaml", 'mac_routing_applied: {value: 0, unit: "1", source: '
                                                                 "assumed, note: x}"))  # fmt: skip
    first = load_file(str(folder / "next.yaml")).digest
    (folder / "mine.yaml").write_text(table(rows=FACTOR.replace("value: 2", "value: 2.5")))
    assert load_file(str(folder / "next.yaml")).digest != first


def test_the_resolved_configuration_says_what_was_written_and_where(folder: Path) -> None:
    loaded = api.load(folder / "c.yaml")
    assert re.search(r"table: mine.yaml +# \[c.yaml:4\]", dump_yaml(loaded.config, loaded.provenance))


def test_a_report_lists_its_rows_with_what_they_were(folder: Path) -> None:
    loaded = api.load(folder / "c.yaml")
    page = run_html(pimsim.run(loaded.config, loaded.provenance))
    assert re.search(
        r"<code class=.key.>energy.table.all_bank_read_factor</code></td><td>3</td><td><b>2</b></td><td>mine.yaml:5",
        page,
    )


# -- sweeps ----------------------------------------------------------------------------------


def sweep(folder: Path) -> Sweep:
    (folder / "s.yaml").write_text("base: c.yaml\naxes: {energy.table: [mine.yaml, v1]}\n")
    return load_sweep(folder / "s.yaml")


def test_a_sweep_is_priced_with_it_and_reads_it_once(folder: Path) -> None:
    loaded = sweep(folder)
    assert [Path(name).name for name in loaded.files] == ["mine.yaml"]
    alone = pimsim.run(api.load_config(folder / "c.yaml")).summary
    (folder / "mine.yaml").write_text(table(rows=FACTOR.replace("value: 2", "value: 9")))
    first, second = run_sweep(loaded, str(folder / "out"), workers=0).rows()
    assert first["system.energy_pJ"] == alone["system"]["energy_pJ"]
    assert first["config_sha256"] == alone["config_sha256"]
    assert second["system.energy_pJ"] == energy(folder / "c.yaml", energy__table="v1")


def test_a_sweep_is_another_one_if_the_table_is(folder: Path) -> None:
    (folder / "mine.yaml").write_text(table(extends="under.yaml"))
    (folder / "under.yaml").write_text(table("under"))
    first = sweep(folder)
    assert [Path(name).name for name in first.files] == ["mine.yaml", "under.yaml"]
    (folder / "under.yaml").write_text(table("under", rows=FACTOR.replace("value: 2", "value: 5")))
    assert sweep(folder).base_sha256 != first.base_sha256


def test_a_point_without_its_table_says_which(folder: Path) -> None:
    (folder / "s.yaml").write_text("base: c.yaml\naxes: {energy.table: [gone.yaml, v1]}\n")
    rows = list(run_sweep(load_sweep(folder / "s.yaml"), str(folder / "out"), workers=0).rows())
    assert [row["status"] for row in rows] == ["infeasible", "ok"]
    assert rows[0]["error"] == "energy.table: gone.yaml: cannot be read: No such file or directory"


# -- by name ---------------------------------------------------------------------------------


@pytest.fixture
def registered(folder: Path) -> Any:
    pimsim.register(energy_table=folder / "mine.yaml")
    yield ENERGY_TABLES["mine"]
    ENERGY_TABLES.discard(str(Path(__file__)))


def test_a_registered_table_has_a_name(folder: Path, registered: EnergyTable) -> None:
    named = energy(SHIPPED, energy__table="mine", workload__model="gpt2-small", workload__output_tokens=1, baselines=[])
    assert named == energy(folder / "c.yaml")
    loaded = api.load(SHIPPED, {"energy.table": "mine"})
    assert "test_own_tables.py" in loaded.provenance["energy.table"].home


def test_a_table_may_be_a_mapping(registered: EnergyTable) -> None:
    rows = {"add_fp32": {"value": 1, "unit": "pJ", "source": "assumed", "note": "x"}}
    given = {"schema": "pimsim.energy/1", "name": "more", "extends": "mine", "rows": rows}
    pimsim.register(energy_table=given)
    found = load_table("more")
    assert (found.extends, [*found.own]) == ("v2", ["all_bank_read_factor", "add_fp32"])
    with pytest.raises(InputError) as caught:
        pimsim.register(energy_table=json.loads(json.dumps(given).replace("add_fp32", "add_fp31")))
    assert "nothing reads this row; did you mean 'add_fp32'?" in str(caught.value)


def test_the_names_of_shipped_tables_are_taken(folder: Path) -> None:
    with pytest.raises(InputError, match="energy table v2: the name is taken by pimsim"):
        (folder / "v2.yaml").write_text(table("v2"))
        pimsim.register(energy_table=folder / "v2.yaml")


# -- the page --------------------------------------------------------------------------------


def test_the_example_of_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = (Path(__file__).parents[2] / "docs" / "energy.md").read_text(encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    for name, text in re.findall(r"^```yaml\n# (\S+)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        (tmp_path / name).write_text(text)
    given = {"workload.model": "gpt2-small", "workload.output_tokens": 1, "baselines": []}
    first = pimsim.run(api.load_config("cheaper.yaml", given)).summary
    second = pimsim.run(api.load_config("pim-gpt", {**given, "energy.table": "cheaper-reads.yaml"})).summary
    assert first["system"] == second["system"]
