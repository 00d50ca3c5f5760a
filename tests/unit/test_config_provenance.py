"""Where each value comes from, and what a resolved configuration is written as."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import pytest

from pimsim.config.loader import Origin, load, load_config
from pimsim.config.resolved import config_sha256, dump_yaml, resolved_dict
from pimsim.errors import InputError
from pimsim.labels import LABELS
from tests.conftest import Write


def test_every_hardware_parameter_of_the_shipped_configuration_has_a_label(shipped: Path) -> None:
    provenance = load(shipped).provenance
    hardware = {path: origin for path, origin in provenance.items() if path.split(".")[0] in ("dram", "pim", "asic")}
    unlabelled = {path: origin for path, origin in hardware.items() if origin.label not in LABELS}
    silent = [path for path, origin in unlabelled.items() if not any(f"({label}" in origin.reason for label in LABELS)]
    assert not silent  # a default says how well it is known as well
    assert {origin.label for origin in unlabelled.values()} <= {"default"}
    assert len(hardware) > 40


def test_every_assumption_of_the_shipped_configuration_gives_a_reason(shipped: Path) -> None:
    provenance = load(shipped).provenance
    assert not [path for path, origin in provenance.items() if origin.label == "assumed" and not origin.reason]


def test_a_figure_that_is_given_twice_is_known_equally_well_both_times(shipped: Path) -> None:
    """The references of the prices are the shipped device: what was inferred there is no more certain here."""
    provenance = load(shipped).provenance
    compared = []
    for path, origin in provenance.items():
        parent, _, name = path.rpartition(".")
        if not parent.endswith("reference"):
            continue
        section = path.split(".")[0]
        for twin in (f"{section}.{name}", f"{section}.timing.{name}"):
            if twin in provenance:
                compared.append(path)
                assert f"({provenance[twin].label}" in origin.reason, path
    assert len(compared) >= 10


@pytest.mark.parametrize(
    ("comment", "label", "reason"),
    [
        ("# source: paper", "paper", ""),
        ("#source:recalled", "recalled", ""),
        ("# source: adjacent: CENT: table 3, [4]", "adjacent", "CENT: table 3, [4]"),
        ("# source: assumed:   # not known ", "assumed", "# not known"),
        ("# about the source: paper", None, ""),
        ("# rows", None, ""),
        ("", None, ""),
    ],
)
def test_a_comment_on_the_line_is_the_source(extend: Write, comment: str, label: str | None, reason: str) -> None:
    path = extend(f"dram:\n  rows: 8192 {comment}\n")
    assert load(path).provenance["dram.rows"] == Origin(str(path), 3, label, reason, "16384")


def test_the_source_of_a_line_is_that_of_all_its_values(extend: Write) -> None:
    path = extend("dram: {rows: 8192, timing: {tCL_ns: 13}} # source: derived: a, b\nname: 'x # source: paper'\n")
    provenance = load(path).provenance
    assert provenance["dram.rows"] == Origin(str(path), 2, "derived", "a, b", "16384")
    assert provenance["dram.timing.tCL_ns"] == Origin(str(path), 2, "derived", "a, b", "12")
    assert provenance["name"].label is None


def test_a_list_has_the_source_of_its_line(extend: Write) -> None:
    path = extend("baselines: [gpu-t4] # source: paper\n")
    assert load(path).provenance["baselines"] == Origin(str(path), 2, "paper", "", "[gpu-t4, cpu-xeon-6154]")


def test_an_unknown_label_is_refused_where_it_stands(extend: Write) -> None:
    path = extend("dram:\n  rows: 8192  # source: papr: see there\n")
    with pytest.raises(InputError) as caught:
        load(path)
    assert str(caught.value) == f"{path}:3:15: dram.rows: unknown source label 'papr'; did you mean 'paper'?"


def test_defaults_and_overrides_have_an_origin(shipped: Path) -> None:
    provenance = load(shipped, ["dram.rows=8192", "dram.channels=4"]).provenance
    assert provenance["dram.channels"] == Origin("--set", 2, before="8")
    assert provenance["mapping.reserve_tokens"].file == "default"
    assert provenance["mapping.reserve_tokens"].reason


def test_what_a_value_was_is_that_of_the_first_file_however_often_it_is_replaced(extend: Write) -> None:
    path = extend("dram: {rows: 8192}\nasic: {adders: 64}\n")
    provenance = load(path, ["dram.rows=4096", "dram.rows=2048", "mapping.reserve_tokens=2048"]).provenance
    assert provenance["dram.rows"].before == "16384"
    assert provenance["asic.adders"].before == "256"
    assert provenance["mapping.reserve_tokens"].before is None
    assert provenance["dram.channels"].before is None


def test_every_value_has_an_origin(shipped: Path) -> None:
    loaded = load(shipped, ["workload.model_config={name: tiny, layers: 2, d_model: 64, heads: 4}"])
    leaves: list[str] = []

    def collect(values: dict[str, object], path: str) -> None:
        for key, value in values.items():
            collect(value, f"{path}{key}.") if isinstance(value, dict) and value else leaves.append(f"{path}{key}")

    collect(resolved_dict(loaded.config), "")
    assert list(loaded.provenance) == leaves


# -- dump ---------------------------------------------------------------------------------


def test_a_dump_loads_to_the_same_configuration_with_the_same_sources(shipped: Path, write: Write) -> None:
    loaded = load(shipped, ["dram.timing.tCL_ns=12.5"])
    again = load(write(dump_yaml(loaded.config, loaded.provenance)))
    assert again.config == loaded.config
    labelled = {path: origin for path, origin in loaded.provenance.items() if origin.label in LABELS}
    assert {path: (again.provenance[path].label, again.provenance[path].reason) for path in labelled} == {
        path: (origin.label, origin.reason) for path, origin in labelled.items()
    }


def test_a_dump_names_files_without_their_folder(extend: Write, tmp_path: Path) -> None:
    loaded = load(extend("dram: {rows: 8192} # source: derived: half\n"), ["dram.channels=4"])
    text = dump_yaml(loaded.config, loaded.provenance)
    rows = next(line for line in text.split("\n") if line.strip().startswith("rows:"))
    channels = next(line for line in text.split("\n") if line.strip().startswith("channels:"))
    assert rows.endswith("# source: derived: half [config.yaml:2]")
    assert channels.endswith("# [--set:1]")
    assert str(tmp_path) not in text


def test_a_dump_aligns_its_comments(shipped: Path) -> None:
    loaded = load(shipped)
    columns = {line.index("  # ") for line in dump_yaml(loaded.config, loaded.provenance).split("\n") if "  # " in line}
    assert len(columns) == 1


@pytest.mark.parametrize("name", ["no", "12", "1e9", "~", "a: b", "#x", "", "é\n\"'", "true", "-", "a.b-c", "NULL"])
def test_a_dump_keeps_text_as_text(extend: Write, write: Write, name: str) -> None:
    shape = {"name": name or "x", "layers": 2, "d_model": 64, "heads": 4}
    config = load_config(extend(""), {"workload.model_config": shape})
    again = load_config(write(dump_yaml(config), "again.yaml")).workload.model_config_
    assert again is not None and again.name == shape["name"]


def test_a_resolved_configuration_is_plain_json(shipped: Path) -> None:
    values = resolved_dict(load_config(shipped, ["dram.timing.tCL_ns=12.5"]))
    timing = values["dram"]["timing"]
    assert timing["tCL_ns"] == 12.5 and type(timing["tRP_ns"]) is int
    assert json.loads(json.dumps(values)) == values
    assert list(values)[:3] == ["schema", "name", "dram"]


# -- hash ---------------------------------------------------------------------------------


@pytest.mark.parametrize("override", ["engine.mode=stepped", "engine.fold=false", "dram.timing.tCL_ns=12.0",
                                      "dram.timing.tCL_ns=1.2e1", "dram.rows=16384.0"])  # fmt: skip
def test_the_hash_leaves_out_what_changes_no_result(shipped: Path, override: str) -> None:
    assert config_sha256(load_config(shipped, [override])) == config_sha256(load_config(shipped))


@pytest.mark.parametrize(
    "override",
    ["dram.timing.tCL_ns=12.1", "workload.model=gpt2-xl", "schedule=overlap", "energy.table=v1", "baselines=[]",
     "mapping.reserve_tokens=2048", "asic.streaming=false", "workload.output_tokens=1"],
)  # fmt: skip
def test_the_hash_changes_with_what_is_simulated(shipped: Path, override: str) -> None:
    assert config_sha256(load_config(shipped, [override])) != config_sha256(load_config(shipped))


def test_the_hash_is_of_the_values_and_not_of_the_text(extend: Write, shipped: Path) -> None:
    assert config_sha256(load_config(extend("# nothing\n"))) == config_sha256(load_config(shipped))


def test_a_decimal_is_hashed_as_its_shortest_text(shipped: Path) -> None:
    twelve = load_config(shipped, {"dram.timing.tCL_ns": Decimal("12.000")})
    assert config_sha256(twelve) == config_sha256(load_config(shipped, {"dram.timing.tCL_ns": 12}))
